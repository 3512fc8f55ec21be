"""The circuit and the heat paths of a pack, as arrays: what the engine solves on.

All cell arrays are in pack order: ``[group, parallel position]``, groups in the order of the pack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError, freeze

__all__ = ["PARALLEL", "SERIES", "Circuit", "HeatPaths", "PackNetwork"]

SERIES, PARALLEL = 0, 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Circuit:
    """Groups of parallel cells, and the series and parallel nodes above them.

    The nodes form one tree a pack. Node i < n_groups is group i; every other node joins its children in series or in
    parallel and comes after them. The last node of a pack is its root, whose ends are the pack's terminals.

    Attributes
    ----------
    n_groups, parallel : int
        Groups, and cells in each.
    connection_resistance : ndarray of shape (n_cells,)
        Weld and contact from the cell to its busbar, both ends together [ohm].
    rail_resistance : ndarray of shape (n_groups,)
        Of one segment of the busbar between neighbouring parallel positions, for each of the two rails [ohm]; 0 where
        the current leaves every cell straight to the next group, as on a plate.
    opposite_feed : bool
        Whether current enters a group at its first position and leaves at its last, or enters and leaves at the first.
    kind : ndarray of int8, shape (n_nodes,)
        ``SERIES`` or ``PARALLEL``; of no meaning for groups.
    child_start : ndarray of int32, shape (n_nodes + 1,)
        Where each node's children start in ``children``; groups have none.
    children : ndarray of int32, shape (n_nodes - n_packs,)
        Nodes.
    link_resistance : ndarray of shape (n_nodes,)
        In series with the whole node: links of a series node summed, cable of a string [ohm].
    roots : ndarray of int32, shape (n_packs,)
        Node of each pack.
    group_ids : tuple of str
        Names of the groups, for messages.
    node_ids : tuple of str
        Names of the nodes above the groups, such as modules, strings and the pack; empty: numbers.
    """

    n_groups: int
    parallel: int
    connection_resistance: Array
    rail_resistance: Array
    opposite_feed: bool
    kind: NDArray[np.int8]
    child_start: NDArray[np.int32]
    children: NDArray[np.int32]
    link_resistance: Array
    roots: NDArray[np.int32]
    group_ids: tuple[str, ...] = ()
    node_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the tree and make the arrays read-only."""
        if self.n_groups < 1 or self.parallel < 1:
            raise ModelError(
                f"a circuit of {self.n_groups} groups of {self.parallel} cells has an empty group",
                remedy="Give every series group at least one cell",
            )
        n_nodes = self.kind.size
        counts = np.diff(self.child_start)
        empty = np.flatnonzero(counts[self.n_groups :] == 0)
        if empty.size:
            raise ModelError(
                f"node {self.n_groups + int(empty[0])} of the circuit joins nothing",
                remedy="Give every series or parallel connection at least one child",
            )
        parents = np.repeat(np.arange(n_nodes), counts)
        seen = np.bincount(self.children, minlength=n_nodes)
        seen[self.roots] += 1
        if np.any(self.children >= parents) or np.any(seen != 1):
            raise ModelError(
                "the circuit is not a tree with children before their parents",
                remedy="Build it with celltwin.physics.engine.build_network",
            )
        for name in ("connection_resistance", "rail_resistance", "link_resistance"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.isfinite(values).all() or (values < 0.0).any():
                raise ModelError(f"{name} must be finite and not negative", remedy="Correct the pack's busbar")
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.n_groups * self.parallel

    @property
    def n_nodes(self) -> int:
        """Number of nodes, groups included."""
        return int(self.kind.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatPaths:
    r"""Between the surfaces of cells, and from them to coolant and ambient.

    The coolant of a channel passes its segments in their order. It leaves a segment as

    .. math:: T' = \bar T + (T - \bar T)\, e^{-G / (\dot m c)}

    with the mean surface temperature of the segment's cells, weighted by conductance, and their total conductance.

    Attributes
    ----------
    neighbours : ndarray of int32, shape (n_neighbours, n_cells)
        Cells that each cell conducts to; its own index where it has fewer.
    conductance : ndarray of shape (n_neighbours, n_cells)
        To each of them, symmetric [W/K]; 0 where there is none.
    ambient_conductance : ndarray of shape (n_cells,)
        From the surface to the ambient [W/K].
    coolant_conductance : ndarray of shape (n_cells,)
        From the surface to the coolant at the design flow [W/K].
    segment : ndarray of int32, shape (n_cells,)
        Segment of a coolant channel that each cell sits on.
    segment_start : ndarray of int32, shape (n_channels + 1,)
        Where the segments of each channel start; segments are numbered channel by channel, along the flow.
    design_flow : ndarray of shape (n_channels,)
        Mass flow that ``coolant_conductance`` holds for [kg/s]; 0 for a pack without coolant.
    coolant_heat_capacity : float
        [J/(kg.K)].
    inlet_temperature : ndarray of shape (n_channels,)
        [K].
    ambient_temperature : float
        [K].
    """

    neighbours: NDArray[np.int32]
    conductance: Array
    ambient_conductance: Array
    coolant_conductance: Array
    segment: NDArray[np.int32]
    segment_start: NDArray[np.int32]
    design_flow: Array
    coolant_heat_capacity: float
    inlet_temperature: Array
    ambient_temperature: float

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))


@dataclass(frozen=True, kw_only=True, eq=False)
class PackNetwork:
    """Circuit and heat paths of one pack, or of many packs side by side.

    Attributes
    ----------
    circuit : Circuit
        The circuit.
    heat : HeatPaths
        The heat paths.
    heat_capacity : ndarray of shape (n_cells,)
        Of each cell with what clings to it [J/K].
    cell_ids : tuple of str
        Names of the cells, for messages; empty: numbers.
    """

    circuit: Circuit
    heat: HeatPaths
    heat_capacity: Array
    cell_ids: tuple[str, ...] = ()
