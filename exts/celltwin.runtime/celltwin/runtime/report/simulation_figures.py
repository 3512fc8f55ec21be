"""Figures of a simulated scenario: arrays in, SVG text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import ZERO_CELSIUS, Array

from .figures import BLUE, GREEN, GREY, ORANGE, RED, add_legend, figure_rows, svg_text, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "break_lines",
    "draw_energy",
    "draw_losses",
    "draw_reactions",
    "draw_sensor",
    "draw_spreads",
    "draw_terminals",
    "draw_thermal",
]

# Faults, each a time [s] and a name.
Marks = tuple[tuple[float, str], ...]


def break_lines(time: Array, longest: float, *values: Array) -> tuple[Array, ...]:
    """Return times and values with a row of NaN in each gap, so that lines do not cross what was not simulated.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    longest : float
        Time between two samples that is no gap [s].
    *values : ndarray of shape (n_samples,) or (n_samples, n)
        What is drawn over time.
    """
    gaps = np.flatnonzero(np.diff(time) > longest) + 1
    return (np.insert(time, gaps, time[gaps]), *(np.insert(value, gaps, np.nan, axis=0) for value in values))


def draw_terminals(time: Array, voltage: Array, current: Array, power: Array, marks: Marks) -> str:
    """Draw voltage, current and power of the pack, with the faults as vertical lines.

    Parameters
    ----------
    time, voltage, current, power : ndarray of shape (n_samples,)
        [s, V, A, W]; current and power are positive on discharge.
    marks : tuple of (float, str)
        Time and name of each fault.
    """
    shown, label = time_axis(time)
    with figure_rows(rows=3, height=5.6) as (figure, (upper, middle, lower)):
        upper.plot(shown, voltage, color=BLUE)
        upper.set_ylabel("Pack voltage [V]")
        middle.axhline(0.0, color=GREY, linewidth=0.7)
        middle.plot(shown, current, color=ORANGE)
        middle.set_ylabel("Pack current [A]\n(discharge positive)")
        lower.axhline(0.0, color=GREY, linewidth=0.7)
        lower.plot(shown, power / 1000.0, color=GREEN)
        lower.set_ylabel("Pack power [kW]\n(discharge positive)")
        lower.set_xlabel(label)
        for axes in (upper, middle, lower):
            _mark(axes, marks, time)
        for when, name in _inside(marks, time):
            upper.annotate(
                name,
                (float(time_axis(np.array([when, time[-1]]))[0][0]), 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -3),
                textcoords="offset points",
                fontsize=7.5,
                color=RED,
                rotation=90,
                va="top",
            )
        figure.align_ylabels()
        return svg_text(figure)


def draw_spreads(time: Array, group_voltage: Array, cell_soc: Array, marks: Marks) -> str:
    """Draw how far the groups' voltages and the cells' states of charge lie apart.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    group_voltage : ndarray of shape (n_samples, n_groups)
        [V].
    cell_soc : ndarray of shape (n_samples, n_cells)
        [1].
    marks : tuple of (float, str)
        Time and name of each fault.
    """
    shown, label = time_axis(time)
    with figure_rows(rows=2, height=4.0) as (figure, (upper, lower)):
        upper.plot(shown, 1000.0 * np.ptp(group_voltage, axis=1), color=BLUE)
        upper.set_ylabel("Group voltages,\nhighest - lowest [mV]")
        lower.plot(shown, 100.0 * np.ptp(cell_soc, axis=1), color=ORANGE)
        lower.set_ylabel("Cells' SOC,\nhighest - lowest [%]")
        lower.set_xlabel(label)
        for axes in (upper, lower):
            axes.set_ylim(bottom=0.0)
            _mark(axes, marks, time)
        figure.align_ylabels()
        return svg_text(figure)


def draw_thermal(
    time: Array, temperature: Array, coolant: Array | None, ambient: Array, limit: float, marks: Marks
) -> str:
    """Draw the envelope of the cells' temperatures with what surrounds them, and how far they lie apart.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    temperature : ndarray of shape (n_samples, n_cells)
        [K].
    coolant : ndarray of shape (n_samples, n_modules) or None
        Where it leaves each module [K]; NaN where it stands.
    ambient : ndarray of shape (n_samples,)
        [K].
    limit : float
        Highest temperature of the cell's data sheet [K].
    marks : tuple of (float, str)
        Time and name of each fault.
    """
    shown, label = time_axis(time)
    celsius = temperature - ZERO_CELSIUS
    low, high = celsius.min(axis=1), celsius.max(axis=1)
    hottest = int(np.argmax(np.nanmax(celsius, axis=0)))
    with figure_rows(rows=2, height=5.2) as (figure, (upper, lower)):
        upper.fill_between(shown, low, high, color=ORANGE, alpha=0.25, linewidth=0, label="all cells")
        upper.plot(shown, np.median(celsius, axis=1), color=ORANGE, label="median cell")
        upper.plot(shown, celsius[:, hottest], color=RED, linewidth=1.1, label="hottest cell")
        if coolant is not None:
            upper.plot(
                shown, coolant.max(axis=1) - ZERO_CELSIUS, color=BLUE, linewidth=1.1, label="warmest coolant outlet"
            )
        upper.plot(shown, ambient - ZERO_CELSIUS, color=GREY, linewidth=1.1, linestyle="--", label="ambient")
        if np.nanmax(high) > limit - ZERO_CELSIUS - 15.0:
            upper.axhline(limit - ZERO_CELSIUS, color=RED, linewidth=0.9, linestyle=":", label="limit of the cell")
        upper.set_ylabel("Temperature [°C]")
        add_legend(upper)
        lower.plot(shown, high - low, color=RED)
        lower.set_ylim(bottom=0.0)
        lower.set_ylabel("Hottest - coldest\ncell [K]")
        lower.set_xlabel(label)
        for axes in (upper, lower):
            _mark(axes, marks, time)
        figure.align_ylabels()
        return svg_text(figure)


def draw_energy(time: Array, power: Array, marks: Marks) -> str:
    """Draw the energy that has left and entered the pack since the start.

    Parameters
    ----------
    time, power : ndarray of shape (n_samples,)
        [s, W]; power is positive on discharge, and true of the time that its sample ends.
    marks : tuple of (float, str)
        Time and name of each fault.
    """
    shown, label = time_axis(time)
    hours = np.diff(time, prepend=0.0) / 3600.0
    out, into = (np.cumsum(np.maximum(sign * power, 0.0) * hours) / 1000.0 for sign in (1.0, -1.0))
    with figure_rows(height=2.8) as (figure, (axes,)):
        axes.plot(shown, out, color=ORANGE, label="discharged")
        axes.plot(shown, into, color=BLUE, label="charged")
        axes.plot(shown, into - out, color=GREY, linewidth=1.1, linestyle="--", label="charged - discharged")
        axes.axhline(0.0, color=GREY, linewidth=0.7)
        axes.set_ylabel("Energy [kWh]")
        axes.set_xlabel(label)
        _mark(axes, marks, time)
        add_legend(axes)
        return svg_text(figure)


def draw_losses(time: Array, loss: Array, resistance: Array) -> str:
    """Draw lithium lost and resistance of the films, mean and envelope of the cells.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    loss, resistance : ndarray of shape (n_samples, n_cells)
        [A.h, ohm].
    """
    shown, label = time_axis(time)
    with figure_rows(rows=2, height=4.0) as (figure, (upper, lower)):
        for axes, values, colour, name in (
            (upper, loss, BLUE, "Lithium lost [A·h]"),
            (lower, 1e3 * resistance, ORANGE, "Resistance of\nthe films [mΩ]"),
        ):
            axes.fill_between(
                shown, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.25, linewidth=0, label="all cells"
            )
            axes.plot(shown, values.mean(axis=1), color=colour, label="mean")
            axes.set_ylim(bottom=min(0.0, float(values.min())))
            axes.set_ylabel(name)
        add_legend(upper)
        lower.set_xlabel(label)
        figure.align_ylabels()
        return svg_text(figure)


def draw_reactions(time: Array, heat: Array, burning: NDArray[np.bool_]) -> str:
    """Draw the heat of runaway reactions: of all cells, and of the fiercest one.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    heat : ndarray of shape (n_samples, n_cells)
        [W].
    burning : ndarray of bool, shape (n_cells,)
        Cells that count as burning; how many have begun to is drawn below.
    """
    from matplotlib.ticker import MaxNLocator

    shown, label = time_axis(time)
    with figure_rows(rows=2, height=4.0) as (figure, (upper, lower)):
        floor = 1e-3
        upper.plot(shown, np.maximum(heat.sum(axis=1), floor), color=RED, label="all cells")
        upper.plot(shown, np.maximum(heat.max(axis=1), floor), color=ORANGE, linewidth=1.1, label="fiercest cell")
        upper.set_yscale("log")
        upper.set_ylabel("Heat of reactions [W]")
        add_legend(upper)
        begun = (np.maximum.accumulate(heat, axis=0) > 1.0)[:, burning].sum(axis=1)
        lower.step(shown, begun, color=RED, where="post")
        lower.set_ylim(bottom=0.0, top=max(1.0, 1.15 * float(begun.max(initial=0))))
        lower.yaxis.set_major_locator(MaxNLocator(integer=True))
        lower.set_ylabel("Cells whose reactions\nhave passed 1 W")
        lower.set_xlabel(label)
        figure.align_ylabels()
        return svg_text(figure)


def draw_sensor(time: Array, true: Array, sent_time: Array, sent: Array, *, label: str, marks: Marks) -> str:
    """Draw what a broken sensor says beside what is true.

    Parameters
    ----------
    time, true : ndarray of shape (n_samples,)
        Time [s] and the true value [display unit].
    sent_time, sent : ndarray of shape (n_sent,)
        Time [s] and what was measured [display unit].
    label : str
        Of the value's axis.
    marks : tuple of (float, str)
        Start and end of the fault.
    """
    shown, time_label = time_axis(time)
    with figure_rows(height=2.4) as (figure, (axes,)):
        axes.plot(shown, true, color=BLUE, label="true")
        scale = shown[-1] / time[-1]
        axes.plot(
            scale * sent_time, sent, color=RED, linewidth=0.0, marker=".", markersize=3.0, label="measured and accepted"
        )
        axes.set_ylabel(label)
        axes.set_xlabel(time_label)
        _mark(axes, marks, time)
        add_legend(axes)
        return svg_text(figure)


def _mark(axes: Axes, marks: Marks, time: Array) -> None:
    for when, _ in _inside(marks, time):
        place = float(time_axis(np.array([when, time[-1]]))[0][0])
        axes.axvline(place, color=RED, linewidth=0.8, linestyle=(0, (4, 3)))


def _inside(marks: Marks, time: Array) -> list[tuple[float, str]]:
    return [(when, name) for when, name in marks if 0.0 < when < time[-1]]
