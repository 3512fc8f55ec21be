"""The picture of the bench of state of health: six protocols, prediction against truth with bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celltwin.prognosis import cell_quantile
from celltwin.prognosis.protocol_figures import score_predictions
from celltwin.prognosis.protocol_runs import ProtocolPredictions
from tools.bench.pictures import save_picture

__all__ = ["plot_protocols"]

TITLES = {
    "2C": "2C charge",
    "3C": "3C charge",
    "R2.5": "discharge in turn at 0.5C to 5C (R2.5)",
    "R3": "discharge in turn to 3.0 V (R3)",
    "RW": "random walk (RW)",
    "Sim_satellite": "satellite (Sim_satellite)",
}
COLOURS = ("#1f5fa8", "#c65102", "#2c8c4a", "#8e44ad")
BAND = 0.90


def plot_protocols(path: Path, predictions: ProtocolPredictions, training: ProtocolPredictions) -> None:
    """Draw SOH of every scored cell over its cycles: measured as points, predicted as a line in a band.

    Parameters
    ----------
    path : Path
        File to write.
    predictions : ProtocolPredictions
        Of the honest protocol.
    training : ProtocolPredictions
        Of the training cells in folds: the band holds 90 % of their errors, each cell weighing the same and the
        unseen cell counting as one more, so that nothing of the cells that are drawn sets their bands.
    """
    import matplotlib.pyplot as plt

    figures = score_predictions(predictions)
    errors = np.abs(training.predicted.mean(axis=0) - training.soh)
    half = 100.0 * cell_quantile(errors, training.cell, BAND)
    predicted = 100.0 * predictions.predicted.mean(axis=0)
    inside = float(np.mean(np.abs(predicted - 100.0 * predictions.soh) <= half))
    figure, axes = plt.subplots(2, 3, figsize=(13.0, 7.4), layout="constrained", sharey=True)
    for axis, batch in zip(axes.flat, figures.batches, strict=False):
        rows = predictions.protocol == batch.name
        for colour, cell in zip(COLOURS, np.unique(predictions.cell[rows]), strict=False):
            own = predictions.cell == cell
            cycle, line = predictions.cycle[own], predicted[own]
            axis.fill_between(cycle, line - half, line + half, color=colour, alpha=0.13, linewidth=0.0)
            axis.plot(cycle, 100.0 * predictions.soh[own], ".", color=colour, markersize=2.4, alpha=0.5)
            axis.plot(cycle, line, color=colour, linewidth=1.3, label=str(cell).rpartition("-")[2])
        axis.set_title(f"{TITLES.get(batch.name, batch.name)}: MAPE {batch.mape:.2f} %", fontsize=10.5)
        axis.grid(visible=True, alpha=0.3)
        axis.legend(fontsize=8, frameon=False, loc="lower left", title="cell", title_fontsize=8)
    for axis in axes[1]:
        axis.set_xlabel("Cycle")
    for axis in axes[:, 0]:
        axis.set_ylabel("SOH (capacity over 2.0 A.h) [%]")
    figure.suptitle(
        f"XJTU cells that nothing was fitted to: measured (points), predicted ({predictions.kind['kind']}, line), "
        f"90 % band from training cells (±{half:.1f} points; it holds {100.0 * inside:.0f} % of these cycles)",
        fontsize=11,
    )
    save_picture(figure, path, dpi=120, framed=False)
