"""The figures of the risk model on runs of the library, beside a base rate and a thermometer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array

from .library_replay import ReplayedRun
from .risk_scores import AlarmFigures, alarm_figures, area_under_curve, bootstrap, proper_scores
from .rollout_campaign import HORIZONS

__all__ = [
    "ALARM_HORIZON",
    "THRESHOLD",
    "Evaluation",
    "HorizonFigures",
    "base_rates",
    "evaluate_runs",
    "risk_score",
    "temperature_score",
]

ALARM_HORIZON = 1  # of HORIZONS: 30 min
THRESHOLD = 0.05  # risk of a cell within 30 min at which the alarm rings
SMALLEST_RATE = 1e-6


@dataclass(frozen=True, kw_only=True)
class HorizonFigures:
    """Figures of one horizon; pairs are 90 % intervals over runs.

    Attributes
    ----------
    brier, brier_base : float
        Brier score of the model, and of the base rate of the calibration runs said of every cell.
    log, log_base : float
        Log score of both [nat].
    area, area_temperature : float
        Area under the ROC curve of the model, and of the cell's temperature.
    brier_range, log_range, area_range : tuple of float
        Of the model.
    predictions, events : int
        Predictions of cells, and those after which the cell ran away.
    """

    brier: float
    brier_base: float
    log: float
    log_base: float
    area: float
    area_temperature: float
    brier_range: tuple[float, float]
    log_range: tuple[float, float]
    area_range: tuple[float, float]
    predictions: int
    events: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Figures of all horizons and of alarms.

    Attributes
    ----------
    horizons : tuple of HorizonFigures
        One for each of ``HORIZONS``.
    alarm : AlarmFigures
        At a risk of 5 % within 30 min.
    thermometer : AlarmFigures
        Of a cell's temperature, at the lowest whole limit that rings no more often in sound runs than the model does.
    runs, runs_with_event : int
        Runs that scored, and those in which a cell ran away.
    """

    horizons: tuple[HorizonFigures, ...]
    alarm: AlarmFigures
    thermometer: AlarmFigures
    runs: int
    runs_with_event: int


def risk_score(column: int) -> Callable[[ReplayedRun], Array]:
    """Return the score of a run: the risk of each cell within a horizon, of shape (n_times, n_cells)."""
    return lambda run: run.probability[:, :, column]


def temperature_score(run: ReplayedRun) -> Array:
    """Return the temperature of each cell as a score [K]."""
    return run.temperature


def evaluate_runs(
    test: tuple[ReplayedRun, ...], base_rate: tuple[float, ...], *, draws: int = 200, seed: int = 1
) -> Evaluation:
    """Score runs that nothing was fitted to.

    Parameters
    ----------
    test : tuple of ReplayedRun
        The runs.
    base_rate : tuple of float
        Share of a cell's predictions after which it ran away, for each horizon, in the calibration runs.
    draws, seed : int
        Of the bootstrap over runs.
    """
    found = []
    for column in range(len(HORIZONS)):
        score = risk_score(column)
        rate = max(base_rate[column], SMALLEST_RATE)

        def constant(run: ReplayedRun, rate: float = rate) -> Array:
            return np.full(run.temperature.shape, rate)

        def brier_of(runs: tuple[ReplayedRun, ...], c: int = column) -> float:
            return proper_scores(runs, c, risk_score(c))[0]

        def log_of(runs: tuple[ReplayedRun, ...], c: int = column) -> float:
            return proper_scores(runs, c, risk_score(c))[1]

        def area_of(runs: tuple[ReplayedRun, ...], c: int = column) -> float:
            return area_under_curve(runs, c, risk_score(c))

        brier, log = proper_scores(test, column, score)
        brier_base, log_base = proper_scores(test, column, constant)
        counts = [(int(known.sum()), int(goes[known].sum())) for goes, known in (run.labels(column) for run in test)]
        found.append(
            HorizonFigures(
                brier=brier,
                brier_base=brier_base,
                log=log,
                log_base=log_base,
                area=area_under_curve(test, column, score),
                area_temperature=area_under_curve(test, column, temperature_score),
                brier_range=bootstrap(test, brier_of, draws=draws, seed=seed),
                log_range=bootstrap(test, log_of, draws=draws, seed=seed),
                area_range=bootstrap(test, area_of, draws=draws, seed=seed),
                predictions=sum(count for count, _ in counts),
                events=sum(events for _, events in counts),
            )
        )
    alarm = alarm_figures(test, risk_score(ALARM_HORIZON), THRESHOLD)
    thermometer = alarm_figures(test, temperature_score, 500.0)
    for limit in range(313, 500):
        tried = alarm_figures(test, temperature_score, float(limit))
        if tried.false_alarms <= alarm.false_alarms:
            thermometer = tried
            break
    return Evaluation(
        horizons=tuple(found),
        alarm=alarm,
        thermometer=thermometer,
        runs=len(test),
        runs_with_event=sum(bool(np.isfinite(run.onset).any()) for run in test),
    )


def base_rates(runs: tuple[ReplayedRun, ...]) -> tuple[float, ...]:
    """Return the share of predictions after which the cell ran away, for each horizon; every run weighs the same."""
    rates = []
    for column in range(len(HORIZONS)):
        shares = [goes[known].mean() for goes, known in (run.labels(column) for run in runs) if known.any()]
        rates.append(float(np.mean(shares)))
    return tuple(rates)
