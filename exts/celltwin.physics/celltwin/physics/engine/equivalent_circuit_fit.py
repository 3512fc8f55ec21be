"""Equivalent circuits from pulses: time, current and voltage in, two resistor-capacitor pairs out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, ModelError, ShapeError

from .cell_model import EquivalentCircuitModel, ThermalModel
from .property_fit import PropertyScale, build_cubic_table, evaluate_cubic_table, evaluate_temperature_factor

__all__ = ["CircuitFit", "filter_current", "fit_equivalent_circuit", "hash_circuit", "simulate_equivalent_circuit"]

_SMALLEST_RESISTANCE = 1e-6  # [ohm]
_SMOOTHNESS = 0.1  # of the fitted curves; 0 leaves knots that were not visited free
_INTERVALS = 256
_SEARCH = 7  # time constants a decade, in the first look


@dataclass(frozen=True, kw_only=True, eq=False)
class CircuitFit:
    """A fitted circuit and how well it follows the measurement.

    Attributes
    ----------
    model : EquivalentCircuitModel
        The circuit.
    voltage : ndarray of shape (n_samples,)
        What it gives for the measured current [V].
    error : float
        Root mean square difference to the measured voltage [V].
    """

    model: EquivalentCircuitModel
    voltage: Array
    error: float


def fit_equivalent_circuit(
    time: Array,
    current: Array,
    voltage: Array,
    *,
    capacity: float,
    initial_soc: float | Sequence[float],
    thermal: ThermalModel,
    name: str = "fitted",
    starts: Sequence[int] = (0,),
    open_circuit: tuple[Array, Array] | None = None,
    temperature: float = 298.15,
    lowest_voltage: float | None = None,
    highest_voltage: float | None = None,
    resistance_knots: int = 9,
    voltage_knots: int = 41,
    time_constants: tuple[float, float] | None = None,
) -> CircuitFit:
    r"""Fit open-circuit voltage, three resistances over state of charge and two time constants to measured pulses.

    .. math:: V = U(z) - R_0(z) I - R_1(z) i_1 - R_2(z) i_2, \qquad \tau_k \dot i_k = I - i_k

    For given time constants everything else is linear, and is found by least squares with resistances and slope of
    the open-circuit voltage held positive; the time constants are searched outside (variable projection).

    Parameters
    ----------
    time, current, voltage : ndarray of shape (n_samples,)
        Of the measurement [s, A positive on discharge, V], at rest before its first sample. Time rises within a
        recording; each current holds since the sample before.
    capacity : float
        [A.h].
    initial_soc : float or sequence of float
        State of charge before the first sample of each recording [-].
    thermal : ThermalModel
        Heat of the cell, which pulses do not show.
    name : str
        Of the model.
    starts : sequence of int
        Samples at which recordings begin, each from rest, where several are joined.
    open_circuit : tuple of ndarray, optional
        States of charge [-], rising, and open-circuit voltages [V], where they are known from elsewhere.
    temperature : float
        Of the measurement, which becomes the reference temperature [K].
    lowest_voltage, highest_voltage : float, optional
        Cut-off voltages [V]; the extremes of the measurement where absent.
    resistance_knots, voltage_knots : int
        Knots of the curves over the visited states of charge.
    time_constants : tuple of float, optional
        Of the two pairs [s], where they are not to be searched.

    Raises
    ------
    ShapeError
        If the three arrays differ in shape.
    ModelError
        If time does not rise, values are not finite, or the current never changes.

    References
    ----------
    .. [1] G. L. Plett, Battery Management Systems, vol. I, Artech House, 2015, ch. 2.
    .. [2] G. H. Golub, V. Pereyra, Separable nonlinear least squares: the variable projection method and its
       applications, Inverse Problems 19 (2003) R1.
    """
    time, current, voltage = (np.asarray(values, dtype=np.float64) for values in (time, current, voltage))
    _check(time, current, voltage, starts)
    soc = _state_of_charge(time, current, initial_soc, capacity, starts)
    if soc.min() < -0.05 or soc.max() > 1.05:
        raise ModelError(
            f"the state of charge runs from {soc.min():.3f} to {soc.max():.3f} in the measurement",
            where=name,
            remedy="Correct capacity, initial_soc or the sign of the current (positive on discharge)",
        )
    problem = _Problem(time, current, voltage, soc, starts, open_circuit, resistance_knots, voltage_knots)
    constants = _search(problem) if time_constants is None else time_constants
    solution = problem.solve(constants)
    model = problem.model(
        solution,
        constants,
        name=name,
        thermal=thermal,
        capacity=capacity,
        temperature=temperature,
        limits=(
            float(voltage.min() if lowest_voltage is None else lowest_voltage),
            float(voltage.max() if highest_voltage is None else highest_voltage),
        ),
    )
    fitted = simulate_equivalent_circuit(model, time, current, initial_soc=initial_soc, starts=starts)
    error = float(np.sqrt(np.mean((fitted - voltage) ** 2)))
    provenance = {
        "source": "fit_equivalent_circuit",
        "fits": {"voltage [V]": error, "samples": int(time.size), "soc": [float(soc.min()), float(soc.max())]},
    }
    model = replace(model, provenance=provenance)
    return CircuitFit(model=replace(model, hash=hash_circuit(model)), voltage=fitted, error=error)


def simulate_equivalent_circuit(
    model: EquivalentCircuitModel,
    time: Array,
    current: Array,
    *,
    initial_soc: float | Sequence[float],
    temperature: float | None = None,
    starts: Sequence[int] = (0,),
) -> Array:
    """Return the terminal voltage [V] of a circuit at a constant temperature, from rest.

    Parameters
    ----------
    model : EquivalentCircuitModel
        The circuit.
    time, current : ndarray of shape (n_samples,)
        [s, A positive on discharge]; each current holds since the sample before.
    initial_soc : float or sequence of float
        State of charge before the first sample of each recording [-].
    temperature : float, optional
        Of the cell [K]; the reference temperature where absent.
    starts : sequence of int
        Samples at which recordings begin, each from rest.
    """
    time, current = np.asarray(time, dtype=np.float64), np.asarray(current, dtype=np.float64)
    at = model.reference_temperature if temperature is None else temperature
    soc = _state_of_charge(time, current, initial_soc, model.capacity, starts)
    scale = PropertyScale(concentration=1.0, temperature=model.reference_temperature)
    factor = float(evaluate_temperature_factor(model.resistance_temperature, scale, at))
    source = evaluate_cubic_table(model.potential[:, :4], soc)
    if at != model.reference_temperature:
        source = source + (at - model.reference_temperature) * evaluate_cubic_table(model.potential[:, 4:], soc)
    held = np.clip(soc, 0.0, 1.0)
    through = [current, *(filter_current(time, current, constant, starts) for constant in model.time_constants)]
    drops = [
        evaluate_cubic_table(model.resistance[:, 4 * k : 4 * k + 4], held) * each for k, each in enumerate(through)
    ]
    return np.asarray(source - factor * sum(drops), dtype=np.float64)


def filter_current(time: Array, current: Array, time_constant: float, starts: Sequence[int] = (0,)) -> Array:
    """Return the current through the resistor of a resistor-capacitor pair [A], at rest before each of ``starts``."""
    decay = np.exp(-_durations(time, starts) / time_constant)
    gain = (1.0 - decay) * current
    decay[list(starts)], gain[list(starts)] = 0.0, 0.0
    filtered, held = [], 0.0
    for keep, add in zip(decay.tolist(), gain.tolist(), strict=True):  # lists: an array is slower one by one
        held = keep * held + add
        filtered.append(held)
    return np.array(filtered)


def hash_circuit(model: EquivalentCircuitModel) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of a circuit's numbers."""
    numbers = (
        vars(model.thermal),
        model.capacity,
        model.time_constants,
        model.reference_temperature,
        model.lowest_voltage,
        model.highest_voltage,
    )
    digest = hashlib.sha256(repr(numbers).encode())
    for table in (model.potential, model.resistance, model.resistance_temperature):
        digest.update(np.ascontiguousarray(table, dtype=np.float64).tobytes())
    return digest.hexdigest()[:12]


