"""How a cell is used, as far as its training cells tell: which duty it has, and what repeats every few cycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..features import feature_columns
from ..past_windows import PastWindows

__all__ = ["LARGEST_RHYTHM", "RHYTHM_FEATURE", "Duties", "fit_duties", "one_hot", "rhythm_weights"]

# What is charged at constant current follows what was discharged before: it shows the step of a duty that repeats.
RHYTHM_FEATURE = "CC charge time"
PERIODS = range(2, 13)  # cycles that a duty may take to repeat
LEAST_CORRELATION = 0.6  # of the labels with themselves one period before, in the duty that repeats most clearly
SMOOTHED = 15  # cycles of the moving average that labels are compared with
RHYTHM_WINDOW = 24  # cycles that a rhythm is averaged over, less what is no whole period
LARGEST_RHYTHM = 5.0  # of the typical one


@dataclass(frozen=True, kw_only=True)
class Duties:
    """The duties of the training cells.

    Attributes
    ----------
    names : tuple of str
        How cells were cycled; a duty that is not among them is unknown.
    period : int
        Cycles after which the capacity of some duty repeats; 0 where none does.
    typical : float
        Median size of the rhythm in the duty where it is largest, in the unit of the feature.
    """

    names: tuple[str, ...]
    period: int
    typical: float

    def membership(self, windows: PastWindows) -> Array:
        """Return 1 for the duty of each window, shape (n, n_duties + 1); the last column is any that is unknown."""
        known = one_hot(windows.protocol, self.names)
        found: Array = np.concatenate([known, 1.0 - known.sum(axis=1, keepdims=True)], axis=1)
        return found

    def rhythm(self, windows: PastWindows) -> Array:
        """Return where in its duty's repetition each window is, shape (n, period) [-].

        The charge time at constant current, newest cycle last, less its mean and trend, averaged over as many periods
        as 24 cycles hold; in units of its typical size. Without a period the shape is (n, 1), all zero.
        """
        if self.period == 0:
            return np.zeros((windows.cycle.size, 1))
        folded = _fold(windows, self.period) / self.typical
        clipped: Array = np.clip(folded, -LARGEST_RHYTHM, LARGEST_RHYTHM)
        return clipped


def one_hot(protocols: NDArray[np.str_], names: tuple[str, ...]) -> Array:
    """Return 1 in the column of each protocol (n,), shape (n, n_names); a row of zeros where it has none."""
    found: Array = (protocols[:, np.newaxis] == np.array(names)).astype(np.float64)
    return found


def fit_duties(windows: PastWindows) -> Duties:
    """Return the duties of training windows, and the period that their labels show."""
    names = tuple(str(name) for name in np.unique(windows.protocol))
    period = _period(windows)
    if period:
        size = np.abs(_fold(windows, period)).mean(axis=1)
        typical = max(float(np.median(size[windows.protocol == name])) for name in names)
        if typical > 0.0:
            return Duties(names=names, period=period, typical=typical)
    return Duties(names=names, period=0, typical=1.0)


def rhythm_weights(period: int) -> tuple[int, NDArray[np.float64]]:
    """Return how many newest cycles a rhythm is taken from, and the matrix that takes it, shape (cycles, period).

    The matrix takes away mean and trend and averages over the periods.
    """
    cycles = RHYTHM_WINDOW // period * period
    time = np.stack([np.ones(cycles), np.arange(cycles) - 0.5 * (cycles - 1)])
    without_trend = np.eye(cycles) - time.T @ np.linalg.inv(time @ time.T) @ time
    fold = np.tile(np.eye(period), (cycles // period, 1)) * period / cycles
    matrix: NDArray[np.float64] = without_trend @ fold
    return cycles, matrix


def _fold(windows: PastWindows, period: int) -> Array:
    cycles, matrix = rhythm_weights(period)
    values = windows.features[:, -cycles:, feature_columns((RHYTHM_FEATURE,))[0]]
    known = np.isfinite(values) & windows.seen[:, -cycles:]
    values = np.where(known, values, 0.0)
    mean = values.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    folded: Array = np.where(known, values - mean[:, np.newaxis], 0.0) @ matrix
    return folded


def _period(windows: PastWindows) -> int:
    """Return the period that the labels of some duty have, 0 where none has one."""
    sums: dict[str, list[Array]] = {}
    for cell in np.unique(windows.cell):
        rows = windows.cell == cell
        soh = windows.soh[rows]
        if soh.size < SMOOTHED + 3 * PERIODS[-1]:
            continue
        smooth = np.convolve(soh, np.full(SMOOTHED, 1.0 / SMOOTHED), mode="valid")
        rest = soh[SMOOTHED // 2 : SMOOTHED // 2 + smooth.size] - smooth
        power = float(rest @ rest)
        found = [float(rest[lag:] @ rest[:-lag]) * rest.size / (rest.size - lag) for lag in PERIODS]
        if power > 0.0:
            sums.setdefault(str(windows.protocol[rows][0]), []).append(np.array(found) / power)
    if not sums:
        return 0
    best = max((np.mean(each, axis=0) for each in sums.values()), key=lambda each: float(each.max()))
    # The shortest lag that is nearly as good: twice a period repeats as well as one.
    good = np.flatnonzero(best >= 0.9 * best.max())
    return PERIODS[int(good[0])] if best.max() >= LEAST_CORRELATION else 0
