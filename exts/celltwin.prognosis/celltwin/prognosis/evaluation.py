"""How good an ensemble is on cells that nothing was fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cycles import CellCycles, stack_cells
from .features import feature_columns
from .soh_training import SohEnsemble, predict_soh

__all__ = ["ProtocolFigures", "evaluate_ensemble"]


@dataclass(frozen=True, kw_only=True)
class ProtocolFigures:
    """Figures of one protocol; every cycle of its cells counts, outliers too.

    Attributes
    ----------
    cells, cycles : int
        How many.
    mape : float
        Mean absolute percentage error of SOH [%].
    rmse : float
        Root mean square error of SOH [-].
    coverage : float
        Share of cycles inside the 90 % interval.
    width : float
        Mean width of the 90 % interval [SOH].
    flagged : float
        Share of cycles that the network declares to be outside its training data.
    """

    cells: int
    cycles: int
    mape: float
    rmse: float
    coverage: float
    width: float
    flagged: float


def evaluate_ensemble(ensemble: SohEnsemble, cells: tuple[CellCycles, ...]) -> dict[str, ProtocolFigures]:
    """Return the figures of each protocol among some cells."""
    columns = feature_columns(ensemble.settings.inputs)
    figures = {}
    for protocol in sorted({cell.protocol for cell in cells}):
        chosen = tuple(cell for cell in cells if cell.protocol == protocol)
        raw, soh, _ = stack_cells(chosen, columns)
        inputs = ensemble.scaling.apply(raw)
        predicted, spread = predict_soh(list(ensemble.networks), inputs, ensemble.target)
        distance = ensemble.territory.distance(inputs)
        threshold = ensemble.territory.threshold
        half = ensemble.calibration.wide_quantile * ensemble.calibration.scale(spread, distance, threshold)
        error = np.abs(predicted - soh)
        figures[protocol] = ProtocolFigures(
            cells=len(chosen),
            cycles=int(soh.size),
            mape=float(100.0 * np.mean(error / soh)),
            rmse=float(np.sqrt(np.mean(error**2))),
            coverage=float(np.mean(error <= half)),
            width=float(np.mean(2.0 * half)),
            flagged=float(np.mean(distance > threshold)),
        )
    return figures
