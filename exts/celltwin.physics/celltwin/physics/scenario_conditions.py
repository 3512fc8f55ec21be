"""What a scenario's surroundings and faults are to the pack engine: switches, conductances, flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    Array,
    Demand,
    InternalShort,
    OpenWeld,
    PackSpec,
    ScenarioPlayer,
    WeakCell,
    find_cells,
)

if TYPE_CHECKING:
    from .engine import PackEngine

__all__ = ["ScenarioConditions"]

# A share of a second or kelvin below which a setting has not changed.
_SAME = 1e-9


class ScenarioConditions:
    """Set an engine to what a scenario says of a time: ambient, coolant, contactors, and faults of cells.

    Nothing is set that has not changed, and everything is set again after an engine has been restored.

    Attributes
    ----------
    lost : ndarray of bool, shape (n_cells,)
        Cells that have lost their connection on the way, beside those that the scenario names.

    Parameters
    ----------
    engine : PackEngine
        Engine of one pack, as :func:`celltwin.physics.build_engine` builds it; its cells' capacity and
        resistance are those of sound cells.
    player : ScenarioPlayer
        The scenario.
    """

    def __init__(self, engine: PackEngine, player: ScenarioPlayer) -> None:
        self._engine, self._player = engine, player
        spec, heat = player.spec, engine.network.heat
        self._capacity = engine.read_cells("capacity_scale")
        self._resistance = engine.read_cells("resistance")
        self._faults = {
            fault: find_cells(fault.target, spec)
            for fault in player.scenario.faults
            if isinstance(fault, InternalShort | WeakCell | OpenWeld)
        }
        channel = np.searchsorted(heat.segment_start, heat.segment, side="right") - 1
        self._module_channel = channel.reshape(spec.n_modules, -1)[:, 0] if channel.size else channel
        self.lost = np.zeros(spec.n_cells, dtype=bool)
        self._settings: dict[str, Array | NDArray[np.bool_]] = {}

    def forget(self) -> None:
        """Set everything again next time, such as after the engine has been restored."""
        self._settings.clear()

    def apply(self, time: float, demand: Demand, *, flow: Array | None = None) -> None:
        """Set the engine for the time that comes.

        Parameters
        ----------
        time : float
            Time of the run that the conditions hold for [s].
        demand : Demand
            What is asked; it says which strings are connected.
        flow : ndarray of shape (n_modules,), optional
            Coolant that somebody else than the scenario tells to flow [kg/s], such as a controller; faults act on it.
        """
        engine, player = self._engine, self._player
        around = player.surroundings(time)
        if self._changed("ambient", np.array([around.ambient_temperature])):
            engine.set_ambient(around.ambient_temperature)
        if self._module_channel.size:
            told = around.coolant_flow if flow is None else flow
            channels = self.channel_flow(told * around.flow_share)
            if self._changed("flow", channels):
                engine.set_coolant(flow=channels)
            if self._changed("inlet", np.array([around.inlet_temperature])):
                engine.set_coolant(inlet_temperature=around.inlet_temperature)
        short, capacity, resistance, linked = self._cells(time)
        for name, values in (
            ("internal_short_conductance", short),
            ("capacity_scale", capacity),
            ("resistance", resistance),
            ("connected", linked),
        ):
            if self._changed(name, values):
                engine.set_cells(name, values)
        if self._changed("strings", np.asarray(demand.connected)):
            for string, closed in enumerate(demand.connected):
                engine.set_nodes(bool(closed), string_node(player.spec, string))

    def channel_flow(self, flow: Array) -> Array:
        """Return the flow of each coolant channel [kg/s]: the least of its modules, each of shape (n_modules,)."""
        found = np.full(self._engine.network.heat.design_flow.size, np.inf)
        np.minimum.at(found, self._module_channel, flow)
        return found

    @property
    def module_channel(self) -> NDArray[np.int64]:
        """Coolant channel of each module, of shape (n_modules,); empty for a pack without coolant."""
        return self._module_channel

    def _cells(self, time: float) -> tuple[Array, Array, Array, Array]:
        spec = self._player.spec
        short, linked = np.zeros(spec.n_cells), np.where(self.lost, 0.0, 1.0)
        capacity, resistance = self._capacity.copy(), self._resistance.copy()
        for fault, cells in self._faults.items():
            strength = fault.strength(time)
            if strength <= 0.0:
                continue
            if isinstance(fault, InternalShort):
                short[cells] += strength / fault.resistance
            elif isinstance(fault, WeakCell):
                capacity[cells] *= fault.capacity
                resistance[cells] += (fault.resistance - 1.0) * spec.cell.resistance
            else:
                linked[cells] = 0.0
        return short, capacity, resistance, linked

    def _changed(self, name: str, values: Array | NDArray[np.bool_]) -> bool:
        before = self._settings.get(name)
        if before is not None and np.allclose(before, values, rtol=_SAME, atol=_SAME):
            return False
        self._settings[name] = values.copy()
        return True


def string_node(spec: PackSpec, string: int) -> int:
    """Return the node of a string of modules in the circuit of a pack."""
    return spec.n_groups + spec.n_modules + string
