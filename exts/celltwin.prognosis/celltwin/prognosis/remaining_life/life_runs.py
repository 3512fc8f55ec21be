"""Fit and score remaining-life models on a split, for several seeds, beside simple methods; resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..cycles import CellCycles, CycleSet
from ..splits import Split
from .life_baselines import extrapolate_soh, match_trajectories, subtract_age
from .life_inputs import describe_cells
from .life_prediction import RemainingLife
from .life_scores import LifeFigures, ScoredLives, line_up, score_lives
from .life_training import LifeEnsemble, LifeSettings, train_life_ensemble

__all__ = ["BASELINES", "LifeRun", "cross_validated", "run_lives"]

BASELINES: dict[str, Callable[[tuple[CellCycles, ...], tuple[CellCycles, ...], float], Array]] = {
    "typical life of the protocol less the age": subtract_age,
    "straight line through the newest SOH": extrapolate_soh,
    "training trajectories of SOH, stretched": match_trajectories,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeRun:
    """What came of fitting and scoring one kind of model.

    Attributes
    ----------
    ensembles : dict of int to LifeEnsemble
        By seed.
    scored : dict of int to ScoredLives
        Predictions on the test cells beside the truth, by seed.
    figures : dict of int to LifeFigures
        Figures of each seed alone.
    together : LifeFigures
        Figures of the mean of all seeds' medians and bounds.
    cross_validation : LifeFigures
        Figures on the training cells, each predicted by a fit that has not seen it, of the first seed.
    """

    ensembles: dict[int, LifeEnsemble]
    scored: dict[int, ScoredLives]
    figures: dict[int, LifeFigures]
    together: LifeFigures
    cross_validation: LifeFigures

    @property
    def mean(self) -> float:
        """Mean absolute error, averaged over the seeds [cycles]."""
        return float(np.mean([value.mae for value in self.figures.values()]))


def run_lives(
    cycles: CycleSet,
    split: Split,
    settings: LifeSettings,
    *,
    seeds: tuple[int, ...],
    checkpoints: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> LifeRun:
    """Fit an ensemble for each seed on the training cells of a split, and score it once on the test cells.

    Parameters
    ----------
    cycles, split : CycleSet, Split
        The data; which cells teach and which are scored.
    settings : LifeSettings
        What to train.
    seeds : tuple of int
        Seeds.
    checkpoints : Path, optional
        Folder for checkpoints; a run goes on from them.
    on_step : callable, optional
        Called with the seed and the number of each finished step.

    Raises
    ------
    CycleDataError
        If no training or no test cell reaches the end of life.
    """
    cells = cycles.select(split.test)
    inputs = describe_cells(cells, history=settings.history, delay=settings.history_delay)
    ensembles, scored = {}, {}
    for seed in seeds:
        ensembles[seed] = train_life_ensemble(
            cycles,
            split,
            settings,
            seed=seed,
            checkpoints=checkpoints,
            on_step=partial(on_step, seed) if on_step else None,
        )
        scored[seed] = _score(cells, settings.end_of_life, ensembles[seed].predict(inputs))
    first = ensembles[seeds[0]]
    return LifeRun(
        ensembles=ensembles,
        scored=scored,
        figures={seed: score_lives(values) for seed, values in scored.items()},
        together=score_lives(_join(list(scored.values()))),
        cross_validation=score_lives(cross_validated(first)),
    )


def cross_validated(ensemble: LifeEnsemble) -> ScoredLives:
    """Return what fits without them say of the training cells, beside the truth."""
    found, end = ensemble.left_out, ensemble.settings.end_index
    life = np.asarray(found["life"], dtype=np.float64)
    median, scale, remaining = (
        np.asarray(found[name], dtype=np.float64)[:, end] * life for name in ("median", "scale", "remaining")
    )
    arrived = np.asarray(found["arrived"], dtype=np.bool_)[:, end]
    half = ensemble.knowledge.calibration.wide * scale
    counts = np.where(arrived, remaining > 0.0, remaining >= 0.0)
    cycle, cell = np.asarray(found["cycle"], dtype=np.float64), np.asarray(found["cell"], dtype=np.str_)
    duty = np.asarray(found["duty"], dtype=np.str_)
    return ScoredLives(
        remaining=remaining[counts],
        arrived=arrived[counts],
        median=np.maximum(median, 0.0)[counts],
        lowest=np.maximum(median - half, 0.0)[counts],
        highest=np.maximum(median + half, 0.0)[counts],
        share=(cycle / (cycle + remaining))[counts],
        cell=cell[counts],
        duty=duty[counts],
        flagged=np.zeros(int(counts.sum()), dtype=np.bool_),
    )


def _score(cells: tuple[CellCycles, ...], end_of_life: float, lives: RemainingLife) -> ScoredLives:
    return line_up(cells, end_of_life, lives.median, lives.lowest, lives.highest, lives.doubts != 0)


def _join(scored: list[ScoredLives]) -> ScoredLives:
    def mean(name: str) -> Array:
        values: Array = np.mean([getattr(each, name) for each in scored], axis=0)
        return values

    flagged: NDArray[np.bool_] = np.mean([each.flagged for each in scored], axis=0) > 0.5
    return replace(scored[0], median=mean("median"), lowest=mean("lowest"), highest=mean("highest"), flagged=flagged)
