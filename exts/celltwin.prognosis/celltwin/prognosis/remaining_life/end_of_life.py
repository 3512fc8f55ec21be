"""When a cell reaches its end of life: the one definition, and what is known of cells that have not reached it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from celltwin.core import Array, freeze

from ..cycles import CellCycles, CycleDataError

__all__ = ["MEDIAN_WINDOW", "Arrivals", "find_arrivals", "running_median", "typical_lives"]

# Cycles that the running median of SOH goes over: one period of the R2.5 protocol.
MEDIAN_WINDOW = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrivals:
    """The cycles at which cells arrive at levels of SOH.

    Attributes
    ----------
    cells : tuple of str
        Names of the cells.
    levels : ndarray of shape (n_levels,)
        SOH, falling.
    cycle : ndarray of shape (n_cells, n_levels)
        Cycle of arrival where the cell has arrived; otherwise its last cycle, which it has lived past: censored.
    arrived : ndarray of bool, shape (n_cells, n_levels)
        Whether it has.
    """

    cells: tuple[str, ...]
    levels: Array
    cycle: Array
    arrived: NDArray[np.bool_]

    def row(self, name: str) -> int:
        """Return the row of a cell; ValueError if there is none of this name."""
        return self.cells.index(name)


def running_median(values: Array, window: int = MEDIAN_WINDOW) -> Array:
    """Return the median of the newest ``window`` values at every place, shape (n,); the first value is repeated."""
    padded = np.concatenate([np.repeat(values[:1], window - 1), values])
    median: Array = np.median(sliding_window_view(padded, window), axis=-1)
    return median


def find_arrivals(cells: tuple[CellCycles, ...], levels: Array, *, window: int = MEDIAN_WINDOW) -> Arrivals:
    """Return when each cell falls to each level.

    A cell arrives at a level at the first cycle at which the running median of its newest ``window`` SOH values is
    below the level after it has been at or above it. The median takes out single outliers and the five-cycle
    period of R2.5; "falls" leaves out a cell's first cycles, in which capacity still rises. A cell that was never
    at or above the level has arrived at its first cycle. The definition looks at the past only, so that a running
    pack finds the same cycle.

    Parameters
    ----------
    cells : tuple of CellCycles
        The cells.
    levels : ndarray of shape (n_levels,)
        SOH, in (0, 1.2).
    window : int
        Cycles of the running median.

    Raises
    ------
    CycleDataError
        If there is no cell, or a level is not between 0 and 1.2.
    """
    levels = np.sort(np.asarray(levels, dtype=np.float64))[::-1]
    if not cells or not levels.size or levels[0] >= 1.2 or levels[-1] <= 0.0:
        raise CycleDataError(
            f"{len(cells)} cells and levels {levels.tolist()} of SOH define no end of life",
            remedy="Choose at least one cell, and an end of life as a fraction of nominal capacity such as 0.85",
        )
    cycle = np.empty((len(cells), levels.size))
    arrived = np.empty(cycle.shape, dtype=np.bool_)
    for index, cell in enumerate(cells):
        below = running_median(cell.soh, window)[:, np.newaxis] < levels
        fallen = below & (np.cumsum(~below, axis=0) > 0)
        fallen[0] |= below.all(axis=0)
        arrived[index] = fallen.any(axis=0)
        cycle[index] = np.where(arrived[index], fallen.argmax(axis=0) + 1, cell.soh.size)
    arrived.flags.writeable = False
    return Arrivals(
        cells=tuple(cell.name for cell in cells), levels=freeze(levels), cycle=freeze(cycle), arrived=arrived
    )


def typical_lives(lives: Array, arrived: NDArray[np.bool_]) -> float:
    """Return the median life of some cells of which not all have died, by Kaplan and Meier's estimate.

    Parameters
    ----------
    lives : ndarray of shape (n,)
        Life of each cell [cycles]; of those that are censored, how long they have been seen.
    arrived : ndarray of bool, shape (n,)
        False where censored.

    Returns
    -------
    float
        Median life, between the two lives around it; the longest observation where fewer than half have died.

    References
    ----------
    .. [1] E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", Journal of the American
       Statistical Association 53 (1958).
    """
    order = np.lexsort((~arrived, lives))
    at_risk = np.arange(lives.size, 0, -1)
    surviving = np.cumprod(np.where(arrived[order], 1.0 - 1.0 / at_risk, 1.0))
    dead = lives[order]
    half = np.flatnonzero(surviving <= 0.5 + 1e-9)
    if not half.size:
        return float(dead[-1])
    first = half[0]
    later = half[surviving[half] < 0.5 - 1e-9]
    if surviving[first] > 0.5 - 1e-9 and later.size:  # the curve rests at one half: the middle of the step
        return float((dead[first] + dead[later[0]]) / 2.0)
    return float(dead[first])
