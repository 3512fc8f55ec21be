"""A calibration as a problem of least squares: weighted departures of curves and priors, in the unit cube."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ShapeError

from ..measurements.curve import MeasuredCurve
from .cell_simulation import CellModel, CellSimulation, SimulatedCurve
from .electrode_room import ElectrodeRoom
from .parameter_space import ParameterSpace
from .potential_rise import PotentialRise

__all__ = ["CalibrationProblem", "CostOptions", "ResidualBlock", "choose_rows"]

SHORTFALL = 5000.0  # what the residual of a row that was not reached grows by over the length of the curve


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """What counts how much.

    The standard deviation that a residual is divided by joins what the measurement is uncertain by with what a lumped
    model can be asked for: a share of the voltage, a share of the absolute temperature and of its rise, and, where
    curves are steep, an error in time.

    Attributes
    ----------
    rows : int
        Rows of each curve that are compared; they stand for the scored rows around them.
    voltage, temperature, rise, time : float
        Asked-for accuracy: share of the voltage, of the absolute temperature, of the temperature's rise and of the
        duration.
    at_rest : float
        What the open-circuit voltage before the current may be off by [V], for a cell that is still relaxing.
    independent : float
        How many independent values a curve of one quantity is taken for, beside one prior.
    temperature_weight : float
        Weight of temperature beside voltage.
    robust : float
        Residuals beyond this many standard deviations count linearly (Huber), which keeps the end of discharge, where
        voltage collapses within seconds, from ruling the rest; 0 for plain least squares.
    """

    rows: int = 120
    voltage: float = 0.0012
    temperature: float = 0.0001
    rise: float = 0.008
    time: float = 0.0008
    at_rest: float = 3e-3
    independent: float = 40.0
    temperature_weight: float = 1.0
    robust: float = 3.0


def choose_rows(curve: MeasuredCurve, count: int) -> tuple[NDArray[np.int64], Array]:
    """Return rows that represent the scored rows of a curve, and how many scored rows each stands for.

    Rows lie evenly along time, voltage and temperature together, so that steep ends are resolved.

    Parameters
    ----------
    curve : MeasuredCurve
        The curve.
    count : int
        About how many rows.

    Returns
    -------
    rows : ndarray of int of shape (n,)
        Increasing.
    shares : ndarray of shape (n,)
        Their sum is 1.
    """
    scored = np.flatnonzero(curve.scored).astype(np.int64)
    if scored.size <= count:
        return scored, np.full(scored.size, 1.0 / scored.size)
    way = _progress(np.asarray(curve.time)[scored])
    way = way + _progress(np.asarray(curve.voltage)[scored], smooth=True)
    if curve.temperature is not None:
        way = way + 0.5 * _progress(np.asarray(curve.temperature)[scored], smooth=True)
    picks = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], count)).clip(0, scored.size - 1))
    edges = np.concatenate([[0.0], 0.5 * (picks[1:] + picks[:-1]), [scored.size - 1.0]])
    shares = np.maximum(np.diff(edges), 0.5)
    return scored[picks], shares / shares.sum()


@dataclass(frozen=True, eq=False)
class ResidualBlock:
    """One quantity of one curve among the residuals.

    Attributes
    ----------
    curve : MeasuredCurve
        The curve.
    quantity : {"voltage", "temperature"}
        What is compared.
    rows : ndarray of int of shape (n,)
        Rows of the curve.
    measured : ndarray of shape (n,)
        Measured values there [V] or [K].
    deviation : ndarray of shape (n,)
        Departure that is allowed in each row [V] or [K], less certain rows included.
    weight : ndarray of shape (n,)
        What a departure is multiplied by to become a residual [1/V] or [1/K].
    """

    curve: MeasuredCurve
    quantity: str
    rows: NDArray[np.int64]
    measured: Array
    deviation: Array
    weight: Array


class CalibrationProblem:
    """Curves, model and free parameters, as residuals over the unit cube.

    Parameters
    ----------
    curves : sequence of MeasuredCurve
        What is fitted; each counts evenly.
    model : CellModel
        Simulates them.
    space : ParameterSpace
        What is free.
    fixed : mapping of str to float, optional
        Values of other inputs, in place of the base set's.
    cost : CostOptions, optional
        What counts how much.

    Attributes
    ----------
    best_errors : tuple of float
        Mean absolute errors [%] of voltage and temperature of the best candidate so far.
    """

    def __init__(
        self,
        curves: Sequence[MeasuredCurve],
        model: CellModel,
        space: ParameterSpace,
        fixed: Mapping[str, float] | None = None,
        cost: CostOptions | None = None,
    ) -> None:
        self.curves = tuple(curves)
        self.model = model
        self.space = space
        self.fixed = dict(fixed or {})
        self.cost_options = cost or CostOptions()
        self.evaluations = 0
        self.failures: dict[str, int] = {}
        self._fits = [_CurveFit(curve, model, self.cost_options) for curve in self.curves]
        self._rise = PotentialRise(model.base, model.shapes, space.names)
        self._room = ElectrodeRoom(model.base, self.curves)
        self._prior = self.space.start
        self._offsets: list[tuple[Array, Array]] | None = None
        self.best_errors = (float("nan"), float("nan"))
        self._least = float("inf")

    @property
    def size(self) -> int:
        """Number of residuals."""
        return sum(fit.size for fit in self._fits) + self._rise.size + self._room.size + self.space.size

    @property
    def blocks(self) -> tuple[ResidualBlock, ...]:
        """What the residuals are made of, in their order; those of potentials, electrodes and priors follow after."""
        return tuple(block for fit in self._fits for block in fit.blocks())

    def values(self, position: Array) -> dict[str, float]:
        """Return every value that a candidate sets: the free ones and the fixed ones."""
        return self.fixed | self.space.values(position)

    def simulate(self, position: Array) -> list[SimulatedCurve]:
        """Return the simulated curves of one candidate at the rows that are compared."""
        return [fit.simulation.solve(self.values(position)) for fit in self._fits]

    def residuals(self, position: Array) -> Array:
        """Return the residuals of one candidate, shape (n,), in standard deviations.

        Parameters
        ----------
        position : ndarray of shape (n_parameters,)
            In the unit cube.
        """
        return np.asarray(self.residuals_many(np.asarray(position)[np.newaxis])[0])

    def residuals_many(self, positions: Array) -> Array:
        """Return the residuals of candidates, shape (n_candidates, n).

        Parameters
        ----------
        positions : ndarray of shape (n_candidates, n_parameters)
            In the unit cube.

        Raises
        ------
        ShapeError
            If the candidates have another number of parameters.
        """
        positions = np.atleast_2d(positions)
        if positions.shape[1] != self.space.size:
            raise ShapeError(f"positions {positions.shape}, expected (n, {self.space.size})")
        candidates = [self.values(position) for position in positions]
        blocks = []
        for index, fit in enumerate(self._fits):
            offset = None if self._offsets is None else self._offsets[index]
            results = fit.simulation.solve_many(candidates)
            for result in results:
                if result.reason:
                    reason = result.reason.split(": ", 1)[-1]
                    self.failures[reason] = self.failures.get(reason, 0) + 1
            blocks.append(np.stack([fit.residuals(result, offset) for result in results]))
        spreads = self.space.spreads
        held = np.where(np.isfinite(spreads), spreads, 1.0)
        prior = np.where(np.isfinite(spreads), (positions - self._prior) / held, 0.0)
        self.evaluations += len(candidates)
        room = self._room.residuals([self.model.numbers(values) for values in candidates])
        residuals = np.concatenate([*blocks, self._rise.residuals(candidates), room, prior], axis=1)
        self._note_best(residuals)
        return residuals

    def errors(self, residuals: Array) -> tuple[float, float]:
        """Return the mean absolute errors [%] of voltage and of temperature in kelvin that residuals stand for.

        Parameters
        ----------
        residuals : ndarray of shape (n,)
            Of one candidate; without a temperature, its error is not a number.
        """
        found: dict[str, list[float]] = {"voltage": [], "temperature": []}
        first = 0
        for block in self.blocks:
            departures = residuals[first : first + block.rows.size] / block.weight
            found[block.quantity].append(100.0 * float(np.mean(np.abs(departures / block.measured))))
            first += block.rows.size
        voltage, temperature = (float(np.mean(values)) if values else float("nan") for values in found.values())
        return voltage, temperature

    def _note_best(self, residuals: Array) -> None:
        costs = 0.5 * np.sum(residuals**2, axis=1)
        best = int(np.argmin(costs))
        if costs[best] < self._least:
            self._least, self.best_errors = float(costs[best]), self.errors(residuals[best])

    def cost(self, position: Array) -> float:
        """Return half the sum of squares of the residuals of one candidate."""
        return 0.5 * float(np.sum(self.residuals(position) ** 2))

    def costs(self, positions: Array) -> Array:
        """Return half the sums of squares of candidates, shape (n_candidates,)."""
        return np.asarray(0.5 * np.sum(self.residuals_many(positions) ** 2, axis=1))

    def correct_towards(self, finer: CalibrationProblem, position: Array) -> bool:
        """Add to every later simulation what a finer model gives beyond this one at a position.

        A fit on a coarse mesh then agrees with the finer one near that position.

        Parameters
        ----------
        finer : CalibrationProblem
            The same curves and rows under the finer model.
        position : ndarray of shape (n_parameters,)
            In the unit cube.

        Returns
        -------
        bool
            Whether both models reached every row, so that the correction is in force.
        """
        values = self.values(position)
        coarse = [fit.simulation.solve(values) for fit in self._fits]
        fine = [fit.simulation.solve(values) for fit in finer._fits]
        if not all(result.complete for result in (*coarse, *fine)):
            return False
        self._least = float("inf")
        self._offsets = [
            (after.voltage - before.voltage, after.temperature - before.temperature)
            for before, after in zip(coarse, fine, strict=True)
        ]
        return True


class _CurveFit:
    """One curve's rows, and what their residuals are divided by."""

    def __init__(self, curve: MeasuredCurve, model: CellModel, cost: CostOptions) -> None:
        self.curve = curve
        self.emphasis = cost.temperature_weight
        self.rows, shares = choose_rows(curve, cost.rows)
        self.simulation = CellSimulation(model, curve, self.rows)
        time = np.asarray(curve.time)
        duration = float(time[-1] - time[0])
        self.duration = duration
        self.progress = (time[self.rows] - time[0]) / duration
        doubt = float(np.hypot(cost.time * duration, 0.2 * curve.time_uncertainty))
        root = np.sqrt(shares * cost.independent)
        self.robust = cost.robust
        self.voltage = np.asarray(curve.voltage)[self.rows]
        slope = _slope(time, np.asarray(curve.voltage), curve.scored)[self.rows]
        certain = np.ones(self.rows.size) if curve.less_certain is None else 1.0 + curve.less_certain[self.rows]
        deviation = np.sqrt((cost.voltage * self.voltage) ** 2 + curve.voltage_noise**2 + (slope * doubt) ** 2)
        resting = self._at_rest(curve)
        deviation = np.where(resting, cost.at_rest, deviation)
        root = np.where(resting, np.sqrt(1.0 / max(int(resting.sum()), 1)), root)
        self.root = root
        self.voltage_weight = root / (deviation * certain)
        self.temperature: Array | None = None
        self.size = self.rows.size
        if curve.temperature is not None and np.isfinite(np.asarray(curve.temperature)[self.rows]).all():
            self.temperature = np.asarray(curve.temperature)[self.rows]
            rise = self.temperature - self.temperature[0]
            slope = _slope(time, np.asarray(curve.temperature), curve.scored)[self.rows]
            deviation = np.sqrt(
                (cost.temperature * self.temperature) ** 2
                + (cost.rise * rise) ** 2
                + (0.3 * curve.temperature_noise) ** 2
                + (slope * doubt) ** 2
            )
            self.temperature_weight = cost.temperature_weight * root / (deviation * certain)
            self.size *= 2

    def blocks(self) -> list[ResidualBlock]:
        """Return what the residuals of the curve are made of."""
        found = [
            ResidualBlock(
                self.curve, "voltage", self.rows, self.voltage, self.root / self.voltage_weight, self.voltage_weight
            )
        ]
        if self.temperature is not None:
            allowed = self.emphasis * self.root / self.temperature_weight
            found.append(
                ResidualBlock(self.curve, "temperature", self.rows, self.temperature, allowed, self.temperature_weight)
            )
        return found

    def _at_rest(self, curve: MeasuredCurve) -> NDArray[np.bool_]:
        """Return which rows lie before the current, shape (n,): together one value of the open-circuit voltage."""
        current = np.abs(np.asarray(curve.current))
        begun = int(np.argmax(current > 0.5 * np.median(current)))
        return np.asarray(self.rows < begun)

    def residuals(self, result: SimulatedCurve, offset: tuple[Array, Array] | None) -> Array:
        """Return weighted departures.

        Rows that were not reached are no values: their penalty falls without a jump as the simulation gets further.
        """
        voltage = result.voltage if offset is None else result.voltage + offset[0]
        missing = ~np.isfinite(result.voltage)
        departures = np.where(missing, 0.0, voltage - self.voltage) * self.voltage_weight
        if missing.any():
            lacking = np.maximum(self.progress - result.end / self.duration, 0.0)
            short = (min(result.end_voltage, self.voltage.min()) - self.voltage) * self.voltage_weight
            departures = np.where(missing, short - self.root * SHORTFALL * lacking, departures)
        departures = self._softened(departures)
        if self.temperature is None:
            return departures
        warmth = result.temperature if offset is None else result.temperature + offset[1]
        warm = np.where(missing, 0.0, warmth - self.temperature) * self.temperature_weight
        if missing.any():
            last = warm[~missing][-1] if not missing.all() else 0.0
            warm = np.where(missing, last, warm)
        return np.concatenate([departures, self._softened(warm)])

    def _softened(self, residuals: Array) -> Array:
        if self.robust <= 0.0:
            return residuals
        size = np.abs(residuals)
        share = self.root * self.robust
        beyond = np.sqrt(np.maximum(2.0 * share * size - share**2, 0.0))
        return np.where(size <= share, residuals, np.sign(residuals) * beyond)


def _progress(values: Array, *, smooth: bool = False) -> Array:
    """Return the way that values go, from 0 to 1, shape (n,)."""
    if smooth:
        window = max(values.size // 200, 1)
        pad = np.pad(values, (window // 2, window - 1 - window // 2), mode="edge")
        values = np.convolve(pad, np.full(window, 1.0 / window), mode="valid")
    way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(values)))])
    return np.asarray(way / way[-1] if way[-1] > 0.0 else way)


def _slope(time: Array, values: Array, scored: NDArray[np.bool_]) -> Array:
    """Return the slope over about 1 % of the curve [1/s]; 0 in rows without a value."""
    rows = np.flatnonzero(scored & np.isfinite(values))
    if rows.size < 3:
        return np.zeros(time.size)
    window = max(rows.size // 100, 1)
    low = rows[np.maximum(np.arange(rows.size) - window, 0)]
    high = rows[np.minimum(np.arange(rows.size) + window, rows.size - 1)]
    slope = np.zeros(time.size)
    slope[rows] = (values[high] - values[low]) / (time[high] - time[low])
    return slope
