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
        self._length = 0
        self._samples = np.empty((0, 3, n_cells))
        self._count = np.zeros(n_cells, dtype=np.int64)
        self._newest = np.full((3, n_cells), np.nan)
        self._last_time = np.full(n_cells, np.nan)

    def clear(self, cells: NDArray[np.intp]) -> None:
        """Forget the samples of some cells."""
        self._count[cells] = 0
        self._newest[:, cells] = np.nan
        self._last_time[cells] = np.nan

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
        if not self._length:
            step = np.nanmedian(time - self._last_time[cells]) if np.isfinite(self._last_time[cells]).any() else np.nan
            self._last_time[cells] = time
            if np.isnan(step):
                empty = np.empty(0)
                return np.empty(0, dtype=np.intp), empty, empty, empty, empty, empty
            self._length = int(np.clip(round(SPAN / step), 1, LONGEST))
            self._samples = np.zeros((self._length, 3, self._n_cells))
        self._samples[self._count[cells] % self._length, :, cells] = np.stack([time, level, voltage], axis=1)
        self._count[cells] += 1
        full = cells[self._count[cells] >= self._length]
        average = self._samples[:, :, full].mean(axis=0)
        before = self._newest[:, full]
        self._newest[:, full] = average
        both = np.isfinite(before[0])
        return full[both], before[0, both], average[0, both], before[1, both], average[1, both], average[2, both]
