"""What measurements leave open: the posterior of a calibrated cell's parameters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from celltwin.core import Array, ModelError, freeze

from .calibration_problem import CalibrationProblem
from .optimisers import Progress
from .posterior_discrepancy import Discrepancy, ParameterPrior, RowWeights, estimate_discrepancy
from .posterior_emulator import Emulator, train_emulator
from .posterior_left_out import LeftOutCurve, learn_inflation, leave_out_curves
from .posterior_refit import Departures, Linearisation, RefitTask, linearise, refit_many
from .posterior_sampling import Chain, sample_density

if TYPE_CHECKING:
    from .calibrate import CalibrationResult

__all__ = ["ParameterPosterior", "PosteriorOptions", "posterior_at", "posterior_of"]

_LOG = logging.getLogger(__name__)
LEVEL = 0.95  # of parameters' intervals
FAR = 20.0  # rise of the cost per parameter beyond which a simulation trains no emulator
SETTLED = 0.01  # move in the unit cube below which a Jacobian is not taken anew
TRUSTED = 1.0  # error of half the sum of squares up to which an emulator is believed


@dataclass(frozen=True, kw_only=True)
class PosteriorOptions:
    """How a posterior is found.

    Attributes
    ----------
    method : {"laplace", "emulator"}
        A normal distribution from the Jacobian, cut off at the bounds; or Markov chains through an emulator.
    simulations : int
        Candidates that the emulator is trained on, each on all fitted curves.
    steps : int
        Moves of every walker of the Markov chains.
    rounds : int
        How often the most probable parameters and the Jacobian there are found in turn.
    leave_out : bool
        Whether each fitted curve is predicted from the others to learn how intervals grow beyond the fitted rates.
    seed : int
        Of the random numbers.
    prior : ParameterPrior, optional
        In place of the parameter space's.
    discrepancy : mapping of str to Discrepancy, optional
        By quantity, such as a sister cell's, where there are too few curves to learn it.
    """

    method: Literal["laplace", "emulator"] = "emulator"
    simulations: int = 240
    steps: int = 1500
    rounds: int = 2
    leave_out: bool = True
    seed: int = 0
    prior: ParameterPrior | None = None
    discrepancy: Mapping[str, Discrepancy] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ParameterPosterior:
    """What is known of a cell's parameters.

    Attributes
    ----------
    names, units : tuple of str
        Free parameters and their units.
    mean, standard_deviation : ndarray of shape (d,)
        In those units.
    correlation : ndarray of shape (d, d)
        Of positions in the unit cube.
    samples : ndarray of shape (n, d)
        In units of the parameters.
    positions : ndarray of shape (n, d)
        The same in the unit cube.
    intervals : ndarray of shape (d, 2)
        Within which a parameter lies with probability 0.95.
    determined : mapping of str to float
        Standard deviation over the prior's, by parameter: 1 where the data say nothing, near 0 where they say all.
    most_probable : ndarray of shape (d,)
        Position of the highest density in the unit cube.
    covariance : ndarray of shape (d, d)
        Laplace's, in the unit cube.
    prior : ParameterPrior
        As used.
    discrepancy : mapping of str to Discrepancy
        By quantity.
    left_out : tuple of LeftOutCurve
        How each fitted curve was predicted from the others.
    linear : Linearisation
        Model about ``most_probable``.
    emulator : Emulator or None
        Of weighted departures over whitened positions.
    method : {"laplace", "emulator"}
        What the samples are drawn from.
    effective_samples : float
        Independent samples that they are worth.
    evaluations : int
        Candidates simulated, each on all fitted curves.
    seconds : float
        Time taken.
    warnings : tuple of str
        What limits the posterior's trustworthiness.
    problem : CalibrationProblem
        Curves, model and parameters.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    mean: Array
    standard_deviation: Array
    correlation: Array
    samples: Array
    positions: Array
    intervals: Array
    determined: Mapping[str, float]
    most_probable: Array
    covariance: Array
    prior: ParameterPrior
    discrepancy: Mapping[str, Discrepancy]
    left_out: tuple[LeftOutCurve, ...]
    linear: Linearisation
    emulator: Emulator | None
    method: str
    effective_samples: float
    evaluations: int
    seconds: float
    warnings: tuple[str, ...]
    problem: CalibrationProblem

    def interval(self, name: str) -> tuple[float, float]:
        """Return the 95 % interval of a parameter, in its unit.

        Raises
        ------
        ModelError
            If no free parameter has the name.
        """
        self.problem.space.parameter(name)
        low, high = self.intervals[self.names.index(name)]
        return float(low), float(high)

    @property
    def row_weights(self) -> RowWeights:
        """Weights of the fitted curves' departures."""
        return RowWeights(self.problem.blocks, self.discrepancy)


