"""Strain gauges on cans: what one gauge shows over state of charge, learnt from one slow discharge.

A gauge sees the wall under it bend as well as stretch: two cells of one type read differently, so that a reading is
predicted from the gauge's own calibration, not from the mean hoop strain of a cell type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, ModelError, ShapeError, freeze

__all__ = ["StrainGauge", "calibrate_gauge", "read_gauge"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StrainGauge:
    """The calibration of one gauge.

    Attributes
    ----------
    stoichiometry, strain : ndarray of shape (n_nodes,)
        Mean stoichiometry of the negative electrode, rising [-], and what the gauge shows there [-].
    reference_temperature : ndarray of shape (n_nodes,)
        Temperature at which it was calibrated [K].
    expansion : float
        Reading for each kelvin above that [1/K]; 0 for a gauge compensated for the can's steel.
    """

    stoichiometry: Array
    strain: Array
    reference_temperature: Array
    expansion: float = 0.0

    def __post_init__(self) -> None:
        """Make the nodes read-only."""
        for name in ("stoichiometry", "strain", "reference_temperature"):
            object.__setattr__(self, name, freeze(np.asarray(getattr(self, name), dtype=np.float64)))


def calibrate_gauge(
    stoichiometry: Array, strain: Array, temperature: Array, *, nodes: int = 61, expansion: float = 0.0
) -> StrainGauge:
    """Return a gauge's calibration: means of its reading in equal steps of stoichiometry.

    Parameters
    ----------
    stoichiometry : ndarray of shape (n_samples,)
        Mean stoichiometry of the negative electrode along a slow charge or discharge [-].
    strain, temperature : ndarray of shape (n_samples,)
        Reading [-] and temperature [K].
    nodes : int
        Points of the calibration.
    expansion : float
        As in :class:`StrainGauge`.

    Raises
    ------
    ShapeError
        If the samples do not fit each other.
    ModelError
        If there are fewer samples than nodes, or a step without any.
    """
    place, reading, warmth = (np.asarray(values, dtype=np.float64) for values in (stoichiometry, strain, temperature))
    if not place.shape == reading.shape == warmth.shape or place.ndim != 1:
        raise ShapeError(f"samples {place.shape}, {reading.shape} and {warmth.shape} do not fit each other")
    edges = np.linspace(place.min(), place.max(), nodes + 1)
    step = np.clip(np.searchsorted(edges, place, side="right") - 1, 0, nodes - 1)
    count = np.bincount(step, minlength=nodes)
    if count.min() == 0:
        raise ModelError(
            f"{int((count == 0).sum())} of {nodes} steps of stoichiometry have no sample",
            remedy="Calibrate with a slow discharge of more samples, or ask for fewer nodes",
        )
    means = [np.bincount(step, weights=values, minlength=nodes) / count for values in (place, reading, warmth)]
    return StrainGauge(stoichiometry=means[0], strain=means[1], reference_temperature=means[2], expansion=expansion)


def read_gauge(gauge: StrainGauge, stoichiometry: Array, temperature: Array) -> Array:
    """Return what a gauge will show [-].

    Parameters
    ----------
    gauge : StrainGauge
        Its calibration.
    stoichiometry, temperature : ndarray of shape (n_steps,)
        Mean stoichiometry of the negative electrode [-] and temperature [K].
    """
    place = np.asarray(stoichiometry, dtype=np.float64)
    warmer = np.asarray(temperature, dtype=np.float64) - np.interp(
        place, gauge.stoichiometry, gauge.reference_temperature
    )
    return np.asarray(np.interp(place, gauge.stoichiometry, gauge.strain) + gauge.expansion * warmer)
