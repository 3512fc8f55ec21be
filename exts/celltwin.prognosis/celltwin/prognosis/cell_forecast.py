"""What the served models say of every cycle of measured cells: SOH and remaining life, with intervals and doubts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .cycles import CellCycles, CycleSet
from .past_windows import blank_sampling_dependent, window_cycles
from .remaining_life.life_inputs import describe_cells
from .remaining_life.life_prediction import LIFE_DOUBTS, LifeDoubt
from .remaining_life.life_predictor import LifePredictor
from .served_models import same_capacity
from .soh_predictor import OTHER_CAPACITY
from .window_predictor import WindowPredictor

__all__ = ["COLUMNS", "CellForecast", "forecast_cells", "write_forecast"]

COLUMNS = (
    "cycle", "soh", "soh_low", "soh_high", "soh_doubts",
    "rul_cycles", "rul_low", "rul_high", "rul_doubts", "measured_soh",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class CellForecast:
    """What is said of one cell at each of its cycles, from its past up to it.

    Attributes
    ----------
    name, used_like : str
        The cell, and the cycling protocol that it was taken to be used like; empty where the models know it not.
    cycle, measured_soh : ndarray of shape (n,)
        Number of the cycle, and SOH as measured [-].
    soh, soh_half_width : ndarray of shape (n,)
        SOH and half of its 90 % interval [-]; NaN where nothing can be said.
    life, life_low, life_high : ndarray of shape (n,)
        Cycles that remain to the end of life: median and 90 % interval.
    soh_doubts, life_doubts : dict of str to ndarray of bool, shape (n,)
        Why an answer is not to be trusted.
    """

    name: str
    used_like: str
    cycle: Array
    measured_soh: Array
    soh: Array
    soh_half_width: Array
    life: Array
    life_low: Array
    life_high: Array
    soh_doubts: dict[str, NDArray[np.bool_]]
    life_doubts: dict[str, NDArray[np.bool_]]

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether measured SOH lies in its interval, shape (n,)."""
        found: NDArray[np.bool_] = np.abs(self.soh - self.measured_soh) <= self.soh_half_width
        return found


def forecast_cells(
    cycles: CycleSet,
    *,
    used_like: str = "",
    soh_model: Path | None = None,
    rul_model: Path | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> tuple[CellForecast, ...]:
    """Return what the served models say of measured cells, as a running twin would have said it cycle by cycle.

    Parameters
    ----------
    cycles : CycleSet
        The cells; their measured SOH is not looked at.
    used_like : str
        Cycling protocol of the training cells that all are used like; each cell's own protocol where empty.
    soh_model, rul_model : Path, optional
        Folders of models; the newest shipped ones where absent.
    on_cell : callable, optional
        Called with the numbers of finished and of all cells.

    Raises
    ------
    ModelError
        If a model is missing or damaged.
    """
    life = LifePredictor(rul_model)
    life.load()
    healths: dict[str, WindowPredictor] = {}
    made = []
    for number, cell in enumerate(cycles.cells):
        like = used_like or cell.protocol
        if like not in healths:
            healths[like] = WindowPredictor(soh_model, used_like=like)
            healths[like].load()
        made.append(_forecast(cell, like, cycles.nominal_capacity, healths[like], life))
        if on_cell:
            on_cell(number + 1, len(cycles.cells))
    return tuple(made)


def _forecast(
    cell: CellCycles, like: str, capacity: float, health: WindowPredictor, life: LifePredictor
) -> CellForecast:
    found = health.assess(blank_sampling_dependent(window_cycles((cell,), window=health.model.window)))
    inputs = describe_cells((replace(cell, protocol=like),), history=False)
    remains = life.assess(inputs)
    n = cell.soh.size
    known = like in health.model.duty_factors
    return CellForecast(
        name=cell.name,
        used_like=like if known else "",
        cycle=inputs.cycle,
        measured_soh=cell.soh,
        soh=found.soh,
        soh_half_width=found.half_width,
        life=remains.median,
        life_low=remains.lowest,
        life_high=remains.highest,
        soh_doubts={
            **found.reasons,
            LIFE_DOUBTS[LifeDoubt.UNKNOWN_DUTY]: np.full(n, not known),
            OTHER_CAPACITY: np.full(n, not same_capacity(capacity, health.model.nominal_capacity)),
        },
        life_doubts={
            **{text: (remains.doubts & bit) != 0 for bit, text in LIFE_DOUBTS.items()},
            OTHER_CAPACITY: np.full(n, not same_capacity(capacity, life.model.nominal_capacity)),
        },
    )


def write_forecast(forecast: CellForecast, file: Path) -> None:
    """Write a cell's forecast as CSV, one row a cycle: :data:`COLUMNS`; doubts are empty where there is none."""
    low, high = forecast.soh - forecast.soh_half_width, forecast.soh + forecast.soh_half_width
    numbers = (forecast.soh, low, high, forecast.life, forecast.life_low, forecast.life_high, forecast.measured_soh)
    soh_doubts, life_doubts = _texts(forecast.soh_doubts), _texts(forecast.life_doubts)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for row, cycle in enumerate(forecast.cycle):
            soh, soh_low, soh_high, left, left_low, left_high, measured = (
                f"{values[row]:.5g}" if np.isfinite(values[row]) else "" for values in numbers
            )
            table.writerow(
                (
                    int(cycle),
                    soh,
                    soh_low,
                    soh_high,
                    soh_doubts[row],
                    left,
                    left_low,
                    left_high,
                    life_doubts[row],
                    measured,
                )
            )


def _texts(doubts: dict[str, NDArray[np.bool_]]) -> list[str]:
    rows = zip(*doubts.values(), strict=True)
    return ["; ".join(name for name, holds in zip(doubts, row, strict=True) if holds) for row in rows]
