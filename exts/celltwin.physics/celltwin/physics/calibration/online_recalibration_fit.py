"""Fit all groups of a pack to a window at once: Gauss and Newton with candidates as lanes of one simulation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .online_recalibration_window import WindowGrid

if TYPE_CHECKING:
    from .online_recalibration import OnlineRecalibration, RecalibrationOptions

__all__ = ["GroupFit", "fit_groups"]

_SOC_RESTED, _SOC_MOVING = 0.03, 0.1  # prior of the state of charge at the start [-]
_BELOW = 0.2  # [V] under the cell's lowest voltage: rows that are not compared
_SETTLING = 900.0  # [s] that are not compared where a window begins under current
_SHARE, _LEAST_STEP = 0.1, 2e-3  # of the prior's widths, and at least: steps of the differences
_REACH = 5.0  # widths of the prior that a coordinate may go
_DAMPINGS = (0.0, 0.1, 1.0, 10.0, 100.0)  # tried together, on as many lanes as slopes take


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupFit:
    """The groups after a fit.

    Attributes
    ----------
    mean : ndarray of shape (n_groups, 3)
        Logarithms of factors on capacity, resistance and diffusivity.
    covariance : ndarray of shape (n_groups, 3, 3)
        With state of charge and offset unknown, widened by what the fit leaves.
    precision, pull : ndarray of shape (n_groups, 3, 3) and (n_groups, 3)
        What the data alone say.
    soc : ndarray of shape (n_groups,)
        At the start [-].
    misfit, held_error : ndarray of shape (n_groups,)
        Root mean square errors over all rows, and over those held back [V].
    """

    mean: Array
    covariance: Array
    precision: Array
    pull: Array
    soc: Array
    misfit: Array
    held_error: Array

    @property
    def deviations(self) -> Array:
        """Standard deviations, shape (n_groups, 3)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))


def fit_groups(
    owner: OnlineRecalibration,
    grid: WindowGrid,
    mean: Array,
    covariance: Array,
    free: tuple[bool, ...],
    deadline: float,
) -> tuple[GroupFit, GroupFit, GroupFit]:
    """Return three fits: of the start alone with earlier values, of the first part, and of the whole window.

    Parameters
    ----------
    owner : OnlineRecalibration
        Lanes, references and options.
    grid : WindowGrid
        The window.
    mean : ndarray of shape (n_groups, 3)
        Prior.
    covariance : ndarray of shape (n_groups, 3, 3)
        Prior.
    free : tuple of bool
        Which coordinates the window moves; the others keep the prior.
    deadline : float
        Of ``time.monotonic()``, after which no iteration begins.
    """
    search = _Search(owner, grid, mean, covariance)
    rows = np.arange(len(grid.voltage))
    scored = grid.known & (grid.voltage > owner.lanes.model.lowest_voltage - _BELOW)
    if not grid.rested:
        scored[rows * grid.step * grid.stride < _SETTLING] = False
    # Whole blocks are held back all over the window, its end among them: middles alone do not tell capacities.
    candidates = np.flatnonzero(scored.any(axis=1))
    block = np.zeros(rows.size, dtype=np.int64)
    block[candidates] = owner.options.blocks * np.arange(candidates.size) // max(candidates.size, 1)
    apart = ((block + 1) % owner.options.held_every == 0)[:, np.newaxis]
    first, held = scored & ~apart, scored & apart
    none = (False, False, False)
    before = search.fit(first, held, scored, none, search.start, deadline)
    part = search.fit(first, held, scored, free, before[1], deadline)
    whole = search.fit(scored, held, scored, free, part[1], deadline)
    return before[0], part[0], whole[0]