def posterior_of(
    result: CalibrationResult,
    options: PosteriorOptions | None = None,
    *,
    progress: Callable[[Progress], bool | None] | None = None,
) -> ParameterPosterior:
    """Return the posterior of a calibrated cell's parameters; see :func:`posterior_at`."""
    return posterior_at(result.problem, result.position, options, progress=progress)


def posterior_at(
    problem: CalibrationProblem,
    position: Array,
    options: PosteriorOptions | None = None,
    *,
    progress: Callable[[Progress], bool | None] | None = None,
) -> ParameterPosterior:
    """Find the posterior of a problem's parameters from a position near its optimum.

    Residuals of a physical model are correlated along a curve: their covariance is found first, and with it how many
    independent values each curve is worth. Then the most probable parameters and the normal distribution about them
    (Laplace), then, unless stopped before, Markov chains through an emulator that is trained around it and checked by
    leaving samples out.

    Parameters
    ----------
    problem : CalibrationProblem
        Curves, model, free parameters and priors.
    position : ndarray of shape (d,)
        Of the least cost, in the unit cube.
    options : PosteriorOptions, optional
        How.
    progress : callable, optional
        Called with :class:`Progress` after every batch; returns False to stop with what is there: at the earliest
        with the Laplace posterior.

    Raises
    ------
    ModelError
        If the model does not reach the end of the curves at the position.
    """
    options = options or PosteriorOptions()
    departures = Departures(problem, progress, "posterior: linear model")
    prior = options.prior or _space_prior(problem)
    position = np.clip(np.asarray(position, dtype=np.float64), 0.0, 1.0)
    if not all(result.complete for result in problem.simulate(position)):
        raise ModelError(
            "at the calibrated parameters the model does not reach the end of the fitted curves",
            where=", ".join(curve.name for curve in problem.curves),
            remedy="Calibrate longer, or leave out curves that the model cannot follow",
        )
    linear = linearise(departures, position)
    # At the best fit: taken anew at the most probable values, which priors pull away from it, it would feed on itself.
    discrepancy = options.discrepancy or _discrepancy(departures, prior, linear)
    nothing_held = np.zeros(problem.space.size, dtype=bool)
    weights = RowWeights(departures.blocks, discrepancy)
    departures.stage = "posterior: most probable parameters"
    for _ in range(options.rounds):
        task = RefitTask(linear.position, nothing_held)
        found = refit_many(departures, weights, prior, linear.jacobian, [task])[0]
        linear = linearise(departures, found.position)
        if departures.stopped or np.max(np.abs(found.position - task.start)) < SETTLED:
            break
    left_out: tuple[LeftOutCurve, ...] = ()
    if options.leave_out and len(problem.curves) > 1 and not departures.stopped:
        departures.stage = "posterior: curves left out"
        left_out = leave_out_curves(departures, discrepancy, prior, linear)
        if options.discrepancy is None:
            discrepancy = learn_inflation(discrepancy, left_out)
    return _sampled(departures, options, prior, discrepancy, linear, left_out)


