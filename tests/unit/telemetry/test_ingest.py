"""Samples become readings in SI, or are quarantined with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import Level, PackSpec, Quality, Reading, SampleBlock, SampleFault, SensorSpec
from celltwin.telemetry import Ingest

MakeBlock = Callable[..., SampleBlock]
Row = Callable[[float], list[float]]


def reading_of(ingest: Ingest, now: float, quantity: str, level: Level) -> Reading:
    return next(found for found in ingest.readings(now) if (found.quantity, found.level) == (quantity, level))


def test_units_and_signs_become_those_of_the_suite(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    ingest.accept([make_block([0.0], [leaf_row(0.0)])])
    assert reading_of(ingest, 0.0, "current", Level.PACK).values.tolist() == [32.5]  # discharge is positive
    assert reading_of(ingest, 0.0, "temperature", Level.MODULE).values == pytest.approx([295.15, 295.65, 296.15])
    voltage = reading_of(ingest, 0.0, "voltage", Level.GROUP)
    assert voltage.values == pytest.approx([4.0, 3.99, 3.98, 3.97, 3.96, 3.95])
    assert voltage.standard_uncertainty.tolist() == [0.001] * 6
    assert voltage.provenance == "test: celltwin/leaf_3_modules/{module}/group/{group}/voltage"
    assert voltage.quality.tolist() == [Quality.GOOD] * 6


def test_before_the_first_sample_there_are_readings_without_values(leaf_pack: PackSpec) -> None:
    ingest = Ingest(leaf_pack)
    for reading in ingest.readings(0.0):
        assert np.isnan(reading.values).all()
        assert (reading.quality == Quality.STALE).all()
    assert len(ingest.silent) == 11
    assert not ingest.accept([]).blocks


def test_a_value_goes_stale_after_three_periods_and_returns(
    leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row
) -> None:
    ingest = Ingest(leaf_pack)
    ingest.accept([make_block([0.0], [leaf_row(0.0)])])
    assert reading_of(ingest, 3.0, "voltage", Level.PACK).quality.tolist() == [Quality.GOOD]
    stale = reading_of(ingest, 3.1, "voltage", Level.PACK)
    assert stale.quality.tolist() == [Quality.STALE]
    assert stale.values.tolist() == [24.0]
    assert stale.time.tolist() == [0.0]
    ingest.accept([make_block([4.0], [leaf_row(4.0)])])
    assert reading_of(ingest, 4.0, "voltage", Level.PACK).quality.tolist() == [Quality.GOOD]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(99.0, "impossible value"), (np.nan, "not a number"), (-np.inf, "infinite value"), (-1.2, "impossible value")],
)
def test_a_faulty_value_makes_its_element_bad_and_keeps_the_last_good_one(
    leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row, value: float, reason: str
) -> None:
    ingest = Ingest(leaf_pack)
    faulty = leaf_row(1.0)
    faulty[3] = value
    accepted = ingest.accept([make_block([0.0, 1.0], [leaf_row(0.0), faulty])])
    assert accepted.count == 21
    (row,) = ingest.quarantine.rows()
    assert (row.reason, row.channel, row.count, row.first_origin) == (reason, "Cell Voltage A2", 1, "test:2")
    voltage = reading_of(ingest, 1.0, "voltage", Level.GROUP)
    assert voltage.quality.tolist() == [0, Quality.BAD, 0, 0, 0, 0]
    assert voltage.values[1] == pytest.approx(3.99)
    ingest.accept([make_block([2.0], [leaf_row(2.0)])])
    assert (reading_of(ingest, 2.0, "voltage", Level.GROUP).quality == Quality.GOOD).all()


def test_the_possible_range_follows_series_and_parallel_counts(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    ingest = Ingest(leaf_pack)
    columns = ("Voltage", "Current", "Cell Voltage A1")
    block = make_block([0.0, 1.0], [[35.9, -1999.0, 5.9], [36.1, 2001.0, 6.1]], columns)  # six in series, two parallel
    assert ingest.accept([block]).count == 3
    assert dict(ingest.quarantine.counts) == {"impossible value": 3}


def test_duplicate_and_late_rows_count_once_each(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    times = [0.0, 1.0, 1.0, 0.5, 2.0]
    accepted = ingest.accept([make_block(times, [leaf_row(time) for time in times])])
    assert accepted.blocks[0].time[~np.isnan(accepted.blocks[0].values).all(axis=1)].tolist() == [0.0, 1.0, 2.0]
    assert dict(ingest.quarantine.counts) == {"duplicate time": 1, "out of order": 1}
    assert {row.channel for row in ingest.quarantine.rows()} == {"whole row"}
    assert ingest.quarantine.lost_values == 22


def test_time_is_judged_channel_by_channel(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    ingest = Ingest(leaf_pack)
    columns = ("Voltage", "Current")
    accepted = ingest.accept(
        [make_block([2.0, 1.0], [[24.0, None], [None, -1.0]], columns), make_block([2.0], [[24.1, -1.1]], columns)]
    )
    assert accepted.count == 3
    assert [(row.channel, row.reason) for row in ingest.quarantine.rows()] == [("Voltage", "duplicate time")]


def test_the_verdict_does_not_depend_on_how_rows_are_cut_into_blocks(
    leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row
) -> None:
    times = [0.0, 1.0, 1.0, 0.5, np.nan, 2.0, 3.0, 2.5]
    rows = [leaf_row(1.0) for _ in times]
    rows[5][4] = 77.0
    together, apart = Ingest(leaf_pack), Ingest(leaf_pack)
    together.accept([make_block(times, rows)])
    for time, row in zip(times, rows, strict=True):
        apart.accept([make_block([time], [row])])
    assert together.quarantine.counts == apart.quarantine.counts
    for one, other in zip(together.readings(3.0), apart.readings(3.0), strict=True):
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.quality, other.quality)


def test_a_gap_is_believed_once_confirmed(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    for time in (0.0, 5000.0, 5001.0, 5002.0):
        ingest.accept([make_block([time], [leaf_row(0.0)])])
    assert dict(ingest.quarantine.counts) == {"time jump": 1}
    assert reading_of(ingest, 5002.0, "voltage", Level.PACK).time.tolist() == [5002.0]
    within = Ingest(leaf_pack)
    within.accept([make_block([0.0, 5000.0, 5001.0], [leaf_row(0.0)] * 3)])
    assert within.quarantine.total == 0


def test_a_slow_recording_loses_no_more_than_one_row(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    for step in range(20):
        ingest.accept([make_block([600.0 * step], [leaf_row(float(step))])])
    assert dict(ingest.quarantine.counts) == {"time jump": 1}


def test_a_jump_that_returns_is_put_aside(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    for time in (0.0, 1.0, 1.0e9, 2.0, 3.0):
        ingest.accept([make_block([time], [leaf_row(time % 10)])])
    assert dict(ingest.quarantine.counts) == {"time jump": 1}
    assert reading_of(ingest, 3.0, "voltage", Level.PACK).time.tolist() == [3.0]


def test_faults_of_the_source_are_counted_with_their_text(
    leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row
) -> None:
    row = leaf_row(0.0)
    row[0] = np.nan
    block = replace(
        make_block([0.0], [row]),
        faults=(
            SampleFault(reason="malformed value", origin="f:1", text="open", row=0, channel="Current"),
            SampleFault(reason="wrong row length", origin="f:2", text="a,b"),
            SampleFault(reason="a reason of its own", origin="f:3", text="?"),
        ),
    )
    ingest = Ingest(leaf_pack)
    accepted = ingest.accept([block])
    assert accepted.count == 10
    assert dict(ingest.quarantine.counts) == {"malformed value": 1, "wrong row length": 1, "unreadable": 1}
    assert {row.first_example for row in ingest.quarantine.rows()} == {"open", "a,b", "?"}
    assert sum(part.count for part in accepted.quarantined) == ingest.quarantine.total


def test_unmapped_channels_are_named_and_let_pass(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    ingest = Ingest(leaf_pack)
    assert ingest.accept([make_block([0.0], [[24.0, 1.0]], ("Voltage", "Humidity"))]).count == 1
    assert ingest.accept([make_block([1.0], [[1.0]], ("Humidity",))]).count == 0
    assert ingest.unmapped == ("Humidity",)
    assert "Voltage" not in ingest.silent
    assert ingest.quarantine.total == 0


def test_channels_arrive_by_topic_as_well(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    ingest = Ingest(leaf_pack)
    ingest.accept([make_block([0.0], [[4.1]], ("celltwin/leaf_3_modules/A02/group/1/voltage",))])
    values = reading_of(ingest, 0.0, "voltage", Level.GROUP).values
    assert values[2] == 4.1
    assert np.isnan(np.delete(values, 2)).all()


def test_a_sensor_that_freezes_while_its_neighbours_move_is_suspect(
    leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row
) -> None:
    ingest = Ingest(leaf_pack)
    rows = [leaf_row(float(time)) for time in range(101)]
    for row in rows:
        row[5] = rows[0][5]
    for time, row in enumerate(rows):
        ingest.accept([make_block([float(time)], [row])])
        early = reading_of(ingest, float(time), "voltage", Level.GROUP).quality
        assert time >= 20 or (early == Quality.GOOD).all()
    assert early.tolist() == [0, 0, 0, Quality.SUSPECT, 0, 0]
    row = leaf_row(101.0)
    ingest.accept([make_block([101.0], [row])])
    assert (reading_of(ingest, 101.0, "voltage", Level.GROUP).quality == Quality.GOOD).all()


def test_sensors_that_all_rest_are_not_suspect(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    for time in range(500):
        ingest.accept([make_block([float(time)], [leaf_row(0.0)])])
    assert all((reading.quality == Quality.GOOD).all() for reading in ingest.readings(499.0))


@pytest.mark.parametrize("together", [True, False])
def test_a_temperature_that_leaps_is_suspect_until_it_settles(
    leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row, together: bool
) -> None:
    ingest = Ingest(leaf_pack)
    hot = leaf_row(1.0)
    hot[8] += 400.0
    if together:
        ingest.accept([make_block([0.0, 1.0], [leaf_row(0.0), hot])])
    else:
        ingest.accept([make_block([0.0], [leaf_row(0.0)])])
        ingest.accept([make_block([1.0], [hot])])
    assert reading_of(ingest, 1.0, "temperature", Level.MODULE).quality.tolist() == [Quality.SUSPECT, 0, 0]
    ingest.accept([make_block([2.0], [hot])])
    assert reading_of(ingest, 2.0, "temperature", Level.MODULE).quality.tolist() == [0, 0, 0]


def test_thermal_runaway_is_believed(leaf_pack: PackSpec, make_block: MakeBlock, leaf_row: Row) -> None:
    ingest = Ingest(leaf_pack)
    for time in range(10):
        row = leaf_row(float(time))
        row[9] += 60.0 * time  # 60 K/s
        ingest.accept([make_block([float(time)], [row])])
        assert (reading_of(ingest, float(time), "temperature", Level.MODULE).quality == Quality.GOOD).all()


def test_of_two_sensors_on_one_element_the_better_counts(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    sensor = next(found for found in leaf_pack.sensors if found.id == "pack_voltage")
    mapping = next(found for found in leaf_pack.mappings if found.sensor == "pack_voltage")
    doubled = replace(
        leaf_pack,
        sensors=(*leaf_pack.sensors, replace(sensor, id="second", standard_uncertainty=0.5)),
        mappings=(*leaf_pack.mappings, replace(mapping, channel="second", sensor="second", column="U2", topic="")),
    )
    ingest = Ingest(doubled)
    ingest.accept([make_block([0.0], [[24.0, 23.0]], ("Voltage", "U2"))])
    voltage = reading_of(ingest, 0.0, "voltage", Level.PACK)
    assert (voltage.values.tolist(), voltage.standard_uncertainty.tolist()) == ([24.0], [0.01])
    ingest.accept([make_block([1.0], [[240.0, 22.0]], ("Voltage", "U2"))])
    voltage = reading_of(ingest, 1.0, "voltage", Level.PACK)
    assert (voltage.values.tolist(), voltage.quality.tolist()) == ([22.0], [Quality.GOOD])


def test_elements_without_a_sensor_stay_without_a_value(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    sensors = tuple(
        replace(found, elements=(1, 4)) if found.id == "group_voltage" else found for found in leaf_pack.sensors
    )
    ingest = Ingest(replace(leaf_pack, sensors=sensors))
    ingest.accept([make_block([0.0], [[3.9, 3.8]], ("Cell Voltage A2", "Cell Voltage A5"))])
    values = reading_of(ingest, 0.0, "voltage", Level.GROUP).values
    assert np.flatnonzero(np.isfinite(values)).tolist() == [1, 4]


def test_outgoing_mappings_take_no_samples(leaf_pack: PackSpec, make_block: MakeBlock) -> None:
    out = SensorSpec(id="setpoint", quantity="coolant_flow", level=Level.PACK, standard_uncertainty=0.0)
    mapping = replace(
        leaf_pack.mappings[0],
        channel="setpoint",
        sensor="setpoint",
        column="Flow",
        topic="out",
        unit="kg/s",
        direction="out",
    )
    spec = replace(leaf_pack, sensors=(*leaf_pack.sensors, out), mappings=(*leaf_pack.mappings, mapping))
    ingest = Ingest(spec)
    assert ingest.accept([make_block([0.0], [[0.1]], ("Flow",))]).count == 0
    assert ingest.unmapped == ("Flow",)


@pytest.mark.measured
def test_the_leaf_recording_is_accepted_whole(leaf_pack: PackSpec, measured_data: Callable[[str], Path]) -> None:
    from celltwin.core import expand_channels
    from celltwin.telemetry import open_recording

    folder = measured_data("leaf_modules")
    for name, rows, end in (
        ("module123-irdischarge-65ah-1_0c.csv", 4144, 3082.0),
        ("module123-irdischarge-65ah-0_3c.csv", 13870, 10154.8),
    ):
        source = open_recording(folder / name, expand_channels(leaf_pack))
        ingest = Ingest(leaf_pack)
        assert source.duration == pytest.approx(end)
        assert source.missing == ()
        accepted = 0
        while not source.finished:
            accepted += ingest.accept(source.read(np.inf)).count
        assert accepted == rows * 11
        assert ingest.quarantine.total == 0
        voltage = reading_of(ingest, end, "voltage", Level.GROUP)
        assert sorted(np.argsort(voltage.values)[:2].tolist()) == [0, 3]  # A1 and A4 are the weak groups
        assert voltage.values[0] == pytest.approx(3.0)
        assert (voltage.quality == Quality.GOOD).all()
        total = reading_of(ingest, end, "voltage", Level.PACK).values[0]
        assert total == pytest.approx(voltage.values.sum(), abs=0.1)
        assert reading_of(ingest, end, "current", Level.PACK).values[0] > 19.0