class _Search:
    """Positions of all groups: three logarithms, state of charge at the start, and the sensor's offset."""

    def __init__(self, owner: OnlineRecalibration, grid: WindowGrid, mean: Array, covariance: Array) -> None:
        self.owner, self.grid = owner, grid
        options: RecalibrationOptions = owner.options
        self.options = options
        size = len(mean)
        soc, voltage = owner.lanes.open_circuit(float(np.mean(grid.temperature[0])))
        rest = grid.start_voltage + grid.start_current * owner.resistance * np.exp(mean[:, 1])
        doubt = _SOC_RESTED if grid.rested else _SOC_MOVING
        self.mean = np.column_stack([mean, np.interp(rest, voltage, soc), np.zeros(size)])
        self.prior = np.zeros((size, 5, 5))
        self.prior[:, :3, :3] = covariance
        self.prior[:, 3, 3], self.prior[:, 4, 4] = doubt**2, options.sensor_error**2
        self.widths = np.sqrt(np.diagonal(self.prior, axis1=1, axis2=2))
        self.start = self.mean.copy()
        # Where voltages are steep, half a step of time counts as an error.
        steep = np.gradient(grid.voltage, grid.step * grid.stride, axis=0) * 0.5 * grid.step
        self.deviation = np.sqrt(options.voltage_error**2 + options.sensor_error**2 + steep**2)

    def fit(
        self,
        rows: NDArray[np.bool_],
        held: NDArray[np.bool_],
        scored: NDArray[np.bool_],
        free: tuple[bool, ...],
        start: Array,
        deadline: float,
    ) -> tuple[GroupFit, Array]:
        """Return the fit to rows, with errors of other rows, and its positions."""
        moving = np.array([*free, True, True])
        position = np.where(moving, start, np.where(np.arange(5) < 3, self.mean, start))
        simulated, slopes = self._linearise(position, moving)
        cost = self._cost(simulated, position, rows)
        for _ in range(self.options.iterations):
            if time.monotonic() > deadline:
                break
            steps = [self._step(simulated, slopes, position, rows, moving, damping) for damping in _DAMPINGS]
            tried = np.stack([self._inside(position + step) for step in steps])
            outcomes = self._simulate(tried)
            costs = np.stack([self._cost(outcomes[:, k], tried[k], rows) for k in range(len(_DAMPINGS))])
            best = np.argmin(costs, axis=0)
            groups = np.arange(position.shape[0])
            gained = cost - costs[best, groups]
            better = gained > 0.0
            if not better.any():
                break
            position = np.where(better[:, np.newaxis], tried[best, groups], position)
            simulated, slopes = self._linearise(position, moving)
            cost = self._cost(simulated, position, rows)
            if np.all(gained <= 1e-3 * np.maximum(cost, 1.0)):
                break
        return self._summary(simulated, slopes, position, rows, held, scored, moving), position

    def _inside(self, position: Array) -> Array:
        low, high = self.mean - _REACH * self.widths, self.mean + _REACH * self.widths
        low[:, 3], high[:, 3] = np.maximum(low[:, 3], 0.005), np.minimum(high[:, 3], 0.999)
        return np.clip(position, low, np.maximum(high, low))

    def _simulate(self, positions: Array) -> Array:
        """Return voltages, shape (n_rows, n_sets, n_groups), of positions, shape (n_sets, n_groups, 5)."""
        sets, groups = positions.shape[:2]
        owner, grid = self.owner, self.grid
        flat = positions.reshape(-1, 5)
        voltage = owner.lanes.simulate(
            grid.step,
            np.tile(grid.current, (1, sets)),
            np.tile(grid.temperature, (1, sets)),
            capacity=owner.capacity_scale * np.exp(flat[:, 0]),
            resistance=owner.resistance * np.exp(flat[:, 1]),
            diffusivity=np.exp(flat[:, 2]),
            soc=flat[:, 3],
            stride=grid.stride,
        )
        return np.asarray(voltage.reshape(-1, sets, groups) + positions[:, :, 4])

    def _linearise(self, position: Array, moving: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Return voltages, shape (n_rows, n_groups), and their slopes, shape (n_rows, n_groups, 5)."""
        steps = np.maximum(_SHARE * self.widths, _LEAST_STEP)
        steps[:, 3] = np.where(position[:, 3] > 0.97, -0.003, 0.003)
        sets = np.tile(position, (len(_DAMPINGS), 1, 1))
        for at in range(4):
            sets[1 + at, :, at] += steps[:, at] if moving[at] else 0.0
        found = self._simulate(sets)
        slopes = np.zeros((*found[:, 0].shape, 5))
        for at in range(4):
            if moving[at]:
                slopes[:, :, at] = (found[:, 1 + at] - found[:, 0]) / steps[:, at]
        slopes[:, :, 4] = 1.0
        return found[:, 0], slopes

    def _weights(self, rows: NDArray[np.bool_]) -> Array:
        """Return weights of rows, shape (n_rows, n_groups): independent rows are as many as the errors allow."""
        count = rows.sum(axis=0)
        seconds = count * self.grid.step * self.grid.stride
        independent = np.minimum(np.maximum(seconds / self.options.correlation, 1.0), count)
        return np.asarray(rows * np.sqrt(independent / np.maximum(count, 1)) / self.deviation)

    def _cost(self, simulated: Array, position: Array, rows: NDArray[np.bool_]) -> Array:
        departure = (simulated - self.grid.voltage) * self._weights(rows)
        away = position - self.mean
        prior = np.einsum("gi,gij,gj->g", away, np.linalg.inv(self.prior), away)
        return np.asarray(0.5 * (np.sum(departure**2, axis=0) + prior))

    def _normal(self, simulated: Array, slopes: Array, rows: NDArray[np.bool_]) -> tuple[Array, Array]:
        weights = self._weights(rows)
        scaled = slopes * weights[:, :, np.newaxis]
        departure = (self.grid.voltage - simulated) * weights
        return np.einsum("rgi,rgj->gij", scaled, scaled), np.einsum("rgi,rg->gi", scaled, departure)

    def _step(
        self,
        simulated: Array,
        slopes: Array,
        position: Array,
        rows: NDArray[np.bool_],
        moving: NDArray[np.bool_],
        damping: float,
    ) -> Array:
        hessian, pull = self._normal(simulated, slopes, rows)
        inverse = np.linalg.inv(self.prior)
        hessian = hessian + inverse
        hessian = hessian + damping * hessian * np.eye(5)
        pull = pull - np.einsum("gij,gj->gi", inverse, position - self.mean)
        at = np.flatnonzero(moving)
        step = np.zeros_like(position)
        step[:, at] = np.linalg.solve(hessian[:, at[:, np.newaxis], at], pull[:, at, np.newaxis])[:, :, 0]
        return step

    def _summary(
        self,
        simulated: Array,
        slopes: Array,
        position: Array,
        rows: NDArray[np.bool_],
        held: NDArray[np.bool_],
        scored: NDArray[np.bool_],
        moving: NDArray[np.bool_],
    ) -> GroupFit:
        hessian, _ = self._normal(simulated, slopes, rows)
        weighted = (simulated - self.grid.voltage) * self._weights(rows)
        independent = np.sum((self._weights(rows) * self.deviation) ** 2, axis=0)
        # What the fit leaves beyond what it was told of the model widens the result (Birge's ratio), and so does what
        # it leaves in one direction for longer than was supposed.
        excess = np.maximum(np.sum(weighted**2, axis=0) / np.maximum(independent - moving.sum(), 1.0), 1.0)
        found = rows.sum(axis=0) / _correlation(np.where(rows, weighted, 0.0), rows)
        excess *= np.maximum(independent / found, 1.0)
        data = hessian / excess[:, np.newaxis, np.newaxis]
        total = data + np.linalg.inv(self.prior)
        covariance = np.array(self.prior[:, :3, :3])
        kept = np.flatnonzero(moving)
        inner = np.linalg.inv(total[:, kept[:, np.newaxis], kept])
        own = np.flatnonzero(moving[:3])
        if own.size:
            place = np.arange(own.size)
            covariance[:, own[:, np.newaxis], own] = inner[:, place[:, np.newaxis], place]
        # Start and offset are integrated out of what the data say by themselves.
        nuisance = total[:, 3:, 3:]
        cross = data[:, :3, 3:]
        precision = data[:, :3, :3] - cross @ np.linalg.solve(nuisance, np.swapaxes(cross, 1, 2))
        mean = position[:, :3]
        error = simulated - self.grid.voltage

        def root_mean_square(mask: NDArray[np.bool_]) -> Array:
            return np.asarray(
                np.sqrt(np.sum(np.where(mask, error, 0.0) ** 2, axis=0) / np.maximum(mask.sum(axis=0), 1))
            )

        # At the best position the data pull against the prior just as hard as it holds.
        holding = np.einsum("gij,gj->gi", np.linalg.inv(self.prior[:, :3, :3]), mean - self.mean[:, :3])
        pull = np.einsum("gij,gj->gi", precision, mean) + np.where(moving[:3], holding, 0.0) / excess[:, np.newaxis]
        return GroupFit(
            mean=mean,
            covariance=covariance,
            precision=precision,
            pull=pull,
            soc=position[:, 3],
            misfit=root_mean_square(scored),
            held_error=root_mean_square(held),
        )


def _correlation(residuals: Array, rows: NDArray[np.bool_]) -> Array:
    """Return over how many rows residuals go together, shape (n_groups,): the integrated autocorrelation."""
    count = rows.sum(axis=0)
    size = len(residuals)
    power = np.maximum(np.mean(residuals**2, axis=0), 1e-300)
    total = np.ones(residuals.shape[1])
    going = np.ones(residuals.shape[1], dtype=bool)
    for lag in range(1, size // 2):
        rho = np.sum(residuals[lag:] * residuals[:-lag], axis=0) / (size * power)
        going &= rho > 0.05
        if not going.any():
            break
        total += np.where(going, 2.0 * rho, 0.0)
    return np.asarray(np.minimum(total, np.maximum(count / 4.0, 1.0)))
