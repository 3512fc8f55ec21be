"""Runs of a model through an evaluation protocol: every fold and seed once, kept, and gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .cycles import CycleDataError, CycleSet
from .leaky_scaling import leak_whole_life
from .past_windows import PastWindows, window_cycles
from .protocols import EvaluationFold, EvaluationProtocol
from .sequence.kinds import BlendKind, SohModelKind

__all__ = ["ProtocolPredictions", "run_protocol"]

Progress = Callable[[str, int, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProtocolPredictions:
    """What a model said of every scored cycle.

    Attributes
    ----------
    evaluation : str
        Name of the evaluation protocol.
    leaky : bool
        Whether its inputs leak.
    kind : dict
        The model, as its kind describes it.
    seeds : tuple of int
        Seeds in the order of the predictions.
    cell, protocol : ndarray of str, shape (n,)
        Cell of each cycle, and how it was cycled.
    cycle, soh : ndarray of shape (n,)
        Number of the cycle; label [-].
    predicted : ndarray of shape (n_seeds, n)
        SOH of each seed [-].
    """

    evaluation: str
    leaky: bool
    kind: dict[str, object]
    seeds: tuple[int, ...]
    cell: NDArray[np.str_]
    protocol: NDArray[np.str_]
    cycle: Array
    soh: Array
    predicted: Array

    def save(self, file: Path) -> None:
        """Write everything to a compressed NumPy archive."""
        file.parent.mkdir(parents=True, exist_ok=True)
        description = {"evaluation": self.evaluation, "leaky": self.leaky, "kind": self.kind}
        np.savez_compressed(
            file,
            description=np.array(json.dumps(description)),
            seeds=np.array(self.seeds),
            cell=self.cell,
            protocol=self.protocol,
            cycle=self.cycle,
            soh=self.soh,
            predicted=self.predicted,
        )

    @staticmethod
    def load(file: Path) -> ProtocolPredictions:
        """Read what :meth:`save` wrote.

        Raises
        ------
        CycleDataError
            If the file is missing or is not such an archive.
        """
        try:
            with np.load(file) as archive:
                found = {name: archive[name] for name in archive.files}
            return ProtocolPredictions(
                **json.loads(str(found.pop("description"))),
                seeds=tuple(int(seed) for seed in found.pop("seeds")),
                **found,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CycleDataError(
                f"no predictions can be read ({error})", where=str(file), remedy="Run `celltwin evaluate soh` again"
            ) from None


def run_protocol(
    cycles: CycleSet,
    protocol: EvaluationProtocol,
    kind: SohModelKind,
    *,
    seeds: tuple[int, ...],
    out: Path | None = None,
    on_step: Progress | None = None,
) -> ProtocolPredictions:
    """Fit and score a model in every fold of a protocol, for every seed.

    The parts of a blend are fitted and kept each by itself, so that other blends and the parts alone use them again.

    Parameters
    ----------
    cycles : CycleSet
        The data.
    protocol : EvaluationProtocol
        Its folds.
    kind : SohModelKind
        The model.
    seeds : tuple of int
        Seeds; each gives one model a fold.
    out : Path, optional
        Where finished fits and checkpoints are kept. Fits of the same data, folds, model and seed are read from
        there instead of being made again.
    on_step : callable, optional
        Called with the name of the fold, the seed, and the numbers of finished and of all steps of the fit.
    """
    if isinstance(kind, BlendKind):
        parts = [run_protocol(cycles, protocol, part, seeds=seeds, out=out, on_step=on_step) for part in kind.parts]
        mean = np.average([part.predicted for part in parts], axis=0, weights=kind.weights)
        return replace(parts[0], kind=kind.describe(), predicted=mean)
    tables = []
    for fold in protocol.folds:
        scored = _windows(cycles, fold.test, kind.window, protocol.leaky)
        learnt: PastWindows | None = None
        predictions = []
        for seed in seeds:
            folder = out / _fingerprint(cycles, fold, kind, seed, protocol.leaky) if out else None
            kept = _read(folder, scored.soh.size)
            if kept is None:
                if learnt is None:
                    learnt = _windows(cycles, fold.training, kind.window, protocol.leaky)

                def show(step: int, steps: int, name: str = fold.name, seed: int = seed) -> None:
                    if on_step:
                        on_step(name, seed, step, steps)

                fitted = kind.fit(
                    learnt, seed=seed, checkpoints=folder / "checkpoints" if folder else None, on_step=show
                )
                kept = fitted.predict(scored).mean(axis=0)
                _write(folder, kept, fold, kind, seed)
            elif on_step:
                on_step(fold.name, seed, kind.steps, kind.steps)
            predictions.append(kept)
        tables.append((scored, np.stack(predictions)))
    return ProtocolPredictions(
        evaluation=protocol.name,
        leaky=protocol.leaky,
        kind=kind.describe(),
        seeds=seeds,
        cell=np.concatenate([scored.cell for scored, _ in tables]),
        protocol=np.concatenate([scored.protocol for scored, _ in tables]),
        cycle=np.concatenate([scored.cycle for scored, _ in tables]),
        soh=np.concatenate([scored.soh for scored, _ in tables]),
        predicted=np.concatenate([found for _, found in tables], axis=1),
    )


def _windows(cycles: CycleSet, names: tuple[str, ...], window: int, leaky: bool) -> PastWindows:
    cells = cycles.select(names)
    return leak_whole_life(cells, window=window) if leaky else window_cycles(cells, window=window)


def _fingerprint(cycles: CycleSet, fold: EvaluationFold, kind: SohModelKind, seed: int, leaky: bool) -> str:
    content = [cycles.digest, cycles.nominal_capacity, fold.training, fold.test, kind.describe(), seed, leaky]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _read(folder: Path | None, size: int) -> Array | None:
    """Return kept predictions, or None where there are none that fit."""
    file = folder / "predicted.npy" if folder else None
    if file is None or not file.exists():
        return None
    kept: Array = np.load(file)
    return kept if kept.shape == (size,) else None


def _write(folder: Path | None, predicted: Array, fold: EvaluationFold, kind: SohModelKind, seed: int) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = {"fold": fold.name, "seed": seed, "kind": kind.describe(), "test": fold.test}
    (folder / "run.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    np.save(folder / "predicted_new.npy", predicted)
    (folder / "predicted_new.npy").replace(folder / "predicted.npy")
