"""The pack engine: all cells of a pack, or of many packs, stepped together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError, PlantError, SettingsError

from .abuse_cells import CellAbuse
from .abuse_kernels import ABUSE_ROWS
from .cell_fields import CellConstants, CellState, CircuitWork, GroupConstants, allocate_cells
from .cell_model import CellModel
from .circuit_tree import plant_tree
from .engine_history import EngineHistory
from .engine_options import CellPopulation, Drive, DriveKind, EngineOptions
from .engine_state import EngineState
from .fields import CellField, Grid, GroupField
from .heat_paths import film_share
from .lanes import lane_functions
from .launching import RecordingLauncher
from .pack_network import PackNetwork
from .pack_step import CircuitArrays, HeatArrays, solve_circuit, spread_heat
from .single_particle_cells import SingleParticleCells
from .thermal_kernels import ENERGY_ROWS

__all__ = ["PackEngine"]

_CELL_SETTINGS = {
    "connected": ("connected", 0.0, 1.0),
    "internal_short_conductance": ("short", 0.0, np.inf),
    "bleed_conductance": ("bleed", 0.0, np.inf),
    "connection_resistance": ("connection", 0.0, np.inf),
    "resistance": ("resistance", 0.0, np.inf),
    "capacity_scale": ("capacity_scale", 1e-6, np.inf),
    "diffusivity_scale": ("diffusivity_scale", 1e-6, np.inf),
}
_GROUP_SETTINGS = {
    "balancing_current": ("balancing", -np.inf, np.inf),
    "bypass_conductance": ("bypass", 0.0, np.inf),
}
_THERMAL_REACH = 0.5  # largest share of a temperature difference that one explicit exchange may take


@dataclass(frozen=True, eq=False)
class _Launches:
    """Recorded launches of one time step, from one of two states to the other."""

    begin: tuple[Any, ...]
    iterate: tuple[Any, ...]
    end: tuple[Any, ...]


class PackEngine:
    """All cells of a pack, or of many packs, with their circuit and their heat, stepped together.

    Parameters
    ----------
    model : CellModel
        The cell type.
    network : PackNetwork
        Circuit and heat paths.
    cells : CellPopulation, optional
        How the cells differ; fully charged, alike and at the ambient's temperature where absent.
    options : EngineOptions, optional
        Numerics and further physics.
    device : str, optional
        Warp's name of the device: ``"cpu"`` or ``"cuda:0"``; a GPU where there is one, where absent.

    Raises
    ------
    ModelError, SettingsError
        If model, network and population do not fit.
    """

    def __init__(
        self,
        model: CellModel,
        network: PackNetwork,
        *,
        cells: CellPopulation | None = None,
        options: EngineOptions | None = None,
        device: str | None = None,
    ) -> None:
        import warp as wp

        self.model, self.network = model, network
        self.options = options or EngineOptions()
        population = cells or CellPopulation()
        circuit = network.circuit
        place = device or ("cuda:0" if wp.is_cuda_available() else "cpu")
        lanes = lane_functions(8 if place == "cpu" else 1)
        self.grid = Grid(circuit.n_groups, circuit.parallel, lanes, place)
        self.time = 0.0
        tree = plant_tree(circuit, self.grid.padded)
        self._circuit = CircuitArrays(network, tree, self.grid)
        self._heat = HeatArrays(network, self.grid, model.thermal.surface_share)
        self._switches = np.ones(circuit.n_nodes, dtype=bool)
        self._constants, self._groups = self._allocate_constants(population)
        self._cells = SingleParticleCells(
            model,
            self.grid,
            shells=self.options.shells,
            salt_nodes=self.options.salt_nodes,
            heat_of_mixing=self.options.heat_of_mixing,
        )
        self._profiles = self._cells.state()
        self._abuse = (
            CellAbuse(
                self.options.abuse,
                self.grid,
                full_stoichiometry=model.negative.stoichiometry_full,
                empty_stoichiometry=model.negative.stoichiometry_empty,
                surface_share=model.thermal.surface_share,
            )
            if self.options.abuse is not None
            else None
        )
        self._reactants = self._abuse.state() if self._abuse else None
        state = allocate_cells(
            CellState,
            self.grid,
            fill={
                **dict.fromkeys(("surface_temperature", "core_temperature", "temperature"), 298.15),
                **dict.fromkeys(("contact_factor", "active_negative", "active_positive"), 1.0),
            },
        )
        twin = {
            name: CellField(self.grid, fill=298.15)
            for name in ("surface_temperature", "core_temperature", "temperature")
        }
        self._states = (state, replace(state, **twin))
        self._now = 0
        self._work, self._tangents = self._cells.work(), allocate_cells(CircuitWork, self.grid)
        self._nodes = self._circuit.nodes()
        self._energy = CellField(self.grid, rows=len(ENERGY_ROWS))
        self._stream = self._heat.stream()
        self._drive = wp.zeros((1, self._circuit.n_packs), dtype=wp.float64, device=place)
        self._launches: dict[tuple[float, int], tuple[_Launches, _Launches]] = {}
        self._start(population)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.grid.n_cells

    @property
    def n_groups(self) -> int:
        """Number of groups of parallel cells."""
        return self.grid.n_groups

    @property
    def n_packs(self) -> int:
        """Number of packs side by side."""
        return self._circuit.n_packs

    @property
    def device(self) -> str:
        """Warp's name of the device."""
        return self.grid.device

    def advance(
        self,
        drive: Drive | float,
        duration: float,
        *,
        sample_period: float | None = None,
        stop: Any = None,
    ) -> EngineHistory:
        """Simulate the time that comes next.

        Parameters
        ----------
        drive : Drive or float
            What is asked of the pack; a number is a current [A].
        duration : float
            Time to simulate [s]; the last step is shortened to meet it.
        sample_period : float, optional
            Time between samples [s], rounded to whole steps; one sample at the end where absent.
        stop : callable, optional
            Called after every sample with the engine; True ends the simulation there.

        Returns
        -------
        EngineHistory
            Samples after the present time, the last one at the end.

        Raises
        ------
        SettingsError
            If the drive does not fit the time.
        PlantError
            If a cell leaves what its model can describe, named with quantity, limit and time; or if the pack is open.
        """
        asked = drive if isinstance(drive, Drive) else Drive(values=drive)
        steps = self._steps(duration)
        table = asked.table(steps.size, self.n_packs)
        self._set_drive(asked, table)
        every = steps.size if sample_period is None else max(1, round(sample_period / self.options.step))
        samples: list[dict[str, Any]] = []
        host = self._drive.numpy() if self._drive.device.is_cpu else None
        for index, step in enumerate(steps):
            if host is not None:
                host[0] = table[index]
            else:
                self._drive.assign(table[index : index + 1])
            self._step(float(step))
            self.time += float(step)
            if (index + 1) % every == 0 or index == steps.size - 1:
                self.check()
                samples.append(self._sample())
                if stop is not None and stop(self):
                    break
        joined = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
        return EngineHistory(**joined)

    def set_cells(self, name: str, values: Array | float, cells: NDArray[np.int64] | None = None) -> None:
        """Set a property of cells for the time that comes.

        Parameters
        ----------
        name : str
            ``connected`` (1 or 0, the cell's switch), ``internal_short_conductance`` [S, its heat stays in the cell],
            ``bleed_conductance`` [S, its heat does not], ``connection_resistance`` [ohm], ``resistance`` [ohm],
            ``capacity_scale``, ``diffusivity_scale`` [-], ``soc`` [-, puts the cell at rest] or ``temperature`` [K].
        values : float or ndarray
            One for all, or one a cell.
        cells : ndarray of int, optional
            Cells in pack order; all where absent.

        Raises
        ------
        SettingsError
            If there is no such property, or a value is out of range.
        """
        places = None if cells is None else np.atleast_1d(np.asarray(cells, dtype=np.int64))
        if name == "soc":
            given = self._checked(name, values, 0.0, 1.0, places)
            self._cells.rest(self._profiles, given, places)
            self._state.soc.write(given, places)
            return
        if name == "temperature":
            given = self._checked(name, values, 150.0, 2000.0, places)
            for part in ("surface_temperature", "core_temperature", "temperature"):
                getattr(self._state, part).write(given, places)
            return
        if name not in _CELL_SETTINGS:
            known = ", ".join((*_CELL_SETTINGS, "soc", "temperature"))
            raise SettingsError(f"a cell has no {name!r}", remedy=f"Set one of {known}")
        attribute, low, high = _CELL_SETTINGS[name]
        field: CellField = getattr(self._constants, attribute)
        field.write(self._checked(name, values, low, high, places), places)
        if attribute in ("short", "bleed"):
            self._constants.shunt.write(self._constants.short.read() + self._constants.bleed.read())
        if attribute == "short" and self._abuse:
            self._abuse.impose(places, self._constants.short.read())
        if attribute == "capacity_scale":
            self._groups.inverse_capacity.write(self._inverse_capacity())
        if attribute == "connected":
            self._connect()

    def read_cells(self, name: str) -> Array:
        """Return a property that :meth:`set_cells` sets, or a quantity of the present state, of shape (n_cells,).

        Raises
        ------
        SettingsError
            If there is none of that name.
        """
        if name in _CELL_SETTINGS:
            field: CellField = getattr(self._constants, _CELL_SETTINGS[name][0])
            return field.read()
        for holder in (self._state, self._profiles):
            if hasattr(holder, name):
                return np.array(getattr(holder, name).read())
        reactant = name.removeprefix("abuse_")
        if self._abuse and self._reactants and reactant in ABUSE_ROWS:
            return self._abuse.read(self._reactants, reactant)
        raise SettingsError(f"a cell has no {name!r}", remedy="See PackEngine.set_cells")

    def set_groups(self, name: str, values: Array | float, groups: NDArray[np.int64] | None = None) -> None:
        """Set a property of groups for the time that comes.

        Parameters
        ----------
        name : str
            ``balancing_current`` [A, drawn from the group beside the pack's current] or ``bypass_conductance`` [S].
        values : float or ndarray
            One for all, or one a group.
        groups : ndarray of int, optional
            Groups in pack order; all where absent.

        Raises
        ------
        SettingsError
            If there is no such property, or a value is out of range.
        """
        if name not in _GROUP_SETTINGS:
            raise SettingsError(f"a group has no {name!r}", remedy=f"Set one of {', '.join(_GROUP_SETTINGS)}")
        attribute, low, high = _GROUP_SETTINGS[name]
        field: GroupField = getattr(self._groups, attribute)
        field.write(self._checked(name, values, low, high, groups, "group"), groups)
        if attribute == "bypass":
            self._connect()

    def set_nodes(self, connected: bool, nodes: NDArray[np.int64] | int) -> None:
        """Close or open the contactors of nodes of the circuit: groups, modules, strings, packs.

        Parameters
        ----------
        connected : bool
            Closed or open.
        nodes : int or ndarray of int
            Nodes of ``network.circuit``.
        """
        self._switches[nodes] = connected
        self._connect()

    def set_coolant(self, *, flow: Array | float | None = None, inlet_temperature: Array | float | None = None) -> None:
        """Set mass flow [kg/s] and inlet temperature [K] of the coolant, for each channel or for all."""
        heat = self.network.heat
        channels = heat.design_flow.size
        if flow is not None:
            now = np.broadcast_to(self._checked("flow", flow, 0.0, np.inf, None, "channel"), channels)
            self._heat.capacity_flow.assign(now * heat.coolant_heat_capacity)
            self._heat.film.assign(film_share(np.array(now), heat.design_flow))
            self._launches.clear()
        if inlet_temperature is not None:
            inlet = self._checked("inlet_temperature", inlet_temperature, 150.0, 2000.0, None, "channel")
            self._heat.inlet.assign(np.array(np.broadcast_to(inlet, channels)))

    def set_ambient(self, temperature: float) -> None:
        """Set the temperature of the surroundings [K]."""
        self._heat.ambient.assign(self._checked("ambient temperature", temperature, 150.0, 2000.0, None, "pack")[None])

    def check(self) -> None:
        """Raise if any cell has left what its model can describe.

        Raises
        ------
        PlantError
            Naming the cell, the quantity, the limit and the time.
        """
        state = self._state
        checks = (
            *self._cells.limits(self._profiles),
            ("voltage", state.voltage.read(), -1e3, 1e3),
            ("temperature", state.temperature.read(), 150.0, 3000.0),
        )
        for what, values, low, high in checks:
            wrong = np.flatnonzero(~((values >= low) & (values <= high)))
            if wrong.size:
                cell = int(wrong[0])
                raise PlantError(
                    f"{what} of {self.cell_id(cell)} is {values[cell]:.4g} at {self.time:.1f} s; "
                    f"its limits are {low:g} and {high:g}",
                    remedy="Ask for less current, stop at the voltage limits (Drive.lowest_voltage, highest_voltage), "
                    "or shorten the step",
                )

    def state(self) -> EngineState:
        """Return all that the engine is in."""
        return EngineState(
            self.time,
            {name: np.array(field.read()) for name, field in self._stored().items()},
            {name: field.read() for name, field in vars(self._groups).items()},
            self._switches.copy(),
        )

    def restore(self, state: EngineState) -> None:
        """Go back to a state of this engine, or of one with the same pack and options.

        Raises
        ------
        PlantError
            If the state belongs to another pack or to other options.
        """
        stored = self._stored()
        if set(stored) != set(state.cells) or state.switches.shape != self._switches.shape:
            raise PlantError(
                "the state belongs to another engine: its quantities differ", remedy="Restore it with the same options"
            )
        for name, field in stored.items():
            if field.read().shape != state.cells[name].shape:
                raise PlantError(
                    f"{name} of the state has the shape {state.cells[name].shape}; the engine's is {field.read().shape}",
                    remedy="Restore it with the same pack and options",
                )
        for name, field in stored.items():
            field.write(state.cells[name])
        for name, groups in vars(self._groups).items():
            groups.write(state.groups[name])
        self._switches = state.switches.copy()
        self.time = state.time
        self._connect()

    def replace_cells(self, cells: NDArray[np.int64], population: CellPopulation) -> None:
        """Put other cells in the places of some: fresh ones, or aged ones, at rest.

        Parameters
        ----------
        cells : ndarray of int
            Places in pack order.
        population : CellPopulation
            The new cells, one value for all or one a place; at the ambient's temperature where it gives none.
        """
        for name in ("capacity_scale", "resistance", "diffusivity_scale", "soc"):
            self.set_cells(name, getattr(population, name), cells)
        ambient = float(self._heat.ambient.numpy()[0])
        self.set_cells("temperature", ambient if population.temperature is None else population.temperature, cells)
        for name in ("current", "branch_current", "voltage", "heat", "side_current", "film_resistance", "abuse_heat"):
            getattr(self._state, name).write(0.0, cells)
        for name in ("contact_factor", "active_negative", "active_positive"):
            getattr(self._state, name).write(1.0, cells)
        if self._abuse and self._reactants:
            self._abuse.refresh(self._reactants, cells)
        self.set_cells("connected", 1.0, cells)
        self.set_cells("internal_short_conductance", 0.0, cells)

    def cell_id(self, cell: int) -> str:
        """Return the name of a cell."""
        ids = self.network.cell_ids
        if ids:
            return ids[cell]
        group, position = divmod(cell, self.grid.parallel)
        return f"cell {position + 1} of group {group + 1}"

    def group_id(self, group: int) -> str:
        """Return the name of a group."""
        ids = self.network.circuit.group_ids
        return ids[group] if ids else f"group {group + 1}"

    @property
    def _state(self) -> CellState:
        return self._states[self._now]

    def _stored(self) -> dict[str, CellField]:
        reactants = {"reactants": self._reactants, **self._abuse.fields} if self._abuse and self._reactants else {}
        return {
            **vars(self._constants),
            **vars(self._state),
            **vars(self._profiles),
            "energy": self._energy,
            **reactants,
        }

    def _allocate_constants(self, population: CellPopulation) -> tuple[CellConstants, GroupConstants]:
        network, circuit, grid = self.network, self.network.circuit, self.grid
        one = ("capacity_scale", "diffusivity_scale", "heat_capacity", "connection")
        constants = allocate_cells(CellConstants, grid, fill=dict.fromkeys(one, 1.0))
        for name in ("capacity_scale", "diffusivity_scale", "resistance"):
            getattr(constants, name).write(getattr(population, name))
        constants.connection.write(circuit.connection_resistance)
        constants.connected.write(1.0)
        constants.heat_capacity.write(network.heat_capacity)
        constants.core_conductance.write(self.model.thermal.core_conductance)
        groups = GroupConstants(**{name: GroupField(grid) for name in GroupConstants.__dataclass_fields__})
        groups.rail.write(circuit.rail_resistance)
        self._constants = constants
        groups.inverse_capacity.write(self._inverse_capacity())
        return constants, groups

    def _inverse_capacity(self) -> Array:
        scale = self._constants.capacity_scale.read().reshape(self.n_groups, -1)
        return 1.0 / (self.model.capacity * scale.min(axis=1))

    def _start(self, population: CellPopulation) -> None:
        if not np.isfinite(self.network.heat_capacity).all() or (self.network.heat_capacity <= 0.0).any():
            raise ModelError("the heat capacity of a cell is not positive", remedy="Correct the pack's cell")
        ambient = self.network.heat.ambient_temperature
        temperature = ambient if population.temperature is None else population.temperature
        for state in self._states:
            for part in ("surface_temperature", "core_temperature", "temperature"):
                getattr(state, part).write(temperature)
        self.set_cells("soc", population.soc)
        self._connect()

    def _checked(
        self,
        name: str,
        values: Array | float,
        low: float,
        high: float,
        places: NDArray[np.int64] | None,
        what: str = "cell",
    ) -> Array:
        given = np.asarray(values, dtype=np.float64)
        wrong = np.flatnonzero(~(np.isfinite(given) & (given >= low) & (given <= high)))
        if not wrong.size:
            return given
        first = int(wrong[0])
        place = first if places is None else int(np.atleast_1d(places)[min(first, np.size(places) - 1)])
        named = {"cell": self.cell_id, "group": self.group_id}.get(what, lambda index: f"{what} {index + 1}")
        raise SettingsError(
            f"{name} = {given.reshape(-1)[first]:g} of {named(place) if given.ndim else f'every {what}'} is not "
            f"between {low:g} and {high:g}",
            remedy="Correct the value",
        )

    def _connect(self) -> None:
        circuit = self._circuit
        linked = self._constants.connected.read().reshape(self.n_groups, -1) > 0.0
        carrying = linked.any(axis=1) | (self._groups.bypass.read() > 0.0)
        able = circuit.tree.connections(self._switches, carrying)
        circuit.connected.assign(able.astype(np.float64))
        self._open = np.flatnonzero(~able[circuit.tree.roots])

    def _set_drive(self, drive: Drive, table: Array) -> None:
        circuit = self._circuit
        asked = np.flatnonzero(np.any(table != 0.0, axis=0))
        stuck = np.intersect1d(asked, self._open)
        if stuck.size and drive.kind is not DriveKind.VOLTAGE:
            raise PlantError(
                f"{self._open_reason(int(stuck[0]))}, but {drive.kind.value} is asked for",
                remedy="Close its contactors, give the group a bypass, or ask for none",
            )
        code = list(DriveKind).index(drive.kind)
        circuit.drive_kind.assign(np.full(self.n_packs, code, dtype=np.int32))
        low = -1e30 if drive.lowest_voltage is None else drive.lowest_voltage
        high = 1e30 if drive.highest_voltage is None else drive.highest_voltage
        circuit.limits.assign(np.tile([low, high], (self.n_packs, 1)))

    def _open_reason(self, pack: int) -> str:
        linked = self._constants.connected.read().reshape(self.n_groups, -1) > 0.0
        empty = np.flatnonzero(~(linked.any(axis=1) | (self._groups.bypass.read() > 0.0)))
        start, end = self._circuit.tree.group_start[pack : pack + 2]
        inside = empty[(empty >= start) & (empty < end)]
        if inside.size:
            return f"{self.group_id(int(inside[0]))} has no connected cell and no bypass: pack {pack + 1} is open"
        return f"an open contactor opens pack {pack + 1}"

    def _steps(self, duration: float) -> Array:
        if not (np.isfinite(duration) and duration > 0.0):
            raise SettingsError(f"duration = {duration:g} s must be greater than 0", remedy="Give a positive time")
        count = int(np.ceil(duration / self.options.step - 1e-9))
        steps = np.full(count, self.options.step)
        steps[-1] = duration - (count - 1) * self.options.step
        return steps

    def _step(self, step: float) -> None:
        begin_iterate_end = self._recorded(step)[self._now]
        for launch in begin_iterate_end.begin:
            launch.launch()
        # Newton's error is the square of its last change, for a voltage that bends on the scale of a 1C current.
        accepted = np.sqrt(self.options.current_tolerance)
        for _ in range(self.options.most_iterations):
            if not self._tangents.change.peak() > accepted:
                break
            for launch in begin_iterate_end.iterate:
                launch.launch()
        else:
            worst = int(np.argmax(self._tangents.change.flat.numpy()))
            group = worst % self.grid.group_bundles * self.grid.lanes.width
            raise PlantError(
                f"the currents of the pack have not settled at {self.time:.1f} s, worst near "
                f"{self.group_id(min(group, self.n_groups - 1))}",
                remedy="Shorten the step, or stop before the cells are empty or full",
            )
        for launch in begin_iterate_end.end:
            launch.launch()
        self._now = 1 - self._now

    def _recorded(self, step: float) -> tuple[_Launches, _Launches]:
        parts = self._thermal_parts(step)
        key = (step, parts)
        if key not in self._launches:
            first, second = self._states
            self._launches[key] = (self._record(step, parts, first, second), self._record(step, parts, second, first))
        return self._launches[key]

    def _record(self, step: float, parts: int, before: CellState, after: CellState) -> _Launches:
        launcher = RecordingLauncher(self.grid.device)
        cells, constants, groups = self._cells, self._constants, self._groups

        def solve() -> None:
            solve_circuit(
                launcher,
                self._circuit,
                constants,
                groups,
                self._tangents,
                self._nodes,
                self._drive,
                0,
                before.current,
                before,
            )

        cells.begin(launcher, step, self._profiles, before, constants, self._work, self._tangents, before.current)
        solve()
        begin = launcher.take()
        cells.linearise(launcher, before, constants, self._work, self._tangents, before.current)
        solve()
        iterate = launcher.take()
        cells.finish(launcher, step, self._profiles, before, constants, self._work, before, self._profiles)
        if self._abuse and self._reactants:
            self._abuse.launch(
                launcher, step, before, constants, self._profiles.mean_negative, self._reactants, self._reactants
            )
        for part in range(parts):  # parts of a step alternate between the two states; their number is odd
            source, target = (before, after) if part % 2 == 0 else (after, before)
            spread_heat(
                launcher, self._heat, step / parts, source, constants, before, self._energy, self._stream, target
            )
        return _Launches(begin, iterate, launcher.take())

    def _thermal_parts(self, step: float) -> int:
        """Return into how many parts the exchange of heat must divide a step; odd, to end in the other state."""
        heat, model = self.network.heat, self.model.thermal
        film = np.where(heat.design_flow > 0.0, self._heat.film.numpy(), 0.0)
        channel = np.searchsorted(heat.segment_start, heat.segment, side="right") - 1
        total = heat.conductance.sum(axis=0) + heat.ambient_conductance + heat.coolant_conductance * film[channel]
        outer = self.network.heat_capacity * (model.surface_share or 1.0)
        rate = (total + model.core_conductance) / outer
        if model.core_conductance:
            rate = np.maximum(rate, model.core_conductance / (self.network.heat_capacity - outer))
        parts = int(np.ceil(step * rate.max() / _THERMAL_REACH))
        return max(1, parts + 1 - parts % 2)

    def _sample(self) -> dict[str, Any]:
        state, nodes = self._state, self._nodes
        ends = self.network.heat.segment_start[1:] - 1
        return {
            "time": np.array(self.time),
            "pack_current": np.array(nodes.pack_current.numpy()),
            "pack_voltage": np.array(nodes.pack_voltage.numpy()),
            "limited": np.array(nodes.limited.numpy()),
            "group_voltage": nodes.group_voltage.read(),
            "cell_current": state.current.read(),
            "cell_voltage": state.voltage.read(),
            "cell_temperature": state.temperature.read(),
            "cell_surface_temperature": state.surface_temperature.read(),
            "cell_soc": state.soc.read(),
            "coolant_temperature": np.array(self._stream[0].numpy()[ends]) if ends.size else np.empty(0),
        }