def _space_prior(problem: CalibrationProblem) -> ParameterPrior:
    spreads = problem.space.spreads
    return ParameterPrior(problem.space.start, np.diag(np.where(np.isfinite(spreads), 1.0 / spreads**2, 0.0)))


def _discrepancy(departures: Departures, prior: ParameterPrior, linear: Linearisation) -> Mapping[str, Discrepancy]:
    """Estimate the discrepancy, then again with the number of parameters that the data determine by it."""
    plain = departures.plain(linear.departures)
    fitted = 0.0
    for _ in range(2):
        discrepancy = estimate_discrepancy(departures.blocks, plain, fitted=fitted)
        slopes = RowWeights(departures.blocks, discrepancy).apply(linear.jacobian)
        information = slopes.T @ slopes
        fitted = float(np.trace(np.linalg.solve(prior.proper_precision + information, information)))
    return estimate_discrepancy(departures.blocks, plain, fitted=fitted)


def _sampled(
    departures: Departures,
    options: PosteriorOptions,
    prior: ParameterPrior,
    discrepancy: Mapping[str, Discrepancy],
    linear: Linearisation,
    left_out: tuple[LeftOutCurve, ...],
) -> ParameterPosterior:
    weights = RowWeights(departures.blocks, discrepancy)
    slopes = weights.apply(linear.jacobian)
    constant = weights.apply(linear.departures)
    covariance = np.linalg.inv(prior.proper_precision + slopes.T @ slopes)
    factor = np.linalg.cholesky(covariance)
    warnings: list[str] = []
    density = _Density(linear.position, factor, prior, None, constant, slopes @ factor)
    random = np.random.default_rng(options.seed)
    chain = _run(density, random, options)
    emulator: Emulator | None = None
    if options.method == "emulator" and not departures.stopped:
        emulator, trained = _train(departures, options, weights, density, chain, warnings, random)
        if emulator is not None and emulator.cost_error <= TRUSTED:
            density = trained
            chain = _run(density, random, options)
        elif emulator is not None:
            warnings.append(
                f"the emulator misses half the sum of squares by {emulator.cost_error:.1f}: samples are Laplace's"
            )
            emulator = None
    if departures.stopped:
        warnings.append("stopped before the end: samples are Laplace's")
    if chain.effective < 200:
        warnings.append(f"the chains are worth {chain.effective:.0f} independent samples: intervals are uncertain")
    space = departures.problem.space
    at_bounds = space.near_bounds(linear.position)
    if at_bounds:
        warnings.append(f"the most probable values lie at their bounds: {', '.join(at_bounds)}")
    positions = linear.position + chain.samples @ factor.T
    samples = np.column_stack(
        [
            np.array([item.from_unit(float(at)) for at in column])
            for item, column in zip(space.parameters, positions.T, strict=True)
        ]
    )
    tail = 0.5 * (1.0 - LEVEL)
    spreads = positions.std(axis=0)
    normal = positions - positions.mean(axis=0)
    safe = np.maximum(spreads, 1e-12)
    correlation = normal.T @ normal / len(positions) / np.outer(safe, safe)
    determined = dict(zip(space.names, (spreads / prior.spread).tolist(), strict=True))
    _LOG.info("posterior from %d simulations in %.0f s", departures.evaluations, departures.seconds)
    return ParameterPosterior(
        names=space.names,
        units=tuple(item.unit for item in space.parameters),
        mean=freeze(samples.mean(axis=0)),
        standard_deviation=freeze(samples.std(axis=0)),
        correlation=freeze(correlation),
        samples=freeze(samples),
        positions=freeze(positions),
        intervals=freeze(np.quantile(samples, [tail, 1.0 - tail], axis=0).T.copy()),
        determined=MappingProxyType(determined),
        most_probable=freeze(linear.position.copy()),
        covariance=freeze(covariance),
        prior=prior,
        discrepancy=discrepancy,
        left_out=left_out,
        linear=linear,
        emulator=emulator,
        method="laplace" if emulator is None else "emulator",
        effective_samples=chain.effective,
        evaluations=departures.evaluations,
        seconds=departures.seconds,
        warnings=tuple(warnings),
        problem=departures.problem,
    )


