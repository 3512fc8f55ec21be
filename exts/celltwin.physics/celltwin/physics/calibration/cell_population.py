r"""Many cells of one type as one population: mean, covariance, and every cell's estimate drawn towards them.

Each cell's data say what they say as a Gaussian over its coordinates, in the form of a precision :math:`\Lambda_i` and
a pull :math:`\eta_i` (precision times best value), which exists where the data determine some directions only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, ModelError, freeze

__all__ = ["CellEvidence", "Population", "fit_population"]

_LEAST = 1e-6  # share of the starting width below which a width counts as nought


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEvidence:
    """What the data of one cell say about its coordinates, without any prior.

    Attributes
    ----------
    cell : str
        Name of the cell.
    names : tuple of str
        Coordinates.
    precision : ndarray of shape (n, n)
        Inverse covariance; zero in directions that the data say nothing about.
    pull : ndarray of shape (n,)
        Precision times the best value.
    """

    cell: str
    names: tuple[str, ...]
    precision: Array
    pull: Array

    def __post_init__(self) -> None:
        """Check shapes and numbers, and make the arrays read-only."""
        size = len(self.names)
        if self.precision.shape != (size, size) or self.pull.shape != (size,):
            raise ModelError(
                f"cell {self.cell}: precision {self.precision.shape} and pull {self.pull.shape} do not fit "
                f"{size} coordinates"
            )
        if not (np.isfinite(self.precision).all() and np.isfinite(self.pull).all()):
            raise ModelError(
                f"cell {self.cell}: its data give no finite estimate",
                remedy="Leave the cell out, or refit it from values nearer to it",
            )
        object.__setattr__(self, "precision", freeze(0.5 * (self.precision + self.precision.T)))
        object.__setattr__(self, "pull", freeze(self.pull))

    @classmethod
    def of(cls, cell: str, names: Sequence[str], values: Array, covariance: Array) -> CellEvidence:
        """Return the evidence of an estimate with its covariance."""
        precision = np.linalg.inv(covariance)
        return cls(cell=cell, names=tuple(names), precision=precision, pull=precision @ values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """How coordinates are distributed over cells.

    Attributes
    ----------
    names : tuple of str
        Coordinates.
    cells : tuple of str
        Cells that it was fitted to.
    mean, mean_uncertainty : ndarray of shape (n,)
        Mean over cells and its standard uncertainty.
    covariance : ndarray of shape (n, n)
        Between cells.
    deviations, deviation_uncertainties : ndarray of shape (n,)
        Standard deviations between cells and their standard uncertainties.
    estimates, uncertainties : ndarray of shape (n_cells, n)
        Each cell, drawn towards the mean as far as its own data are weak, and its standard uncertainty.
    weight : ndarray of shape (n_cells, n)
        Share that each cell's own data have in its estimate [-]: 0 the population's word, 1 its own.
    log_likelihood : float
        Of the data given mean and covariance, up to a constant.
    iterations : int
        Taken.
    converged : bool
        Whether the last one changed nothing any more.
    """

    names: tuple[str, ...]
    cells: tuple[str, ...]
    mean: Array
    mean_uncertainty: Array
    covariance: Array
    deviations: Array
    deviation_uncertainties: Array
    estimates: Array
    uncertainties: Array
    weight: Array
    log_likelihood: float
    iterations: int
    converged: bool

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Coordinates of which the cells' data together are worth less than one well-known cell beside the mean."""
        known = np.sum(self.weight**2, axis=0) - 1.0
        return tuple(name for name, count in zip(self.names, known, strict=True) if count < 1.0)

    def marginal(self, name: str) -> tuple[float, float, float]:
        """Return mean, standard deviation and its uncertainty of one coordinate."""
        at = self.names.index(name)
        return float(self.mean[at]), float(self.deviations[at]), float(self.deviation_uncertainties[at])

    def departures(self) -> Array:
        """Return how far each cell lies from the mean, in standard deviations between cells, shape (n_cells, n)."""
        return np.asarray((self.estimates - self.mean) / np.maximum(self.deviations, 1e-300))


