"""Constants and tables of the surrogate that its torch module and its serving kernel share."""

from __future__ import annotations

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array

from .cell_laws import CellLaws, ElectrodeLaws
from .diffusion_modes import SphereModes

__all__ = [
    "BLOCK",
    "FASTEST",
    "FLOOR",
    "GATES",
    "GATE_SCALES",
    "GUESSED_RESISTANCE",
    "LEAST",
    "NEGATIVE_CORRECTIONS",
    "N_INPUTS",
    "N_OUTPUTS",
    "OUTPUT_SCALES",
    "POLES",
    "TINY",
    "electrode_pieces",
    "pole_rates",
    "pole_shares",
    "straight_pieces",
]

POLES = (5, 3)  # of a negative and of a positive particle
NEGATIVE_CORRECTIONS = 3  # modes of the negative particle that the network corrects
GATES = 4  # what the network's outputs are multiplied with: all are 0 in a cell at rest
QUANTITIES = NEGATIVE_CORRECTIONS + 3  # corrected modes, positive surface, voltage, anode potential
N_INPUTS = 4 + sum(POLES)
N_OUTPUTS = GATES * QUANTITIES
OUTPUT_SCALES = (*[0.02] * NEGATIVE_CORRECTIONS, 0.005, 0.02, 0.02)  # [-], [-], [V], [V]
GATE_SCALES = (1.0, 10.0, 30.0, 1.0)  # of rate [1/h], departures of both surfaces [-], electrolyte [1/h]
FLOOR = 0.02  # share of the mean from which on a surface approaches 0, or 1, smoothly; at rest it is the mean
FASTEST, TINY = -60.0, 1e-20  # exponent of a step's decay; level at which modes come to rest
LEAST = 1e-3  # [-] of stoichiometry: emptier means are out of every range
GUESSED_RESISTANCE = 0.035  # [ohm] of polarisation, for the temperatures within a block only
BLOCK = 6  # steps in which a temperature is guessed before it is computed


def pole_rates() -> tuple[Array, Array]:
    """Return the rates of the poles of a negative and of a positive particle, over its diffusivity [-]."""
    negative, positive = (SphereModes.first(count).rates for count in POLES)
    return negative, positive


def pole_shares(laws: CellLaws) -> tuple[Array, Array]:
    """Return the steady departures of the poles of both particles, for a rate of 1 1/h and a diffusivity of 1 1/s."""
    negative, positive = (
        -SphereModes.first(count).shares * (side.full - side.empty) / (3.0 * SECONDS_PER_HOUR)
        for count, side in zip(POLES, (laws.negative, laws.positive), strict=True)
    )
    return negative, positive


def straight_pieces(values: Array) -> Array:
    """Return a table's pieces: value at the lower knot and rise to the next, shape (n_points - 1, 2)."""
    return np.stack([values[:-1], np.diff(values)], axis=1)


def electrode_pieces(electrode: ElectrodeLaws) -> Array:
    """Return pieces of an electrode's potential, entropic change and logarithm of the exchange current.

    Parameters
    ----------
    electrode : ElectrodeLaws
        The electrode.

    Returns
    -------
    ndarray of shape (n_points - 1, 6)
        Three values, then their three rises.
    """
    columns = (electrode.potential, electrode.entropic, np.log(electrode.exchange))
    pieces = [straight_pieces(column) for column in columns]
    return np.stack([piece[:, part] for part in (0, 1) for piece in pieces], axis=1)
