"""Cells with porous electrodes: their fields, and the launches of their kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array

from .cell_fields import CellConstants, CellState, CircuitWork, allocate_cells
from .cell_model import CellModel
from .fields import CellField, Grid, ScratchField, bundles_of
from .launching import Launcher, Sharing
from .porous_electrode_kernels import POROUS_ROWS, make_porous_kernels
from .shared_cell import choose_laws, share_cell
from .shared_porous_cell import share_porous_cell

__all__ = ["PorousElectrodeCells", "PorousElectrodeState"]

_AT_FIRST, _AGAIN = 2, 2  # Newton steps at the currents of the step before, and at new currents


@dataclass(frozen=True, kw_only=True, eq=False)
class PorousElectrodeState:
    """Profiles of every cell and what is read off them.

    Rows of ``shells_negative`` and ``shells_positive`` are the shells of the first volume's particle, then those of
    the next; volumes go from the negative current collector to the positive one, as do the rows of ``salt``, of the
    ionic current ``ionic`` between volumes [A], and of ``surfaces_negative`` and ``surfaces_positive``; ``smoothed``
    are those over the last steps, which diffusivities are taken at. Fields of one number are means over an electrode.
    """

    shells_negative: CellField
    shells_positive: CellField
    salt: CellField
    ionic: CellField
    surfaces_negative: CellField
    surfaces_positive: CellField
    smoothed_negative: CellField
    smoothed_positive: CellField
    surface_negative: CellField
    surface_positive: CellField
    mean_negative: CellField
    mean_positive: CellField
    potential_negative: CellField


@dataclass(frozen=True, kw_only=True, eq=False)
class _PorousWork:
    face: ScratchField
    upper_negative: CellField
    rest_negative: CellField
    upper_positive: CellField
    rest_positive: CellField
    still_negative: CellField
    slope_negative: CellField
    still_positive: CellField
    slope_positive: CellField
    hindrance: CellField
    ionic_resistance: CellField
    solid_resistance: CellField
    carried: CellField
    salt_voltage: CellField
    ionic_still: CellField
    ionic_slope: CellField
    salt_held: CellField
    salt_still: CellField
    salt_slope: CellField
    linear: CellField
    point: ScratchField
    logarithm: ScratchField
    constant: ScratchField
    reaction: ScratchField
    saline: ScratchField
    block: ScratchField


class PorousElectrodeCells:
    """Cells with porous electrodes behind the interface that the engine steps.

    Parameters
    ----------
    model : CellModel
        The cell type.
    grid : Grid
        How cells lie in memory.
    shells : int
        Shells of each particle.
    volumes : tuple of int
        Finite volumes of negative electrode, separator and positive electrode; those of the electrodes have a
        particle each.
    heat_of_mixing : bool
        Whether the heat of relaxing profiles in the particles counts.
    """

    def __init__(
        self, model: CellModel, grid: Grid, *, shells: int, volumes: tuple[int, int, int], heat_of_mixing: bool
    ) -> None:
        self.model = model
        self.grid = grid
        self.shells = shells
        self.volumes = volumes
        self._shared = share_cell(model, shells=shells, salt_nodes=volumes, device=grid.device)
        self._porous = share_porous_cell(model, volumes, grid.device)
        choices = choose_laws(model, heat_of_mixing=heat_of_mixing)
        self._kernels = make_porous_kernels(grid.lanes, choices, shells=shells)

    def state(self) -> PorousElectrodeState:
        """Return the fields of a state."""
        negative, positive = self.model.stoichiometries(np.array(0.5))
        names = PorousElectrodeState.__dataclass_fields__
        return allocate_cells(
            PorousElectrodeState,
            self.grid,
            rows={name: rows for name, rows in self._rows().items() if name in names},
            fill={
                "salt": 1.0,
                **{
                    f"{name}_negative": float(negative)
                    for name in ("shells", "surfaces", "smoothed", "surface", "mean")
                },
                **{
                    f"{name}_positive": float(positive)
                    for name in ("shells", "surfaces", "smoothed", "surface", "mean")
                },
            },
        )

    def work(self) -> _PorousWork:
        """Return the fields that a step works with."""
        rows, fields = self._rows(), _PorousWork.__dataclass_fields__
        kinds = {name: ScratchField if field.type == "ScratchField" else CellField for name, field in fields.items()}
        made: dict[str, Any] = {name: kinds[name](self.grid, rows=rows[name]) for name in fields}
        return _PorousWork(**made)

    def rest(self, state: PorousElectrodeState, soc: Array, cells: Any = None) -> None:
        """Put cells at rest at a state of charge."""
        negative, positive = self.model.stoichiometries(soc)
        for name, value in (("negative", negative), ("positive", positive)):
            for field in ("shells", "surfaces", "smoothed", "surface", "mean"):
                getattr(state, f"{field}_{name}").write(value, cells)
        state.salt.write(1.0, cells)
        state.ionic.write(0.0, cells)

    def begin(
        self,
        launcher: Launcher,
        step: float,
        before: PorousElectrodeState,
        common: CellState,
        constants: CellConstants,
        work: _PorousWork,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        """Launch the elimination of the particles and the first tangents."""
        launcher.launch(
            self._kernels.prepare,
            self.grid.bundles,
            [
                self._shared,
                self._porous,
                step,
                int(self.grid.keeps_scratch),
                *bundles_of(
                    before.shells_negative,
                    before.shells_positive,
                    before.salt,
                    before.ionic,
                    before.smoothed_negative,
                    before.smoothed_positive,
                    common.temperature,
                    constants.capacity_scale,
                    constants.diffusivity_scale,
                    constants.resistance,
                    common.contact_factor,
                    common.active_negative,
                    common.active_positive,
                    common.side_current,
                ),
            ],
            bundles_of(
                work.point,
                work.face,
                work.upper_negative,
                work.rest_negative,
                work.upper_positive,
                work.rest_positive,
                *self._prepared(work),
                work.ionic_still,
                work.ionic_slope,
                work.salt_held,
                work.salt_still,
                work.salt_slope,
                work.linear,
            ),
            Sharing.APART,
        )
        for _ in range(_AT_FIRST):
            self._step_newton(launcher, common, constants, work, circuit, guess)

    def linearise(
        self,
        launcher: Launcher,
        common: CellState,
        constants: CellConstants,
        work: _PorousWork,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        """Launch new tangents at the currents of ``guess``."""
        for _ in range(_AGAIN):
            self._step_newton(launcher, common, constants, work, circuit, guess)

    def finish(
        self,
        launcher: Launcher,
        step: float,
        before: PorousElectrodeState,
        common: CellState,
        constants: CellConstants,
        work: _PorousWork,
        solved: CellState,
        after: PorousElectrodeState,
    ) -> None:
        """Launch the profiles at the end of the step, and the heat."""
        launcher.launch(
            self._kernels.finish,
            self.grid.bundles,
            [
                self._shared,
                self._porous,
                step,
                *bundles_of(
                    work.linear,
                    work.upper_negative,
                    work.rest_negative,
                    work.upper_positive,
                    work.rest_positive,
                    work.still_negative,
                    work.slope_negative,
                    work.still_positive,
                    work.slope_positive,
                    work.ionic_still,
                    work.ionic_slope,
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
            bundles_of(*vars(after).values(), solved.soc, solved.heat),
            Sharing.APART,
        )

    def charge(self, state: PorousElectrodeState, _solved: CellState) -> CellField:
        """Return the field that says how much lithium the negative electrode holds: its mean stoichiometry."""
        return state.mean_negative

    def limits(self, state: PorousElectrodeState) -> tuple[tuple[str, CellField, float, float], ...]:
        """Return what must lie between limits: what it is, its field, and the limits."""
        return (
            ("surface stoichiometry in the negative electrode", state.surfaces_negative, 0.0, 1.0),
            ("surface stoichiometry in the positive electrode", state.surfaces_positive, 0.0, 1.0),
            ("lowest electrolyte concentration over its mean", state.salt, 0.0, np.inf),
        )

    def _step_newton(
        self,
        launcher: Launcher,
        common: CellState,
        constants: CellConstants,
        work: _PorousWork,
        circuit: CircuitWork,
        guess: CellField,
    ) -> None:
        launcher.launch(
            self._kernels.linearise,
            self.grid.bundles,
            [
                self._shared,
                self._porous,
                int(self.grid.keeps_scratch),
                *bundles_of(
                    work.salt_held,
                    common.temperature,
                    common.side_current,
                    common.film_resistance,
                    guess,
                    constants.shunt,
                    constants.connection,
                    constants.connected,
                    *self._prepared(work),
                    work.linear,
                ),
            ],
            bundles_of(
                work.point,
                work.logarithm,
                work.constant,
                work.reaction,
                work.saline,
                work.block,
                work.ionic_still,
                work.ionic_slope,
                work.salt_still,
                work.salt_slope,
                circuit.source,
                circuit.inner,
                circuit.conductance,
            ),
            Sharing.APART,
        )

    def _prepared(self, work: _PorousWork) -> tuple[CellField, ...]:
        return (
            work.still_negative,
            work.slope_negative,
            work.still_positive,
            work.slope_positive,
            work.hindrance,
            work.ionic_resistance,
            work.solid_resistance,
            work.carried,
            work.salt_voltage,
        )

    def _rows(self) -> dict[str, int]:
        """Return how many numbers a cell has of each field that has several."""
        (negative, _, positive), whole = self.volumes, sum(self.volumes)
        rows = dict.fromkeys(("salt", "salt_held", "salt_still", "salt_slope"), whole)
        rows |= dict.fromkeys(("solid_resistance", "point", "logarithm", "constant", "reaction", "saline"), whole)
        rows |= dict.fromkeys(("ionic", "ionic_still", "ionic_slope", "carried", "salt_voltage"), whole - 1)
        rows |= dict.fromkeys(("hindrance", "ionic_resistance"), whole - 1)
        for side, count in (("negative", negative), ("positive", positive)):
            rows |= {f"{name}_{side}": count * self.shells for name in ("shells", "upper", "rest")}
            rows |= {f"{name}_{side}": count for name in ("surfaces", "smoothed", "still", "slope")}
        return rows | {"face": self.shells, "block": 8 * (whole - 1), "linear": len(POROUS_ROWS)}