class _Problem:
    """Linear least squares for open-circuit voltage and resistances at given time constants."""

    def __init__(
        self,
        time: Array,
        current: Array,
        voltage: Array,
        soc: Array,
        starts: Sequence[int],
        open_circuit: tuple[Array, Array] | None,
        resistance_knots: int,
        voltage_knots: int,
    ) -> None:
        low, high = float(max(soc.min(), 0.0)), float(min(soc.max(), 1.0))
        self.time, self.current, self.starts = time, current, starts
        # Samples are dense where the current changes; every second counts alike.
        seconds = _durations(time, starts)
        self.longest = float(max(seconds[a:b].sum() for a, b in _recordings(time.size, starts)))
        self.shortest = float(seconds[seconds > 0.0].min())
        self.weight = np.sqrt(np.minimum(np.maximum(seconds, 1e-3), 60.0))
        self.known = open_circuit
        self.resistance_knots = np.linspace(low, high, resistance_knots)
        self.voltage_knots = np.linspace(low, high, voltage_knots)
        self.resistance_basis = _hats(self.resistance_knots, soc)
        columns: list[Array] = []
        if open_circuit is None:
            # First value and rises: rises that are not negative make the voltage one that rises.
            steps = np.tril(np.ones((voltage_knots, voltage_knots)))
            columns = [_hats(self.voltage_knots, soc) @ steps]
            self.target = voltage
        else:
            self.target = voltage - _rising(*open_circuit)(soc)
        self.source_columns = columns

    def solve(self, constants: tuple[float, float]) -> Array:
        """Return the coefficients."""
        from scipy.optimize import lsq_linear

        matrix, target, lowest = self._assemble(constants)
        found = lsq_linear(matrix, target, bounds=(lowest, np.inf), method="bvls" if lowest.size < 60 else "trf")
        return np.asarray(found.x, dtype=np.float64)

    def error(self, constants: tuple[float, float]) -> float:
        """Return the sum of squares that is left."""
        matrix, target, lowest = self._assemble(constants)
        solution = np.maximum(np.linalg.lstsq(matrix, target, rcond=None)[0], lowest)
        return float(np.sum((matrix @ solution - target) ** 2))

    def _assemble(self, constants: tuple[float, float]) -> tuple[Array, Array, Array]:
        filtered = (filter_current(self.time, self.current, constant, self.starts) for constant in constants)
        through = [self.current, *filtered]
        columns = [*self.source_columns, *(-self.resistance_basis * each[:, np.newaxis] for each in through)]
        matrix = np.hstack(columns) * self.weight[:, np.newaxis]
        target = self.target * self.weight
        first = matrix.shape[1] - 3 * self.resistance_knots.size
        # Second differences of the resistances keep knots smooth that the pulses hardly touch.
        count = self.resistance_knots.size
        bend = np.diff(np.eye(count), n=2, axis=0)
        scale = _SMOOTHNESS * float(np.abs(self.current).max()) * float(np.sqrt(np.sum(self.weight**2))) / count
        smooth = np.zeros((3 * bend.shape[0], matrix.shape[1]))
        for k in range(3):
            rows = slice(k * bend.shape[0], (k + 1) * bend.shape[0])
            smooth[rows, first + k * count : first + (k + 1) * count] = scale * bend
        lowest = np.concatenate([np.zeros(first), np.full(3 * count, _SMALLEST_RESISTANCE)])
        return np.vstack([matrix, smooth]), np.concatenate([target, np.zeros(smooth.shape[0])]), lowest

    def model(
        self,
        solution: Array,
        constants: tuple[float, float],
        *,
        name: str,
        thermal: ThermalModel,
        capacity: float,
        temperature: float,
        limits: tuple[float, float],
    ) -> EquivalentCircuitModel:
        """Return the circuit of a solution; beyond the visited states of charge its curves stay at their ends."""
        from scipy.interpolate import PchipInterpolator

        count = self.resistance_knots.size
        values = solution[-3 * count :].reshape(3, count)
        curves = [PchipInterpolator(self.resistance_knots, each) for each in values]
        low, high = self.resistance_knots[0], self.resistance_knots[-1]
        held = [_held(curve, float(low), float(high)) for curve in curves]
        resistance = np.hstack([build_cubic_table(curve, _INTERVALS) for curve in held])
        if self.known is None:
            knots, heights = self.voltage_knots, np.cumsum(solution[: self.voltage_knots.size])
        else:
            knots, heights = (np.asarray(values, dtype=np.float64) for values in self.known)
        potential = build_cubic_table(_rising(knots, heights), _INTERVALS, monotone=True)
        return EquivalentCircuitModel(
            name=name,
            thermal=thermal,
            capacity=capacity,
            potential=np.hstack([potential, np.zeros_like(potential)]),
            resistance=resistance,
            resistance_temperature=np.zeros(3),
            time_constants=(float(min(constants)), float(max(constants))),
            reference_temperature=temperature,
            lowest_voltage=limits[0],
            highest_voltage=limits[1],
        )


