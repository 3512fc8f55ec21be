"""Campaigns at work: every run once, whatever dies, and results that any reader of Parquet opens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from celltwin.core import RecordingError, SettingsError
from celltwin.runtime.campaign import CampaignRun, parse_campaign, read_runs
from celltwin.runtime.campaign.session import CampaignSession
from celltwin.runtime.campaign.summary import summarise

# A pack that cools towards its surroundings: a run as short as a campaign's own work can be measured with.
FUNCTIONS = """
import os
import numpy as np
from celltwin.core import SettingsError
from celltwin.runtime.campaign import RunResult

TIME_CONSTANT = 1200.0

def cool(request):
    with open(os.environ["CAMPAIGN_STARTS"], "a") as file:
        file.write(f"{request.run}\\n")
    ambient = request.scenario.ambient.temperature
    start = request.scenario.initial.temperature
    time = np.arange(0.0, 3600.1, request.outputs.sample_period)
    temperature = ambient + (start - ambient) * np.exp(-time / TIME_CONSTANT)
    history = {"time": time, "temperature": temperature, "cells": np.tile(temperature[:, None], request.pack.n_cells)}
    units = {"time": "s", "temperature": "K", "cells": "K", "final_temperature": "K"}
    return RunResult(
        figures={"final_temperature": temperature[-1], "flow": request.pack.cooling.flow},
        units=units,
        history=history if request.outputs.history else None,
    )

def cool_unless_hot(request):
    if request.scenario.ambient.temperature > 310.0:
        raise SettingsError("too hot to cool", where="ambient", remedy="Wait for winter")
    return cool(request)

def cool_or_die(request):
    if request.run == 27:
        os.kill(os.getpid(), 9)
    return cool(request)
"""

TEXT = """
name = "cooling"
pack = "data/packs/reference.toml"
scenario = "data/scenarios/constant_current.toml"

[base]
pack.topology.parallel = 4
pack.layout.rows = 2
pack.topology.series = 2
pack.modules.count = 1
scenario.initial.temperature = "60 degC"

[design]
kind = "grid"

[[factors]]
name = "ambient"
field = "scenario.ambient.temperature"
unit = "degC"
range = [-10.0, 40.0]
levels = 6

[[factors]]
name = "flow"
field = "pack.cooling.flow"
unit = "g/s"
values = [10.0, 50.0]

