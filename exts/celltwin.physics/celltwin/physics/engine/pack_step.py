"""One step of a pack: the order of its launches, from one state to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cell_fields import CellConstants, CellState, CircuitWork, GroupConstants
from .circuit_kernels import CircuitKernels, make_circuit_kernels
from .circuit_tree import CircuitTree
from .fields import CellField, Grid, GroupField, alias
from .launching import Launcher
from .pack_network import PackNetwork
from .thermal_kernels import ThermalKernels, make_thermal_kernels

__all__ = ["CircuitArrays", "HeatArrays", "NodeArrays", "solve_circuit", "spread_heat"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeArrays:
    """What one solution of the circuit leaves of groups, nodes and packs; Warp arrays."""

    source: Any
    resistance: Any
    base: Any
    share: Any
    current: Any
    group_source: GroupField
    group_resistance: GroupField
    group_current: GroupField
    group_voltage: GroupField
    imbalance: GroupField
    pack_current: Any
    pack_voltage: Any
    limited: Any
    place: Any
    drawn: Any
    entry: Any


class CircuitArrays:
    """The circuit on the device: its tree, its drive and its limits.

    Parameters
    ----------
    network : PackNetwork
        The pack.
    tree : CircuitTree
        Its tree.
    grid : Grid
        How cells lie in memory.
    """

    def __init__(self, network: PackNetwork, tree: CircuitTree, grid: Grid) -> None:
        import warp as wp

        self.tree, self.grid = tree, grid
        self.kernels: CircuitKernels = make_circuit_kernels(grid.lanes)
        self.n_packs = tree.roots.size
        self.railed = bool(np.any(network.circuit.rail_resistance > 0.0))
        self.feed = 1.0 if network.circuit.opposite_feed else 2.0
        self.fixed = [
            wp.array(values, dtype=wp.int32, device=grid.device)
            for values in (tree.first, tree.roots, tree.kind, tree.child_start, tree.children, tree.group_start)
        ]
        self.link = wp.array(tree.link, dtype=wp.float64, device=grid.device)
        self.connected = wp.array(np.ones(tree.size), dtype=wp.float64, device=grid.device)
        self.drive_kind = wp.zeros(self.n_packs, dtype=wp.int32, device=grid.device)
        self.limits = wp.array(np.tile([-1e30, 1e30], (self.n_packs, 1)), dtype=wp.float64, device=grid.device)

    def nodes(self) -> NodeArrays:
        """Return the arrays of one solution."""
        import warp as wp

        grid, size = self.grid, self.tree.size

        def reals(*shape: int) -> Any:
            return wp.zeros(shape, dtype=wp.float64, device=grid.device, requires_grad=grid.gradient)

        source, resistance, base, share, current = (reals(size) for _ in range(5))

        def groups(whole: Any) -> GroupField:
            return GroupField(grid, within=alias(whole, wp.float64, (grid.padded,)))

        rails = (grid.parallel, grid.padded) if self.railed else (1, grid.lanes.width)
        rail_bundles = (rails[0], rails[1] // grid.lanes.width)
        return NodeArrays(
            source=source,
            resistance=resistance,
            base=base,
            share=share,
            current=current,
            group_source=groups(source),
            group_resistance=groups(resistance),
            group_current=groups(current),
            group_voltage=GroupField(grid),
            imbalance=GroupField(grid),
            pack_current=reals(self.n_packs),
            pack_voltage=reals(self.n_packs),
            limited=wp.zeros(self.n_packs, dtype=wp.int32, device=grid.device),
            place=alias(reals(3, *rails), grid.lanes.vector, (3, *rail_bundles)),
            drawn=alias(reals(3, *rails), grid.lanes.vector, (3, *rail_bundles)),
            entry=alias(reals(2, rails[1]), grid.lanes.vector, (2, rail_bundles[1])),
        )


def solve_circuit(
    launcher: Launcher,
    circuit: CircuitArrays,
    constants: CellConstants,
    groups: GroupConstants,
    work: CircuitWork,
    nodes: NodeArrays,
    drive: Any,
    row: int,
    guess: CellField,
    solved: CellState,
) -> None:
    """Launch one solution of the circuit with the tangents of ``work``: currents and voltages of all cells."""
    kernels, grid = circuit.kernels, circuit.grid
    tangents = [work.source.positions, work.conductance.positions]
    beside = [groups.bypass.bundles, groups.balancing.bundles]
    reduced = [nodes.group_source.bundles, nodes.group_resistance.bundles]
    if circuit.railed:
        launcher.launch(
            kernels.reduce_railed_groups,
            grid.group_bundles,
            [grid.parallel, circuit.feed, groups.rail.bundles, *tangents, *beside],
            [nodes.place, nodes.drawn, nodes.entry, *reduced],
        )
    else:
        launcher.launch(kernels.reduce_groups, grid.group_bundles, [grid.parallel, *tangents, *beside], reduced)
    launcher.launch(
        kernels.solve_tree,
        circuit.n_packs,
        [
            *circuit.fixed,
            circuit.link,
            circuit.connected,
            circuit.drive_kind,
            drive,
            row,
            circuit.limits,
        ],
        [
            nodes.source,
            nodes.resistance,
            nodes.base,
            nodes.share,
            nodes.current,
            nodes.pack_current,
            nodes.pack_voltage,
            nodes.limited,
        ],
    )
    rails = [nodes.place, nodes.entry] if circuit.railed else []
    launcher.launch(
        kernels.share_railed_current if circuit.railed else kernels.share_current,
        grid.group_bundles,
        [
            grid.parallel,
            work.source.positions,
            work.inner.positions,
            work.conductance.positions,
            constants.shunt.positions,
            *beside,
            *reduced,
            nodes.group_current.bundles,
            *rails,
            groups.inverse_capacity.bundles,
            guess.positions,
        ],
        [
            solved.branch_current.positions,
            solved.voltage.positions,
            solved.current.positions,
            alias(work.change.flat, grid.lanes.real, (grid.parallel, grid.group_bundles)),
            nodes.group_voltage.bundles,
            nodes.imbalance.bundles,
        ],
    )


class HeatArrays:
    """The heat paths on the device.

    Parameters
    ----------
    network : PackNetwork
        The pack.
    grid : Grid
        How cells lie in memory.
    surface_share : float
        Share of the heat capacity that the surface node has; 0 for cells of one temperature.
    """

    def __init__(self, network: PackNetwork, grid: Grid, surface_share: float) -> None:
        import warp as wp

        heat = network.heat
        self.grid, self.heat, self.surface_share = grid, heat, surface_share
        self.kernels: ThermalKernels = make_thermal_kernels(grid.lanes, two_nodes=surface_share > 0.0)
        size = grid.parallel * grid.padded
        places = grid.inside(np.arange(grid.n_cells))
        rows = heat.neighbours.shape[0]
        neighbours = np.tile(np.arange(size, dtype=np.int32), (rows, 1))
        neighbours[:, places] = grid.inside(heat.neighbours.reshape(-1)).reshape(rows, -1)
        segment = np.zeros(size, dtype=np.int32)
        segment[places] = heat.segment
        self.n_channels = heat.design_flow.size
        self.n_segments = max(1, int(heat.segment_start[-1]))
        order = np.argsort(heat.segment, kind="stable")
        members = places[order]
        starts = np.searchsorted(heat.segment[order], np.arange(self.n_segments + 1))

        def whole(values: Any) -> Any:
            return wp.array(np.ascontiguousarray(values, dtype=np.int32), dtype=wp.int32, device=grid.device)

        def reals(values: Any) -> Any:
            return wp.array(np.ascontiguousarray(values, dtype=np.float64), dtype=wp.float64, device=grid.device)

        self.rows = rows
        self.neighbours, self.segment = whole(neighbours), whole(segment)
        self.segment_start, self.member_start, self.members = whole(heat.segment_start), whole(starts), whole(members)
        self.conductance = CellField(grid, rows=rows)
        self.conductance.write(heat.conductance)
        self.coolant_conductance, self.ambient_conductance = CellField(grid), CellField(grid)
        self.coolant_conductance.write(heat.coolant_conductance)
        self.ambient_conductance.write(heat.ambient_conductance)
        self.capacity_flow = reals(heat.design_flow * heat.coolant_heat_capacity)
        self.film = reals((heat.design_flow > 0.0).astype(np.float64))
        self.inlet = reals(heat.inlet_temperature)
        self.ambient = reals([heat.ambient_temperature])

    def stream(self) -> tuple[Any, Any, Any]:
        """Return the arrays that a pass of the coolant leaves: leaving and mean temperature, share of the film."""
        import warp as wp

        grid = self.grid
        leaving, stream, share = (
            wp.zeros(self.n_segments, dtype=wp.float64, device=grid.device, requires_grad=grid.gradient)
            for _ in range(3)
        )
        return leaving, stream, share


def spread_heat(
    launcher: Launcher,
    heat: HeatArrays,
    step: float,
    before: CellState,
    constants: CellConstants,
    solved: CellState,
    energy: CellField,
    stream: tuple[Any, Any, Any],
    after: CellState,
) -> None:
    """Launch the exchange of heat over one step, or part of one."""
    grid = heat.grid
    launcher.launch(
        heat.kernels.pass_coolant,
        heat.n_channels,
        [
            heat.segment_start,
            heat.member_start,
            heat.members,
            heat.coolant_conductance.flat,
            before.surface_temperature.flat,
            heat.capacity_flow,
            heat.film,
            heat.inlet,
        ],
        list(stream),
    )
    launcher.launch(
        heat.kernels.exchange_heat,
        grid.bundles,
        [
            step,
            heat.rows,
            heat.neighbours,
            heat.conductance.bundles,
            heat.ambient_conductance.bundles,
            heat.coolant_conductance.bundles,
            heat.segment,
            stream[1],
            stream[2],
            heat.ambient,
            constants.heat_capacity.bundles,
            heat.surface_share,
            constants.core_conductance.bundles,
            solved.heat.bundles,
            solved.abuse_heat.bundles,
            solved.branch_current.bundles,
            solved.current.bundles,
            solved.side_current.bundles,
            solved.voltage.bundles,
            constants.connection.bundles,
            constants.bleed.bundles,
            before.surface_temperature.flat,
            before.surface_temperature.bundles,
            before.core_temperature.bundles,
        ],
        [
            energy.bundles,
            after.surface_temperature.bundles,
            after.core_temperature.bundles,
            after.temperature.bundles,
        ],
    )
