"""Sections of the report of a simulated scenario on what ages, swells and burns."""

from __future__ import annotations

import numpy as np

from celltwin.core import Kind, Level, find_quantity
from celltwin.stage.heat_map import fit_range

from .evidence import Evidence, Series
from .figures import draw_range, time_axis
from .sections import Picture, Section, Table, picture_of_pack
from .simulation_figures import draw_losses, draw_reactions

__all__ = ["ageing_section", "mechanics_section", "runaway_section"]

_LONG_NOTE = "Between the simulated repetitions straight lines: these were jumped over. "
# A cell has run away when its reactions have given off as much [W].
_BURNS = 1.0
_MOST_RUNAWAYS = 20


def ageing_section(evidence: Evidence) -> Section | None:
    """Return state of health over time, what was lost, and the pack at the end; None where nothing ages."""
    soh = _series(evidence, "soh")
    if soh is None:
        return None
    ids = evidence.spec.element_ids(Level.CELL)
    weakest, last = int(np.argmin(soh.values[-1])), soh.values[-1]
    jumped = evidence.summary["figures"].get("cycles_jumped", 0.0)
    text = (
        f"State of health at the end: {100.0 * last.mean():.2f} % on average, {100.0 * last.min():.2f} % in "
        f"{ids[weakest]}, {100.0 * np.ptp(last):.2f} points between the best and the weakest cell"
        + (f"; {jumped:.0f} repetitions were jumped over." if jumped else ".")
    )
    pictures = [
        Picture(
            (_LONG_NOTE if jumped else "") + "Capacity between the voltage limits at rest over that of the new cell "
            "type; plated lithium that can be stripped counts as lost while it is there. State of charge counts from "
            "the stoichiometries of the new cell: an aged cell is full below 100 %.",
            draw_range(soh.time, soh.values, ids, "soh", (weakest,), "cell"),
        )
    ]
    loss, resistance = _series(evidence, "lithium_loss"), _series(evidence, "film_resistance")
    if loss is not None and resistance is not None:
        svg = draw_losses(loss.time, loss.values, resistance.values)
        pictures.append(Picture("Lithium that no longer cycles, and resistance of the films; band: all cells.", svg))
    ends = fit_range(last, "soh")
    shown, label = time_axis(soh.time)
    pictures.append(
        Picture(
            "State of health of every cell at the end. A scale of its own.",
            png=picture_of_pack(
                evidence.spec, last, "soh", ends=ends, title=f"{shown[-1]:.0f} {label.split('[')[1][:-1]}"
            ),
        )
    )
    return Section("Ageing", (text,), tuple(pictures))


def mechanics_section(evidence: Evidence) -> Section | None:
    """Return swelling, pressure and strain over time; None where nothing swells."""
    swelling = _series(evidence, "thickness_change")
    if swelling is None:
        return None
    ids = evidence.spec.element_ids(Level.CELL)
    most = int(np.argmax(swelling.values.max(axis=0)))
    quantity = find_quantity("thickness_change")
    text = (
        f"Furthest: {ids[most]} by {quantity.format(float(swelling.values[:, most].max()))} from the state in which "
        f"cells are built in, and back to {quantity.format(float(swelling.values[:, most].min()))}."
    )
    pictures = [
        Picture(
            "Thickness of flat cells under their pressure, or diameter of cans, from the state in which they were "
            "built in.",
            draw_range(swelling.time, swelling.values, ids, "thickness_change", (most,), "cell", remark=" (most)"),
        )
    ]
    for name, caption in (
        ("pressure", "Pressure between the cells of a stack."),
        ("hoop_strain", "Strain of the cans around their axis."),
    ):
        series = _series(evidence, name)
        if series is not None and np.ptp(series.values) > 0.0:
            highest = int(np.argmax(series.values.max(axis=0)))
            svg = draw_range(series.time, series.values, ids, name, (highest,), "cell", remark=" (highest)")
            pictures.append(Picture(caption, svg))
    return Section("Swelling", (text,), tuple(pictures))


def runaway_section(evidence: Evidence) -> Section | None:
    """Return the heat of reactions over time and the order of runaways; None where none are simulated."""
    heat = _series(evidence, "reaction_heat")
    if heat is None:
        return None
    figures, ids = evidence.summary["figures"], evidence.spec.element_ids(Level.CELL)
    count = int(figures.get("runaway_cells", 0))
    told = [event for event in evidence.summary["events"] if event["message"].startswith("thermal runaway")]
    if not count:
        hottest = figures["extremes"]["highest_cell_temperature_K"]
        text = (
            f"No cell runs away. The hottest is {hottest['element']} at "
            f"{find_quantity('temperature').format(hottest['value'])}."
        )
    else:
        text = (
            f"{count} of {len(ids)} cells {'runs' if count == 1 else 'run'} away, the first, {told[0]['element']}, "
            f"after {told[0]['time'] / 60.0:.1f} min."
        )
    rows = tuple(
        (str(number), f"{event['time'] / 60.0:.2f}", event["element"], event["message"].partition(": ")[2])
        for number, event in enumerate(told[:_MOST_RUNAWAYS], start=1)
    )
    tables = (Table(("Order", "Time [min]", "Cell", "How"), rows),) if rows else ()
    burning = heat.values.max(axis=0) > _BURNS
    svg = draw_reactions(heat.time, heat.values, burning)
    caption = (
        "Heat of the reactions, means of the last step before each sample, less what leaves through vents: peaks of "
        "seconds fall between samples. On a logarithmic scale from 1 mW."
    )
    return Section("Thermal runaway", (text,), (Picture(caption, svg),), tables)


def _series(evidence: Evidence, quantity: str) -> Series | None:
    return evidence.series(quantity, (Kind.PREDICTED, Level.CELL))
