"""From columns in SI to a measured curve: rows that cannot be used are found, left out and counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .curve import CurveSource, MeasuredCurve, MeasurementError
from .noise import estimate_noise

__all__ = [
    "LEAST_TEMPERATURE_NOISE",
    "LEAST_VOLTAGE_NOISE",
    "CellColumns",
    "as_columns",
    "build_curve",
    "clean_columns",
    "cut_rows",
    "leave_out",
]

LEAST_VOLTAGE_NOISE = 1e-3  # [V], what a cycler's voltage is trusted to
LEAST_TEMPERATURE_NOISE = 0.05  # [K], what a thermocouple's course is trusted to, offset aside
_TIME_OVERFLOW = 1e12  # [s]
_OVERFLOW = 1e6  # no cell has a million volts, amperes or kelvin: a recorder's mark for "out of range"
_MOST_OUT_OF_ORDER = 0.01  # share of the rows

TIME_UNREADABLE = "time is not a number"
TIME_OUT_OF_ORDER = "time is out of order"
TIME_REPEATED = "time does not increase"
CURRENT_UNREADABLE = "current is not a number"
VOLTAGE_UNREADABLE = "voltage is not a number"


@dataclass(frozen=True, kw_only=True, eq=False)
class CellColumns:
    """Columns of one cell's record, in SI, current positive on discharge; arrays of shape (n,).

    Attributes
    ----------
    time, current, voltage : ndarray
        [s], [A], [V]; NaN where the file has no number.
    temperature, ambient_temperature, strain, thickness : ndarray, optional
        [K], [K], [-], [m].
    scored : ndarray of bool
        Rows that may count.
    row : ndarray of int
        Number in the file of each row, from 0.
    first, last : int
        The file's rows that these stand for: ``first`` to ``last`` (exclusive).
    left : mapping of str to ndarray of int
        Rows of the file that are removed, or kept but not scored, by reason; each row has one reason.
    """

    time: Array
    current: Array
    voltage: Array
    scored: NDArray[np.bool_]
    row: NDArray[np.intp]
    first: int
    last: int
    temperature: Array | None = None
    ambient_temperature: Array | None = None
    strain: Array | None = None
    thickness: Array | None = None
    left: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of the file that these stand for."""
        return self.last - self.first

    @property
    def left_out(self) -> dict[str, int]:
        """Rows that are not scored, counted by reason."""
        counts = {
            reason: int(np.count_nonzero((rows >= self.first) & (rows < self.last)))
            for reason, rows in self.left.items()
        }
        return {reason: count for reason, count in counts.items() if count}


def as_columns(
    time: Array,
    current: Array,
    voltage: Array,
    *,
    temperature: Array | None = None,
    ambient_temperature: Array | None = None,
    strain: Array | None = None,
    thickness: Array | None = None,
) -> CellColumns:
    """Return all rows of a file as columns, every one of them scored."""
    return CellColumns(
        time=time,
        current=current,
        voltage=voltage,
        temperature=temperature,
        ambient_temperature=ambient_temperature,
        strain=strain,
        thickness=thickness,
        scored=np.ones(time.size, dtype=np.bool_),
        row=np.arange(time.size),
        first=0,
        last=time.size,
    )


def cut_rows(columns: CellColumns, start: int, stop: int) -> CellColumns:
    """Return rows ``start`` to ``stop`` (exclusive), standing for the file's rows up to the next one kept."""
    arrays: dict[str, Any] = {
        item.name: values[start:stop]
        for item in fields(columns)
        if isinstance(values := getattr(columns, item.name), np.ndarray)
    }
    first = columns.first if start == 0 else int(columns.row[start])
    last = columns.last if stop >= columns.row.size else int(columns.row[stop])
    return replace(columns, **arrays, first=first, last=last)


def leave_out(columns: CellColumns, rows: NDArray[np.bool_], reason: str, *, remove: bool = False) -> CellColumns:
    """Return the columns with some rows not scored, or removed, for a reason."""
    counted = columns.row[rows & columns.scored]
    left = dict(columns.left)
    if counted.size:
        left[reason] = np.concatenate([left.get(reason, np.empty(0, dtype=np.intp)), counted])
    if not remove:
        return replace(columns, scored=columns.scored & ~rows, left=left)
    arrays: dict[str, Any] = {
        item.name: values[~rows]
        for item in fields(columns)
        if isinstance(values := getattr(columns, item.name), np.ndarray)
    }
    return replace(columns, **arrays, left=left)


