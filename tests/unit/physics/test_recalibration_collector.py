"""Telemetry of a running pack gathered by group: levels, times, silences, and windows that begin at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Level, expand_channels, load_pack
from celltwin.physics.calibration.online_recalibration_collector import WindowCollector
from celltwin.physics.calibration.online_recalibration_window import assess_window


@pytest.fixture(scope="module")
def channels(small_pack):
    return tuple(channel for channel in expand_channels(small_pack) if channel.direction == "in")


def _columns(channels, quantity: str, level: Level) -> np.ndarray:
    return np.array(
        [place for place, item in enumerate(channels) if (item.quantity, item.level) == (quantity, level)],
        dtype=np.int64,
    )


@pytest.fixture
def feed(small_pack, channels):
    """Return a collector and a function that gives it samples of one quantity, the same for all elements."""
    collector = WindowCollector(small_pack, channels)

    def give(time, quantity: str, level: Level, values):
        columns = _columns(channels, quantity, level)
        time = np.atleast_1d(np.asarray(time, dtype=float))
        rows = np.broadcast_to(np.asarray(values, dtype=float).reshape(len(time), -1), (len(time), columns.size))
        collector.add(time, columns, np.array(rows))

    return collector, give


def _give_all(give, time, current):
    give(time, "current", Level.PACK, current)
    give(time, "voltage", Level.GROUP, 3.7 - 0.01 * np.asarray(current))
    give(time, "temperature", Level.CELL, np.full(len(time), 300.0))


def test_quantities_that_come_apart_become_one_window_of_mean_cells(feed, small_pack):
    collector, give = feed
    time = np.arange(0.0, 100.0, 10.0)
    give(time, "voltage", Level.GROUP, np.full(10, 3.7))
    give(time + 2.0, "current", Level.PACK, np.linspace(0.0, 9.0, 10))
    give(time, "temperature", Level.CELL, np.full(10, 301.0))

    window = collector.cut()

    assert window.time.tolist() == time.tolist()
    assert window.group_ids == small_pack.element_ids(Level.GROUP)
    # A pack's current through three parallel cells, read two seconds later than the voltages.
    np.testing.assert_allclose(window.current[1:, 0], (np.arange(1, 10) - 0.2) / 3.0)
    np.testing.assert_allclose(window.temperature, 301.0)


def test_a_long_silence_of_the_current_sensor_stays_unknown_and_refuses_the_window(feed):
    collector, give = feed
    time = np.arange(0.0, 1800.0, 10.0)
    silent = (time > 600.0) & (time < 700.0)
    _give_all(give, time[~silent], np.where(time < 300.0, 0.0, 6.0)[~silent])
    give(time[silent], "voltage", Level.GROUP, np.full(int(silent.sum()), 3.6))

    window = collector.cut()

    assert np.isnan(window.current[:, 0]).sum() == int(silent.sum())
    assert "a current is missing" in assess_window(window, 2.0).refusals[0]


def test_a_step_shows_between_samples_of_ten_seconds_but_not_over_a_minute(repo_root):
    for period, steps in ((1.0, 2), (10.0, 2), (60.0, 0)):
        pack = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
        channels = tuple(channel for channel in expand_channels(pack) if channel.direction == "in")
        collector = WindowCollector(pack, channels)
        time = np.arange(0.0, 1200.0, period)
        values = {
            "current": np.where((time > 300.0) & (time < 600.0), 30.0, 0.0),
            "voltage": np.full(time.size, 3.8),
            "temperature": np.full(time.size, 298.0),
        }
        columns = np.arange(len(channels))
        rows = np.stack([values.get(item.quantity, np.full(time.size, np.nan)) for item in channels], axis=1)
        collector.add(time, columns, rows)
        assert assess_window(collector.cut(), 32.5).steps == steps


def test_the_next_window_begins_with_the_last_sample_of_the_one_before(feed):
    collector, give = feed
    time = np.arange(0.0, 600.0, 10.0)
    _give_all(give, time, np.where((time > 100.0) & (time < 500.0), 6.0, 0.0))
    assert collector.worked
    assert collector.resting
    assert collector.duration == 590.0

    collector.cut()
    assert not collector.worked
    assert collector.duration == 0.0
    _give_all(give, time[1:] + 590.0, np.full(59, 3.0))

    window = collector.cut()

    assert window.time[0] == 590.0
    assert window.current[0, 0] == 0.0
    assert window.current[1, 0] == 1.0


def test_groups_without_a_sensor_take_the_temperature_of_their_module(small_pack):
    sensors = tuple(
        replace(sensor, elements=(0, 1, 2, 6)) if sensor.id == "cell_temperature" else sensor
        for sensor in small_pack.sensors
    )
    spec = replace(small_pack, sensors=sensors)
    channels = tuple(channel for channel in expand_channels(spec) if channel.direction == "in")
    collector = WindowCollector(spec, channels)
    time = np.array([0.0, 10.0])
    for quantity, level, values in (
        ("voltage", Level.GROUP, [3.7]),
        ("current", Level.PACK, [0.0]),
        ("temperature", Level.CELL, [300.0, 301.0, 302.0, 310.0]),
    ):
        columns = _columns(channels, quantity, level)
        collector.add(time, columns, np.tile(np.resize(values, columns.size), (2, 1)))

    assert collector.missing == ()
    np.testing.assert_allclose(collector.cut().temperature[0], [301.0, 301.0, 310.0, 310.0])


def test_a_pack_without_a_current_sensor_says_so(small_pack):
    channels = tuple(item for item in expand_channels(small_pack) if item.quantity == "voltage")
    assert WindowCollector(small_pack, channels).missing == ("current", "temperature")


def test_the_noise_of_the_current_sensor_is_no_current(small_pack, channels):
    collector = WindowCollector(small_pack, channels)
    columns = _columns(channels, "current", Level.PACK)
    collector.add(np.arange(3.0), columns, np.array([[0.05], [-0.2], [0.1]]))
    assert collector.resting
    assert not collector.worked
    collector.add(np.array([3.0]), columns, np.array([[2.0]]))
    assert collector.worked
