"""The circuit on the device, and the launches that solve it."""

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

__all__ = ["CircuitArrays", "NodeArrays", "solve_circuit"]


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
