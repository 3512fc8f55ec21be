"""What must hold while the engine runs: cells within their limits; charge, energy and lithium conserved.

The kernels keep sums of what flows in and out of every cell, step by step; now and then they are held against what
the cells have become. A difference beyond rounding is an error of the engine or of its numbers, and has a name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PlantError

from .thermal_kernels import ENERGY_ROWS

if TYPE_CHECKING:
    from .pack_physics import PackPhysics, PackState

__all__ = ["EnergyBalance", "Ledger", "check_conservation", "check_limits", "open_ledger", "read_balance"]

_CURRENT = 1e-6  # of the group's 1C current
_ENERGY = 1e-6  # of the heat that passed through a cell
_VARIABLE_CAPACITY = 1e-3  # the same, where the heat capacity goes with temperature
_LITHIUM = 1e-7  # of what the cell holds
_VOLTAGES = -1e3, 1e3  # of a cell [V]
_TEMPERATURES = 150.0, 3000.0  # [K]


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyBalance:
    """Where the energy of every cell went since the start, each of shape (n_cells,) [J].

    Attributes
    ----------
    electrical : ndarray
        Delivered at the cell's connection to the busbar, positive on discharge.
    bled : ndarray
        Burnt in the cell's balancing resistor.
    generated : ndarray
        Heat made in the cell and its connection.
    to_coolant, to_ambient : ndarray
        Heat given off.
    conducted : ndarray
        Heat from its neighbours.
    """

    electrical: Array
    bled: Array
    generated: Array
    to_coolant: Array
    to_ambient: Array
    conducted: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """Sums and stocks at the time that a balance was opened; cells as they lie in memory."""

    sums: Array
    temperature: Array
    stocks: tuple[Array, ...]


def read_balance(physics: PackPhysics) -> EnergyBalance:
    """Return where the energy of every cell went."""
    rows = dict(zip(ENERGY_ROWS, physics.energy.read(), strict=True))
    return EnergyBalance(**{name: np.array(rows[name]) for name in EnergyBalance.__dataclass_fields__})


def open_ledger(physics: PackPhysics, state: PackState) -> Ledger:
    """Return the sums and stocks of now."""
    return Ledger(
        sums=np.array(physics.energy.laid()),
        temperature=np.array(state.common.temperature.laid()),
        stocks=physics.lithium(state),
    )


def check_limits(physics: PackPhysics, state: PackState, time: float) -> None:
    """Raise if a cell has left what its model can describe.

    Parameters
    ----------
    physics : PackPhysics
        The pack.
    state : PackState
        Its state now.
    time : float
        Of the state [s].

    Raises
    ------
    PlantError
        Naming the cell, the quantity, the limits and the time.
    """
    checks = (
        *physics.cells.limits(state.profiles),
        ("voltage", state.common.voltage, *_VOLTAGES),
        ("temperature", state.common.temperature, *_TEMPERATURES),
    )
    for what, field, low, high in checks:
        if field.lies_within(low, high):
            continue
        values = np.atleast_2d(field.read())
        wrong = np.argwhere(~((values >= low) & (values <= high)).T)
        if wrong.size:
            cell, row = wrong[0]
            raise PlantError(
                f"{what} of {physics.cell_id(int(cell))} is {values[row, cell]:.4g} at {time:.1f} s; "
                f"its limits are {low:g} and {high:g}",
                remedy="Ask for less current, stop at the voltage limits (Drive.lowest_voltage, highest_voltage), "
                "or shorten the step",
            )


def check_conservation(physics: PackPhysics, state: PackState, ledger: Ledger, imbalance: Array) -> None:
    """Raise if charge, energy or lithium has been made or lost since a ledger was opened.

    Parameters
    ----------
    physics : PackPhysics
        The pack.
    state : PackState
        Its state now.
    ledger : Ledger
        Of the same engine, opened earlier.
    imbalance : ndarray of shape (n_groups,)
        Largest difference between a group's current and the sum of its cells' in any step [A].

    Raises
    ------
    PlantError
        Naming the group or the cell, and the amount.
    """
    capacity = physics.grid.parallel / physics.groups.inverse_capacity.read()
    _require(imbalance <= _CURRENT * capacity, imbalance, physics.group_id, "of current is made or lost", "A")
    passed = dict(zip(ENERGY_ROWS, physics.energy.laid() - ledger.sums, strict=True))
    heat_capacity = physics.constants.heat_capacity.laid()
    thermal = physics.model.thermal
    warming = state.common.temperature.laid() - physics.model.reference_temperature
    before = ledger.temperature - physics.model.reference_temperature
    held = warming - before
    for power, factor in enumerate(thermal.heat_capacity_temperature, start=2):
        if factor:
            held = held + factor * (warming**power - before**power) / power
    gap = np.abs(passed["kept"] - heat_capacity * held)
    traffic = np.zeros(gap.shape)
    for name in ("generated", "to_coolant", "to_ambient", "conducted", "kept"):
        traffic += np.abs(passed[name])
    share = _VARIABLE_CAPACITY if any(thermal.heat_capacity_temperature) else _ENERGY
    _require_cells(physics, gap <= share * traffic + 1e-6 * heat_capacity, gap, "of heat is made or lost", "J")
    flows = physics.lithium_flows(passed["charge"], passed["side_charge"])
    for now, earlier, flow in zip(physics.lithium(state), ledger.stocks, flows, strict=True):
        missing = np.abs(now - earlier - flow)
        allowed = _LITHIUM * (np.abs(earlier) + np.abs(passed["charge"])) + 1e-9
        _require_cells(physics, missing <= allowed, missing, "of lithium is made or lost", "A.s")


def _require_cells(physics: PackPhysics, fine: NDArray[np.bool_], amounts: Array, what: str, unit: str) -> None:
    if not fine.all():  # only then put cells in order, without those that fill up
        order = physics.grid.in_order
        _require(order(fine.astype(np.float64)) > 0.0, order(amounts), physics.cell_id, what, unit)


def _require(fine: NDArray[np.bool_], amounts: Array, name: Callable[[int], str], what: str, unit: str) -> None:
    wrong = np.flatnonzero(~fine)
    if wrong.size:
        worst = int(wrong[np.argmax(np.nan_to_num(amounts[wrong], nan=np.inf))])
        raise PlantError(
            f"conservation is broken: {amounts[worst]:.3g} {unit} {what} in {name(worst)}",
            remedy="Shorten the step; if it stays, report it with the pack and the scenario",
        )
