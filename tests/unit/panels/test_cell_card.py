"""Card of one cell."""

import numpy as np

from celltwin.core import Kind, Level, PackState, Quality, Reading
from celltwin.panels import cell_card


def test_a_cell_shows_what_it_shares_with_its_group_and_module(leaf, leaf_state):
    rows = {(row.label, row.kind): row for row in cell_card(leaf_state, leaf, 5)}

    assert rows["Voltage", Kind.MEASURED].text == "3.850 V"
    assert rows["Voltage", Kind.MEASURED].note == "group"
    assert rows["Temperature", Kind.MEASURED].text == "30.0 °C"
    assert rows["Temperature", Kind.MEASURED].note == "module"
    assert not any(label == "Current" for label, _ in rows)  # the pack's current is not the cell's


def test_kinds_stand_side_by_side_with_interval_and_quality(leaf, leaf_state):
    estimated = Reading.at(
        Kind.ESTIMATED,
        "voltage",
        Level.GROUP,
        np.full(leaf.n_groups, 3.84),
        90.0,
        quality=Quality.SUSPECT,
        standard_uncertainty=0.005,
        provenance="test",
    )

    rows = [row for row in cell_card(leaf_state.updated(estimated), leaf, 5) if row.label == "Voltage"]

    assert [(row.kind, row.text, row.note, row.quality) for row in rows] == [
        (Kind.MEASURED, "3.850 V", "group", Quality.GOOD),
        (Kind.ESTIMATED, "3.840 V ± 0.010", "group · suspect", Quality.SUSPECT),
    ]


def test_a_small_probability_is_shown_with_what_it_may_be_at_most(leaf, leaf_state):
    risk = Reading.at(
        Kind.PREDICTED,
        "runaway_risk",
        Level.CELL,
        np.full(leaf.n_cells, 3e-9),
        90.0,
        standard_uncertainty=1e-8,
        provenance="test",
    )

    (row,) = [row for row in cell_card(leaf_state.updated(risk), leaf, 5) if row.kind is Kind.PREDICTED]

    assert row.text == "3.0e-09, at most 2.3e-08"


def test_the_voltage_of_a_module_is_not_a_cells(leaf):
    module = Reading.at(Kind.ESTIMATED, "voltage", Level.MODULE, np.array([7.8, 7.7, 7.8]), 1.0, provenance="test")
    state = PackState(time=1.0, step=1, readings={module.key: module})

    assert cell_card(state, leaf, 5) == ()


def test_nothing_known_gives_an_empty_card(leaf, leaf_state):
    assert cell_card(PackState(time=0.0, step=0), leaf, 0) == ()