@dataclass(frozen=True, eq=False)
class _Density:
    """Logarithm of the posterior over whitened positions: linear, or through an emulator."""

    origin: Array
    factor: Array
    prior: ParameterPrior
    emulator: Emulator | None
    constant: Array
    slopes: Array

    def __call__(self, whitened: Array) -> Array:
        positions = self.origin + whitened @ self.factor.T
        inside = np.all((positions >= 0.0) & (positions <= 1.0), axis=1)
        result = np.full(len(whitened), -np.inf)
        if not inside.any():
            return result
        away = positions[inside] - self.prior.mean
        result[inside] = -0.5 * np.sum((away @ self.prior.precision) * away, axis=1)
        if self.emulator is not None:
            result[inside] -= 0.5 * np.sum(self.emulator.predict(whitened[inside]) ** 2, axis=1)
            return result
        at = whitened[inside]
        information = self.slopes.T @ self.slopes
        result[inside] -= at @ (self.slopes.T @ self.constant) + 0.5 * np.sum((at @ information) * at, axis=1)
        return result


def _run(density: _Density, random: np.random.Generator, options: PosteriorOptions) -> Chain:
    size = density.origin.size
    starts = _inside(density, random, max(2 * size + 2, 32), 0.5)
    return sample_density(density, starts, steps=options.steps, seed=int(random.integers(2**31)))


def _inside(density: _Density, random: np.random.Generator, count: int, scale: float) -> Array:
    """Return normal samples of whitened positions, moved into the bounds."""
    whitened = scale * random.standard_normal((count, density.origin.size))
    positions = np.clip(density.origin + whitened @ density.factor.T, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.linalg.solve(density.factor, (positions - density.origin).T).T)


def _train(
    departures: Departures,
    options: PosteriorOptions,
    weights: RowWeights,
    density: _Density,
    chain: Chain,
    warnings: list[str],
    random: np.random.Generator,
) -> tuple[Emulator | None, _Density]:
    """Train on samples of the linear model's posterior, somewhat widened; then on samples of the first emulator's."""
    rows, size = density.slopes.shape
    limit = 0.5 * float(density.constant @ density.constant) + FAR * (size + 10)
    kept_samples, kept = np.empty((0, size)), np.empty((0, rows))
    lost = 0
    for turn, share in enumerate((0.6, 0.4)):
        departures.stage = f"posterior: training the emulator, turn {turn + 1}"
        count = max(int(share * options.simulations), 8)
        picks = chain.samples[random.choice(len(chain.samples), count, replace=len(chain.samples) < count)]
        widened = density.origin + ((1.25, 1.0)[turn] * picks) @ density.factor.T
        wanted = np.linalg.solve(density.factor, (np.clip(widened, 0.0, 1.0) - density.origin).T).T
        found = departures.evaluate_until_stopped(density.origin + wanted @ density.factor.T)
        white = weights.apply(found.T).T
        usable = 0.5 * np.sum(white**2, axis=1) < limit
        lost += int(np.count_nonzero(~usable))
        kept_samples = np.vstack([kept_samples, wanted[: len(found)][usable]])
        kept = np.vstack([kept, white[usable]])
        if departures.stopped:
            return None, density
        try:
            emulator = train_emulator(kept_samples, kept, density.constant, density.slopes)
        except ModelError as error:
            warnings.append(str(error))
            return None, density
        trained = replace(density, emulator=emulator)
        if turn == 0:
            chain = _run(trained, random, replace(options, steps=max(options.steps // 2, 100)))
    if lost > 0.1 * (lost + len(kept)):
        warnings.append(f"{lost} of {lost + len(kept)} simulations around the optimum failed or lay far off")
    return emulator, trained
