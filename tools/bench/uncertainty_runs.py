"""Fits behind `bench uncertainty`: what is said of held-out cells, clean and perturbed; kept, and gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array
from celltwin.prognosis import CycleSet, PastWindows, evaluation_protocol, load_cycles, window_cycles
from celltwin.prognosis.sequence.kinds import BlendKind, KernelKind, NetworkKind, SohModelKind
from celltwin.prognosis.splits import deal_cells
from celltwin.prognosis.trust import (
    HeldOut,
    SohWithSpread,
    TrustSettings,
    fit_bagged_model,
    hold_out,
    learn_surroundings,
    untrained_dagmm,
)
from celltwin.prognosis.trust.cell_bags import choose_windows

__all__ = ["Part", "Plan", "other_chemistry", "run_cross_validation", "run_honest"]

FOLDS = 5
BAGS, BAG_POINTS = 6, 700
LEARNT_EVERY = 3  # cycles: neighbours are alike
FOREIGN_CELLS, FOREIGN_EVERY = 12, 20
FORMAT = 3  # of what is kept: another one where the mixture looks at other inputs
# Settings that a fit depends on; the rest is calibration.
PERTURBED = ("noise_levels", "hidden_share", "perturbed_every")
LEARNT = ("dagmm", "every")
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What was said of cells that one fit has not seen.

    Attributes
    ----------
    held : HeldOut
        Clean and perturbed rows.
    untrained : ndarray of shape (n,)
        Energies of the network that training began with.
    sampled : ndarray of bool, shape (n,)
        Rows that count under noise: of the clean ones, the same cycles as are perturbed.
    """

    held: HeldOut
    untrained: Array
    sampled: NDArray[np.bool_]

    @staticmethod
    def join(parts: list[Part]) -> Part:
        """Return all rows of several parts."""
        return Part(
            held=HeldOut.join([part.held for part in parts]),
            untrained=np.concatenate([part.untrained for part in parts]),
            sampled=np.concatenate([part.sampled for part in parts]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is run.

    Attributes
    ----------
    cycles : CycleSet
        The data.
    kind : SohModelKind
        What predicts.
    settings : TrustSettings
        What trust is learnt from.
    out : Path
        Where finished fits are kept.
    on_fit : callable
        Called with a line about each fit that begins.
    """

    cycles: CycleSet
    kind: SohModelKind
    settings: TrustSettings
    out: Path
    on_fit: Progress


class _Said:
    """A predictor that repeats, call by call, what another has said."""

    def __init__(self, soh: Array, spread: Array, sizes: list[int]) -> None:
        ends = np.cumsum(sizes)[:-1]
        self._answers = list(zip(np.split(soh, ends), np.split(spread, ends), strict=True))

    def predict(self, windows: PastWindows) -> tuple[Array, Array]:  # noqa: ARG002  it only repeats
        """Return the next answer."""
        return self._answers.pop(0)


def run_honest(plan: Plan, seed: int) -> tuple[Part, Part]:
    """Return the training cells, each held out once, and the test cells of the published split."""
    fold = evaluation_protocol("honest", plan.cycles).folds[0]
    training = _crossed(plan, fold.training, seed, "honest")
    test = _fit(plan, fold.training, fold.test, seed, 0, "honest test")
    return training, test


def run_cross_validation(plan: Plan, seed: int) -> Part:
    """Return all cells, each held out once."""
    return _crossed(plan, tuple(cell.name for cell in plan.cycles.cells), seed, "cv")


def other_chemistry(plan: Plan, seed: int, data: Path) -> Part:
    """Return what a fit to all training cells says of lithium iron phosphate cells."""
    training = evaluation_protocol("honest", plan.cycles).folds[0].training
    foreign = load_cycles(data, nominal_capacity=1.1)
    chosen = tuple(
        replace(cell, features=cell.features, soh=cell.soh)
        for cell in foreign.cells[:: max(1, len(foreign.cells) // FOREIGN_CELLS)]
    )
    return _fit(plan, training, (), seed, 0, "other chemistry", foreign=chosen)


def _crossed(plan: Plan, names: tuple[str, ...], seed: int, label: str) -> Part:
    folds = deal_cells(plan.cycles.select(names), folds=FOLDS, seed=seed)
    parts = []
    for number, left_out in enumerate(folds):
        others = tuple(name for name in names if name not in left_out)
        parts.append(_fit(plan, others, left_out, seed, number, f"{label} fold {number + 1}"))
    return Part.join(parts)


def _fit(
    plan: Plan,
    training: tuple[str, ...],
    scored: tuple[str, ...],
    seed: int,
    fold: int,
    label: str,
    foreign: tuple[object, ...] = (),
) -> Part:
    known = plan.settings.as_dict()
    perturbed = {name: known[name] for name in PERTURBED}
    predicted = [plan.cycles.digest, plan.kind.describe(), perturbed, BAGS, BAG_POINTS, training, scored, seed, fold]
    learnt = {name: known[name] for name in LEARNT}
    name = _digest([FORMAT, *predicted, learnt, label])
    file, answers = plan.out / f"{name}.npz", plan.out / f"predicted_{_digest([*predicted, label])}.npz"
    if file.is_file():
        with np.load(file) as kept:
            arrays = {key: kept[key] for key in kept.files}
        return Part(untrained=arrays.pop("untrained"), sampled=arrays.pop("sampled"), held=HeldOut(**arrays))
    plan.on_fit(f"seed {seed}, {label}")
    windows = window_cycles(plan.cycles.select(training), window=plan.kind.window)
    held_out = window_cycles(foreign or plan.cycles.select(scored), window=plan.kind.window)  # type: ignore[arg-type]
    if foreign:
        held_out = choose_windows(held_out, np.arange(0, held_out.soh.size, FOREIGN_EVERY))
    few = len(range(0, held_out.soh.size, plan.settings.perturbed_every))
    sizes = [held_out.soh.size, *[few] * (len(plan.settings.noise_levels) + 1)]
    plan.out.mkdir(parents=True, exist_ok=True)
    predictor: SohWithSpread
    if answers.is_file():  # another mixture needs no other predictor
        with np.load(answers) as said:
            predictor = _Said(said["soh"], said["spread"], sizes)
    else:
        thinned = choose_windows(windows, np.arange(0, windows.soh.size, LEARNT_EVERY))
        predictor = fit_bagged_model(thinned, plan.kind, seed=seed, bag=_smaller(plan.kind), bags=BAGS)
    trained = learn_surroundings(windows, plan.settings, seed=(seed, fold), checkpoints=plan.out / name)
    untrained = learn_surroundings(windows, plan.settings, seed=(seed, fold), train=untrained_dagmm)
    held = hold_out(held_out, predictor, trained, plan.settings, fold=fold, seed=seed)
    np.savez_compressed(answers, soh=held.soh, spread=held.spread)
    again = hold_out(held_out, _Said(held.soh, held.spread, sizes), untrained, plan.settings, fold=fold, seed=seed)
    sampled = np.isfinite(held.level)
    sampled[: held_out.soh.size] = np.arange(held_out.soh.size) % plan.settings.perturbed_every == 0
    np.savez_compressed(file, untrained=again.energy, sampled=sampled, **vars(held))
    return Part(held=held, untrained=again.energy, sampled=sampled)


def _digest(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _smaller(kind: SohModelKind) -> SohModelKind:
    """Return the kind that bags are made with: fewer points of a kernel, the cheapest part of a blend."""
    if isinstance(kind, KernelKind):
        return replace(kind, settings=replace(kind.settings, points=BAG_POINTS), members=1)
    if isinstance(kind, BlendKind):
        return _smaller(kind.parts[0])
    if isinstance(kind, NetworkKind):
        return replace(kind, members=1)
    return kind
