"""Colours of the cells and the legend that explains them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Alarm, Kind, Level, PackState, Quality, Reading, Severity
from celltwin.panels import map_pack
from celltwin.panels.pack_map import MAP_QUANTITIES, UNKNOWN_COLOUR, fit_legend, group_colours
from celltwin.stage import map_colours
from celltwin.stage.heat_map import UNTRUSTED_COLOUR


def temperatures(spec, values, quality=Quality.GOOD) -> PackState:
    reading = Reading.at(Kind.MEASURED, "temperature", Level.CELL, values, 1.0, quality=quality, provenance="test")
    return PackState(time=1.0, step=1, readings={reading.key: reading})


def alarm(spec, level: Level, element: int, severity: Severity) -> Alarm:
    return Alarm(
        time=1.0,
        severity=severity,
        quantity="temperature",
        level=level,
        element=element,
        element_id=spec.element_ids(level)[element],
        value=330.0,
        limit=328.0,
        message="warm",
    )


def test_cells_take_the_colour_of_the_legend_at_their_value(leaf):
    values = np.linspace(300.0, 312.0, leaf.n_cells)

    shown = map_pack(temperatures(leaf, values), leaf, "temperature")

    expected = map_colours(values, shown.legend.lowest, shown.legend.highest, quantity="temperature")
    np.testing.assert_allclose(shown.colours, expected)
    assert shown.legend.lowest <= values.min()
    assert shown.legend.highest >= values.max()
    assert shown.untrusted == 0


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.SUSPECT, Quality.BAD])
def test_cells_without_a_trusted_value_are_grey_and_do_not_stretch_the_legend(leaf, quality):
    values = np.full(leaf.n_cells, 300.0)
    values[3] = 1000.0
    flags = np.zeros(leaf.n_cells, dtype=np.uint8)
    flags[3] = quality

    shown = map_pack(temperatures(leaf, values, flags), leaf, "temperature")

    np.testing.assert_allclose(shown.colours[3], UNTRUSTED_COLOUR)
    assert shown.legend.highest < 310.0
    assert shown.untrusted == 1


def test_cells_of_which_nothing_is_known_are_darker_than_untrusted_ones(leaf):
    shown = map_pack(PackState(time=0.0, step=0), leaf, "soh")

    np.testing.assert_allclose(shown.colours, np.tile(np.float32(UNKNOWN_COLOUR), (leaf.n_cells, 1)))
    assert shown.untrusted == leaf.n_cells
    assert max(UNKNOWN_COLOUR) < min(UNTRUSTED_COLOUR)


def test_an_alarm_of_a_group_marks_its_cells_and_the_most_urgent_wins(leaf):
    alarms = (
        alarm(leaf, Level.GROUP, 2, Severity.WARNING),
        alarm(leaf, Level.CELL, 5, Severity.CRITICAL),
        alarm(leaf, Level.PACK, 0, Severity.CRITICAL),
    )
    state = replace(temperatures(leaf, np.full(leaf.n_cells, 300.0)), alarms=alarms)

    shown = map_pack(state, leaf, "temperature")

    assert shown.alarmed.tolist() == [4, 5]
    assert shown.severities.tolist() == [Severity.WARNING, Severity.CRITICAL]


def test_the_legend_stays_while_values_move_within_it():
    first = fit_legend(np.array([300.0, 312.0]), "temperature")

    assert fit_legend(np.array([301.0, 311.0]), "temperature", first) is first
    assert fit_legend(np.empty(0), "temperature", first) is first


def test_the_legend_follows_values_that_leave_it_or_hardly_use_it():
    first = fit_legend(np.array([300.0, 312.0]), "temperature")

    wider = fit_legend(np.array([300.0, 330.0]), "temperature", first)
    narrower = fit_legend(np.array([305.0, 307.5]), "temperature", first)

    assert wider.highest >= 330.0
    assert narrower.highest - narrower.lowest < 0.5 * (first.highest - first.lowest)


@pytest.mark.parametrize("quantity", MAP_QUANTITIES)
def test_every_legend_has_a_unit_and_ticks_in_order(quantity):
    legend = fit_legend(np.array([0.5, 0.9]) if quantity.startswith("so") else np.array([303.0, 304.0]), quantity)

    places = [place for place, _ in legend.ticks]
    assert places == sorted(places)
    assert 0.0 <= places[0] < places[-1] <= 1.0
    assert legend.title.endswith("]")


def test_a_group_has_the_mean_colour_of_its_cells(leaf):
    colours = np.zeros((leaf.n_cells, 3), dtype=np.float32)
    colours[0] = 1.0

    groups = group_colours(colours, leaf)

    assert groups.shape == (leaf.n_groups, 3)
    np.testing.assert_allclose(groups[0], 0.5)
    np.testing.assert_allclose(groups[1:], 0.0)
