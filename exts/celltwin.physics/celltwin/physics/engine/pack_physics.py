"""All physics of a pack on one device: its arrays, and the launches of one step from one set of arrays to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from celltwin.core import FARADAY, SECONDS_PER_HOUR, Array, ModelError, SettingsError

from .abuse_cells import CellAbuse
from .ageing_cells import CellAgeing
from .ageing_diffusion import couple_diffusion
from .ageing_state import AgeingState, lithium_loss
from .cell_fields import CellConstants, CellState, CircuitWork, GroupConstants, allocate_cells
from .cell_model import CellModel, ElectrodeModel, EquivalentCircuitModel
from .circuit_arrays import CircuitArrays, NodeArrays, solve_circuit
from .circuit_tree import plant_tree
from .engine_options import CellPopulation, EngineOptions
from .equivalent_circuit_cells import EquivalentCircuitCells
from .fields import CellField, Grid, GroupField
from .heat_arrays import HeatArrays, exchange_heat, pass_coolant
from .launching import Launcher
from .mechanics import CellMechanics
from .pack_network import PackNetwork
from .porous_electrode_cells import PorousElectrodeCells
from .single_particle_cells import SingleParticleCells
from .thermal_kernels import ENERGY_ROWS

__all__ = ["Attempt", "PackPhysics", "PackState", "StepArrays", "electrode_charge"]

_TEMPERATURES = ("surface_temperature", "core_temperature", "temperature")
_AGED = ("side_current", "film_resistance", "active_negative", "active_positive")


@dataclass(frozen=True, kw_only=True, eq=False)
class PackState:
    """What a pack is in at one time.

    Attributes
    ----------
    common : CellState
        What every kind of cell has.
    profiles : object
        What the cells' model has.
    ageing, reactants : CellField or None
        States of ageing and of runaway.
    """

    common: CellState
    profiles: Any
    ageing: CellField | None
    reactants: CellField | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Attempt:
    """One solution of the circuit: its tangents, its nodes, and the cells' currents and voltages."""

    tangents: CircuitWork
    nodes: NodeArrays
    solved: CellState


@dataclass(frozen=True, kw_only=True, eq=False)
class StepArrays:
    """Everything that one step reads and writes.

    Attributes
    ----------
    before, after : PackState
        At its ends; they may share arrays, but for the temperatures.
    aged : CellState
        ``before.common`` with what ageing leaves for the step.
    work : object
        Eliminated profiles.
    attempts : tuple of Attempt
        One for each solution of the circuit; the same one again where nothing need be kept.
    between : tuple of CellState
        Temperatures between the parts of the exchange of heat, one fewer than parts.
    stream : tuple of tuple
        Coolant in each part.
    """

    before: PackState
    after: PackState
    aged: CellState
    work: Any
    attempts: tuple[Attempt, ...]
    between: tuple[CellState, ...]
    stream: tuple[tuple[Any, Any, Any], ...]


