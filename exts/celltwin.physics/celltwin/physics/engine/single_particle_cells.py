"""Cells of the single-particle model with electrolyte: their fields, and the launches of their kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array

from .cell_fields import CellConstants, CellState, CircuitWork, allocate_cells
from .cell_kernels import make_cell_kernels
from .cell_model import CellModel
from .fields import CellField, Grid, ScratchField, bundles_of
from .launching import Launcher, Sharing
from .shared_cell import choose_laws, share_cell
from .single_particle_laws import LINEAR_ROWS

__all__ = ["SingleParticleCells", "SingleParticleState"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SingleParticleState:
    """Profiles of every cell and what is read off them."""

    shells_negative: CellField
    shells_positive: CellField
    salt: CellField
    surface_negative: CellField
    surface_positive: CellField
    mean_negative: CellField
    mean_positive: CellField
    potential_negative: CellField


@dataclass(frozen=True, kw_only=True, eq=False)
class _Elimination:
    upper_negative: CellField
    rest_negative: CellField
    upper_positive: CellField
    rest_positive: CellField
    face_negative: ScratchField
    face_positive: ScratchField
    salt_face: ScratchField
    salt_carried: ScratchField
    salt_upper: ScratchField
    salt_rest: ScratchField
    salt_gain: ScratchField
    salt_still: CellField
    salt_slope: CellField
    linear: CellField


class SingleParticleCells:
    """The single-particle model with electrolyte behind the interface that the engine steps.

    Parameters
    ----------
    model : CellModel
        The cell type.
    grid : Grid
        How cells lie in memory.
    shells : int
        Shells of each particle.
    salt_nodes : tuple of int
        Finite volumes of the electrolyte in negative electrode, separator and positive electrode.
    heat_of_mixing : bool
        Whether the heat of relaxing profiles counts.
    """

    def __init__(
        self, model: CellModel, grid: Grid, *, shells: int, salt_nodes: tuple[int, int, int], heat_of_mixing: bool
    ) -> None:
        self.model = model
        self.grid = grid
        self.shells = shells
        self.salt_nodes = salt_nodes
        self._shared = share_cell(model, shells=shells, salt_nodes=salt_nodes, device=grid.device)
        choices = choose_laws(model, heat_of_mixing=heat_of_mixing)
        self._kernels = make_cell_kernels(grid.lanes, choices, shells=shells, salt_nodes=salt_nodes)

    def state(self) -> SingleParticleState:
        """Return the fields of a state."""
        negative, positive = self.model.stoichiometries(np.array(0.5))
        return allocate_cells(
            SingleParticleState,
            self.grid,
            rows={"shells_negative": self.shells, "shells_positive": self.shells, "salt": sum(self.salt_nodes)},
            fill={
                "salt": 1.0,
                **dict.fromkeys(("shells_negative", "surface_negative", "mean_negative"), float(negative)),
                **dict.fromkeys(("shells_positive", "surface_positive", "mean_positive"), float(positive)),
            },
        )

    def work(self) -> _Elimination:
        """Return the fields that a step works with."""
        nodes = sum(self.salt_nodes)
        fields = _Elimination.__dataclass_fields__
        rows = {name: nodes if name.startswith("salt") else self.shells for name in fields} | {
            "linear": len(LINEAR_ROWS)
        }
        kinds = {name: ScratchField if field.type == "ScratchField" else CellField for name, field in fields.items()}
        made: dict[str, Any] = {name: kinds[name](self.grid, rows=rows[name]) for name in fields}
        return _Elimination(**made)

    def rest(self, state: SingleParticleState, soc: Array, cells: Any = None) -> None:
        """Put cells at rest at a state of charge."""
        negative, positive = self.model.stoichiometries(soc)
        for name, value in (("negative", negative), ("positive", positive)):
            getattr(state, f"shells_{name}").write(value, cells)
            getattr(state, f"surface_{name}").write(value, cells)
            getattr(state, f"mean_{name}").write(value, cells)
        state.salt.write(1.0, cells)

    def begin(
        self,
        launcher: Launcher,
        step: float,
        before: SingleParticleState,
        common: CellState,
        constants: CellConstants,
        work: _Elimination,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        """Launch the elimination of the profiles and the first tangents."""
        launcher.launch(
            self._kernels.prepare,
            self.grid.bundles,
            [
                self._shared,
                step,
                int(self.grid.keeps_scratch),
                *bundles_of(
                    before.shells_negative,
                    before.shells_positive,
                    before.salt,
                    before.surface_negative,
                    before.surface_positive,
                    common.temperature,
                    guess,
                    constants.capacity_scale,
                    constants.diffusivity_scale,
                    constants.resistance,
                    common.film_resistance,
                    common.contact_factor,
                    common.active_negative,
                    common.active_positive,
                    common.side_current,
                    constants.shunt,
                    constants.connection,
                    constants.connected,
                ),
            ],
            bundles_of(*vars(work).values(), circuit.source, circuit.inner, circuit.conductance),
            Sharing.APART,
        )

    def linearise(
        self,
        launcher: Launcher,
        common: CellState,
        constants: CellConstants,
        work: _Elimination,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        """Launch new tangents at the currents of ``guess``."""
        launcher.launch(
            self._kernels.linearise,
            self.grid.bundles,
            [
                self._shared,
                *bundles_of(
                    common.temperature,
                    common.side_current,
                    guess,
                    constants.shunt,
                    constants.connection,
                    constants.connected,
                    work.linear,
                ),
            ],
            bundles_of(circuit.source, circuit.inner, circuit.conductance),
            Sharing.APART,
        )

    def finish(
        self,
        launcher: Launcher,
        step: float,
        before: SingleParticleState,
        common: CellState,
        constants: CellConstants,
        work: _Elimination,
        solved: CellState,
        after: SingleParticleState,
    ) -> None:
        """Launch the profiles at the end of the step, and the heat."""
        launcher.launch(
            self._kernels.finish,
            self.grid.bundles,
            [
                self._shared,
                step,
                *bundles_of(
                    work.linear,
                    work.upper_negative,
                    work.rest_negative,
                    work.upper_positive,
                    work.rest_positive,
                    work.salt_still,
                    work.salt_slope,
                    common.temperature,
                    common.side_current,
                    constants.short,
                    constants.connection,
                    solved.current,
                    solved.branch_current,
                    solved.voltage,
                    before.shells_negative,
                    before.shells_positive,
                ),
            ],
            bundles_of(
                after.shells_negative,
                after.shells_positive,
                after.salt,
                after.surface_negative,
                after.surface_positive,
                after.mean_negative,
                after.mean_positive,
                after.potential_negative,
                solved.soc,
                solved.heat,
            ),
            Sharing.APART,
        )

    def charge(self, state: SingleParticleState, _solved: CellState) -> CellField:
        """Return the field that says how much lithium the negative electrode holds: its mean stoichiometry."""
        return state.mean_negative

    def limits(self, state: SingleParticleState) -> tuple[tuple[str, CellField, float, float], ...]:
        """Return what must lie between limits: what it is, its field, and the limits."""
        return (
            ("surface stoichiometry of the negative electrode", state.surface_negative, 0.0, 1.0),
            ("surface stoichiometry of the positive electrode", state.surface_positive, 0.0, 1.0),
            ("lowest electrolyte concentration over its mean", state.salt, 0.0, np.inf),
        )