def _search(problem: _Problem) -> tuple[float, float]:
    """Return the time constants with the smallest error: a grid first, then downhill."""
    from scipy.optimize import minimize

    shortest = max(2.0 * problem.shortest, 0.5)
    longest = float(np.clip(0.5 * problem.longest, 20.0 * shortest, 3600.0))
    grid = np.geomspace(shortest, longest, max(6, round(_SEARCH * np.log10(longest / shortest) / 2.0)))
    pairs = [(float(a), float(b)) for i, a in enumerate(grid) for b in grid[i + 1 :] if b >= 3.0 * a]
    best = min(pairs, key=problem.error)

    def cost(logarithms: Array) -> float:
        fast, slow = np.exp(np.clip(logarithms, np.log(shortest), np.log(longest)))
        return problem.error((float(fast), float(slow)))

    found = minimize(cost, np.log(best), method="Nelder-Mead", options={"maxiter": 60, "xatol": 1e-2, "fatol": 0.0})
    fast, slow = sorted(np.exp(np.clip(found.x, np.log(shortest), np.log(longest))))
    return float(fast), float(slow)


def _rising(knots: Array, heights: Array) -> Callable[[Array], Array]:
    """Return a curve through rising knots that goes on straight, and rising, beyond them."""
    from scipy.interpolate import PchipInterpolator

    heights = np.maximum.accumulate(heights + 1e-9 * np.arange(heights.size))
    curve = PchipInterpolator(knots, heights)
    ends = [max(float((heights[b] - heights[a]) / (knots[b] - knots[a])), 1e-3) for a, b in ((0, 1), (-2, -1))]

    def function(place: Array) -> Array:
        inside = curve(np.clip(place, knots[0], knots[-1]))
        before = np.minimum(place - knots[0], 0.0) * ends[0]
        after = np.maximum(place - knots[-1], 0.0) * ends[1]
        return np.asarray(inside + before + after, dtype=np.float64)

    return function


