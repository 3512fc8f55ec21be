"""What `bench uncertainty` counts: coverage and width by batch, rank correlations, areas under curves, by cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array
from celltwin.prognosis.trust import HeldOut, TrustCalibration, TrustSettings, calibrate_trust
from tools.bench.uncertainty_runs import Part

__all__ = [
    "Intervals",
    "area",
    "bootstrap_gap",
    "cross_intervals",
    "perfect_gaps",
    "rank_correlation",
    "score_noise",
    "split_intervals",
]

LEVEL = 0.90
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Intervals:
    """Intervals of clean rows.

    Attributes
    ----------
    cell, protocol : ndarray of str, shape (n,)
        Cell, and how it was cycled.
    error, half, score : ndarray of shape (n,)
        Absolute error, half width of the 90 % interval, and score [SOH].
    flagged : ndarray of bool, shape (n,)
        Past a threshold of energy or distance.
    """

    cell: NDArray[np.str_]
    protocol: NDArray[np.str_]
    error: Array
    half: Array
    score: Array
    flagged: NDArray[np.bool_]

    @property
    def batches(self) -> NDArray[np.str_]:
        """Names of the batches."""
        return np.unique(self.protocol)

    def coverage(self) -> Array:
        """Return the share of cycles inside their interval, for each batch."""
        return np.array([np.mean((self.error <= self.half)[self.protocol == name]) for name in self.batches])

    def width(self) -> float:
        """Return the mean width [SOH points]; every batch weighs the same."""
        return float(np.mean([200.0 * self.half[self.protocol == name].mean() for name in self.batches]))

    def mean_error(self) -> float:
        """Return the mean absolute error [SOH points]; every batch weighs the same."""
        return float(np.mean([100.0 * self.error[self.protocol == name].mean() for name in self.batches]))

    @staticmethod
    def join(parts: list[Intervals]) -> Intervals:
        """Return all rows of several."""
        return Intervals(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _intervals(held: HeldOut, calibration: TrustCalibration) -> Intervals:
    score = calibration.score(held.signals, held.protocol)
    far = (held.energy > calibration.energy_threshold) | (held.distance > calibration.distance_threshold)
    return Intervals(
        cell=held.cell,
        protocol=held.protocol,
        error=held.error,
        half=calibration.wide_quantile * score,
        score=score,
        flagged=far,
    )


def split_intervals(training: Part, test: Part, settings: TrustSettings) -> Intervals:
    """Return intervals of test cells by a calibration on the training cells."""
    calibration = calibrate_trust(training.held, settings)
    return _intervals(test.held.choose(test.held.clean), calibration)


def cross_intervals(part: Part, settings: TrustSettings) -> Intervals:
    """Return intervals of every cell by a calibration on the errors of the cells of all other folds."""
    made = []
    for fold in np.unique(part.held.fold):
        calibration = calibrate_trust(part.held.choose(part.held.fold != fold), settings)
        made.append(_intervals(part.held.choose((part.held.fold == fold) & part.held.clean), calibration))
    return Intervals.join(made)


def bootstrap_gap(seeds: list[Intervals], *, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean over seeds of the mean absolute gap of coverage, and its 90 % interval over draws of cells."""
    random = np.random.default_rng(seed)
    first = seeds[0]
    inside, count = [], []
    names = np.unique(first.cell)
    for one in seeds:
        index = np.searchsorted(names, one.cell)
        inside.append(np.bincount(index, weights=one.error <= one.half, minlength=names.size))
        count.append(np.bincount(index, minlength=names.size))
    total, counts = np.array(inside), count[0].astype(float)
    batch = np.array([first.protocol[first.cell == name][0] for name in names])
    gaps = []
    for draw in range(RESAMPLES + 1):
        gap = np.zeros(len(seeds))
        for name in first.batches:
            rows = np.flatnonzero(batch == name)
            if draw:
                rows = random.choice(rows, rows.size)
            gap += np.abs(total[:, rows].sum(axis=1) / counts[rows].sum() - LEVEL)
        gaps.append(gap.mean() / first.batches.size)
    low, high = np.percentile(gaps[1:], (5.0, 95.0))
    return float(gaps[0]), float(low), float(high)


def perfect_gaps(held_out: list[Intervals], test: Intervals, *, seed: int = 0) -> Array:
    """Return the gaps of coverage that a perfectly calibrated method would show on as few cells as the test has.

    The intervals of each batch are stretched until exactly 90 % of its cycles lie inside; then as many cells of each
    batch as the test has are drawn, again and again. Errors that go together within a cell stay together.

    Parameters
    ----------
    held_out : list of Intervals
        Of cells that were held out, one for each seed.
    test : Intervals
        Of the test cells; only their number in each batch is used.
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray of shape (n_draws,)
        Mean absolute gap over batches, one of each draw, evenly from all seeds.
    """
    random = np.random.default_rng(seed)
    gaps = np.zeros(RESAMPLES)
    for name in test.batches:
        wanted = np.unique(test.cell[test.protocol == name]).size
        for draws, one in zip(np.array_split(np.arange(RESAMPLES), len(held_out)), held_out, strict=True):
            rows = one.protocol == name
            ratio = one.error[rows] / one.half[rows]
            index = np.unique(one.cell[rows], return_inverse=True)[1]
            count = np.bincount(index)
            inside = np.bincount(index, weights=ratio <= np.quantile(ratio, LEVEL))
            drawn = random.random((draws.size, count.size)).argsort(axis=1)[:, :wanted]
            gaps[draws] += np.abs(inside[drawn].sum(axis=1) / count[drawn].sum(axis=1) - LEVEL) / test.batches.size
    return gaps


def score_noise(training: Part, test: Part, settings: TrustSettings) -> dict[str, Array]:
    """Return, for the rows that count under noise, level, error and every score, by name."""
    return _noise_table(test, test.sampled, calibrate_trust(training.held, settings))


def score_noise_crossed(part: Part, settings: TrustSettings) -> dict[str, Array]:
    """Return the same of cells held out, each scored by a calibration on the errors of all other folds."""
    tables = []
    for fold in np.unique(part.held.fold):
        calibration = calibrate_trust(part.held.choose(part.held.fold != fold), settings)
        tables.append(_noise_table(part, part.sampled & (part.held.fold == fold), calibration))
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _noise_table(test: Part, rows: NDArray[np.bool_], calibration: TrustCalibration) -> dict[str, Array]:
    held = test.held
    score = calibration.score(held.signals[rows], held.protocol[rows])
    return {
        "level": held.level[rows],
        "error": held.error[rows],
        "spread between cells' models": held.spread[rows],
        "DAGMM, trained": held.energy[rows],
        "DAGMM, untrained": test.untrained[rows],
        "Mahalanobis distance": held.distance[rows],
        "combined": score,
        "half": calibration.wide_quantile * score,
    }


def rank_correlation(first: Array, second: Array) -> float:
    """Return Spearman's rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second)[0])


def area(inside: Array, outside: Array) -> float:
    """Return the probability that a value of ``outside`` lies above one of ``inside``: the area under the curve."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]))
    above = ranks[inside.size :].sum() - outside.size * (outside.size + 1) / 2.0
    return float(above / (inside.size * outside.size))
