"""Curves as a posterior predicts them, with intervals that hold measurements and not only parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError, freeze

from ..measurements.curve import MeasuredCurve
from .calibration_problem import CalibrationProblem, ResidualBlock
from .cell_simulation import CellModel, CellSimulation
from .optimisers import Progress
from .posterior import ParameterPosterior

__all__ = ["PredictiveCurve", "PredictiveInterval", "predict_curves"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictiveInterval:
    """One quantity of a curve, as predicted.

    Attributes
    ----------
    quantity : {"voltage", "temperature"}
        What is predicted.
    mean : ndarray of shape (n,)
        Mean over the posterior [V] or [K].
    parameter_deviation : ndarray of shape (n,)
        Standard deviation from parameters alone [V] or [K].
    deviation : ndarray of shape (n,)
        With the model's discrepancy and the sensor's noise [V] or [K].
    low, high : ndarray of shape (n,)
        Bounds of the interval [V] or [K].
    measured : ndarray of shape (n,)
        What was measured; not a number where nothing was.
    """

    quantity: str
    mean: Array
    parameter_deviation: Array
    deviation: Array
    low: Array
    high: Array
    measured: Array

    @property
    def coverage(self) -> float:
        """Share of the measured values within the interval; not a number where nothing was measured."""
        known = np.isfinite(self.measured) & np.isfinite(self.mean)
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
        Parameter sets that reached the end of the curve.
    failed : int
        Parameter sets that did not; they are in no figure.
    """

    name: str
    held_out: bool
    level: float
    rows: NDArray[np.int64]
    time: Array
    voltage: PredictiveInterval
    temperature: PredictiveInterval
    samples: int
    failed: int


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
    r"""Predict curves with intervals.

    The variance of a row is that over the posterior's samples, plus that of the discrepancy at the curve's rate,
    plus the sensor's. Curves that were not fitted have all of it multiplied by the inflation that leaving out
    fitted curves has shown. The interval is Student's, since the discrepancy's scale is itself an estimate.
    No measured value of a curve that was not fitted is used, except where its recording begins: its first
    temperature and its course of current.

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
        Whether the coarse mesh is corrected by the default mesh at the most probable parameters.
    seed : int
        Of the choice of samples.
    progress : callable, optional
        Called with :class:`Progress` after every curve; returns False to stop with the curves that are done.

    Raises
    ------
    ModelError
        If no parameter set reaches the end of a curve, or the level is no probability.
    """
    if not 0.0 < level < 1.0:
        raise ModelError(f"the interval's probability {level:g} must lie between 0 and 1", remedy="Such as 0.9")
    problem = posterior.problem
    fitted = {(curve.name, curve.source.sha256) for curve in problem.curves}
    random = np.random.default_rng(seed)
    count = min(samples, len(posterior.positions))
    picks = posterior.positions[random.choice(len(posterior.positions), count, replace=False)]
    fine = _finer(problem.model) if refined and problem.model.options.mesh == "coarse" else None
    found = []
    for index, curve in enumerate(curves):
        held_out = (curve.name, curve.source.sha256) not in fitted
        found.append(_predict(posterior, curve, picks, fine, level=level, held_out=held_out))
        if progress is not None:
            done = Progress((index + 1) * count, float("nan"), float("nan"), f"prediction: {curve.name}")
            if progress(done) is False:
                break
    return tuple(found)


def _predict(
    posterior: ParameterPosterior,
    curve: MeasuredCurve,
    picks: Array,
    fine: CellModel | None,
    *,
    level: float,
    held_out: bool,
) -> PredictiveCurve:
    problem = posterior.problem
    rows = np.flatnonzero(curve.scored).astype(np.int64)
    simulation = CellSimulation(problem.model, curve, rows)
    candidates = [problem.values(position) for position in picks]
    results = simulation.solve_many(candidates)
    complete = [result for result in results if result.complete]
    if len(complete) < max(len(results) // 4, 2):
        reason = next(result.reason for result in results if not result.complete)
        raise ModelError(
            f"{len(complete)} of {len(results)} parameter sets reach the end of curve {curve.name}: {reason}",
            where=curve.source.path,
            remedy="The posterior is too wide for this curve: fit more rates, or narrower priors",
        )
    voltage = np.array([result.voltage for result in complete])
    temperature = np.array([result.temperature for result in complete])
    if fine is not None:
        best = problem.values(np.asarray(posterior.most_probable))
        before, after = simulation.solve(best), CellSimulation(fine, curve, rows).solve(best)
        if before.complete and after.complete:
            voltage = voltage + (after.voltage - before.voltage)
            temperature = temperature + (after.temperature - before.temperature)
    blocks = {block.quantity: block for block in _all_rows(problem, curve, rows.size).blocks}
    measured = np.asarray(curve.temperature)[rows] if curve.temperature is not None else np.full(rows.size, np.nan)
    return PredictiveCurve(
        name=curve.name,
        held_out=held_out,
        level=level,
        rows=rows,
        time=freeze(np.asarray(curve.time)[rows].copy()),
        voltage=_interval(posterior, "voltage", voltage, blocks, np.asarray(curve.voltage)[rows], level, held_out),
        temperature=_interval(posterior, "temperature", temperature, blocks, measured, level, held_out),
        samples=len(complete),
        failed=len(results) - len(complete),
    )


def _interval(
    posterior: ParameterPosterior,
    quantity: str,
    values: Array,
    blocks: dict[str, ResidualBlock],
    measured: Array,
    level: float,
    held_out: bool,
) -> PredictiveInterval:
    from scipy.stats import t

    mean = values.mean(axis=0)
    parameters = values.std(axis=0, ddof=1)
    variance = parameters**2
    freedom = np.inf
    if quantity in blocks and quantity in posterior.discrepancy:
        about = posterior.discrepancy[quantity]
        variance = variance + about.variance(blocks[quantity])
        freedom = about.freedom
        if held_out:
            variance = variance * about.inflation
    deviation = np.sqrt(variance)
    reach = float(t.ppf(0.5 * (1.0 + level), freedom)) * deviation
    return PredictiveInterval(
        quantity=quantity,
        mean=freeze(mean),
        parameter_deviation=freeze(parameters),
        deviation=freeze(deviation),
        low=freeze(mean - reach),
        high=freeze(mean + reach),
        measured=freeze(measured.copy()),
    )


def _all_rows(problem: CalibrationProblem, curve: MeasuredCurve, rows: int) -> CalibrationProblem:
    options = replace(problem.cost_options, rows=rows)
    return CalibrationProblem((curve,), problem.model, problem.space, problem.fixed, options)


def _finer(model: CellModel) -> CellModel:
    return CellModel(model.base, replace(model.options, mesh="default", compiled=False), model.shapes)
