"""What the faults of a scenario do to the cells and contactors of a simulated pack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    Array,
    InternalShort,
    OpenWeld,
    PackSpec,
    ScenarioFault,
    StuckContactor,
    WeakCell,
    find_cells,
    find_strings,
)

__all__ = ["FaultEffects", "fault_effects", "fault_times"]

_RAMP_STEPS = 20  # in which a growing short is followed
_INSTANT = 1e-6  # [s]


@dataclass(frozen=True, kw_only=True, eq=False)
class FaultEffects:
    """The sum of all faults at one moment.

    Attributes
    ----------
    short : ndarray of shape (n_cells,)
        Conductance of the short inside each cell [S].
    connected : ndarray of bool, shape (n_cells,)
        Whether each cell is joined to its busbar.
    capacity_factor : ndarray of shape (n_cells,)
        On the capacity [-].
    added_resistance : ndarray of shape (n_cells,)
        [ohm].
    closable : ndarray of bool, shape (n_strings,)
        Whether the contactor of each string can close.
    """

    short: Array
    connected: NDArray[np.bool_]
    capacity_factor: Array
    added_resistance: Array
    closable: NDArray[np.bool_]


def fault_effects(spec: PackSpec, faults: tuple[ScenarioFault, ...], time: float) -> FaultEffects:
    """Return what the faults do at a time of the run [s]; those of sensors and coolant do nothing here."""
    short, added = np.zeros(spec.n_cells), np.zeros(spec.n_cells)
    connected, factor = np.ones(spec.n_cells, dtype=bool), np.ones(spec.n_cells)
    closable = np.ones(spec.strings, dtype=bool)
    for fault in faults:
        strength = fault.strength(time)
        if strength <= 0.0:
            continue
        if isinstance(fault, InternalShort):
            short[find_cells(fault.target, spec)] += strength / fault.resistance
        elif isinstance(fault, OpenWeld):
            connected[find_cells(fault.target, spec)] = False
        elif isinstance(fault, WeakCell):
            cells = find_cells(fault.target, spec)
            factor[cells] *= fault.capacity
            added[cells] += (fault.resistance - 1.0) * spec.cell.resistance
        elif isinstance(fault, StuckContactor) and fault.position == "open":
            closable[find_strings(fault.target, spec)] = False
    return FaultEffects(
        short=short, connected=connected, capacity_factor=factor, added_resistance=added, closable=closable
    )


def fault_times(faults: tuple[ScenarioFault, ...], start: float, end: float) -> tuple[float, ...]:
    """Return the times strictly between two others [s] at which faults start, stop, or have grown by a step."""
    times: set[float] = set()
    for fault in faults:
        times.update(fault.changes)
        if isinstance(fault, InternalShort) and fault.ramp > 0.0:
            times.update(np.linspace(fault.at, fault.at + fault.ramp, _RAMP_STEPS + 1).tolist())
    return tuple(sorted(time for time in times if start + _INSTANT < time < end - _INSTANT))
