"""Cut a cycler's record into discharges, charges, rests, pulses and drives, and name them by their rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, Array

from .clipping import clipped_rows, stuck_rows
from .columns import CellColumns, build_curve, cut_rows, leave_out
from .curve import CurveSource, MeasuredCurve
from .rates import rate_name

__all__ = ["CutRecord", "Segment", "cut_curves", "find_segments", "rest_threshold"]

_REST_SHARE = 0.003  # of the largest current
_REST_RATE = 0.005  # of the capacity [1/h]
_PULSE_LONGEST = 200.0  # [s]
_PULSE_CHARGE = 0.06  # of the capacity
_STEP_CHARGE = 0.25  # of the capacity: what still lies between two pulses of one test
_FEWEST_PULSES = 3
_DRIVE_SPREAD = 0.25  # of the mean magnitude of the current
_SHORTEST_CURVE = 10  # rows
_LEAD_IN = 2.0  # [s]: a row at rest further before the load than this is not part of the curve

SHORT = "segment too short to be a curve"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of a record, rows ``start`` to ``stop`` (exclusive).

    Attributes
    ----------
    kind : str
        ``"discharge"``, ``"charge"``, ``"rest"``, ``"pulses"`` or ``"drive"``.
    start, stop : int
        Rows.
    charge : float
        Charge drawn [A.h], positive on discharge.
    mean_current : float
        Mean over time [A], positive on discharge.
    """

    kind: str
    start: int
    stop: int
    charge: float
    mean_current: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CutRecord:
    """Curves cut from records of one cell.

    Attributes
    ----------
    curves : tuple of MeasuredCurve
        In the order of the records.
    unused : mapping of str to int
        Rows in none of them, counted by reason.
    """

    curves: tuple[MeasuredCurve, ...]
    unused: Mapping[str, int] = field(default_factory=dict)

    def joined(self, other: CutRecord) -> CutRecord:
        """Return both together."""
        reasons = [*self.unused, *(reason for reason in other.unused if reason not in self.unused)]
        unused = {reason: self.unused.get(reason, 0) + other.unused.get(reason, 0) for reason in reasons}
        return CutRecord(curves=(*self.curves, *other.curves), unused=unused)


def rest_threshold(current: Array, capacity: float | None = None) -> float:
    """Return the magnitude of current [A] below which a cell is at rest."""
    largest = float(np.max(np.abs(current), initial=0.0))
    threshold = _REST_SHARE * largest
    return min(max(threshold, _REST_RATE * capacity), 0.05 * largest) if capacity else threshold


