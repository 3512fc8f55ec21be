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
# A group nearer than this to its limit is held there for a whole step [V].
_NEAR = 5e-3
_CANDIDATES = 3
_ATTEMPTS = 5
_BISECTIONS = 10
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
        self._present = 0.0  # pack current at the end of the last step [A]

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
                return self._finish(history, np.full(times.size, asked))
            first = int(np.argmax(beyond.any(axis=0)))
            self._limiting = self._extreme(history.voltage[:, first], asked)
            if first > 1:
                return self._finish(_cut(self._solver, history, first), np.full(first, asked))
        return self._limited(states, conditions, asked, bleed, times)

    def _limited(
        self, states: Array, conditions: CellConditions, asked: float, bleed: Array, times: Array
    ) -> LimitedStep:
        if asked == 0.0:
            self._limiting = self._limiting[:0]
            history = self._solver.solve(states, conditions, Demand.of_current(bleed), times)
            return self._finish(history, np.zeros(times.size))
        limit = self._highest if asked < 0.0 else self._lowest
        limiting = self._limiting
        near = np.min(np.abs(states[limiting, -1] - limit)) <= _NEAR
        for _ in range(_ATTEMPTS):
            profile = self._hold(states, conditions, asked, bleed, times, limiting) if near else None
            if profile is None:
                times = times[:2]
                profile = self._approach(states, conditions, asked, bleed, times, limiting)
            a, b, c = profile
            current = a + times * (b + times * c)
            history = self._solver.solve(states, conditions, Demand.of_current(a + bleed, b, c), times)
            excess = self._excess(history.voltage, asked)
            if excess.max() <= LARGEST_EXCESS:
                free = bool(np.all(np.abs(current[1:]) >= abs(asked) * (1.0 - 1e-9)))
                by = int(np.argmax(excess[:, -1]))
                self._limiting = limiting[:0] if free else self._extreme(history.voltage[:, -1], asked)
                return self._finish(history, current, -1 if free else by, blocked=not np.any(current[1:]))
            worst = int(np.argmax(excess.max(axis=1)))
            near = near and worst not in limiting
            limiting = np.union1d(limiting, [worst])
        history = self._solver.solve(states, conditions, Demand.of_current(bleed), times[:2])
        return self._finish(history, np.zeros(2), int(limiting[0]), blocked=True)

    def _finish(self, history: GroupHistory, current: Array, group: int = -1, *, blocked: bool = False) -> LimitedStep:
        self._present = float(current[-1])
        return LimitedStep(history=history, current=current, group=group, blocked=blocked)

    def _hold(
        self,
        states: Array,
        conditions: CellConditions,
        asked: float,
        bleed: Array,
        times: Array,
        limiting: NDArray[np.int64],
    ) -> tuple[float, float, float] | None:
        """Return the parabola of current that holds the limiting groups at their limit; None if there is none."""
        limit = np.full(limiting.size, self._highest if asked < 0.0 else self._lowest)
        held = self._solver.solve(states[limiting], conditions.rows(limiting), Demand.of_voltage(limit), times)
        bounds = held.current.sum(axis=2) - bleed[limiting, np.newaxis]
        # A group that has no solution here would take far more than is asked for: it limits nothing.
        bounds = bounds[np.isfinite(bounds).all(axis=1)]
        if bounds.size == 0:
            return None
        current = _within(asked, bounds)
        a, b, c = _parabola(times, current)
        met = np.max(np.abs(a + times * (b + times * c) - current)) <= _FIT * abs(asked)
        return (a, b, c) if met else None

    def _approach(
        self,
        states: Array,
        conditions: CellConditions,
        asked: float,
        bleed: Array,
        times: Array,
        limiting: NDArray[np.int64],
    ) -> tuple[float, float, float]:
        """Return the line of current that brings the limiting groups to their limit at the end of the times."""
        start = float(np.clip(self._present, min(asked, 0.0), max(asked, 0.0)))
        rows, begin = conditions.rows(limiting), states[limiting]

        def excess(end: float) -> float:
            slope = (end - start) / times[-1]
            history = self._solver.solve(begin, rows, Demand.of_current(start + bleed[limiting], slope), times)
            return float(min(self._excess(history.voltage[:, -1], asked).max(), 1.0))

        low, high = 0.0, asked
        below, above = excess(low), excess(high)
        if above <= TOLERANCE:
            return start, (high - start) / times[-1], 0.0
        for _ in range(_BISECTIONS):
            if below > 0.0 or abs(below) < TOLERANCE:
                break
            middle = low + (high - low) * float(np.clip(-below / (above - below), 0.1, 0.9))
            found = excess(middle)
            if found > 0.0:
                high, above = middle, found
            else:
                low, below = middle, found
        return start, (low - start) / times[-1], 0.0

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
