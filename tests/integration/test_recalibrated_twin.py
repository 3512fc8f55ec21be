"""A twin that learns capacity, resistance and diffusivity of its groups from the telemetry of its own run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from pxr import Usd

from celltwin.core import Kind, Level, Quality, SettingsError
from celltwin.runtime import TwinSettings
from celltwin.runtime.job import TwinJob
from celltwin.stage import prim_paths, read_pack

DUTY = """
name = "little_then_much"
[initial]
soc = 0.9
capacity_spread = 0.005
ageing = 0.0
weak_groups = 0
[[steps]]
name = "Trickle"
kind = "discharge"
rate = 0.05
longest = "15 min"
[[steps]]
name = "First rest"
kind = "rest"
longest = "1 min"
[[steps]]
name = "Discharge"
kind = "discharge"
rate = 1.2
longest = "30 min"
[[steps]]
name = "Second rest"
kind = "rest"
longest = "10 min"
[[faults]]
kind = "weak_cell"
target = "group:2"
capacity = 0.92
"""
WEAK = 2  # index of that group
ANSWERED = 3220.0  # the window ends at 2,770 s, at rest, and takes effect half an interval later [s]


@pytest.fixture(scope="module")
def learning(repo_root, tmp_path_factory):
    """Return pack and duty: two modules of two groups of one cell, one of them weak."""
    folder = tmp_path_factory.mktemp("learning")
    text = (repo_root / "data/packs/reference.toml").read_text()
    for old, new in (
        ('name = "reference"', 'name = "learning"'),
        ("series = 10", "series = 2"),
        ("parallel = 28", "parallel = 1"),
        ("rows = 14", "rows = 1"),
        ("count = 10", "count = 2"),
        ('standard_uncertainty = "0.1 A"', 'standard_uncertainty = "5 mA"'),
        ("[modules]", '[recalibration]\ninterval = "15 min"\nmemory = "20 d"\nseconds = "60 s"\n\n[modules]'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "pack.toml").write_text(text)
    (folder / "duty.toml").write_text(DUTY)
    return folder


def _job(folder, name: str, **changes) -> TwinJob:
    given = {"pack": str(folder / "pack.toml"), "duty": str(folder / "duty.toml"), "seed": 3, **changes}
    return TwinJob(TwinSettings(out=str(folder / name), **given), host="pytest")


@pytest.fixture(scope="module")
def first(learning):
    """Run the pack once and keep the job, its process images and the process of its recalibration."""
    job = _job(learning, "first")
    states, worker, live = [], None, {}
    while not job.done:
        states += job.update(0.01)
        worker = worker or job.twin.parts.recalibration._worker.process_id
        if states and states[-1].time >= ANSWERED + 20.0 and not job.twin.finished:
            live = live or _live(job)
    return job, states, worker, live


def _live(job: TwinJob) -> dict:
    """Return what stands on the prim of the first group."""
    prim = job.twin.parts.publisher.stage.GetPrimAtPath(prim_paths(job.spec, Level.GROUP)[0])
    names = [name for name in prim.GetPropertyNames() if "Factor" in name and "estimated" in name]
    return {name: prim.GetAttribute(name).Get() for name in names}


def _summary(job: TwinJob) -> dict:
    return json.loads(job.folder.summary.read_text())["recalibration"]


def test_a_window_without_excitation_is_refused_with_the_reason_and_the_other_is_learned_from(first):
    job, _, _, _ = first

    trickle, discharge = _summary(job)["windows"]

    assert job.exit_code == 0
    assert "needed) and its current has no step of a tenth of 1C" in trickle["refused"][0]
    assert trickle["to_s"] == pytest.approx(930.0, abs=40.0)  # at the rest
    assert discharge["refused"] == []
    assert discharge["promoted"] == 4
    logged = [json.loads(line) for line in (job.folder.path / "recalibration.jsonl").read_text().splitlines()]
    assert logged == [trickle, discharge]


def test_the_weak_group_is_found_with_its_loss(first):
    job, _, _, _ = first
    truth = job.twin.parts.source.truth.variation.capacity_scale * np.where(np.arange(4) == WEAK, 0.92, 1.0)
    weak = job.spec.element_ids(Level.GROUP)[WEAK]

    found = _summary(job)

    assert [group["element"] for group in found["weak"]] == [weak]
    assert "less capacity than the median group" in found["weak"][0]["reason"]
    learned = np.array([group["capacity_factor"] for group in found["groups"]])
    surely = np.array([group["capacity_uncertainty"] for group in found["groups"]])
    assert np.all(np.abs(np.log(learned / truth)) < 3.0 * surely)
    np.testing.assert_allclose(learned / np.median(learned), truth / np.median(truth), atol=0.01)
    assert weak in job.folder.report.read_text()
    assert "stands out" in job.folder.report.read_text()


def test_factors_stand_on_the_prims_of_the_groups_with_unit_quality_and_provenance(first):
    job, states, _, live = first
    readings = {state.time: state.get(Kind.ESTIMATED, "capacity_factor", Level.GROUP) for state in states}
    reading = readings[states[-1].time]
    stage = Usd.Stage.Open(str(job.folder.recording))
    prim = stage.GetPrimAtPath(prim_paths(job.spec, Level.GROUP)[0])

    assert np.all(reading.quality == Quality.GOOD)
    assert np.all(reading.standard_uncertainty > 0.0)
    assert "xjtu_18650@" in reading.provenance
    assert min(time for time, found in readings.items() if found is not None) == pytest.approx(ANSWERED, abs=40.0)
    for quantity in ("capacityFactor", "resistanceFactor", "diffusivityFactor"):
        name = f"battery:estimated:{quantity}"
        assert prim.GetAttribute(name).GetNumTimeSamples() > 0
        assert prim.GetAttribute(name).GetMetadata("customData")["unit"] == "1"
        assert live[name] > 0.0
        assert live[f"{name}:uncertainty"] > 0.0
        assert live[f"{name}:quality"] == "good"
        assert live[f"{name}:provenance"] == reading.provenance
    value = prim.GetAttribute("battery:estimated:capacityFactor").Get(states[-1].time)
    assert value == pytest.approx(reading.values[0])
    assert read_pack(stage).recalibration == job.spec.recalibration
    assert job.spec.recalibration.memory == 20.0 * 86400.0


def test_nothing_of_a_finished_twin_keeps_running(first):
    _, _, worker, _ = first

    assert worker
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


@pytest.mark.nightly
def test_the_next_run_goes_on_from_the_state_of_the_first(learning, first):
    before = _summary(first[0])
    # It ends before the answer would take effect, and waits for it.
    job = _job(learning, "second", recalibrated=str(first[0].folder.path), report=False, duration=2900.0)
    states = []
    while not job.done:
        states += job.update(0.01)
    after = _summary(job)

    begun = states[0].get(Kind.ESTIMATED, "capacity_factor", Level.GROUP)
    assert np.all(begun.quality == Quality.STALE)
    assert np.all(begun.time < 0.0)
    np.testing.assert_allclose(begun.values, [group["capacity_factor"] for group in before["groups"]], atol=1e-5)
    assert after["warm_started"]
    assert after["weak"][0]["element"] == before["weak"][0]["element"]
    for one, other in zip(before["groups"], after["groups"], strict=True):
        assert other["windows"] >= one["windows"] == 1
        assert other["capacity_uncertainty"] < 1.01 * one["capacity_uncertainty"]
        assert other["capacity_factor"] == pytest.approx(one["capacity_factor"], abs=0.01)
    last = states[-1].get(Kind.ESTIMATED, "capacity_factor", Level.GROUP)
    assert np.all(last.quality == Quality.GOOD)


@pytest.mark.nightly
def test_an_interrupted_twin_leaves_no_worker_behind_while_it_learns(learning):
    job = _job(learning, "interrupted", report=False)
    while not job.twin.parts.recalibration.tier.pending:
        job.update(0.01)
        assert not job.done
    worker = job.twin.parts.recalibration._worker.process_id

    job.interrupt()

    assert job.exit_code == 130
    assert _summary(job)["windows"][0]["refused"]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_states_of_other_packs_or_of_none_are_refused_before_anything_runs(learning, first, tmp_path):
    text = (learning / "pack.toml").read_text()
    (tmp_path / "other.toml").write_text(text.replace('prefix = "M"', 'prefix = "X"'))
    (tmp_path / "plain.toml").write_text(text.replace('interval = "15 min"', "interval = 0.0"))
    earlier = str(first[0].folder.path)

    for pack, recalibrated, message in (
        (tmp_path / "other.toml", earlier, "of a pack of other groups"),
        (tmp_path / "plain.toml", earlier, "asks for no recalibration"),
        (learning / "pack.toml", str(tmp_path), "no recalibration can be read"),
    ):
        with pytest.raises(SettingsError, match=message):
            _job(learning, f"refused-{message[:4]}", pack=str(pack), recalibrated=recalibrated)


def test_the_host_imports_no_warp_for_it():
    code = (
        "import sys, celltwin.runtime.recalibration, celltwin.runtime.assembly\n"
        "assert not {'warp', 'pybamm', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.nightly
@pytest.mark.measured
def test_leafs_weak_groups_are_named_by_the_twin_that_replays_them(repo_root, measured_data, tmp_path):
    text = (repo_root / "data/packs/leaf_3_modules.toml").read_text()
    (tmp_path / "leaf.toml").write_text(text + '\n[recalibration]\ninterval = "2.5 h"\n')
    earlier = ""
    for rate in ("0_3c", "1_0c"):
        recording = measured_data("leaf_modules") / f"module123-irdischarge-65ah-{rate}.csv"
        out = str(tmp_path / rate)
        settings = {"pack": str(tmp_path / "leaf.toml"), "telemetry": str(recording), "recalibrated": earlier}
        job = TwinJob(TwinSettings(out=out, report=False, **settings), host="pytest")
        while not job.done:
            job.update(0.01)
        found, earlier = _summary(job), out

        assert [group["element"] for group in found["weak"]] == ["A01.G01", "A02.G02"]
        groups = {group["element"]: group for group in found["groups"]}
        assert groups["A01.G01"]["windows"] == groups["A02.G02"]["windows"] == 0
        sound = [group for name, group in groups.items() if name not in ("A01.G01", "A02.G02")]
        assert all(0.88 < group["capacity_factor"] < 0.91 for group in sound)
    assert found["warm_started"]
    assert all(group["windows"] == 2 for group in sound)
