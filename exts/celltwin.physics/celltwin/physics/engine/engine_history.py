"""What a pack did over some time, as the engine keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, freeze

__all__ = ["EngineHistory", "join_histories"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineHistory:
    """Samples at the ends of time steps; cells in pack order.

    Attributes
    ----------
    time : ndarray of shape (n_samples,)
        [s since the start of the engine].
    pack_current, pack_voltage : ndarray of shape (n_samples, n_packs)
        At the terminals [A, positive on discharge; V].
    limited : ndarray of int, shape (n_samples, n_packs)
        1 + the group whose voltage limit held the current back; 0 where none did.
    group_voltage : ndarray of shape (n_samples, n_groups)
        Across the group's ends [V].
    cell_current, cell_voltage : ndarray of shape (n_samples, n_cells)
        Through the cell and at its own ends [A, V].
    cell_temperature, cell_surface_temperature : ndarray of shape (n_samples, n_cells)
        Mean and surface [K].
    cell_soc : ndarray of shape (n_samples, n_cells)
        State of charge [-].
    coolant_temperature : ndarray of shape (n_samples, n_channels)
        At the end of each channel [K].
    extra : dict of ndarray
        What other models leave, by name, each of shape (n_samples, n_cells).
    """

    time: Array
    pack_current: Array
    pack_voltage: Array
    limited: NDArray[np.int32]
    group_voltage: Array
    cell_current: Array
    cell_voltage: Array
    cell_temperature: Array
    cell_surface_temperature: Array
    cell_soc: Array
    coolant_temperature: Array
    extra: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, entry.name, freeze(value))


def join_histories(parts: list[EngineHistory]) -> EngineHistory:
    """Return histories that follow each other as one."""
    joined = {
        entry.name: np.concatenate([getattr(part, entry.name) for part in parts])
        for entry in fields(EngineHistory)
        if entry.name != "extra"
    }
    extra = {name: np.concatenate([part.extra[name] for part in parts]) for name in parts[0].extra}
    return EngineHistory(**joined, extra=extra)
