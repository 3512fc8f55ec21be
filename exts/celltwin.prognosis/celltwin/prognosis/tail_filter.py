"""A moving average of the decaying current, so that a sensor's noise does not end a window early."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["TailFilter"]

# Length of the average [s], and its longest buffer in samples.
SPAN, LONGEST = 60.0, 60


class TailFilter:
    """Average logarithm of current, time and voltage over the last minute, for every cell.

    A straight line (here: an exponential decay) is its own moving average at the mean time of the samples, so the
    average has no lag: it is only late.

    Parameters
    ----------
    n_cells : int
        Number of cells.
    """

    def __init__(self, n_cells: int) -> None:
        self._n_cells = n_cells
        self._length = 1
        self._samples = np.zeros((1, 3, n_cells))
        self._total = np.zeros((3, n_cells))
        self._count = np.zeros(n_cells, dtype=np.int64)
        self._newest = np.full((3, n_cells), np.nan)

    def set_period(self, period: float) -> None:
        """Fit the length of the average to the time between samples [s]; forgets all samples if it changes."""
        length = int(np.clip(round(SPAN / period), 1, LONGEST))
        if length != self._length:
            self._length = length
            self._samples = np.zeros((length, 3, self._n_cells))
            self.clear(np.arange(self._n_cells))

    def clear(self, cells: NDArray[np.intp]) -> None:
        """Forget the samples of some cells."""
        self._samples[:, :, cells] = 0.0
        self._total[:, cells] = 0.0
        self._count[cells] = 0
        self._newest[:, cells] = np.nan

    def newest(self, cells: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return mean time [s] and mean logarithm of the newest average; NaN where there is none."""
        return self._newest[0, cells], self._newest[1, cells]

    def add(
        self, cells: NDArray[np.intp], time: Array, level: Array, voltage: Array
    ) -> tuple[NDArray[np.intp], Array, Array, Array, Array, Array]:
        """Add one sample a cell.

        Parameters
        ----------
        cells : ndarray of int, shape (n,)
            Which cells.
        time, level, voltage : ndarray of shape (n,)
            Time [s], logarithm of the current, voltage [V].

        Returns
        -------
        tuple
            Cells that now have two averages, and of these: time of the last and this average [s], logarithm of
            the current at both, voltage at this one [V].
        """
        slot = self._count[cells] % self._length
        for row, values in enumerate((time, level, voltage)):
            self._total[row, cells] += values - self._samples[slot, row, cells]
            self._samples[slot, row, cells] = values
        self._count[cells] += 1
        full = cells[self._count[cells] >= self._length]
        average = self._total[:, full] / self._length
        before = self._newest[:, full]
        self._newest[:, full] = average
        both = np.isfinite(before[0])
        return full[both], before[0, both], average[0, both], before[1, both], average[1, both], average[2, both]