[outputs]
rank_by = "final_temperature"
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """Return the prefix of functions that workers can import."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "campaign_functions.py").write_text(FUNCTIONS)
    sys.path.insert(0, str(folder))
    yield "campaign_functions:"
    sys.path.remove(str(folder))


@pytest.fixture
def starts(tmp_path, monkeypatch):
    """Return a function that counts how often each run was started."""
    log = tmp_path / "starts.txt"
    log.touch()
    monkeypatch.setenv("CAMPAIGN_STARTS", str(log))
    return lambda: Counter(int(line) for line in log.read_text().split())


@pytest.fixture
def make(tmp_path):
    """Return a function that makes the campaign of this page with other values of some fields."""

    def parse(text: str = TEXT, **changes):
        return parse_campaign(tomllib.loads(text) | changes, path=tmp_path / "cooling.toml")

    return parse


def finish(campaign, folder: Path, **options):
    run = CampaignRun(campaign, folder, workers=2, **options)
    try:
        while not (progress := run.advance(10.0)).done:
            pass
    finally:
        run.close()
    return progress


def expected(ambient: float) -> float:
    return ambient + 273.15 + (60.0 - ambient) * np.exp(-3.0)


def test_every_run_is_kept_with_its_parameters_and_figures(make, functions, starts, tmp_path):
    progress = finish(make(), tmp_path / "out", function=f"{functions}cool")
    rows = read_runs(tmp_path / "out")

    assert (progress.finished, progress.failed, progress.remaining) == (12, 0, 0)
    assert starts() == dict.fromkeys(range(12), 1)
    assert [(row["run"], row["point"], row["seed"], row["attempts"]) for row in rows] == [
        (n, n, 1, 1) for n in range(12)
    ]
    assert [row["ambient"] for row in rows[::2]] == pytest.approx([-10.0, 0.0, 10.0, 20.0, 30.0, 40.0])
    for row in rows:
        assert row["final_temperature"] == pytest.approx(expected(row["ambient"]), abs=1e-9)
        assert row["flow"] in (10.0, 50.0)
        assert row["flow_result"] == pytest.approx(row["flow"] / 1000.0)  # a figure does not hide a factor


def test_a_plain_reader_of_parquet_finds_partitions_units_and_no_unfinished_file(make, functions, starts, tmp_path):
    campaign = make(outputs={"history": True, "sample_period": "60 s"})
    finish(campaign, tmp_path / "out", function=f"{functions}cool")

    runs = pq.read_table(tmp_path / "out/runs")
    of_one = pq.read_table(tmp_path / "out/history", filters=[("run", "=", 3)])

    assert runs.num_rows == 12
    assert runs.schema.field("ambient").metadata == {b"unit": b"degC"}
    assert runs.schema.field("final_temperature").metadata == {b"unit": b"K"}
    assert of_one.num_rows == 61
    assert of_one["temperature"][60].as_py() == pytest.approx(expected(0.0))
    assert len(of_one["cells"][0]) == 8
    assert not list((tmp_path / "out").rglob("*.unfinished"))


def test_short_runs_share_tasks_and_parts(make, functions, starts, tmp_path):
    finish(make(seeds=list(range(1, 11))), tmp_path / "out", function=f"{functions}cool")

    parts = list((tmp_path / "out/runs").glob("*/*.parquet"))
    assert sorted(row["run"] for row in read_runs(tmp_path / "out")) == list(range(120))
    assert len(parts) < 30


def test_a_campaign_that_is_done_starts_nothing_again(make, functions, starts, tmp_path):
    finish(make(), tmp_path / "out", function=f"{functions}cool")
    before = json.loads((tmp_path / "out/campaign.json").read_text())

    progress = finish(make(), tmp_path / "out", function=f"{functions}cool")
    after = json.loads((tmp_path / "out/campaign.json").read_text())

    assert (progress.finished, progress.finished_before) == (12, 12)
    assert set(starts().values()) == {1}
    assert [session["finished_before"] for session in after["sessions"]] == [0, 12]
    assert after["hashes"] == before["hashes"]
    assert after["created"] == before["created"]


KILLED = """
import sys, tomllib
from pathlib import Path
from celltwin.runtime.campaign import CampaignRun, parse_campaign
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    campaign = parse_campaign(tomllib.loads((folder / "cooling.toml").read_text()), path=folder / "cooling.toml")
    run = CampaignRun(campaign, folder / "out", workers=2, function="campaign_functions:cool")
    while True:
        print(run.advance(10.0).finished, flush=True)
