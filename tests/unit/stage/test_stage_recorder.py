"""Runs recorded as time samples: what a timeline finds, after the end, after a kill, and on a full disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from celltwin.core import Kind, Level, PackState, Quality, Reading, RecordingError, load_pack
from celltwin.schema import attribute_name, cell_array_name
from celltwin.stage import StageRecorder, build_pack_stage, prim_paths, read_pack

PACKS = Path(__file__).resolve().parents[3] / "data" / "packs"
SPEC = load_pack(PACKS / "leaf_3_modules.toml")
CELLS = prim_paths(SPEC, Level.CELL)
MODULES = prim_paths(SPEC, Level.MODULE)
PACK = prim_paths(SPEC, Level.PACK)[0]
RAMP = np.linspace(0.0, 5.0, SPEC.n_cells)
TEMPERATURES = cell_array_name(Kind.ESTIMATED, "temperature")
CURRENT = attribute_name(Kind.MEASURED, "current")

# Records and waits to be killed; argv: folder.
KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_stage_recorder import image
from celltwin.core import load_pack
from celltwin.stage import StageRecorder, build_pack_stage
spec = load_pack(sys.argv[3])
recorder = StageRecorder(build_pack_stage(spec), spec, Path(sys.argv[1]) / "recording.usda", steps_a_segment=4)
for step in range(10):
    recorder.record(image(step))
print("ready", flush=True)
sys.stdin.read()
"""


def image(step: int, *, bad: bool = False) -> PackState:
    """Process image at 10 s a step, warming by 1 K a step."""
    time = 10.0 * step
    quality = np.full(SPEC.n_cells, Quality.BAD if bad else Quality.GOOD, dtype=np.uint8)
    readings = (
        Reading.at(
            Kind.ESTIMATED,
            "temperature",
            Level.CELL,
            298.15 + step + RAMP,
            time,
            quality=quality,
            provenance="model",
        ),
        Reading.at(Kind.MEASURED, "current", Level.PACK, np.array([2.0 * step]), time, provenance="daq"),
        Reading.at(Kind.MEASURED, "voltage", Level.GROUP, np.linspace(3.6, 3.7, SPEC.n_groups), time, provenance="daq"),
    )
    return PackState(time=time, step=step, readings={reading.key: reading for reading in readings})


def recorder(folder: Path, **options) -> StageRecorder:
    options = {"steps_a_segment": 4, "colour_period": 20.0, **options}
    return StageRecorder(build_pack_stage(SPEC), SPEC, folder / "recording.usda", **options)


def attribute(stage: Usd.Stage, path: str, name: str) -> Usd.Attribute:
    return stage.GetPrimAtPath(path).GetAttribute(name)


def check_samples(path: Path, last: int) -> None:
    """Check values on the opened recording up to a step."""
    stage = Usd.Stage.Open(str(path))
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0.0, 10.0 * last)
    assert stage.GetTimeCodesPerSecond() == 1.0
    temperatures = attribute(stage, MODULES[2], TEMPERATURES)
    assert temperatures.GetTimeSamples() == [10.0 * step for step in range(last + 1)]
    for step in range(last + 1):
        shown = np.array(temperatures.Get(10.0 * step))
        np.testing.assert_allclose(shown, (298.15 + step + RAMP)[8:], atol=0.051)  # to the displayed digit
        assert attribute(stage, PACK, CURRENT).Get(10.0 * step) == 2.0 * step


def test_a_finished_recording_scrubs_through_every_step(tmp_path):
    recording = recorder(tmp_path)
    for step in range(11):
        recording.record(image(step))
    recording.close()
    recording.close()

    check_samples(tmp_path / "recording.usda", last=10)
    left = sorted(file.name for file in (tmp_path / "recording").iterdir())
    assert left == ["authored.usdc", "samples.usdc"]


def test_a_recording_opens_while_it_goes_on(tmp_path):
    recording = recorder(tmp_path)
    for step in range(8):
        recording.record(image(step))

    check_samples(tmp_path / "recording.usda", last=7)


def test_a_timeline_blends_between_steps(tmp_path):
    recording = recorder(tmp_path)
    for step in range(8):
        recording.record(image(step))
    recording.close()

    stage = Usd.Stage.Open(str(tmp_path / "recording.usda"))
    assert attribute(stage, PACK, CURRENT).Get(35.0) == pytest.approx(7.0)


def test_the_recording_holds_the_pack_itself(tmp_path):
    recording = recorder(tmp_path)
    recording.record(image(0))
    recording.close()

    stage = Usd.Stage.Open(str(tmp_path / "recording.usda"))
    assert read_pack(stage) == SPEC
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetDefaultPrim().GetPath() == PACK


