"""Voltage and current of every cell of a process image, from whatever level they are known at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, Level, PackSpec, PackState

__all__ = ["CellSamples", "sample_cells"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellSamples:
    """One sample of every cell; NaN where nothing usable is known.

    Attributes
    ----------
    time : ndarray of shape (n_cells,)
        When the voltage was true [s].
    voltage : ndarray of shape (n_cells,)
        Voltage [V].
    current : ndarray of shape (n_cells,)
        Current [A], positive on discharge.
    """

    time: Array
    voltage: Array
    current: Array


def sample_cells(state: PackState, spec: PackSpec) -> CellSamples:
    """Return the newest usable voltage and current of every cell.

    Current is taken from the cell if it is measured or estimated there, else from group, module or pack, divided
    by the parallel cells. The voltage is the cell's, else the group's.
    """
    voltage, time = np.full((2, spec.n_cells), np.nan)
    current = np.full(spec.n_cells, np.nan)
    for level in (Level.CELL, Level.GROUP):
        reading = state.best("voltage", level)
        if reading is not None:
            each = spec.n_cells // spec.size(level)
            found = np.repeat(np.where(reading.usable(), reading.values, np.nan), each)
            missing = np.isnan(voltage)
            time = np.where(missing, np.repeat(reading.time, each), time)
            voltage = np.where(missing, found, voltage)
    for level in (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK):
        reading = state.best("current", level)
        if reading is not None:
            share = {Level.CELL: 1, Level.PACK: spec.cells_in_parallel}.get(level, spec.parallel)
            found = np.repeat(np.where(reading.usable(), reading.values, np.nan), spec.n_cells // spec.size(level))
            current = np.where(np.isnan(current), found / share, current)
        if not np.isnan(current).any():
            break
    return CellSamples(time=time, voltage=voltage, current=current)
