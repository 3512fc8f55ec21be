"""Figures of the pack panel."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality, Reading
from celltwin.panels import PACK_CHANNELS
from celltwin.panels.channels import count_qualities, finest_reading
from celltwin.panels.display_text import MISSING

SHOW = {channel.key: channel.show for channel in PACK_CHANNELS}


def test_groups_in_series_add_up_to_the_pack_where_it_is_not_measured(leaf, leaf_state):
    assert SHOW["voltage"](leaf_state, leaf).text == f"{3.91 + 3.92 + 3.85 + 3.90 + 3.93 + 3.89:.1f} V"


def test_power_follows_from_voltage_and_current_and_is_negative_on_charge(leaf, leaf_state):
    assert SHOW["current"](leaf_state, leaf).text == "-32.5 A"
    assert SHOW["power"](leaf_state, leaf).text == f"{-32.5 * 23.4 / 1000.0:.2f} kW"


def test_extremes_name_the_element_at_the_level_that_was_measured(leaf, leaf_state):
    hottest = SHOW["hottest"](leaf_state, leaf)
    lowest = SHOW["lowest_voltage"](leaf_state, leaf)

    assert (hottest.text, hottest.note) == ("30.0 °C", "A02")
    assert (lowest.text, lowest.note) == ("3.850 V", "A02.G01")


def test_a_value_that_cannot_be_trusted_never_wins_against_one_that_can(leaf, leaf_state):
    quality = np.array([Quality.GOOD, Quality.SUSPECT, Quality.GOOD], dtype=np.uint8)
    state = leaf_state.updated(
        Reading.at(
            Kind.MEASURED,
            "temperature",
            Level.MODULE,
            np.array([298.15, 900.0, 300.15]),
            90.0,
            quality=quality,
            provenance="test",
        )
    )

    shown = SHOW["hottest"](state, leaf)

    assert (shown.text, shown.note, shown.quality) == ("27.0 °C", "A03", Quality.GOOD)


def test_old_values_are_shown_and_said_to_be_stale(leaf, leaf_state):
    readings = {key: reading.aged(200.0, 10.0) for key, reading in leaf_state.readings.items()}
    state = PackState(time=200.0, step=200, readings=readings)

    current, hottest = SHOW["current"](state, leaf), SHOW["hottest"](state, leaf)

    assert (current.text, current.note, current.quality) == ("-32.5 A", "stale", Quality.STALE)
    assert (hottest.text, hottest.note, hottest.quality) == ("30.0 °C", "A02 · stale", Quality.STALE)


def test_soh_carries_a_95_percent_interval(leaf, leaf_state):
    soh = Reading.at(
        Kind.PREDICTED,
        "soh",
        Level.CELL,
        np.full(leaf.n_cells, 0.9),
        60.0,
        standard_uncertainty=0.01,
        provenance="test",
    )

    shown = SHOW["soh"](leaf_state.updated(soh), leaf)

    assert shown.text == "90.0 %"
    assert shown.note == "88.0 to 92.0 %"


def test_the_weakest_is_the_lowest_soh_or_until_then_the_lowest_voltage(leaf, leaf_state):
    before = SHOW["weakest"](leaf_state, leaf)
    values = np.full(leaf.n_cells, 0.9)
    values[5] = 0.8
    soh = Reading.at(Kind.PREDICTED, "soh", Level.CELL, values, 60.0, provenance="test")
    after = SHOW["weakest"](leaf_state.updated(soh), leaf)

    assert (before.text, before.note) == ("A02.G01", "Voltage 3.850 V")
    assert (after.text, after.note) == ("A02.G01.C02", "SOH 80.0 %")


@pytest.mark.parametrize("key", list(SHOW))
def test_an_empty_state_shows_dashes_without_alarm(leaf, key):
    shown = SHOW[key](PackState(time=0.0, step=0), leaf)

    assert (shown.text, shown.quality) == ("-", None)


def test_only_measured_values_are_counted_and_missing_ones_are_bad(leaf, leaf_state):
    holes = Reading.at(
        Kind.MEASURED, "temperature", Level.MODULE, np.array([298.0, np.nan, np.nan]), 90.0, provenance="test"
    )
    guess = Reading.at(Kind.ESTIMATED, "soc", Level.CELL, np.full(leaf.n_cells, 0.5), 90.0, provenance="test")

    counts = count_qualities(leaf_state.updated(holes, guess))

    assert counts == {Quality.GOOD: 8, Quality.STALE: 0, Quality.SUSPECT: 0, Quality.BAD: 2}


def test_the_finest_reading_is_preferred(leaf, leaf_state):
    cells = Reading.at(
        Kind.ESTIMATED, "temperature", Level.CELL, np.linspace(300.0, 310.0, leaf.n_cells), 90.0, provenance="test"
    )

    assert finest_reading(leaf_state, "temperature").level is Level.MODULE
    assert finest_reading(leaf_state.updated(cells), "temperature").level is Level.CELL


def _at_risk(leaf, risks, pack):
    reason = "Within 30 min, given 3e-07 internal shorts a cell and year"
    cells = Reading.at(
        Kind.PREDICTED,
        "runaway_risk",
        Level.CELL,
        risks,
        90.0,
        standard_uncertainty=2e-5,
        provenance="t",
        reason=reason,
    )
    whole = Reading.at(
        Kind.PREDICTED, "runaway_risk", Level.PACK, np.array([pack]), 90.0, provenance="t", reason=reason
    )
    return PackState(time=90.0, step=9, readings={reading.key: reading for reading in (cells, whole)})


def test_the_risk_of_runaway_names_the_horizon_and_the_cell_that_stands_out(leaf):
    risks = np.full(leaf.n_cells, 2e-11)
    quiet = SHOW["runaway_risk"](_at_risk(leaf, risks, 2e-10), leaf)
    risks = np.where(np.arange(leaf.n_cells) == 3, 4e-5, risks)
    shorted = SHOW["runaway_risk"](_at_risk(leaf, risks, 4e-5), leaf)

    assert (quiet.text, quiet.note) == ("2.0e-10", "within 30 min")
    assert shorted.text == "4.0e-05"
    assert shorted.note == f"within 30 min · {leaf.element_ids(Level.CELL)[3]}"


def test_a_risk_that_cannot_be_told_is_a_dash(leaf, leaf_state):
    unknown = SHOW["runaway_risk"](_at_risk(leaf, np.full(leaf.n_cells, np.nan), np.nan), leaf)

    assert SHOW["runaway_risk"](leaf_state, leaf).note == "not predicted yet"
    assert (unknown.text, unknown.note, unknown.quality) == (MISSING, "cannot be told", None)


@pytest.mark.parametrize(("quality", "flag"), [(Quality.GOOD, ""), (Quality.SUSPECT, " · suspect")])
def test_remaining_life_is_shown_in_charges_and_days_with_its_interval(leaf, quality, flag):
    day = 86400.0
    readings = [
        Reading.at(
            Kind.PREDICTED, quantity, Level.PACK, np.array([value]), 90.0,
            quality=quality, standard_uncertainty=error, provenance="t",
        )
        for quantity, value, error in (("rul", 180.0, 25.0), ("rul_time", 27.4 * day, 20.0 * day))
    ]  # fmt: skip
    state = PackState(time=90.0, step=9).updated(*readings)

    cycles, time = SHOW["rul"](state, leaf), SHOW["rul_time"](state, leaf)

    assert (cycles.text, cycles.note, cycles.quality) == ("180 cycles", f"131 to 229{flag}", quality)
    assert (time.text, time.note) == ("27.4 days", f"0.0 to 66.6{flag}")


def test_remaining_life_that_cannot_be_told_says_so(leaf):
    nothing = Reading.at(
        Kind.PREDICTED, "rul", Level.PACK, np.array([np.nan]), float("nan"), quality=Quality.BAD, provenance="t"
    )

    assert SHOW["rul"](PackState(time=0.0, step=0).updated(nothing), leaf).note == "cannot be told"
