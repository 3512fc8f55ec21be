"""What a sensor on a can shows while the cell's mean temperature rises."""

from __future__ import annotations

import math

import numpy as np

from celltwin.core import Array

__all__ = ["surface_temperature"]


def surface_temperature(
    time: Array, mean: Array, surroundings: Array, *, first: float, gap: float, lag: float
) -> Array:
    """Return the temperature of a cell's surface [K], shape (n,), from the mean of its volume.

    A cell that is cooled from outside is warmer within: for a cylinder of radius R with heat spread evenly, the mean
    lies above the surface by h R / (4 k) of the surface's own rise above the surroundings. The surface therefore
    tends to the surroundings plus what is left of the mean's rise, and follows it with a first-order lag, for the can
    is heated through the winding. Between rows, what it tends to is taken as straight; the lag is then exact.

    Parameters
    ----------
    time : ndarray of shape (n,)
        Increasing, from 0 on [s].
    mean, surroundings : ndarray of shape (n,)
        Temperatures of the volume and of the surroundings [K].
    first : float
        Temperature of both at time 0 [K].
    gap : float
        Share of the mean's rise above the surroundings that the surface lacks when nothing changes.
    lag : float
        Time constant [s]; 0 for a surface that follows at once.

    References
    ----------
    .. [1] S. J. Drake et al., J. Power Sources 252 (2014) 298.
    """
    aim = mean - gap * (mean - surroundings)
    if lag <= 0.0:
        return np.asarray(aim)
    found = np.empty_like(aim)
    before, value, target = 0.0, first, first
    for row, (at, wanted) in enumerate(zip(time.tolist(), aim.tolist(), strict=True)):
        step = at - before
        if step > 0.0:
            behind = lag * (wanted - target) / step
            value = wanted - behind + (value - target + behind) * math.exp(-step / lag)
        found[row] = value
        before, target = at, wanted
    return found
