r"""State of charge of each cell of a parallel group, from the currents that the cells share.

All cells of a group have one voltage, so a cell whose current is larger than its neighbours' is fuller, or has less
resistance; and over time it empties faster, unless it holds more. Two numbers a cell, its distance :math:`d` from
the group's state of charge and its relative capacity :math:`c`, follow

.. math::
    \dot d = -(I - c\,\bar I) / (3600\,Q), \qquad
    U'(z)\, d = r\,(I - \bar I)

and a Kalman filter of two states weighs the two equations.

References
----------
.. [1] G. L. Plett, "Efficient Battery Pack State Estimation using Bar-Delta Filtering", EVS24, 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array

__all__ = ["SharingState", "correct_sharing", "predict_sharing", "start_sharing"]

DISTANCE_SPREAD = 0.02  # of cells in parallel, before any current was measured [-]
CAPACITY_SPREAD = 0.05
RESISTANCE_SPREAD = 0.15
_MEMORY = 1800.0  # s over which the same wrong resistance counts as one measurement


@dataclass(frozen=True, kw_only=True, eq=False)
class SharingState:
    """Belief about the cells of all groups.

    Attributes
    ----------
    distance, capacity : ndarray of shape (n_cells,)
        Cell's minus group's state of charge [-]; cell's capacity over its group's mean, minus one [-].
    distance_variance, covariance, capacity_variance : ndarray of shape (n_cells,)
        Their covariance.
    """

    distance: Array
    capacity: Array
    distance_variance: Array
    covariance: Array
    capacity_variance: Array


def start_sharing(n_cells: int) -> SharingState:
    """Return the belief before any current was measured: all alike, within a spread."""
    return SharingState(
        distance=np.zeros(n_cells),
        capacity=np.zeros(n_cells),
        distance_variance=np.full(n_cells, DISTANCE_SPREAD**2),
        covariance=np.zeros(n_cells),
        capacity_variance=np.full(n_cells, CAPACITY_SPREAD**2),
    )


def predict_sharing(
    state: SharingState, current: Array, shared: Array, capacity: float, uncertainty: float, step: float
) -> SharingState:
    """Return the belief one step later, by counting each cell's charge against its group's.

    Parameters
    ----------
    state : SharingState
        Belief at the start of the step.
    current, shared : ndarray of shape (n_cells,)
        Mean current of each cell during the step, and of its group's cells [A], positive on discharge.
    capacity : float
        Nominal capacity of a cell [A.h].
    uncertainty : float
        Standard uncertainty of a cell's current, as an offset [A].
    step : float
        Length of the step [s].
    """
    per_second = 1.0 / (SECONDS_PER_HOUR * capacity)
    pull = shared * step * per_second  # derivative of the distance by relative capacity
    distance = state.distance - (current - (1.0 + state.capacity) * shared) * step * per_second
    offset = (uncertainty * per_second) ** 2 * SECONDS_PER_HOUR * step
    return SharingState(
        distance=np.clip(distance, -0.5, 0.5),
        capacity=state.capacity,
        distance_variance=state.distance_variance
        + 2.0 * pull * state.covariance
        + pull**2 * state.capacity_variance
        + offset,
        covariance=state.covariance + pull * state.capacity_variance,
        capacity_variance=state.capacity_variance,
    )


def correct_sharing(
    state: SharingState,
    current: Array,
    shared: Array,
    slope: Array,
    resistance: Array,
    uncertainty: float,
    step: float,
) -> SharingState:
    """Return the belief after the cells' currents were measured.

    Parameters
    ----------
    state : SharingState
        Belief before.
    current, shared : ndarray of shape (n_cells,)
        Current of each cell and mean of its group [A]; NaN in ``current`` where not measured.
    slope : ndarray of shape (n_cells,)
        Slope of the open-circuit voltage at the group's state of charge [V].
    resistance : ndarray of shape (n_cells,)
        Expected resistance of a cell [ohm].
    uncertainty : float
        Standard uncertainty of a cell's current [A].
    step : float
        Time since the last measurement [s].
    """
    usable = np.isfinite(current)
    current = np.where(usable, current, shared)
    residual = resistance * (current - shared) - slope * state.distance
    repeated = max(1.0, _MEMORY / step) if step > 0.0 else _MEMORY
    noise = resistance**2 * (uncertainty**2 + repeated * (RESISTANCE_SPREAD * current) ** 2)
    total = slope**2 * state.distance_variance + np.maximum(noise, 1e-10)
    weight = np.where(usable, slope / total, 0.0)
    gain, gain_capacity = weight * state.distance_variance, weight * state.covariance
    return SharingState(
        distance=np.clip(state.distance + gain * residual, -0.5, 0.5),
        capacity=np.clip(state.capacity + gain_capacity * residual, -0.5, 0.5),
        distance_variance=state.distance_variance - gain * slope * state.distance_variance,
        covariance=state.covariance - gain * slope * state.covariance,
        capacity_variance=state.capacity_variance - gain_capacity * slope * state.covariance,
    )
