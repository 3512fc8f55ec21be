"""What a network that remembers may look at: the newest cycles of a cell up to now, never its future."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, freeze

from .cycles import CellCycles, CycleDataError
from .features import FEATURE_NAMES, SAMPLING_DEPENDENT, feature_columns

__all__ = ["BEGINNING", "PastWindows", "blank_sampling_dependent", "window_cycles"]

# Cycles that the beginning of a cell is averaged over: what later ones are compared with.
BEGINNING = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class PastWindows:
    """For every cycle of some cells, what its newest cycles looked like; nothing of its future.

    Attributes
    ----------
    features : ndarray of shape (n, window, n_inputs)
        As published (may hold infinities); oldest cycle first, newest last.
    seen : ndarray of bool, shape (n, window)
        False where the cell had no such cycle yet; features there repeat its first cycle.
    beginning : ndarray of shape (n, n_inputs)
        Mean of the finite values among the cell's first 30 cycles, as far as they lie in its past; NaN where none.
    cycle : ndarray of shape (n,)
        Number of the newest cycle among the cell's labelled ones, from 1.
    soh : ndarray of shape (n,)
        Label of the newest cycle [-].
    cell : ndarray of str, shape (n,)
        Name of the cell.
    protocol : ndarray of str, shape (n,)
        How the cell was cycled.
    """

    features: Array
    seen: NDArray[np.bool_]
    beginning: Array
    cycle: Array
    soh: Array
    cell: NDArray[np.str_]
    protocol: NDArray[np.str_]


def window_cycles(
    cells: tuple[CellCycles, ...], *, window: int = 12, inputs: tuple[str, ...] = FEATURE_NAMES
) -> PastWindows:
    """Return the past window of every cycle of some cells, cell after cell.

    Parameters
    ----------
    cells : tuple of CellCycles
        The cells.
    window : int
        How many cycles a window holds, the newest included.
    inputs : tuple of str
        Features wanted, among :data:`FEATURE_NAMES`.

    Raises
    ------
    CycleDataError
        If there is no cell, or the window holds no cycle.
    """
    if not cells or window < 1:
        raise CycleDataError(
            f"{len(cells)} cells in windows of {window} cycles give nothing to learn from",
            remedy="Choose at least one cell and a window of one cycle or more",
        )
    columns = feature_columns(inputs)
    back = np.arange(window - 1, -1, -1)
    features, seen, beginning = [], [], []
    for cell in cells:
        wanted = np.arange(cell.soh.size)[:, np.newaxis] - back
        values = cell.features[:, columns]
        features.append(values[np.maximum(wanted, 0)])
        beginning.append(mean_of_beginning(values))
        seen.append(wanted >= 0)
    lengths = [cell.soh.size for cell in cells]
    mask = np.concatenate(seen)
    mask.flags.writeable = False
    return PastWindows(
        features=freeze(np.concatenate(features)),
        seen=mask,
        beginning=freeze(np.concatenate(beginning)),
        cycle=freeze(np.concatenate([np.arange(1.0, length + 1.0) for length in lengths])),
        soh=freeze(np.concatenate([cell.soh for cell in cells])),
        cell=np.repeat([cell.name for cell in cells], lengths),
        protocol=np.repeat([cell.protocol for cell in cells], lengths),
    )


def blank_sampling_dependent(windows: PastWindows) -> PastWindows:
    """Return windows of all sixteen features with 0 for those of :data:`SAMPLING_DEPENDENT`.

    A model that learns from such windows does not look at the entropies, which a running pack does not have.
    """
    columns = feature_columns(SAMPLING_DEPENDENT)
    features, beginning = windows.features.copy(), windows.beginning.copy()
    features[..., columns] = 0.0
    beginning[:, columns] = 0.0
    return replace(windows, features=freeze(features), beginning=freeze(beginning))


def mean_of_beginning(values: Array) -> Array:
    """Return for each cycle the mean of the finite values of the first 30 cycles up to it, shape of ``values``.

    Parameters
    ----------
    values : ndarray of shape (n_cycles, n_inputs)
        Features of one cell, in order.
    """
    counted = np.isfinite(values)
    counted[BEGINNING:] = False
    total = np.cumsum(np.where(counted, values, 0.0), axis=0)
    number = np.cumsum(counted, axis=0)
    mean: Array = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean
