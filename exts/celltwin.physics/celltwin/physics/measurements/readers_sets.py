"""Published discharge sets of single cells, read as they are published."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from celltwin.core import ZERO_CELSIUS

from .columns import as_columns, build_curve, clean_columns, leave_out
from .curve import CurveSource, MeasuredCurve, MeasurementError
from .readers_text import read_text_table

__all__ = ["HIDDEN", "read_samsung_30q", "read_xjtu_discharge"]

HIDDEN = "curve hidden in the figure"

_SAMSUNG_NAME = re.compile(r"^Q30_(?P<cell>S\d+)_(?P<rate>C?\d+C?)$")
_XJTU_NAME = re.compile(r"^XJTU_(?P<cell>.+)_discharge_(?P<rate>[\d.]+)C$")

# One pixel of the figure [V, K]; start and duration of a digitised curve [s]; its end that is less certain [s].
_PIXEL_VOLTAGE, _PIXEL_TEMPERATURE, _PIXEL_TIME, _UNCERTAIN_END = 4.0e-3, 0.058, 12.0, 50.0


def read_samsung_30q(path: Path) -> tuple[str, MeasuredCurve]:
    """Return cell and curve of one file of the ARTS-Lab set of Samsung 30Q discharges.

    Parameters
    ----------
    path : Path
        ``Q30_<cell>_<rate>.csv``: time, current (negative on discharge), voltage, power, cell temperature [degC], hoop
        strain, ambient temperature [degC], without a header.

    Raises
    ------
    MeasurementError
        If it has another name or other columns.
    """
    match = _SAMSUNG_NAME.match(path.stem)
    if match is None:
        raise MeasurementError("is not named Q30_<cell>_<rate>.csv", where=str(path), remedy="Keep the published names")
    table = read_text_table(path, delimiter=",", header=False, skip_rows=0)
    if len(table.names) != 7:
        raise MeasurementError(
            f"has {len(table.names)} columns, not 7", where=str(path), remedy="Give the file as published"
        )
    time, current, voltage, _, temperature, strain, ambient = (table.numbers(name) for name in table.names)
    columns = clean_columns(
        as_columns(
            time,
            -current,
            voltage,
            temperature=temperature + ZERO_CELSIUS,
            ambient_temperature=ambient + ZERO_CELSIUS,
            strain=strain,
        ),
        str(path),
    )
    at_rest = bool(columns.voltage[0] - columns.voltage[1] > 5.0 * abs(columns.voltage[2] - columns.voltage[1]))
    current = columns.current.copy()
    assumptions: tuple[str, ...] = ()
    if at_rest and not columns.scored[0]:  # the first row is the cell at rest, whatever its ammeter says
        current[0] = 0.0
        assumptions = ("the current of the first row, which is not a number, is that of a cell at rest: 0 A",)
    rate = match["rate"]
    curve = build_curve(
        f"{1.0 / float(rate[1:]):g}C" if rate.startswith("C") else rate,
        replace(columns, current=current),
        CurveSource(
            path=str(path),
            sha256=table.sha256,
            rows=0,
            citation="ARTS-Lab, University of South Carolina: Samsung 30Q discharge tests with hoop strain",
            licence="CC BY-SA 4.0",
        ),
        rest_voltage=float(columns.voltage[0]) if at_rest else None,
        assumptions=assumptions,
    )
    return match["cell"], curve


def read_xjtu_discharge(path: Path) -> tuple[str, MeasuredCurve]:
    """Return cell and curve of one digitised discharge of XJTU's cell.

    Rows where the curve lies behind others in the figure (``curve_visible`` 0) are not scored. The last 50 s are less
    certain. Noise is one pixel of the figure, which also covers what a pixel of time does to voltage.

    Parameters
    ----------
    path : Path
        ``XJTU_<cell>_discharge_<rate>C.csv``: ``time_s``, ``current_A`` (negative on discharge), ``voltage_V``,
        ``temperature_C``, ``curve_visible``.

    Raises
    ------
    MeasurementError
        If it has another name or lacks a column.
    """
    match = _XJTU_NAME.match(path.stem)
    if match is None:
        raise MeasurementError(
            "is not named XJTU_<cell>_discharge_<rate>C.csv", where=str(path), remedy="Keep the published names"
        )
    table = read_text_table(path)
    columns = as_columns(
        table.numbers("time_s"),
        -table.numbers("current_A"),
        table.numbers("voltage_V"),
        temperature=table.numbers("temperature_C") + ZERO_CELSIUS,
    )
    hidden = ~(table.numbers("curve_visible") > 0.5)
    columns = clean_columns(leave_out(columns, hidden, HIDDEN), str(path))
    curve = build_curve(
        f"{float(match['rate']):g}C",
        columns,
        CurveSource(
            path=str(path),
            sha256=table.sha256,
            rows=0,
            citation=(
                "Digitised from a figure of wang-fujin/Battery-dataset-preprocessing-code-library; data of F. Wang et "
                "al., Nature Communications 15, 4332 (2024)"
            ),
            licence="no licence file: evaluate and cite, do not redistribute",
            digitised=True,
        ),
        voltage_noise=_PIXEL_VOLTAGE,
        temperature_noise=_PIXEL_TEMPERATURE,
        time_uncertainty=_PIXEL_TIME,
        less_certain=columns.time > columns.time[-1] - _UNCERTAIN_END,
    )
    return match["cell"], curve
