"""The newest values on the prims of a pack, in a layer that never dirties the authored file."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd

from celltwin.core import Kind, Level, PackSpec, PackState, Reading, StageError, find_quantity

from .change_blocks import ChangeBlocks
from .live_sublayer import LiveSublayer, Presence
from .live_values import CellArrays, ElementValues, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CELL_WRITES_A_STEP", "DEADBANDS", "LiveLayer", "readings_on_cells"]

_LOGGER = logging.getLogger(__name__)

# A scalar costs 3 to 4 microseconds, half of it the notice on a stage of instances: this keeps a step within 50 ms.
CELL_WRITES_A_STEP = 8_000
# How far a value moves before a cell that nobody watches shows it again [SI].
DEADBANDS: Mapping[str, float] = {
    "voltage": 0.01,
    "current": 0.1,
    "temperature": 0.5,
    "soc": 0.01,
    "soh": 0.005,
    "rul": 5.0,
    "rul_time": 86400.0,
    "coolant_temperature": 0.5,
}


class LiveLayer:
    """Process images on the prims of a stage.

    For all cells, at every step, modules carry arrays in pack order (``battery:measured:cells:voltage``). Prims
    of pack, modules and groups carry scalars with quality, time, standard uncertainty, provenance and reason. So
    do cells that are selected or have an alarm; other cells carry value and quality, from the time that the value
    has moved by more than a deadband. Cells show the voltage of their group.

    Parameters
    ----------
    stage : Usd.Stage
        Stage that holds the pack.
    spec : PackSpec
        The pack.
    deadbands : mapping of str to float, optional
        Quantities and the smallest move that shows on a cell that nobody watches [SI];
        :data:`DEADBANDS` where not given, and one displayed digit for other quantities.
    cell_writes_a_step : int
        Scalars of unwatched cells to write in one step at most; the others follow in the next steps.
    root : str, optional
        Path of the pack's prim, where it is not the root prim of its own stage.

    Raises
    ------
    StageError
        If the stage does not hold the pack.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        spec: PackSpec,
        *,
        deadbands: Mapping[str, float] | None = None,
        cell_writes_a_step: int = CELL_WRITES_A_STEP,
        root: str | None = None,
    ) -> None:
        self._spec = spec
        self._cell_writes_a_step = cell_writes_a_step
        self._deadbands = {**DEADBANDS, **(deadbands or {})}
        self._sublayer = LiveSublayer(stage, spec, "live", root)
        self._selected = np.zeros(spec.n_cells, dtype=np.bool_)
        self._turn = 0
        self._everything = {level: np.ones(spec.size(level), dtype=np.bool_) for level in Level}
        self._forget_handles()

    @property
    def layer(self) -> Sdf.Layer:
        """The live sublayer."""
        return self._sublayer.layer

    def select(self, cells: Iterable[int]) -> None:
        """Show everything that is known of these cells, from the next step on, instead of those before.

        Parameters
        ----------
        cells : iterable of int
            Places in pack order.

        Raises
        ------
        StageError
            If the pack has no such cell.
        """
        chosen = np.array(sorted(set(cells)), dtype=np.int64)
        if chosen.size and (chosen[0] < 0 or chosen[-1] >= self._spec.n_cells):
            raise StageError(
                f"the pack has no cell {chosen[0] if chosen[0] < 0 else chosen[-1]}",
                where=self._spec.name,
                remedy=f"Cells count from 0 to {self._spec.n_cells - 1}",
            )
        self._selected[:] = False
        self._selected[chosen] = True

    def publish(self, state: PackState) -> None:
        """Write a process image to the prims.

        Prims of modules that left the stage are passed over, and taken up again when they return.
        """
        present = self._sublayer.follow()
        if present.changed or self._emptied():
            _LOGGER.debug("the stage changed: finding its prims again")
            self._forget_handles()
        on_cells = readings_on_cells(state, self._spec)
        with ChangeBlocks() as blocks:
            modules = np.nonzero(present.modules)[0]
            for reading in on_cells:
                self._arrays_of(reading).write(reading, modules, blocks)
            for reading in state.readings.values():
                if reading.level is not Level.CELL:
                    self._write_elements(reading, present, blocks)
            self._write_cells(on_cells, state, present, blocks)

    def close(self) -> None:
        """Take the values off the stage; a second call does nothing."""
        self._sublayer.close()

    def _write_elements(self, reading: Reading, present: Presence, blocks: ChangeBlocks) -> None:
        everything = self._everything[reading.level]
        there = everything
        if reading.level is not Level.PACK:
            there = present.cells[:: self._spec.n_cells // everything.size]
        wanted = Wanted(present=there, exact=everything, deadband=0.0)
        self._elements_of(reading).write(reading, wanted, blocks, 10 * everything.size)

    def _write_cells(
        self, readings: tuple[Reading, ...], state: PackState, present: Presence, blocks: ChangeBlocks
    ) -> None:
        watched = self._watched(state)
        budget = self._cell_writes_a_step
        for turn in range(len(readings)):
            place = (self._turn + turn) % len(readings)
            reading = readings[place]
            wanted = Wanted(present=present.cells, exact=watched, deadband=self._deadband(reading.quantity))
            budget -= self._elements_of(reading).write(reading, wanted, blocks, budget)
            if budget <= 0:  # the next step starts with what this one could not show
                self._turn = place
                return

    def _watched(self, state: PackState) -> NDArray[np.bool_]:
        watched = self._selected.copy()
        for alarm in state.alarms:
            if alarm.level is Level.CELL:
                watched[alarm.element] = True
            elif alarm.level is Level.GROUP:
                first = alarm.element * self._spec.parallel
                watched[first : first + self._spec.parallel] = True
        return watched

    def _deadband(self, quantity: str) -> float:
        if quantity not in self._deadbands:
            found = find_quantity(quantity)
            self._deadbands[quantity] = 10.0**-found.decimals / abs(found.display_scale)
        return self._deadbands[quantity]

    def _arrays_of(self, reading: Reading) -> CellArrays:
        key = (reading.kind, reading.quantity)
        if key not in self._arrays:
            self._arrays[key] = CellArrays(self.layer, self._sublayer.paths(Level.MODULE), reading, self._spec)
        return self._arrays[key]

    def _elements_of(self, reading: Reading) -> ElementValues:
        if reading.key not in self._elements:
            self._elements[reading.key] = ElementValues(self.layer, self._sublayer.paths(reading.level), reading)
        return self._elements[reading.key]

    def _emptied(self) -> bool:
        """Return whether somebody emptied the layer, which leaves every handle without its attribute."""
        return bool(self._arrays or self._elements) and not self.layer.rootPrims

    def _forget_handles(self) -> None:
        self._arrays: dict[tuple[Kind, str], CellArrays] = {}
        self._elements: dict[tuple[Kind, str, Level], ElementValues] = {}
        self._turn = 0


def readings_on_cells(state: PackState, spec: PackSpec) -> tuple[Reading, ...]:
    """Return all readings of cells, with the voltages of groups as those of their cells."""
    readings = [reading for reading in state.readings.values() if reading.level is Level.CELL]
    for kind in Kind:
        group = state.get(kind, "voltage", Level.GROUP)
        if group is not None and state.get(kind, "voltage", Level.CELL) is None:
            readings.append(
                replace(
                    group,
                    level=Level.CELL,
                    values=np.repeat(group.values, spec.parallel),
                    time=np.repeat(group.time, spec.parallel),
                    quality=np.repeat(group.quality, spec.parallel),
                    standard_uncertainty=np.repeat(group.standard_uncertainty, spec.parallel),
                )
            )
    return tuple(readings)
