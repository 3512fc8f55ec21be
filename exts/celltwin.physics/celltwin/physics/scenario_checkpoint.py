"""Keep a running simulation in a file, and go on from it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import PackObservation, RecordingError, ScenarioProgress

if TYPE_CHECKING:
    from .scenario_run import ScenarioRun

__all__ = ["restore_checkpoint", "save_checkpoint"]

_FORMAT = "celltwin checkpoint 1"


def save_checkpoint(path: Path, run: ScenarioRun) -> None:
    """Write all that a simulation is in; the file is either whole or absent.

    Raises
    ------
    RecordingError
        If the file cannot be written.
    """
    state = run.engine.state()
    arrays: dict[str, Any] = {"time": np.array(state.time), "switches": state.switches}
    arrays |= {f"cells/{name}": values for name, values in state.cells.items()}
    arrays |= {f"groups/{name}": values for name, values in state.groups.items()}
    arrays["run"] = np.array(
        json.dumps(
            {
                "format": _FORMAT,
                **_identity(run),
                "progress": asdict(run.progress),
                "seen": asdict(run.seen),
                "events": run.events.state(),
                "figures": run.figures.state(),
            }
        )
    )
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(path)
    except OSError as error:
        raise RecordingError(
            f"the checkpoint cannot be written ({error.strerror or error})", where=str(path), remedy="Free space"
        ) from None


def restore_checkpoint(path: Path, run: ScenarioRun) -> None:
    """Put a new run where another one was when it wrote the file.

    Raises
    ------
    RecordingError
        If the file is missing or damaged, or belongs to another scenario, pack, seed or model.
    """
    from .engine import EngineState

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        found = json.loads(str(arrays["run"]))
        if found["format"] != _FORMAT:
            raise ValueError(found["format"])
    except FileNotFoundError:
        raise RecordingError(
            "there is no checkpoint", where=str(path), remedy="Simulate the scenario from its start"
        ) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RecordingError(
            f"the checkpoint is damaged ({error})", where=str(path), remedy="Simulate the scenario from its start"
        ) from None
    for name, value in _identity(run).items():
        if found[name] != value:
            raise RecordingError(
                f"the checkpoint is of another {name}: {found[name]}, not {value}",
                where=str(path),
                remedy="Give the options that the run was started with",
            )
    parts: dict[str, dict[str, Any]] = {"cells": {}, "groups": {}}
    for key, values in arrays.items():
        part, _, name = key.partition("/")
        if name:
            parts[part][name] = values
    run.engine.restore(EngineState(float(arrays["time"]), parts["cells"], parts["groups"], arrays["switches"]))
    run.forget_settings()
    run.progress = ScenarioProgress(**found["progress"])
    run.seen = PackObservation(**found["seen"])
    run.events.restore(found["events"])
    run.figures.restore(found["figures"])


def _identity(run: ScenarioRun) -> dict[str, Any]:
    player, engine = run.player, run.engine
    return {
        "scenario": player.scenario.hash,
        "pack": player.spec.name,
        "cells": engine.n_cells,
        "model": f"{engine.model.name}@{engine.model.hash}",
        "step": engine.options.step,
    }
