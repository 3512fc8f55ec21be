"""The pack engine: all cells of a pack, or of many packs, stepped together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PlantError, SettingsError

from .abuse_kernels import ABUSE_ROWS
from .ageing_kernels import AGEING_ROWS
from .cell_fields import CircuitWork, allocate_cells
from .cell_model import CellModel, EquivalentCircuitModel
from .conservation import EnergyBalance, Ledger, check_conservation, check_limits, open_ledger, read_balance
from .engine_history import EngineHistory
from .engine_options import CellPopulation, Drive, EngineOptions
from .engine_settings import CELL_SETTINGS, GROUP_SETTINGS, TEMPERATURE_RANGE, check_places, check_values
from .engine_state import EngineState
from .fields import CellField, Grid, GroupField
from .lanes import lane_functions
from .pack_network import PackNetwork
from .pack_physics import Attempt, PackPhysics, PackState
from .pack_switches import PackSwitches
from .recorded_steps import RecordedSteps
from .start_warp import start_warp

__all__ = ["PackEngine"]

_TEMPERATURES = ("surface_temperature", "core_temperature", "temperature")
_CHECK_EVERY = 10  # steps
_MECHANICS = ("thickness_change", "hoop_strain", "pressure")


class PackEngine:
    """All cells of a pack, or of many packs, with their circuit and their heat, stepped together.

    Parameters
    ----------
    model : CellModel or EquivalentCircuitModel
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
        model: CellModel | EquivalentCircuitModel,
        network: PackNetwork,
        *,
        cells: CellPopulation | None = None,
        options: EngineOptions | None = None,
        device: str | None = None,
    ) -> None:
        import warp as wp

        start_warp()
        self.options = options or EngineOptions()
        population = cells or CellPopulation()
        circuit = network.circuit
        place = device or ("cuda:0" if wp.is_cuda_available() else "cpu")
        self.grid = Grid(circuit.n_groups, circuit.parallel, lane_functions(8 if place == "cpu" else 1), place)
        self.physics = PackPhysics(model, network, self.grid, self.options, population)
        self.time = 0.0
        self._switches = PackSwitches(self.physics)
        first = self.physics.state()
        self._states = (first, self.physics.next_in_place(first))
        self._now = 0
        self._attempt = Attempt(
            tangents=allocate_cells(CircuitWork, self.grid), nodes=self.physics.circuit.nodes(), solved=first.common
        )
        self._stream = self.physics.heat.stream()
        self.steps = RecordedSteps(self.physics, self._states, self._attempt, self._stream)
        self._ledger: Ledger | None = None
        ambient = network.heat.ambient_temperature
        for state in self._states:
            for part in _TEMPERATURES:
                temperature = ambient if population.temperature is None else population.temperature
                getattr(state.common, part).write(temperature)
        self.set_cells("soc", population.soc)

    @property
    def model(self) -> CellModel | EquivalentCircuitModel:
        """The cell type."""
        return self.physics.model

    @property
    def network(self) -> PackNetwork:
        """Circuit and heat paths."""
        return self.physics.network

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
        return self.physics.circuit.n_packs

    @property
    def device(self) -> str:
        """Warp's name of the device."""
        return self.grid.device

    @property
    def arrays(self) -> PackState:
        """The arrays of the present state, for parts of the engine that continue it."""
        return self._states[self._now]

    @property
    def switches(self) -> NDArray[np.bool_]:
        """Whether the contactor of each node of the circuit is closed, of shape (n_nodes,)."""
        return self._switches.closed.copy()

    def advance(
        self,
        drive: Drive | float,
        duration: float,
        *,
        sample_period: float | None = None,
        stop: Callable[[PackEngine], bool] | None = None,
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
            If a cell leaves what its model can describe, or something is not conserved, named with cell, quantity,
            limit and time; or if the pack is open.
        """
        asked = drive if isinstance(drive, Drive) else Drive(values=drive)
        steps = self.options.time_steps(duration)
        table = asked.table(steps.size, self.n_packs)
        self._switches.set_drive(asked, table)
        if sample_period is not None and not (np.isfinite(sample_period) and sample_period > 0.0):
            raise SettingsError(
                f"sample_period = {sample_period:g} s must be greater than 0", remedy="Give a positive time"
            )
        every = steps.size if sample_period is None else max(1, round(sample_period / self.options.step))
        samples: list[dict[str, Any]] = []
        extras: list[dict[str, Array]] = []
        self._attempt.nodes.imbalance.write(0.0)
        if self._ledger is None:
            self._ledger = open_ledger(self.physics, self.arrays)
        last = steps.size - 1
        self._switches.set_demand(self._now, table[0])
        for index, step in enumerate(steps):
            sampled = (index + 1) % every == 0 or index == last
            checked = sampled or (index + 1) % _CHECK_EVERY == 0
            onward = not checked and steps[index + 1] == step
            if index < last:
                self._switches.set_demand(1 - self._now, table[index + 1])
            self._take_step(float(step), onward=onward)
            if checked:
                self.check()
            if sampled:
                samples.append(self._sample())
                extras.append(self._further())
                if stop is not None and stop(self):
                    break
        joined = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
        return EngineHistory(**joined, extra={name: np.stack([part[name] for part in extras]) for name in extras[0]})

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
        places = check_places("cell", cells, self.n_cells)
        common, physics = self.arrays.common, self.physics
        if name in ("soc", "temperature", "capacity_scale"):
            self._ledger = None  # what is conserved begins anew
        if name == "soc":
            given = check_values(name, values, 0.0, 1.0, self.cell_id, places)
            physics.cells.rest(self.arrays.profiles, given, places)
            common.soc.write(given, places)
            return
        if name == "temperature":
            given = check_values(name, values, *TEMPERATURE_RANGE, self.cell_id, places)
            for part in _TEMPERATURES:
                getattr(common, part).write(given, places)
            return
        setting = CELL_SETTINGS.get(name)
        if setting is None:
            known = ", ".join((*CELL_SETTINGS, "soc", "temperature"))
            raise SettingsError(f"a cell has no {name!r}", remedy=f"Set one of {known}")
        given = check_values(name, values, setting.lowest, setting.highest, self.cell_id, places)
        constants = physics.constants
        getattr(constants, setting.field).write(given, places)
        if setting.field in ("short", "bleed"):
            constants.shunt.write(constants.short.read() + constants.bleed.read())
        if setting.field == "short" and physics.abuse:
            physics.abuse.impose(places, constants.short.read())
        if setting.field == "capacity_scale":
            physics.groups.inverse_capacity.write(physics.inverse_capacity())
        if setting.field == "connected":
            self._switches.connect()

    def read_cells(self, name: str) -> Array:
        """Return a property that :meth:`set_cells` sets, or a quantity of the present state.

        Parameters
        ----------
        name : str
            As in :meth:`set_cells`; or a field of the state such as ``voltage``, ``heat``, ``shells_negative``; or,
            where the options ask for them, a row of ageing (``sei_thickness``), runaway (``abuse_vent``) or mechanics
            (``pressure``).

        Returns
        -------
        ndarray of shape (n_cells,) or (rows, n_cells)

        Raises
        ------
        SettingsError
            If there is none of that name.
        """
        physics, arrays = self.physics, self.arrays
        if name in CELL_SETTINGS:
            return np.array(getattr(physics.constants, CELL_SETTINGS[name].field).read())
        if arrays.ageing and name in AGEING_ROWS:
            return np.array(arrays.ageing.read()[AGEING_ROWS.index(name)])
        if arrays.reactants and name.removeprefix("abuse_") in ABUSE_ROWS and name.startswith("abuse_"):
            return np.array(arrays.reactants.read()[ABUSE_ROWS.index(name.removeprefix("abuse_"))])
        for holder in (arrays.common, arrays.profiles, *([physics.mechanics] if physics.mechanics else [])):
            field = getattr(holder, name, None)
            if isinstance(field, CellField):
                return np.array(field.read())
        raise SettingsError(f"a cell has no {name!r}", remedy="See PackEngine.set_cells and read_cells")

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
        setting = GROUP_SETTINGS.get(name)
        if setting is None:
            raise SettingsError(f"a group has no {name!r}", remedy=f"Set one of {', '.join(GROUP_SETTINGS)}")
        places = check_places("group", groups, self.n_groups)
        field: GroupField = getattr(self.physics.groups, setting.field)
        field.write(check_values(name, values, setting.lowest, setting.highest, self.group_id, places), places)
        if setting.field == "bypass":
            self._switches.connect()

    def set_nodes(self, connected: bool, nodes: NDArray[np.int64] | int) -> None:
        """Close or open the contactors of nodes of the circuit: groups, modules, strings, packs.

        Parameters
        ----------
        connected : bool
            Closed or open.
        nodes : int or ndarray of int
            Nodes of ``network.circuit``.

        Raises
        ------
        SettingsError
            If there is no such node.
        """
        closed = self._switches.closed
        closed[check_places("node of the circuit", np.atleast_1d(nodes), closed.size)] = connected
        self._switches.connect()

    def set_coolant(self, *, flow: Array | float | None = None, inlet_temperature: Array | float | None = None) -> None:
        """Set mass flow [kg/s] and inlet temperature [K] of the coolant, for each channel or for all.

        Raises
        ------
        SettingsError
            If a value is out of range.
        """
        heat, design = self.physics.heat, self.network.heat

        def channel(index: int) -> str:
            return f"coolant channel {index + 1}"

        if flow is not None:
            now = np.array(np.broadcast_to(check_values("flow", flow, 0.0, np.inf, channel), design.design_flow.size))
            heat.set_flow(now)
        if inlet_temperature is not None:
            inlet = check_values("inlet_temperature", inlet_temperature, *TEMPERATURE_RANGE, channel)
            heat.inlet.assign(np.array(np.broadcast_to(inlet, design.design_flow.size)))

    def set_ambient(self, temperature: float) -> None:
        """Set the temperature of the surroundings [K].

        Raises
        ------
        SettingsError
            If it is out of range.
        """
        given = check_values("ambient temperature", temperature, *TEMPERATURE_RANGE, lambda _: "the pack")
        self.physics.heat.ambient.assign(given[np.newaxis])

    def check(self) -> None:
        """Raise if a cell has left what its model can describe, or if charge, heat or lithium is not conserved.

        Raises
        ------
        PlantError
            Naming the cell, the quantity, the limit and the time.
        """
        arrays = self.arrays
        check_limits(self.physics, arrays, self.time)
        if self._ledger is not None:
            try:
                check_conservation(self.physics, arrays, self._ledger, self._attempt.nodes.imbalance.read())
            except PlantError as error:
                raise PlantError(f"{error.message} at {self.time:.1f} s", remedy=error.remedy) from None

    def balance(self) -> EnergyBalance:
        """Return where the energy of every cell went since the engine was made."""
        return read_balance(self.physics)

    def state(self) -> EngineState:
        """Return all that the engine is in."""
        return EngineState(
            self.time,
            {name: np.array(field.read()) for name, field in self._stored().items()},
            {name: field.read() for name, field in vars(self.physics.groups).items()},
            self._switches.closed.copy(),
        )

    def restore(self, state: EngineState) -> None:
        """Go back to a state of this engine, or of one with the same pack and options.

        Raises
        ------
        PlantError
            If the state belongs to another pack or to other options, or has a value that is no number.
        """
        stored = self._stored()
        shapes = {name: field.read().shape for name, field in stored.items()}
        state.check_fits(shapes, self._switches.closed.size, self.cell_id)
        for name, field in stored.items():
            field.write(state.cells[name])
        for name, groups in vars(self.physics.groups).items():
            groups.write(state.groups[name])
        self._switches.closed = state.switches.copy()
        self.time = state.time
        self._ledger = None
        self._switches.connect()

    def replace_cells(self, cells: NDArray[np.int64], population: CellPopulation) -> None:
        """Put other cells in the places of some: new ones, at rest.

        Parameters
        ----------
        cells : ndarray of int
            Places in pack order.
        population : CellPopulation
            The new cells, one value for all or one a place; at the ambient's temperature where it gives none.
        """
        places = np.atleast_1d(np.asarray(cells, dtype=np.int64))
        check_places("cell", places, self.n_cells)
        arrays, physics = self.arrays, self.physics
        for name in ("capacity_scale", "resistance", "diffusivity_scale", "soc"):
            self.set_cells(name, getattr(population, name), places)
        ambient = float(physics.heat.ambient.numpy()[0])
        self.set_cells("temperature", ambient if population.temperature is None else population.temperature, places)
        for name in ("current", "branch_current", "voltage", "heat", "side_current", "film_resistance", "abuse_heat"):
            getattr(arrays.common, name).write(0.0, places)
        for name in ("contact_factor", "active_negative", "active_positive"):
            getattr(arrays.common, name).write(1.0, places)
        if physics.ageing and arrays.ageing:
            scale = physics.constants.capacity_scale.read()
            arrays.ageing.write(physics.ageing.state(scale).read()[:, places], places)
        if physics.abuse and arrays.reactants:
            physics.abuse.refresh(arrays.reactants, places)
        self.set_cells("connected", 1.0, places)
        self.set_cells("internal_short_conductance", 0.0, places)

    def cell_id(self, cell: int) -> str:
        """Return the name of a cell."""
        return self.physics.cell_id(cell)

    def group_id(self, group: int) -> str:
        """Return the name of a group."""
        return self.physics.group_id(group)

    def _stored(self) -> dict[str, CellField]:
        physics, arrays = self.physics, self.arrays
        stored = {**vars(physics.constants), **vars(arrays.common), **vars(arrays.profiles), "energy": physics.energy}
        if arrays.ageing:
            stored["ageing"] = arrays.ageing
        if physics.abuse and arrays.reactants:
            stored |= {"reactants": arrays.reactants, **physics.abuse.fields}
        return stored

    def _take_step(self, step: float, *, onward: bool) -> None:
        if not self.steps.take(step, self._now, onward=onward):
            change = self._attempt.tangents.change.flat.numpy()
            group = int(np.argmax(change)) % self.grid.group_bundles * self.grid.lanes.width
            raise PlantError(
                f"the currents of the pack have not settled at {self.time:.1f} s, worst near "
                f"{self.group_id(min(group, self.n_groups - 1))}",
                remedy="Shorten the step, or stop before the cells are empty or full",
            )
        self._now = 1 - self._now
        self.time += step

    def _sample(self) -> dict[str, Any]:
        common, nodes = self.arrays.common, self._attempt.nodes
        ends = self.network.heat.segment_start[1:] - 1
        return {
            "time": np.array(self.time),
            "pack_current": np.array(nodes.pack_current.numpy()),
            "pack_voltage": np.array(nodes.pack_voltage.numpy()),
            "limited": np.array(nodes.limited.numpy()),
            "group_voltage": nodes.group_voltage.read(),
            "cell_current": common.current.read(),
            "cell_voltage": common.voltage.read(),
            "cell_temperature": common.temperature.read(),
            "cell_surface_temperature": common.surface_temperature.read(),
            "cell_soc": common.soc.read(),
            "coolant_temperature": np.array(self._stream[0].numpy()[ends]) if ends.size else np.empty(0),
        }

    def _further(self) -> dict[str, Array]:
        names: tuple[str, ...] = ()
        if self.physics.ageing:
            names += AGEING_ROWS
        if self.physics.abuse:
            names += ("abuse_heat", "abuse_vent", "abuse_molten")
        if self.physics.mechanics:
            names += _MECHANICS
        return {name: self.read_cells(name) for name in names}
