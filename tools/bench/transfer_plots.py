"""The picture of the bench of transfer: errors at few labels, and what is forgotten with and without replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from celltwin.prognosis.transfer import METHODS, MethodFigures
from tools.bench.pictures import save_picture

if TYPE_CHECKING:
    from tools.bench.transfer import StreamErrors

__all__ = ["plot_transfer"]

SHOWN = {
    "mean": "#9aa0a6",
    "kernel": "#2c8c4a",
    "scratch": "#1f5fa8",
    "pretrained": "#d9a441",
    "tuned": "#c65102",
    "rehearsed": "#8e44ad",
}
MEMORY_COLOURS = {0: "#c65102", 200: "#d9a441", 1000: "#1f5fa8"}


def plot_transfer(
    path: Path, scored: Mapping[str, Mapping[str, Mapping[str, MethodFigures]]], streams: Sequence[StreamErrors]
) -> None:
    """Draw errors by method with their 90 % intervals, one panel a transfer, and errors on old protocols by update.

    Parameters
    ----------
    path : Path
        File to write.
    scored : mapping
        Figures by transfer, labels and method.
    streams : sequence of StreamErrors
        Streams.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(scored) + 1, figsize=(4.4 * (len(scored) + 1), 4.6), layout="constrained")
    for axis, (name, budgets) in zip(axes, scored.items(), strict=False):
        for place, (method, colour) in enumerate(SHOWN.items()):
            values = [methods[method] for methods in budgets.values()]
            mape = [value.mape for value in values]
            reach = [
                [value.mape - value.low for value in values],
                [value.high - value.mape for value in values],
            ]
            at = [index + 0.13 * (place - 0.5 * (len(SHOWN) - 1)) for index in range(len(values))]
            axis.errorbar(at, mape, yerr=reach, fmt="o", color=colour, markersize=4.5, capsize=2, label=METHODS[method])
        axis.set_xticks(range(len(budgets)), [label.replace(", ", ",\n") for label in budgets], fontsize=8.5)
        axis.set_title(f"{name[:1].upper()}{name[1:]}", fontsize=10.5)
        axis.set_ylim(bottom=0.0)
        axis.grid(visible=True, axis="y", alpha=0.3)
    axes[0].set_ylabel("MAPE of SOH on held-out cells [%]")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(SHOWN), fontsize=8.5, frameon=False
    )
    axis = axes[-1]
    for stream in streams:
        if stream.promoted_only:
            continue
        style = "-" if stream.data == "xjtu_cycles" else "--"
        label = f"{stream.data.removesuffix('_cycles').upper()}, memory of {stream.memory}"
        axis.plot(stream.known, style, color=MEMORY_COLOURS[stream.memory], label=label, marker=".", markersize=5)
    axis.set_title("Old protocols while new ones are learnt", fontsize=10.5)
    axis.set_xlabel("update")
    axis.set_ylim(bottom=0.0)
    axis.grid(visible=True, axis="y", alpha=0.3)
    axis.legend(fontsize=7.5, frameon=False)
    save_picture(figure, path, framed=False)
