"""What a model's residuals are like: a discrepancy that is correlated along a curve, and the sensor's noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .calibration_problem import ResidualBlock

__all__ = [
    "Discrepancy",
    "ParameterPrior",
    "RowWeights",
    "block_progress",
    "block_rate",
    "block_shares",
    "block_slices",
    "draw_errors",
    "estimate_discrepancy",
    "robust_deviation",
]

QUANTITIES = ("voltage", "temperature")
JITTER = 1e-6  # added to correlations, so that a Cholesky factor exists
# Prior of a discrepancy's logarithms: scale beside the allowed departure, correlation length beside the duration,
# noise beside the stated one; and of its growth with rate, which an error in a resistance makes 1.
PRIOR_MEAN = np.array([math.log(0.5), math.log(0.2), 0.0, 1.0])
PRIOR_SPREAD = np.array([1.5, 0.35, 0.7, 0.5])
LOW = np.array([math.log(1e-3), math.log(0.03), math.log(0.1), -0.5])
HIGH = np.array([math.log(1e2), math.log(0.6), math.log(30.0), 3.0])
EVEN_ROWS = 48  # of each curve, from which scale and length are estimated
OUTLYING = 2.5  # robust deviations beyond which a departure counts as one of so many
QUANTILE_90 = 1.6449  # of the absolute value of a standard normal variable
PRIOR_FREEDOM = 4.0  # independent values that the assumed scale counts for beside those seen


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    r"""Covariance of departures of one quantity from the model at its best parameters.

    .. math:: C_{ij} = d_i d_j\, \tau^2 (r / r_0)^{2\gamma}\, e^{-|s_i - s_j| / \ell} + \nu^2 \sigma^2 \delta_{ij}

    with the allowed departure :math:`d`, the share :math:`s` of the duration, the curve's mean current :math:`r` and
    the sensor's stated noise :math:`\sigma`.

    Attributes
    ----------
    scale : float
        Standard deviation :math:`\tau` at the reference rate, in allowed departures.
    length : float
        Correlation length :math:`\ell`, as a share of the duration.
    noise : float
        Sensor's noise in units of the stated one, :math:`\nu`.
    growth : float
        Exponent of the rate, :math:`\gamma`.
    reference_rate : float
        Mean current :math:`r_0` [A].
    left : float
        Share of the correlated variance that is left on fitted curves, where parameters have taken up the rest.
    inflation : float
        What variances of curves that were not fitted are multiplied by: what leaving out one fitted curve at a time
        has shown, pooled with 1.
    freedom : float
        Degrees of freedom of Student's distribution for intervals: independent values that the scale rests on.
    """

    scale: float
    length: float
    noise: float
    growth: float
    reference_rate: float
    left: float = 1.0
    inflation: float = 1.0
    freedom: float = PRIOR_FREEDOM

    def scale_at(self, rate: float) -> float:
        """Return the standard deviation of the discrepancy of a curve, in allowed departures."""
        return float(self.scale * (abs(rate) / self.reference_rate) ** self.growth)

    def covariance(self, block: ResidualBlock) -> Array:
        """Return the covariance of a block's departures, each in allowed departures, shape (n, n)."""
        progress = block_progress(block)
        correlation = np.exp(-np.abs(progress[:, np.newaxis] - progress) / self.length)
        correlation[np.diag_indices_from(correlation)] += JITTER
        white = (self.noise * _stated_noise(block) / block.deviation) ** 2
        return np.asarray(self.scale_at(block_rate(block)) ** 2 * correlation + np.diag(white))

    def variance(self, block: ResidualBlock) -> Array:
        """Return the variance of a block's departures at the true parameters [V^2] or [K^2], shape (n,)."""
        correlated = (self.scale_at(block_rate(block)) * block.deviation) ** 2
        return np.asarray(correlated + (self.noise * _stated_noise(block)) ** 2)

    def variance_left(self, block: ResidualBlock) -> Array:
        """Return the variance of a fitted block's departures at the fitted parameters [V^2] or [K^2], shape (n,)."""
        correlated = self.left * (self.scale_at(block_rate(block)) * block.deviation) ** 2
        return np.asarray(correlated + (self.noise * _stated_noise(block)) ** 2)

    def independent(self, block: ResidualBlock) -> float:
        """Return how many independent values a block stands for: those whose mean varies as little as its own."""
        covariance = self.covariance(block)
        spread = np.sqrt(np.diag(covariance))
        shares = block_shares(block)
        return float(1.0 / (shares @ (covariance / np.outer(spread, spread)) @ shares))