def clean_columns(columns: CellColumns, where: str) -> CellColumns:
    """Return the columns with times that increase and a current in every row.

    Rows without a time are removed, and the fewest rows that leave the others in order of time; of rows at one time
    the first stays. Where the current is no number
    (or beyond anything that a cell carries) it is interpolated; such rows, and rows without a voltage, are not scored.

    Parameters
    ----------
    columns : CellColumns
        As read.
    where : str
        File, for errors.

    Raises
    ------
    MeasurementError
        If no row is left, or so many times step back that the file's order is not the order of time.
    """
    columns = leave_out(columns, ~(np.abs(columns.time) < _TIME_OVERFLOW), TIME_UNREADABLE, remove=True)
    astray = _out_of_order(columns.time)
    if np.count_nonzero(astray) > max(3, _MOST_OUT_OF_ORDER * columns.time.size):
        row = int(np.argmax(np.diff(columns.time) < 0.0))
        raise MeasurementError(
            f"time steps back from {columns.time[row]:g} s to {columns.time[row + 1]:g} s in row "
            f"{columns.row[row + 1] + 1}, and {np.count_nonzero(astray)} rows are out of order",
            where=where,
            remedy="Name the column of the total time, not of the time in a step, or split the file where it "
            "starts over",
        )
    columns = leave_out(columns, astray, TIME_OUT_OF_ORDER, remove=True)
    repeated = np.concatenate([[False], np.diff(columns.time) <= 0.0])[: columns.time.size]
    columns = leave_out(columns, repeated, TIME_REPEATED, remove=True)
    wrong = ~(np.abs(columns.current) < _OVERFLOW)
    if columns.time.size < 2 or wrong.all():
        raise MeasurementError(
            "holds no two rows with time and current", where=where, remedy="Check the columns, units and decimal mark"
        )
    current = columns.current.copy()
    current[wrong] = np.interp(columns.time[wrong], columns.time[~wrong], current[~wrong])
    columns = leave_out(replace(columns, current=current), wrong, CURRENT_UNREADABLE)
    voltage = np.where(np.abs(columns.voltage) < _OVERFLOW, columns.voltage, np.nan)
    columns = leave_out(replace(columns, voltage=voltage), np.isnan(voltage), VOLTAGE_UNREADABLE)
    for name in ("temperature", "ambient_temperature", "strain", "thickness"):
        values = getattr(columns, name)
        if values is not None:
            bridged: dict[str, Any] = {name: _bridge(columns.time, values)}
            columns = replace(columns, **bridged)
    return columns


def _out_of_order(time: Array) -> NDArray[np.bool_]:
    """Return the fewest rows without which times never step back (a longest non-decreasing subsequence stays)."""
    if not np.any(np.diff(time) < 0.0):
        return np.zeros(time.size, dtype=np.bool_)
    ends: list[float] = []  # least last time of a sequence of each length
    rows: list[int] = []
    before = np.full(time.size, -1, dtype=np.intp)
    for row, moment in enumerate(time.tolist()):
        length = bisect_right(ends, moment)
        if length == len(ends):
            ends.append(moment)
            rows.append(row)
        else:
            ends[length] = moment
            rows[length] = row
        before[row] = rows[length - 1] if length else -1
    astray = np.ones(time.size, dtype=np.bool_)
    row = rows[-1]
    while row >= 0:
        astray[row] = False
        row = int(before[row])
    return astray


def build_curve(
    name: str,
    columns: CellColumns,
    source: CurveSource,
    *,
    kind: str = "discharge",
    ambient_temperature: float | None = None,
    voltage_noise: float | None = None,
    temperature_noise: float | None = None,
    time_uncertainty: float = 0.0,
    rest_voltage: float | None = None,
    less_certain: NDArray[np.bool_] | None = None,
    assumptions: tuple[str, ...] = (),
) -> MeasuredCurve:
    """Return the curve of cleaned columns, its time from zero.

    Parameters
    ----------
    name : str
        Of the curve.
    columns : CellColumns
        From :func:`clean_columns`.
    source : CurveSource
        Where they come from; ``rows`` and ``left_out`` are taken from the columns.
    kind : str
        Of the curve.
    ambient_temperature : float, optional
        [K], where the columns have none; else the cell's first temperature is assumed, else 25 degC.
    voltage_noise, temperature_noise : float, optional
        [V, K]; estimated from the columns where None.
    time_uncertainty : float
        [s].
    rest_voltage : float, optional
        [V].
    less_certain : ndarray of bool, optional
        Of the columns' rows.
    assumptions : tuple of str
        What the reader supposed.
    """
    ambient: Array | float
    if columns.ambient_temperature is not None:
        ambient = columns.ambient_temperature
    elif ambient_temperature is not None:
        ambient = ambient_temperature
    elif columns.temperature is not None:
        ambient = float(columns.temperature[0])
        assumptions = (*assumptions, "the surroundings have the cell's first temperature")
    else:
        ambient = 298.15
        assumptions = (*assumptions, "the surroundings have 25 degC")
    temperature = columns.temperature
    if temperature_noise is None:
        temperature_noise = (
            LEAST_TEMPERATURE_NOISE
            if temperature is None
            else estimate_noise(temperature, columns.time, at_least=LEAST_TEMPERATURE_NOISE)
        )
    if voltage_noise is None:
        voltage_noise = estimate_noise(columns.voltage, columns.time, at_least=LEAST_VOLTAGE_NOISE)
    return MeasuredCurve(
        name=name,
        kind=kind,
        time=columns.time - columns.time[0],
        current=columns.current,
        voltage=columns.voltage,
        temperature=temperature,
        ambient_temperature=ambient,
        strain=columns.strain,
        thickness=columns.thickness,
        scored=columns.scored,
        less_certain=less_certain,
        voltage_noise=voltage_noise,
        temperature_noise=temperature_noise,
        time_uncertainty=time_uncertainty,
        rest_voltage=rest_voltage,
        assumptions=assumptions,
        source=replace(source, rows=columns.rows, left_out=columns.left_out),
    )


def _bridge(time: Array, values: Array) -> Array | None:
    """Return a side column with its holes interpolated; None where it has no number at all."""
    known = np.abs(values) < _OVERFLOW
    if not known.any():
        return None
    if known.all():
        return values
    return np.interp(time, time[known], values[known])
