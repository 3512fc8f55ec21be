"""What ageing, mechanics and runaway leave in cells, under the names that histories, reports and campaigns use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array

if TYPE_CHECKING:
    from .engine import CellModel, PackEngine

__all__ = ["FURTHER_QUANTITIES", "FurtherQuantities"]

# Quantities of cells that a sample may hold beside the usual ones.
FURTHER_QUANTITIES = (
    "soh",
    "lithium_loss",
    "film_resistance",
    "sei_thickness",
    "plated_lithium",
    "thickness_change",
    "hoop_strain",
    "pressure",
    "reaction_heat",
)


class FurtherQuantities:
    """Read from an engine what its models of ageing, mechanics and runaway say of the cells.

    The state of health is the capacity between the cell's open-circuit voltage limits over that of the new cell type:
    what cells lack from manufacturing or from age at the start counts too.

    Parameters
    ----------
    engine : PackEngine
        The engine; one without these models gives nothing.
    """

    def __init__(self, engine: PackEngine) -> None:
        self._engine = engine
        self._new = float("nan")
        if engine.options.ageing is not None:
            from .engine.ageing_state import lithium_loss, new_ageing_state, remaining_capacity

            one, cell = np.ones(1), self._cell
            new = new_ageing_state(engine.options.ageing, cell, one)
            loss = lithium_loss(engine.options.ageing, cell, new, one)
            self._new = float(remaining_capacity(cell, new, loss, one)[0])

    def read(self, extra: dict[str, Array]) -> dict[str, Array]:
        """Return the quantities of one sample.

        Parameters
        ----------
        extra : dict of ndarray
            Of the engine's history at one time, each of shape (n_cells,).

        Returns
        -------
        dict of ndarray
            Under names of ``FURTHER_QUANTITIES``, each of shape (n_cells,) [SI].
        """
        found = dict(extra)
        if "abuse_heat" in found:
            found["reaction_heat"] = found.pop("abuse_heat")
        options = self._engine.options
        if options.ageing is None:
            return found
        from .engine.ageing_kernels import AGEING_ROWS
        from .engine.ageing_state import AgeingState, film_resistance, lithium_loss, remaining_capacity

        cell, scale = self._cell, self._engine.read_cells("capacity_scale")
        state = AgeingState.of(np.stack([extra[name] for name in AGEING_ROWS]))
        loss = lithium_loss(options.ageing, cell, state, scale)
        return found | {
            "soh": remaining_capacity(cell, state, loss, scale) / self._new,
            "lithium_loss": loss.total,
            "film_resistance": film_resistance(options.ageing, cell, state, scale),
        }

    @property
    def _cell(self) -> CellModel:
        from .engine import CellModel

        model = self._engine.physics.given_model
        assert isinstance(model, CellModel)  # no other ages
        return model
