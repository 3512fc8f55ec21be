r"""Extended Kalman filter for the state of charge of every series group at once.

State of one group, with its cells taken as equal and current positive on discharge:

.. math::
    \dot z = -\kappa I / (3600\,Q), \qquad
    \dot v_1 = (\rho r I - v_1) / \tau, \qquad
    V = U(z) + b - v_1 - r I - \max(U'(z) - \bar{U}', 0)\, \sigma_s \frac{I}{Q} s

Two states keep the filter honest, because measuring longer does not average them away: :math:`b`, the error of the
open-circuit voltage model, and :math:`s`, by how many times :math:`\sigma_s` the surface of the particles runs further
ahead of their mean under load than the model says; it counts where the curve is steeper than usual, near empty, and
elsewhere is part of the resistance. Both are
Gauss-Markov processes over state of charge, and over the logarithm of the slope: an error found on one part of the
curve says little about another. Where the curve is flat, they turn into uncertainty of the state of charge.
The currents in the second and third equation are multiplied by how much larger the resistance is at the present
temperature than at 25 °C.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import GAS_CONSTANT, SECONDS_PER_HOUR, Array

from .ocv_table import OcvTable

__all__ = [
    "FilterSettings",
    "GroupState",
    "correct_groups",
    "find_loading",
    "predict_groups",
    "start_groups",
    "widen_groups",
]

SOC, POLARISATION, OCV_ERROR, RESISTANCE, CAPACITY_FACTOR, SURFACE_ERROR = range(6)
_SIZE = 6
_REFERENCE_TEMPERATURE = 298.15  # K
_NO_KNOWLEDGE = 0.3  # standard deviation of a uniform state of charge [-]
_LARGEST_RESIDUAL = 3.0  # residuals beyond this many standard deviations weigh less (Huber)
_WIDEST = 25.0  # factor on the covariance at a time
_VOLTAGE_NOISE = 5.0e-4  # of converters and of sampling a moment apart [V]
_RESISTANCE_BOUNDS = (0.1, 20.0)  # times the prior
_FACTOR_BOUNDS = (0.6, 3.0)


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """What the filter takes for granted about the cell and its own model.

    Attributes
    ----------
    capacity : float
        Nominal capacity of one cell [A.h].
    resistance : float
        Expected resistance of one cell with its connection at 25 °C, within seconds of a change of current [ohm].
    resistance_spread : float
        Relative standard deviation of the resistance before anything was measured, and its change over 30 % of
        charge.
    capacity_spread : float
        Relative standard deviation of capacity before anything was measured.
    polarisation_ratio : float
        Slow resistance, as a multiple of the fast one.
    activation_energy : float
        Activation energy of the resistance [J/mol].
    polarisation_time : float
        Time constant of the slow resistance [s].
    ocv_uncertainty : float
        Standard uncertainty of the open-circuit voltage model, hysteresis included [V].
    soc_uncertainty : float
        Standard uncertainty of that model along the axis of state of charge [-]: no estimate claims less.
    surface_uncertainty : float
        Standard uncertainty of how far the surface of the particles runs ahead of their mean at 1C [-].
    ocv_correlation : float
        Change of state of charge over which the error of that model forgets itself [-].
    relaxation_uncertainty : float
        Standard uncertainty of a voltage taken for relaxed [V].
    """

    capacity: float
    resistance: float
    resistance_spread: float = 0.4
    capacity_spread: float = 0.1
    polarisation_ratio: float = 0.2
    activation_energy: float = 25.0e3
    polarisation_time: float = 120.0
    ocv_uncertainty: float = 0.01
    soc_uncertainty: float = 0.01
    surface_uncertainty: float = 0.04
    ocv_correlation: float = 0.2
    relaxation_uncertainty: float = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupState:
    """Belief about every group.

    Attributes
    ----------
    mean : ndarray of shape (n_groups, 6)
        State of charge [-], polarisation voltage [V], error of the open-circuit voltage [V], resistance of one cell at
        25 °C [ohm], nominal over actual capacity [-], error of the surface's lead in standard deviations [-].
    covariance : ndarray of shape (n_groups, 6, 6)
        Covariance of the above.
    surprise : ndarray of shape (n_groups,)
        Residual of the last voltage over its expected standard deviation [-], magnitude.
    slope : ndarray of shape (n_groups,)
        Slope of the open-circuit voltage at the last prediction [V].
    """

    mean: Array
    covariance: Array
    surprise: Array
    slope: Array

    @property
    def soc(self) -> Array:
        """State of charge [-], shape (n_groups,)."""
        return self.mean[:, SOC]

    def deviation(self, index: int) -> Array:
        """Return the standard deviation of one component, shape (n_groups,)."""
        deviation: Array = np.sqrt(np.maximum(self.covariance[:, index, index], 0.0))
        return deviation

    def replaced(self, where: NDArray[np.bool_], other: GroupState) -> GroupState:
        """Return the belief with some groups taken from another one."""
        return GroupState(
            mean=np.where(where[:, np.newaxis], other.mean, self.mean),
            covariance=np.where(where[:, np.newaxis, np.newaxis], other.covariance, self.covariance),
            surprise=np.where(where, other.surprise, self.surprise),
            slope=np.where(where, other.slope, self.slope),
        )


def find_loading(settings: FilterSettings, temperature: Array) -> Array:
    """Return the resistance at a temperature [K] over that at 25 °C [-], by Arrhenius' law."""
    exponent = settings.activation_energy / GAS_CONSTANT * (1.0 / temperature - 1.0 / _REFERENCE_TEMPERATURE)
    loading: Array = np.exp(np.clip(exponent, -1.5, 2.5))
    return loading


