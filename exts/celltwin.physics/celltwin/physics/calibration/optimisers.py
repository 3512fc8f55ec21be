"""One interface to every optimiser: a problem, a budget and a seed in; the best position and its history out."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from celltwin.core import Array, ModelError

__all__ = ["METHODS", "OptimisationResult", "Progress", "Recorder", "ResidualProblem", "minimise", "register_method"]

_LOG = logging.getLogger(__name__)


class ResidualProblem(Protocol):
    """What an optimiser needs of a problem: residuals of candidates over the unit cube, and a start."""

    @property
    def space(self) -> HasStart:
        """Where the search begins."""
        ...

    def residuals_many(self, positions: Array) -> Array:
        """Return the residuals, shape (n_candidates, n_residuals), of positions (n_candidates, n_parameters)."""
        ...


class HasStart(Protocol):
    """A space with a start in the unit cube."""

    @property
    def start(self) -> Array:
        """Shape (n_parameters,)."""
        ...


@dataclass(frozen=True)
class Progress:
    """What an optimiser reports as it goes: evaluations of candidates, seconds, best cost so far, what it is doing."""

    evaluations: int
    seconds: float
    best: float
    stage: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class OptimisationResult:
    """Where a search ended.

    Attributes
    ----------
    x : ndarray of shape (n_parameters,)
        Best position in the unit cube.
    cost : float
        Half the sum of squared residuals there.
    history : ndarray of shape (n, 3)
        Evaluations, seconds and best cost, each time the best changed.
    evaluations : int
        Candidates evaluated.
    seconds : float
        Time taken.
    method : str
        Which optimiser.
    seed : int
        Of its random numbers.
    reason : str
        Why it stopped.
    """

    x: Array
    cost: float
    history: Array
    evaluations: int
    seconds: float
    method: str
    seed: int
    reason: str


@dataclass
class Recorder:
    """Evaluates candidates for an optimiser: counts them, keeps the best, reports, and saves checkpoints.

    Attributes
    ----------
    problem : ResidualProblem
        Gives residuals.
    budget : int
        Evaluations allowed.
    progress : callable, optional
        Called with :class:`Progress` after every batch; returns False to stop.
    checkpoint : Path, optional
        File that the best position is kept in.
    deadline : float
        Seconds allowed.
    """

    problem: ResidualProblem
    budget: int
    progress: Callable[[Progress], bool | None] | None = None
    checkpoint: Path | None = None
    deadline: float = float("inf")
    stage: str = ""
    evaluations: int = 0
    best_cost: float = float("inf")
    best: Array | None = None
    history: list[tuple[float, float, float]] = field(default_factory=list)
    stopped: bool = False
    earlier: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the search began, those of an interrupted run included."""
        return self.earlier + time.monotonic() - self.begun

    @property
    def exhausted(self) -> bool:
        """Whether budget or time is spent, or the caller wants to stop."""
        return self.stopped or self.evaluations >= self.budget or self.seconds >= self.deadline

    def residuals(self, positions: Array) -> Array:
        """Return the residuals of candidates, and take note of the best of them."""
        positions = np.atleast_2d(positions)
        found = self.problem.residuals_many(positions)
        costs = 0.5 * np.sum(found**2, axis=1)
        self.evaluations += len(positions)
        index = int(np.argmin(costs))
        if costs[index] < self.best_cost:
            self.best_cost, self.best = float(costs[index]), positions[index].copy()
            self.history.append((float(self.evaluations), self.seconds, self.best_cost))
            self._save()
        if self.progress is not None:
            answer = self.progress(Progress(self.evaluations, self.seconds, self.best_cost, self.stage))
            self.stopped = self.stopped or answer is False
        return found

    def costs(self, positions: Array) -> Array:
        """Return the costs of candidates, shape (n_candidates,)."""
        return np.asarray(0.5 * np.sum(self.residuals(positions) ** 2, axis=1))

    def resume(self, size: int) -> Array | None:
        """Return the position that an earlier run had reached, or None where there is no checkpoint of this size."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return None
        try:
            saved = json.loads(self.checkpoint.read_text(encoding="utf-8"))
            position = np.array(saved["x"], dtype=np.float64)
            evaluations, seconds = int(saved["evaluations"]), float(saved["seconds"])
            history = [(float(at), float(when), float(best)) for at, when, best in saved["history"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"the checkpoint cannot be read ({error})", where=str(self.checkpoint), remedy="Delete it to begin anew"
            ) from None
        if position.shape != (size,):
            raise ModelError(
                f"the checkpoint is of a search over {position.size} parameters, this one has {size}",
                where=str(self.checkpoint),
                remedy="Delete it, or name another checkpoint",
            )
        self.evaluations, self.earlier, self.history = evaluations, seconds, history
        return position

    def result(self, method: str, seed: int, reason: str) -> OptimisationResult:
        """Return what was found.

        Raises
        ------
        ModelError
            If no candidate was evaluated.
        """
        if self.best is None:
            raise ModelError("the search evaluated no candidate", remedy="Give a budget above 0")
        return OptimisationResult(
            x=self.best,
            cost=self.best_cost,
            history=np.array(self.history, dtype=np.float64).reshape(-1, 3),
            evaluations=self.evaluations,
            seconds=self.seconds,
            method=method,
            seed=seed,
            reason=reason,
        )

    def _save(self) -> None:
        if self.checkpoint is None or self.best is None:
            return
        content = {
            "x": self.best.tolist(),
            "cost": self.best_cost,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "history": self.history,
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(self.checkpoint)


Method = Callable[[Recorder, Array, int], str]
"""Searches with a recorder from a start, with a seed, and returns why it stopped."""

METHODS: dict[str, Method] = {}
"""Optimisers by name."""


def register_method(name: str, method: Method) -> None:
    """Make an optimiser known under a name."""
    METHODS[name] = method


def minimise(
    problem: ResidualProblem,
    *,
    method: str = "least_squares",
    budget: int = 1000,
    seed: int = 0,
    progress: Callable[[Progress], bool | None] | None = None,
    checkpoint: str | Path | None = None,
    start: Array | None = None,
    seconds: float = float("inf"),
) -> OptimisationResult:
    """Search the unit cube for the least sum of squared residuals.

    Parameters
    ----------
    problem : ResidualProblem
        Residuals of candidates, and a start.
    method : str
        One of ``METHODS``.
    budget : int
        Evaluations of candidates allowed; a batch that has begun is finished.
    seed : int
        Of the random numbers; the same seed gives the same result.
    progress : callable, optional
        Called with :class:`Progress` after every batch; returns False to stop.
    checkpoint : path, optional
        File that the best position is kept in; where it exists, the search goes on from it.
    start : ndarray of shape (n_parameters,), optional
        In place of the problem's start.
    seconds : float
        Time allowed.

    Raises
    ------
    ModelError
        If the method is unknown, the budget not above 0, or the checkpoint is of another problem.
    """
    from . import optimisers_bayesian, optimisers_cma, optimisers_least_squares

    for module in (optimisers_least_squares, optimisers_cma, optimisers_bayesian):
        for name, found in module.METHODS.items():
            METHODS.setdefault(name, found)
    if method not in METHODS:
        raise ModelError(f"{method!r} is no optimiser", remedy=f"Choose among {', '.join(sorted(METHODS))}")
    if budget < 1:
        raise ModelError(f"a budget of {budget} evaluations allows no search", remedy="Give a budget above 0")
    recorder = Recorder(
        problem, budget, progress, None if checkpoint is None else Path(checkpoint), deadline=seconds, stage=method
    )
    begin = np.asarray(problem.space.start if start is None else start, dtype=np.float64)
    earlier = recorder.resume(begin.size)
    reason = METHODS[method](recorder, begin if earlier is None else earlier, seed)
    _LOG.info("%s: cost %.4g after %d evaluations: %s", method, recorder.best_cost, recorder.evaluations, reason)
    return recorder.result(method, seed, reason)
