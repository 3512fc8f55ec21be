import numpy as np
import pytest

from celltwin.core import Level, expand_channels, load_pack
from celltwin.runtime.statistics import RunStatistics
from celltwin.telemetry import AcceptedBlock, AcceptedSamples


@pytest.fixture(scope="module")
def spec(repo_root):
    return load_pack(repo_root / "data/packs/leaf_3_modules.toml")


def samples(spec, time, current, voltage):
    channels = expand_channels(spec)
    columns = [
        index
        for index, channel in enumerate(channels)
        if (channel.quantity, channel.level) in (("current", Level.PACK), ("voltage", Level.GROUP))
    ]
    values = [
        current if channels[index].quantity == "current" else voltage[:, channels[index].element] for index in columns
    ]
    block = AcceptedBlock(channels=np.array(columns), time=time, values=np.stack(values, axis=1))
    return AcceptedSamples(blocks=(block,), quarantined=())


def test_an_hour_at_constant_current_moves_its_charge_and_energy_however_it_is_cut(spec):
    time = np.arange(0.0, 3601.0)
    voltage = np.full((time.size, spec.n_groups), 3.75)
    whole, pieces = RunStatistics(spec), RunStatistics(spec)

    whole.watch(samples(spec, time, np.full(time.size, 65.0), voltage))
    for part in np.array_split(np.arange(time.size), 37):
        pieces.watch(samples(spec, time[part], np.full(part.size, 65.0), voltage[part]))

    for statistics in (whole, pieces):
        assert statistics.charge["discharged"] == pytest.approx(65.0)
        assert statistics.charge["charged"] == 0.0
        assert statistics.energy["discharged"] == pytest.approx(65.0 * 6 * 3.75)


def test_charging_counts_apart(spec):
    statistics = RunStatistics(spec)
    time = np.arange(0.0, 1801.0)

    statistics.watch(samples(spec, time, np.full(time.size, -32.5), np.full((time.size, 6), 3.8)))

    assert statistics.charge == pytest.approx({"discharged": 0.0, "charged": 16.25})


def test_a_missing_current_is_carried_forward_and_a_silence_is_not_counted(spec):
    statistics = RunStatistics(spec)
    time = np.array([0.0, 10.0, 20.0, 30.0, 1000.0, 1010.0])
    current = np.array([36.0, 36.0, np.nan, 36.0, 36.0, 36.0])

    statistics.watch(samples(spec, time, current, np.full((6, 6), 3.7)))

    assert statistics.charge["discharged"] == pytest.approx(0.4)


def test_the_weak_group_is_ranked_first(spec):
    statistics = RunStatistics(spec)
    time = np.arange(0.0, 600.0)
    voltage = np.full((time.size, 6), 3.7) + np.random.default_rng(2).normal(0.0, 5e-4, (time.size, 6))
    voltage[:, 3] -= 0.03

    statistics.watch(samples(spec, time, np.full(time.size, 65.0), voltage))

    groups = statistics.entry()["groups"]
    assert groups[0]["element"] == "A02.G02"
    assert groups[0]["weak"]
    assert groups[0]["deficit_V"] == pytest.approx(0.03, abs=1e-3)
