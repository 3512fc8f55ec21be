"""From medians and scales to a distribution and to intervals that hold what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..conformal import cell_quantile

__all__ = ["LEVELS_OF_CALIBRATION", "LifeCalibration", "calibrate"]

# Probabilities that the distribution is tabulated at.
LEVELS_OF_CALIBRATION = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
STANDARD, WIDE = 0.6827, 0.90
# The level is what is expected of a new cell, neither more nor less: no cell with errors above all others is added.
EXPECTED = 0.0


@dataclass(frozen=True, kw_only=True)
class LifeCalibration:
    """What cells that were left out say of a model's medians and scales.

    The remaining life is ``median + q * scale``, with q from a table of signed quantiles in which every cell
    weighs the same; an interval is ``median -+ wide * scale`` with the conformal quantile by cell.

    Attributes
    ----------
    quantiles : tuple of float
        Signed standardised errors at :data:`LEVELS_OF_CALIBRATION`, rising.
    standard, wide : float
        Conformal quantiles of the standardised absolute error at 68.27 and 90 %.
    resistance_wide : float
        The same at 90 % of the absolute logarithm of true over predicted resistance proxy at the end of life.
    cells : int
        Cells that reached the end of life; only they calibrate, up to their last cycle before it.
    """

    quantiles: tuple[float, ...]
    standard: float
    wide: float
    resistance_wide: float
    cells: int


def calibrate(left_out: dict[str, NDArray[np.generic]], end: int) -> LifeCalibration:
    """Return the calibration from predictions for cells that were left out.

    Cells that did not reach the end of life have no error and are left out here; they count in the training.

    Parameters
    ----------
    left_out : dict of str to ndarray
        See :class:`LifeEnsemble`.
    end : int
        Which level is the end of life.
    """
    remaining = np.asarray(left_out["remaining"], dtype=np.float64)[:, end]
    alive = np.asarray(left_out["arrived"], dtype=np.bool_)[:, end] & (remaining > 0.0)
    median, scale, grown, resistance = (
        np.asarray(left_out[name], dtype=np.float64)[alive, end] for name in ("median", "scale", "grown", "resistance")
    )
    cells = np.asarray(left_out["cell"], dtype=np.str_)[alive]
    score = (remaining[alive] - median) / scale
    known = np.isfinite(resistance)
    departure = np.abs(np.log(resistance[known] / grown[known]))
    return LifeCalibration(
        quantiles=tuple(_weighted_quantiles(score, cells)),
        standard=cell_quantile(np.abs(score), cells, STANDARD, unseen=EXPECTED),
        wide=cell_quantile(np.abs(score), cells, WIDE, unseen=EXPECTED),
        resistance_wide=(
            cell_quantile(departure, cells[known], WIDE, unseen=EXPECTED) if known.any() else float("nan")
        ),
        cells=int(np.unique(cells).size),
    )


def _weighted_quantiles(scores: Array, cells: NDArray[np.str_]) -> list[float]:
    _, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weight = (1.0 / counts[index])[order]
    share = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
    return [float(value) for value in np.interp(LEVELS_OF_CALIBRATION, share, scores[order])]
