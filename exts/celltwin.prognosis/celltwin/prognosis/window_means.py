"""Means of past windows, as every model takes them: scaled, with stand-ins, and no feature beyond its bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .past_windows import PastWindows
from .scaling import InputScaling

__all__ = ["bounded_means"]


def bounded_means(
    windows: PastWindows, scaling: InputScaling, lengths: tuple[int, ...], *, reach: float
) -> tuple[Array, ...]:
    """Return the newest cycle, then the mean over what a cell has had of the newest cycles, for each of some lengths.

    A value that is not finite is replaced by its stand-in, and one farther than ``reach`` spreads from the mean held
    there, before means are taken. Sums are taken in the precision of the features.

    Parameters
    ----------
    windows : PastWindows
        Windows; it is quickest where equal places of all cells lie together in memory.
    scaling : InputScaling
        Of the features.
    lengths : tuple of int
        How many of the newest cycles; all of the window where it holds fewer.
    reach : float
        In spreads.

    Returns
    -------
    tuple of ndarray
        Each of shape (n, n_inputs), scaled.
    """
    n, cycles, n_inputs = windows.features.shape
    longest = min(max(lengths), cycles)
    past = np.ascontiguousarray(np.moveaxis(windows.features[:, -longest:], 1, 0))
    rows = past.reshape(longest, n * n_inputs)
    seen = windows.seen[:, -longest:].T
    low, high = scaling.mean - reach * scaling.spread, scaling.mean + reach * scaling.spread
    found = [rows[-1], *(_mean(rows, seen, length, n_inputs) for length in lengths)]
    # One pass tells where anything is out of bounds or no number; only there all is done again.
    inside = (rows.min(axis=0) >= np.tile(low, n)) & (rows.max(axis=0) <= np.tile(high, n))
    odd = np.flatnonzero(~inside)
    if odd.size:
        cell, feature = np.divmod(odd, n_inputs)
        values = rows[:, odd]
        values = np.where(np.isfinite(values), values, scaling.stand_in[feature])
        values = np.clip(values, low[feature], high[feature])
        again = [values[-1], *(_mean(values, seen[:, cell], length, 1) for length in lengths)]
        found = [_replaced(whole, odd, part) for whole, part in zip(found, again, strict=True)]
    return tuple(scaling.apply(np.asarray(each, dtype=np.float64).reshape(n, n_inputs)) for each in found)


def _mean(rows: NDArray[np.floating], seen: NDArray[np.bool_], length: int, n_inputs: int) -> NDArray[np.floating]:
    """Return the mean of the newest rows (cycles, n * n_inputs) that were seen (cycles, n)."""
    newest, had = rows[-length:], seen[-length:]
    if had.all():
        mean: NDArray[np.floating] = newest.sum(axis=0)
        return mean / len(newest)
    weights = (had / had.sum(axis=0)).astype(rows.dtype)
    shaped = newest.reshape(len(newest), -1, n_inputs)
    weighted: NDArray[np.floating] = np.einsum("tn,tnk->nk", weights, shaped)
    return weighted.reshape(-1)


def _replaced(
    whole: NDArray[np.floating], places: NDArray[np.intp], values: NDArray[np.floating]
) -> NDArray[np.floating]:
    made = whole.copy()
    made[places] = values
    return made
