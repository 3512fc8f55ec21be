"""Figures of a calibration's report: arrays in, SVG text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import ZERO_CELSIUS, Array

from .calibration_evidence import FittedCurve
from .figures import BLUE, CALM, GREY, ORANGE, RED, add_legend, figure_rows, svg_text, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "draw_convergence",
    "draw_correlation",
    "draw_curve",
    "draw_overview",
    "draw_parameters",
    "short_name",
]

MOST_POINTS = 1500  # of a curve that a picture shows


def draw_overview(curves: Sequence[FittedCurve]) -> str:
    """Draw voltage and temperature of all curves over the charge drawn, measured and simulated."""
    warm = [curve for curve in curves if curve.has_temperature]
    with figure_rows(rows=2 if warm else 1, height=6.0 if warm else 3.6) as (figure, axes):
        for index, curve in enumerate(curves):
            colour = CALM[index % len(CALM)]
            kept, charge = _thinned(curve), curve.charge
            label = curve.name + (" (held out)" if curve.held_out else "")
            axes[0].plot(charge[kept], _shown(curve, curve.voltage)[kept], color=colour, linewidth=3.2, alpha=0.32)
            axes[0].plot(charge[kept], curve.simulated_voltage[kept], color=colour, linewidth=1.1, label=label)
            if curve.has_temperature:
                measured = _shown(curve, curve.temperature)[kept] - ZERO_CELSIUS
                axes[1].plot(charge[kept], measured, color=colour, linewidth=3.2, alpha=0.32)
                axes[1].plot(
                    charge[kept], curve.simulated_temperature[kept] - ZERO_CELSIUS, color=colour, linewidth=1.1
                )
        axes[0].set_ylabel("Cell voltage [V]")
        if warm:
            axes[1].set_ylabel("Cell temperature [°C]")
            figure.align_ylabels()
        axes[-1].set_xlabel("Charge drawn [A·h]")
        add_legend(axes[0])
        return svg_text(figure)


def draw_curve(curve: FittedCurve) -> str:
    """Draw voltage and temperature of one curve, each with the departure of the simulation below."""
    rows = 4 if curve.has_temperature else 2
    with figure_rows(rows=rows, height=6.4 if rows == 4 else 3.8) as (figure, axes):
        axes[0].get_gridspec().set_height_ratios([3.0, 1.2] * (rows // 2))  # type: ignore[union-attr]
        kept = _thinned(curve)
        time, label = time_axis(curve.time)
        panels: list[tuple[Axes, Axes, Array, Array, Array | None, float, str, str, str]] = [
            (
                axes[0],
                axes[1],
                curve.voltage,
                curve.simulated_voltage,
                curve.voltage_band,
                0.0,
                "Voltage [V]",
                "Residual\n[mV]",
                "mV",
            )
        ]
        if rows == 4:
            panels.append(
                (
                    axes[2],
                    axes[3],
                    curve.temperature,
                    curve.simulated_temperature,
                    curve.temperature_band,
                    ZERO_CELSIUS,
                    "Temperature [°C]",
                    "Residual\n[K]",
                    "K",
                )
            )
        for upper, lower, measured, simulated, band, zero, title, below, unit in panels:
            factor = 1e3 if unit == "mV" else 1.0
            if band is not None:
                low, high = band[:, kept]
                upper.fill_between(
                    time[kept], low - zero, high - zero, color=ORANGE, alpha=0.22, lw=0, label="90 % band"
                )
                ends = [factor * (simulated[kept] - end) for end in (high, low)]
                lower.fill_between(time[kept], *ends, color=ORANGE, alpha=0.22, lw=0)
            left_out = np.where(curve.scored, np.nan, measured)
            if np.isfinite(left_out).any():
                upper.plot(time[kept], left_out[kept] - zero, ".", color=GREY, markersize=2, label="left out")
            upper.plot(
                time[kept],
                _shown(curve, measured)[kept] - zero,
                color=BLUE,
                linewidth=3.2,
                alpha=0.35,
                label="measured",
            )
            upper.plot(time[kept], simulated[kept] - zero, color=ORANGE, linewidth=1.2, label="simulated")
            upper.set_ylabel(title)
            error = factor * np.where(curve.scored, simulated - measured, np.nan)
            lower.axhline(0.0, color=GREY, linewidth=0.7)
            lower.plot(time[kept], error[kept], color=RED, linewidth=1.0)
            lower.set_ylabel(below)
            add_legend(upper)
        axes[-1].set_xlabel(label)
        figure.align_ylabels()
        return svg_text(figure)


def draw_convergence(history: Array, stages: Sequence[tuple[str, int]]) -> str:
    """Draw the best cost over evaluations, stage by stage.

    Parameters
    ----------
    history : ndarray of shape (n, 3)
        Evaluations, seconds and best cost.
    stages : sequence of (str, int)
        Names of the stages and their evaluations.
    """
    with figure_rows(height=3.2) as (figure, (axes,)):
        first = 0
        for index, (name, count) in enumerate(stages):
            inside = (history[:, 0] > first) & (history[:, 0] <= first + count)
            if inside.any():
                end = np.append(history[inside, 0], first + count)
                cost = np.append(history[inside, 2], history[inside, 2][-1])
                axes.step(end, cost, where="post", color=CALM[index % len(CALM)], label=name)
            first += count
            axes.axvline(first, color=GREY, linewidth=0.5, linestyle=":")
        axes.set_yscale("log")
        axes.set_xlabel("Evaluations of all fitted curves")
        axes.set_ylabel("Best cost (half the sum of\nsquared standardised residuals)")
        add_legend(axes)
        return svg_text(figure)


def draw_parameters(parameters: Sequence[Mapping[str, Any]]) -> str:
    """Draw where each parameter lies between its bounds, with start and 95 % interval."""
    with figure_rows(height=0.23 * len(parameters) + 1.0) as (figure, (axes,)):
        for row, item in enumerate(parameters):
            axes.plot([0.0, 1.0], [row, row], color="#e3e6ea", linewidth=5, solid_capstyle="butt", zorder=1)
            interval = item.get("interval_95")
            if interval and None not in interval:
                ends = np.clip([_place(item, interval[0]), _place(item, interval[1])], 0.0, 1.0)
                axes.plot(ends, [row, row], color=BLUE, linewidth=5, alpha=0.4, solid_capstyle="butt", zorder=2)
            axes.plot(_place(item, item["start"]), row, "|", color=GREY, markersize=9, markeredgewidth=1.5, zorder=3)
            axes.plot(
                _place(item, item["value"]), row, "o", color=RED if item["at_bound"] else BLUE, markersize=5, zorder=4
            )
        axes.plot([], [], "o", color=BLUE, markersize=5, label="calibrated")
        axes.plot([], [], "|", color=GREY, markersize=9, markeredgewidth=1.5, label="start (prior's middle)")
        if any(item.get("interval_95") for item in parameters):
            axes.plot([], [], color=BLUE, linewidth=5, alpha=0.4, label="95 % interval")
        if any(item["at_bound"] for item in parameters):
            axes.plot([], [], "o", color=RED, markersize=5, label="at a bound")
        axes.set_yticks(range(len(parameters)), [short_name(item["name"]) for item in parameters], fontsize=7.5)
        axes.set_ylim(len(parameters) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xticks([0.0, 0.5, 1.0], ["lower bound", "middle", "upper bound"])
        axes.set_xlabel("Place between physical bounds, on the scale of the search")
        axes.grid(visible=False, axis="y")
        axes.legend(fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return svg_text(figure)


def draw_correlation(names: Sequence[str], correlation: Array) -> str:
    """Draw the correlations of the parameters as a map from -1 to 1."""
    count = len(names)
    with figure_rows(height=0.17 * count + 2.4) as (figure, (axes,)):
        found = axes.imshow(correlation, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="equal")
        axes.set_xticks(range(count), [short_name(name) for name in names], rotation=90, fontsize=6.5)
        axes.set_yticks(range(count), [short_name(name) for name in names], fontsize=6.5)
        axes.grid(visible=False)
        bar = figure.colorbar(found, ax=axes, shrink=0.7)
        bar.set_label("Correlation [-]")
        return svg_text(figure)


def short_name(name: str) -> str:
    """Return a parameter's name without its unit and with common words shortened."""
    name = name.split(" [")[0]
    for word, short in _SHORT:
        name = name.replace(word, short)
    return name


_SHORT = (
    ("Negative ", "Neg. "),
    ("Positive ", "Pos. "),
    ("electrode ", "el. "),
    ("active material volume fraction", "active fraction"),
    ("activation energy", "act. energy"),
    ("exchange-current density", "exchange current"),
    ("Total heat transfer coefficient", "Heat transfer"),
    ("entropic change", "entropy"),
)


def _place(item: Mapping[str, Any], value: float) -> float:
    low, high = item["low"], item["high"]
    if item["scale"] == "log":
        return float(np.log(max(value, 1e-300) / low) / np.log(high / low))
    return float((value - low) / (high - low))


def _shown(curve: FittedCurve, values: Array) -> Array:
    return np.where(curve.scored, values, np.nan)


def _thinned(curve: FittedCurve) -> Array:
    return np.unique(np.linspace(0, curve.time.size - 1, MOST_POINTS).astype(np.int64))