def fit_population(
    cells: Sequence[CellEvidence],
    *,
    widths: Array | None = None,
    trust: float = 1.0,
    iterations: int = 3000,
    tolerance: float = 1e-6,
) -> Population:
    r"""Fit mean and covariance between cells by expectation and maximisation (empirical Bayes).

    With cells :math:`x_i \sim N(\mu, \Sigma)` and an even prior of the mean, each turn takes every cell's estimate
    under the present population, with :math:`C_i = (\Lambda_i + \Sigma^{-1})^{-1}` and
    :math:`B_i = C_i \Sigma^{-1} - 1`,

    .. math::

        V^{-1} = \sum_i \Sigma^{-1} (\Sigma - C_i) \Sigma^{-1}, \quad
        \hat\mu = V \sum_i \Sigma^{-1} C_i \eta_i, \quad
        d_i = C_i \eta_i + B_i \hat\mu,

    and from the estimates the new covariance, with the mean's own uncertainty in it, so that few cells are not taken
    for more alike than they are (restricted likelihood),

    .. math:: \Sigma \leftarrow \frac{\nu W + \sum_i (d_i d_i^T + C_i + B_i V B_i^T)}{\nu + n}.

    Parameters
    ----------
    cells : sequence of CellEvidence
        At least two, with the same coordinates.
    widths : ndarray of shape (n,), optional
        Usual standard deviations between cells: where the search starts, and what the covariance leans on. The
        scatter of the cells' own estimates where absent.
    trust : float
        How many cells the usual widths count for (:math:`\nu`); 0 for the data alone.
    iterations : int
        Most turns.
    tolerance : float
        Relative change of the covariance at which it ends.

    Raises
    ------
    ModelError
        If there are fewer than two cells, their coordinates differ, or no cell says anything about one of them and
        there are no usual widths.

    References
    ----------
    .. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, J. Royal Stat. Soc. B 39 (1977) 1.
    .. [2] N. M. Laird, J. H. Ware, Random-effects models for longitudinal data, Biometrics 38 (1982) 963.
    .. [3] R. Varadhan, C. Roland, Simple and globally convergent methods for accelerating the convergence of any EM
       algorithm, Scand. J. Stat. 35 (2008) 335: the leap of every third turn.
    """
    if len(cells) < 2:
        raise ModelError(f"{len(cells)} cells are no population", remedy="Refit several cells")
    names = cells[0].names
    other = next((cell for cell in cells if cell.names != names), None)
    if other is not None:
        raise ModelError(
            f"cells {cells[0].cell} and {other.cell} have the coordinates {names} and {other.names}",
            remedy="Refit all cells under the same prior",
        )
    precision = np.stack([cell.precision for cell in cells])
    pull = np.stack([cell.pull for cell in cells])
    usual = _scatter(precision, pull, names) if widths is None else np.asarray(widths, dtype=np.float64)
    trust = trust if widths is not None else 0.0
    # Everything in usual widths: coordinates of unlike size are then alike to the arithmetic.
    precision = precision * usual * usual[:, np.newaxis]
    # And about a middle of the cells: likelihoods are then no differences of large numbers.
    whole = precision.sum(axis=0)
    centre = np.linalg.solve(whole + 1e-9 * np.trace(whole) * np.eye(len(names)), (pull * usual).sum(axis=0))
    pull = pull * usual - precision @ centre
    covariance, turns, converged = np.eye(len(names)), 0, False

    def turn(present: Array) -> tuple[Array, float]:
        step = _expect(precision, pull, present)
        moment = np.einsum("ij,ik->jk", step.departure, step.departure) + step.spread.sum(axis=0)
        new = (trust * np.eye(len(names)) + moment) / (trust + len(cells))
        return 0.5 * (new + new.T) + _LEAST**2 * np.eye(len(names)), step.log_likelihood

    while turns < iterations and not converged:
        turns += 3
        first, _ = turn(covariance)
        second, before = turn(first)
        new = _leap(covariance, first, second)
        if trust > 0.0 or turn(new)[1] < before:
            new = second
        size = np.sqrt(np.diag(first))
        converged = bool(np.max(np.abs(second - first) / (size * size[:, np.newaxis])) < tolerance)
        covariance = second if converged else new
    step = _expect(precision, pull, covariance)
    deviations = np.sqrt(np.diag(covariance))
    weight = np.clip(1.0 - np.diagonal(step.covariance, axis1=1, axis2=2) / deviations**2, 0.0, 1.0)
    worth = np.maximum(np.sum(weight**2, axis=0) - 1.0 + trust, 0.5)
    return Population(
        names=names,
        cells=tuple(cell.cell for cell in cells),
        mean=(centre + step.mean) * usual,
        mean_uncertainty=np.sqrt(np.diag(step.mean_covariance)) * usual,
        covariance=covariance * usual * usual[:, np.newaxis],
        deviations=deviations * usual,
        deviation_uncertainties=deviations * usual / np.sqrt(2.0 * worth),
        estimates=(centre + step.mean + step.departure) * usual,
        uncertainties=np.sqrt(np.diagonal(step.total, axis1=1, axis2=2)) * usual,
        weight=weight,
        log_likelihood=step.log_likelihood,
        iterations=turns,
        converged=converged,
    )