class PackPhysics:
    """The physics of a pack on one grid.

    Parameters
    ----------
    model : CellModel or EquivalentCircuitModel
        The cell type.
    network : PackNetwork
        Circuit and heat paths.
    grid : Grid
        How cells lie in memory.
    options : EngineOptions
        Numerics and further physics.
    cells : CellPopulation
        How the cells differ.

    Raises
    ------
    ModelError, SettingsError
        If model, network and options do not fit.
    """

    def __init__(
        self,
        model: CellModel | EquivalentCircuitModel,
        network: PackNetwork,
        grid: Grid,
        options: EngineOptions,
        cells: CellPopulation,
    ) -> None:
        import warp as wp

        if not np.isfinite(network.heat_capacity).all() or (network.heat_capacity <= 0.0).any():
            raise ModelError("the heat capacity of a cell is not positive", remedy="Correct the pack's cell")
        self.given_model = model
        if options.ageing is not None and isinstance(model, CellModel):
            model = couple_diffusion(model, options.ageing)
        self.model, self.network, self.grid, self.options = model, network, grid, options
        self.circuit = CircuitArrays(network, plant_tree(network.circuit, grid.padded), grid)
        self.heat = HeatArrays(network, grid, model.thermal, model.reference_temperature)
        self.constants = self._allocate_constants(cells)
        self.groups = GroupConstants(**{name: GroupField(grid) for name in GroupConstants.__dataclass_fields__})
        self.groups.rail.write(network.circuit.rail_resistance)
        self.groups.inverse_capacity.write(self.inverse_capacity())
        self.cells = _choose_cells(model, grid, options)
        self.ageing, self.abuse, self.mechanics = self._further_physics(model, options)
        no_gradient = replace(grid, gradient=False)
        self.energy = CellField(no_gradient, rows=len(ENERGY_ROWS))
        self.drive: Any = wp.zeros((2, self.circuit.n_packs), dtype=wp.float64, device=grid.device)

    def cell_id(self, cell: int) -> str:
        """Return the name of a cell."""
        if self.network.cell_ids:
            return self.network.cell_ids[cell]
        group, position = divmod(cell, self.grid.parallel)
        return f"cell {position + 1} of group {group + 1}"

    def group_id(self, group: int) -> str:
        """Return the name of a group."""
        ids = self.network.circuit.group_ids
        return ids[group] if ids else f"group {group + 1}"

    def lithium(self, state: PackState) -> tuple[Array, ...]:
        """Return the stocks that flows of charge change [A.s]: of both electrodes, or all lithium of ageing cells.

        Cells stand as they lie in memory, each stock of shape (places,).
        """
        model, scale = self.model, self.constants.capacity_scale.laid()
        if isinstance(model, EquivalentCircuitModel):
            return (state.profiles.charge.laid() * model.capacity * SECONDS_PER_HOUR * scale,)
        negative = state.profiles.mean_negative.laid() * electrode_charge(model, "negative") * scale
        positive = state.profiles.mean_positive.laid() * electrode_charge(model, "positive") * scale
        if not (self.ageing and state.ageing):
            return negative, positive
        aged = AgeingState.of(state.ageing.laid())
        lost = lithium_loss(self.ageing.model, model, aged, scale).total * SECONDS_PER_HOUR
        return (negative * aged.active_negative + positive * aged.active_positive + lost,)

    def lithium_flows(self, charge: Array, side_charge: Array) -> tuple[Array, ...]:
        """Return what charges through the cells change in :meth:`lithium` [A.s]."""
        if isinstance(self.model, EquivalentCircuitModel):
            return (-charge,)
        if self.ageing:
            return (np.zeros(charge.shape),)
        return -charge - side_charge, charge

    def inverse_capacity(self) -> Array:
        """Return one over the capacity of the smallest cell of each group [1/A.h]: what currents are measured by."""
        scale = self.constants.capacity_scale.read().reshape(self.grid.n_groups, -1)
        return 1.0 / (self.model.capacity * scale.min(axis=1))

    def state(self) -> PackState:
        """Return the arrays of one state."""
        common = allocate_cells(
            CellState,
            self.grid,
            fill={
                **dict.fromkeys(_TEMPERATURES, 298.15),
                **dict.fromkeys(("contact_factor", "active_negative", "active_positive"), 1.0),
            },
        )
        if self.mechanics and not self.grid.gradient:
            common = replace(common, contact_factor=self.mechanics.contact_factor)
        return PackState(
            common=common,
            profiles=self.cells.state(),
            ageing=self.ageing.state(self.constants.capacity_scale.read()) if self.ageing else None,
            reactants=self.abuse.state() if self.abuse else None,
        )

    def next_in_place(self, state: PackState) -> PackState:
        """Return a state that shares all arrays with another, but for its temperatures."""
        own = {name: CellField(self.grid, fill=298.15) for name in _TEMPERATURES}
        return replace(state, common=replace(state.common, **own))

    def step_arrays(self, before: PackState, after: PackState, *, attempts: int, parts: int) -> StepArrays:
        """Return the arrays of a step that keeps everything it passes through, for differentiating it."""
        grid = self.grid
        aged = before.common
        if self.ageing:
            aged = replace(aged, **{name: CellField(grid) for name in _AGED})
        tries = []
        for index in range(attempts):
            solved = after.common
            if index < attempts - 1:
                own = {name: CellField(grid) for name in ("current", "branch_current", "voltage")}
                solved = replace(after.common, **own)
            tries.append(Attempt(tangents=allocate_cells(CircuitWork, grid), nodes=self.circuit.nodes(), solved=solved))
        between = tuple(
            replace(after.common, **{name: CellField(grid) for name in _TEMPERATURES}) for _ in range(parts - 1)
        )
        return StepArrays(
            before=before,
            after=after,
            aged=aged,
            work=self.cells.work(),
            attempts=tuple(tries),
            between=between,
            stream=tuple(self.heat.stream() for _ in range(parts)),
        )

    def launch_beginning(self, launcher: Launcher, step: float, arrays: StepArrays, row: int = 0) -> None:
        """Launch ageing, the elimination of the profiles, and the first solution of the circuit."""
        before, aged = arrays.before, arrays.aged
        if self.ageing and before.ageing and arrays.after.ageing:
            profiles = before.profiles
            self.ageing.launch(
                launcher,
                step,
                self.constants.capacity_scale,
                before.common.temperature,
                before.common.current,
                profiles.potential_negative,
                profiles.surface_negative,
                profiles.surface_positive,
                profiles.mean_negative,
                profiles.mean_positive,
                profiles.salt,
                before.ageing,
                arrays.after.ageing,
                *(getattr(aged, name) for name in _AGED),
            )
        first = arrays.attempts[0]
        guess = before.common.current
        self.cells.begin(launcher, step, before.profiles, aged, self.constants, arrays.work, first.tangents, guess)
        self._solve(launcher, first, guess, row)

    def launch_attempt(self, launcher: Launcher, arrays: StepArrays, index: int, row: int = 0) -> None:
        """Launch another solution of the circuit, with tangents at the currents of the one before."""
        earlier, attempt = arrays.attempts[index - 1], arrays.attempts[index]
        guess = earlier.solved.current
        self.cells.linearise(launcher, arrays.aged, self.constants, arrays.work, attempt.tangents, guess)
        self._solve(launcher, attempt, guess, row)

    def launch_end(self, launcher: Launcher, step: float, arrays: StepArrays, parts: int) -> None:
        """Launch the profiles at the end of the step, runaway, mechanics, and the exchange of heat in parts."""
        before, after, solved = arrays.before, arrays.after, arrays.attempts[-1].solved
        if len(arrays.between) == parts - 1:
            places = (before.common, *arrays.between, after.common)
        else:  # parts of a step alternate between its two ends; their number is odd
            places = tuple(before.common if part % 2 == 0 else after.common for part in range(parts + 1))
        streams = [arrays.stream[min(part, len(arrays.stream) - 1)] for part in range(parts)]
        pass_coolant(launcher, self.heat, places[0], streams[0])  # first, so that all of a cell's kernels go together
        self.cells.finish(
            launcher, step, before.profiles, arrays.aged, self.constants, arrays.work, solved, after.profiles
        )
        if self.abuse and before.reactants and after.reactants:
            charge = self.cells.charge(after.profiles, solved)
            acting = replace(arrays.aged, heat=solved.heat, abuse_heat=solved.abuse_heat)
            self.abuse.launch(launcher, step, acting, self.constants, charge, before.reactants, after.reactants)
        heating = replace(solved, side_current=arrays.aged.side_current)
        if self.mechanics:
            film = before.ageing.bundles[0] if before.ageing else self._no_film.bundles
            negative, positive = after.profiles.mean_negative, after.profiles.mean_positive
            self.mechanics.launch(launcher, negative.bundles, positive.bundles, before.common.temperature.bundles, film)
        for part in range(parts):
            if part:
                pass_coolant(launcher, self.heat, places[part], streams[part])
            exchange_heat(
                launcher,
                self.heat,
                step / parts,
                places[part],
                self.constants,
                heating,
                self.energy,
                streams[part],
                places[part + 1],
            )

    def _solve(self, launcher: Launcher, attempt: Attempt, guess: CellField, row: int) -> None:
        solve_circuit(
            launcher,
            self.circuit,
            self.constants,
            self.groups,
            attempt.tangents,
            attempt.nodes,
            self.drive,
            row,
            guess,
            attempt.solved,
        )

    def _allocate_constants(self, population: CellPopulation) -> CellConstants:
        network = self.network
        one = ("capacity_scale", "diffusivity_scale", "heat_capacity", "connection")
        constants = allocate_cells(CellConstants, self.grid, fill=dict.fromkeys(one, 1.0))
        for name in ("capacity_scale", "diffusivity_scale", "resistance"):
            getattr(constants, name).write(getattr(population, name))
        constants.connection.write(network.circuit.connection_resistance)
        constants.connected.write(1.0)
        constants.heat_capacity.write(network.heat_capacity)
        constants.core_conductance.write(self.model.thermal.core_conductance)
        return constants

    def _further_physics(
        self, model: CellModel | EquivalentCircuitModel, options: EngineOptions
    ) -> tuple[CellAgeing | None, CellAbuse | None, CellMechanics | None]:
        if isinstance(model, EquivalentCircuitModel) and (options.ageing or options.mechanics):
            raise SettingsError(
                "ageing and mechanics need the electrodes of a cell, which an equivalent circuit has not",
                remedy="Choose a physical parameter set, or leave out ageing and mechanics",
            )
        ageing = mechanics = abuse = None
        full, empty = model.charge_range
        if options.ageing is not None and isinstance(model, CellModel):
            negative_nodes = (options.volumes or options.salt_nodes)[0]
            ageing = CellAgeing(options.ageing, model, self.grid, negative_nodes=negative_nodes)
        if options.abuse is not None:
            abuse = CellAbuse(
                options.abuse,
                self.grid,
                full_stoichiometry=full,
                empty_stoichiometry=empty,
                surface_share=model.thermal.surface_share,
            )
        if options.mechanics is not None:
            new_film = options.ageing.sei.initial_thickness if options.ageing is not None else 0.0
            mechanics = CellMechanics(options.mechanics, self.grid, new_film=new_film)
            self._no_film = CellField(self.grid)
        return ageing, abuse, mechanics


def electrode_charge(model: CellModel, side: str) -> float:
    """Return the charge that fills an electrode of the new cell from empty to full [A.s]."""
    electrode: ElectrodeModel = getattr(model, side)
    volume = model.electrode_area * electrode.thickness * electrode.active_fraction
    return FARADAY * electrode.maximum_concentration * volume


def _choose_cells(
    model: CellModel | EquivalentCircuitModel, grid: Grid, options: EngineOptions
) -> SingleParticleCells | PorousElectrodeCells | EquivalentCircuitCells:
    if isinstance(model, EquivalentCircuitModel):
        return EquivalentCircuitCells(model, grid)
    if options.volumes is not None:
        return PorousElectrodeCells(
            model, grid, shells=options.shells, volumes=options.volumes, heat_of_mixing=options.heat_of_mixing
        )
    return SingleParticleCells(
        model,
        grid,
        shells=options.shells,
        salt_nodes=options.salt_nodes,
        heat_of_mixing=options.heat_of_mixing,
    )
