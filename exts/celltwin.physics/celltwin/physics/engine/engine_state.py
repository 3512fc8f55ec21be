"""The state of an engine, taken out and put back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PlantError

__all__ = ["EngineState", "load_state", "save_state"]


@dataclass(frozen=True, eq=False)
class EngineState:
    """All that an engine is in: restoring it goes on as if nothing had been between.

    Attributes
    ----------
    time : float
        [s].
    cells : dict of ndarray
        Fields by name, of shape (n_cells,) or (rows, n_cells), in pack order.
    groups : dict of ndarray
        Settings of the groups, of shape (n_groups,).
    switches : ndarray of bool, shape (n_nodes,)
        Contactors of the circuit.
    """

    time: float
    cells: dict[str, Array]
    groups: dict[str, Array]
    switches: NDArray[np.bool_]


def save_state(state: EngineState, path: Path) -> None:
    """Write a state to a file; an older file is replaced at once or not at all."""
    part = path.with_suffix(".part.npz")
    arrays: dict[str, Any] = {f"cells/{name}": values for name, values in state.cells.items()}
    arrays |= {f"groups/{name}": values for name, values in state.groups.items()}
    np.savez(part, time=np.array(state.time), switches=state.switches, **arrays)
    part.replace(path)


def load_state(path: Path) -> EngineState:
    """Return the state of a file.

    Raises
    ------
    PlantError
        If the file is missing or damaged.
    """
    try:
        with np.load(path) as stored:
            found = {name: stored[name] for name in stored.files}
        return EngineState(
            time=float(found["time"]),
            cells={name[6:]: values for name, values in found.items() if name.startswith("cells/")},
            groups={name[7:]: values for name, values in found.items() if name.startswith("groups/")},
            switches=found["switches"],
        )
    except (OSError, KeyError, ValueError) as error:
        raise PlantError(
            f"the state of the engine cannot be read ({error})", where=str(path), remedy="Start the simulation anew"
        ) from None
