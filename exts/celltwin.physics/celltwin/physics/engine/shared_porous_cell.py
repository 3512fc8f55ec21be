"""The volumes of a cell with porous electrodes, as its kernels read them."""

from functools import lru_cache
from typing import Any

import numpy as np

from celltwin.core import Array

from .cell_model import CellModel

__all__ = ["make_porous_structure", "share_porous_cell"]


@lru_cache(maxsize=1)
def make_porous_structure() -> Any:
    """Return the Warp structure of the volumes, from the negative current collector to the positive one."""
    import warp as wp

    @wp.struct
    class PorousCell:
        """Numbers of each volume."""

        negative: int  # volumes in each layer
        separator: int
        positive: int
        path_ionic: wp.array(dtype=wp.float64)  # thickness over transport efficiency [m]
        path_solid: wp.array(dtype=wp.float64)  # thickness over electronic conductivity, 0 in the separator [ohm.m^2]
        inverse_share: wp.array(dtype=wp.float64)  # thickness of the layer over that of the volume [-]
        inverse_room: wp.array(dtype=wp.float64)  # 1 / (porosity times thickness) [1/m]

    return PorousCell


def share_porous_cell(model: CellModel, volumes: tuple[int, int, int], device: str) -> Any:
    """Return the Warp structure of a cell's volumes.

    Parameters
    ----------
    model : CellModel
        The cell.
    volumes : tuple of int
        Finite volumes of negative electrode, separator and positive electrode.
    device : str
        Warp's name of the device.
    """
    import warp as wp

    negative, positive = model.negative, model.positive

    def spread(*values: float) -> Array:
        return np.repeat(values, volumes)

    share = spread(*(1.0 / count for count in volumes))
    width = share * spread(negative.thickness, model.separator_thickness, positive.thickness)
    efficiency = spread(
        negative.transport_efficiency, model.separator_transport_efficiency, positive.transport_efficiency
    )
    porosity = spread(negative.porosity, model.separator_porosity, positive.porosity)
    resistivity = spread(1.0 / negative.conductivity, 0.0, 1.0 / positive.conductivity)
    structure = make_porous_structure()()
    structure.negative, structure.separator, structure.positive = volumes
    for name, values in (
        ("path_ionic", width / efficiency),
        ("path_solid", width * resistivity),
        ("inverse_share", 1.0 / share),
        ("inverse_room", 1.0 / (porosity * width)),
    ):
        setattr(structure, name, wp.array(values, dtype=wp.float64, device=device))
    return structure
