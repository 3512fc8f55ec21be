"""Read the measured curves of a cell from files of any known kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from celltwin.core import ZERO_CELSIUS

from .cell_description import CellDescription
from .curve import CURVE_KINDS, MeasuredCurve, MeasuredSet, MeasurementError
from .readers_mapping import TableMapping, load_mapping
from .readers_records import (
    read_enertech,
    read_leaf_modules,
    read_lgm50_pulses,
    read_lgm50_rates,
    read_samsung_21700,
)
from .readers_sets import read_samsung_30q, read_xjtu_discharge
from .readers_table import read_table_curves
from .segments import CutRecord

__all__ = ["MEASURED_KINDS", "list_cells", "read_measured_set"]

Cells = dict[str, CutRecord]
_NUMBER = re.compile(r" \(\d+\)$")
_APART = 4  # [K] between discharges that are told apart by their temperature


@dataclass(frozen=True)
class _Kind:
    """A kind of files: patterns of their names, nominal capacity [A.h], and what reads them."""

    patterns: tuple[str, ...]
    capacity: float | None
    read: Callable[[Sequence[Path]], Cells]


def _each(read: Callable[[Path], tuple[str, MeasuredCurve]]) -> Callable[[Sequence[Path]], Cells]:
    def read_all(files: Sequence[Path]) -> Cells:
        found: dict[str, list[MeasuredCurve]] = {}
        for file in files:
            name, curve = read(file)
            found.setdefault(name, []).append(curve)
        return {name: CutRecord(curves=tuple(curves)) for name, curves in found.items()}

    return read_all


def _one(read: Callable[[Path], Cells]) -> Callable[[Sequence[Path]], Cells]:
    def read_single(files: Sequence[Path]) -> Cells:
        if len(files) != 1:
            raise MeasurementError(
                f"{len(files)} files of one test", where=str(files[0]), remedy="Give one of them at a time"
            )
        return read(files[0])

    return read_single


_KINDS: dict[str, _Kind] = {
    "samsung_30q": _Kind(("Q30_S*_*.csv",), 3.0, _each(read_samsung_30q)),
    "xjtu_discharge": _Kind(("XJTU_*_discharge_*C.csv",), 2.0, _each(read_xjtu_discharge)),
    "lgm50": _Kind(("LGM50_*_RateTest.mat",), 5.0, _one(read_lgm50_rates)),
    "lgm50_pulses": _Kind(("LGM50_*_Pulse.mat",), 5.0, _one(read_lgm50_pulses)),
    "enertech": _Kind(
        ("*C_discharge_U.txt", "*C_discharge_T.txt", "*C_discharge_displacement.txt"), 2.28, read_enertech
    ),
    "leaf_modules": _Kind(("module*-irdischarge-*.csv",), 32.5, read_leaf_modules),
    "samsung_21700": _Kind(
        ("sample_hppc_pulse.xlsx", "multipulse_hppc.xlsx", "sample_drive_cycle.xlsx"), None, read_samsung_21700
    ),
}
_TABLES = ("bdf", "csv")
_TABLE_SUFFIXES = (".csv", ".txt", ".tsv", ".bdf", ".gz", ".parquet", ".xlsx", ".dat")
MEASURED_KINDS = (*_KINDS, *_TABLES)
"""Kinds of files: published sets by name, Battery Data Format, and any table with a mapping file."""


def read_measured_set(
    path: str | Path | Sequence[str | Path],
    *,
    kind: str | None = None,
    mapping: str | Path | TableMapping | None = None,
    cell: str | CellDescription | None = None,
) -> MeasuredSet:
    """Read the measured curves of one cell.

    Parameters
    ----------
    path : path or sequence of paths
        Files, or a folder whose files are all read.
    kind : str, optional
        One of ``MEASURED_KINDS``; found out from names and headers where None.
    mapping : path or TableMapping, optional
        TOML file that says what the columns of a cycler's export are (docs/measurements.md).
    cell : str or CellDescription, optional
        Which cell, where the files hold several; or the description of the cell, whose capacity names the rates.

    Returns
    -------
    MeasuredSet
        The curves, slowest first within each kind, discharges first.

    Raises
    ------
    MeasurementError
        If there are no files of a known kind, they are of several cells, or one of them cannot be read.
    """
    found, capacity = _read([path] if isinstance(path, str | Path) else path, kind, mapping, cell)
    wanted = cell if isinstance(cell, str) else None
    if wanted is None and len(found) == 1:
        wanted = next(iter(found))
    if wanted is None or wanted not in found:
        raise MeasurementError(
            f"the files hold cells {', '.join(sorted(found)) or 'none'}" + (f", not {wanted}" if wanted else ""),
            where=str(path) if isinstance(path, str | Path) else ", ".join(map(str, path)),
            remedy="Name one of them (--select, or cell= in Python), or give the files of one cell",
        )
    record = found[wanted]
    curves = sorted(record.curves, key=lambda curve: _place(curve, capacity or 1.0))
    return MeasuredSet(
        cell=wanted, curves=tuple(_distinct(curves)), nominal_capacity=capacity, unused=dict(record.unused)
    )


def _place(curve: MeasuredCurve, capacity: float) -> tuple[int, float]:
    """Return what sorts a curve: its kind, and the rate of a discharge or charge."""
    rate = round(abs(curve.mean_current) / capacity, 2) if curve.kind in ("discharge", "charge") else 0.0
    return CURVE_KINDS.index(curve.kind), rate


def list_cells(path: str | Path | Sequence[str | Path], *, kind: str | None = None) -> tuple[str, ...]:
    """Return the names of the cells that files hold, for :func:`read_measured_set`."""
    return tuple(sorted(_read([path] if isinstance(path, str | Path) else path, kind, None, None)[0]))


def _read(
    paths: Sequence[str | Path],
    kind: str | None,
    mapping: str | Path | TableMapping | None,
    cell: str | CellDescription | None,
) -> tuple[Cells, float | None]:
    files = _files(paths)
    if kind is None:
        kind = "csv" if mapping is not None else _find_kind(files)
    if kind not in MEASURED_KINDS:
        raise MeasurementError(f"{kind!r} is no kind of measurement", remedy=f"Use one of {', '.join(MEASURED_KINDS)}")
    described = cell.capacity if isinstance(cell, CellDescription) else None
    if kind in _TABLES:
        columns = load_mapping(mapping) if isinstance(mapping, str | Path) else mapping
        tables = [file for file in files if file.suffix.casefold() in _TABLE_SUFFIXES]
        if not tables:
            raise _nothing(files, "a table", ", ".join(_TABLE_SUFFIXES))
        name = cell if isinstance(cell, str) else cell.name if isinstance(cell, CellDescription) else None
        return read_table_curves(tables, columns, cell=name, capacity=described), described
    if mapping is not None:
        raise MeasurementError(
            f"files of kind {kind!r} need no mapping", remedy="Leave the mapping out, or say kind='csv'"
        )
    chosen = [file for file in files if any(file.match(pattern) for pattern in _KINDS[kind].patterns)]
    if not chosen:
        raise _nothing(files, f"of kind {kind!r}", ", ".join(_KINDS[kind].patterns))
    return _KINDS[kind].read(chosen), described or _KINDS[kind].capacity


def _distinct(curves: Sequence[MeasuredCurve]) -> Iterable[MeasuredCurve]:
    """Yield the curves of several records with names that differ.

    Two of one rate become ``"1C at 10 degC"`` and ``"1C at 25 degC"`` where they began at different temperatures, else
    ``"1C"`` and ``"1C (2)"``.
    """
    groups: dict[str, list[MeasuredCurve]] = {}
    for curve in curves:
        groups.setdefault(_NUMBER.sub("", curve.name), []).append(curve)
    for base, group in groups.items():
        begun = [round(float(curve.temperature[0]) - ZERO_CELSIUS) for curve in group if curve.temperature is not None]
        apart = len(begun) == len(group) and len(set(begun)) == len(group) and max(begun) - min(begun) >= _APART
        for number, curve in enumerate(group, 1):
            if len(group) > 1 and apart:
                name = f"{base} at {begun[number - 1]} degC"
            else:
                name = base if number == 1 else f"{base} ({number})"
            yield curve if name == curve.name else replace(curve, name=name)


def _nothing(files: Sequence[Path], what: str, patterns: str) -> MeasurementError:
    where = str(files[0].parent) if files else None
    return MeasurementError(f"no file is {what}", where=where, remedy=f"Give files named like {patterns}")


def _files(paths: Iterable[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        elif path.exists():
            files.append(path)
        else:
            raise MeasurementError(
                "there is no such file", where=str(path), remedy=f"Check the path; the working folder is {Path.cwd()}"
            )
    if not files:
        raise MeasurementError("no files given", remedy="Name the files or the folder of one cell")
    return files


def _find_kind(files: Sequence[Path]) -> str:
    kinds: Mapping[str, int] = {
        kind: sum(any(file.match(pattern) for pattern in form.patterns) for file in files)
        for kind, form in _KINDS.items()
    }
    best = max(kinds, key=lambda kind: kinds[kind])
    return best if kinds[best] else "csv"
