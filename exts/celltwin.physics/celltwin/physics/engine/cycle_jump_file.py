"""A run of cycles between two jumps, and the file that it is resumed from."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, PlantError

from .cycle_jump_history import CycleHistory
from .cycle_jump_state import Rate, SlowState
from .engine_state import EngineState

if TYPE_CHECKING:
    from .pack_engine import PackEngine

__all__ = ["CycleRun", "load_run", "save_run"]

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class CycleRun:
    """All that a run of cycles is in between two jumps, beside the engine.

    Attributes
    ----------
    history : CycleHistory
        So far.
    done, simulated : int
        Cycles.
    jump : int
        Cycles of the jump to try next.
    rates : tuple of Rate
        The last two measured.
    period : float
        Of a cycle [s].
    inventory : ndarray of shape (n_cells,)
        All lithium of each cell, which nothing changes [A.h].
    anchor, anchored : int, SlowState
        Cycle before the last jump, and the slow state at its end: what followed ageing since then goes on alike.
    """

    history: CycleHistory
    done: int
    simulated: int
    jump: int
    rates: tuple[Rate, ...]
    period: float
    inventory: Array
    anchor: int
    anchored: SlowState


def save_run(path: Path, engine: PackEngine, run: CycleRun) -> None:
    """Write a run and its engine's state to a file; an older file is replaced at once or not at all."""
    state = engine.state()
    numbers = {name: getattr(run, name) for name in ("done", "simulated", "jump", "period", "anchor")}
    about = {"format": _FORMAT, **_identity(engine), **numbers, "rates": [rate.cycle for rate in run.rates]}
    arrays = {f"history/{entry.name}": getattr(run.history, entry.name) for entry in fields(CycleHistory)}
    arrays |= {f"cells/{name}": values for name, values in state.cells.items()}
    arrays |= {f"groups/{name}": values for name, values in state.groups.items()}
    arrays |= {f"rates/{k}": rate.change for k, rate in enumerate(run.rates)}
    arrays |= {f"anchored/{name}": values for name, values in vars(run.anchored).items()}
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        np.savez(
            file,
            about=np.array(json.dumps(about)),
            time=np.array(state.time),
            switches=state.switches,
            inventory=run.inventory,
            **arrays,
        )
    part.replace(path)


def load_run(path: Path, engine: PackEngine) -> CycleRun | None:
    """Put an engine into the state of a file and return its run; None where there is no such file.

    Raises
    ------
    PlantError
        If the file is damaged or of another pack.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        about = json.loads(str(found["about"]))
        run = CycleRun(
            history=CycleHistory(**{entry.name: found[f"history/{entry.name}"] for entry in fields(CycleHistory)}),
            rates=tuple(Rate(cycle, found[f"rates/{k}"]) for k, cycle in enumerate(about["rates"])),
            anchor=int(about["anchor"]),
            anchored=SlowState(**_below(found, "anchored")),
            inventory=found["inventory"],
            done=int(about["done"]),
            simulated=int(about["simulated"]),
            jump=int(about["jump"]),
            period=float(about["period"]),
        )
        state = EngineState(
            time=float(found["time"]),
            cells=_below(found, "cells"),
            groups=_below(found, "groups"),
            switches=found["switches"],
        )
    except (OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise PlantError(
            f"the run cannot be read ({error})", where=str(path), remedy="Delete the file to start anew"
        ) from None
    expected = {"format": _FORMAT, **_identity(engine)}
    for name, value in expected.items():
        if about.get(name) != value:
            raise PlantError(
                f"the run is of another engine: its {name} is {about.get(name)}, here it is {value}",
                where=str(path),
                remedy="Resume it with the same pack and options, or delete the file to start anew",
            )
    engine.restore(state)
    return run


def _below(found: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.partition("/")[2]: values for name, values in found.items() if name.startswith(f"{prefix}/")}


def _identity(engine: PackEngine) -> dict[str, object]:
    options = engine.options
    return {
        "cell": f"{engine.model.name} {engine.model.hash}",
        "cells": engine.n_cells,
        "ageing": repr(options.ageing),
        "shells": options.shells,
        "step": options.step,
    }
