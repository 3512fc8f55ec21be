"""Sobol sensitivity: which share of a curve's variance each parameter is answerable for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, ModelError, freeze

from .optimisers import Progress
from .posterior import ParameterPosterior
from .posterior_emulator import train_emulator
from .posterior_refit import Departures

__all__ = ["CurveSensitivity", "sobol_sensitivity"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveSensitivity:
    """Sensitivity of one quantity of one curve.

    Attributes
    ----------
    curve : str
        Name of the curve.
    quantity : {"voltage", "temperature"}
        What varies.
    names : tuple of str
        Parameters.
    first : ndarray of shape (d,)
        Share of the variance along the curve that each parameter causes alone.
    total : ndarray of shape (d,)
        Share that vanishes when the parameter is fixed, interactions included.
    confidence : ndarray of shape (d,)
        Half width of the 95 % confidence interval of ``total``, from sampling.
    deviation : float
        Root mean square over the curve of the standard deviation that all parameters cause [V] or [K].
    accuracy : float
        Share of the variance that the emulator confirms in simulations left out of its training (1 is exact).
    """

    curve: str
    quantity: str
    names: tuple[str, ...]
    first: Array
    total: Array
    confidence: Array
    deviation: float
    accuracy: float

    def ranked(self) -> tuple[tuple[str, float], ...]:
        """Return parameters and their total share, the largest first."""
        order = np.argsort(-self.total)
        return tuple((self.names[index], float(self.total[index])) for index in order)


def sobol_sensitivity(
    posterior: ParameterPosterior,
    *,
    span: float = 0.5,
    simulations: int = 160,
    samples: int = 512,
    seed: int = 0,
    progress: Callable[[Progress], bool | None] | None = None,
) -> tuple[CurveSensitivity, ...]:
    r"""Return first and total indices of each fitted curve's voltage and temperature.

    Parameters vary independently and evenly about the most probable values, by a share of their priors' standard
    deviations. Simulations of a Latin hypercube train an emulator of each curve's principal components; indices of
    components are weighted with their variance:

    .. math:: S_i = \sum_k \lambda_k S_i^{(k)} / \sum_k \lambda_k

    Parameters
    ----------
    posterior : ParameterPosterior
        Gives the most probable values and the problem.
    span : float
        Half width of what a parameter varies by, in standard deviations of its prior.
    simulations : int
        For training.
    samples : int
        Base samples of the indices, a power of two; each costs two evaluations of the emulator more than there are
        parameters.
    seed : int
        Of the random numbers.
    progress : callable, optional
        Called with :class:`Progress`; returns False to stop training early.

    Raises
    ------
    ModelError
        If fewer than a dozen simulations reach the end of the curves.

    References
    ----------
    .. [1] I. M. Sobol, Math. Comput. Simul. 55 (2001) 271.
    .. [2] A. Saltelli et al., Comput. Phys. Commun. 181 (2010) 259.
    .. [3] M. Lamboni, H. Monod and D. Makowski, Reliab. Eng. Syst. Saf. 96 (2011) 450 (curves as output).
    .. [4] T. Iwanaga, W. Usher and J. Herman, Socio-Environ. Syst. Model. 4 (2022) 18155 (SALib).
    """
    from scipy.stats import qmc

    space = posterior.problem.space
    centre = np.asarray(posterior.centre)
    half = span * posterior.prior.spread
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    departures = Departures(posterior.problem, progress, "sensitivity: training")
    unit = qmc.LatinHypercube(space.size, seed=np.random.default_rng(seed)).random(simulations)
    found = departures.evaluate_until_stopped(low + unit * (high - low))
    # A penalised row lies far off; simulations that lost more than a fifth of the curve say nothing of the rest.
    usable = np.all(np.isfinite(found), axis=1) & (np.sqrt(np.mean(found**2, axis=1)) < _far(found))
    unit, found = unit[: len(found)][usable], found[usable]
    if len(found) < 12:
        raise ModelError(
            f"{len(found)} of {len(usable)} simulations reach the end of the curves",
            remedy="Let the parameters vary less: a smaller span",
        )
    corner = 2.0 * unit - 1.0
    result, at = [], 0
    for block in departures.blocks:
        rows = slice(at, at + block.rows.size)
        at = rows.stop
        result.append(
            _indices(
                corner,
                found[:, rows] * block.deviation,
                names=space.names,
                curve=block.curve.name,
                quantity=block.quantity,
                samples=samples,
                seed=seed,
            )
        )
    return tuple(result)


def _far(found: Array) -> float:
    return 20.0 * float(np.median(np.sqrt(np.mean(np.nan_to_num(found, nan=1e9, posinf=1e9) ** 2, axis=1))))


def _indices(
    corner: Array, values: Array, *, names: tuple[str, ...], curve: str, quantity: str, samples: int, seed: int
) -> CurveSensitivity:
    """Return the indices of one quantity; ``corner`` are positions in [-1, 1], ``values`` departures [V] or [K]."""
    from SALib.analyze import sobol as analyse
    from SALib.sample import sobol as sample

    mean = values.mean(axis=0)
    about = values - mean
    size = max(float(np.sqrt(np.mean(about**2))), 1e-12)
    # The linear part by ridge regression; the emulator adds the rest.
    ridge = corner.T @ corner + 1e-3 * len(corner) * np.eye(corner.shape[1])
    slopes = np.linalg.solve(ridge, corner.T @ about).T
    emulator = train_emulator(corner, about / size, np.zeros(mean.size), slopes / size)
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[-1.0, 1.0]] * len(names)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = sample.sample(problem, samples, calc_second_order=False, seed=seed)
        vectors = emulator.predict(points)
        centred = vectors - vectors.mean(axis=0)
        _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
        shares = strengths**2 / np.sum(strengths**2)
        count = min(int(np.searchsorted(np.cumsum(shares), 0.995)) + 1, 5)
        first, total, confidence = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
        for index in range(count):
            weight = shares[index] / shares[:count].sum()
            scores = centred @ directions[index]
            got = analyse.analyze(
                problem, scores, calc_second_order=False, num_resamples=40, seed=seed, print_to_console=False
            )
            first += weight * np.asarray(got["S1"])
            total += weight * np.asarray(got["ST"])
            confidence += weight * np.asarray(got["ST_conf"])
    missed = about / size - corner @ (slopes / size).T
    left = float(np.sum(missed**2)) * (1.0 - _confirmed(emulator.accuracy, missed))
    return CurveSensitivity(
        curve=curve,
        quantity=quantity,
        names=names,
        first=freeze(first),
        total=freeze(total),
        confidence=freeze(confidence),
        deviation=size,
        accuracy=1.0 - left / float(np.sum((about / size) ** 2)),
    )


def _confirmed(accuracy: Array, missed: Array) -> float:
    """Return the share of what the linear part misses that components left out confirm."""
    strengths = np.linalg.svd(missed, compute_uv=False) ** 2
    return float(np.sum(accuracy * strengths[: accuracy.size]) / max(float(np.sum(strengths)), 1e-300))
