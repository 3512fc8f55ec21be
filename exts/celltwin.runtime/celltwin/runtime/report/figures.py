"""The report's figures: arrays in, SVG text out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, find_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "add_legend",
    "draw_deviations",
    "draw_life",
    "draw_pack",
    "draw_range",
    "draw_risk",
    "draw_soc",
    "draw_soh",
    "figure_rows",
    "svg_text",
    "time_axis",
]

BLUE, ORANGE, GREEN, RED, GREY = "#2f6db3", "#d9731a", "#3a8f5c", "#c0392b", "#8a8f98"
CALM = (BLUE, GREEN, "#2a9aa5", "#7b52a1", "#6b7280", "#1e3a8a", "#4d7c0f", "#a1466b")
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa0a8",
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelcolor": "#333842",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "grid.color": "#e6e8eb",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "celltwin",
    "xtick.color": "#555b66",
    "ytick.color": "#555b66",
}
# More elements than this are drawn as a band.
MOST_LINES = 12
# A longer run is shown in hours [s].
LONGEST_IN_MINUTES = 4.0 * 3600.0
# And a still longer one in days [s].
LONGEST_IN_HOURS = 4.0 * 86400.0


def draw_pack(time: Array, current: Array, voltage: Array) -> str:
    """Draw pack voltage above pack current.

    Parameters
    ----------
    time : ndarray of shape (n_steps,)
        Times [s].
    current : ndarray of shape (n_steps,)
        Pack current [A], positive on discharge.
    voltage : ndarray of shape (n_steps,)
        Pack voltage [V].
    """
    with figure_rows(rows=2, height=4.2) as (figure, (upper, lower)):
        minutes = time / 60.0
        upper.plot(minutes, voltage, color=BLUE)
        upper.set_ylabel("Pack voltage [V]")
        figure.align_ylabels()
        lower.axhline(0.0, color=GREY, linewidth=0.7)
        lower.plot(minutes, current, color=ORANGE)
        lower.set_ylabel("Pack current [A]\n(discharge positive)")
        lower.set_xlabel("Time [min]")
        return svg_text(figure)


def draw_range(
    time: Array,
    values: Array,
    ids: tuple[str, ...],
    quantity: str,
    marked: tuple[int, ...],
    noun: str,
    *,
    remark: str = " (weakest)",
) -> str:
    """Draw a quantity of many elements: each of a few, or the band of many with the marked ones on top.

    Parameters
    ----------
    time : ndarray of shape (n_steps,)
        Times [s].
    values : ndarray of shape (n_steps, n)
        Values [SI].
    ids : tuple of str
        Id of each element.
    quantity : str
        Key of the quantity, for label and unit.
    marked : tuple of int
        Indices of elements to draw by themselves.
    noun : str
        What an element is, such as ``"group"``.
    remark : str
        What the legend adds to the ids of marked elements of a few.
    """
    shown = find_quantity(quantity)
    display = shown.display_scale * values + shown.display_offset
    shown_time, time_label = time_axis(time)
    with figure_rows(height=3.2) as (figure, (axes,)):
        if values.shape[1] <= MOST_LINES:
            for index in range(values.shape[1]):
                strong = index in marked
                colour = (RED, ORANGE)[marked.index(index) % 2] if strong else CALM[index % len(CALM)]
                axes.plot(
                    shown_time,
                    display[:, index],
                    color=colour,
                    linewidth=2.0 if strong else 1.1,
                    label=ids[index] + (remark if strong else ""),
                )
        else:
            bands = np.full((5, time.size), np.nan)  # breaks of the lines stay
            known = np.isfinite(display).any(axis=1)
            bands[:, known] = np.nanpercentile(display[known], [0, 25, 50, 75, 100], axis=1)
            low, quarter, middle, three, high = bands
            axes.fill_between(
                shown_time, low, high, color=BLUE, alpha=0.18, linewidth=0, label=f"all {values.shape[1]} {noun}s"
            )
            axes.fill_between(shown_time, quarter, three, color=BLUE, alpha=0.35, linewidth=0, label="middle half")
            axes.plot(shown_time, middle, color=BLUE, label="median")
            for order, index in enumerate(marked):
                axes.plot(
                    shown_time,
                    display[:, index],
                    color=(RED, ORANGE, GREEN)[order % 3],
                    linewidth=1.1,
                    label=ids[index],
                )
        word = shown.label if shown.label.isupper() else shown.label.lower()
        axes.set_ylabel(f"{noun.capitalize()} {word} [{shown.display_unit}]")
        axes.set_xlabel(time_label)
        add_legend(axes)
        return svg_text(figure)


def draw_soc(time: Array, soc: Array, uncertainty: Array, lowest: Array, highest: Array) -> str:
    """Draw the pack's state of charge with its 95 % band, and the spread of the groups.

    Parameters
    ----------
    time, soc, uncertainty : ndarray of shape (n_steps,)
        Times [s], state of charge [1] and its standard uncertainty [1].
    lowest, highest : ndarray of shape (n_steps,)
        Lowest and highest group [1]; NaN where unknown.
    """
    minutes = time / 60.0
    with figure_rows(height=3.0) as (figure, (axes,)):
        if np.isfinite(lowest).any():
            axes.fill_between(
                minutes,
                100 * lowest,
                100 * highest,
                color=ORANGE,
                alpha=0.30,
                linewidth=0,
                label="lowest to highest group",
            )
        axes.fill_between(
            minutes,
            100 * (soc - 1.96 * uncertainty),
            100 * (soc + 1.96 * uncertainty),
            color=BLUE,
            alpha=0.18,
            linewidth=0,
            label="pack, 95 % interval",
        )
        axes.plot(minutes, 100 * soc, color=BLUE, label="pack")
        axes.set_ylabel("SOC [%]")
        axes.set_xlabel("Time [min]")
        axes.set_ylim(-3.0, 103.0)
        add_legend(axes)
        return svg_text(figure)


def draw_soh(predicted: Array, trusted: NDArray[np.bool_], truth: Array | None) -> str:
    """Draw the histogram of predicted cell health, with the simulated plant's truth where there is one.

    Parameters
    ----------
    predicted : ndarray of shape (n_cells,)
        Predicted SOH [1]; NaN where there is none.
    trusted : ndarray of bool, shape (n_cells,)
        Where the prediction may be trusted.
    truth : ndarray of shape (n_cells,) or None
        True SOH [1].
    """
    known = np.isfinite(predicted)
    everything = predicted[known] if truth is None else np.concatenate([predicted[known], truth])
    low, high = np.floor(everything.min() * 100.0) - 1.0, np.ceil(everything.max() * 100.0) + 1.0
    bins = np.linspace(low, high, 41).tolist()
    with figure_rows(height=3.0) as (figure, (axes,)):
        axes.hist(
            [100 * predicted[known & trusted], 100 * predicted[known & ~trusted]],
            bins=bins, stacked=True, color=[BLUE, "#c3c7ce"], label=["predicted", "predicted, not to be trusted"],
        )  # fmt: skip
        if truth is not None:
            axes.hist(
                100 * truth,
                bins=bins,
                histtype="step",
                color=ORANGE,
                linewidth=1.6,
                label="truth of the simulated plant",
            )
        axes.set_xlabel("SOH [%]")
        axes.set_ylabel("Cells")
        add_legend(axes)
        return svg_text(figure)


def draw_life(ids: tuple[str, ...], cycles: Array, half_width: Array, trusted: NDArray[np.bool_], pack: float) -> str:
    """Draw the remaining life of modules with their intervals.

    Parameters
    ----------
    ids : tuple of str
        Id of each module.
    cycles, half_width : ndarray of shape (n,)
        Remaining life and half width of its interval [cycles]; NaN where there is none.
    trusted : ndarray of bool, shape (n,)
        Where the prediction may be trusted.
    pack : float
        Remaining life of the pack [cycles].
    """
    with figure_rows(height=3.0) as (figure, (axes,)):
        place = np.arange(cycles.size)
        low = np.maximum(cycles - half_width, 0.0)
        for chosen, colour, word in ((trusted, BLUE, "module, 95 % interval"), (~trusted, GREY, "not to be trusted")):
            known = chosen & np.isfinite(cycles)
            if known.any():
                axes.errorbar(
                    place[known],
                    cycles[known],
                    yerr=(cycles[known] - low[known], half_width[known]),
                    fmt="o",
                    color=colour,
                    capsize=3.0,
                    label=word,
                )
        axes.axhline(pack, color=RED, linewidth=1.0, label="pack")
        axes.set_ylim(bottom=0.0)
        if cycles.size <= MOST_LINES:
            axes.set_xticks(place, ids)
        axes.set_ylabel("Cycles left")
        axes.set_xlabel("Module")
        add_legend(axes)
        return svg_text(figure)


def draw_risk(time: Array, pack: Array, cell: Array) -> str:
    """Draw the risk of thermal runaway over time, on a logarithmic axis.

    Parameters
    ----------
    time : ndarray of shape (n_steps,)
        Times [s].
    pack, cell : ndarray of shape (n_steps,)
        Probability [1] that any cell runs away, and that of the cell most at risk; NaN where there is none.
    """
    shown_time, time_label = time_axis(time)
    with figure_rows(height=3.0) as (figure, (axes,)):
        axes.semilogy(shown_time, pack, color=RED, label="any cell of the pack")
        axes.semilogy(shown_time, cell, color=BLUE, label="the cell most at risk")
        axes.set_xlabel(time_label)
        axes.set_ylabel("Probability of\nthermal runaway [-]")
        add_legend(axes)
        return svg_text(figure)


def draw_deviations(deviation: Array, ids: tuple[str, ...], weakest: tuple[int, ...]) -> str:
    """Draw how far each group stays from the pack's median under load.

    Parameters
    ----------
    deviation : ndarray of shape (n_groups,)
        Mean deviation under discharge [V]; NaN where unknown.
    ids : tuple of str
        Id of each group.
    weakest : tuple of int
        Indices of the weakest groups.
    """
    with figure_rows(height=2.8) as (figure, (axes,)):
        index = np.arange(deviation.size)
        axes.bar(index, 1000 * deviation, color=[RED if number in weakest else BLUE for number in index], width=0.75)
        axes.axhline(0.0, color=GREY, linewidth=0.7)
        if deviation.size <= MOST_LINES:
            axes.set_xticks(index, ids)
        else:
            axes.set_xticks(weakest, [ids[number] for number in weakest], rotation=30, ha="right")
        axes.set_ylabel("Deviation from\nthe median [mV]")
        axes.set_xlabel("Group")
        return svg_text(figure)


def time_axis(time: Array) -> tuple[Array, str]:
    """Return times [s] in the unit that suits their length, and the label of their axis."""
    if time.size and time[-1] > LONGEST_IN_HOURS:
        return time / 86400.0, "Time [days]"
    if time.size and time[-1] > LONGEST_IN_MINUTES:
        return time / 3600.0, "Time [h]"
    return time / 60.0, "Time [min]"


@contextmanager
def figure_rows(rows: int = 1, height: float = 3.0) -> Iterator[tuple[Figure, list[Axes]]]:
    """Open a figure of the report's style: as many axes one above the other, with one time axis."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.4, height), layout="constrained")
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        yield figure, list(axes)


def add_legend(axes: Axes) -> None:
    """Add a legend where there is more than one thing to tell apart."""
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > 1:
        axes.legend(fontsize=8, ncols=1 if len(handles) <= 4 else 2, loc="best")


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
