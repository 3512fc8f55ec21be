"""Thermal runaway of all cells of a pack: the field of its state, and the launch of its kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .abuse_kernels import ABUSE_ROWS, abuse_constants, fresh_abuse_rows, make_abuse_kernels
from .abuse_model import AbuseModel
from .cell_fields import CellConstants, CellState
from .fields import CellField, Grid
from .launching import Launcher

__all__ = ["CellAbuse"]

_FADING = 0.05  # state of charge below which an internal short fades


class CellAbuse:
    """A runaway model for the cells of a pack.

    Parameters
    ----------
    model : AbuseModel
        The runaway model; contents scale with the capacity of each cell.
    grid : Grid
        How cells lie in memory.
    full_stoichiometry, empty_stoichiometry : float
        Mean stoichiometry of the negative electrode of the full and the empty cell [-]; 1 and 0 where the engine gives
        states of charge.
    surface_share : float
        Share of the heat capacity that the surface node has [-].
    """

    def __init__(
        self,
        model: AbuseModel,
        grid: Grid,
        *,
        full_stoichiometry: float = 1.0,
        empty_stoichiometry: float = 0.0,
        surface_share: float = 0.0,
    ) -> None:
        import warp as wp

        self.model, self.grid = model, grid
        self._share = 1.0 - surface_share
        self._kernels = make_abuse_kernels(grid.lanes)
        constants = abuse_constants(model, full_stoichiometry=full_stoichiometry)
        self._constants = wp.array(constants, dtype=grid.lanes.real, device=grid.device)
        self._empty = empty_stoichiometry
        self._fading = 1.0 / (_FADING * (full_stoichiometry - empty_stoichiometry))
        self._molten, self._imposed = CellField(grid), CellField(grid)

    def state(self) -> CellField:
        """Return the field of a state in which nothing has reacted; rows as in ``ABUSE_ROWS``."""
        field = CellField(self.grid, rows=len(ABUSE_ROWS))
        field.write(fresh_abuse_rows(self.model, self.grid.n_cells))
        return field

    def impose(self, cells: NDArray[np.int64] | None, conductance: Array) -> None:
        """Set the internal shorts that the user asks for: of some cells, or all, out of those of all [S]."""
        self._imposed.write(conductance if cells is None else conductance[cells], cells)

    @property
    def fields(self) -> dict[str, CellField]:
        """What belongs to the state of an engine beside the reactants."""
        return {"molten_short": self._molten, "imposed_short": self._imposed}

    def refresh(self, field: CellField, cells: NDArray[np.int64]) -> None:
        """Put fresh cells in the places of some."""
        field.write(fresh_abuse_rows(self.model, np.size(cells)), cells)
        self._molten.write(0.0, cells)

    def read(self, field: CellField, name: str) -> Array:
        """Return one of ``ABUSE_ROWS`` of all cells, in pack order."""
        values: Array = field.read()[ABUSE_ROWS.index(name)]
        return values

    def launch(
        self,
        launcher: Launcher,
        step: float,
        state: CellState,
        constants: CellConstants,
        lithium: CellField,
        before: CellField,
        after: CellField,
    ) -> None:
        """Launch one step; it comes after the cells' own, whose heat it reads, and before the exchange of heat.

        Forward kernels work in place: ``before`` and ``after`` must be the same field.

        Parameters
        ----------
        launcher : Launcher
            Launches at once, or records.
        step : float
            [s].
        state : CellState
            Temperatures at the start of the step and ``heat`` through it; ``abuse_heat`` is written.
        constants : CellConstants
            Of the cells; forward, ``short`` and ``shunt`` of the next step are written.
        lithium : CellField
            Mean stoichiometry of the negative electrode, or state of charge [-].
        before, after : CellField
            State of the reactions.
        """
        inputs: list[Any] = [
            step,
            self._constants,
            constants.capacity_scale.bundles,
            lithium.bundles,
            state.core_temperature.bundles,
            constants.heat_capacity.bundles,
            self._share,
            state.heat.bundles,
            before.bundles,
        ]
        outputs = [after.bundles, state.abuse_heat.bundles, self._molten.bundles]
        launcher.launch(self._kernels.advance_abuse, self.grid.bundles, inputs, outputs)
        if self.grid.lanes.backward:  # a tape would see the shorts of later steps; they stay as they were set
            return
        drawn = [field.bundles for field in (lithium, self._imposed, self._molten, constants.bleed)]
        launcher.launch(
            self._kernels.short_cells,
            self.grid.bundles,
            [self._empty, self._fading, *drawn],
            [constants.short.bundles, constants.shunt.bundles],
        )
