"""The open-circuit voltage as a table that a filter can evaluate for every group at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from celltwin.core import Array, ModelError, freeze, require_shape

__all__ = ["OcvTable"]

_POINTS = 401
_SMOOTHING = 0.01  # half width of the slope's window [-]


@dataclass(frozen=True, kw_only=True, eq=False)
class OcvTable:
    """Open-circuit voltage and its slope on a uniform grid of state of charge.

    Attributes
    ----------
    voltage : ndarray of shape (n_points,)
        Open-circuit voltage [V] at ``linspace(0, 1, n_points)``, strictly increasing.
    slope : ndarray of shape (n_points,)
        Derivative with respect to state of charge [V], positive.
    provenance : str
        Where the curve comes from.

    Raises
    ------
    ModelError
        If the curve does not increase or holds a value that is not finite.
    """

    voltage: Array
    slope: Array
    provenance: str

    def __post_init__(self) -> None:
        """Check that the curve can be inverted."""
        require_shape("OcvTable.slope", self.slope, self.voltage.shape)
        if not np.all(np.isfinite(self.voltage)) or np.any(np.diff(self.voltage) <= 0.0):
            raise ModelError(
                "the open-circuit voltage does not rise with state of charge",
                where=self.provenance,
                remedy="Give a parameter set whose open-circuit voltage increases from empty to full",
            )
        object.__setattr__(self, "voltage", freeze(self.voltage))
        object.__setattr__(self, "slope", freeze(self.slope))

    @classmethod
    def from_samples(cls, soc: Array, voltage: Array, provenance: str) -> OcvTable:
        """Resample a curve on the uniform grid and take its slope over a window of 2 % of charge.

        Parameters
        ----------
        soc : ndarray of shape (n,)
            State of charge [-], increasing.
        voltage : ndarray of shape (n,)
            Open-circuit voltage [V].
        provenance : str
            Where the curve comes from.
        """
        grid = np.linspace(0.0, 1.0, _POINTS)
        resampled = np.interp(grid, soc, voltage)
        high, low = np.minimum(grid + _SMOOTHING, 1.0), np.maximum(grid - _SMOOTHING, 0.0)
        slope = (np.interp(high, grid, resampled) - np.interp(low, grid, resampled)) / (high - low)
        return cls(voltage=resampled, slope=slope, provenance=provenance)

    @cached_property
    def typical_slope(self) -> float:
        """Median slope of the curve [V]."""
        return float(np.median(self.slope))

    def evaluate(self, soc: Array) -> tuple[Array, Array]:
        """Return open-circuit voltage and slope [V, V]; straight lines continue the curve outside [0, 1].

        Parameters
        ----------
        soc : ndarray of shape (n,)
            State of charge [-].
        """
        last = self.voltage.size - 1
        place = np.clip(soc, 0.0, 1.0) * last
        index = np.minimum(place.astype(np.int64), last - 1)
        share = place - index
        slope = self.slope[index] + share * (self.slope[index + 1] - self.slope[index])
        voltage = self.voltage[index] + share * (self.voltage[index + 1] - self.voltage[index])
        return voltage + slope * (soc - place / last), slope

    def invert(self, voltage: Array) -> Array:
        """Return the state of charge [-] of an open-circuit voltage [V], kept within [0, 1]."""
        grid = np.linspace(0.0, 1.0, self.voltage.size)
        return np.interp(voltage, self.voltage, grid)
