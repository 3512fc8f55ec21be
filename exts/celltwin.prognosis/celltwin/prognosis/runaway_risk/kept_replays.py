"""Replays that are kept: what a model said along a run, one file for each model and run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError, PackSpec

from .abuse_constants import AbuseConstants
from .library_replay import ReplayedRun, replay_run
from .library_runs import load_run
from .risk_model import Recalibration
from .risk_priors import RiskPriors

__all__ = ["replay_kept"]

REVISION = 3  # of what the model does with evidence; another one makes replays anew


def replay_kept(
    folder: Path,
    file: Path,
    spec: PackSpec,
    constants: AbuseConstants,
    surrogate: Callable[[Array], Array],
    network_digest: str,
    priors: RiskPriors,
    recalibration: Recalibration | None = None,
) -> ReplayedRun:
    """Return the replay of a run's file, from its own file where the same model has replayed it already.

    Parameters
    ----------
    folder, file : Path
        Where replays are kept; the run, as :func:`run_library` leaves it.
    spec, constants, surrogate, priors, recalibration
        As for :func:`replay_run`.
    network_digest : str
        SHA-256 of the exported surrogate.

    Raises
    ------
    ModelError
        If a file is damaged.
    """
    parts = [REVISION, file.name, network_digest, priors.digest, asdict(recalibration or Recalibration())]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]
    path = folder / f"{file.stem}_{digest}.npz"
    if path.exists():
        return _read(path)
    found = replay_run(load_run(file), spec, constants, surrogate, priors, recalibration)
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        field.name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.ndim > 1 else np.array(value)
        for field in fields(ReplayedRun)
        for value in (getattr(found, field.name),)
    }
    partial = path.with_suffix(".part.npz")
    np.savez_compressed(partial, **content)
    partial.replace(path)
    return _read(path)


def _read(path: Path) -> ReplayedRun:
    try:
        with np.load(path, allow_pickle=False) as content:
            values: dict[str, Any] = {field.name: content[field.name] for field in fields(ReplayedRun)}
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"the replay cannot be read ({error})", where=str(path), remedy="Delete the file; it is then made again"
        ) from None
    for name in ("name", "family", "kind"):
        values[name] = str(values[name])
    for name in ("end", "begins"):
        values[name] = float(values[name])
    values["faulty"] = int(values["faulty"])
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            values[name] = value.astype(np.float64)
    return ReplayedRun(**values)
