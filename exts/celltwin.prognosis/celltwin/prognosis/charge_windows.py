"""Running integrals of a signal over a window, exact where the signal is linear between samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["WindowIntegrals", "segment_powers"]


def segment_powers(first: Array, last: Array, duration: Array) -> Array:
    r"""Integrate the first four powers of a linear signal over a stretch of time.

    .. math:: \int_0^h u^k\,dt = \frac{h}{k+1} \sum_{j=0}^{k} u_0^{j} u_1^{k-j}

    Parameters
    ----------
    first, last : ndarray of shape (n,)
        Signal at the ends.
    duration : ndarray of shape (n,)
        Length of the stretch [s].

    Returns
    -------
    ndarray of shape (4, n)
        Integrals of the powers 1 to 4.
    """
    powers = np.empty((4, first.size))
    total = np.ones_like(first)
    power = np.ones_like(first)
    for k in range(4):
        power = power * first
        total = total * last + power
        powers[k] = total * duration / (k + 2)
    return powers


class WindowIntegrals:
    """Duration, charge and four moments of one signal, for every cell, since the window opened.

    Parameters
    ----------
    n_cells : int
        Number of cells.
    centre : float
        Value that the signal is taken relative to, so that the moments keep their digits.
    """

    def __init__(self, n_cells: int, centre: float) -> None:
        self.centre = centre
        self.duration = np.zeros(n_cells)  # [s]
        self.charge = np.zeros(n_cells)  # [A.s]
        self.powers = np.zeros((4, n_cells))
        self.slope_duration = np.zeros(n_cells)  # [s] spent in the chord of the slope
        self.extrapolated = np.zeros(n_cells)  # share of the window that was not seen

    def clear(self, cells: NDArray[np.intp]) -> None:
        """Open the window anew."""
        for values in (self.duration, self.charge, self.slope_duration, self.extrapolated):
            values[cells] = 0.0
        self.powers[:, cells] = 0.0

    def add(
        self, cells: NDArray[np.intp], first: Array, last: Array, duration: Array, charge: Array, chord: Array
    ) -> None:
        """Add one stretch.

        Parameters
        ----------
        cells : ndarray of int, shape (n,)
            Which cells.
        first, last : ndarray of shape (n,)
            Signal at the ends of the stretch.
        duration, charge : ndarray of shape (n,)
            Its length [s] and the charge that went in [A.s].
        chord : ndarray of shape (n,)
            How much of it belongs to the chord of the slope [s].
        """
        self.duration[cells] += duration
        self.charge[cells] += charge
        self.slope_duration[cells] += chord
        self.powers[:, cells] += segment_powers(first - self.centre, last - self.centre, duration)
