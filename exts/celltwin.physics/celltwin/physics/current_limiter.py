"""The current that keeps every group within its voltage limits, as a power converter would give it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .group_solver import CellConditions, Demand, GroupHistory, GroupSolver

__all__ = ["CurrentLimiter", "LimitedStep"]

# Voltage by which a group may pass its limit before the current is reduced, and at most in between [V].
TOLERANCE, LARGEST_EXCESS = 2e-4, 3e-3
_CANDIDATES = 3
_ATTEMPTS = 4
_FIT = 0.01  # a profile must be met to this share of the current asked for


@dataclass(frozen=True, kw_only=True, eq=False)
class LimitedStep:
    """One stretch of time of all groups, kept within the voltage limits.

    Attributes
    ----------
    history : GroupHistory
        What the groups did.
    current : ndarray of shape (n_times,)
        Current at the pack's terminals [A].
    group : int
        Group that limited the current; -1 where none did.
    blocked : bool
        Whether no current at all could flow within the limits.
    """

    history: GroupHistory
    current: Array
    group: int = -1
    blocked: bool = False


class CurrentLimiter:
    """Solve all groups under one pack current, reduced where a group would leave its voltage limits.

    On charge this is constant current, then constant voltage on the highest group; on discharge the same at the
    lowest group.

    Parameters
    ----------
    solver : GroupSolver
        Of the groups.
    lowest_voltage, highest_voltage : float
        Limits of every group [V].
    """

    def __init__(self, solver: GroupSolver, lowest_voltage: float, highest_voltage: float) -> None:
        self._solver = solver
        self._lowest, self._highest = lowest_voltage, highest_voltage
        self._limiting: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def step(self, states: Array, conditions: CellConditions, asked: float, bleed: Array, times: Array) -> LimitedStep:
        """Solve over the times, or over fewer of them up to where the manner of limiting changes.

        Parameters
        ----------
        states : ndarray of shape (n_groups, n_states)
            States at the start.
        conditions : CellConditions
            Of the cells.
        asked : float
            Pack current asked for [A], positive on discharge.
        bleed : ndarray of shape (n_groups,)
            Balancing current of each group [A].
        times : ndarray of shape (n_times,)
            Times to report [s], from 0; evenly spaced.
        """
        if self._limiting.size == 0:
            history = self._solver.solve(states, conditions, Demand.of_current(asked + bleed), times)
            beyond = self._beyond(history.voltage, asked)
            if not beyond.any():
                return LimitedStep(history=history, current=np.full(times.size, asked))
            first = int(np.argmax(beyond.any(axis=0)))
            self._limiting = self._extreme(history.voltage[:, first], asked)
            if first > 1:
                return LimitedStep(history=_cut(self._solver, history, first), current=np.full(first, asked))
        return self._limited(states, conditions, asked, bleed, times)

    def _limited(
        self, states: Array, conditions: CellConditions, asked: float, bleed: Array, times: Array
    ) -> LimitedStep:
        limit = self._highest if asked < 0.0 else self._lowest
        limiting = self._limiting
        if asked == 0.0:
            self._limiting = limiting[:0]
            history = self._solver.solve(states, conditions, Demand.of_current(bleed), times)
            return LimitedStep(history=history, current=np.zeros(times.size))
        for _ in range(_ATTEMPTS):
            held = self._solver.solve(
                states[limiting], conditions.rows(limiting), Demand.of_voltage(np.full(limiting.size, limit)), times
            )
            bounds = held.current.sum(axis=2) - bleed[limiting, np.newaxis]
            if np.isnan(bounds).any():
                break
            current = _within(asked, bounds)
            a, b, c = _parabola(times, current)
            if times.size > 2 and np.max(np.abs(a + times * (b + times * c) - current)) > _FIT * abs(asked):
                times, current = times[:2], current[:2]
                a, b, c = _parabola(times, current)
            history = self._solver.solve(states, conditions, Demand.of_current(a + bleed, b, c), times)
            excess = self._excess(history.voltage, asked)
            worst = int(np.argmax(excess.max(axis=1)))
            if excess.max() <= LARGEST_EXCESS:
                # Free once the groups no longer ask for less than what is asked for.
                free = bool(np.all(np.abs(current) >= abs(asked) - 1e-9))
                by = int(limiting[np.argmin(np.abs(bounds[:, -1]))])
                self._limiting = limiting[:0] if free else self._extreme(history.voltage[:, -1], asked)
                return LimitedStep(history=history, current=a + times * (b + times * c), group=-1 if free else by)
            if worst in limiting:
                times = times[:2]
            limiting = np.union1d(limiting, [worst])
        times = times[:2]
        history = self._solver.solve(states, conditions, Demand.of_current(bleed), times)
        return LimitedStep(history=history, current=np.zeros(times.size), group=int(limiting[0]), blocked=True)

    def _excess(self, voltage: Array, asked: float) -> Array:
        """Return by how much each voltage passes the limit that the current works towards [V]."""
        excess = voltage - self._highest if asked < 0.0 else self._lowest - voltage
        return np.where(np.isnan(excess), np.inf, excess)

    def _beyond(self, voltage: Array, asked: float) -> NDArray[np.bool_]:
        return (self._excess(voltage, asked) > TOLERANCE) if asked != 0.0 else np.zeros(voltage.shape, dtype=bool)

    def _extreme(self, voltage: Array, asked: float) -> NDArray[np.int64]:
        order = np.argsort(-self._excess(voltage, asked), kind="stable")
        return np.sort(order[:_CANDIDATES]).astype(np.int64)


def _within(asked: float, bounds: Array) -> Array:
    """Return the current nearest to what is asked for that no group's bound forbids, and never of the other sign."""
    if asked < 0.0:
        return np.minimum(np.maximum(asked, bounds.max(axis=0)), 0.0)
    return np.maximum(np.minimum(asked, bounds.min(axis=0)), 0.0)


def _parabola(times: Array, current: Array) -> tuple[float, float, float]:
    """Return the coefficients of the least-squares parabola, or of the line through two points."""
    degree = min(2, times.size - 1)
    powers = np.vander(times / times[-1], degree + 1, increasing=True)
    found = np.linalg.lstsq(powers, current, rcond=None)[0] / times[-1] ** np.arange(degree + 1)
    a, b, c = np.pad(found, (0, 2 - degree))
    return float(a), float(b), float(c)


def _cut(solver: GroupSolver, history: GroupHistory, count: int) -> GroupHistory:
    return solver.read(history.time[:count], history.states[:, :count])
