"""From the declaration of a pack to the arrays that the engine solves on, and packs of packs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Level, ModelError, PackSpec, lay_out

from .busbar_materials import find_conductor
from .heat_paths import build_heat_paths
from .pack_network import PARALLEL, SERIES, Circuit, HeatPaths, PackNetwork

__all__ = ["build_network", "combine_networks", "repeat_network"]


def build_network(spec: PackSpec, *, copies: int = 1) -> PackNetwork:
    r"""Return the circuit and the heat paths of a pack.

    The groups of a module are in series, the modules of a string too, and the strings in parallel: a tree whose
    nodes are the groups, then the modules, then the strings, then the pack where there is more than one string. A
    string of n groups has n - 1 links. Along rails, the busbar between neighbouring positions of a group has

    .. math:: R = \rho\, \frac{\bar d}{w t}

    with the mean distance :math:`\bar d` from each position to the next.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    copies : int
        Number of such packs side by side, each by itself.

    Raises
    ------
    SpecError
        If the busbar's material is unknown.
    ModelError
        If ``copies`` is below 1.
    """
    n_modules, n_strings, n_groups = spec.n_modules, spec.strings, spec.n_groups
    in_string = n_modules // n_strings
    upper = n_modules + n_strings + (1 if n_strings > 1 else 0)
    kind = np.full(n_groups + upper, SERIES, dtype=np.int8)
    link = np.zeros(n_groups + upper)
    modules = n_groups + np.arange(n_modules)
    strings = n_groups + n_modules + np.arange(n_strings)
    link[modules] = (spec.series - 1) * spec.busbar.link_resistance
    link[strings] = (in_string - 1) * spec.busbar.link_resistance + spec.busbar.string_resistance
    counts = np.zeros(n_groups + upper, dtype=np.int64)
    counts[modules], counts[strings] = spec.series, in_string
    children = [np.arange(n_groups), modules]
    node_ids = [module.id for module in spec.modules]
    if n_strings > 1:
        kind[-1], counts[-1] = PARALLEL, n_strings
        children.append(strings)
        node_ids += [f"S{string + 1:02d}" for string in range(n_strings)]
    circuit = Circuit(
        n_groups=n_groups,
        parallel=spec.parallel,
        connection_resistance=np.full(spec.n_cells, spec.busbar.weld_resistance),
        rail_resistance=np.full(n_groups, _rail_resistance(spec)),
        opposite_feed=spec.busbar.feed == "opposite",
        kind=kind,
        child_start=_starts(counts),
        children=np.concatenate(children).astype(np.int32),
        link_resistance=link,
        roots=np.array([kind.size - 1], dtype=np.int32),
        group_ids=spec.element_ids(Level.GROUP),
        node_ids=(*node_ids, spec.name),
    )
    network = PackNetwork(
        circuit=circuit,
        heat=build_heat_paths(spec),
        heat_capacity=np.full(spec.n_cells, spec.cell.mass * spec.cell.heat_capacity),
        cell_ids=spec.element_ids(Level.CELL),
    )
    return repeat_network(network, copies)


def repeat_network(network: PackNetwork, copies: int) -> PackNetwork:
    """Return as many networks side by side, each by itself; the copies have no names.

    Parameters
    ----------
    network : PackNetwork
        Any network.
    copies : int
        How many.

    Raises
    ------
    ModelError
        If ``copies`` is below 1.
    """
    if copies < 1:
        raise ModelError(f"copies = {copies} of a pack are none", remedy="Give at least 1")
    if copies == 1:
        return network
    one, n_groups, n_nodes = network.circuit, network.circuit.n_groups, network.circuit.n_nodes
    # Groups of all copies come first, then the other nodes of all copies.
    place = _Renumbering(n_groups, n_nodes, copies)
    group_counts = np.zeros(copies * n_groups, dtype=np.int64)
    circuit = Circuit(
        n_groups=copies * n_groups,
        parallel=one.parallel,
        connection_resistance=np.tile(one.connection_resistance, copies),
        rail_resistance=np.tile(one.rail_resistance, copies),
        opposite_feed=one.opposite_feed,
        kind=place.nodes(one.kind),
        child_start=_starts(np.concatenate([group_counts, np.tile(np.diff(one.child_start)[n_groups:], copies)])),
        children=np.concatenate([place.of(one.children, copy) for copy in range(copies)]),
        link_resistance=place.nodes(one.link_resistance),
        roots=np.concatenate([place.of(one.roots, copy) for copy in range(copies)]),
    )
    return PackNetwork(
        circuit=circuit,
        heat=_stack_heat([network.heat] * copies),
        heat_capacity=np.tile(network.heat_capacity, copies),
    )


def combine_networks(networks: Sequence[PackNetwork], *, kind: Literal["series", "parallel"]) -> PackNetwork:
    """Return one larger pack of whole packs joined in series or in parallel; packs of packs at any depth.

    Parameters
    ----------
    networks : sequence of PackNetwork
        Each one pack; all with as many cells in a group and busbars fed alike. Their coolants keep their channels.
    kind : {"series", "parallel"}
        How they are joined.

    Raises
    ------
    ModelError
        If there are none, one is a batch of packs, or they do not go together.
    """
    if kind not in ("series", "parallel"):
        raise ModelError(f"kind = {kind!r} is neither series nor parallel", remedy="Give one of the two")
    if not networks:
        raise ModelError("there is no network to combine", remedy="Give at least one")
    circuits = [network.circuit for network in networks]
    _require_alike(networks)
    n_groups = sum(circuit.n_groups for circuit in circuits)
    first_group = np.cumsum([0, *(circuit.n_groups for circuit in circuits)])
    first_node = n_groups + np.cumsum([0, *(circuit.n_nodes - circuit.n_groups for circuit in circuits)])

    def moved(nodes: NDArray[np.int32], index: int) -> NDArray[np.int32]:
        groups = circuits[index].n_groups
        new = np.where(nodes < groups, nodes + first_group[index], nodes - groups + first_node[index])
        return np.asarray(new, dtype=np.int32)

    counts = [np.diff(circuit.child_start)[circuit.n_groups :] for circuit in circuits]
    roots = np.concatenate([moved(circuit.roots, index) for index, circuit in enumerate(circuits)])

    def joined[T: np.generic](parts: list[NDArray[T]], last: float) -> NDArray[T]:
        groups = [part[: circuit.n_groups] for part, circuit in zip(parts, circuits, strict=True)]
        others = [part[circuit.n_groups :] for part, circuit in zip(parts, circuits, strict=True)]
        return np.concatenate([*groups, *others, np.array([last], dtype=parts[0].dtype)])

    circuit = Circuit(
        n_groups=n_groups,
        parallel=circuits[0].parallel,
        connection_resistance=np.concatenate([circuit.connection_resistance for circuit in circuits]),
        rail_resistance=np.concatenate([circuit.rail_resistance for circuit in circuits]),
        opposite_feed=circuits[0].opposite_feed,
        kind=joined([circuit.kind for circuit in circuits], SERIES if kind == "series" else PARALLEL),
        child_start=_starts(np.concatenate([np.zeros(n_groups, dtype=np.int64), *counts, [len(networks)]])),
        children=np.concatenate([*(moved(c.children, index) for index, c in enumerate(circuits)), roots]),
        link_resistance=joined([circuit.link_resistance for circuit in circuits], 0.0),
        roots=np.array([first_node[-1]], dtype=np.int32),
        group_ids=_name([circuit.group_ids for circuit in circuits], [c.n_groups for c in circuits], "G"),
        node_ids=(
            *_name([circuit.node_ids for circuit in circuits], [c.n_nodes - c.n_groups for c in circuits], "N"),
            kind,
        ),
    )
    return PackNetwork(
        circuit=circuit,
        heat=_stack_heat([network.heat for network in networks]),
        heat_capacity=np.concatenate([network.heat_capacity for network in networks]),
        cell_ids=_name([network.cell_ids for network in networks], [c.n_cells for c in circuits], "C"),
    )


class _Renumbering:
    """Where the nodes of one network go among those of its copies."""

    def __init__(self, n_groups: int, n_nodes: int, copies: int) -> None:
        self._groups, self._others, self._copies = n_groups, n_nodes - n_groups, copies

    def of(self, nodes: NDArray[np.int32], copy: int) -> NDArray[np.int32]:
        others = nodes - self._groups + self._copies * self._groups + copy * self._others
        return np.where(nodes < self._groups, nodes + copy * self._groups, others).astype(np.int32)

    def nodes[T: np.generic](self, values: NDArray[T]) -> NDArray[T]:
        groups, others = values[: self._groups], values[self._groups :]
        return np.concatenate([np.tile(groups, self._copies), np.tile(others, self._copies)])


def _rail_resistance(spec: PackSpec) -> float:
    if spec.busbar.feed == "plate" or spec.parallel == 1:
        return 0.0
    cells = lay_out(spec).cells_in_module.reshape(spec.series, spec.parallel, 3)
    distance = float(np.linalg.norm(np.diff(cells, axis=1), axis=2).mean())
    section = spec.busbar.width * spec.busbar.thickness
    return find_conductor(spec.busbar.material).resistivity * distance / section


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _stack_heat(parts: Sequence[HeatPaths]) -> HeatPaths:
    rows = max(part.neighbours.shape[0] for part in parts)
    cells = np.cumsum([0, *(part.segment.size for part in parts)])
    segments = np.cumsum([0, *(int(part.segment_start[-1]) for part in parts)])
    neighbours, conductance = [], []
    for part, first in zip(parts, cells, strict=False):
        missing = rows - part.neighbours.shape[0]
        own = np.tile(np.arange(part.segment.size, dtype=np.int32), (missing, 1))
        neighbours.append(np.concatenate([part.neighbours, own]) + np.int32(first))
        conductance.append(np.concatenate([part.conductance, np.zeros(own.shape)]))
    starts = [part.segment_start[:-1] + first for part, first in zip(parts, segments, strict=False)]
    return HeatPaths(
        neighbours=np.concatenate(neighbours, axis=1),
        conductance=np.concatenate(conductance, axis=1),
        ambient_conductance=np.concatenate([part.ambient_conductance for part in parts]),
        coolant_conductance=np.concatenate([part.coolant_conductance for part in parts]),
        segment=np.concatenate([part.segment + first for part, first in zip(parts, segments, strict=False)]).astype(
            np.int32
        ),
        segment_start=np.concatenate([*starts, segments[-1:]]).astype(np.int32),
        design_flow=np.concatenate([part.design_flow for part in parts]),
        coolant_heat_capacity=parts[0].coolant_heat_capacity,
        inlet_temperature=np.concatenate([part.inlet_temperature for part in parts]),
        ambient_temperature=parts[0].ambient_temperature,
    )


def _name(names: Sequence[tuple[str, ...]], sizes: Sequence[int], letter: str) -> tuple[str, ...]:
    """Return the names of all parts under P1, P2 and so on; numbers where a part has no names."""
    return tuple(
        f"P{part + 1}.{name}"
        for part, (own, size) in enumerate(zip(names, sizes, strict=True))
        for name in (own or (f"{letter}{index + 1}" for index in range(size)))
    )


def _require_alike(networks: Sequence[PackNetwork]) -> None:
    first = networks[0]
    for index, network in enumerate(networks):
        circuit, heat = network.circuit, network.heat
        if circuit.roots.size != 1:
            raise ModelError(
                f"network {index} holds {circuit.roots.size} packs",
                remedy="Combine networks of one pack each, and repeat the whole with repeat_network",
            )
        for what, own, other in (
            ("cells in a group", circuit.parallel, first.circuit.parallel),
            ("opposite_feed", circuit.opposite_feed, first.circuit.opposite_feed),
            ("coolant_heat_capacity", heat.coolant_heat_capacity, first.heat.coolant_heat_capacity),
            ("ambient_temperature", heat.ambient_temperature, first.heat.ambient_temperature),
        ):
            if own != other:
                raise ModelError(
                    f"network {index} has {what} = {own}, network 0 has {other}",
                    remedy="Combine packs that agree in it",
                )
