"""Labels of new protocols arrive over time: what a model that takes them up forgets of the old ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError

from ..cycles import CycleSet
from ..past_windows import PastWindows, window_cycles
from ..sequence.kinds import FittedNetworks, NetworkKind
from ..splits import published_split
from ..trust.cell_bags import choose_windows
from .continual import ContinualLearner, ContinualSettings
from .promotion import PromotionVerdict, judge_promotion
from .replay_memory import join_windows
from .transfer_cases import thin_windows
from .transfer_figures import cell_errors
from .update_intervals import leave_one_out_answers

__all__ = ["StreamRun", "StreamSettings", "run_stream"]


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """What is known at first, and how labels arrive.

    Attributes
    ----------
    known : tuple of str
        Protocols that the shipped model has learnt from.
    arriving : tuple of str
        Protocols whose cells come into use one after the other.
    portions : int
        Updates for each of them: labels come in the order of the cycles.
    test_every : int
        Cycles from one capacity test to the next.
    most : int
        Windows that the shipped model learns from, and that are scored, at most about.
    promoted_only : bool
        Whether only candidates that pass the promotion test are adopted; all are otherwise.
    """

    known: tuple[str, ...]
    arriving: tuple[str, ...]
    portions: int = 3
    test_every: int = 10
    most: int = 4000
    promoted_only: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamRun:
    """Errors of the test cells before the first update and after each.

    Attributes
    ----------
    cell, protocol : ndarray of str, shape (n_cells,)
        Test cells of all protocols.
    updates : tuple of str
        Protocol of each update.
    errors : ndarray of shape (n_updates + 1, n_cells)
        Mean absolute percentage errors [%].
    verdicts : tuple of PromotionVerdict
        What the promotion test says of each update, on the test cells of the protocols that had arrived by then.
    retrained : ndarray of shape (n_cells,)
        Errors of a network that was trained anew on all labels together [%].
    """

    cell: NDArray[np.str_]
    protocol: NDArray[np.str_]
    updates: tuple[str, ...]
    errors: Array
    verdicts: tuple[PromotionVerdict, ...]
    retrained: Array

    def mean_error(self, after: int, protocols: tuple[str, ...]) -> float:
        """Return the mean error over the cells of protocols after so many updates [%]."""
        return float(self.errors[after, np.isin(self.protocol, protocols)].mean())


def run_stream(
    cycles: CycleSet,
    stream: StreamSettings,
    kind: NetworkKind,
    settings: ContinualSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    on_step: Callable[[str, int, int], None] | None = None,
) -> StreamRun:
    """Train on the known protocols, then take up the arriving ones.

    Parameters
    ----------
    cycles : CycleSet
        Cells of all protocols; those with a 4 or an 8 in their number are scored, the others learnt from.
    stream : StreamSettings
        What is known and what arrives.
    kind : NetworkKind
        The network.
    settings : ContinualSettings
        How it is updated.
    seed : int
        Seed of everything random.
    checkpoints : Path, optional
        Folder for checkpoints of the first training.
    on_step : callable, optional
        Called with what is under way, and the numbers of finished and of all updates.

    Raises
    ------
    SettingsError
        If a protocol is not among those of the cells.
    """
    for protocol in (*stream.known, *stream.arriving):
        if protocol not in cycles.protocols:
            raise SettingsError(
                f"no cell was cycled as {protocol!r}", remedy=f"Choose among {', '.join(cycles.protocols)}"
            )
    split = published_split(cycles, folds=1)
    training, test = cycles.select(split.training), cycles.select(split.test)
    learnt = thin_windows(
        tuple(cell for cell in training if cell.protocol in stream.known), window=kind.window, most=stream.most
    )
    scored = thin_windows(test, window=kind.window, most=stream.most)
    model = kind.fit(learnt, seed=seed, checkpoints=checkpoints)
    learner = ContinualLearner(kind, model, learnt, settings, seed=seed)
    errors, updates, verdicts = [_errors(model, scored)], [], []
    arrived, everything = list(stream.known), [learnt]
    steps = stream.portions * len(stream.arriving)
    for protocol in stream.arriving:
        cells = tuple(cell for cell in training if cell.protocol == protocol)
        arrived.append(protocol)
        labels = window_cycles(cells, window=kind.window)
        labels = choose_windows(labels, (labels.cycle - 1.0) % stream.test_every == 0.0)
        edges = np.linspace(0.0, labels.cycle.max(), stream.portions + 1)
        everything.append(labels)
        held_out = choose_windows(scored, np.isin(scored.protocol, arrived))
        for start, end in pairwise(edges):
            candidate = learner.update(choose_windows(labels, (labels.cycle > start) & (labels.cycle <= end)))
            before, after = (
                leave_one_out_answers(held_out, each.predict(held_out).mean(axis=0), digest)
                for each, digest in ((learner.model, learner.digest), (candidate.model, candidate.digest))
            )
            verdicts.append(judge_promotion(held_out, before, after, attempt=learner.attempts))
            if verdicts[-1].promoted or not stream.promoted_only:
                learner.adopt(candidate)
            errors.append(_errors(learner.model, scored))
            updates.append(protocol)
            if on_step:
                on_step(protocol, len(updates), steps)
    retrained = kind.fit(join_windows(*everything), seed=seed)
    names, first = np.unique(scored.cell, return_index=True)
    return StreamRun(
        cell=names,
        protocol=scored.protocol[first],
        updates=tuple(updates),
        errors=np.stack(errors),
        verdicts=tuple(verdicts),
        retrained=_errors(retrained, scored),
    )


def _errors(model: FittedNetworks, scored: PastWindows) -> Array:
    return cell_errors(model.predict(scored), scored.soh, scored.cell).mean(axis=0)
