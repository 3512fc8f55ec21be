"""The state of an engine, taken out and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

    def check_fits(self, shapes: Mapping[str, tuple[int, ...]], n_nodes: int, cell_id: Callable[[int], str]) -> None:
        """Raise if this is no state of an engine with fields of such shapes and as many contactors.

        Parameters
        ----------
        shapes : mapping of str to tuple of int
            Shape of every field of the engine.
        n_nodes : int
            Nodes of its circuit.
        cell_id : callable
            Returns the name of a cell.

        Raises
        ------
        PlantError
            If it belongs to another pack or to other options, or has a value that is no number.
        """
        if set(shapes) != set(self.cells) or self.switches.shape != (n_nodes,):
            raise PlantError(
                "the state belongs to another engine: its quantities differ", remedy="Restore it with the same options"
            )
        for name, shape in shapes.items():
            values = self.cells[name]
            if shape != values.shape:
                raise PlantError(
                    f"{name} of the state has the shape {values.shape}, not {shape}",
                    remedy="Restore it with the same pack and options",
                )
            wrong = np.argwhere(~np.isfinite(values))
            if wrong.size:
                raise PlantError(
                    f"{name} of {cell_id(int(wrong[0][-1]))} is no number in the state",
                    remedy="Restore an earlier state",
                )


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
