"""What measurements leave open: the posterior of a calibrated cell's parameters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from celltwin.core import Array, ModelError, freeze

from .calibration_problem import CalibrationProblem
from .optimisers import Progress
from .parameter_space import ParameterSpace
from .posterior_chains import ChainOptions, run_chains
from .posterior_discrepancy import Discrepancy, ParameterPrior, RowWeights
from .posterior_emulator import Emulator
from .posterior_left_out import LeftOutCurve, learn_inflation, leave_out_curves
from .posterior_perturbed import FitResponse, discrepancy_of_fit, perturb_fits, reach_the_end, with_share_left
from .posterior_refit import Departures, Linearisation, linearise

if TYPE_CHECKING:
    from .calibrate import CalibrationResult

__all__ = ["ParameterPosterior", "PosteriorOptions", "posterior_at", "posterior_of"]

_LOG = logging.getLogger(__name__)
LEVEL = 0.95  # of parameters' intervals
LINEAR_DRAWS = 256
MANY = 200  # samples from which quantiles of 95 % are taken as they are
LINEAR_STEPS = 8
FEWEST_DRAWS = 12  # fits to perturbed curves that a posterior can rest on
REACHED = 0.98  # share of every fitted curve that the calibrated model must reach
OFTEN = 0.9  # share of draws that reach the end of the fitted curves below which it is said


@dataclass(frozen=True, kw_only=True)
class PosteriorOptions:
    """How a posterior is found.

    Attributes
    ----------
    method : {"refits", "laplace", "emulator"}
        Fits to perturbed curves about the calibrated values, simulated or in the linear model; or Markov chains
        through an emulator, about the values most probable under a weighed likelihood and the priors.
    draws : int
        Fits to perturbed curves.
    fit_steps : int
        Least-squares steps of each, at most.
    simulations : int
        Candidates that the emulator is trained on, each on all fitted curves.
    steps : int
        Moves of every walker of the Markov chains.
    rounds : int
        How often the chains' most probable parameters and the Jacobian there are found in turn.
    leave_out : bool
        Whether each fitted curve is predicted from the others to learn how intervals grow beyond the fitted rates.
    seed : int
        Of the random numbers.
    prior : ParameterPrior, optional
        In place of the parameter space's.
    discrepancy : mapping of str to Discrepancy, optional
        By quantity, such as a sister cell's, where there are too few curves to learn it.
    """

    method: Literal["refits", "laplace", "emulator"] = "refits"
    draws: int = 48
    fit_steps: int = 12
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
    centre : ndarray of shape (d,)
        Calibrated position in the unit cube; the most probable one where chains were run.
    covariance : ndarray of shape (d, d)
        Of the linear model about it, in the unit cube.
    prior : ParameterPrior
        As used.
    discrepancy : mapping of str to Discrepancy
        By quantity.
    left_out : tuple of LeftOutCurve
        How each fitted curve was predicted from the others.
    linear : Linearisation
        Model about ``centre``.
    emulator : Emulator or None
        Of weighted departures over whitened positions.
    method : {"refits", "laplace", "emulator"}
        What the samples are.
    acceptance : float
        Share of the fits to perturbed curves that reach the end of all fitted curves: the others were drawn again.
        Not a number where curves were not simulated.
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
    centre: Array
    covariance: Array
    prior: ParameterPrior
    discrepancy: Mapping[str, Discrepancy]
    left_out: tuple[LeftOutCurve, ...]
    linear: Linearisation
    emulator: Emulator | None
    method: str
    acceptance: float
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
    """Find how far the parameters of a problem may lie from those fitted.

    Residuals of a physical model are correlated along a curve, and fitted parameters have taken up part of the
    model's errors: both are found first. Then the fit is repeated to curves with errors drawn anew.

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
        with the posterior of the linear model.

    Raises
    ------
    ModelError
        If the model does not reach the end of the curves at the position.
    """
    options = options or PosteriorOptions()
    departures = Departures(problem, progress, "posterior: linear model")
    prior = options.prior or _space_prior(problem)
    position = np.clip(np.asarray(position, dtype=np.float64), 0.0, 1.0)
    if not reach_the_end(problem, position[np.newaxis], share=REACHED).all():
        raise ModelError(
            "at the calibrated parameters the model does not reach the end of the fitted curves",
            where=", ".join(curve.name for curve in problem.curves),
            remedy="Calibrate longer, or leave out curves that the model cannot follow",
        )
    linear = linearise(departures, position)
    if options.discrepancy is None:
        discrepancy = discrepancy_of_fit(departures, prior, linear)
    else:
        discrepancy = with_share_left(options.discrepancy, departures, prior, linear)
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


@dataclass(eq=False)
class _Samples:
    """Positions, what they are, and what they lie about."""

    method: str
    positions: Array
    linear: Linearisation
    covariance: Array
    effective: float
    acceptance: float = float("nan")
    emulator: Emulator | None = None


def _sampled(
    departures: Departures,
    options: PosteriorOptions,
    prior: ParameterPrior,
    discrepancy: Mapping[str, Discrepancy],
    linear: Linearisation,
    left_out: tuple[LeftOutCurve, ...],
) -> ParameterPosterior:
    random = np.random.default_rng(options.seed)
    warnings: list[str] = []
    found: _Samples | None = None
    if options.method == "emulator" and not departures.stopped:
        how = ChainOptions(simulations=options.simulations, steps=options.steps, rounds=options.rounds)
        chains, warnings = run_chains(departures, discrepancy, prior, linear, how, random)
        if chains is not None:
            found = _Samples(
                "emulator",
                chains.positions,
                chains.linear,
                chains.covariance,
                chains.effective,
                emulator=chains.emulator,
            )
    if found is None:
        found = _fitted_anew(departures, options, prior, discrepancy, linear, warnings, random)
    space = departures.problem.space
    at_bounds = space.near_bounds(found.linear.position)
    if at_bounds:
        warnings.append(f"values lie at their bounds: {', '.join(at_bounds)}")
    positions = found.positions
    samples = _values(space, positions)
    spreads = positions.std(axis=0, ddof=1)
    normal = (positions - positions.mean(axis=0)) / np.maximum(spreads, 1e-12)
    correlation = normal.T @ normal / (len(positions) - 1)
    determined = dict(zip(space.names, (spreads / prior.spread).tolist(), strict=True))
    _LOG.info("posterior from %d simulations in %.0f s", departures.evaluations, departures.seconds)
    return ParameterPosterior(
        names=space.names,
        units=tuple(item.unit for item in space.parameters),
        mean=freeze(samples.mean(axis=0)),
        standard_deviation=freeze(samples.std(axis=0, ddof=1)),
        correlation=freeze(correlation),
        samples=freeze(samples),
        positions=freeze(positions),
        intervals=freeze(_values(space, _intervals(positions)).T.copy()),
        determined=MappingProxyType(determined),
        centre=freeze(found.linear.position.copy()),
        covariance=freeze(found.covariance),
        prior=prior,
        discrepancy=discrepancy,
        left_out=left_out,
        linear=found.linear,
        emulator=found.emulator,
        method=found.method,
        acceptance=found.acceptance,
        effective_samples=found.effective,
        evaluations=departures.evaluations,
        seconds=departures.seconds,
        warnings=tuple(warnings),
        problem=departures.problem,
    )


def _fitted_anew(
    departures: Departures,
    options: PosteriorOptions,
    prior: ParameterPrior,
    discrepancy: Mapping[str, Discrepancy],
    linear: Linearisation,
    warnings: list[str],
    random: np.random.Generator,
) -> _Samples:
    """Return fits to perturbed curves: simulated where that is asked for and not stopped, else linear."""
    covariance = FitResponse.of(departures, prior, linear).covariance(departures, discrepancy)
    if options.method != "laplace" and not departures.stopped:
        departures.stage = "posterior: fits to perturbed curves"
        fits = perturb_fits(
            departures,
            discrepancy,
            prior,
            linear,
            count=options.draws,
            steps=options.fit_steps,
            simulated=True,
            random=random,
        )
        if len(fits.positions) >= FEWEST_DRAWS:
            if fits.acceptance < OFTEN:
                warnings.append(
                    f"{100.0 * (1.0 - fits.acceptance):.0f} % of the fits to perturbed curves ended a fitted curve "
                    "early and were drawn again"
                )
            return _Samples("refits", fits.positions, linear, covariance, float(len(fits.positions)), fits.acceptance)
        if not departures.stopped:
            warnings.append(
                "too few fits to perturbed curves reach the end of the fitted curves: samples are Laplace's"
            )
    if departures.stopped:
        warnings.append("stopped before the end: samples are Laplace's")
    fits = perturb_fits(
        departures,
        discrepancy,
        prior,
        linear,
        count=LINEAR_DRAWS,
        steps=LINEAR_STEPS,
        simulated=False,
        random=random,
    )
    return _Samples("laplace", fits.positions, linear, covariance, float(len(fits.positions)))


def _intervals(positions: Array) -> Array:
    """Return lower and upper ends in the unit cube, shape (2, d): quantiles of many samples, Student's of few."""
    from scipy.stats import t

    tail = 0.5 * (1.0 - LEVEL)
    if len(positions) >= MANY:
        return np.asarray(np.quantile(positions, [tail, 1.0 - tail], axis=0))
    reach = float(t.ppf(1.0 - tail, len(positions) - 1)) * positions.std(axis=0, ddof=1)
    middle = positions.mean(axis=0)
    return np.asarray(np.clip(np.array([middle - reach, middle + reach]), 0.0, 1.0))


def _values(space: ParameterSpace, positions: Array) -> Array:
    """Return positions in units of the parameters, shape (n, d)."""
    return np.column_stack(
        [
            np.array([item.from_unit(float(at)) for at in column])
            for item, column in zip(space.parameters, positions.T, strict=True)
        ]
    )