"""


def test_a_campaign_that_is_killed_goes_on_and_runs_nothing_twice_that_had_finished(make, functions, starts, tmp_path):
    text = TEXT.replace("levels = 6", "levels = 60")
    (tmp_path / "cooling.toml").write_text(text)
    (tmp_path / "killed.py").write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": sys.path[0]}
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 10:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    kept = {row["run"] for row in read_runs(tmp_path / "out")}
    assert 10 <= len(kept) < 120

    progress = finish(make(text), tmp_path / "out", function=f"{functions}cool")

    counted = starts()
    assert (progress.finished, progress.finished_before) == (120, len(kept))
    assert {counted[run] for run in kept} == {1}
    assert set(counted) == set(range(120))
    for row in read_runs(tmp_path / "out"):
        assert row["final_temperature"] == pytest.approx(expected(row["ambient"]), abs=1e-9)


def test_a_run_that_fails_is_kept_with_its_reason_and_is_tried_again_only_on_request(make, functions, starts, tmp_path):
    progress = finish(make(), tmp_path / "out", function=f"{functions}cool_unless_hot")
    failures = read_runs(tmp_path / "out", failed=True)

    assert (progress.finished, progress.failed) == (10, 2)
    assert [(row["run"], row["ambient"], row["error"], row["reason"]) for row in failures] == [
        (run, 40.0, "SettingsError", "ambient: too hot to cool. Wait for winter") for run in (10, 11)
    ]
    assert finish(make(), tmp_path / "out", function=f"{functions}cool").failed == 2
    again = finish(make(), tmp_path / "out", function=f"{functions}cool", retry_failed=True)
    assert (again.finished, again.failed) == (12, 0)
    assert read_runs(tmp_path / "out", failed=True) == []
    assert set(starts().values()) == {1}


def test_a_run_that_kills_its_workers_is_found_in_its_batch_and_all_others_finish(make, functions, starts, tmp_path):
    progress = finish(make(seeds=[1, 2, 3]), tmp_path / "out", function=f"{functions}cool_or_die")
    failures = read_runs(tmp_path / "out", failed=True)

    assert (progress.finished, progress.failed) == (35, 1)
    assert [(row["run"], row["error"], row["ambient"], row["seed"], row["attempts"]) for row in failures] == [
        (27, "WorkerError", 0.0, 3, 3)
    ]
    assert "3 workers died while it ran" in failures[0]["reason"]


def test_another_design_in_the_same_folder_is_refused_with_what_differs(make, functions, starts, tmp_path):
    finish(make(), tmp_path / "out", function=f"{functions}cool")

    with pytest.raises(
        SettingsError, match=r"campaign.json: .* with other seeds. Give another --out .* cooling.toml said"
    ):
        CampaignRun(make(seed=2), tmp_path / "out")
    with pytest.raises(SettingsError, match="with other base, factors, points"):
        CampaignRun(make(TEXT.replace('"60 degC"', '"50 degC"').replace("[10.0, 50.0]", "[10.0]")), tmp_path / "out")


def test_a_folder_is_held_against_a_second_process(make, functions, starts, tmp_path):
    run = CampaignRun(make(), tmp_path / "out", function=f"{functions}cool")
    try:
        with pytest.raises(SettingsError, match="another process works on this campaign"):
            CampaignRun(make(), tmp_path / "out")
    finally:
        run.close()
        run.close()


def test_results_without_a_manifest_and_a_folder_that_is_a_file_are_refused(make, tmp_path):
    (tmp_path / "out/runs").mkdir(parents=True)
    with pytest.raises(SettingsError, match="holds results, but no readable manifest"):
        CampaignRun(make(), tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="file"):
        CampaignRun(make(), tmp_path / "file")


def test_a_damaged_part_is_set_aside_and_its_runs_are_run_again(make, functions, starts, tmp_path):
    finish(make(), tmp_path / "out", function=f"{functions}cool")
    (part, *_) = sorted((tmp_path / "out/runs").glob("batch=000000/*.parquet"))
    part.write_bytes(part.read_bytes()[:100])

    progress = finish(make(), tmp_path / "out", function=f"{functions}cool")

    assert progress.finished == 12
    assert progress.finished_before < 12
    assert sorted(row["run"] for row in read_runs(tmp_path / "out")) == list(range(12))


def test_the_session_tells_the_best_and_the_worst_run(make, functions, starts, tmp_path):
    from rich.console import Console

    (tmp_path / "cooling.toml").write_text(TEXT)
    session = CampaignSession(
        str(tmp_path / "cooling.toml"), out=str(tmp_path / "out"), workers=1, function=f"{functions}cool"
    )
    opening = session.opening_lines()
    while not session.advance(10.0).done:
        pass
    code, closing = session.close()

    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    for line in closing:
        console.print(line)
    console.file.close()
    text = console.export_text()
    assert code == 0
    assert "12 points by grid over ambient, flow; 12 runs" in opening[0]
    assert "12 runs by final_temperature, lowest first" in text
    numbers = next(line for line in text.splitlines() if line.startswith("┃ run")).split("┃")[2:-1]
    assert [number.strip() for number in numbers] == ["0", "1", "2", "… 9", "10", "11"]
    assert "ambient [degC]" in text


def test_a_session_that_is_stopped_early_says_how_to_go_on(make, functions, starts, tmp_path):
    (tmp_path / "cooling.toml").write_text(TEXT)
    session = CampaignSession(str(tmp_path / "cooling.toml"), out=str(tmp_path / "out"), function=f"{functions}cool")

    code, closing = session.close()

    assert code == 130
    assert "12 runs left; the same command goes on" in str(closing[0])


def test_a_figure_that_does_not_exist_is_told_with_those_that_do(make, functions, starts, tmp_path):
    campaign = make(outputs={"rank_by": "lowest_voltage"})
    finish(campaign, tmp_path / "out", function=f"{functions}cool")

    shown = summarise(campaign, tmp_path / "out")

    assert "outputs name lowest_voltage: no such figure; there are final_temperature" in str(shown[1])