@dataclass(frozen=True, eq=False)
class ParameterPrior:
    """A normal distribution over the unit cube, cut off at its faces.

    Attributes
    ----------
    mean : ndarray of shape (d,)
        Its middle.
    precision : ndarray of shape (d, d)
        Inverse covariance; zero in directions in which everything within the bounds is as likely.
    """

    mean: Array
    precision: Array

    @property
    def root(self) -> Array:
        """A matrix whose product with its transpose, from the left, is the precision, shape (d, d)."""
        values, vectors = np.linalg.eigh(self.precision)
        return np.asarray(np.sqrt(np.maximum(values, 0.0))[:, np.newaxis] * vectors.T)

    def draw(self, count: int, random: np.random.Generator) -> Array:
        """Return positions drawn from it, bounds unheeded, shape (count, d); the middle where it knows nothing."""
        values, vectors = np.linalg.eigh(self.precision)
        known = values > 1e-12 * max(float(values.max()), 1e-300)
        widths = np.where(known, 1.0 / np.sqrt(np.where(known, values, 1.0)), 0.0)
        return np.asarray(self.mean + (random.standard_normal((count, values.size)) * widths) @ vectors.T)

    @property
    def proper_precision(self) -> Array:
        """The precision, with that of an even distribution over the bounds where it is zero."""
        diagonal = np.diag(self.precision)
        return np.asarray(self.precision + np.diag(np.where(diagonal > 0.0, 0.0, 12.0)))

    @property
    def spread(self) -> Array:
        """Standard deviation of each parameter within the bounds, the others unknown, shape (d,)."""
        from scipy.stats import truncnorm

        wide = np.sqrt(np.diag(np.linalg.inv(self.proper_precision)))
        flat = np.diag(self.precision) <= 0.0
        low, high = (0.0 - self.mean) / wide, (1.0 - self.mean) / wide
        inside = truncnorm.std(np.minimum(low, -1e-9), np.maximum(high, 1e-9)) * wide
        return np.asarray(np.where(flat, 12.0**-0.5, inside))


class RowWeights:
    r"""Weighs departures so that half their sum of squares is minus a log-likelihood.

    Rows of a curve are correlated: together they are worth the discrepancy's number of independent values,
    :math:`n_\mathrm{eff}`, and each its share :math:`h_i` of them,

    .. math:: -\log L = \tfrac12 \sum_i n_\mathrm{eff} h_i z_i^2 / (C_{ii} / d_i^2).

    Parameters
    ----------
    blocks : sequence of ResidualBlock
        In the order of the departures.
    discrepancies : mapping of str to Discrepancy
        By quantity.

    References
    ----------
    .. [1] M. Ribatet, D. Cooley and A. C. Davison, Statistica Sinica 22 (2012) 813 (weighed likelihoods).
    """

    def __init__(self, blocks: Sequence[ResidualBlock], discrepancies: Mapping[str, Discrepancy]) -> None:
        self.blocks = tuple(blocks)
        self._weights = []
        for block in self.blocks:
            about = discrepancies[block.quantity]
            variance = np.diag(about.covariance(block))
            self._weights.append(np.sqrt(about.independent(block) * block_shares(block) / variance))

    def apply(self, departures: Array, without: str | None = None) -> Array:
        """Return weighted departures.

        Parameters
        ----------
        departures : ndarray of shape (n,) or (n, m)
            In allowed departures.
        without : str, optional
            Name of a curve whose rows become zero.
        """
        weights = [
            np.zeros_like(weight) if block.curve.name == without else weight
            for block, weight in zip(self.blocks, self._weights, strict=True)
        ]
        weight = np.concatenate(weights)
        return np.asarray(departures * (weight if departures.ndim == 1 else weight[:, np.newaxis]))


def block_progress(block: ResidualBlock) -> Array:
    """Return the share of its curve's duration at each row of a block, shape (n,)."""
    time = np.asarray(block.curve.time)
    return np.asarray((time[block.rows] - time[0]) / (time[-1] - time[0]))


def block_rate(block: ResidualBlock) -> float:
    """Return the mean of a curve's absolute current [A]."""
    curve = block.curve
    span = float(curve.time[-1] - curve.time[0])
    return max(float(np.trapezoid(np.abs(curve.current), curve.time)) / span, 1e-9)


def block_shares(block: ResidualBlock) -> Array:
    """Return the share of its curve that each row of a block stands for, shape (n,); they sum to 1."""
    share = (block.weight * block.deviation) ** 2
    return np.asarray(share / share.sum())


def block_slices(blocks: Sequence[ResidualBlock]) -> list[slice]:
    """Return where each block's rows lie among the departures."""
    edges = np.cumsum([0, *(block.rows.size for block in blocks)])
    return [slice(int(first), int(last)) for first, last in itertools.pairwise(edges)]


def draw_errors(
    blocks: Sequence[ResidualBlock],
    discrepancies: Mapping[str, Discrepancy],
    count: int,
    random: np.random.Generator,
) -> Array:
    """Return departures such as a model's discrepancy and sensors make, in allowed departures, shape (count, n)."""
    parts = []
    for block in blocks:
        factor = np.linalg.cholesky(discrepancies[block.quantity].covariance(block))
        parts.append(random.standard_normal((count, block.rows.size)) @ factor.T)
    return np.concatenate(parts, axis=1)


