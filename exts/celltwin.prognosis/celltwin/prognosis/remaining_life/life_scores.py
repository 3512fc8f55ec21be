"""How good predictions of remaining life are on cells that nothing was fitted to."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..cycles import CellCycles, CycleDataError
from .end_of_life import find_arrivals

__all__ = ["LifeFigures", "ScoredLives", "score_lives"]

SHARES = 5  # parts of a life that errors are told of separately
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredLives:
    """Predictions for every cycle of some cells before their end of life, beside the truth.

    Attributes
    ----------
    remaining : ndarray of shape (n,)
        True cycles to the end of life; of a cell that did not reach it, cycles to its last.
    arrived : ndarray of bool, shape (n,)
        False for the cycles of cells that did not reach it.
    median, lowest, highest : ndarray of shape (n,)
        Predicted median and 90 % interval [cycles]; the bounds may be NaN where a method has none.
    share : ndarray of shape (n,)
        Share of the cell's life that has passed.
    cell, duty : ndarray of str, shape (n,)
        Name of the cell, and its protocol.
    flagged : ndarray of bool, shape (n,)
        Declared not to be trusted.
    """

    remaining: Array
    arrived: NDArray[np.bool_]
    median: Array
    lowest: Array
    highest: Array
    share: Array
    cell: NDArray[np.str_]
    duty: NDArray[np.str_]
    flagged: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class LifeFigures:
    """Figures over the cells that reached the end of life; every cycle before it counts, the first too.

    Attributes
    ----------
    cells, cycles : int
        How many.
    censored_cells : int
        Cells that did not reach the end of life: not in any error.
    mae : float
        Mean absolute error, every cycle weighing the same [cycles].
    mae_low, mae_high : float
        Its 90 % interval, cells drawn anew.
    mae_cells : float
        Mean absolute error of each cell, averaged over cells [cycles].
    mape, within_15 : float
        Mean absolute error over true remaining life, and share of cycles with less than 15 % of it, over the cycles
        with at least 15 left.
    by_duty : dict of str to float
        Error of each protocol: mean of its cells' [cycles].
    by_share : tuple of float
        Error in each fifth of life, every cycle weighing the same [cycles].
    coverage, coverage_cells : float
        Share of cycles in the 90 % interval; the same averaged over cells.
    gap : float
        Absolute departure of the coverage from 0.9, mean over protocols.
    width : float
        Mean width of the 90 % interval [cycles].
    flagged : float
        Share of cycles declared not to be trusted.
    censored_consistent : float
        Share of the cycles of censored cells whose interval does not end before what the cell was seen to live;
        NaN where there is none.
    """

    cells: int
    cycles: int
    censored_cells: int
    mae: float
    mae_low: float
    mae_high: float
    mae_cells: float
    mape: float
    within_15: float
    by_duty: dict[str, float]
    by_share: tuple[float, ...]
    coverage: float
    coverage_cells: float
    gap: float
    width: float
    flagged: float
    censored_consistent: float

    def as_dict(self) -> dict[str, object]:
        """Return the figures as JSON takes them."""
        return asdict(self)


def line_up(
    cells: tuple[CellCycles, ...],
    end_of_life: float,
    median: Array,
    lowest: Array | None = None,
    highest: Array | None = None,
    flagged: NDArray[np.bool_] | None = None,
) -> ScoredLives:
    """Return predictions for all cycles of some cells, one after another, beside the truth.

    Parameters
    ----------
    cells : tuple of CellCycles
        The cells, in the order of the predictions.
    end_of_life : float
        SOH at which life ends.
    median, lowest, highest : ndarray of shape (n_cycles of all cells,)
        Predicted cycles to the end of life, and 90 % interval.
    flagged : ndarray of bool, same shape, optional
        Declared not to be trusted.
    """
    arrivals = find_arrivals(cells, np.array([end_of_life]))
    lengths = [cell.soh.size for cell in cells]
    cycle = np.concatenate([np.arange(1.0, length + 1.0) for length in lengths])
    life, arrived = (np.repeat(values[:, 0], lengths) for values in (arrivals.cycle, arrivals.arrived))
    if median.shape != cycle.shape:
        raise CycleDataError(f"{median.size} predictions for {cycle.size} cycles", remedy="Predict every cycle")
    remaining = life - cycle
    counts = np.where(arrived, remaining > 0.0, remaining >= 0.0)
    nothing = np.full(cycle.size, np.nan)
    return ScoredLives(
        remaining=remaining[counts],
        arrived=arrived[counts],
        median=median[counts],
        lowest=(nothing if lowest is None else lowest)[counts],
        highest=(nothing if highest is None else highest)[counts],
        share=(cycle / life)[counts],
        cell=np.repeat([cell.name for cell in cells], lengths)[counts],
        duty=np.repeat([cell.protocol for cell in cells], lengths)[counts],
        flagged=(np.zeros(cycle.size, dtype=np.bool_) if flagged is None else flagged)[counts],
    )


def score_lives(scored: ScoredLives, *, seed: int = 1) -> LifeFigures:
    """Return the figures of some predictions.

    Raises
    ------
    CycleDataError
        If no cell reached the end of life.
    """
    known = scored.arrived
    if not known.any():
        raise CycleDataError("no cell reached the end of life", remedy="Choose a higher --end-of-life")
    error = np.abs(scored.median - scored.remaining)[known]
    names, index, counts = np.unique(scored.cell[known], return_inverse=True, return_counts=True)
    sums = np.bincount(index, error)
    drawn = np.random.default_rng(seed).integers(names.size, size=(RESAMPLES, names.size))
    resampled = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    by_cell = sums / counts
    duty_of = np.array([scored.duty[known][index == number][0] for number in range(names.size)])
    inside = ((scored.lowest <= scored.remaining) & (scored.remaining <= scored.highest))[known].astype(float)
    inside_cells = np.bincount(index, inside) / counts
    part = np.minimum((scored.share[known] * SHARES).astype(np.intp), SHARES - 1)
    late = scored.remaining[known] >= 15.0
    relative = error[late] / scored.remaining[known][late]
    has_interval = bool(np.isfinite(scored.lowest).all())
    open_ended = scored.highest[~known] >= scored.remaining[~known]
    return LifeFigures(
        cells=int(names.size),
        cycles=int(error.size),
        censored_cells=int(np.unique(scored.cell[~known]).size),
        mae=float(error.mean()),
        mae_low=float(np.quantile(resampled, 0.05)),
        mae_high=float(np.quantile(resampled, 0.95)),
        mae_cells=float(by_cell.mean()),
        mape=float(relative.mean()),
        within_15=float((relative <= 0.15).mean()),
        by_duty={str(duty): float(by_cell[duty_of == duty].mean()) for duty in np.unique(duty_of)},
        by_share=tuple(float(error[part == number].mean()) for number in range(SHARES)),
        coverage=float(inside.mean()) if has_interval else float("nan"),
        coverage_cells=float(inside_cells.mean()) if has_interval else float("nan"),
        gap=float(np.mean([abs(inside_cells[duty_of == duty].mean() - 0.9) for duty in np.unique(duty_of)]))
        if has_interval
        else float("nan"),
        width=float((scored.highest - scored.lowest)[known].mean()),
        flagged=float(scored.flagged[known].mean()),
        censored_consistent=float(open_ended.mean()) if open_ended.size and has_interval else float("nan"),
    )
