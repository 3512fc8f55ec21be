"""Figures of an evaluation: errors of each protocol with intervals over cells and the scatter of seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .protocol_runs import ProtocolPredictions

__all__ = ["BatchFigures", "EvaluationFigures", "score_predictions"]

RESAMPLES = 2000
INTERVAL = (5.0, 95.0)  # percentiles of the resampled figures


@dataclass(frozen=True, kw_only=True)
class BatchFigures:
    """Figures of the cells of one protocol, or the mean over protocols.

    Attributes
    ----------
    name : str
        The protocol, or "mean".
    cells, cycles : int
        How many were scored.
    mape : float
        Mean absolute percentage error of SOH of the ensemble of all seeds [%].
    low, high : float
        90 % interval of it, if cells were drawn anew from the same batch [%].
    single : float
        Mean over seeds of the error of one seed alone [%].
    scatter : float
        Standard deviation of that error between seeds [%]; NaN of one seed.
    rmse : float
        Root mean square error of the ensemble [-].
    """

    name: str
    cells: int
    cycles: int
    mape: float
    low: float
    high: float
    single: float
    scatter: float
    rmse: float


@dataclass(frozen=True, kw_only=True)
class EvaluationFigures:
    """Figures of one model under one evaluation protocol.

    Attributes
    ----------
    batches : tuple of BatchFigures
        Of each protocol.
    mean : BatchFigures
        Mean over protocols; every protocol weighs the same.
    """

    batches: tuple[BatchFigures, ...]
    mean: BatchFigures

    def as_dict(self) -> dict[str, object]:
        """Return the figures as JSON takes them."""
        return {"batches": [asdict(batch) for batch in self.batches], "mean": asdict(self.mean)}


def score_predictions(predictions: ProtocolPredictions, *, seed: int = 0) -> EvaluationFigures:
    """Return the figures of predictions; every cycle of a cell counts, outliers too.

    Parameters
    ----------
    predictions : ProtocolPredictions
        What was said.
    seed : int
        Seed of the resampling of cells.
    """
    truth = predictions.soh
    ensemble = predictions.predicted.mean(axis=0)
    errors = 100.0 * np.abs(np.concatenate([ensemble[np.newaxis], predictions.predicted]) - truth) / truth
    random = np.random.default_rng(seed)
    batches, resampled, singles = [], [], []
    for name in np.unique(predictions.protocol):
        rows = predictions.protocol == name
        sums, counts = _by_cell(errors[:, rows], predictions.cell[rows])
        drawn = random.integers(0, counts.size, (RESAMPLES, counts.size))
        again = sums[0][drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        mape = sums.sum(axis=1) / counts.sum()
        rmse = float(np.sqrt(np.mean((ensemble[rows] - truth[rows]) ** 2)))
        batches.append(_figures(str(name), counts.size, int(counts.sum()), mape, again, rmse))
        resampled.append(again)
        singles.append(mape)
    mean = _figures(
        "mean",
        sum(batch.cells for batch in batches),
        sum(batch.cycles for batch in batches),
        np.mean(singles, axis=0),
        np.mean(resampled, axis=0),
        float(np.mean([batch.rmse for batch in batches])),
    )
    return EvaluationFigures(batches=tuple(batches), mean=mean)


def _by_cell(errors: Array, cells: NDArray[np.str_]) -> tuple[Array, Array]:
    """Return sums of errors (n_models, n_cells) and numbers of cycles (n_cells,)."""
    _, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(index, weights=row, minlength=counts.size) for row in errors])
    return sums, counts.astype(np.float64)


def _figures(name: str, cells: int, cycles: int, mape: Array, again: Array, rmse: float) -> BatchFigures:
    low, high = np.percentile(again, INTERVAL)
    return BatchFigures(
        name=name,
        cells=cells,
        cycles=cycles,
        mape=float(mape[0]),
        low=float(low),
        high=float(high),
        single=float(mape[1:].mean()),
        scatter=float(mape[1:].std(ddof=1)) if mape.size > 2 else float("nan"),
        rmse=rmse,
    )
