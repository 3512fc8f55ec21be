"""The time column is found by its usual names, with its unit."""

from __future__ import annotations

import pytest

from celltwin.core import TelemetryError, TimeForm, recognise_times, time_reader
from celltwin.telemetry.time_columns import (
    find_time_column,
    unit_of_numbers,
)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("time", None),
        ("Time", None),
        ("TIME", None),
        ("t", None),
        ("time_s", 1.0),
        ("Time [s]", 1.0),
        ("Time (h)", 3600.0),
        ("time/s", 1.0),
        ("time_ms", 1e-3),
        ("Time in min", 60.0),
        ("Test_Time(s)", 1.0),
        ("TestTime", None),
        ("Total Time", None),
        ("elapsed_seconds", 1.0),
        ("timestamp", None),
        ("Timestamp (UTC)", None),
        ("DateTime", None),
        ("hours", 3600.0),
        (' "time" ', None),
    ],
)
def test_usual_spellings_are_recognised_with_their_unit(name: str, unit: float | None) -> None:
    found = find_time_column(["voltage", name], where="file")
    assert found is not None
    assert (found.index, found.unit) == (1, unit)


@pytest.mark.parametrize("name", ["T", "T [degC]", "T_cell", "Step time", "voltage", "temperature", "", "timeout"])
def test_other_names_are_not_taken_for_the_time(name: str) -> None:
    assert find_time_column([name, "current"], where="file") is None


def test_elapsed_time_wins_over_the_date_and_over_the_step_time() -> None:
    names = ["Total Time", "Step time", "Real Time", "timestamp"]
    found = find_time_column(names, where="file")
    assert found is not None
    assert found.name == "Total Time"


def test_two_equally_good_columns_are_an_error_that_names_both() -> None:
    with pytest.raises(TelemetryError, match=r"file:1: several columns.*'time', 'time_s'"):
        find_time_column(["time", "time_s"], where="file:1")


def test_a_wanted_column_settles_the_question() -> None:
    found = find_time_column(["time", "time_s"], where="file", wanted="time_s")
    assert found is not None
    assert found.index == 1
    assert find_time_column(["time"], where="file", wanted="clock") is None


def test_an_unknown_unit_is_an_error() -> None:
    with pytest.raises(TelemetryError, match="furlong"):
        find_time_column(["time [furlong]"], where="file")


@pytest.mark.parametrize(
    ("texts", "form", "seconds"),
    [
        (["0.5", "1.5"], TimeForm.NUMBER, [0.5, 1.5]),
        (["1970-01-01T00:00:01Z", "1970-01-01T00:00:02.5+00:00"], TimeForm.DATETIME, [1.0, 2.5]),
        (["1970/01/01 00:01:00", "1970-01-01 00:02:00"], TimeForm.DATETIME, [60.0, 120.0]),
        (["1970-01-01T01:00:00+01:00", "1970-01-02"], TimeForm.DATETIME, [0.0, 86400.0]),
        (["0:00:01", "01:00:00.5"], TimeForm.CLOCK, [1.0, 3600.5]),
        (["1d 00:00:01", "1 00:00:02"], TimeForm.CLOCK, [86401.0, 86402.0]),
    ],
)
def test_the_form_of_times_is_recognised_and_read(texts: list[str], form: TimeForm, seconds: list[float]) -> None:
    assert recognise_times(texts, decimal_comma=False) is form
    read = time_reader(form, unit=1.0, decimal_comma=False)
    assert [read(text) for text in texts] == pytest.approx(seconds)


def test_words_are_no_times() -> None:
    assert recognise_times(["yes", "no", "1"], decimal_comma=False) is None


def test_a_decimal_comma_is_read_where_the_file_has_it() -> None:
    assert time_reader(TimeForm.NUMBER, unit=60.0, decimal_comma=True)("1,5") == 90.0


@pytest.mark.parametrize(("first", "unit"), [(1.7e9, 1.0), (1.7e12, 1e-3), (1.7e15, 1e-6), (1.7e18, 1e-9)])
def test_the_size_of_a_time_stamp_tells_its_unit(first: float, unit: float) -> None:
    column = find_time_column(["timestamp"], where="file")
    assert column is not None
    assert unit_of_numbers(first, column) == unit


def test_elapsed_numbers_are_seconds_however_large() -> None:
    column = find_time_column(["time"], where="file")
    assert column is not None
    assert unit_of_numbers(1.7e12, column) == 1.0
