"""What may differ between the cells of one surrogate: size, resistance, diffusion, cooling, surroundings, start."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from celltwin.core import ZERO_CELSIUS, Array, require_shape

__all__ = ["RANGES", "CellInputs", "draw_inputs"]

# What simulations are drawn from: lowest, highest, and whether evenly on a logarithmic scale.
RANGES: dict[str, tuple[float, float, bool]] = {
    "capacity_factor": (0.75, 1.05, False),
    "resistance_factor": (0.5, 4.0, True),
    "diffusivity_factor": (0.5, 2.0, True),
    "conductance": (0.02, 0.3, True),
    "ambient": (ZERO_CELSIUS + 5.0, ZERO_CELSIUS + 45.0, False),
}
_OFFSETS = (-3.0, 12.0)  # [K] of the first temperature over the surroundings'


@dataclass(frozen=True, kw_only=True, eq=False)
class CellInputs:
    """Inputs of ``n_cells`` cells.

    Attributes
    ----------
    capacity_factor : ndarray of shape (n_cells,)
        Electrode area over that of the parameter set [-].
    resistance_factor : ndarray of shape (n_cells,)
        Series resistance beside the porous electrodes over that of the parameter set [-].
    diffusivity_factor : ndarray of shape (n_cells,)
        Diffusivities of both electrodes' particles over those of the parameter set [-].
    conductance : ndarray of shape (n_cells,)
        Heat conductance to the surroundings [W/K].
    ambient : ndarray of shape (n_cells,)
        Temperature of the surroundings [K].
    soc : ndarray of shape (n_cells,)
        State of charge at the start, at rest [-].
    temperature : ndarray of shape (n_cells,)
        Temperature at the start [K].
    """

    capacity_factor: Array
    resistance_factor: Array
    diffusivity_factor: Array
    conductance: Array
    ambient: Array
    soc: Array
    temperature: Array

    def __post_init__(self) -> None:
        """Check that all are of one length."""
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), dtype=np.float64)
            object.__setattr__(self, field.name, value)
            require_shape(field.name, value, (np.asarray(self.soc).size,))

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.soc.size)

    @classmethod
    def uniform(
        cls,
        n_cells: int,
        *,
        conductance: float,
        soc: float = 1.0,
        ambient: float = ZERO_CELSIUS + 25.0,
        temperature: float | None = None,
        capacity_factor: float = 1.0,
        resistance_factor: float = 1.0,
        diffusivity_factor: float = 1.0,
    ) -> CellInputs:
        """Return equal cells; they start at the surroundings' temperature [K] unless another is given."""
        numbers = {
            "capacity_factor": capacity_factor,
            "resistance_factor": resistance_factor,
            "diffusivity_factor": diffusivity_factor,
            "conductance": conductance,
            "ambient": ambient,
            "soc": soc,
            "temperature": ambient if temperature is None else temperature,
        }
        return cls(**{name: np.full(n_cells, value) for name, value in numbers.items()})

    def select(self, chosen: NDArray[np.integer] | NDArray[np.bool_]) -> CellInputs:
        """Return the inputs of some cells, by indices or mask."""
        return CellInputs(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def draw_inputs(random: np.random.Generator, soc: float) -> CellInputs:
    """Return the inputs of one cell, drawn from :data:`RANGES`; state of charge [-] as given."""
    drawn = {}
    for name, (low, high, logarithmic) in RANGES.items():
        value = random.uniform(np.log(low), np.log(high)) if logarithmic else random.uniform(low, high)
        drawn[name] = np.array([np.exp(value) if logarithmic else value])
    temperature = np.clip(drawn["ambient"] + random.uniform(*_OFFSETS), ZERO_CELSIUS + 5.0, ZERO_CELSIUS + 50.0)
    return CellInputs(**drawn, soc=np.array([soc]), temperature=temperature)
