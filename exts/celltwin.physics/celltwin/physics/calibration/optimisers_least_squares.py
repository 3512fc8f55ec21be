"""Least squares with bounds: damped steps of Gauss and Newton, in batches, with Broyden's updates between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from celltwin.core import Array

from .optimisers import Recorder

__all__ = ["METHODS", "search_least_squares", "search_multi_start"]

DIFFERENCE = 4e-3  # step of the finite differences in the unit cube
DAMPINGS = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the present damping, tried together: cheap beside a Jacobian
LONGEST = 0.35  # longest move of one parameter in one step


def search_least_squares(recorder: Recorder, start: Array, seed: int) -> str:
    """Search from one start by Levenberg's and Marquardt's method within the unit cube.

    Each Jacobian is taken by one-sided differences, all columns in one batch, and steps of five dampings are tried
    together. After a step that did what the linear model promised, Broyden's update stands in for a new
    Jacobian.

    References
    ----------
    .. [1] D. W. Marquardt, J. SIAM 11 (1963) 431.
    .. [2] C. G. Broyden, Math. Comp. 19 (1965) 577.
    """
    del seed  # nothing here is random
    return _descend(recorder, np.clip(start, 0.0, 1.0))


def search_multi_start(recorder: Recorder, start: Array, seed: int) -> str:
    """Search from the start, then from its surroundings, and go on from the best.

    Starts are drawn with standard deviation 0.12 around the start; each gets a few steps, and the best goes on to
    the end.
    """
    random = np.random.default_rng(seed)
    reason = _descend(recorder, np.clip(start, 0.0, 1.0))
    round_ = 0
    while not recorder.exhausted and round_ < 8:
        round_ += 1
        assert recorder.best is not None
        best, cost = recorder.best.copy(), recorder.best_cost
        centre = best if round_ % 2 else np.clip(start, 0.0, 1.0)
        begins = np.clip(centre + 0.12 * random.standard_normal((4, best.size)), 0.02, 0.98)
        costs = recorder.costs(begins)
        _descend(recorder, begins[int(np.argmin(costs))], steps=12)
        if recorder.best_cost < cost:
            reason = _descend(recorder, recorder.best.copy())
    return reason if recorder.exhausted else f"{reason}; {round_} restarts"


def _descend(recorder: Recorder, position: Array, steps: int = 60) -> str:
    residuals = recorder.residuals(position)[0]
    cost = 0.5 * float(residuals @ residuals)
    damping, fresh, slow = 1e-2, False, 0
    jacobian = np.empty((0, 0))
    for _ in range(steps):
        if recorder.exhausted:
            return "budget spent"
        if jacobian.size == 0:
            jacobian, fresh = _differences(recorder, position, residuals), True
        moves = _moves(jacobian, residuals, position, damping * np.array(DAMPINGS))
        tried = recorder.residuals(np.clip(position + moves, 0.0, 1.0))
        costs = 0.5 * np.sum(tried**2, axis=1)
        best = int(np.argmin(costs))
        move = np.clip(position + moves[best], 0.0, 1.0) - position
        promised = cost - 0.5 * float(np.sum((residuals + jacobian @ move) ** 2))
        gained = cost - float(costs[best])
        if gained <= 1e-12:
            if not fresh:
                jacobian = np.empty((0, 0))
                continue
            damping *= 1e4
            if damping > 1e9:
                return "no step lowers the cost"
            continue
        damping = float(np.clip(damping * DAMPINGS[best], 1e-6, 1e6))
        slow = slow + 1 if gained < 2e-3 * cost else 0
        change = tried[best] - residuals
        if gained > 0.4 * promised and gained > 5e-3 * cost:
            jacobian = jacobian + np.outer(change - jacobian @ move, move) / max(float(move @ move), 1e-30)
            fresh = False
        else:
            jacobian = np.empty((0, 0))
        position, residuals, cost = position + move, tried[best], float(costs[best])
        if slow >= 3:
            return "converged"
    return "steps spent"


def _differences(recorder: Recorder, position: Array, residuals: Array) -> Array:
    """Return the Jacobian, shape (n_residuals, n_parameters), by differences that stay within the cube."""
    sides = np.where(position > 1.0 - DIFFERENCE, -DIFFERENCE, DIFFERENCE)
    moved = position + np.diag(sides)
    return np.asarray(((recorder.residuals(moved) - residuals) / sides[:, np.newaxis]).T)


def _moves(jacobian: Array, residuals: Array, position: Array, dampings: Array) -> Array:
    """Return the steps, one for each damping, that minimise the damped linear model within the cube."""
    factor, triangle = np.linalg.qr(jacobian)
    against = -factor.T @ residuals
    scale = np.sqrt(np.sum(jacobian**2, axis=0))
    scale = np.maximum(scale, 1e-3 * max(float(scale.max()), 1e-12))
    low = np.maximum(-position, -LONGEST) - 1e-12
    high = np.minimum(1.0 - position, LONGEST) + 1e-12
    target = np.concatenate([against, np.zeros(position.size)])
    return np.array(
        [_bounded(np.vstack([triangle, np.sqrt(damping) * np.diag(scale)]), target, low, high) for damping in dampings]
    )


def _bounded(matrix: Array, target: Array, low: Array, high: Array) -> Array:
    """Return the least-squares solution with what leaves the bounds held on them, until nothing more leaves."""
    solution = np.zeros(low.size)
    free = np.ones(low.size, dtype=bool)
    while free.any():
        held = matrix[:, ~free] @ solution[~free]
        solution[free] = np.linalg.lstsq(matrix[:, free], target - held, rcond=None)[0]
        beyond = free & ((solution < low) | (solution > high))
        if not beyond.any():
            break
        solution[beyond] = np.clip(solution[beyond], low[beyond], high[beyond])
        free &= ~beyond
    return solution


METHODS: dict[str, Callable[[Recorder, Array, int], str]] = {
    "least_squares": search_least_squares,
    "multi_start": search_multi_start,
}
