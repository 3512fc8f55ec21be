"""One update of a kept learner: newly labelled cycles in, a candidate, its promotion test, and the next state out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from celltwin.core import SettingsError

from ..cycles import CycleSet
from ..past_windows import PastWindows, window_cycles
from ..sequence.kinds import NetworkKind
from ..splits import published_split
from ..trust.cell_bags import choose_windows
from .continual import ContinualLearner, ContinualSettings
from .promotion import PromotionRules, PromotionVerdict, digest_windows, judge_promotion
from .replay_memory import join_windows
from .transfer_cases import thin_windows
from .update_intervals import leave_one_out_answers

__all__ = ["UpdateOutcome", "begin_learner", "select_protocols", "update_learner"]

MOST_LEARNT, MOST_HELD_OUT = 6000, 4000  # windows, about


@dataclass(frozen=True, kw_only=True)
class UpdateOutcome:
    """What came of an update.

    Attributes
    ----------
    verdict : PromotionVerdict
        Whether the candidate was adopted, and why.
    labels : int
        Cycles whose label was new.
    record : Path
        File of the verdict.
    """

    verdict: PromotionVerdict
    labels: int
    record: Path


def select_protocols(cycles: CycleSet, protocols: tuple[str, ...]) -> CycleSet:
    """Return the cells of some protocols; of all where none is named.

    Raises
    ------
    SettingsError
        If no cell was cycled so.
    """
    for protocol in protocols:
        if protocol not in cycles.protocols:
            raise SettingsError(
                f"no cell was cycled as {protocol!r}", remedy=f"Choose among {', '.join(cycles.protocols)}"
            )
    cells = tuple(cell for cell in cycles.cells if not protocols or cell.protocol in protocols)
    return replace(cycles, cells=cells)


def begin_learner(
    folder: Path,
    base: CycleSet,
    kind: NetworkKind,
    settings: ContinualSettings,
    *,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> ContinualLearner:
    """Train a model on the cells of a base without a 4 or an 8 in their number, and keep it as a learner.

    A training that was interrupted goes on from its checkpoints in the folder.
    """
    cells = base.select(published_split(base, folds=1).training)
    learnt = thin_windows(cells, window=kind.window, most=MOST_LEARNT)
    checkpoints = folder / f"first_{base.digest[:12]}_{seed}"
    model = kind.fit(learnt, seed=seed, checkpoints=checkpoints, on_step=on_step)
    learner = ContinualLearner(kind, model, learnt, settings, seed=seed)
    learner.save(folder)
    shutil.rmtree(checkpoints)
    return learner


def update_learner(
    folder: Path,
    learner: ContinualLearner,
    base: CycleSet,
    new: CycleSet,
    rules: PromotionRules,
    *,
    through: int = 0,
    on_step: Callable[[int, int], None] | None = None,
) -> UpdateOutcome:
    """Let a learner take up labels that it has not had, judge the candidate, adopt it if promoted, and save.

    Cells with a 4 or an 8 in their number, of base and new cells alike, are held out: no model learns from them, and
    the candidate is judged on their cycles.

    Parameters
    ----------
    folder : Path
        Where the learner is kept, and the record of each update, ``promotion_0001.json`` and so on.
    learner : ContinualLearner
        The learner; its shipped model changes only if the candidate is promoted.
    base, new : CycleSet
        What the first model was trained on; cycles whose label has arrived, old ones too.
    rules : PromotionRules
        What a candidate must show.
    through : int
        Labels of new cells that count as arrived: those up to this cycle; 0: all.
    on_step : callable, optional
        Called with the number of finished steps and of all.

    Raises
    ------
    SettingsError
        If no label is new, or the learner has learnt from a cell that is to be held out.
    CycleDataError
        If there are no cells to hold out.
    """
    window = learner.kind.window
    split = published_split(new, folds=1)
    arrived = _through(window_cycles(new.select(split.training), window=window), through)
    labels = learner.unseen(arrived)
    if labels.soh.size == 0:
        raise SettingsError(
            f"all {arrived.soh.size} labels were learnt from already",
            where=str(folder),
            remedy="Come again when capacities have been measured, or raise --through",
        )
    old = thin_windows(base.select(published_split(base, folds=1).test), window=window, most=MOST_HELD_OUT)
    own = thin_windows(new.select(split.test), window=window, most=MOST_HELD_OUT, first=through)
    held_out = join_windows(old, choose_windows(own, ~np.isin(own.cell, old.cell)))
    if known := sorted(set(held_out.cell.tolist()) & set(learner.newest)):
        raise SettingsError(
            f"the learner has learnt from {known[0]}, which is to be held out",
            where=str(folder),
            remedy="Give the --base and --new that it was begun with, or cells of other names",
        )
    number = learner.updates + 1
    checkpoints = folder / f"update_{number:04d}_{learner.digest[:12]}_{digest_windows(labels)[:12]}"
    candidate = learner.update(labels, checkpoints=checkpoints, on_step=on_step)
    before, after = (
        leave_one_out_answers(held_out, model.predict(held_out).mean(axis=0), digest, level=rules.coverage)
        for model, digest in ((learner.model, learner.digest), (candidate.model, candidate.digest))
    )
    verdict = judge_promotion(held_out, before, after, rules, attempt=learner.attempts)
    record = folder / f"promotion_{number:04d}.json"
    verdict.write(record)
    if verdict.promoted:
        learner.adopt(candidate)
    learner.save(folder)
    shutil.rmtree(checkpoints)
    return UpdateOutcome(verdict=verdict, labels=int(labels.soh.size), record=record)


def _through(windows: PastWindows, through: int) -> PastWindows:
    return choose_windows(windows, windows.cycle <= through) if through else windows
