"""Find rows where a recorder repeats one number because it has reached its range, or because it has stopped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .noise import column_resolution

__all__ = ["clipped_rows", "stuck_rows"]

_CLIPPED_LEAST, _CLIPPED_TIMES = 5, 5.0  # rows; times the usual longest repetition
_STUCK_LEAST, _STUCK_TIMES = 20, 10.0
_LEAP_STEPS = 5.0  # of the column's resolution
_FEWEST_LEVELS = 20  # distinct values below which repetition is the column's resolution


def clipped_rows(values: Array) -> NDArray[np.bool_]:
    """Return the rows that repeat the greatest or the least value of a column, far more often than others repeat.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN allowed.

    Returns
    -------
    ndarray of bool of shape (n,)
        The first of a repetition is not among them: it may be a true value.
    """
    return _repeated(values, _CLIPPED_LEAST, _CLIPPED_TIMES, extremes=True)


def stuck_rows(values: Array) -> NDArray[np.bool_]:
    """Return the rows that repeat any value of a column, very much more often than others repeat, and then leap.

    A plateau that is flatter than the column's resolution goes on by one step; a recorder that had stopped leaps.
    """
    return _repeated(values, _STUCK_LEAST, _STUCK_TIMES, extremes=False)


def _repeated(values: Array, least: int, times: float, *, extremes: bool) -> NDArray[np.bool_]:
    found = np.zeros(values.size, dtype=np.bool_)
    known = values[np.isfinite(values)]
    if np.unique(known).size < _FEWEST_LEVELS:
        return found
    edges = np.concatenate([[0], np.flatnonzero(np.diff(values) != 0.0) + 1, [values.size]])
    lengths = np.diff(edges)
    limit = max(float(least), times * float(np.quantile(lengths, 0.95)))
    low, high = float(np.min(known)), float(np.max(known))
    leap = _LEAP_STEPS * column_resolution(values)
    for start, length in zip(edges[:-1].tolist(), lengths.tolist(), strict=True):
        if length <= limit:
            continue
        stop = start + length
        leaps = stop >= values.size or not abs(values[stop] - values[start]) <= leap
        if values[start] in (low, high) if extremes else leaps:
            found[start + 1 : start + length] = True
    return found
