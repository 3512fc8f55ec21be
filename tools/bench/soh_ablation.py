"""Bench of physics residuals in the network of state of health: each term at matched budget, where physics could pay.

Same network, steps, batches and seeds; only the terms of the loss differ. Scored on training cells of XJTU that were
left out of the fit (CELLTWIN_DATA/xjtu_cycles); the test cells are not touched. Finished fits are kept in
out/soh_ablation, so that an interrupted bench goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array
from celltwin.prognosis import PastWindows, evaluation_protocol, window_cycles
from celltwin.prognosis.known_sets import load_known_cycles
from celltwin.prognosis.sequence.kinds import NetworkKind
from celltwin.prognosis.sequence.registry import model_kind
from celltwin.prognosis.sequence.settings import PhysicsWeights
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.places import REPOSITORY, measured_data

__all__ = ["main", "run"]

KEPT = REPOSITORY / "out" / "soh_ablation"
TERMS = {
    "no physics": PhysicsWeights(),
    "dynamics": PhysicsWeights(dynamics=0.1),
    "monotonicity": PhysicsWeights(monotonicity=1.0),
    "charge balance": PhysicsWeights(charge_balance=0.1),
    "all three": PhysicsWeights(dynamics=0.1, monotonicity=1.0, charge_balance=0.1),
}
LOW_SOH = 0.88  # fits of "unseen low SOH" see nothing below
NOISE = 0.3  # standard deviation of what is added to scaled features, in "noise"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a fit sees and what is scored.

    Attributes
    ----------
    fit : str
        Name of the fit: conditions that share it share the network.
    learn, score : callable
        From windows to the rows that are learnt from and that are scored.
    noise : float
        Standard deviation of noise on the scaled features of scored cells.
    """

    fit: str
    learn: Callable[[PastWindows], NDArray[np.bool_]]
    score: Callable[[PastWindows], NDArray[np.bool_]]
    noise: float = 0.0


def _every(windows: PastWindows) -> NDArray[np.bool_]:
    return np.ones(windows.soh.size, dtype=np.bool_)


def _high(windows: PastWindows) -> NDArray[np.bool_]:
    return windows.soh > LOW_SOH


def _low(windows: PastWindows) -> NDArray[np.bool_]:
    return windows.soh <= LOW_SOH


def _one_cell_each(windows: PastWindows) -> NDArray[np.bool_]:
    first = [np.unique(windows.cell[windows.protocol == name])[0] for name in np.unique(windows.protocol)]
    return np.isin(windows.cell, first)


CONDITIONS = {
    "all cells": Condition(fit="all", learn=_every, score=_every),
    "one cell of each protocol": Condition(fit="few", learn=_one_cell_each, score=_every),
    "noise on the features": Condition(fit="all", learn=_every, score=_every, noise=NOISE),
    f"unseen SOH below {LOW_SOH:g}": Condition(fit="high", learn=_high, score=_low),
}


def run(seeds: tuple[int, ...], folds: int, steps: int, kept: Path) -> Figures:
    """Return the mean MAPE over protocols of every term and condition, and its standard error over folds and seeds."""
    figures = Figures("soh-ablation")
    cycles = load_known_cycles(str(measured_data() / "xjtu_cycles"))
    chosen = evaluation_protocol("selection", cycles).folds[:folds]
    plain = cast(NetworkKind, model_kind("mlp", steps=steps))
    for title, condition in CONDITIONS.items():
        base = None
        for term, weights in TERMS.items():
            kind = replace(plain, settings=replace(plain.settings, physics=weights))
            errors = []
            for fold in chosen:
                training, test = (
                    window_cycles(cycles.select(names), window=kind.window) for names in (fold.training, fold.test)
                )
                for seed in seeds:
                    predicted = _predicted(kind, condition, training, test, seed, kept)
                    errors.append(_mape(predicted, test, condition.score(test)))
            base = base or errors
            change = np.array(errors) - np.array(base)
            figures.add(f"{title}: {term}", float(np.mean(errors)), "%")
            if term != "no physics":
                scatter = float(change.std(ddof=1) / np.sqrt(change.size)) if change.size > 1 else float("nan")
                figures.add(f"{title}: {term}, less no physics", float(change.mean()), "%")
                figures.add(f"{title}: {term}, standard error of that", scatter, "%")
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="seeds 1 to N")
    parser.add_argument("--folds", type=int, default=2, help="folds of the training cells, of five")
    parser.add_argument("--steps", type=int, default=400, help="training steps of every network")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of finished fits")
    options = parser.parse_args(arguments)
    figures = run(tuple(range(1, options.seeds + 1)), options.folds, options.steps, options.kept)
    return hand_over(figures, options.json)


def _predicted(
    kind: NetworkKind, condition: Condition, training: PastWindows, test: PastWindows, seed: int, kept: Path
) -> Array:
    """Return SOH of the scored windows, from a kept fit where there is one."""
    names = sorted(set(training.cell.tolist()))
    content = [names, kind.describe(), condition.fit, condition.noise, seed]
    file = kept / f"{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]}.npy"
    if not file.exists():
        fitted = kind.fit(_rows(training, condition.learn(training)), seed=seed)
        kept.mkdir(parents=True, exist_ok=True)
        for other in CONDITIONS.values():  # conditions that share the fit
            if other.fit == condition.fit:
                content[3] = other.noise
                name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
                noisy = _with_noise(test, fitted.inputs.scaling.spread, other.noise, seed)
                np.save(kept / f"{name}.npy", fitted.predict(noisy)[0])
    found: Array = np.load(file)
    return found


def _rows(windows: PastWindows, chosen: NDArray[np.bool_]) -> PastWindows:
    names = ("features", "seen", "beginning", "cycle", "soh", "cell", "protocol")
    return replace(windows, **{name: getattr(windows, name)[chosen] for name in names})


def _with_noise(windows: PastWindows, spread: Array, noise: float, seed: int) -> PastWindows:
    random = np.random.default_rng(seed)
    return replace(windows, features=windows.features + noise * spread * random.normal(size=windows.features.shape))


def _mape(predicted: Array, windows: PastWindows, chosen: NDArray[np.bool_]) -> float:
    error = 100.0 * np.abs(predicted - windows.soh) / windows.soh
    return float(
        np.mean([error[chosen & (windows.protocol == name)].mean() for name in np.unique(windows.protocol[chosen])])
    )


if __name__ == "__main__":
    raise SystemExit(main())
