"""The published, leaky inputs of PINN4SOH: for comparison with published figures only, never for a claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from celltwin.core import Array

from .cycles import CellCycles, CycleDataError
from .past_windows import PastWindows, window_cycles

__all__ = ["leak_whole_life"]

OUTLIER = 3.0  # standard deviations of a cell's own column
LIFE = 400.0  # cycles that a whole life is shown as


def leak_whole_life(cells: tuple[CellCycles, ...], *, window: int) -> PastWindows:
    """Return windows whose inputs tell how far a cell is from its last cycle.

    As published: cycles with a value that is not finite, or that lies more than three standard deviations from
    the mean of the cell's own column, capacity included, are dropped; every feature and the number of the cycle
    are then scaled to [-1, 1] between their extremes over the cell's whole life, its future included. Here the
    cycle runs from 1 to 401 whatever the cell's life, so that the last cycle of every cell looks like the last.

    Raises
    ------
    CycleDataError
        If nothing is left of a cell.

    References
    ----------
    .. [1] F. Wang et al., "Physics-informed neural network for lithium-ion battery degradation stable modeling and
       prognosis", Nature Communications 15, 4332 (2024): dataloader.py of the repository wang-fujin/PINN4SOH.
    """
    leaky, ages = [], []
    for cell in cells:
        rows = np.column_stack([cell.features, cell.soh])
        numbers = np.flatnonzero(np.isfinite(rows).all(axis=1))
        rows = rows[numbers]
        if len(rows):
            within = (np.abs(rows - rows.mean(axis=0)) <= OUTLIER * rows.std(axis=0)).all(axis=1)
            rows, numbers = rows[within], numbers[within]
        if len(rows) < 2:
            raise CycleDataError(
                "fewer than two cycles are left without outliers", where=cell.name, remedy="Use --protocol honest"
            )
        leaky.append(replace(cell, features=2.0 * _share(rows[:, :-1]) - 1.0, soh=rows[:, -1]))
        ages.append(1.0 + LIFE * _share(numbers.astype(np.float64)[:, np.newaxis])[:, 0])
    return replace(window_cycles(tuple(leaky), window=window), cycle=np.concatenate(ages))


def _share(values: Array) -> Array:
    """Return where each value lies between the extremes of its column, in [0, 1]; 0 where they are one."""
    low, high = values.min(axis=0), values.max(axis=0)
    share: Array = (values - low) / np.where(high > low, high - low, 1.0)
    return share
