"""Profile likelihood: how much worse a fit gets when one parameter is held away from its best value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, freeze

from .optimisers import Progress
from .parameter_space import FreeParameter
from .posterior import ParameterPosterior
from .posterior_refit import Departures, Refit, RefitTask, refit_many

__all__ = ["ProfileLikelihood", "profile_likelihood"]

REACH = 3.2  # standard deviations of the linear model on either side
WEAK = 0.1  # information that keeps the linear model regular where data and priors say nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class ProfileLikelihood:
    """The profile of one parameter.

    Attributes
    ----------
    name, unit : str
        Of the parameter.
    values : ndarray of shape (n,)
        At which it was held, increasing, in ``unit``.
    rise : ndarray of shape (n,)
        Twice the rise of the negative log-likelihood above the least one, the others refitted [-].
    low, high : float
        Confidence interval in ``unit``; a bound of the parameter's where the profile stays below the limit.
    closed_below, closed_above : bool
        Whether the data end the interval, rather than the bounds.
    level : float
        Confidence.
    evaluations : int
        Candidates simulated for all profiles of the call.
    """

    name: str
    unit: str
    values: Array
    rise: Array
    low: float
    high: float
    closed_below: bool
    closed_above: bool
    level: float
    evaluations: int

    @property
    def identifiable(self) -> bool:
        """Whether the data end the interval on both sides."""
        return self.closed_below and self.closed_above


def profile_likelihood(
    posterior: ParameterPosterior,
    names: Sequence[str],
    *,
    points: int = 11,
    steps: int = 5,
    level: float = 0.95,
    prior: bool = False,
    progress: Callable[[Progress], bool | None] | None = None,
) -> tuple[ProfileLikelihood, ...]:
    """Refit all other parameters with each of some held in turn.

    Every point starts where the linear model expects the others, and all points of all parameters advance together,
    so that each step is one batch of simulations.

    Parameters
    ----------
    posterior : ParameterPosterior
        Gives the optimum, the metric of the departures and the Jacobian.
    names : sequence of str
        Free parameters.
    points : int
        At which each is held.
    steps : int
        Least-squares steps of each refit.
    level : float
        Confidence of the intervals.
    prior : bool
        Whether the priors of the other parameters count; without, only the data and the bounds do.
    progress : callable, optional
        Called with :class:`Progress`; returns False to stop after the running step.

    Raises
    ------
    ModelError
        If no free parameter has one of the names.

    References
    ----------
    .. [1] A. Raue et al., Bioinformatics 25 (2009) 1923.
    """
    from scipy.stats import chi2

    space = posterior.problem.space
    chosen = [(name, space.parameter(name)) for name in names]
    limit = float(chi2.ppf(level, 1))
    fitting = _Fitting(posterior, Departures(posterior.problem, progress, "profile likelihood"), steps, prior)
    # Without the prior the optimum lies elsewhere: profiles are centred on it.
    best = fitting.refit([RefitTask(np.asarray(posterior.centre), fitting.nothing_held, prior=prior)])[0]
    fitting.centre_on(best)
    held = [_Held.at(fitting, space.names.index(name), points) for name, _ in chosen]
    fitting.fill(held)
    for one in held:
        one.extend(limit)
    fitting.fill(held)
    least = min(best.cost, *(min(one.cost.values()) for one in held))
    return tuple(
        _profile(name, item, one, least, limit, level, fitting.departures.evaluations)
        for (name, item), one in zip(chosen, held, strict=True)
    )


class _Fitting:
    """Refits of one posterior's problem, from where its linear model expects them to end."""

    def __init__(self, posterior: ParameterPosterior, departures: Departures, steps: int, prior: bool) -> None:
        self.posterior, self.departures, self.steps, self.prior = posterior, departures, steps, prior
        self.nothing_held = np.zeros(len(posterior.names), dtype=bool)
        self.jacobian = posterior.linear.jacobian
        self.best = np.asarray(posterior.centre)

    def refit(self, tasks: Sequence[RefitTask]) -> list[Refit]:
        """Refit all tasks in step."""
        weights, prior = self.posterior.row_weights, self.posterior.prior
        return refit_many(self.departures, weights, prior, self.jacobian, tasks, steps=self.steps)

    def centre_on(self, best: Refit) -> None:
        """Take an optimum, and the Jacobian on the way there, for what follows."""
        self.best, self.jacobian = best.position, best.jacobian

    def covariance(self) -> Array:
        """Return the covariance of the linear model, shape (d, d); nearly without priors where they do not count."""
        slopes = self.posterior.row_weights.apply(self.jacobian)
        weight = self.posterior.prior.precision if self.prior else np.zeros((self.best.size, self.best.size))
        return np.asarray(np.linalg.inv(slopes.T @ slopes + weight + WEAK * np.eye(self.best.size)))

    def fill(self, held: Sequence[_Held]) -> None:
        """Refit at all points that have no cost yet."""
        tasks, owners = [], []
        covariance = self.covariance()
        for one in held:
            direction = covariance[:, one.index] / covariance[one.index, one.index]
            for at in one.missing:
                start = np.clip(self.best + (at - self.best[one.index]) * direction, 0.0, 1.0)
                start[one.index] = at
                tasks.append(RefitTask(start, np.arange(start.size) == one.index, prior=self.prior))
                owners.append((one, at))
        for (one, at), refit in zip(owners, self.refit(tasks) if tasks else [], strict=True):
            one.cost[at] = refit.cost


