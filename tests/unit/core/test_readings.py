"""Readings, the process image, and values brought down to the cells."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import (
    Kind,
    Level,
    PackState,
    Quality,
    Reading,
    SampleBlock,
    ShapeError,
    SpecError,
    cell_values,
    load_pack,
)

LEAF = load_pack(Path(__file__).resolve().parents[3] / "data" / "packs" / "leaf_3_modules.toml")


def voltage(kind: Kind = Kind.MEASURED, values=(3.7, np.nan, 3.9), **changes) -> Reading:
    arguments = {"quality": Quality.GOOD, "provenance": "test", **changes}
    return Reading.at(kind, "voltage", Level.GROUP, np.array(values), 10.0, **arguments)


def test_arrays_of_a_reading_cannot_be_written_by_anybody():
    mine = np.array([3.7, 3.8])
    reading = Reading.at(Kind.MEASURED, "voltage", Level.GROUP, mine, 0.0, provenance="test")

    mine[0] = 0.0

    assert reading.values[0] == 3.7
    with pytest.raises(ValueError, match="read-only"):
        reading.values[0] = 1.0


def test_arrays_of_different_lengths_and_unknown_quantities_are_refused():
    good = np.zeros(2)
    with pytest.raises(ShapeError, match=r"time has shape \(3,\), expected \(2,\)"):
        Reading(
            kind=Kind.MEASURED,
            quantity="voltage",
            level=Level.GROUP,
            values=good,
            time=np.zeros(3),
            quality=np.zeros(2, np.uint8),
            standard_uncertainty=good,
            provenance="test",
        )
    with pytest.raises(SpecError, match="unknown quantity"):
        Reading.at(Kind.MEASURED, "volts", Level.GROUP, good, 0.0, provenance="test")


def test_only_finite_and_good_values_are_usable():
    quality = np.array([Quality.GOOD, Quality.GOOD, Quality.SUSPECT], np.uint8)

    assert voltage(quality=quality).usable().tolist() == [True, False, False]


def test_old_values_become_stale_and_bad_ones_stay_bad():
    reading = voltage(quality=np.array([Quality.GOOD, Quality.BAD, Quality.GOOD], np.uint8))

    assert reading.aged(12.0, 5.0) is reading
    assert reading.aged(16.0, 5.0).quality.tolist() == [Quality.STALE, Quality.BAD, Quality.STALE]


def test_a_snapshot_is_replaced_never_changed():
    before = PackState(time=0.0, step=0)

    after = before.updated(voltage())

    assert not before.readings
    assert after.get(Kind.MEASURED, "voltage", Level.GROUP).provenance == "test"
    with pytest.raises(TypeError):
        after.readings[(Kind.MEASURED, "soc", Level.CELL)] = voltage()


def test_measured_comes_before_estimated_and_predicted_unless_empty():
    nothing = voltage(values=(np.nan, np.nan, np.nan))
    estimated, predicted = voltage(Kind.ESTIMATED), voltage(Kind.PREDICTED)
    state = PackState(time=0.0, step=0).updated(nothing, predicted, estimated)

    assert state.best("voltage", Level.GROUP) is estimated
    assert state.updated(voltage()).best("voltage", Level.GROUP).kind is Kind.MEASURED
    assert state.best("soc", Level.GROUP) is None


def test_a_snapshot_reaches_a_worker_process_whole():
    state = PackState(time=1.5, step=3).updated(voltage())

    again = pickle.loads(pickle.dumps(state))

    assert (again.time, again.step) == (1.5, 3)
    np.testing.assert_array_equal(again.get(Kind.MEASURED, "voltage", Level.GROUP).values, [3.7, np.nan, 3.9])
    with pytest.raises(TypeError):
        again.readings["x"] = None


def test_cells_take_the_value_of_their_group_then_of_their_module():
    groups = Reading.at(
        Kind.MEASURED, "temperature", Level.GROUP, np.array([300.0, np.nan, 301, 302, 303, 304]), 0.0, provenance="test"
    )
    modules = Reading.at(
        Kind.MEASURED, "temperature", Level.MODULE, np.array([310.0, 311, 312]), 0.0, provenance="test"
    )

    values, quality = cell_values(PackState(time=0.0, step=0).updated(groups, modules), LEAF, "temperature")

    np.testing.assert_array_equal(values, [300, 300, 310, 310, 301, 301, 302, 302, 303, 303, 304, 304])
    assert not quality.any()


def test_cells_do_not_share_the_current_of_their_pack():
    current = Reading.at(Kind.MEASURED, "current", Level.PACK, np.array([65.0]), 0.0, provenance="test")

    values, quality = cell_values(PackState(time=0.0, step=0).updated(current), LEAF, "current")

    assert np.isnan(values).all()
    assert (quality == Quality.BAD).all()


def test_samples_arrive_in_order_even_where_their_times_do_not():
    block = SampleBlock(
        channels=("a",),
        time=np.array([1.0, np.nan, 0.5, 3.0]),
        values=np.zeros((4, 1)),
        present=np.ones((4, 1), bool),
        origin=("test",),
    )

    assert block.arrived.tolist() == [1.0, 1.0, 1.0, 3.0]
    assert block.rows(2, 4).time.tolist() == [0.5, 3.0]
    with pytest.raises(ShapeError):
        SampleBlock(
            channels=("a", "b"),
            time=np.zeros(2),
            values=np.zeros((2, 1)),
            present=np.ones((2, 1), bool),
            origin=("test",),
        )
