import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from pxr import Usd

from celltwin.core import Kind, Level, Mode, Quality, SettingsError
from celltwin.prognosis import FEATURE_NAMES, open_history
from celltwin.runtime import TwinSettings
from celltwin.runtime.job import TwinJob
from celltwin.stage import prim_paths, read_pack

LIFE = ("rul", "rul:quality", "rul:uncertainty", "rul:provenance")


@pytest.fixture(scope="module")
def histories(charges, tmp_path_factory):
    """Return a folder of past charges of the small pack's modules, of which one is older."""
    folder = tmp_path_factory.mktemp("past")
    for module, count in (("M01", 80), ("M02", 200)):
        lines = [",".join(FEATURE_NAMES), *(",".join(map(repr, row)) for row in charges(count).tolist())]
        (folder / f"{module}.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def watched(small_pack, short_duty, histories, tmp_path_factory):
    """Run the small pack with its past once through its duty; keep the job, its images and what its prims showed."""
    import time

    out = tmp_path_factory.mktemp("runs") / "run"
    settings = TwinSettings(
        pack=str(small_pack), duty=str(short_duty), out=str(out), past=str(histories), used_like="2C"
    )
    job = TwinJob(settings, host="pytest")
    states, shown, begun = [], {}, time.monotonic()
    while not job.done:
        assert time.monotonic() - begun < 200.0
        states += job.update(0.01)
        if states and not shown and states[-1].get(Kind.PREDICTED, "rul", Level.PACK) is not None:
            stage = job.twin.parts.publisher.stage
            for level in (Level.PACK, Level.MODULE, Level.GROUP):
                prim = stage.GetPrimAtPath(prim_paths(job.spec, level)[-1])
                shown[level] = {name: prim.GetAttribute(f"battery:predicted:{name}").Get() for name in LIFE}
                shown[level]["cells"] = prim.GetAttribute("battery:predicted:cells:rul").Get()
    return job, states, shown


@pytest.fixture(scope="module")
def finished(watched):
    """Return the job and its images."""
    return watched[:2]


def test_the_run_ends_well_with_a_file_for_every_tier(finished):
    job, _ = finished
    summary = json.loads(job.folder.summary.read_text())

    assert job.exit_code == 0
    assert summary["ended"] == "finished"
    assert summary["pack"]["cells"] == 12
    for name in summary["tiers"].values():
        assert (job.folder.path / name).exists(), name
    assert job.folder.report.stat().st_size > 50_000
    assert "Probability that any cell runs away: " in job.folder.report.read_text(encoding="utf-8")


def test_steps_follow_each_other_at_the_step_period(finished):
    _, states = finished

    np.testing.assert_allclose(np.diff([state.time for state in states]), 10.0)
    assert [state.step for state in states] == list(range(len(states)))


def test_the_plant_follows_the_duty_with_the_sign_of_the_field(finished):
    job, states = finished
    current = {
        state.time: state.get(Kind.MEASURED, "current", Level.PACK).values[0]
        for state in states
        if state.get(Kind.MEASURED, "current", Level.PACK) is not None
    }

    one_c = job.spec.capacity
    assert current[200.0] == pytest.approx(one_c, abs=1.0)
    assert min(current.values()) < -0.8 * one_c


def test_estimates_follow_the_charge_that_was_drawn(finished):
    _, states = finished
    soc = {state.time: state.get(Kind.ESTIMATED, "soc", Level.PACK).values[0] for state in states}

    # Five minutes at 1C draw a twelfth of the charge.
    assert soc[30.0] - soc[300.0] == pytest.approx(270.0 / 3600.0, abs=0.03)


def test_all_four_kinds_stand_side_by_side(finished):
    _, states = finished
    kinds = {kind for kind, _, _ in states[-1].readings}

    assert {Kind.MEASURED, Kind.ESTIMATED, Kind.RECOMMENDED} <= kinds


def test_the_recorded_stage_scrubs_and_still_describes_the_pack(finished):
    job, states = finished
    stage = Usd.Stage.Open(str(job.folder.recording))

    assert read_pack(stage) == job.spec
    cell = stage.GetPrimAtPath(prim_paths(job.spec, Level.CELL)[0])
    colour = cell.GetAttribute("primvars:displayColor")
    assert colour.GetNumTimeSamples() > 3
    assert stage.GetEndTimeCode() >= states[-1].time - 60.0


def test_the_history_holds_every_step(finished):
    job, states = finished
    files = sorted((job.folder.path / "history" / "states").rglob("*.parquet"))

    assert files
    times = np.concatenate([pq.read_table(file, columns=["time"]).column("time").to_numpy() for file in files])
    assert set(times) == {state.time for state in states}


def test_the_advice_gives_reasons_and_the_commands_are_logged(finished):
    job, _ = finished
    advice = [json.loads(line) for line in (job.folder.path / "advice.jsonl").read_text().splitlines()]
    commands = [json.loads(line) for line in (job.folder.path / "commands.jsonl").read_text().splitlines()]

    assert all(reason for reason in advice[-1]["reasons"])
    assert len(advice[-1]["charge_current_A"]) == job.spec.n_modules
    assert {entry["origin"] for entry in commands if entry["event"] == "command"} >= {"duty"}


def test_every_level_has_health_and_remaining_life_from_the_past(finished):
    _, states = finished

    for quantity in ("soh", "rul"):
        for level in Level:
            reading = states[-1].get(Kind.PREDICTED, quantity, level)
            assert np.isfinite(reading.values).all(), (quantity, level)
            assert (reading.quality == Quality.GOOD).all(), (quantity, level, reading.reason)
    modules, pack = (states[-1].get(Kind.PREDICTED, "rul", level) for level in (Level.MODULE, Level.PACK))
    assert modules.values[1] < modules.values[0] - 50.0
    assert pack.values[0] == pytest.approx(modules.values[1], abs=2.0)
    assert pack.reason.startswith("Its weakest module: M02")


def test_the_prims_carry_remaining_life_with_uncertainty_quality_and_provenance(watched):
    _, _, shown = watched

    assert len(shown) == 3
    for values in shown.values():
        assert values["rul"] > 0.0
        assert values["rul:quality"] == "good"
        assert values["rul:uncertainty"] > 0.0
        assert "sha256:" in values["rul:provenance"]
    assert len(shown[Level.MODULE]["cells"]) == 6


def test_summary_and_report_tell_remaining_life_and_the_next_run_finds_its_past(finished, histories):
    job, _ = finished
    report = job.folder.report.read_text(encoding="utf-8")

    past = json.loads(job.folder.summary.read_text())["past"]
    assert past == {"from": str(histories), "used_like": "2C", "file": "charge_history.npz"}
    assert "to 85 % of nominal capacity, used like 2C" in report
    assert "Cycles left" in report
    kept = open_history(job.spec, str(job.folder.path)).look()
    np.testing.assert_array_equal(kept.count, [80] * 6 + [200] * 6)


def test_the_past_of_another_pack_is_refused_before_anything_runs(finished, repo_root, short_duty, tmp_path):
    job, _ = finished
    reference, past = str(repo_root / "data/packs/reference.toml"), str(job.folder.path)

    with pytest.raises(SettingsError, match=r"another pack \(small\)"):
        TwinJob(TwinSettings(pack=reference, duty=str(short_duty), out=str(tmp_path / "run"), past=past), host="pytest")


def test_an_interrupted_run_keeps_what_it_recorded(small_pack, short_duty, tmp_path, drive):
    job = TwinJob(TwinSettings(pack=str(small_pack), duty=str(short_duty), out=str(tmp_path / "run")), host="pytest")
    drive(job, until=lambda job: job.statistics.steps >= 8)

    job.interrupt()

    summary = json.loads(job.folder.summary.read_text())
    assert summary["ended"] == "interrupted"
    assert job.exit_code == 130
    stage = Usd.Stage.Open(str(job.folder.recording))
    assert stage.GetEndTimeCode() >= 60.0
    rows = sum(pq.read_metadata(file).num_rows for file in (job.folder.path / "history/states").rglob("*.parquet"))
    assert rows >= 8


def test_in_autonomous_mode_the_advice_acts_and_stays_within_the_limits(small_pack, tmp_path, drive):
    duty = tmp_path / "charge.toml"
    duty.write_text(
        "name='charge'\n[initial]\nsoc=0.3\n"
        "[[steps]]\nname='Charge'\nkind='charge'\nrate=0.2\nuntil_rate=0.05\nlongest='15 min'\n"
    )
    job = TwinJob(
        TwinSettings(pack=str(small_pack), duty=str(duty), out=str(tmp_path / "run"), mode="autonomous", report=False),
        host="pytest",
    )

    states = drive(job)

    assert job.twin.mode is Mode.AUTONOMOUS
    commands = [json.loads(line) for line in (job.folder.path / "commands.jsonl").read_text().splitlines()]
    asked = [entry for entry in commands if entry["event"] == "command" and entry["origin"] != "duty"]
    assert asked
    currents = [state.get(Kind.MEASURED, "current", Level.PACK) for state in states]
    fastest = min(reading.values[0] for reading in currents if reading is not None)
    assert fastest < -0.3 * job.spec.capacity
    voltages = [state.get(Kind.MEASURED, "voltage", Level.GROUP) for state in states]
    highest = max(np.nanmax(reading.values) for reading in voltages if reading is not None)
    assert highest < job.spec.cell.highest_voltage + 0.01


def test_the_same_seed_gives_the_same_run(small_pack, short_duty, tmp_path, drive):
    runs = []
    for name in ("first", "second"):
        job = TwinJob(
            TwinSettings(
                pack=str(small_pack),
                duty=str(short_duty),
                out=str(tmp_path / name),
                duration=120.0,
                report=False,
                seed=5,
            ),
            host="pytest",
        )
        states = drive(job)
        runs.append([state.get(Kind.MEASURED, "voltage", Level.GROUP).values for state in states])

    np.testing.assert_array_equal(runs[0], runs[1])
