"""Refits near an optimum: many small least-squares problems at once, each from the Jacobian that is at hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .calibration_problem import CalibrationProblem
from .optimisers import Progress
from .posterior_discrepancy import ParameterPrior

__all__ = [
    "CostWeights",
    "Departures",
    "LinearDepartures",
    "Linearisation",
    "Refit",
    "RefitTask",
    "Weights",
    "cost_at",
    "linearise",
    "refit_many",
]

DIFFERENCE = 4e-3  # step of the finite differences in the unit cube
LONGEST = 0.25  # longest move of one parameter in one step
ENOUGH = 0.02  # fall of the cost below which a refit ends
BATCH = 16  # candidates between two reports


@dataclass
class Departures:
    """Departures of candidates from the measurements, in allowed departures, with what was spent on them.

    Attributes
    ----------
    problem : CalibrationProblem
        Gives residuals.
    progress : callable, optional
        Called with :class:`Progress` after every batch; returns False to stop.
    stage : str
        What is going on, for reports.
    """

    problem: CalibrationProblem
    progress: Callable[[Progress], bool | None] | None = None
    stage: str = ""
    evaluations: int = 0
    stopped: bool = False
    begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Find what residuals have to be divided by."""
        self.blocks = self.problem.blocks
        self._factor = np.concatenate([block.weight * block.deviation for block in self.blocks])

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.begun

    def evaluate(self, positions: Array) -> Array:
        """Return departures of candidates in the unit cube, shape (n_candidates, n)."""
        positions = np.atleast_2d(positions)
        found = []
        for first in range(0, len(positions), BATCH):
            residuals = self.problem.residuals_many(positions[first : first + BATCH])
            found.append(residuals[:, : self._factor.size] / self._factor)
            self.evaluations += len(residuals)
            self._report()
        return np.concatenate(found)

    def evaluate_until_stopped(self, positions: Array) -> Array:
        """Return departures of the first candidates, as many as were evaluated before the caller stopped."""
        found = [np.empty((0, self._factor.size))]
        for first in range(0, len(positions), BATCH):
            if self.stopped:
                break
            found.append(self.evaluate(positions[first : first + BATCH]))
        return np.concatenate(found)

    def plain(self, departures: Array) -> Array:
        """Return departures without what makes large ones count linearly, shape (n,)."""
        limit = self.problem.cost_options.robust
        if limit <= 0.0:
            return departures
        beyond = np.sign(departures) * 0.5 * (departures**2 / limit + limit)
        return np.asarray(np.where(np.abs(departures) <= limit, departures, beyond))

    def softened(self, departures: Array) -> Array:
        """Return plain departures such that large ones count linearly, shape (n,)."""
        limit = self.problem.cost_options.robust
        if limit <= 0.0:
            return departures
        size = np.abs(departures)
        beyond = np.sign(departures) * np.sqrt(np.maximum(2.0 * limit * size - limit**2, 0.0))
        return np.asarray(np.where(size <= limit, departures, beyond))

    def steepness(self, departures: Array) -> Array:
        """Return the derivative of plain departures over softened ones, shape (n,)."""
        limit = self.problem.cost_options.robust
        if limit <= 0.0:
            return np.ones_like(departures)
        return np.asarray(np.maximum(np.abs(departures) / limit, 1.0))

    def _report(self) -> None:
        if self.progress is None:
            return
        answer = self.progress(Progress(self.evaluations, self.seconds, float("nan"), self.stage))
        self.stopped = self.stopped or answer is False


class Evaluator(Protocol):
    """Gives departures of candidates: a model, or what stands for it."""

    stopped: bool

    def evaluate(self, positions: Array) -> Array:
        """Return departures, shape (n_candidates, n)."""

    def plain(self, departures: Array) -> Array:
        """Return departures without what makes large ones count linearly."""

    def softened(self, departures: Array) -> Array:
        """Return the opposite of ``plain``."""

    def steepness(self, departures: Array) -> Array:
        """Return the derivative of plain departures over softened ones."""


class Weights(Protocol):
    """Weighs departures."""

    def apply(self, departures: Array, without: str | None = None) -> Array:
        """Return weighted departures; those of a curve that is left out are zero."""


