"""The slow part of an engine's state: what a cycle changes a little, and a jump puts forward by many cycles.

Film, dead lithium, lost active material and the lithium within it only ever accumulate: their change in a cycle is a
rate that a jump integrates. Plated lithium and the stoichiometry of the positive electrode follow them from one cycle
to the next; a jump moves them as they have moved since the jump before. The negative electrode then holds the lithium
that is left. Temperatures, currents and electrolyte settle within a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import Array, PlantError

from .ageing import AgeingModel
from .ageing_kernels import AGEING_ROWS
from .ageing_state import AgeingState, host_capacity, lithium_loss
from .cell_model import CellModel
from .engine_state import EngineState

__all__ = ["Rate", "SlowState", "close_inventory", "integrate_rates", "lithium_inventory", "put_slow", "take_slow"]

PLATED = AGEING_ROWS.index("plated_lithium")
_EDGE = 1e-3  # stoichiometry that a jump keeps from empty and full


@dataclass(frozen=True, eq=False)
class SlowState:
    """The slow part of a state.

    Attributes
    ----------
    rows : ndarray of shape (6, n_cells)
        Ageing, in the order of ``AGEING_ROWS``.
    negative, positive : ndarray of shape (n_cells,)
        Mean stoichiometries [-].
    """

    rows: Array
    negative: Array
    positive: Array


@dataclass(frozen=True, eq=False)
class Rate:
    """Change of ageing in one cycle, of shape (6, n_cells), and the number of cycles at the middle of it."""

    cycle: float
    change: Array


def integrate_rates(rates: tuple[Rate, ...], start: float, end: float) -> Array:
    """Return the change from one number of cycles to another, by the polynomial through one to three rates."""
    nodes = np.array([rate.cycle for rate in rates])
    half, middle = 0.5 * (end - start), 0.5 * (end + start)
    places = middle + half * np.array([-1.0, 1.0]) / np.sqrt(3.0)  # Gauss: exact for what three rates make
    total = np.zeros_like(rates[0].change)
    for k, rate in enumerate(rates):
        others = np.delete(nodes, k)
        basis = np.prod((places[:, np.newaxis] - others) / (nodes[k] - others), axis=1)
        total += rate.change * float(half * basis.sum())
    return total


def take_slow(state: EngineState) -> SlowState:
    """Return the slow part of an engine's state.

    Raises
    ------
    PlantError
        If the engine does not age.
    """
    if "ageing" not in state.cells:
        raise PlantError(
            "the engine has no ageing to jump over", remedy="Give EngineOptions an ageing model when building it"
        )
    cells = state.cells
    return SlowState(np.array(cells["ageing"]), np.array(cells["mean_negative"]), np.array(cells["mean_positive"]))


def put_slow(state: EngineState, slow: SlowState, *, time: float) -> EngineState:
    """Return an engine's state at another time with another slow part; profiles keep their shape."""
    cells = {**state.cells, "ageing": slow.rows}
    for side, mean in (("negative", slow.negative), ("positive", slow.positive)):
        shift = mean - cells[f"mean_{side}"]
        for part in ("shells", "surface", "mean"):
            cells[f"{part}_{side}"] = np.clip(cells[f"{part}_{side}"] + shift, _EDGE, 1.0 - _EDGE)
    return replace(state, time=time, cells=cells)


def lithium_inventory(model: AgeingModel, cell: CellModel, slow: SlowState, capacity_scale: Array) -> Array:
    """Return all lithium of each cell, cycling or not [A.h]; no cycle changes it.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    slow : SlowState
        Of the cells.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    """
    state = AgeingState.of(slow.rows)
    held = (
        host_capacity(cell, "negative") * state.active_negative * slow.negative
        + host_capacity(cell, "positive") * state.active_positive * slow.positive
    )
    return np.asarray(held * capacity_scale + lithium_loss(model, cell, state, capacity_scale).total)


def close_inventory(
    model: AgeingModel, cell: CellModel, slow: SlowState, capacity_scale: Array, inventory: Array
) -> SlowState:
    """Return a slow part that is physical; the negative electrode holds what lithium is left of ``inventory``.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    slow : SlowState
        Of the cells, as an extrapolation has left it.
    capacity_scale : ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    inventory : ndarray of shape (n_cells,)
        All lithium of each cell [A.h].
    """
    rows = slow.rows.copy()
    rows[0] = np.maximum(rows[0], 1e-10)
    rows[[1, 2, 5]] = np.maximum(rows[[1, 2, 5]], 0.0)
    rows[3:5] = np.clip(rows[3:5], 0.02, 1.0)
    bounded = replace(slow, rows=rows)
    missing = inventory - lithium_inventory(model, cell, bounded, capacity_scale)
    return replace(
        bounded, negative=slow.negative + missing / (host_capacity(cell, "negative") * capacity_scale * rows[3])
    )
