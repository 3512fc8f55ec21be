"""How good the risk is: proper scores, reliability, ranking, lead time and false alarms over whole runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array

from .library_replay import ReplayedRun

__all__ = [
    "AlarmFigures",
    "Reliability",
    "alarm_figures",
    "area_under_curve",
    "bootstrap",
    "proper_scores",
    "reliability",
]

SMALLEST = 1e-9  # probability that a log score can meet
HELD = 600.0  # s within which a second alarm is the same one
DEFAULT_EDGES = (0.0, 1e-6, 1e-4, 1e-2, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Said and seen, by bins of what was said.

    Attributes
    ----------
    said, seen : ndarray of shape (n_bins,)
        Mean probability, and share that ran away; NaN in empty bins.
    count : ndarray of int, shape (n_bins,)
        Predictions.
    runs : ndarray of int, shape (n_bins,)
        Runs that they come from.
    edges : ndarray of shape (n_bins + 1,)
        Of the bins.
    """

    said: Array
    seen: Array
    count: Array
    runs: Array
    edges: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class AlarmFigures:
    """What an alarm on any cell of the pack does, at one threshold.

    Attributes
    ----------
    threshold : float
        Score from which it rings.
    lead : ndarray of shape (n_events,)
        Time from the first alarm to the first runaway of each run that has one [s]; NaN where there was none before.
    caught : float
        Share of runs with a runaway that had an alarm before it [-].
    false_alarms : float
        Alarms for each hour of runs in which nothing is wrong with a cell [1/h].
    hours : float
        Hours of such runs.
    fault_alarms : float
        Share of runs with a short that did not run away in which it rang [-].
    """

    threshold: float
    lead: Array
    caught: float
    false_alarms: float
    hours: float
    fault_alarms: float


def proper_scores(
    runs: tuple[ReplayedRun, ...], column: int, score: Callable[[ReplayedRun], Array]
) -> tuple[float, float]:
    """Return Brier score and log score [nat] over all cells and predictions; every run weighs the same.

    Parameters
    ----------
    runs : tuple of ReplayedRun
        Runs.
    column : int
        Horizon.
    score : callable
        Takes a run, returns the probability of each cell at each prediction, of shape (n_times, n_cells).
    """
    brier, logarithmic = [], []
    for run in runs:
        goes, known = run.labels(column)
        if not known.any():
            continue
        p, y = np.clip(score(run)[known], SMALLEST, 1.0 - SMALLEST), goes[known]
        brier.append(float(np.square(p - y).mean()))
        logarithmic.append(float(-np.where(y, np.log(p), np.log1p(-p)).mean()))
    return float(np.mean(brier)), float(np.mean(logarithmic))


def area_under_curve(runs: tuple[ReplayedRun, ...], column: int, score: Callable[[ReplayedRun], Array]) -> float:
    """Return the area under the ROC curve over all cells and predictions; NaN without both outcomes."""
    values, goes = [], []
    for run in runs:
        label, known = run.labels(column)
        values.append(score(run)[known])
        goes.append(label[known])
    x, y = np.concatenate(values), np.concatenate(goes)
    if not y.any() or y.all():
        return float("nan")
    order = np.argsort(x, kind="stable")
    ranks = np.empty(x.size)
    ranks[order] = np.arange(1, x.size + 1)
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, ranks)
    ranks = (sums / counts)[inverse]
    positive = int(y.sum())
    return float((ranks[y].sum() - 0.5 * positive * (positive + 1)) / (positive * (y.size - positive)))


def reliability(
    runs: tuple[ReplayedRun, ...],
    column: int,
    score: Callable[[ReplayedRun], Array],
    edges: tuple[float, ...] = DEFAULT_EDGES,
) -> Reliability:
    """Return said and seen by bins."""
    limits = np.array(edges)
    said, seen, count, from_runs = (np.zeros(limits.size - 1) for _ in range(4))
    for run in runs:
        goes, known = run.labels(column)
        p, y = score(run)[known], goes[known].astype(np.float64)
        places = np.clip(np.searchsorted(limits, p, side="right") - 1, 0, limits.size - 2)
        said += np.bincount(places, p, limits.size - 1)
        seen += np.bincount(places, y, limits.size - 1)
        found = np.bincount(places, minlength=limits.size - 1)
        count += found
        from_runs += found > 0
    total = np.where(count > 0, count, np.nan)
    return Reliability(said=said / total, seen=seen / total, count=count, runs=from_runs, edges=limits)


def alarm_figures(
    runs: tuple[ReplayedRun, ...], score: Callable[[ReplayedRun], Array], threshold: float
) -> AlarmFigures:
    """Return what an alarm does that rings when the score of any cell reaches a threshold."""
    lead, false, hours, fault = [], 0, 0.0, []
    for run in runs:
        rings = np.nanmax(score(run), axis=1) >= threshold
        first = np.nanmin(run.onset) if np.isfinite(run.onset).any() else np.inf
        if np.isfinite(first):
            before = run.time[rings & (run.time < first)]
            lead.append(first - before[0] if before.size else np.nan)
        elif run.family in ("healthy", "confounder"):
            hours += float(run.time[-1] - run.time[0]) / SECONDS_PER_HOUR
            times = run.time[rings]
            false += int(times.size > 0) + int((np.diff(times) > HELD).sum())
        elif run.faulty >= 0:
            fault.append(float(rings.any()))
    leads = np.array(lead)
    return AlarmFigures(
        threshold=threshold,
        lead=leads,
        caught=float(np.isfinite(leads).mean()) if leads.size else float("nan"),
        false_alarms=false / max(hours, 1e-9),
        hours=hours,
        fault_alarms=float(np.mean(fault)) if fault else float("nan"),
    )


def bootstrap(
    runs: tuple[ReplayedRun, ...],
    figure: Callable[[tuple[ReplayedRun, ...]], float],
    *,
    draws: int = 200,
    seed: int = 1,
) -> tuple[float, float]:
    """Return the 90 % interval of a figure when whole runs are drawn anew."""
    random = np.random.default_rng(seed)
    found = [figure(tuple(runs[index] for index in random.integers(len(runs), size=len(runs)))) for _ in range(draws)]
    usable = np.array(found)[np.isfinite(found)]
    if not usable.size:
        return float("nan"), float("nan")
    low, high = np.quantile(usable, [0.05, 0.95])
    return float(low), float(high)
