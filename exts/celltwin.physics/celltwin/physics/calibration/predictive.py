"""Curves as a posterior predicts them, with intervals that hold measurements and not only parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError, freeze

from ..measurements.curve import MeasuredCurve
from .calibration_problem import CalibrationProblem, ResidualBlock
from .cell_simulation import CellModel, CellSimulation, SimulatedCurve
from .optimisers import Progress
from .posterior import ParameterPosterior
from .posterior_discrepancy import PRIOR_FREEDOM, Discrepancy
from .posterior_perturbed import reach_the_end
from .posterior_refit import DIFFERENCE
from .predictive_surroundings import draw_activation_energies, is_elsewhere

__all__ = ["PredictiveCurve", "PredictiveInterval", "mixture_quantile", "predict_curves"]

FEWEST = 4  # parameter sets that an interval can rest on


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictiveInterval:
    """One quantity of a curve, as predicted.

    Attributes
    ----------
    quantity : {"voltage", "temperature"}
        What is predicted.
    middle : ndarray of shape (n,)
        As the posterior's centre has it: the calibrated values [V] or [K].
    parameter_deviation : ndarray of shape (n,)
        What the posterior's parameter sets depart from it by, root mean square [V] or [K].
    deviation : ndarray of shape (n,)
        What the model's errors and the sensor's noise add, standard deviation [V] or [K].
    low, high : ndarray of shape (n,)
        Bounds of the interval [V] or [K].
    measured : ndarray of shape (n,)
        What was measured; not a number where nothing was.
    """

    quantity: str
    middle: Array
    parameter_deviation: Array
    deviation: Array
    low: Array
    high: Array
    measured: Array

    @property
    def coverage(self) -> float:
        """Share of the measured values within the interval; not a number where nothing was measured."""
        known = np.isfinite(self.measured) & np.isfinite(self.middle)
        inside = (self.measured >= self.low) & (self.measured <= self.high)
        return float(np.mean(inside[known])) if known.any() else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictiveCurve:
    """A curve as predicted.

    Attributes
    ----------
    name : str
        Of the curve.
    held_out : bool
        Whether it took no part in the fit.
    level : float
        Probability of the intervals.
    rows : ndarray of int of shape (n,)
        Rows of the curve.
    time : ndarray of shape (n,)
        There [s].
    voltage : PredictiveInterval
        Terminal voltage.
    temperature : PredictiveInterval
        Mean temperature of the cell.
    samples : int
        Parameter sets that the interval rests on.
    ended_early : int
        Those among them whose simulation ended before the curve did; from there on they keep their last voltage and
        temperature.
    """

    name: str
    held_out: bool
    level: float
    rows: NDArray[np.int64]
    time: Array
    voltage: PredictiveInterval
    temperature: PredictiveInterval
    samples: int
    ended_early: int


def predict_curves(
    posterior: ParameterPosterior,
    curves: Sequence[MeasuredCurve],
    *,
    level: float = 0.90,
    samples: int = 48,
    refined: bool = True,
    seed: int = 0,
    progress: Callable[[Progress], bool | None] | None = None,
) -> tuple[PredictiveCurve, ...]:
    """Predict curves with intervals.

    A curve that was not fitted may lie wherever one of the posterior's parameter sets has it, give or take the
    model's discrepancy at that rate and the sensor's noise: its interval holds so much of that mixture, stretched by
    the inflation that leaving out fitted curves has shown. About a curve that was fitted, parameters and discrepancy
    make up for each other: its interval is what a fit leaves of the discrepancy. Both are Student's, since the
    discrepancy's scale is itself an estimate. In surroundings far from those of the fitted curves, each parameter set
    is simulated once more with activation energies as the literature has them. Nothing measured of a curve that was
    not fitted is used, except where its recording begins: its first temperature and its course of current.

    Parameters
    ----------
    posterior : ParameterPosterior
        Of the parameters.
    curves : sequence of MeasuredCurve
        What is predicted: fitted curves are known by their name and source.
    level : float
        Probability of the intervals, between 0 and 1.
    samples : int
        Parameter sets that are simulated.
    refined : bool
        Whether the coarse mesh is corrected by the default mesh at the posterior's centre.
    seed : int
        Of the choice of samples.
    progress : callable, optional
        Called with :class:`Progress` after every curve; returns False to stop with the curves that are done.

    Raises
    ------
    ModelError
        If nothing of a curve can be simulated, or the level is no probability.
    """
    if not 0.0 < level < 1.0:
        raise ModelError(f"the interval's probability {level:g} must lie between 0 and 1", remedy="Such as 0.9")
    problem = posterior.problem
    fitted = {(curve.name, curve.source.sha256) for curve in problem.curves}
    random = np.random.default_rng(seed)
    picks = _picks(posterior, samples, random)
    fine = _finer(problem.model) if refined and problem.model.options.mesh == "coarse" else None
    found = []
    for index, curve in enumerate(curves):
        held_out = (curve.name, curve.source.sha256) not in fitted
        found.append(_predict(posterior, curve, picks, fine, random, level=level, held_out=held_out))
        if progress is not None:
            done = Progress((index + 1) * len(picks), float("nan"), float("nan"), f"prediction: {curve.name}")
            if progress(done) is False:
                break
    return tuple(found)


def _picks(posterior: ParameterPosterior, samples: int, random: np.random.Generator) -> Array:
    """Return parameter sets that reach the end of the fitted curves: the cell did deliver that charge."""
    positions = np.asarray(posterior.positions)
    order = random.permutation(len(positions))
    if posterior.method != "emulator":
        return positions[order[:samples]]
    tried = positions[order[: 2 * samples]]
    kept = tried[reach_the_end(posterior.problem, tried)]
    return kept[:samples] if len(kept) >= FEWEST else tried[:samples]


def _steps(posterior: ParameterPosterior) -> Array:
    """Return positions a small step from the centre along each parameter, within the cube, shape (d, d)."""
    centre = np.asarray(posterior.centre)
    return np.asarray(centre + np.diag(np.where(centre > 1.0 - DIFFERENCE, -DIFFERENCE, DIFFERENCE)))


def _predict(
    posterior: ParameterPosterior,
    curve: MeasuredCurve,
    picks: Array,
    fine: CellModel | None,
    random: np.random.Generator,
    *,
    level: float,
    held_out: bool,
) -> PredictiveCurve:
    problem = posterior.problem
    rows = np.flatnonzero(curve.scored).astype(np.int64)
    simulation = CellSimulation(problem.model, curve, rows)
    centre = problem.values(np.asarray(posterior.centre))
    middle = simulation.solve(centre)
    if not np.isfinite(middle.voltage[0]):
        raise ModelError(
            f"curve {curve.name} cannot be simulated: {middle.reason}",
            where=curve.source.path,
            remedy="Predict rates nearer to the fitted ones",
        )
    linear = posterior.method == "laplace"
    tried = _steps(posterior) if linear else picks
    candidates = [problem.values(position) for position in tried]
    results = simulation.solve_many(candidates)
    usable = np.array([np.isfinite(result.voltage[0]) for result in results])
    if np.count_nonzero(usable) < FEWEST:
        raise ModelError(
            f"{np.count_nonzero(usable)} of {len(candidates)} parameter sets can simulate curve {curve.name}",
            where=curve.source.path,
            remedy="Predict rates nearer to the fitted ones",
        )
    anew: list[SimulatedCurve] = []
    if is_elsewhere(curve, problem.curves):
        sets = [centre] * len(picks) if linear else candidates
        drawn = draw_activation_energies(problem.model.numbers(centre), len(sets), random)
        simulated = simulation.solve_many([{**one, **energies} for one, energies in zip(sets, drawn, strict=True)])
        anew = [one for one in simulated if np.isfinite(one.voltage[0])]
    plain = middle = _continued(middle)
    if fine is not None:
        refined = CellSimulation(fine, curve, rows).solve(centre)
        if np.isfinite(refined.voltage[0]):
            middle = _continued(refined)
    blocks = {block.quantity: block for block in _blocks(problem, curve, rows, middle)}
    measured = np.asarray(curve.temperature)[rows] if curve.temperature is not None else np.full(rows.size, np.nan)

    def interval(quantity: str, known: Array) -> PredictiveInterval:
        def away(curves: Sequence[SimulatedCurve]) -> Array:
            values = np.array([getattr(_continued(one), quantity) for one in curves])
            return np.asarray(values - getattr(plain, quantity))

        departures = away(results)[usable]
        if linear:
            moves = (picks - posterior.centre) / np.sum(tried - posterior.centre, axis=1)
            departures = moves[:, usable] @ departures
        if anew:
            departures = np.concatenate([departures, away(anew)])
        about = posterior.discrepancy.get(quantity)
        return _interval(
            quantity, getattr(middle, quantity), departures, about, blocks.get(quantity), known, level, held_out
        )

    return PredictiveCurve(
        name=curve.name,
        held_out=held_out,
        level=level,
        rows=rows,
        time=freeze(np.asarray(curve.time)[rows].copy()),
        voltage=interval("voltage", np.asarray(curve.voltage)[rows]),
        temperature=interval("temperature", measured),
        samples=len(picks) + len(anew),
        ended_early=sum(not result.complete for result in [*([] if linear else results), *anew]),
    )


def _continued(result: SimulatedCurve) -> SimulatedCurve:
    """Return a curve that keeps its last values where its simulation had ended."""
    reached = np.isfinite(result.voltage)
    if reached.all() or not reached.any():
        return result
    last = int(np.flatnonzero(reached)[-1])
    return replace(
        result,
        voltage=np.where(reached, result.voltage, min(result.end_voltage, float(result.voltage[last]))),
        temperature=np.where(reached, result.temperature, result.temperature[last]),
    )


def _interval(
    quantity: str,
    middle: Array,
    departures: Array,
    about: Discrepancy | None,
    block: ResidualBlock | None,
    measured: Array,
    level: float,
    held_out: bool,
) -> PredictiveInterval:
    from scipy.stats import t

    variance, freedom, stretch = np.zeros(middle.size), PRIOR_FREEDOM, 1.0
    if about is not None and block is not None:
        variance = about.variance(block) if held_out else about.variance_left(block)
        freedom, stretch = about.freedom, about.inflation**0.5 if held_out else 1.0
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    tail = 0.5 * (1.0 - level)
    if held_out:
        low, high = (mixture_quantile(departures, deviation, freedom, share) for share in (tail, 1.0 - tail))
    else:
        high = float(t.ppf(1.0 - tail, freedom)) * deviation
        low = -high
    return PredictiveInterval(
        quantity=quantity,
        middle=freeze(middle.copy()),
        parameter_deviation=freeze(np.sqrt(np.mean(departures**2, axis=0))),
        deviation=freeze(deviation),
        low=freeze(middle + stretch * low),
        high=freeze(middle + stretch * high),
        measured=freeze(measured.copy()),
    )


def mixture_quantile(centres: Array, deviation: Array, freedom: float, share: float) -> Array:
    """Return a quantile of Student's distributions mixed evenly, row by row, shape (n,).

    Parameters
    ----------
    centres : ndarray of shape (n_parts, n)
        Of the parts.
    deviation : ndarray of shape (n,)
        Scale of each part.
    freedom : float
        Degrees of freedom.
    share : float
        Probability below the quantile.
    """
    from scipy.special import stdtr

    reach = 60.0 * deviation
    low, high = centres.min(axis=0) - reach, centres.max(axis=0) + reach
    for _ in range(50):
        middle = 0.5 * (low + high)
        below = np.mean(stdtr(freedom, (middle - centres) / deviation), axis=0) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def _blocks(
    problem: CalibrationProblem, curve: MeasuredCurve, rows: NDArray[np.int64], middle: SimulatedCurve
) -> tuple[ResidualBlock, ...]:
    """Return blocks of all rows, with what is allowed about the predicted curve: the measured one is not known."""
    time = np.asarray(curve.time)
    voltage, temperature = (np.interp(time, time[rows], values) for values in (middle.voltage, middle.temperature))
    predicted = replace(curve, voltage=voltage, temperature=temperature)
    options = replace(problem.cost_options, rows=rows.size)
    return CalibrationProblem((predicted,), problem.model, problem.space, problem.fixed, options).blocks


def _finer(model: CellModel) -> CellModel:
    return CellModel(model.base, replace(model.options, mesh="default", compiled=False), model.shapes)
