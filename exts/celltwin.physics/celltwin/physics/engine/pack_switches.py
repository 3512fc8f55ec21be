"""Contactors of a pack and the demand at its terminals: what is connected, and what is asked of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PlantError

from .engine_options import Drive, DriveKind
from .pack_physics import PackPhysics

__all__ = ["PackSwitches"]


class PackSwitches:
    """The contactors of a pack, all closed at first.

    Parameters
    ----------
    physics : PackPhysics
        The pack.
    """

    def __init__(self, physics: PackPhysics) -> None:
        self._physics = physics
        self.closed: NDArray[np.bool_] = np.ones(physics.network.circuit.n_nodes, dtype=bool)
        self.connect()

    def connect(self) -> None:
        """Tell the circuit what carries current now; to be called after any switch or bypass has changed."""
        circuit = self._physics.circuit
        able = circuit.tree.connections(self.closed, self._carrying())
        circuit.connected.assign(able.astype(np.float64))
        self._open = np.flatnonzero(~able[circuit.tree.roots])

    def set_drive(self, drive: Drive, table: Array) -> None:
        """Tell the circuit the kind and the limits of a drive.

        Parameters
        ----------
        drive : Drive
            The drive.
        table : ndarray of shape (n_steps, n_packs)
            Its values.

        Raises
        ------
        PlantError
            If a pack that is open is asked for current or power.
        """
        circuit = self._physics.circuit
        asked = np.flatnonzero(np.any(table != 0.0, axis=0))
        stuck = np.intersect1d(asked, self._open)
        if stuck.size and drive.kind is not DriveKind.VOLTAGE:
            raise PlantError(
                f"{self._open_reason(int(stuck[0]))}, but {drive.kind.value} is asked for",
                remedy="Close its contactors, give the group a bypass, or ask for none",
            )
        code = list(DriveKind).index(drive.kind)
        circuit.drive_kind.assign(np.full(circuit.n_packs, code, dtype=np.int32))
        low = -1e30 if drive.lowest_voltage is None else drive.lowest_voltage
        high = 1e30 if drive.highest_voltage is None else drive.highest_voltage
        circuit.limits.assign(np.tile([low, high], (circuit.n_packs, 1)))

    def set_demand(self, state: int, values: Array) -> None:
        """Set what is asked of each pack in the next step from a state, 0 or 1 [A | W | V]."""
        drive = self._physics.drive
        if drive.device.is_cpu:
            drive.numpy()[state] = values
        else:
            drive[state : state + 1].assign(values[np.newaxis])

    def _carrying(self) -> NDArray[np.bool_]:
        physics = self._physics
        linked = physics.constants.connected.read().reshape(physics.grid.n_groups, -1) > 0.0
        return linked.any(axis=1) | (physics.groups.bypass.read() > 0.0)

    def _open_reason(self, pack: int) -> str:
        start, end = self._physics.circuit.tree.group_start[pack : pack + 2]
        empty = np.flatnonzero(~self._carrying()[start:end])
        if empty.size:
            name = self._physics.group_id(int(start + empty[0]))
            return f"{name} has no connected cell and no bypass: pack {pack + 1} is open"
        return f"an open contactor opens pack {pack + 1}"
