"""Cells of the equivalent circuit: their fields, and the launches of their kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array

from .cell_fields import CellConstants, CellState, CircuitWork, allocate_cells
from .cell_model import EquivalentCircuitModel
from .equivalent_circuit_kernels import CIRCUIT_ROWS, make_equivalent_circuit_kernels
from .fields import CellField, Grid
from .launching import Launcher, Sharing

__all__ = ["EquivalentCircuitCells", "EquivalentCircuitState"]

# State of charge by which full and empty cells that balance each other may pass their limits [-].
_BEYOND = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class EquivalentCircuitState:
    """State of charge, and voltages of the two pairs."""

    charge: CellField
    first: CellField
    second: CellField


@dataclass(frozen=True, kw_only=True, eq=False)
class _Linear:
    linear: CellField


class EquivalentCircuitCells:
    """The equivalent circuit behind the interface that the engine steps.

    Parameters
    ----------
    model : EquivalentCircuitModel
        The cell type.
    grid : Grid
        How cells lie in memory.
    """

    def __init__(self, model: EquivalentCircuitModel, grid: Grid) -> None:
        import warp as wp

        def table(values: Array) -> Any:
            return wp.array(np.ascontiguousarray(values, dtype=np.float64), dtype=wp.float64, device=grid.device)

        self.model, self.grid = model, grid
        self._kernels = make_equivalent_circuit_kernels(grid.lanes)
        self._potential, self._resistance = table(model.potential), table(model.resistance)
        self._warmth = table(model.resistance_temperature)

    def state(self) -> EquivalentCircuitState:
        """Return the fields of a state."""
        return allocate_cells(EquivalentCircuitState, self.grid, fill={"charge": 0.5})

    def work(self) -> _Linear:
        """Return the fields that a step works with."""
        return allocate_cells(_Linear, self.grid, rows={"linear": len(CIRCUIT_ROWS)})

    def rest(self, state: EquivalentCircuitState, soc: Array, cells: Any = None) -> None:
        """Put cells at rest at a state of charge."""
        state.charge.write(soc, cells)
        state.first.write(0.0, cells)
        state.second.write(0.0, cells)

    def charge(self, state: EquivalentCircuitState, _solved: CellState) -> CellField:
        """Return the field that says how much lithium the negative electrode holds: the state of charge."""
        return state.charge

    def begin(
        self,
        launcher: Launcher,
        step: float,
        before: EquivalentCircuitState,
        common: CellState,
        constants: CellConstants,
        work: _Linear,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        """Launch the state at the end of the step as a function of the current, and the first tangents."""
        model = self.model
        fields = (
            before.charge,
            before.first,
            before.second,
            common.temperature,
            guess,
            constants.capacity_scale,
            constants.resistance,
            common.contact_factor,
            constants.shunt,
            constants.connection,
            constants.connected,
        )
        launcher.launch(
            self._kernels.prepare,
            self.grid.bundles,
            [
                self._potential,
                self._resistance,
                self._warmth,
                model.reference_temperature,
                step,
                model.capacity * SECONDS_PER_HOUR,
                *(float(np.exp(-step / constant)) for constant in model.time_constants),
                *(field.bundles for field in fields),
            ],
            [field.bundles for field in (work.linear, circuit.source, circuit.inner, circuit.conductance)],
            Sharing.APART,
        )

    def linearise(
        self,
        launcher: Launcher,
        common: CellState,
        constants: CellConstants,
        work: _Linear,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        """Launch new tangents at the currents of ``guess``."""
        fields = (
            common.temperature,
            guess,
            constants.shunt,
            constants.connection,
            constants.connected,
            work.linear,
        )
        launcher.launch(
            self._kernels.linearise,
            self.grid.bundles,
            [self._potential, self.model.reference_temperature, *(field.bundles for field in fields)],
            [field.bundles for field in (circuit.source, circuit.inner, circuit.conductance)],
            Sharing.APART,
        )

    def finish(
        self,
        launcher: Launcher,
        _step: float,
        _before: EquivalentCircuitState,
        common: CellState,
        constants: CellConstants,
        work: _Linear,
        solved: CellState,
        after: EquivalentCircuitState,
    ) -> None:
        """Launch the state at the end of the step, and the heat."""
        fields = (
            work.linear,
            common.temperature,
            constants.short,
            constants.connection,
            solved.current,
            solved.branch_current,
            solved.voltage,
        )
        launcher.launch(
            self._kernels.finish,
            self.grid.bundles,
            [self._potential, self.model.reference_temperature, *(field.bundles for field in fields)],
            [field.bundles for field in (after.charge, after.first, after.second, solved.soc, solved.heat)],
            Sharing.APART,
        )

    def limits(self, state: EquivalentCircuitState) -> tuple[tuple[str, CellField, float, float], ...]:
        """Return what must lie between limits: what it is, its field, and the limits."""
        return (("state of charge", state.charge, -_BEYOND, 1.0 + _BEYOND),)