def test_the_stage_file_sublayers_the_authored_file(tmp_path):
    stage = build_pack_stage(SPEC, tmp_path / "pack.usda")
    recording = StageRecorder(stage, SPEC, tmp_path / "run" / "recording.usda")
    recording.record(image(0))
    recording.close()

    layer = Sdf.Layer.OpenAsAnonymous(str(tmp_path / "run" / "recording.usda"))
    assert list(layer.subLayerPaths) == ["./recording/samples.usdc", "./../pack.usda"]
    assert not stage.GetRootLayer().dirty
    check_samples(tmp_path / "run" / "recording.usda", last=0)


@pytest.mark.parametrize("closed", [True, False], ids=["finished", "going on"])
def test_colours_warm_up_along_the_timeline(tmp_path, closed):
    recording = recorder(tmp_path, steps_a_segment=5)
    for step in range(20):
        recording.record(image(step))
    if closed:
        recording.close()

    stage = Usd.Stage.Open(str(tmp_path / "recording.usda"))
    colour = attribute(stage, CELLS[0], "primvars:displayColor")
    assert colour.GetTypeName() == Sdf.ValueTypeNames.Color3fArray
    early, late = np.array(colour.Get(0.0)[0]), np.array(colour.Get(180.0)[0])
    assert late.sum() > early.sum() + 0.1


def test_equal_temperatures_have_equal_colours_through_a_finished_recording(tmp_path):
    recording = recorder(tmp_path, colour_period=0.0)
    for step in range(12):
        recording.record(image(step))
    recording.close()

    stage = Usd.Stage.Open(str(tmp_path / "recording.usda"))
    # The last cell is 5 K above the first, and all warm by 1 K a step.
    first, last = (attribute(stage, CELLS[cell], "primvars:displayColor") for cell in (0, SPEC.n_cells - 1))
    np.testing.assert_allclose(np.array(first.Get(50.0)), np.array(last.Get(0.0)), atol=0.02)
    np.testing.assert_allclose(np.array(first.Get(110.0)), np.array(last.Get(60.0)), atol=0.02)


def test_untrusted_values_are_recorded_as_such(tmp_path):
    recording = recorder(tmp_path)
    for step in range(6):
        recording.record(image(step, bad=step >= 3))
    recording.close()

    stage = Usd.Stage.Open(str(tmp_path / "recording.usda"))
    quality = attribute(stage, MODULES[0], cell_array_name(Kind.ESTIMATED, "temperature", "quality"))
    assert set(quality.Get(20.0)) == {int(Quality.GOOD)}
    assert set(quality.Get(30.0)) == {int(Quality.BAD)}


def test_a_step_that_does_not_advance_is_passed_over(tmp_path):
    recording = recorder(tmp_path)
    for step in (0, 1, 1, 0, 2):
        recording.record(image(step))
    recording.close()

    check_samples(tmp_path / "recording.usda", last=2)


def test_a_run_without_steps_leaves_a_stage_that_opens(tmp_path):
    recorder(tmp_path).close()

    assert read_pack(Usd.Stage.Open(str(tmp_path / "recording.usda"))) == SPEC


def test_a_killed_run_keeps_every_written_segment(tmp_path):
    arguments = [
        sys.executable,
        "-c",
        KILLED,
        str(tmp_path),
        str(Path(__file__).parent),
        str(PACKS / "leaf_3_modules.toml"),
    ]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGKILL)

    check_samples(tmp_path / "recording.usda", last=7)


def test_a_full_disk_is_named_and_loses_nothing_written(tmp_path):
    recording = recorder(tmp_path)
    for step in range(4):
        recording.record(image(step))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # the system refuses to write, as on a full disk
    try:
        for step in range(4, 7):
            recording.record(image(step))
        with pytest.raises(RecordingError, match=r"segment_0002.*cannot be written.*stays readable"):
            recording.record(image(7))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

    check_samples(tmp_path / "recording.usda", last=3)
    recording.record(image(8))  # there is room again: what was kept in memory follows
    recording.close()
    check_samples(tmp_path / "recording.usda", last=8)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")

    with pytest.raises(RecordingError, match="recording cannot be written"):
        recorder(tmp_path / "file")


def test_an_old_recording_is_not_overwritten(tmp_path):
    recorder(tmp_path).close()

    with pytest.raises(RecordingError, match="there is a recording already"):
        recorder(tmp_path)
