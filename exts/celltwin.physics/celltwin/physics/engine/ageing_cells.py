"""Ageing of all cells of a pack: the fields of its state, and the launch of its kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from celltwin.core import Array

from .ageing import AgeingModel
from .ageing_kernels import AGEING_ROWS, make_ageing_kernels
from .ageing_shared import share_ageing
from .ageing_state import AgeingState, new_ageing_state
from .cell_model import CellModel
from .fields import CellField, Grid
from .launching import Launcher

__all__ = ["CellAgeing"]


class CellAgeing:
    """An ageing model for the cells of a pack.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    grid : Grid
        How cells lie in memory.
    negative_nodes : int
        Finite volumes of the electrolyte in the negative electrode, the first rows of the salt.
    """

    def __init__(self, model: AgeingModel, cell: CellModel, grid: Grid, *, negative_nodes: int) -> None:
        self.model, self.cell, self.grid = model, cell, grid
        self._shared = share_ageing(model, cell)
        self._kernels = make_ageing_kernels(grid.lanes, model, negative_nodes=negative_nodes)

    def state(self, capacity_scale: Array) -> CellField:
        """Return the field of a state, of cells that have not aged; rows as in ``AGEING_ROWS``.

        Parameters
        ----------
        capacity_scale : ndarray of shape (n_cells,)
            Capacity of each cell over that of the type [-].
        """
        new = new_ageing_state(self.model, self.cell, np.ones(1)).rows()[:, 0]
        field = CellField(self.grid, rows=len(AGEING_ROWS), fill=new)
        self.write(field, new_ageing_state(self.model, self.cell, capacity_scale))
        return field

    def write(self, field: CellField, state: AgeingState) -> None:
        """Set all cells."""
        field.write(state.rows())

    def read(self, field: CellField) -> AgeingState:
        """Return the state of all cells, in pack order."""
        return AgeingState.of(field.read())

    def launch(
        self,
        launcher: Launcher,
        step: float,
        capacity_scale: CellField,
        temperature: CellField,
        current: CellField,
        potential_negative: CellField,
        surface_negative: CellField,
        surface_positive: CellField,
        mean_negative: CellField,
        mean_positive: CellField,
        salt: CellField,
        before: CellField,
        after: CellField,
        side_current: CellField,
        film_resistance: CellField,
        active_negative: CellField,
        active_positive: CellField,
    ) -> None:
        """Launch one step; it comes before the cells' own, which reads what it leaves.

        Parameters
        ----------
        launcher : Launcher
            Launches at once, or records.
        step : float
            [s].
        capacity_scale : CellField
            Capacity of each cell over that of the type [-].
        temperature, current, potential_negative : CellField
            At the beginning of the step [K], [A], [V].
        surface_negative, surface_positive, mean_negative, mean_positive : CellField
            Stoichiometries at the beginning of the step [-].
        salt : CellField
            Salt over its initial concentration, nodes of the negative electrode first [-].
        before, after : CellField
            State of ageing; may be the same.
        side_current, film_resistance, active_negative, active_positive : CellField
            What the cell's step takes: current that side reactions draw from the negative particles beside the
            cell's [A], negative while more plated lithium is stripped than side reactions take; film and contact
            growth [ohm]; active material over that of the new cell [-].
        """
        inputs: list[Any] = [
            field.bundles
            for field in (
                capacity_scale,
                temperature,
                current,
                potential_negative,
                surface_negative,
                surface_positive,
                mean_negative,
                mean_positive,
                salt,
                before,
            )
        ]
        outputs = [field.bundles for field in (after, side_current, film_resistance, active_negative, active_positive)]
        launcher.launch(self._kernels.step, self.grid.bundles, [self._shared, step, *inputs], outputs)
