"""What a model of remaining life may look at: a summary of a cell's past up to now, never its future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from celltwin.core import Array, freeze

from ..cycles import CellCycles
from ..features import FEATURE_NAMES, SAMPLING_DEPENDENT, feature_columns

__all__ = [
    "BEGINNING",
    "FALL",
    "PAST",
    "LifeInputs",
    "describe_cells",
    "describe_past",
    "finite_median",
    "input_names",
    "now_columns",
]

# Cycles of a past that are looked at, of the median that stands for now, and of the beginning that it is compared with.
PAST, NEWEST, BEGINNING = 100, 10, 10
# Spans of the slopes [cycles].
FEATURE_SPANS, HISTORY_SPANS = (20, 60), (20, 50, 100)
HISTORY_LAG = 30
SLOWEST_FALL = 5e-5  # [1/cycle], of SOH; slower is as slow
FALL_SPAN = 50
FALL = f"logarithm of the fall over {FALL_SPAN} of SOH"
# The entropies are those of the logger's clock: a running pack has another.
USED = tuple(name for name in FEATURE_NAMES if name not in SAMPLING_DEPENDENT)


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeInputs:
    """Summaries of the past of every chosen cycle of some cells.

    Attributes
    ----------
    values : ndarray of shape (n, n_inputs)
        Columns as :func:`input_names`; NaN where the past holds no finite value.
    cycle : ndarray of shape (n,)
        Number of the cycle that the past ends with, from 1.
    cell, duty : ndarray of str, shape (n,)
        Name of the cell, and how it is used: its cycling protocol.
    history : bool
        Whether the measured SOH of the past is in the summary.
    """

    values: Array
    cycle: Array
    cell: NDArray[np.str_]
    duty: NDArray[np.str_]
    history: bool


def input_names(history: bool) -> tuple[str, ...]:
    """Return what the columns of a summary are."""
    names = [f"{what} of {name}" for what in ("newest", "now", "change", "beginning") for name in USED]
    names += [f"slope over {span} of {name}" for span in FEATURE_SPANS for name in USED]
    if history:
        names += ["SOH", "SOH now", "highest SOH", "fall from the highest SOH", "fall of SOH over 30", "SOH at first"]
        names += [*(f"slope over {span} of SOH" for span in HISTORY_SPANS), FALL]
    return tuple(names)


def now_columns() -> NDArray[np.intp]:
    """Return which columns of a summary describe the newest cycles by their medians."""
    return np.arange(len(USED), 2 * len(USED))


def describe_past(
    features: NDArray[np.floating],
    beginning: Array,
    cycle: Array,
    history: Array | None = None,
    extremes: Array | None = None,
) -> Array:
    """Return the summary of some pasts.

    A slope goes over as many of its cycles as the cell has had, by least squares; it is 0 for the first two.

    Parameters
    ----------
    features : ndarray of shape (n, past, 16)
        The newest 100 cycles, oldest first; a cell younger than that has NaN before its first. May hold infinities.
        Without ``history`` 60 are enough. Computed quickest where cycles lie together in memory, (past, n, 16).
    beginning : ndarray of shape (n, 16)
        Median of the finite values of the cell's first 10 cycles, as far as they lie in its past.
    cycle : ndarray of shape (n,)
        Number of the newest cycle, from 1.
    history : ndarray of shape (n, 100), optional
        Measured SOH of the same cycles.
    extremes : ndarray of shape (n, 2), optional
        Highest running median of SOH so far, and the median of the first 10; with ``history`` only.

    Returns
    -------
    ndarray of shape (n, n_inputs)
        The summary.
    """
    columns = feature_columns(USED)
    past = np.moveaxis(features, 1, 0)
    finite = np.isfinite(past)
    whole = bool(finite.all())
    if not whole:
        past = np.where(finite, past, np.nan)
    newest = past[-1] if whole else _newest(past)
    now = finite_median(past[-NEWEST:])
    parts = [newest, now, now - beginning, beginning]
    parts += [_slope(past[-span:], whole=whole) for span in FEATURE_SPANS]
    parts = [part[:, columns] for part in parts]
    if history is not None and extremes is not None:
        soh = history.T[:, :, np.newaxis]
        level = finite_median(soh[-5:])
        reach = np.minimum(cycle - 1.0, HISTORY_LAG).astype(np.intp)
        before = history[np.arange(len(history)), PAST - 1 - reach][:, np.newaxis]
        highest, first = extremes[:, :1], extremes[:, 1:]
        parts += [soh[-1], level, highest, highest - level, before - level, first]
        slopes = {span: _slope(soh[-span:]) for span in HISTORY_SPANS}
        parts += [*slopes.values(), np.log(np.maximum(-slopes[FALL_SPAN], SLOWEST_FALL))]
    summary: Array = np.concatenate(parts, axis=1, dtype=np.float64)
    return summary


def describe_cells(cells: tuple[CellCycles, ...], *, history: bool, every: int = 1, delay: int = 0) -> LifeInputs:
    """Return the summaries of every cycle of some cells, or of every so many-th.

    Parameters
    ----------
    cells : tuple of CellCycles
        The cells.
    history : bool
        Whether the SOH measured so far is used.
    every : int
        Step between the cycles that are described, from the first.
    delay : int
        Cycles by which the measured SOH comes late, its first value standing in before. Where capacity is
        interpolated between tests, a delay of one test period keeps the next test out.
    """
    values, cycles, names, duties = [], [], [], []
    for cell in cells:
        chosen = np.arange(0, cell.soh.size, every)
        number = np.asarray(chosen + 1, dtype=np.float64)
        features = _windows(cell.features, chosen)
        beginning = _beginning(cell.features)[chosen]
        soh: Array = cell.soh[np.maximum(np.arange(cell.soh.size) - delay, 0)]
        past = _windows(soh[:, np.newaxis], chosen)[:, :, 0] if history else None
        extremes = _extremes(soh)[chosen] if history else None
        values.append(describe_past(features, beginning, number, past, extremes))
        cycles.append(number)
        names.append(np.full(chosen.size, cell.name))
        duties.append(np.full(chosen.size, cell.protocol))
    return LifeInputs(
        values=freeze(np.concatenate(values)),
        cycle=freeze(np.concatenate(cycles)),
        cell=np.concatenate(names),
        duty=np.concatenate(duties),
        history=history,
    )


def _windows(values: Array, chosen: NDArray[np.intp]) -> Array:
    padded = np.concatenate([np.full((PAST - 1, values.shape[1]), np.nan), values])
    windows: Array = np.moveaxis(sliding_window_view(padded, PAST, axis=0), -1, 1)[chosen]
    return windows


def _beginning(values: Array) -> Array:
    """Return the median of the first cycles up to each, shape of ``values``."""
    first = np.where(np.isfinite(values[:BEGINNING]), values[:BEGINNING], np.nan)
    medians = np.stack([finite_median(first[: end + 1]) for end in range(len(first))])
    return medians[np.minimum(np.arange(len(values)), len(first) - 1)]


def _extremes(soh: Array) -> Array:
    from .end_of_life import running_median

    first = _beginning(soh[:, np.newaxis])[:, 0]
    return np.stack([np.maximum.accumulate(running_median(soh)), first], axis=1)


def finite_median(values: NDArray[np.floating]) -> Array:
    """Return the median over axis 0 of what is not NaN, NaN where there is nothing; quick where all is known."""
    if np.isfinite(values).all():
        rows = _ordered(values)
        between: Array = (rows[(len(values) - 1) // 2] + rows[len(values) // 2]) / 2.0
        return between
    ordered = np.sort(values, axis=0)  # NaN goes last
    known = np.isfinite(ordered)
    count = known.sum(axis=0)
    lower = np.take_along_axis(ordered, np.maximum(count - 1, 0)[np.newaxis] // 2, axis=0)[0]
    upper = np.take_along_axis(ordered, np.minimum(count // 2, len(values) - 1)[np.newaxis], axis=0)[0]
    middle: Array = np.where(count > 0, (lower + upper) / 2.0, np.nan)
    return middle


def _ordered(values: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Return rows of finite values in rising order, by exchanges of neighbours: whole rows at once take a third."""
    rows, spare = [row.copy() for row in values], np.empty_like(values[0])
    for turn in range(len(rows)):
        for first in range(turn % 2, len(rows) - 1, 2):
            np.minimum(rows[first], rows[first + 1], out=spare)
            np.maximum(rows[first], rows[first + 1], out=rows[first + 1])
            rows[first], spare = spare, rows[first]
    return rows


