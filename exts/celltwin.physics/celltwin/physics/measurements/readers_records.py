"""Published sets whose files hold several tests, several cells or one quantity each, read as they are published."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import ZERO_CELSIUS, Array, freeze

from .columns import as_columns, build_curve, clean_columns
from .curve import CurveSource, MeasuredCurve, MeasurementError
from .readers_sheet import read_sheet
from .readers_text import TextTable, read_bytes, read_text_table
from .segments import CutRecord, cut_curves

__all__ = [
    "OpenCircuitTable",
    "read_enertech",
    "read_leaf_modules",
    "read_lgm50_open_circuit",
    "read_lgm50_pulses",
    "read_lgm50_rates",
    "read_samsung_21700",
]

_PYBOP = "PyBOP examples"
_BSD = "BSD-3-Clause"
_ENERTECH = re.compile(r"^(?P<rate>[\d.]+)C_discharge_(?P<quantity>U|T|displacement)$")
_ENERTECH_CAPACITY, _ENERTECH_AMBIENT = 2.28, 298.15  # [A.h, K], as Ai et al. state
_LEAF_PARALLEL = 2  # cells in each series group
_LEAF_CAPACITY = 32.5  # [A.h] of one cell


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenCircuitTable:
    """Open-circuit voltage over state of charge.

    Attributes
    ----------
    soc : ndarray of shape (n,)
        State of charge [-], increasing.
    voltage : ndarray of shape (n,)
        Mean of charge and discharge [V].
    hysteresis : ndarray of shape (n,)
        Difference between charge and discharge [V].
    temperature : float
        [K].
    source : CurveSource
        Where it comes from.
    """

    soc: Array
    voltage: Array
    hysteresis: Array
    temperature: float
    source: CurveSource


def read_lgm50_rates(path: Path, capacity: float = 5.0) -> dict[str, CutRecord]:
    """Return the curves of the LG M50 rate test, named such as ``"1C at 25 degC"``.

    Each test is a discharge, a rest, a charge and a rest. The temperature is that at the middle of the can; at rest
    the files only repeat its last value, and those curves have none.

    Parameters
    ----------
    path : Path
        ``LGM50_5Ah_RateTest.mat``.
    capacity : float
        What rates refer to [A.h].
    """
    tests, digest = _matlab(path, "LGM50_5Ah_RateTest")
    record = CutRecord(curves=())
    for chamber in _names(tests, path):
        for rate in _names(getattr(tests, chamber), path):
            test = getattr(getattr(tests, chamber), rate)
            columns = clean_columns(
                as_columns(
                    _vector(test.timeVec),
                    -_vector(test.currVec),
                    _vector(test.volVec),
                    temperature=_vector(test.cellTemp_mid) + ZERO_CELSIUS,
                ),
                f"{path}#{chamber}.{rate}",
            )
            source = CurveSource(
                path=f"{path}#{chamber}.{rate}",
                sha256=digest,
                rows=0,
                citation=f"LG M50 rate test, {_PYBOP}",
                licence=_BSD,
            )
            cut = cut_curves(columns, source, capacity=capacity, label=f" at {chamber[1:]} degC")
            record = record.joined(replace(cut, curves=tuple(map(_without_held_temperature, cut.curves))))
    return {"LGM50": record}


def _without_held_temperature(curve: MeasuredCurve) -> MeasuredCurve:
    if curve.kind != "rest":
        return curve
    note = "the temperature at rest is not used: the file repeats its last value under current"
    return replace(curve, temperature=None, assumptions=(*curve.assumptions, note))


def read_lgm50_pulses(path: Path) -> dict[str, CutRecord]:
    """Return, for each of the 24 cells, its nine pulses of ten seconds, named such as ``"pulse at 50 % and 25 degC"``.

    Parameters
    ----------
    path : Path
        ``LGM50_5Ah_Pulse.mat``.
    """
    tests, digest = _matlab(path, "LGM50_5Ah_Pulse")
    cells: dict[str, list[MeasuredCurve]] = {}
    for chamber in _names(tests, path):
        for level in _names(getattr(tests, chamber), path):
            holders = getattr(getattr(tests, chamber), level)
            for cell in _names(holders, path):
                data = getattr(holders, cell).data
                place = f"{path}#{chamber}.{level}.{cell}"
                size = np.size(data.ProgTime)
                temperature = _vector(data.LogTemp001)
                columns = clean_columns(
                    as_columns(
                        _vector(data.ProgTime),
                        -_vector(data.Current),
                        _vector(data.Voltage),
                        temperature=temperature + ZERO_CELSIUS if temperature.size == size else None,
                    ),
                    place,
                )
                curve = build_curve(
                    f"pulse at {10 * int(level[3:])} % and {chamber[1:]} degC",
                    columns,
                    CurveSource(path=place, sha256=digest, rows=0, citation=f"LG M50 pulses, {_PYBOP}", licence=_BSD),
                    kind="pulses",
                    rest_voltage=float(columns.voltage[0]),
                )
                cells.setdefault(cell, []).append(curve)
    return {name: CutRecord(curves=tuple(curves)) for name, curves in cells.items()}


def read_lgm50_open_circuit(path: str | Path) -> OpenCircuitTable:
    """Return the open-circuit voltage of the LG M50 at 25 degC, from ``LGM50_5Ah_OCV.mat``."""
    tests, digest = _matlab(Path(path), "LGM50_5Ah_OCV")
    table = tests.T25
    return OpenCircuitTable(
        soc=freeze(_vector(table.refSoC) / 100.0),
        voltage=freeze(_vector(table.meanOCV)),
        hysteresis=freeze(_vector(table.meanHys)),
        temperature=25.0 + ZERO_CELSIUS,
        source=CurveSource(
            path=str(path), sha256=digest, rows=int(np.size(table.refSoC)), citation=f"LG M50, {_PYBOP}", licence=_BSD
        ),
    )


def read_enertech(files: Sequence[Path]) -> dict[str, CutRecord]:
    """Return the Enertech pouch cell's discharges: voltage, thickness and, where measured, temperature.

    The files give one quantity each over its own times; thickness and temperature are interpolated at the times of
    the voltage. Current is the rate times 2.28 A.h, temperature the recorded rise above 25 degC.

    Parameters
    ----------
    files : sequence of Path
        Among them ``<rate>C_discharge_U.txt``, ``..._T.txt`` and ``..._displacement.txt``.
    """
    parts: dict[str, dict[str, TextTable]] = {}
    for file in files:
        match = _ENERTECH.match(file.stem)
        if match is not None:
            table = read_text_table(file, delimiter=" ", header=False, skip_rows=0)
            parts.setdefault(match["rate"], {})[match["quantity"]] = table
    curves = []
    for rate, tables in sorted(parts.items(), key=lambda item: float(item[0])):
        if "U" not in tables:
            where = next(iter(tables.values())).path
            raise MeasurementError(
                f"the voltage at {rate}C is missing", where=where, remedy=f"Give {rate}C_discharge_U.txt beside it"
            )
        curves.append(_enertech_curve(rate, tables))
    return {"Enertech": CutRecord(curves=tuple(curves))}


def _enertech_curve(rate: str, tables: dict[str, TextTable]) -> MeasuredCurve:
    time, voltage = _two_columns(tables["U"])
    side: dict[str, Array] = {}
    for quantity, table in tables.items():
        if quantity != "U":
            at, values = _two_columns(table)
            side[quantity] = np.interp(time, at, values)
    temperature = side["T"] + _ENERTECH_AMBIENT if "T" in side else None
    current = np.full(time.size, float(rate) * _ENERTECH_CAPACITY)
    current[0] = 0.0  # its voltage is the same at every rate: the cell at rest
    columns = clean_columns(
        as_columns(
            time,
            current,
            voltage,
            temperature=temperature,
            thickness=side.get("displacement"),
        ),
        tables["U"].path,
    )
    return build_curve(
        f"{float(rate):g}C",
        columns,
        CurveSource(
            path="; ".join(table.path for table in tables.values()),
            sha256=hashlib.sha256("".join(table.sha256 for table in tables.values()).encode()).hexdigest(),
            rows=0,
            citation="W. Ai et al., J. Electrochem. Soc. 167, 013512 (2020); from the PyBaMM repository",
            licence=_BSD,
        ),
        ambient_temperature=_ENERTECH_AMBIENT,
        rest_voltage=float(columns.voltage[0]),
        assumptions=(
            f"the current is the rate times {_ENERTECH_CAPACITY} A.h from the second row on: the files give none",
            "thickness and temperature are interpolated at the times of the voltage",
        ),
    )


def read_leaf_modules(files: Sequence[Path]) -> dict[str, CutRecord]:
    """Return, for each series group A1 to A6 of three Leaf modules, its discharges, as of one cell of 32.5 A.h.

    Parameters
    ----------
    files : sequence of Path
        ``module123-irdischarge-65ah-*.csv``.
    """
    cells: dict[str, CutRecord] = {}
    for file in files:
        table = read_text_table(file)
        time, current = table.numbers("Total Time"), -table.numbers("Current") / _LEAF_PARALLEL
        source = CurveSource(
            path=str(file), sha256=table.sha256, rows=0, citation="ORNL, BatterySim: Nissan Leaf modules", licence="MIT"
        )
        for group in range(1, 7):
            columns = clean_columns(
                as_columns(
                    time,
                    current,
                    table.numbers(f"Cell Voltage A{group}"),
                    temperature=table.numbers(f"Temperature A{(group + 1) // 2}") + ZERO_CELSIUS,
                ),
                str(file),
            )
            cut = cut_curves(
                columns,
                source,
                capacity=_LEAF_CAPACITY,
                kinds=("discharge",),
                assumptions=("the two cells of the group share its current equally",),
            )
            name = f"A{group}"
            cells[name] = cells[name].joined(cut) if name in cells else cut
    return cells


def read_samsung_21700(files: Sequence[Path]) -> dict[str, CutRecord]:
    """Return the pulses and the drive cycle of the 21700 cell.

    Parameters
    ----------
    files : sequence of Path
        ``sample_hppc_pulse.xlsx``, ``multipulse_hppc.xlsx``, ``sample_drive_cycle.xlsx``. The drive cycle has no
        voltage: its rows carry the current only, and none is scored.
    """
    curves = []
    for file in sorted(files):
        table = read_sheet(file)
        time, current = table.numbers("Time"), table.numbers("Current")
        measured = "Voltage" in table.names
        columns = clean_columns(
            as_columns(
                time,
                current,
                table.numbers("Voltage") if measured else np.full(time.size, np.nan),
            ),
            str(file),
        )
        name = {"sample_hppc_pulse": "one pulse", "multipulse_hppc": "pulses", "sample_drive_cycle": "drive"}.get(
            file.stem
        )
        curves.append(
            build_curve(
                name or file.stem,
                columns,
                CurveSource(
                    path=str(file), sha256=table.sha256, rows=0, citation=f"Samsung 21700, {_PYBOP}", licence=_BSD
                ),
                kind="pulses" if measured else "drive",
                rest_voltage=float(columns.voltage[0]) if measured else None,
                assumptions=() if measured else ("current is positive on discharge: without a voltage nothing tells",),
            )
        )
    return {"21700": CutRecord(curves=tuple(curves))}


def _two_columns(table: TextTable) -> tuple[Array, Array]:
    if len(table.names) != 2:
        raise MeasurementError(
            f"has {len(table.names)} columns, not time and value", where=table.path, remedy="Give the file as published"
        )
    return table.numbers(table.names[0]), table.numbers(table.names[1])


def _matlab(path: Path, name: str) -> tuple[Any, str]:
    """Return a structure of a MATLAB file and the file's digest."""
    from scipy.io import loadmat

    content = read_bytes(path)
    try:
        variables = loadmat(io.BytesIO(content), squeeze_me=True, struct_as_record=False)
    except (ValueError, NotImplementedError, TypeError) as error:
        raise MeasurementError(
            f"is no MATLAB file of version 5 to 7 ({error})", where=str(path), remedy="Save it with -v7 in MATLAB"
        ) from None
    if name not in variables:
        held = ", ".join(key for key in variables if not key.startswith("__"))
        raise MeasurementError(
            f"holds no {name}, but {held or 'nothing'}", where=str(path), remedy="Give the file as published"
        )
    return variables[name], hashlib.sha256(content).hexdigest()


def _names(structure: Any, path: Path) -> list[str]:
    names = getattr(structure, "_fieldnames", None)
    if not names:
        raise MeasurementError("has no fields where tests should be", where=str(path), remedy="Copy it again")
    return list(names)


def _vector(values: Any) -> Array:
    return np.atleast_1d(np.asarray(values, dtype=np.float64))
