r"""How far calibrated values may be off: the same fit, to curves with other errors of the kind that the fit has left.

A calibration is an estimator: of curves :math:`y = f(x) + e` with errors :math:`e` of covariance :math:`C`, and of
priors' middles :math:`m` about the true values :math:`x`. Where the model is linear it errs by

.. math:: \hat x - x = A^{-1} (J^\top W e + P (m - x)), \quad A = J^\top W J + P,

with the weights :math:`W` of its cost, whatever they are. Fits to :math:`y + e'` about :math:`m + n'`, with draws
:math:`e'` of the errors and :math:`n'` of the priors, lie about :math:`\hat x` just so; in a model that is not linear,
each draw is still a cell that follows its curves.

References
----------
.. [1] D. S. Oliver, N. He and A. C. Reynolds, ECMOR V (1996) (randomised maximum likelihood).
.. [2] J. M. Bardsley, A. Solonen, H. Haario and M. Laine, SIAM J. Sci. Comput. 36 (2014) A1895.
.. [3] V. P. Godambe, Ann. Math. Statist. 31 (1960) 1208 (covariance of an estimator whose weights are not the errors').
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .calibration_problem import CalibrationProblem
from .cell_simulation import CellSimulation
from .posterior_discrepancy import (
    PRIOR_FREEDOM,
    Discrepancy,
    ParameterPrior,
    block_shares,
    block_slices,
    draw_errors,
    estimate_discrepancy,
)
from .posterior_refit import (
    CostWeights,
    Departures,
    LinearDepartures,
    Linearisation,
    RefitTask,
    cost_at,
    refit_many,
)

__all__ = ["FitResponse", "PerturbedFits", "discrepancy_of_fit", "perturb_fits", "reach_the_end", "with_share_left"]

LEAST_LEFT = 0.1  # share of the errors' variance that a fit is never taken to leave less of
ENOUGH = 0.05  # fall of the cost below which a perturbed fit ends, beside what a standard deviation makes
LINEAR_STEPS = 8
MOST_ROUNDS = 3  # of draws, until enough of them reach the end of the fitted curves


@dataclass(frozen=True, eq=False)
class FitResponse:
    """How a fit answers to errors, in the linear model.

    Attributes
    ----------
    response : ndarray of shape (d, n)
        Move of the fitted position for errors of the curves, in allowed departures.
    prior_response : ndarray of shape (d, d)
        Move of the fitted position for moves of the priors' middles.
    prior_covariance : ndarray of shape (d, d)
        Of the fitted position for priors' middles as far off as the priors allow.
    slopes : ndarray of shape (n, d)
        Derivative of the departures.
    curvature : ndarray of shape (d, d)
        Second derivative of the cost.
    """

    response: Array
    prior_response: Array
    prior_covariance: Array
    slopes: Array
    curvature: Array

    @classmethod
    def of(
        cls, departures: Departures, prior: ParameterPrior, linear: Linearisation, without: str | None = None
    ) -> FitResponse:
        """Return the response at a fit, to the curves that it was fitted to.

        Parameters
        ----------
        departures : Departures
            Of the problem.
        prior : ParameterPrior
            Of its parameters.
        linear : Linearisation
            At the fit.
        without : str, optional
            Name of a curve that was not fitted.
        """
        steep = departures.steepness(linear.departures)[:, np.newaxis]
        weighted = CostWeights(departures.problem).apply(linear.jacobian, without)
        curvature = weighted.T @ weighted + prior.proper_precision
        inverse = np.linalg.inv(curvature)
        response = inverse @ CostWeights(departures.problem).apply(weighted / steep, without).T
        proper = inverse @ prior.proper_precision @ inverse
        return cls(response, inverse @ prior.precision, proper, linear.jacobian * steep, curvature)

    def covariance(self, departures: Departures, discrepancy: Mapping[str, Discrepancy]) -> Array:
        """Return the covariance of the fitted position about the true one, shape (d, d)."""
        total = self.prior_covariance.copy()
        blocks = departures.blocks
        for block, rows in zip(blocks, block_slices(blocks), strict=True):
            part = self.response[:, rows]
            total += part @ discrepancy[block.quantity].covariance(block) @ part.T
        return np.asarray(total)


def discrepancy_of_fit(
    departures: Departures, prior: ParameterPrior, linear: Linearisation
) -> Mapping[str, Discrepancy]:
    """Estimate the model's errors from what a fit has left of them.

    Parameters
    ----------
    departures : Departures
        Of the problem.
    prior : ParameterPrior
        Of its parameters.
    linear : Linearisation
        At the fit.
    """
    left_over = estimate_discrepancy(departures.blocks, departures.plain(linear.departures))
    shared = with_share_left(left_over, departures, prior, linear)
    return MappingProxyType(
        {name: replace(about, scale=about.scale / about.left**0.5) for name, about in shared.items()}
    )


def with_share_left(
    discrepancy: Mapping[str, Discrepancy], departures: Departures, prior: ParameterPrior, linear: Linearisation
) -> Mapping[str, Discrepancy]:
    """Return discrepancies that know which share of their correlated variance a fit leaves on the fitted curves.

    The degrees of freedom are those that are left as well.
    """
    response = FitResponse.of(departures, prior, linear)
    remainder = np.eye(len(linear.departures)) - response.slopes @ response.response
    blocks, slices = departures.blocks, block_slices(departures.blocks)
    found = {}
    for name, about in discrepancy.items():
        plain = replace(about, noise=0.0)
        variance = np.zeros(len(linear.departures))
        before, after, independent = 0.0, 0.0, 0.0
        for block, rows in zip(blocks, slices, strict=True):
            if block.quantity == name:
                part = remainder[:, rows]
                variance += np.einsum("ij,jk,ik->i", part, plain.covariance(block), part)
        for block, rows in zip(blocks, slices, strict=True):
            if block.quantity == name:
                shares = block_shares(block)
                before += float(shares @ np.diag(plain.covariance(block)))
                after += float(shares @ variance[rows])
                independent += about.independent(block)
        left = min(max(after / before, LEAST_LEFT), 1.0)
        found[name] = replace(about, left=left, freedom=PRIOR_FREEDOM + left * independent)
    return MappingProxyType(found)


@dataclass(frozen=True, eq=False)
class PerturbedFits:
    """Fits to perturbed curves.

    Attributes
    ----------
    positions : ndarray of shape (n, d)
        Of those that reach the end of every fitted curve, in the unit cube.
    acceptance : float
        Their share of all.
    """

    positions: Array
    acceptance: float


def perturb_fits(
    departures: Departures,
    discrepancy: Mapping[str, Discrepancy],
    prior: ParameterPrior,
    linear: Linearisation,
    *,
    count: int,
    steps: int,
    simulated: bool,
    random: np.random.Generator,
) -> PerturbedFits:
    """Fit perturbed curves about perturbed priors.

    Every fit is made in the linear model first. In the simulated one it goes on from there, or from the calibrated
    position where simulations find that better. The cell did deliver the measured charge: simulated fits that end a
    fitted curve early are drawn again.

    Parameters
    ----------
    departures : Departures
        Evaluates candidates.
    discrepancy : mapping of str to Discrepancy
        Errors by quantity.
    prior : ParameterPrior
        Of the parameters.
    linear : Linearisation
        At the fit.
    count : int
        Fits that are wanted.
    steps : int
        Least-squares steps of each fit, at most.
    simulated : bool
        Whether curves are simulated, or follow the linear model.
    random : numpy.random.Generator
        Of the perturbations.
    """
    straight = LinearDepartures(departures, linear)
    weights = CostWeights(departures.problem)
    response = FitResponse.of(departures, prior, linear)
    # The rise of the cost by one standard deviation of one parameter: far below 1/2 where the cost trusts data less
    # than they deserve, far above where it trusts them more.
    rise = 0.5 * float(np.sum(response.curvature * response.covariance(departures, discrepancy))) / linear.position.size
    enough = ENOUGH * rise
    held = np.zeros(linear.position.size, dtype=bool)
    kept, tried, size = np.empty((0, held.size)), 0, count
    for _ in range(MOST_ROUNDS):
        errors, middles = _perturbations(departures, discrepancy, prior, response, size, random)
        tasks = [
            RefitTask(linear.position, held, errors=error, middle=middle)
            for error, middle in zip(errors, middles, strict=True)
        ]
        linear_steps = LINEAR_STEPS if simulated else steps
        expected = refit_many(straight, weights, prior, linear.jacobian, tasks, steps=linear_steps, enough=enough)
        positions = np.array([refit.position for refit in expected])
        if not simulated:
            return PerturbedFits(positions, float("nan"))
        tasks, begun = _starts(departures, weights, prior, linear, tasks, positions, rise)
        fits = refit_many(departures, weights, prior, linear.jacobian, tasks, steps=steps, enough=enough, begun=begun)
        positions = np.array([refit.position for refit in fits])
        if departures.stopped:
            break
        delivering = reach_the_end(departures.problem, positions)
        kept, tried = np.concatenate([kept, positions[delivering]]), tried + size
        if len(kept) >= count:
            break
        size = max(count - len(kept), 4)
    return PerturbedFits(kept[:count], len(kept) / max(tried, 1))


def _starts(
    departures: Departures,
    weights: CostWeights,
    prior: ParameterPrior,
    linear: Linearisation,
    tasks: Sequence[RefitTask],
    expected: Array,
    rise: float,
) -> tuple[list[RefitTask], Array]:
    """Return tasks that start where the linear model ends, or not moved where that is cheaper by more than a rise.

    Costs that differ by less are not told apart: the solver's own error is of that size where noise is small.
    """
    simulated = departures.evaluate(expected)
    chosen, begun = [], []
    for task, position, found in zip(tasks, expected, simulated, strict=True):
        moved = cost_at(departures, weights, prior, task, position, found)
        still = cost_at(departures, weights, prior, task, task.start, linear.departures)
        takes = moved < still + rise
        chosen.append(replace(task, start=position) if takes else task)
        begun.append(found if takes else linear.departures)
    return chosen, np.array(begun)


def _perturbations(
    departures: Departures,
    discrepancy: Mapping[str, Discrepancy],
    prior: ParameterPrior,
    response: FitResponse,
    count: int,
    random: np.random.Generator,
) -> tuple[Array, Array]:
    """Return errors of curves and middles of priors, to which linear fits move with just their mean and covariance.

    Few draws of many parameters have a sample covariance far from the true one. It is known how linear fits move:
    errors and middles are changed by what they have in common with it (second-order exact sampling, D. T. Pham,
    Mon. Weather Rev. 129 (2001) 1194).
    """
    errors = draw_errors(departures.blocks, discrepancy, count, random)
    away = prior.draw(count, random) - prior.mean
    size = away.shape[1]
    if count < 2 * size:
        return errors, prior.mean + away
    shared = np.zeros((errors.shape[1], size))
    for block, rows in zip(departures.blocks, block_slices(departures.blocks), strict=True):
        shared[rows] = discrepancy[block.quantity].covariance(block) @ response.response[:, rows].T
    own = response.prior_response.T * (np.diag(prior.precision) > 0.0)[:, np.newaxis]
    own = np.linalg.pinv(prior.precision, hermitian=True) @ own
    covariance = response.response @ shared + response.prior_response @ own
    values, vectors = np.linalg.eigh(covariance)
    moving = values > 1e-10 * values.max()
    to_white = vectors[:, moving] / np.sqrt(values[moving])
    white = (errors @ response.response.T + away @ response.prior_response.T) @ to_white
    centred = white - white.mean(axis=0)
    spread, axes = np.linalg.eigh(centred.T @ centred / (count - 1))
    change = centred @ ((axes / np.sqrt(spread)) @ axes.T) - white
    return errors + change @ (shared @ to_white).T, prior.mean + away + change @ (own @ to_white).T


def reach_the_end(problem: CalibrationProblem, positions: Array, *, share: float | None = None) -> NDArray[np.bool_]:
    """Return which candidates reach the end of every fitted curve, shape (n,).

    Parameters
    ----------
    problem : CalibrationProblem
        Curves and model.
    positions : ndarray of shape (n, d)
        In the unit cube.
    share : float, optional
        Of each curve's duration that is enough; where not given, all but three times the error in time that the
        cost and the curve's source allow.
    """
    candidates = [problem.values(position) for position in positions]
    reached = np.ones(len(positions), dtype=bool)
    for curve in problem.curves:
        last = np.flatnonzero(curve.scored)[-1:].astype(np.int64)
        end = float(curve.time[last[0]])
        doubt = 3.0 * float(np.hypot(problem.cost_options.time * end, 0.2 * curve.time_uncertainty))
        enough = end - doubt if share is None else share * end
        found = CellSimulation(problem.model, curve, last).solve_many(candidates)
        reached &= np.array([result.end >= enough - 1e-6 for result in found], dtype=bool)
    return reached