class CostWeights:
    """Weighs departures as the calibration's own cost does.

    Parameters
    ----------
    problem : CalibrationProblem
        The calibration.
    """

    def __init__(self, problem: CalibrationProblem) -> None:
        self._blocks = problem.blocks
        self._weights = [block.weight * block.deviation for block in self._blocks]

    def apply(self, departures: Array, without: str | None = None) -> Array:
        """Return weighted departures, shape (n,) or (n, m); those of a curve that is left out are zero."""
        weight = np.concatenate(
            [
                np.zeros_like(weight) if block.curve.name == without else weight
                for block, weight in zip(self._blocks, self._weights, strict=True)
            ]
        )
        return np.asarray(departures * (weight if departures.ndim == 1 else weight[:, np.newaxis]))


@dataclass(frozen=True, eq=False)
class Linearisation:
    """A model near one position.

    Attributes
    ----------
    position : ndarray of shape (d,)
        In the unit cube.
    departures : ndarray of shape (n,)
        There, in allowed departures.
    jacobian : ndarray of shape (n, d)
        Derivative over the unit cube.
    """

    position: Array
    departures: Array
    jacobian: Array


def linearise(departures: Departures, position: Array) -> Linearisation:
    """Take the Jacobian at a position by one-sided differences that stay within the cube."""
    sides = np.where(position > 1.0 - DIFFERENCE, -DIFFERENCE, DIFFERENCE)
    found = departures.evaluate(np.vstack([position, position + np.diag(sides)]))
    return Linearisation(position.copy(), found[0], np.asarray(((found[1:] - found[0]) / sides[:, np.newaxis]).T))


@dataclass(eq=False)
class LinearDepartures:
    """Departures of the linear model about one position, in place of simulated ones."""

    departures: Departures
    linear: Linearisation
    stopped: bool = False

    def __post_init__(self) -> None:
        """Find what the model is linear in."""
        self._start = self.departures.plain(self.linear.departures)
        self._slopes = self.linear.jacobian * self.steepness(self.linear.departures)[:, np.newaxis]

    def evaluate(self, positions: Array) -> Array:
        """Return departures of candidates in the unit cube, shape (n_candidates, n)."""
        moves = np.atleast_2d(positions) - self.linear.position
        return self.softened(self._start + moves @ self._slopes.T)

    def plain(self, departures: Array) -> Array:
        """Return departures without what makes large ones count linearly."""
        return self.departures.plain(departures)

    def softened(self, departures: Array) -> Array:
        """Return the opposite of ``plain``."""
        return self.departures.softened(departures)

    def steepness(self, departures: Array) -> Array:
        """Return the derivative of plain departures over softened ones."""
        return self.departures.steepness(departures)


@dataclass(frozen=True, eq=False)
class RefitTask:
    """One refit.

    Attributes
    ----------
    start : ndarray of shape (d,)
        In the unit cube.
    held : ndarray of bool of shape (d,)
        Parameters that stay where they start.
    without : str, optional
        Name of a curve that does not count.
    prior : bool
        Whether the prior counts.
    errors : ndarray of shape (n,), optional
        What is added to the measured values first, in allowed departures.
    middle : ndarray of shape (d,), optional
        Of the prior, in place of its own.
    """

    start: Array
    held: NDArray[np.bool_]
    without: str | None = None
    prior: bool = True
    errors: Array | None = None
    middle: Array | None = None


@dataclass(frozen=True, eq=False)
class Refit:
    """Where a refit ended.

    Attributes
    ----------
    position : ndarray of shape (d,)
        In the unit cube.
    cost : float
        Half the sum of squares of weighted departures, and of the prior's where it counts.
    departures : ndarray of shape (n,)
        Of all curves there from what was fitted, in allowed departures.
    jacobian : ndarray of shape (n, d)
        As updated on the way.
    """

    position: Array
    cost: float
    departures: Array
    jacobian: Array


