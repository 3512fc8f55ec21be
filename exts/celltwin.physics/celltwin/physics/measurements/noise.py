"""How well a recorded column is known: its resolution and its scatter."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

__all__ = ["column_resolution", "column_scatter", "estimate_noise"]

_MAD_TO_DEVIATION = 1.4826  # of a normal distribution


def column_resolution(values: Array) -> float:
    """Return the step between neighbouring levels of a recorded column.

    Parameters
    ----------
    values : ndarray of shape (n,)
        As recorded; NaN allowed.

    Returns
    -------
    float
        Tenth percentile of the differences between distinct values, which a few odd digits do not move;
        0 where all values are equal. For values without visible steps it tends to zero with their number.
    """
    levels = np.unique(values[np.isfinite(values)])
    if levels.size < 2:
        return 0.0
    steps = np.diff(levels)
    steps = steps[steps > 1e-9 * max(abs(float(levels[0])), abs(float(levels[-1])))]
    return float(np.quantile(steps, 0.1)) if steps.size else 0.0


def column_scatter(values: Array, time: Array | None = None) -> float:
    """Return the standard deviation of a smooth signal's samples about it.

    From each sample's distance to the line between its neighbours, by the median: steps and knees do not count.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN allowed.
    time : ndarray of shape (n,), optional
        Increasing; even steps where None.
    """
    known = np.isfinite(values)
    if np.count_nonzero(known) < 5:
        return 0.0
    level = values[known]
    at = np.arange(level.size, dtype=np.float64) if time is None else time[known]
    before, after = at[1:-1] - at[:-2], at[2:] - at[1:-1]
    share = before / (before + after)
    distance = level[1:-1] - (1.0 - share) * level[:-2] - share * level[2:]
    weighted = np.abs(distance) / np.sqrt(1.0 + share**2 + (1.0 - share) ** 2)
    return float(_MAD_TO_DEVIATION * float(np.median(weighted)))


def estimate_noise(values: Array, time: Array | None = None, *, at_least: float = 0.0) -> float:
    r"""Return the standard uncertainty of one value of a recorded column, in its unit.

    .. math:: u^2 = s^2 + \Delta^2 / 12

    with the scatter :math:`s` and the resolution :math:`\Delta`.

    Parameters
    ----------
    values : ndarray of shape (n,)
        As recorded; NaN allowed.
    time : ndarray of shape (n,), optional
        Increasing; even steps where None.
    at_least : float
        Floor, such as the uncertainty that the instrument's maker states.

    References
    ----------
    .. [1] JCGM 100:2008, *Guide to the expression of uncertainty in measurement*, F.2.2.1 (resolution).
    """
    noise = float(np.hypot(column_scatter(values, time), column_resolution(values) / 12.0**0.5))
    return max(noise, at_least)
