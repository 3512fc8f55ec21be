"""What simple methods say of the life that remains: a network has to beat them."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

from ..cycles import CellCycles
from .end_of_life import find_arrivals, running_median, typical_lives

__all__ = ["extrapolate_soh", "match_trajectories", "subtract_age"]

SLOPE_SPAN = 50  # cycles
STRETCHES = np.exp(np.linspace(-0.4, 0.4, 33))
STRETCH_SPREAD = 0.12  # of the logarithm of a stretch, before anything of the cell is seen
INDEPENDENT, MEMORY = 5.0, 60.0  # independent values in a match; cycles that it looks back over


def subtract_age(training: tuple[CellCycles, ...], cells: tuple[CellCycles, ...], end_of_life: float) -> Array:
    """Return the typical life of the training cells of the same protocol less the age, at least 0, for every cycle."""
    return np.concatenate([np.maximum(_typical(training, cell, end_of_life) - _age(cell), 0.0) for cell in cells])


def extrapolate_soh(training: tuple[CellCycles, ...], cells: tuple[CellCycles, ...], end_of_life: float) -> Array:
    """Return the cycles until a straight line through the newest 50 SOH values falls below the end of life.

    Where the line does not fall, or lives on past twice the typical life, the typical life less the age is taken.
    """
    remaining = []
    for cell in cells:
        typical = _typical(training, cell, end_of_life)
        median = running_median(cell.soh)
        left = np.maximum(typical - _age(cell), 0.0)
        for end in range(2, cell.soh.size):
            newest = median[max(0, end + 1 - SLOPE_SPAN) : end + 1]
            slope = np.polyfit(np.arange(newest.size), newest, 1)[0]
            if slope < 0.0:
                line = (end_of_life - median[end]) / slope
                if end + 1 + line <= 2.0 * typical:
                    left[end] = max(line, 0.0)
        remaining.append(left)
    return np.concatenate(remaining)


def match_trajectories(training: tuple[CellCycles, ...], cells: tuple[CellCycles, ...], end_of_life: float) -> Array:
    """Return the median life of training trajectories of SOH, stretched in time to fit the newest 60 cycles.

    Training cells of the same protocol, each stretched by 33 factors from 0.67 to 1.49, weigh by how well they fit
    and by how usual their stretch is.
    """
    arrivals = find_arrivals(training, np.array([end_of_life]))
    prior = -0.5 * (np.log(STRETCHES) / STRETCH_SPREAD) ** 2
    remaining = []
    for cell in cells:
        alike = [index for index, other in enumerate(training) if other.protocol == cell.protocol]
        alike = alike or list(range(len(training)))
        age, soh = _age(cell), running_median(cell.soh)
        curves = [running_median(training[index].soh) for index in alike]
        share = np.linspace(0.02, 1.0, 50)
        grid = np.stack([np.interp(share * curve.size, np.arange(1, curve.size + 1), curve) for curve in curves])
        noise = max(float(grid.std(axis=0).mean()), 1e-3)
        weights, lives = [], []
        for index, curve in zip(alike, curves, strict=True):
            for stretch, belief in zip(STRETCHES, prior, strict=True):
                fitted = np.interp(age / stretch, np.arange(1, curve.size + 1), curve)
                departure = np.minimum(((soh - fitted) / noise) ** 2, 25.0) + 4.0 * (age / stretch > curve.size)
                weights.append(belief - 0.5 * INDEPENDENT * np.minimum(1.0, age / 30.0) * _recent(departure))
                lives.append(stretch * arrivals.cycle[index, 0])
        weight, life = np.array(weights), np.array(lives)
        weight = np.where(life[:, np.newaxis] > age, weight, weight - 10.0)
        weight = np.exp(weight - weight.max(axis=0))
        order = np.argsort(life)
        reached = np.cumsum(weight[order], axis=0) / weight.sum(axis=0) >= 0.5
        remaining.append(np.maximum(life[order][reached.argmax(axis=0)] - age, 0.0))
    return np.concatenate(remaining)


def _age(cell: CellCycles) -> Array:
    return np.arange(1.0, cell.soh.size + 1.0)


def _typical(training: tuple[CellCycles, ...], cell: CellCycles, end_of_life: float) -> float:
    alike = tuple(other for other in training if other.protocol == cell.protocol) or training
    arrivals = find_arrivals(alike, np.array([end_of_life]))
    return typical_lives(arrivals.cycle[:, 0], arrivals.arrived[:, 0])


def _recent(values: Array) -> Array:
    """Return the mean of the newest values, older ones weighing less and less."""
    from scipy.signal import lfilter

    keep = np.exp(-1.0 / MEMORY)
    weight = lfilter([1.0], [1.0, -keep], np.ones(values.size))
    mean: Array = lfilter([1.0], [1.0, -keep], values) / weight
    return mean