def start_groups(
    settings: FilterSettings, ocv: OcvTable, voltage: Array, current: Array, voltage_uncertainty: Array
) -> GroupState:
    """Return the belief after one voltage, without any history.

    At rest the open-circuit voltage gives the state of charge; under load the unknown resistance makes it wide.

    Parameters
    ----------
    settings : FilterSettings
        What is known of the cell.
    ocv : OcvTable
        Open-circuit voltage.
    voltage : ndarray of shape (n_groups,)
        Voltage of each group [V]; NaN gives a state of charge of one half, plus or minus 0.3.
    current : ndarray of shape (n_groups,)
        Current of one cell, times the loading of :func:`predict_groups` [A], positive on discharge.
    voltage_uncertainty : ndarray of shape (n_groups,)
        Standard uncertainty of the voltage [V].
    """
    n_groups = voltage.size
    known = np.isfinite(voltage)
    polarisation = 0.5 * settings.polarisation_ratio * settings.resistance * current
    open_circuit = voltage + settings.resistance * current + polarisation
    mean = np.zeros((n_groups, _SIZE))
    mean[:, SOC] = np.where(known, ocv.invert(np.where(known, open_circuit, ocv.voltage[0])), 0.5)
    mean[:, POLARISATION] = polarisation
    mean[:, RESISTANCE] = settings.resistance
    mean[:, CAPACITY_FACTOR] = 1.0
    covariance = np.zeros((n_groups, _SIZE, _SIZE))
    covariance[:, SOC, SOC] = _NO_KNOWLEDGE**2
    covariance[:, POLARISATION, POLARISATION] = polarisation**2 + settings.relaxation_uncertainty**2
    covariance[:, OCV_ERROR, OCV_ERROR] = settings.ocv_uncertainty**2
    covariance[:, RESISTANCE, RESISTANCE] = (settings.resistance_spread * settings.resistance) ** 2
    covariance[:, CAPACITY_FACTOR, CAPACITY_FACTOR] = settings.capacity_spread**2
    covariance[:, SURFACE_ERROR, SURFACE_ERROR] = 1.0
    slope = ocv.evaluate(mean[:, SOC])[1]
    blank = GroupState(mean=mean, covariance=covariance, surprise=np.zeros(n_groups), slope=slope)
    return correct_groups(blank, settings, ocv, voltage, current, voltage_uncertainty)


def widen_groups(state: GroupState, where: NDArray[np.bool_]) -> GroupState:
    """Return the belief with less certainty in groups whose voltages go on contradicting it.

    Parameters
    ----------
    state : GroupState
        Belief that the last voltages surprised.
    where : ndarray of bool, shape (n_groups,)
        Groups that have been surprised several times in a row.
    """
    factor = np.where(where, np.clip((state.surprise / _LARGEST_RESIDUAL) ** 2, 1.0, _WIDEST), 1.0)
    return replace(state, covariance=state.covariance * factor[:, np.newaxis, np.newaxis])


