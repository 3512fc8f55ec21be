"""The circuit's tree as the kernels read it: nodes of a pack side by side, switches folded in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .pack_network import PARALLEL, SERIES, Circuit

__all__ = ["CircuitTree", "plant_tree"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CircuitTree:
    """Nodes in the order of the kernels: groups, groups that fill up, then the inner nodes of pack after pack.

    Attributes
    ----------
    place : ndarray of int, shape (n_nodes,)
        Place of each node of the circuit.
    first, roots : ndarray of int, shape (n_packs,)
        Places of the lowest inner node and of the root of each pack.
    kind, link : ndarray of shape (n_places,)
        Kind, and resistance in series [ohm], of each place.
    child_start, children : ndarray of int
        Children of each place.
    group_start : ndarray of int, shape (n_packs + 1,)
        Groups of each pack.
    circuit : Circuit
        What it was made from.
    """

    place: NDArray[np.int32]
    first: NDArray[np.int32]
    roots: NDArray[np.int32]
    kind: NDArray[np.int32]
    link: Array
    child_start: NDArray[np.int32]
    children: NDArray[np.int32]
    group_start: NDArray[np.int32]
    circuit: Circuit

    @property
    def size(self) -> int:
        """Number of places."""
        return int(self.kind.size)

    def connections(self, switches: NDArray[np.bool_], carrying: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return whether each place can carry current.

        Parameters
        ----------
        switches : ndarray of bool, shape (n_nodes,)
            Whether the contactor of each node of the circuit is closed.
        carrying : ndarray of bool, shape (n_groups,)
            Whether each group has a connected cell or a bypass.
        """
        circuit = self.circuit
        able = np.array(switches, dtype=bool)
        able[: circuit.n_groups] &= carrying
        for node in range(circuit.n_groups, circuit.n_nodes):
            below = able[circuit.children[circuit.child_start[node] : circuit.child_start[node + 1]]]
            able[node] &= below.any() if circuit.kind[node] == PARALLEL else below.all()
        placed = np.ones(self.size, dtype=bool)
        placed[self.place] = able
        for root, own in zip(self.roots, circuit.roots, strict=True):
            placed[root] = able[own]  # a pack of one group has a root of its own
        return placed


def plant_tree(circuit: Circuit, padded: int) -> CircuitTree:
    """Return the tree of a circuit for groups filled up to ``padded``.

    Parameters
    ----------
    circuit : Circuit
        The circuit; the groups of a pack must stand side by side.
    padded : int
        Groups, filled up to whole bundles.
    """
    place = np.full(circuit.n_nodes, -1, dtype=np.int32)
    place[: circuit.n_groups] = np.arange(circuit.n_groups)
    first, roots, order, group_start = [], [], [], [0]
    free = padded
    for root in circuit.roots:
        inner, groups = _inner_nodes(circuit, int(root))
        first.append(free)
        if not inner:
            inner = [int(root)]  # one group alone: a series node above it
        for node in inner:
            order.append(node)
            if node >= circuit.n_groups:
                place[node] = free
            free += 1
        roots.append(free - 1)
        group_start.append(group_start[-1] + groups)
    kind = np.full(free, SERIES, dtype=np.int32)
    link = np.zeros(free)
    counts = np.zeros(free, dtype=np.int64)
    children: list[int] = []
    for at, node in enumerate(order, start=padded):
        if node < circuit.n_groups:
            below = [node]
        else:
            kind[at] = circuit.kind[node]
            below = [
                int(child) for child in circuit.children[circuit.child_start[node] : circuit.child_start[node + 1]]
            ]
            link[at] = circuit.link_resistance[node]
        counts[at] = len(below)
        children.extend(int(place[child]) for child in below)
    return CircuitTree(
        place=place,
        first=np.array(first, dtype=np.int32),
        roots=np.array(roots, dtype=np.int32),
        kind=kind,
        link=link,
        child_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        children=np.array(children, dtype=np.int32),
        group_start=np.array(group_start, dtype=np.int32),
        circuit=circuit,
    )


def _inner_nodes(circuit: Circuit, root: int) -> tuple[list[int], int]:
    """Return the inner nodes below and at a root, children first, and the number of groups."""
    stack, seen, groups = [root], [], 0
    while stack:
        node = stack.pop()
        if node < circuit.n_groups:
            groups += 1
            continue
        seen.append(node)
        stack.extend(
            int(child) for child in circuit.children[circuit.child_start[node] : circuit.child_start[node + 1]]
        )
    return sorted(seen), groups