def _newest(values: NDArray[np.floating]) -> Array:
    """Return the newest value over axis 0 that is not NaN, NaN where there is none; values (past, n, k)."""
    known = np.isfinite(values)
    if known[-1].all():
        last_row: Array = values[-1]
        return last_row
    last = len(values) - 1 - np.argmax(known[::-1], axis=0)
    newest: Array = np.take_along_axis(values, last[np.newaxis], axis=0)[0]
    return newest


def _slope(values: NDArray[np.floating], *, whole: bool = False) -> Array:
    """Return the least-squares slope over axis 0 [1/cycle] of what is not NaN; 0 for fewer than three values.

    ``whole`` says that all is finite, which is then not looked at again.
    """
    time = np.arange(len(values)) - (len(values) - 1) / 2.0
    if whole or np.isfinite(values).all():
        found: Array = np.tensordot((time / (time**2).sum()).astype(values.dtype), values, axes=1)
        return found
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0).astype(np.float64)
    total, moment = (np.tensordot(basis, filled, axes=1) for basis in (np.ones(len(time)), time))
    count, first, second = (np.tensordot(time**power, known.astype(np.float64), axes=1) for power in range(3))
    middle = first / np.maximum(count, 1.0)
    variance = second - count * middle**2
    slope: Array = np.where(count > 2.0, (moment - middle * total) / np.maximum(variance, 1e-12), 0.0)
    return slope