def _held(curve: Any, low: float, high: float) -> Callable[[Array], Array]:
    """Return a curve that keeps its end values beyond its knots."""

    def function(place: Array) -> Array:
        return np.asarray(curve(np.clip(place, low, high)), dtype=np.float64)

    return function


def _hats(knots: Array, place: Array) -> Array:
    """Return the values of piecewise linear basis functions, of shape (n_places, n_knots)."""
    held = np.clip(place, knots[0], knots[-1])
    scaled = (held - knots[0]) / (knots[1] - knots[0])
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(scaled[:, np.newaxis] - np.arange(knots.size))), dtype=np.float64)


def _recordings(count: int, starts: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(starts, [*list(starts)[1:], count], strict=True))


def _durations(time: Array, starts: Sequence[int]) -> Array:
    """Return for how long each sample's current has flowed [s]; not at all for the first of a recording."""
    durations = np.diff(time, prepend=time[0])
    durations[list(starts)] = 0.0
    return durations


def _state_of_charge(
    time: Array, current: Array, initial: float | Sequence[float], capacity: float, starts: Sequence[int]
) -> Array:
    passed = _durations(time, starts) * current / (SECONDS_PER_HOUR * capacity)
    begins = np.broadcast_to(np.asarray(initial, dtype=np.float64), (len(starts),))
    parts = [
        begin - np.cumsum(passed[first:last])
        for begin, (first, last) in zip(begins, _recordings(time.size, starts), strict=True)
    ]
    return np.concatenate(parts)


def _check(time: Array, current: Array, voltage: Array, starts: Sequence[int]) -> None:
    if not time.shape == current.shape == voltage.shape or time.ndim != 1 or time.size < 10:
        raise ShapeError(
            f"time {time.shape}, current {current.shape} and voltage {voltage.shape} must be of one shape, "
            "(n_samples,) with at least 10 samples"
        )
    for what, values in (("time", time), ("current", current), ("voltage", voltage)):
        if not np.isfinite(values).all():
            place = int(np.argmax(~np.isfinite(values)))
            raise ModelError(f"{what} is not finite at sample {place}", remedy="Drop the sample, or repair it")
    if list(starts) != sorted(set(starts)) or starts[0] != 0 or starts[-1] >= time.size:
        raise ModelError(f"starts = {list(starts)} must rise from 0", remedy="Give the first sample of each recording")
    falling = np.diff(time, prepend=time[0]) < 0.0
    falling[list(starts)] = False
    if falling.any():
        raise ModelError(
            f"time falls at sample {int(np.argmax(falling))}",
            remedy="Sort the samples; name the first sample of each recording in starts",
        )
    if np.ptp(current) < 1e-9:
        raise ModelError("the current never changes: pulses show resistances, steady current does not")