def find_segments(columns: CellColumns, capacity: float | None = None) -> tuple[Segment, ...]:
    """Return the segments of a record, in order, without gaps between them.

    Runs of one sign of current are found first; runs of a single row at rest amid a load are part of it. Three and
    more short pulses, with the steps of charge between them, are one segment ``"pulses"``. A record whose current
    varies within its runs, or changes sign without rest again and again, is one ``"drive"``.

    Parameters
    ----------
    columns : CellColumns
        Cleaned.
    capacity : float, optional
        Of the cell [A.h]; that of the largest run where None.
    """
    time, current = columns.time, columns.current
    sign = _signs(current, rest_threshold(current, capacity))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(sign)) + 1, [sign.size]])
    runs = [
        _segment("rest" if sign[start] == 0 else "discharge" if sign[start] > 0 else "charge", columns, start, stop)
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    size = capacity or max((abs(run.charge) for run in runs), default=0.0)
    if _is_drive(runs, current, size):
        return (_segment("drive", columns, 0, time.size),)
    return tuple(_join_pulses(columns, runs, size))


def cut_curves(
    columns: CellColumns,
    source: CurveSource,
    *,
    capacity: float | None = None,
    label: str = "",
    kinds: Sequence[str] = ("discharge", "charge", "rest", "pulses", "drive"),
    ambient_temperature: float | None = None,
    assumptions: tuple[str, ...] = (),
    voltage_noise: float | None = None,
    temperature_noise: float | None = None,
) -> CutRecord:
    """Return the curves of a record, named by rate.

    A discharge or charge begins with the last row at rest before it, where that is near. Names of the same rate are
    numbered: ``"1C"``, ``"1C (2)"``.

    Parameters
    ----------
    columns : CellColumns
        Cleaned.
    source : CurveSource
        Of the record.
    capacity : float, optional
        Nominal capacity that rates refer to [A.h].
    label : str
        Follows each name, such as ``" at 10 degC"``.
    kinds : sequence of str
        Which segments become curves; the others' rows are counted as unused.
    ambient_temperature, voltage_noise, temperature_noise : float, optional
        As for :func:`build_curve`; where the record says nothing of its surroundings, they are taken to have the
        temperature of the record's first row.
    assumptions : tuple of str
        What the reader supposed.
    """
    if ambient_temperature is None and columns.ambient_temperature is None and columns.temperature is not None:
        ambient_temperature = float(columns.temperature[0])
        assumptions = (*assumptions, "the surroundings have the cell's temperature in the first row of the record")
    segments = find_segments(columns, capacity)
    curves: list[MeasuredCurve] = []
    unused: dict[str, int] = {}
    names: dict[str, int] = {}
    left = ""  # why the last segment is no curve
    for number, segment in enumerate(segments):
        short = segment.stop - segment.start < _SHORTEST_CURVE
        if short or segment.kind not in kinds:
            reason = SHORT if short else f"{segment.kind}, not asked for"
            unused[reason] = unused.get(reason, 0) + cut_rows(columns, segment.start, segment.stop).rows
            left = reason
            continue
        start, rest_voltage = segment.start, None
        if segment.kind in ("discharge", "charge") and number and segments[number - 1].kind == "rest":
            rest_voltage = float(columns.voltage[start - 1])
            steps = np.diff(columns.time[start : segment.stop])
            if columns.time[start] - columns.time[start - 1] <= max(_LEAD_IN, 2.0 * float(np.median(steps))):
                start -= 1
        name = _name(segment, segments, columns.current, capacity) + label
        names[name] = names.get(name, 0) + 1
        part = cut_rows(columns, start, segment.stop)
        if segment.kind == "discharge":
            part = _without_repeated(part)
        whole = part.rows == columns.rows
        curves.append(
            build_curve(
                name if names[name] == 1 else f"{name} ({names[name]})",
                part,
                source if whole else replace(source, path=f"{source.path}#rows {part.first + 1} to {part.last}"),
                kind=segment.kind,
                ambient_temperature=ambient_temperature,
                rest_voltage=rest_voltage if rest_voltage is not None and np.isfinite(rest_voltage) else None,
                voltage_noise=voltage_noise,
                temperature_noise=temperature_noise,
                assumptions=assumptions,
            )
        )
        if start < segment.start and left:
            unused[left] -= 1  # the row at rest that the curve begins with
        left = ""
    return CutRecord(curves=tuple(curves), unused={reason: count for reason, count in unused.items() if count > 0})


def _without_repeated(part: CellColumns) -> CellColumns:
    """Return a discharge whose rows of a clipped or stuck voltage are not scored."""
    steady = np.abs(part.current) > 0.9 * float(np.quantile(np.abs(part.current), 0.9))
    clipped = clipped_rows(part.voltage) & steady
    part = leave_out(part, clipped, "voltage is clipped")
    return leave_out(part, stuck_rows(part.voltage) & steady & ~clipped, "voltage is stuck")


def _signs(current: Array, threshold: float) -> NDArray[np.int8]:
    sign = np.where(current > threshold, 1, np.where(current < -threshold, -1, 0)).astype(np.int8)
    alone = np.flatnonzero((sign[1:-1] == 0) & (sign[:-2] != 0) & (sign[:-2] == sign[2:])) + 1
    sign[alone] = sign[alone - 1]
    return sign


def _segment(kind: str, columns: CellColumns, start: int, stop: int) -> Segment:
    time, current = columns.time[start:stop], columns.current[start:stop]
    moved = float(np.trapezoid(current, time))
    duration = float(time[-1] - time[0])
    mean = moved / duration if duration > 0.0 else float(np.mean(current))
    return Segment(kind=kind, start=start, stop=stop, charge=moved / SECONDS_PER_HOUR, mean_current=mean)


def _is_drive(runs: Sequence[Segment], current: Array, size: float) -> bool:
    """Return whether most charge moves in runs whose current varies, or which follow each other without rest."""
    active = [run for run in runs if run.kind != "rest"]
    moved = sum(abs(run.charge) for run in active)
    if not active or moved == 0.0 or size <= 0.0:
        return False
    varying = 0.0
    for run in active:
        inner = current[run.start : run.stop]
        middle = np.quantile(inner, [0.1, 0.9]) if inner.size >= _SHORTEST_CURVE else np.array([0.0, 0.0])
        spread = float(middle[1] - middle[0]) / max(abs(float(np.mean(inner))), 1e-12)
        falling = run.kind == "charge" and np.count_nonzero(np.diff(np.abs(inner)) > 0.0) < 0.6 * inner.size
        if spread > _DRIVE_SPREAD and not falling:
            varying += abs(run.charge)
    turns = sum(1 for run, following in pairwise(runs) if {run.kind, following.kind} == {"charge", "discharge"})
    return varying > 0.5 * moved or turns > max(6, len(runs) // 3)


def _join_pulses(columns: CellColumns, runs: Sequence[Segment], size: float) -> list[Segment]:
    def is_pulse(run: Segment) -> bool:
        duration = float(columns.time[run.stop - 1] - columns.time[run.start])
        return run.kind != "rest" and duration <= _PULSE_LONGEST and abs(run.charge) <= _PULSE_CHARGE * size

    result: list[Segment] = []
    index = 0
    while index < len(runs):
        if not is_pulse(runs[index]):
            result.append(runs[index])
            index += 1
            continue
        last, reach, pulses = index, index, 0
        while reach < len(runs) and (runs[reach].kind == "rest" or abs(runs[reach].charge) <= _STEP_CHARGE * size):
            if is_pulse(runs[reach]):
                last, pulses = reach, pulses + 1
            reach += 1
        if pulses < _FEWEST_PULSES:
            result.append(runs[index])
            index += 1
            continue
        if last + 1 < len(runs) and runs[last + 1].kind == "rest":
            last += 1
        first = index
        if result and result[-1].kind == "rest":
            result.pop()
            first -= 1
        result.append(_segment("pulses", columns, runs[first].start, runs[last].stop))
        index = last + 1
    return result


def _name(segment: Segment, segments: Sequence[Segment], current: Array, capacity: float | None) -> str:
    if segment.kind == "discharge":
        return rate_name(segment.mean_current, capacity)
    if segment.kind == "charge":  # by its first part: at constant voltage the current falls
        magnitude = float(np.quantile(np.abs(current[segment.start : segment.stop]), 0.9))
        return f"{rate_name(magnitude, capacity)} charge"
    if segment.kind == "rest":
        before = next((item for item in segments if item.stop == segment.start), None)
        return "rest" if before is None else f"rest after {_name(before, segments, current, capacity)}"
    return segment.kind
