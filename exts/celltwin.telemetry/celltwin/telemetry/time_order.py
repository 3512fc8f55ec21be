"""Judge the times of rows: which jump, and when rows arrived."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["MidnightUnwrapper", "arrival_times", "find_jumps", "smallest_jump"]

SMALLEST_JUMP = 60.0  # [s]
PERIODS_IN_JUMP = 100.0
SECONDS_PER_DAY = 86400.0


def smallest_jump(rates: Iterable[float]) -> float:
    """Return from which length [s] on a gap in time needs the next row to confirm it.

    Parameters
    ----------
    rates : iterable of float
        Expected rates of the channels [Hz].
    """
    return max([SMALLEST_JUMP, *(PERIODS_IN_JUMP / rate for rate in rates)])


def find_jumps(time: Array, newest: float, limit: float, following: float | None = None) -> NDArray[np.bool_]:
    """Return which rows state a time far ahead that the next row does not confirm.

    Such a row is a fault of the sender's clock: believing it would make every later row come out of order.

    Parameters
    ----------
    time : ndarray of shape (n,)
        Times as stated [s]; NaN where there is none.
    newest : float
        Newest time believed so far [s]; minus infinity for none.
    limit : float
        A step ahead longer than this needs confirmation [s].
    following : float, optional
        First time after these rows [s], where it is known.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    jumps = np.zeros(time.size, dtype=np.bool_)
    known = np.flatnonzero(np.isfinite(time))
    if known.size == 0:
        return jumps
    stated = time[known]
    before = stated[0] if newest == -np.inf else newest
    with np.errstate(over="ignore"):
        steps = np.diff(stated, prepend=before)
    suspicious = steps > limit
    if newest == -np.inf:
        after = stated[1] if stated.size > 1 else following
        suspicious[0] = after is not None and stated[0] > after + limit
    if not suspicious.any():
        return jumps
    for place, index in enumerate(known):
        value = stated[place]
        after = stated[place + 1] if place + 1 < stated.size else following
        ahead = suspicious[0] if newest == -np.inf else value > newest + limit
        if ahead and (after is None or after < value):
            jumps[index] = True
            continue
        newest = max(newest, float(value))
    return jumps


def arrival_times(time: Array, newest: float, limit: float, following: float | None) -> Array:
    """Return when rows arrived: never decreasing, unconfirmed jumps and missing times left out.

    Parameters and shapes as in :func:`find_jumps`; minus infinity where nothing has been believed yet.
    """
    believed = np.where(np.isfinite(time) & ~find_jumps(time, newest, limit, following), time, -np.inf)
    arrived: Array = np.maximum(np.maximum.accumulate(believed), newest)
    return arrived


class MidnightUnwrapper:
    """Let times of day go on past midnight: a fall by more than half a day is the next day."""

    def __init__(self) -> None:
        self._newest = -np.inf
        self._days = 0.0

    def unwrap(self, time: Array) -> Array:
        """Return times that count on over midnight; shape (n,), NaN where there is none."""
        unwrapped = time.copy()
        for index in np.flatnonzero(np.isfinite(time)):
            if time[index] + self._days < self._newest - SECONDS_PER_DAY / 2.0:
                self._days += SECONDS_PER_DAY
            unwrapped[index] = time[index] + self._days
            self._newest = max(self._newest, float(unwrapped[index]))
        return unwrapped