@dataclass
class _Held:
    """One parameter held at several positions, and the costs there."""

    index: int
    wanted: list[float]
    cost: dict[float, float]

    @classmethod
    def at(cls, fitting: _Fitting, index: int, points: int) -> _Held:
        """Return positions from about three standard deviations below the best to as many above."""
        best, spread = float(fitting.best[index]), float(np.sqrt(fitting.covariance()[index, index]))
        low, high = max(best - REACH * spread, 0.0), min(best + REACH * spread, 1.0)
        return cls(index, [float(at) for at in np.linspace(low, high, points)], {})

    @property
    def missing(self) -> list[float]:
        """Positions without a cost."""
        return [at for at in self.wanted if at not in self.cost]

    def extend(self, limit: float) -> None:
        """Add positions towards a bound where the profile is still below the limit."""
        at = sorted(self.cost)
        least = min(self.cost.values())
        for end, bound in ((at[0], 0.0), (at[-1], 1.0)):
            if 2.0 * (self.cost[end] - least) < limit and abs(end - bound) > 1e-9:
                self.wanted.extend(float(end + share * (bound - end)) for share in (0.15, 0.4, 1.0))


def _profile(
    name: str, item: FreeParameter, held: _Held, least: float, limit: float, level: float, evaluations: int
) -> ProfileLikelihood:
    grid = np.array(sorted(held.cost))
    rise = 2.0 * (np.array([held.cost[float(at)] for at in grid]) - least)
    low, closed_below = _crossing(grid[::-1], rise[::-1], limit)
    high, closed_above = _crossing(grid, rise, limit)
    return ProfileLikelihood(
        name=name,
        unit=item.unit,
        values=freeze(np.array([item.from_unit(float(at)) for at in grid])),
        rise=freeze(rise),
        low=item.from_unit(low) if closed_below else item.low,
        high=item.from_unit(high) if closed_above else item.high,
        closed_below=closed_below,
        closed_above=closed_above,
        level=level,
        evaluations=evaluations,
    )


def _crossing(grid: Array, rise: Array, limit: float) -> tuple[float, bool]:
    """Return where the profile last crosses the limit on the way to the grid's end, and whether it does."""
    below = np.flatnonzero(rise <= limit)
    last = int(below[-1]) if below.size else int(np.argmin(rise))
    if last == grid.size - 1:
        return float(grid[-1]), False
    share = (limit - rise[last]) / max(float(rise[last + 1] - rise[last]), 1e-12)
    return float(grid[last] + min(max(share, 0.0), 1.0) * (grid[last + 1] - grid[last])), True