def refit_many(
    departures: Evaluator,
    weights: Weights,
    prior: ParameterPrior,
    jacobian: Array,
    tasks: Sequence[RefitTask],
    *,
    steps: int = 6,
    enough: float = ENOUGH,
    begun: Array | None = None,
) -> list[Refit]:
    """Refit by damped steps of Gauss and Newton, all tasks in step, so that each step is one batch of simulations.

    The Jacobian is not taken anew: Broyden's updates carry it along.

    Parameters
    ----------
    departures : Departures or LinearDepartures
        Evaluates candidates.
    weights : RowWeights or CostWeights
        Of the departures.
    prior : ParameterPrior
        Of the parameters.
    jacobian : ndarray of shape (n, d)
        At or near the starts.
    tasks : sequence of RefitTask
        What is refitted.
    steps : int
        At most so many steps.
    enough : float
        Fall of the cost below which a refit ends.
    begun : ndarray of shape (n_tasks, n), optional
        Departures at the starts from what was measured, where they are known already.
    """
    root = prior.root
    starts = np.clip(np.array([task.start for task in tasks]), 0.0, 1.0)
    state = []
    if begun is None:
        different, which = np.unique(starts, axis=0, return_inverse=True)
        begun = departures.evaluate(different)[which.reshape(-1)]
    for task, start, found in zip(tasks, starts, begun, strict=True):
        away = _from_task(departures, found, task)
        slopes = jacobian * (departures.steepness(found) / departures.steepness(away))[:, np.newaxis]
        state.append(_Descent(task, start, away, slopes, weights, prior.mean, root))
    for _ in range(steps):
        active = [descent for descent in state if not descent.done]
        if not active or departures.stopped:
            break
        tried = np.array([descent.propose() for descent in active])
        for descent, position, found in zip(active, tried, departures.evaluate(tried), strict=True):
            descent.judge(position, _from_task(departures, found, descent.task), enough)
    return [Refit(descent.position, descent.cost, descent.found, descent.jacobian) for descent in state]


def _from_task(departures: Evaluator, found: Array, task: RefitTask) -> Array:
    """Return departures from what the task fits."""
    return found if task.errors is None else departures.softened(departures.plain(found) - task.errors)


def cost_at(
    departures: Evaluator, weights: Weights, prior: ParameterPrior, task: RefitTask, position: Array, found: Array
) -> float:
    """Return the cost of a task at a position, from the departures there from what was measured."""
    away = weights.apply(_from_task(departures, found, task), task.without)
    middle = prior.mean if task.middle is None else task.middle
    pulled = prior.root @ (position - middle) if task.prior else np.zeros(0)
    return 0.5 * float(away @ away + pulled @ pulled)


class _Descent:
    """One task on its way."""

    def __init__(
        self,
        task: RefitTask,
        start: Array,
        found: Array,
        jacobian: Array,
        weights: Weights,
        middle: Array,
        root: Array,
    ) -> None:
        self.task, self.position, self.found, self.jacobian = task, start, found, jacobian
        self.weights, self.middle = weights, middle if task.middle is None else task.middle
        self.root = root if task.prior else np.zeros_like(root)
        self.damping, self.done = 1e-3, bool(np.all(task.held))
        self.cost = self._cost(start, found)

    def _stack(self, position: Array, found: Array) -> Array:
        return np.concatenate([self.weights.apply(found, self.task.without), self.root @ (position - self.middle)])

    def _cost(self, position: Array, found: Array) -> float:
        stacked = self._stack(position, found)
        return 0.5 * float(stacked @ stacked)

    def propose(self) -> Array:
        """Return the next position to try."""
        from scipy.optimize import lsq_linear

        free = ~self.task.held
        slopes = np.vstack([self.weights.apply(self.jacobian, self.task.without), self.root])[:, free]
        scale = np.sqrt(np.sum(slopes**2, axis=0))
        scale = np.maximum(scale, 1e-3 * max(float(scale.max()), 1e-12))
        matrix = np.vstack([slopes, np.sqrt(self.damping) * np.diag(scale)])
        target = np.concatenate([-self._stack(self.position, self.found), np.zeros(int(free.sum()))])
        orthogonal, upper = np.linalg.qr(matrix)
        at = self.position[free]
        low, high = np.maximum(-at, -LONGEST) - 1e-12, np.minimum(1.0 - at, LONGEST) + 1e-12
        move = lsq_linear(upper, orthogonal.T @ target, bounds=(low, high), method="bvls", max_iter=200).x
        position = self.position.copy()
        position[free] = np.clip(at + move, 0.0, 1.0)
        return position

    def judge(self, position: Array, found: Array, enough: float) -> None:
        """Take the step if it lowers the cost; learn from it either way."""
        cost, move = self._cost(position, found), position - self.position
        length = float(move @ move)
        usable = bool(np.all(np.isfinite(found))) and cost < 1e3 * (self.cost + 1.0)
        if usable and length > 1e-16:
            change = found - self.found - self.jacobian @ move
            self.jacobian = self.jacobian + np.outer(change, move) / length
        if cost < self.cost:
            self.done = self.cost - cost < enough
            self.position, self.found, self.cost = position, found, cost
            self.damping = max(self.damping / 5.0, 1e-9)
            return
        self.damping = max(self.damping, 1e-3) * 30.0
        self.done = length < 1e-10 or self.damping > 1e6
