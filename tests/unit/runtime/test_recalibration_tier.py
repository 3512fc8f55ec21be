"""The twin's recalibration: which windows it sends to its worker, and what a dead worker or a slow one leaves."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Level, PackState, RecalibrationSpec, SettingsError, expand_channels, load_pack
from celltwin.physics.calibration import RecalibrationState
from celltwin.runtime.recalibration import Recalibration, load_recalibration
from celltwin.runtime.run_folder import RunFolder
from celltwin.telemetry import AcceptedBlock, AcceptedSamples

INTERVAL = 1200.0


@pytest.fixture
def spec(repo_root):
    reference = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    return replace(reference, recalibration=RecalibrationSpec(interval=INTERVAL))


@pytest.fixture
def tier(spec, tmp_path):
    channels = tuple(channel for channel in expand_channels(spec) if channel.direction == "in")
    recalibration = Recalibration(spec, RunFolder(tmp_path / "run"), channels)
    yield recalibration
    recalibration.close()


def _feed(tier, spec, start: float, end: float, current) -> None:
    """Show samples every 10 s, and offer after each."""
    channels = [channel for channel in expand_channels(spec) if channel.direction == "in"]
    for now in np.arange(start, end, 10.0):
        values = {"current": current(now), "voltage": 3.8, "temperature": 298.0}
        row = np.array([[values.get(channel.quantity, np.nan) for channel in channels]])
        block = AcceptedBlock(channels=np.arange(len(channels)), time=np.array([now]), values=row)
        tier.watch(AcceptedSamples(blocks=(block,)))
        tier.offer(PackState(time=float(now), step=int(now / 10.0)))


def _load(now: float) -> float:
    return 40.0 if 100.0 < now % 1500.0 < 1100.0 else 0.0


def test_time_at_rest_is_dropped_unsaid_and_a_load_is_sent(tier, spec):
    _feed(tier, spec, 0.0, 3000.0, lambda now: 0.0)
    assert not tier.tier.pending
    assert tier.entry()["windows"] == []

    _feed(tier, spec, 3000.0, 4500.0, _load)

    assert tier.tier.pending
    assert tier._window.time[0] < 3100.0
    assert tier._window.time[-1] >= 4100.0
    assert tier.take(4500.0, clocked=True) is None


def test_a_load_without_rest_is_cut_after_four_intervals(tier, spec):
    _feed(tier, spec, 0.0, 5.0 * INTERVAL, lambda now: 20.0 if now > 100.0 else 0.0)
    assert tier._window.duration == pytest.approx(4.0 * INTERVAL, abs=10.0)


def test_a_window_that_comes_while_another_is_learned_from_is_refused_with_that_reason(tier, spec):
    _feed(tier, spec, 0.0, 1500.0, _load)
    assert tier.tier.pending

    _feed(tier, spec, 1500.0, 1500.0 + 5.0 * INTERVAL, lambda now: 5.0)

    assert tier.tier.pending
    assert tier.entry()["windows"][0]["refused"] == ["the window before it was still being learned from"]


def test_a_worker_that_dies_costs_its_window_and_is_started_anew(tier, spec):
    _feed(tier, spec, 0.0, 1500.0, _load)
    dead = tier._worker.process_id
    os.kill(dead, signal.SIGKILL)

    wait([tier.tier._pending], timeout=60.0)

    assert tier.take(1500.0, clocked=True) is None

    (window,) = tier.entry()["windows"]
    assert "the recalibration failed" in window["refused"][0]
    assert tier.tier.working
    assert tier._worker.process_id != dead
    assert tier.first_readings() == ()
    assert tier.closing_lines()[0].startswith("  recalibrated from 0 of 1 windows; the last was refused: the recal")


def test_a_state_that_was_learned_with_another_cell_model_says_so(spec, tmp_path):
    groups = spec.element_ids(Level.GROUP)
    state = RecalibrationState(
        group_ids=groups,
        time=0.0,
        mean=np.zeros((len(groups), 3)),
        covariance=np.tile(0.01 * np.eye(3), (len(groups), 1, 1)),
        windows=np.ones(len(groups), dtype=np.int64),
        provenance="another@0",
    )
    channels = tuple(channel for channel in expand_channels(spec) if channel.direction == "in")
    tier = Recalibration(spec, RunFolder(tmp_path / "run"), channels, earlier=state)
    _feed(tier, spec, 0.0, 1500.0, _load)
    wait([tier.tier._pending], timeout=60.0)
    tier.take(1500.0, clocked=True)
    tier.close()

    assert "learned with the cell model another@0" in tier.entry()["windows"][0]["refused"][0]


def test_a_pack_without_the_sensors_is_refused(spec, tmp_path):
    channels = tuple(channel for channel in expand_channels(spec) if channel.quantity != "current")
    with pytest.raises(SettingsError, match="maps no current of its groups"):
        Recalibration(spec, RunFolder(tmp_path / "run"), channels)


def test_times_of_an_earlier_run_end_where_the_next_begins(spec, tmp_path):
    groups = spec.element_ids(Level.GROUP)
    content = {
        "schema": "celltwin.recalibration/1",
        "group_ids": groups,
        "time": 5000.0,
        "mean": np.full((len(groups), 3), -0.1).tolist(),
        "covariance": np.tile(0.01 * np.eye(3), (len(groups), 1, 1)).tolist(),
        "windows": [1] * len(groups),
        "provenance": "leaf_pouch@0; window",
        "run_time": 8600.0,
    }
    (tmp_path / "recalibration.json").write_text(json.dumps(content))

    state = load_recalibration(tmp_path, spec)

    assert state.time == -3600.0
    assert state.model == "leaf_pouch@0"
    (tmp_path / "recalibration.json").write_text("{")
    with pytest.raises(SettingsError, match="no state of a recalibration"):
        load_recalibration(tmp_path, spec)
