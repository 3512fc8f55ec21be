"""Ageing along a given history: what the operating points of cells would have done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, ShapeError, freeze

from .ageing import AgeingModel
from .ageing_cells import CellAgeing
from .ageing_state import AgeingState, film_resistance, new_ageing_state
from .cell_model import CellModel
from .fields import CellField, Grid
from .lanes import lane_functions
from .launching import RecordingLauncher

__all__ = ["OPERATING_POINT", "AgeingTrajectory", "OperatingHistory", "age_along"]

OPERATING_POINT = (
    "temperature",
    "current",
    "potential_negative",
    "surface_negative",
    "surface_positive",
    "mean_negative",
    "mean_positive",
    "salt_negative",
    "salt_deviation",
)
_FILL = {"temperature": 298.15}  # of the cells that fill up the last bundle


@dataclass(frozen=True, kw_only=True, eq=False)
class OperatingHistory:
    """Operating points of cells at a fixed step; the value of a step holds during it.

    Attributes
    ----------
    step : float
        [s].
    temperature : ndarray of shape (n_steps, n_cells)
        [K].
    current : ndarray of shape (n_steps, n_cells)
        [A], positive on discharge.
    potential_negative : ndarray of shape (n_steps, n_cells)
        Open-circuit potential and overpotential of the negative electrode, U_n + eta_n [V].
    surface_negative, surface_positive, mean_negative, mean_positive : ndarray of shape (n_steps, n_cells)
        Stoichiometries [-].
    salt_negative : ndarray of shape (n_steps, n_cells)
        Salt in the negative electrode over its initial concentration [-].
    salt_deviation : ndarray of shape (n_steps, n_cells)
        Standard deviation of it through the electrode [-].
    """

    step: float
    temperature: Array
    current: Array
    potential_negative: Array
    surface_negative: Array
    surface_positive: Array
    mean_negative: Array
    mean_positive: Array
    salt_negative: Array
    salt_deviation: Array

    def __post_init__(self) -> None:
        """Check shapes and make the arrays read-only."""
        for name in OPERATING_POINT:
            values = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 2 or values.shape != self.temperature.shape:
                raise ShapeError(
                    f"{name} has the shape {values.shape}; expected (n_steps, n_cells) = {self.temperature.shape}"
                )
            object.__setattr__(self, name, freeze(values))

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.temperature.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class AgeingTrajectory:
    """What ageing did, sampled.

    Attributes
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    states : tuple of AgeingState
        At each time.
    side_charge : ndarray of shape (n_samples, n_cells)
        Charge that side reactions took from the negative particles since the beginning [A.h].
    film_resistance : ndarray of shape (n_samples, n_cells)
        [ohm].
    """

    time: Array
    states: tuple[AgeingState, ...]
    side_charge: Array
    film_resistance: Array


def age_along(
    model: AgeingModel,
    cell: CellModel,
    history: OperatingHistory,
    *,
    capacity_scale: Array | Sequence[float] | float = 1.0,
    state: AgeingState | None = None,
    sample_every: int = 1,
) -> AgeingTrajectory:
    """Return how cells age along given operating points, with the kernels of the pack engine.

    Parameters
    ----------
    model : AgeingModel
        The ageing model.
    cell : CellModel
        The cell type.
    history : OperatingHistory
        Operating points.
    capacity_scale : float or ndarray of shape (n_cells,)
        Capacity of each cell over that of the type [-].
    state : AgeingState, optional
        To begin with; new cells without it.
    sample_every : int
        Steps between two samples.
    """
    n_steps, n_cells = history.temperature.shape
    scale = np.broadcast_to(np.asarray(capacity_scale, dtype=np.float64), (n_cells,))
    grid = Grid(n_groups=n_cells, parallel=1, lanes=lane_functions(8), device="cpu")
    ageing = CellAgeing(model, cell, grid, negative_nodes=2)
    begin = state or new_ageing_state(model, cell, scale)
    rows = ageing.state(scale)
    ageing.write(rows, begin)
    scales = CellField(grid, fill=1.0)
    scales.write(scale)
    here = {name: CellField(grid, fill=_FILL.get(name, 0.5)) for name in OPERATING_POINT[:-2]}
    salt = CellField(grid, rows=2, fill=1.0)
    side, film, active_negative, active_positive = (CellField(grid) for _ in range(4))
    launcher = RecordingLauncher(grid.device)
    ageing.launch(
        launcher,
        history.step,
        scales,
        here["temperature"],
        here["current"],
        here["potential_negative"],
        here["surface_negative"],
        here["surface_positive"],
        here["mean_negative"],
        here["mean_positive"],
        salt,
        rows,
        rows,
        side,
        film,
        active_negative,
        active_positive,
    )
    (command,) = launcher.take()

    times, states, charges, films = [0.0], [begin], [np.zeros(n_cells)], [film_resistance(model, cell, begin, scale)]
    charge = np.zeros(n_cells)
    for k in range(n_steps):
        for name, field in here.items():
            field.write(getattr(history, name)[k])
        mean, deviation = history.salt_negative[k], history.salt_deviation[k]
        salt.write(np.stack([mean - deviation, mean + deviation]))
        command.launch()
        charge = charge + side.read() * (history.step / SECONDS_PER_HOUR)
        if (k + 1) % sample_every == 0 or k + 1 == n_steps:
            times.append((k + 1) * history.step)
            states.append(ageing.read(rows))
            charges.append(charge)
            films.append(film.read())
    return AgeingTrajectory(
        time=np.array(times), states=tuple(states), side_charge=np.array(charges), film_resistance=np.array(films)
    )
