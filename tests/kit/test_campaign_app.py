"""Campaigns inside headless Kit: its loop keeps its rhythm, its exit code tells how they ended, quitting stops them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from celltwin.runtime.campaign import read_runs

ROOT = Path(__file__).resolve().parents[2]

TEXT = """
name = "discharges"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/constant_current.toml"
[base]
pack.topology.parallel = 4
pack.layout.rows = 2
pack.topology.series = 2
pack.modules.count = 1
scenario.steps.0.longest = "4 min"
scenario.steps.1.longest = "1 min"
engine.step = 2.0
[design]
kind = "sobol"
points = POINTS
[[factors]]
name = "ambient"
field = "scenario.ambient.temperature"
unit = "degC"
range = [-10.0, 40.0]
"""
# A frame of 60 Hz would be lost; a user would not see it [ms].
LONGEST_UPDATE = 250.0


@pytest.fixture
def launch(tmp_path, kit_environment):
    """Return a function that gives the command and the options of a campaign inside headless Kit."""

    def start(points: int, *options: str) -> subprocess.Popen[str]:
        (tmp_path / "discharges.toml").write_text(TEXT.replace("POINTS", str(points)))
        command = [sys.executable, str(ROOT / "tools/repo.py"), "launch", "headless", "--"]
        command += ["--campaign", str(tmp_path / "discharges.toml"), "--out", str(tmp_path / "out"), *options]
        return subprocess.Popen(
            command, env=kit_environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return start


def test_a_campaign_runs_in_kit_without_holding_its_loop_and_ends_the_app(launch, tmp_path):
    with launch(8, "--workers", "1") as process:
        out, _ = process.communicate(timeout=200)

    assert process.returncode == 0, out
    assert [row["run"] for row in read_runs(tmp_path / "out")] == list(range(8))
    assert "8 of 8 runs done" in out
    longest = re.search(r"longest time between two updates of the host +(\d+) ms", out)
    assert longest is not None, out
    assert float(longest[1]) < LONGEST_UPDATE


def test_quitting_stops_the_campaign_and_the_next_start_goes_on(launch, tmp_path):
    with launch(64, "--workers", "1") as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "runs done" in line:
                    break
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    manifest = json.loads((tmp_path / "out/campaign.json").read_text())
    kept = len(read_runs(tmp_path / "out"))

    assert process.returncode == 130, out
    assert f"stopped with {64 - kept} runs left; the same command goes on from here" in out
    assert "Error" not in out
    assert (manifest["runs"], len(manifest["sessions"])) == (64, 1)


def test_a_campaign_that_cannot_run_ends_the_app_with_the_reason(launch, tmp_path):
    with launch(8, "--ray", "127.0.0.1:1") as process:
        out, _ = process.communicate(timeout=120)

    assert process.returncode == 2
    assert "127.0.0.1:1: no Ray cluster answers" in out
