"""The picture of the bench of optimisers: least cost against evaluations, and the trials of PyBOP's optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tools.bench.calibrate_optimisers import Search

__all__ = ["plot_optimisers"]

STYLES = {  # colour, label, width and dashes: least squares, alone or begun with, runs along the same line at first
    "bayesian": ("#d6538f", "Bayesian, whole cube", 1.6, "-"),
    "trust_region": ("#8e44ad", "Bayesian, trust region", 1.6, "-"),
    "cma": ("#c65102", "CMA-ES", 1.6, "-"),
    "least_squares": ("#9dc3e6", "least squares", 4.5, "-"),
    "multi_start": ("#1f3f78", "least squares, many starts", 1.6, "-"),
    "hybrid": ("#2ca02c", "least squares, then CMA-ES in turn", 1.6, (0, (3, 3))),
}
PYBOP_COLOUR = "#444444"
FIRST = 10  # evaluation that is drawn


def plot_optimisers(path: Path, searches: Sequence[Search], *, trial: int) -> None:
    """Draw the picture.

    Parameters
    ----------
    path : Path
        File to write.
    searches : sequence of Search
        Of all cells, methods, budgets and seeds.
    trial : int
        Budget of the trials of PyBOP's optimisers, which have a panel of their own.
    """
    import matplotlib.pyplot as plt

    cells = list(dict.fromkeys(each.cell for each in searches))
    trials = sorted((each for each in searches if each.budget == trial), key=lambda each: each.cost)
    columns = len(cells) + bool(trials)
    figure, axes = plt.subplots(1, columns, figsize=(4.9 * columns, 4.6), layout="constrained", squeeze=False)
    for axis, cell in zip(axes[0], cells, strict=False):
        _draw_cell(axis, cell, [each for each in searches if each.cell == cell and each.budget != trial])
    if trials:
        _draw_trials(axes[0, -1], trials, trial)
    handles: dict[str, Any] = {}
    for axis in axes[0, : len(cells)]:
        handles |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_cell(axis: Any, cell: str, searches: Sequence[Search]) -> None:
    """Draw each method's searches of its greatest budget: a line for each seed, a point where it stopped of itself."""
    present = dict.fromkeys(each.method for each in searches)
    for method in [*(name for name in present if name not in STYLES), *(name for name in STYLES if name in present)]:
        colour, label, width, dashes = STYLES.get(method, (PYBOP_COLOUR, method, 1.6, "-"))
        own = [each for each in searches if each.method == method]
        longest = max(each.budget for each in own)
        for number, search in enumerate(each for each in own if each.budget == longest):
            counts = np.arange(1, len(search.best) + 1)
            name = label if number == 0 else None
            style = {"color": colour, "linewidth": width, "linestyle": dashes, "drawstyle": "steps-post"}
            axis.plot(counts[FIRST - 1 :], search.best[FIRST - 1 :], label=name, **style)
            if len(search.best) < search.budget:
                axis.plot(counts[-1], search.best[-1], "o", color=colour, markersize=4.0 + width)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="Evaluations (1C, 2C and 3C together)",
        ylabel="Least cost so far [-]",
        title=f"{cell}, DFN, 24 parameters",
    )
    axis.grid(visible=True, which="major", alpha=0.3)


def _draw_trials(axis: Any, trials: Sequence[Search], budget: int) -> None:
    names = [each.method.removeprefix("PyBOP ") for each in trials][::-1]
    bars = axis.barh(names, [each.cost for each in trials][::-1], color=PYBOP_COLOUR)
    axis.bar_label(bars, fmt="{:,.0f}", padding=3)
    axis.set(xlabel="Least cost [-]", title=f"PyBOP on {trials[0].cell}, {budget} evaluations")
    axis.margins(x=0.2)
