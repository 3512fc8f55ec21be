"""The slow part of an engine's state: what a cycle changes a little, and a jump puts forward by many cycles.

It is the ageing of every cell and the lithium in its particles. Temperatures, currents and electrolyte settle within
a cycle and are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import Array, PlantError

from .ageing import AgeingModel
from .ageing_state import AgeingState, host_capacity, lithium_loss
from .cell_model import CellModel
from .engine_state import EngineState

__all__ = [
    "SLOW_FIELDS",
    "Rate",
    "SlowState",
    "bound_slow",
    "close_inventory",
    "integrate_rates",
    "lithium_inventory",
    "put_slow",
    "take_slow",
]

SLOW_FIELDS = (
    "ageing",
    "shells_negative",
    "shells_positive",
    "surface_negative",
    "surface_positive",
    "mean_negative",
    "mean_positive",
)
_EDGE = 1e-3  # stoichiometry that a jump keeps from empty and full


@dataclass(frozen=True, eq=False)
class SlowState:
    """The slow part, or its change over a cycle.

    Attributes
    ----------
    values : dict of ndarray
        By the names of ``SLOW_FIELDS``, of shape (rows, n_cells) or (n_cells,).
    """

    values: dict[str, Array]

    def __add__(self, other: SlowState) -> SlowState:
        """Return the sum."""
        return SlowState({name: values + other.values[name] for name, values in self.values.items()})

    def __sub__(self, other: SlowState) -> SlowState:
        """Return the difference."""
        return SlowState({name: values - other.values[name] for name, values in self.values.items()})

    def __mul__(self, factor: float) -> SlowState:
        """Return a multiple."""
        return SlowState({name: values * factor for name, values in self.values.items()})


@dataclass(frozen=True, eq=False)
class Rate:
    """Change of the slow part in one cycle, and the number of cycles at the middle of it."""

    cycle: float
    change: SlowState


def integrate_rates(rates: tuple[Rate, ...], start: float, end: float) -> SlowState:
    """Return the change from one number of cycles to another, by the polynomial through one to three rates."""
    nodes = np.array([rate.cycle for rate in rates])
    half, middle = 0.5 * (end - start), 0.5 * (end + start)
    places = middle + half * np.array([-1.0, 1.0]) / np.sqrt(3.0)  # Gauss: exact for what three rates make
    total: SlowState | None = None
    for k, rate in enumerate(rates):
        others = np.delete(nodes, k)
        basis = np.prod((places[:, np.newaxis] - others) / (nodes[k] - others), axis=1)
        part = rate.change * float(half * basis.sum())
        total = part if total is None else total + part
    assert total is not None
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
    return SlowState({name: np.array(state.cells[name]) for name in SLOW_FIELDS})


def put_slow(state: EngineState, slow: SlowState, *, time: float) -> EngineState:
    """Return an engine's state at another time with another slow part."""
    return replace(state, time=time, cells={**state.cells, **slow.values})


def bound_slow(slow: SlowState) -> SlowState:
    """Return a slow part held within what is physical, wherever an extrapolation has led it."""
    values = dict(slow.values)
    rows = values["ageing"].copy()
    rows[0] = np.maximum(rows[0], 1e-10)
    rows[[1, 2, 5]] = np.maximum(rows[[1, 2, 5]], 0.0)
    rows[3:5] = np.clip(rows[3:5], 0.02, 1.0)
    values["ageing"] = rows
    for name in SLOW_FIELDS[1:]:
        values[name] = np.clip(values[name], _EDGE, 1.0 - _EDGE)
    return SlowState(values)


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
    state = AgeingState.of(slow.values["ageing"])
    held = sum(
        host_capacity(cell, side) * capacity_scale * getattr(state, f"active_{side}") * slow.values[f"mean_{side}"]
        for side in ("negative", "positive")
    )
    return np.asarray(held + lithium_loss(model, cell, state, capacity_scale).total)


def close_inventory(
    model: AgeingModel, cell: CellModel, slow: SlowState, capacity_scale: Array, inventory: Array
) -> SlowState:
    """Return a slow part whose lithium is ``inventory`` [A.h], by a shift of the negative particles.

    A jump moves film, active material and stoichiometries along; lithium is their product, and is left a little off.
    """
    missing = inventory - lithium_inventory(model, cell, slow, capacity_scale)
    shift = missing / (host_capacity(cell, "negative") * capacity_scale * slow.values["ageing"][3])
    values = dict(slow.values)
    for name in ("shells_negative", "surface_negative", "mean_negative"):
        values[name] = values[name] + shift
    return SlowState(values)
