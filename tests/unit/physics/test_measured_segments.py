"""Long records are cut where a battery engineer would cut them."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics.measurements import CurveSource
from celltwin.physics.measurements.columns import CellColumns, as_columns, clean_columns
from celltwin.physics.measurements.segments import cut_curves, find_segments

SOURCE = CurveSource(path="record.csv", sha256="0", rows=0)


def record(*parts: tuple[float, float], step: float = 10.0) -> CellColumns:
    """Return columns of parts (current [A], duration [s]); the voltage follows the charge and the current."""
    current = np.concatenate([np.full(int(duration / step), amount) for amount, duration in parts])
    time = step * np.arange(current.size)
    drawn = np.cumsum(current) * step / 3600.0
    return clean_columns(as_columns(time, current, 4.1 - 0.4 * drawn - 0.03 * current), "record.csv")


def test_a_cycle_is_a_charge_a_discharge_and_rests_named_by_rate():
    columns = record((0, 600), (-1.0, 7200), (0, 1800), (2.0, 3600), (0, 1800), (6.0, 1200), (0, 600))

    record_cut = cut_curves(columns, SOURCE, capacity=2.0)

    assert [curve.name for curve in record_cut.curves] == [
        "rest", "0.5C charge", "rest after 0.5C charge", "1C", "rest after 1C", "3C", "rest after 3C",
    ]  # fmt: skip
    assert [curve.kind for curve in record_cut.curves[3:6]] == ["discharge", "rest", "discharge"]
    assert record_cut.curves[3].charge == pytest.approx(2.0, abs=0.01)
    assert record_cut.unused == {}


def test_the_same_rate_twice_is_numbered():
    cut = cut_curves(record((2.0, 1800), (0, 600), (2.0, 1800)), SOURCE, capacity=2.0, kinds=("discharge",))

    assert [curve.name for curve in cut.curves] == ["1C", "1C (2)"]
    assert cut.unused == {"rest, not asked for": 59}  # of 60 rows, the last begins the second discharge


def test_without_a_capacity_curves_are_named_by_their_current():
    (curve,) = cut_curves(record((2.0, 1800)), SOURCE).curves

    assert curve.name == "2 A"


def test_a_discharge_begins_with_the_row_at_rest_before_it_only_where_that_is_near():
    near = record((0, 600), (2.0, 3600))
    far = record((0, 600), (2.0, 3600), step=1.0)
    far = clean_columns(
        as_columns(np.where(far.time < 600.0, far.time - 300.0, far.time), far.current, far.voltage), "record.csv"
    )

    with_rest = cut_curves(near, SOURCE, capacity=2.0).curves[-1]
    without = cut_curves(far, SOURCE, capacity=2.0).curves[-1]

    assert (with_rest.current[0], without.current[0]) == (0.0, 2.0)
    assert with_rest.rest_voltage == without.rest_voltage == 4.1


def test_pulses_with_steps_of_charge_between_them_are_one_curve():
    pulse = ((4.0, 10.0), (0.0, 40.0), (-3.0, 10.0), (0.0, 40.0), (0.7, 1000.0), (0.0, 600.0))
    columns = record((0, 60), *(pulse * 5), step=1.0)

    segments = find_segments(columns, 2.0)

    assert [segment.kind for segment in segments] == ["pulses", "discharge", "rest"]
    assert segments[0].start == 0


def test_a_drive_cycle_is_one_curve():
    rng = np.random.default_rng(5)
    current = np.repeat(rng.normal(2.0, 3.0, 400), 5)
    columns = clean_columns(as_columns(np.arange(current.size, dtype=np.float64), current, 3.7 - 0.03 * current), "x")

    (segment,) = find_segments(columns, 3.0)

    assert segment.kind == "drive"


def test_a_charge_whose_current_falls_at_constant_voltage_is_a_charge():
    time = np.arange(0.0, 9000.0, 10.0)
    current = np.where(time < 5400.0, -2.0, -2.0 * np.exp(-(time - 5400.0) / 800.0))
    columns = clean_columns(as_columns(time, current, np.minimum(4.2, 3.4 + time / 6500.0)), "x")

    (curve,) = cut_curves(columns, SOURCE, capacity=2.0).curves

    assert (curve.kind, curve.name) == ("charge", "1C charge")


def test_one_row_without_current_does_not_cut_a_discharge():
    columns = record((2.0, 3600))
    current = columns.current.copy()
    current[100] = 0.0

    (segment,) = find_segments(clean_columns(as_columns(columns.time, current, columns.voltage), "x"), 2.0)

    assert segment.kind == "discharge"


def test_an_offset_of_the_ammeter_is_rest():
    columns = record((0.01, 600), (5.0, 1200), (-0.01, 600))

    assert [segment.kind for segment in find_segments(columns, 2.0)] == ["rest", "discharge", "rest"]


def test_segments_cover_the_record_without_gaps():
    columns = record((0, 60), (2.0, 600), (0, 100), (-1.0, 900), (4.0, 30), (0, 30), (4.0, 30), (0, 30), (4.0, 30))

    segments = find_segments(columns, 2.0)

    assert [segment.start for segment in segments[1:]] == [segment.stop for segment in segments[:-1]]
    assert (segments[0].start, segments[-1].stop) == (0, columns.time.size)
    assert sum(segment.stop - segment.start for segment in segments) == columns.time.size
