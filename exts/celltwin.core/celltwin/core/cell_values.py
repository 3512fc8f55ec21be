"""One value for each cell, from the best reading at whatever level it was taken."""

from __future__ import annotations

import numpy as np

from .arrays import Array, Flags
from .pack_spec import PackSpec
from .quantities import Level, Quality
from .readings import PackState

__all__ = ["cell_values"]

# Quantities that the cells of a group, or of a module, share or nearly share.
_SHARED = {
    "voltage": (Level.GROUP,),
    "soc": (Level.GROUP, Level.MODULE, Level.PACK),
    "soh": (Level.GROUP, Level.MODULE, Level.PACK),
    "temperature": (Level.GROUP, Level.MODULE, Level.PACK),
}


def cell_values(state: PackState, spec: PackSpec, quantity: str) -> tuple[Array, Flags]:
    """Return value and quality of a quantity for every cell.

    A cell without a value of its own takes its group's, then its module's, where the quantity is one that
    they share: all cells of a parallel group have one voltage.

    Parameters
    ----------
    state : PackState
        Process image.
    spec : PackSpec
        The pack.
    quantity : str
        Key of the quantity.

    Returns
    -------
    values : ndarray of shape (n_cells,)
        Values [SI]; NaN where nothing is known.
    quality : ndarray of shape (n_cells,)
        :class:`Quality` as uint8; BAD where nothing is known.
    """
    values = np.full(spec.n_cells, np.nan)
    quality = np.full(spec.n_cells, Quality.BAD, dtype=np.uint8)
    for level in (Level.CELL, *_SHARED.get(quantity, ())):
        reading = state.best(quantity, level)
        if reading is None:
            continue
        cells_each = spec.n_cells // spec.size(level)
        missing = np.isnan(values)
        values = np.where(missing, np.repeat(reading.values, cells_each), values)
        quality = np.where(missing, np.repeat(reading.quality, cells_each), quality).astype(np.uint8)
        if not np.isnan(values).any():
            break
    return values, quality
