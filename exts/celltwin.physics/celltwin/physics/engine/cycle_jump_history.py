"""What years of cycling did to cells: samples at the ends of cycles, simulated or jumped over."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, freeze

__all__ = ["CycleHistory", "CycleProgress", "append_cycle", "empty_history"]


@dataclass(frozen=True, kw_only=True)
class CycleProgress:
    """How far a run of cycles has come.

    Attributes
    ----------
    cycle, cycles : int
        Cycles done and asked for.
    simulated : int
        Cycles that were simulated to get there, those of refused jumps included.
    jump : int
        Cycles of the last jump; 0 before the first.
    error : float
        Estimated error of the last jump over its change [-].
    lowest_capacity : float
        Capacity of the worst cell over that of its new state [-].
    """

    cycle: int
    cycles: int
    simulated: int
    jump: int
    error: float
    lowest_capacity: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleHistory:
    """Cells at the ends of cycles; cells in pack order.

    Attributes
    ----------
    cycle : ndarray of int, shape (n_samples,)
        Cycles done; 0 for the beginning.
    time : ndarray of shape (n_samples,)
        [s].
    jump : ndarray of int, shape (n_samples,)
        Cycles that were jumped over since the sample before; 0 where it was simulated.
    error : ndarray of shape (n_samples,)
        Estimated error of that jump over its change, of the worst cell [-].
    simulated : ndarray of int, shape (n_samples,)
        Cycles simulated so far, those of refused jumps included.
    capacity : ndarray of shape (n_samples, n_cells)
        Between the open-circuit voltage limits [A.h].
    resistance : ndarray of shape (n_samples, n_cells)
        That ageing put into the cell [ohm].
    sei_lithium, plated_lithium, dead_lithium, lost_lithium : ndarray of shape (n_samples, n_cells)
        Lithium in the film beyond the new cell's, plated, dead, and within lost active material [A.h].
    active_negative, active_positive : ndarray of shape (n_samples, n_cells)
        Active material over that of the new cell [-].
    """

    cycle: NDArray[np.int64]
    time: Array
    jump: NDArray[np.int64]
    error: Array
    simulated: NDArray[np.int64]
    capacity: Array
    resistance: Array
    sei_lithium: Array
    plated_lithium: Array
    dead_lithium: Array
    lost_lithium: Array
    active_negative: Array
    active_positive: Array

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for entry in fields(self):
            object.__setattr__(self, entry.name, freeze(getattr(self, entry.name)))

    @property
    def lithium_loss(self) -> Array:
        """Loss of lithium inventory, of shape (n_samples, n_cells) [A.h]."""
        return self.sei_lithium + self.plated_lithium + self.dead_lithium + self.lost_lithium

    @property
    def acceleration(self) -> float:
        """Cycles done for each one simulated [-]."""
        return float(self.cycle[-1] / max(1, self.simulated[-1]))


def empty_history(n_cells: int) -> CycleHistory:
    """Return a history without samples."""
    cells = np.empty((0, n_cells))
    return CycleHistory(
        cycle=np.empty(0, dtype=np.int64),
        time=np.empty(0),
        jump=np.empty(0, dtype=np.int64),
        error=np.empty(0),
        simulated=np.empty(0, dtype=np.int64),
        capacity=cells,
        resistance=cells,
        sei_lithium=cells,
        plated_lithium=cells,
        dead_lithium=cells,
        lost_lithium=cells,
        active_negative=cells,
        active_positive=cells,
    )


def append_cycle(history: CycleHistory, **sample: Array | float) -> CycleHistory:
    """Return a history with one more sample."""
    joined = {}
    for entry in fields(CycleHistory):
        before = getattr(history, entry.name)
        joined[entry.name] = np.concatenate([before, np.asarray(sample[entry.name], dtype=before.dtype)[np.newaxis]])
    return CycleHistory(**joined)