def predict_groups(
    state: GroupState,
    settings: FilterSettings,
    ocv: OcvTable,
    current: Array,
    current_uncertainty: Array,
    step: float,
    loading: Array | float = 1.0,
) -> GroupState:
    """Return the belief one step later, by counting charge.

    Parameters
    ----------
    state : GroupState
        Belief at the start of the step.
    settings : FilterSettings
        What is known of the cell.
    ocv : OcvTable
        Open-circuit voltage.
    current : ndarray of shape (n_groups,)
        Mean current of one cell during the step [A], positive on discharge.
    current_uncertainty : ndarray of shape (n_groups,)
        Its standard uncertainty [A], constant within an hour: an offset, not noise.
    step : float
        Length of the step [s].
    loading : ndarray of shape (n_groups,) or float
        Resistance at the present temperature over that at 25 °C [-].
    """
    per_second = 1.0 / (SECONDS_PER_HOUR * settings.capacity)  # [1/(A.s)]
    fading = np.exp(-step / settings.polarisation_time)
    drive = (1.0 - fading) * settings.polarisation_ratio * current * loading  # [A]
    mean, covariance = state.mean.copy(), state.covariance
    moved = current * step * per_second
    drawn = moved * mean[:, CAPACITY_FACTOR]
    mean[:, SOC] = np.clip(mean[:, SOC] - drawn, -0.1, 1.1)
    slope = ocv.evaluate(mean[:, SOC])[1]
    kept = np.exp(-np.abs(drawn) / settings.ocv_correlation - np.abs(np.log(slope / state.slope)))
    mean[:, POLARISATION] = fading * mean[:, POLARISATION] + drive * mean[:, RESISTANCE]
    mean[:, OCV_ERROR] *= kept
    mean[:, SURFACE_ERROR] *= kept
    transition = np.zeros_like(covariance)
    transition[:, SOC, SOC] = 1.0
    transition[:, SOC, CAPACITY_FACTOR] = -moved
    transition[:, POLARISATION, POLARISATION] = fading
    transition[:, POLARISATION, RESISTANCE] = drive
    transition[:, OCV_ERROR, OCV_ERROR] = kept
    transition[:, SURFACE_ERROR, SURFACE_ERROR] = kept
    transition[:, RESISTANCE, RESISTANCE] = 1.0
    transition[:, CAPACITY_FACTOR, CAPACITY_FACTOR] = 1.0
    covariance = transition @ covariance @ transition.transpose(0, 2, 1)
    slow = 0.5 * settings.polarisation_ratio * settings.resistance * current * loading  # half is model error
    covariance[:, SOC, SOC] += (current_uncertainty * per_second) ** 2 * SECONDS_PER_HOUR * step
    covariance[:, POLARISATION, POLARISATION] += slow**2 * (1.0 - fading**2)
    covariance[:, OCV_ERROR, OCV_ERROR] += settings.ocv_uncertainty**2 * (1.0 - kept**2)
    covariance[:, SURFACE_ERROR, SURFACE_ERROR] += 1.0 - kept**2
    covariance[:, RESISTANCE, RESISTANCE] += (settings.resistance_spread * settings.resistance) ** 2 * (
        np.abs(drawn) / 0.3
    )
    return GroupState(mean=mean, covariance=covariance, surprise=state.surprise, slope=slope)


def correct_groups(
    state: GroupState,
    settings: FilterSettings,
    ocv: OcvTable,
    voltage: Array,
    current: Array,
    voltage_uncertainty: Array,
) -> GroupState:
    """Return the belief after a voltage of each group; groups without one keep theirs.

    Parameters
    ----------
    state : GroupState
        Belief before.
    settings : FilterSettings
        What is known of the cell.
    ocv : OcvTable
        Open-circuit voltage.
    voltage : ndarray of shape (n_groups,)
        Voltage of each group [V]; NaN where there is none to use.
    current : ndarray of shape (n_groups,)
        Current of one cell at that moment, times the loading of :func:`predict_groups` [A], positive on discharge; NaN
        where unknown.
    voltage_uncertainty : ndarray of shape (n_groups,)
        Standard uncertainty of the voltage [V].

    Notes
    -----
    A residual beyond three standard deviations has its weight reduced, so that one wrong voltage cannot carry
    the belief away, while a lasting one still wins.
    """
    usable = np.isfinite(voltage) & np.isfinite(current)
    current = np.where(usable, current, 0.0)
    mean = state.mean
    open_circuit, slope = ocv.evaluate(mean[:, SOC])
    steepness = np.maximum(slope - ocv.typical_slope, 0.0)
    lead = settings.surface_uncertainty * steepness * current / settings.capacity
    expected = (
        open_circuit
        + mean[:, OCV_ERROR]
        - mean[:, POLARISATION]
        - mean[:, RESISTANCE] * current
        - lead * mean[:, SURFACE_ERROR]
    )
    residual = np.where(usable, voltage - expected, 0.0)
    sensitivity = np.zeros_like(mean)
    sensitivity[:, SOC] = slope
    sensitivity[:, POLARISATION] = -1.0
    sensitivity[:, OCV_ERROR] = 1.0
    sensitivity[:, RESISTANCE] = -current
    sensitivity[:, SURFACE_ERROR] = -lead
    shared = np.einsum("nij,nj->ni", state.covariance, sensitivity)
    known = np.einsum("ni,ni->n", shared, sensitivity)
    noise = voltage_uncertainty**2 + _VOLTAGE_NOISE**2
    total = np.maximum(known + noise, (residual / _LARGEST_RESIDUAL) ** 2)
    gain = np.where(usable[:, np.newaxis], shared / total[:, np.newaxis], 0.0)
    moved = mean + gain * residual[:, np.newaxis]
    moved[:, SOC] = np.clip(moved[:, SOC], -0.1, 1.1)
    low, high = (bound * settings.resistance for bound in _RESISTANCE_BOUNDS)
    moved[:, RESISTANCE] = np.clip(moved[:, RESISTANCE], low, high)
    moved[:, CAPACITY_FACTOR] = np.clip(moved[:, CAPACITY_FACTOR], *_FACTOR_BOUNDS)
    covariance = state.covariance - gain[:, :, np.newaxis] * shared[:, np.newaxis, :]
    return replace(
        state,
        mean=moved,
        covariance=0.5 * (covariance + covariance.transpose(0, 2, 1)),
        surprise=np.where(usable, np.abs(residual) / np.sqrt(known + noise), state.surprise),
    )
