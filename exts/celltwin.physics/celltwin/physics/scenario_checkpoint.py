"""Keep a running simulation in files, and go on from them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import PackObservation, RecordingError, ScenarioProgress

if TYPE_CHECKING:
    from .scenario_run import ScenarioRun

__all__ = ["checkpoint_time", "remove_checkpoint", "restore_checkpoint", "save_checkpoint"]

CHECKPOINT_FILE = "checkpoint.json"
_FORMAT = "celltwin checkpoint 1"
_KEYS = {
    "scenario",
    "pack",
    "cells",
    "model",
    "step",
    "engine",
    "progress",
    "seen",
    "events",
    "figures",
    "extra",
    "lost",
}


def save_checkpoint(folder: Path, run: ScenarioRun, extra: dict[str, Any] | None = None) -> None:
    """Write all that a simulation is in; a kill meanwhile leaves the checkpoint before as it was.

    Parameters
    ----------
    folder : Path
        Where the files go.
    run : ScenarioRun
        The simulation.
    extra : dict, optional
        Plain values that belong to it; :func:`restore_checkpoint` returns them.

    Raises
    ------
    RecordingError
        If the files cannot be written.
    """
    from .engine import save_state

    path = folder / CHECKPOINT_FILE
    name = f"checkpoint-{run.engine.time:.3f}.npz"
    content = {
        "format": _FORMAT,
        **_identity(run),
        "engine": name,
        "progress": asdict(run.progress),
        "seen": asdict(run.seen),
        "events": run.events.state(),
        "figures": run.figures.state(),
        "lost": np.flatnonzero(run.lost).tolist(),
        "start_temperature": run.start_temperature.tolist(),
        "extra": extra or {},
    }
    try:
        save_state(run.engine.state(), folder / name)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(path)
        for older in folder.glob("checkpoint-*.npz"):
            if older.name != name:
                older.unlink(missing_ok=True)
    except OSError as error:
        raise RecordingError(
            f"the checkpoint cannot be written ({error.strerror or error})", where=str(path), remedy="Free space"
        ) from None


def restore_checkpoint(folder: Path, run: ScenarioRun) -> dict[str, Any]:
    """Put a new run where another one was when it wrote its checkpoint, and return the extra values.

    Raises
    ------
    RecordingError
        If there is none, if it is damaged, or if it belongs to another scenario, pack or model.
    PlantError
        If the engine's state is damaged.
    """
    from .engine import load_state

    found = _read(folder)
    for name, value in _identity(run).items():
        if found[name] != value:
            raise RecordingError(
                f"the checkpoint is of another {name}: {found[name]}, not {value}",
                where=str(folder),
                remedy="Give the options that the run was started with",
            )
    run.engine.restore(load_state(folder / found["engine"]))
    run.forget_settings()
    run.progress = ScenarioProgress(**found["progress"])
    run.seen = PackObservation(**found["seen"])
    run.events.restore(found["events"])
    run.figures.restore(found["figures"])
    run.lost[:] = False
    run.lost[found["lost"]] = True
    run.start_temperature = np.array(found["start_temperature"])
    return dict(found["extra"])


def checkpoint_time(folder: Path) -> float:
    """Return the time of the run at which a folder's checkpoint was saved [s].

    Raises
    ------
    RecordingError
        If there is none, or it is damaged.
    """
    return float(_read(folder)["seen"]["time"])


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a run that is over, if there is one."""
    for path in (folder / CHECKPOINT_FILE, *folder.glob("checkpoint-*.npz")):
        path.unlink(missing_ok=True)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / CHECKPOINT_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT or not found.keys() >= _KEYS:
            raise ValueError(found["format"])
    except FileNotFoundError:
        raise RecordingError(
            "there is no checkpoint", where=str(path), remedy="Simulate the scenario from its start"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(
            f"the checkpoint is damaged ({error})", where=str(path), remedy="Simulate the scenario from its start"
        ) from None
    return found


def _identity(run: ScenarioRun) -> dict[str, Any]:
    player, engine = run.player, run.engine
    return {
        "scenario": player.scenario.hash,
        "pack": player.spec.name,
        "cells": engine.n_cells,
        "model": f"{engine.model.name}@{engine.model.hash}",
        "step": engine.options.step,
    }
