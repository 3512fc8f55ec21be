"""``celltwin simulate``: a scenario from file to report, through the real engine and the real renderer."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, RecordingError, SpecError
from celltwin.runtime.report import ReportWriter
from celltwin.runtime.simulate import SimulationSettings, resume_simulation, run_simulation
from celltwin.telemetry import read_history

SCENARIO = """
name = "short"
description = "A test."
source = "this test"
seed = 3
[initial]
soc = 0.7
[[steps]]
name = "Drive"
kind = "drive_cycle"
time = [0, 30, 60]
power = [0, 200, -100]
longest = "2 min"
[[steps]]
name = "Discharge"
kind = "discharge"
rate = 1.0
longest = "6 min"
[[faults]]
name = "voltage off"
kind = "sensor_bias"
quantity = "voltage"
target = "M01.G02"
offset = -0.1
at = "3 min"
[[faults]]
name = "open"
kind = "open_weld"
target = "M02.G01.C02"
at = "4 min"
"""


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenarios") / "short.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def settings(scenario_file, small_pack):
    return SimulationSettings(scenario=str(scenario_file), pack=str(small_pack), device="cpu")


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    result, folder = run_simulation(replace(settings, out=str(out)))
    return result, folder, json.loads(folder.summary.read_text())


def test_a_simulation_leaves_what_it_did_with_units_seed_versions_and_hashes(finished):
    result, folder, summary = finished

    assert result.ended == summary["ended"] == "finished"
    assert summary["kind"] == "simulation"
    assert summary["seed"] == 3
    assert re.fullmatch("[0-9a-f]{12}", summary["scenario"]["hash"])
    assert "xjtu_18650@" in summary["model"]
    assert all(summary["libraries"].values())
    assert summary["simulated_s"] == 480.0
    assert summary["figures"]["discharged_Wh"] == pytest.approx(result.figures.energy["discharged"], abs=1e-3)
    assert [event["kind"] for event in summary["events"]].count("fault") == 2
    assert not list(folder.path.glob("checkpoint*"))


def test_the_history_holds_every_cell_and_the_terminals_at_every_step_of_a_profile(finished):
    _, folder, _ = finished
    history = read_history(folder.history)

    current = history.reading(Kind.PREDICTED, "current", Level.PACK)
    cells = history.reading(Kind.PREDICTED, "current", Level.CELL)

    assert np.all(np.isin(np.arange(1.0, 121.0), current.time))  # each second of the profile
    np.testing.assert_allclose(np.diff(cells.time), 10.0)
    assert cells.values.shape == (48, 12)
    late = cells.time > 250.0
    np.testing.assert_allclose(cells.values[late, 7], 0.0, atol=1e-5)
    np.testing.assert_allclose(cells.values[late, 6:9].sum(axis=1), 6.0, rtol=1e-5)


def test_sensors_say_something_else_than_what_is_true_once_they_are_broken(finished):
    _, folder, summary = finished
    history = read_history(folder.history)
    true = history.reading(Kind.PREDICTED, "voltage", Level.GROUP)
    time, sent = history.measured("voltage", Level.GROUP)

    error = sent - np.array([np.interp(time, true.time, column) for column in true.values.T]).T

    assert np.abs(error[time < 180.0]).max() < 0.01
    np.testing.assert_allclose(error[time >= 180.0, 1], -0.1, atol=0.01)
    assert summary["measured"]["sensor_faults"][0]["channels"] == [
        {"quantity": "voltage", "level": "group", "element": 1}
    ]


def test_the_report_shows_the_pack_over_time_and_can_be_written_again(finished):
    _, folder, _ = finished
    text = folder.report.read_text()
    folder.report.unlink()

    again = ReportWriter(folder.path).write().read_text()

    for words in (
        "Simulation: short", "The pack over time", "Voltage, current, power", "Series groups", "Current sharing",
        "Temperature [°C]", "Pack power [kW]", "Sensors", "voltage off", "M02.G01.C02", "this test",
    ):  # fmt: skip
        assert words in text
    assert text.count("data:image/png;base64,") >= 4
    assert again.count("data:image/png;base64,") == text.count("data:image/png;base64,")


def test_an_interrupted_simulation_goes_on_where_it_was(settings, finished, tmp_path):
    # The process is told to stop by Ctrl-C once its history has begun.
    out = tmp_path / "run"
    options = ["--scenario", settings.scenario, "--pack", settings.pack, "--device", "cpu", "--no-report"]
    code = (
        "import os, signal, sys\n"
        "from celltwin.physics import scenario_run\n"
        "whole = scenario_run.ScenarioRun.advance\n"
        "def advance(self):\n"
        "    sample = whole(self)\n"
        "    if sample.time == 200.0: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return sample\n"
        "scenario_run.ScenarioRun.advance = advance\n"
        "from celltwin.runtime.command_line import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", *options, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert json.loads((out / "summary.json").read_text())["ended"] == "cancelled"
    assert f"--resume {out}" in done.stderr.replace("\n", "")

    result, folder = resume_simulation(out)

    whole, _, _ = finished
    assert (result.ended, result.start, result.time) == ("finished", 200.0, 480.0)
    assert result.figures.charge["discharged"] == pytest.approx(whole.figures.charge["discharged"], rel=1e-9)
    one, two = (read_history(place) for place in (finished[1].history, folder.history))
    for quantity, level in (("temperature", Level.CELL), ("current", Level.PACK)):
        first, second = (found.reading(Kind.PREDICTED, quantity, level) for found in (one, two))
        np.testing.assert_array_equal(first.time, second.time)
        np.testing.assert_allclose(first.values, second.values, rtol=1e-6)
    for first, second in zip(one.measured("voltage", Level.GROUP), two.measured("voltage", Level.GROUP), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6)
    with pytest.raises(RecordingError, match="there is no checkpoint"):
        resume_simulation(out)


def test_a_scenario_that_does_not_fit_the_pack_leaves_no_folder(settings, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(SCENARIO.replace("M02.G01.C02", "M09.G01.C02"))

    with pytest.raises(SpecError, match=r"'M09\.G01\.C02' is not in small"):
        run_simulation(replace(settings, scenario=str(wrong), out=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_what_it_cannot_do_with_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "celltwin.runtime.command_line", "simulate", "--scenario", "nowhere"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.startswith("celltwin: nowhere: there is no such scenario file. Give a TOML file, or one of:")