def estimate_discrepancy(blocks: Sequence[ResidualBlock], departures: Array) -> Mapping[str, Discrepancy]:
    r"""Find the discrepancy of each quantity that makes the departures at the optimum most likely.

    Departures are held to within 2.5 deviations that hold 90 % of the curve: the collapse of voltage at the end of
    discharge says nothing of the rest. What fitted parameters have taken up is missing from it.

    Parameters
    ----------
    blocks : sequence of ResidualBlock
        In the order of the departures.
    departures : ndarray of shape (n,)
        Simulated less measured at the optimum, in allowed departures.

    References
    ----------
    .. [1] M. C. Kennedy and A. O'Hagan, J. R. Statist. Soc. B 63 (2001) 425.
    """
    parts = [departures[rows] for rows in block_slices(blocks)]
    found = {}
    for name in QUANTITIES:
        chosen = [(block, part) for block, part in zip(blocks, parts, strict=True) if block.quantity == name]
        if chosen:
            even = [_even_rows(block) for block, _ in chosen]
            kept = [
                _without_outliers(part, block_shares(block))[rows]
                for (block, part), rows in zip(chosen, even, strict=True)
            ]
            blocks_kept = [_at_rows(block, rows) for (block, _), rows in zip(chosen, even, strict=True)]
            found[name] = _most_likely(blocks_kept, kept)
    return MappingProxyType(
        {
            name: replace(
                about,
                freedom=PRIOR_FREEDOM + sum(about.independent(block) for block in blocks if block.quantity == name),
            )
            for name, about in found.items()
        }
    )


def robust_deviation(values: Array, shares: Array) -> float:
    """Return the standard deviation of a normal distribution whose central 90 % hold as much of the shares.

    Parameters
    ----------
    values, shares : ndarray of shape (n,)
        About zero; what each stands for, 1 in sum.
    """
    size = np.abs(values)
    order = np.argsort(size)
    return float(np.interp(0.9, np.cumsum(shares[order]), size[order]) / QUANTILE_90)


def _even_rows(block: ResidualBlock) -> NDArray[np.int64]:
    """Return rows about evenly apart in time: rows that lie close to each other would rule the likelihood."""
    progress = block_progress(block)
    wanted = np.linspace(progress[0], progress[-1], EVEN_ROWS)
    return np.unique(np.abs(progress[:, np.newaxis] - wanted).argmin(axis=0)).astype(np.int64)


def _at_rows(block: ResidualBlock, rows: NDArray[np.int64]) -> ResidualBlock:
    chosen = {name: getattr(block, name)[rows] for name in ("rows", "measured", "deviation", "weight")}
    return replace(block, **chosen)


def _without_outliers(values: Array, shares: Array) -> Array:
    """Return values moved to within some robust deviations: the collapse at the end says nothing of the rest."""
    limit = OUTLYING * max(robust_deviation(values, shares), 1e-9)
    return np.asarray(np.clip(values, -limit, limit))


def _most_likely(blocks: Sequence[ResidualBlock], parts: Sequence[Array]) -> Discrepancy:
    from scipy.optimize import minimize

    rates = [block_rate(block) for block in blocks]
    reference = float(np.exp(np.mean(np.log(rates))))
    # Growth cannot be seen in curves of one rate: it stays where its prior has it.
    free = np.array([True, True, True, max(rates) > 1.05 * min(rates)])

    def assemble(numbers: Array) -> Discrepancy:
        full = PRIOR_MEAN.copy()
        full[free] = numbers
        return Discrepancy(
            scale=math.exp(full[0]),
            length=math.exp(full[1]),
            noise=math.exp(full[2]),
            growth=float(full[3]),
            reference_rate=reference,
        )

    def surprise(numbers: Array) -> float:
        about = assemble(numbers)
        total = 0.5 * float(np.sum(((numbers - PRIOR_MEAN[free]) / PRIOR_SPREAD[free]) ** 2))
        for block, part in zip(blocks, parts, strict=True):
            factor = np.linalg.cholesky(about.covariance(block))
            solved = np.linalg.solve(factor, part)
            total += 0.5 * float(solved @ solved) + float(np.sum(np.log(np.diag(factor))))
        return total

    bounds = list(zip(LOW[free], HIGH[free], strict=True))
    best = minimize(surprise, PRIOR_MEAN[free], method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return assemble(np.asarray(best.x))


def _stated_noise(block: ResidualBlock) -> float:
    noise = block.curve.voltage_noise if block.quantity == "voltage" else block.curve.temperature_noise
    return max(noise, 1e-6)