@dataclass(frozen=True, eq=False)
class _Expected:
    """Cells under a population: their covariances, the mean, and departures from it with their second moments."""

    covariance: Array
    mean: Array
    mean_covariance: Array
    departure: Array
    spread: Array
    total: Array
    log_likelihood: float


def _expect(precision: Array, pull: Array, population: Array) -> _Expected:
    inverse = np.linalg.inv(population)
    covariance = np.linalg.inv(precision + inverse)
    information = np.einsum("ij,njk,kl->il", inverse, population - covariance, inverse)
    information += 1e-12 * np.trace(inverse) * np.eye(len(population))
    mean_covariance = np.linalg.inv(information)
    own = np.einsum("nij,nj->ni", covariance, pull)
    mean = mean_covariance @ (inverse @ own.sum(axis=0))
    back = covariance @ inverse - np.eye(len(population))
    departure = own + back @ mean
    from_mean = back @ mean_covariance @ np.swapaxes(back, 1, 2)
    moved = covariance @ inverse  # how a cell's estimate follows the mean
    # Likelihood of the data with cells and mean integrated out, up to what does not depend on the population.
    _, log_inner = np.linalg.slogdet(precision @ population + np.eye(len(population)))
    _, log_mean = np.linalg.slogdet(mean_covariance)
    quadratic = float(np.einsum("ni,ni->", pull, own) + mean @ information @ mean)
    return _Expected(
        covariance=covariance,
        mean=mean,
        mean_covariance=mean_covariance,
        departure=departure,
        spread=covariance + from_mean,
        total=covariance + moved @ mean_covariance @ np.swapaxes(moved, 1, 2),
        log_likelihood=0.5 * (quadratic - float(log_inner.sum()) + float(log_mean)),
    )


def _leap(start: Array, first: Array, second: Array) -> Array:
    """Return where two turns lead if their logarithms go on in geometric progression (Varadhan and Roland, 2008)."""

    def through(matrix: Array, function: Callable[[Array], Array]) -> Array:
        values, vectors = np.linalg.eigh(matrix)
        return np.asarray((vectors * function(values)) @ vectors.T)

    logs = [through(matrix, lambda values: np.log(np.maximum(values, 1e-300))) for matrix in (start, first, second)]
    step, bend = logs[1] - logs[0], logs[2] - 2.0 * logs[1] + logs[0]
    length = -max(1.0, min(float(np.linalg.norm(step)) / max(float(np.linalg.norm(bend)), 1e-300), 100.0))
    return through(
        logs[0] - 2.0 * length * step + length**2 * bend, lambda values: np.exp(np.clip(values, -28.0, 10.0))
    )


def _scatter(precision: Array, pull: Array, names: tuple[str, ...]) -> Array:
    """Return the scatter of the cells' own estimates, one coordinate at a time."""
    diagonal = np.diagonal(precision, axis1=1, axis2=2)
    silent = np.flatnonzero((diagonal <= 0.0).all(axis=0))
    if silent.size:
        raise ModelError(
            f"no cell's data say anything about {names[int(silent[0])]}",
            remedy="Give the usual widths between cells, or leave the coordinate out",
        )
    estimates = np.einsum("nij,nj->ni", np.linalg.pinv(precision, hermitian=True), pull)
    scatter = np.std(estimates, axis=0, ddof=1)
    return np.asarray(np.where(scatter > 0.0, scatter, 1.0 / np.sqrt(diagonal.max(axis=0))))
