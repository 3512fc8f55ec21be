import json
import os
import signal

import pytest

from celltwin.core import CelltwinError, PlantError, RecordingError, SpecError, StageError, TelemetryError
from celltwin.runtime import TwinSettings
from celltwin.runtime.job import TwinJob


def start(tmp_path, **settings):
    return TwinJob(TwinSettings(out=str(tmp_path / "run"), report=False, **settings), host="pytest")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "absent.csv"),
        (b"", "empty"),
        (bytes(range(256)) * 8, "recording"),
        (b"time,nothing\n0,1\n1,2\n", "nothing"),
    ],
)
def test_a_useless_recording_is_named_before_anything_runs(repo_root, tmp_path, content, message):
    path = tmp_path / ("absent.csv" if content is None else "recording.csv")
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(TelemetryError, match=message) as caught:
        start(tmp_path, pack=str(repo_root / "data/packs/leaf_3_modules.toml"), telemetry=str(path))

    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_a_pack_with_a_typing_error_is_named_with_its_key(repo_root, tmp_path):
    path = tmp_path / "typo.toml"
    path.write_text((repo_root / "data/packs/reference.toml").read_text().replace("nominal_voltage", "nominal_voltag"))

    with pytest.raises(SpecError, match=r"typo.toml.*cell.nominal_voltag = 3.6.*nominal_voltage"):
        start(tmp_path, pack=str(path))


def test_a_stage_without_our_schema_is_named(tmp_path):
    path = tmp_path / "other.usda"
    path.write_text('#usda 1.0\n(defaultPrim = "Teapot")\ndef Xform "Teapot" {}\n')

    with pytest.raises(StageError, match="Teapot"):
        start(tmp_path, pack=str(path))


def test_an_output_folder_that_cannot_be_written_is_named(small_pack, tmp_path):
    (tmp_path / "run").write_text("a file")

    with pytest.raises(RecordingError, match=r"run.*--out"):
        start(tmp_path, pack=str(small_pack))


def test_a_killed_plant_ends_the_run_with_one_message_and_everything_kept(small_pack, short_duty, tmp_path, drive):
    job = start(tmp_path, pack=str(small_pack), duty=str(short_duty))
    drive(job, until=lambda job: job.statistics.steps >= 8)
    worker = job.twin.parts.source._worker.process_id

    os.kill(worker, signal.SIGKILL)
    drive(job)

    assert isinstance(job.twin.failure, PlantError)
    assert job.exit_code == 1
    summary = json.loads(job.folder.summary.read_text())
    assert summary["ended"] == "failed"
    assert summary["figures"]["steps"] >= 8


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_the_run_with_one_message_and_what_was_recorded_stays(small_pack, short_duty, tmp_path, drive):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    try:
        job = TwinJob(
            TwinSettings(pack=str(small_pack), duty=str(short_duty), out=str(disk / "run"), report=False), host="pytest"
        )
        drive(job, until=lambda job: job.statistics.steps >= 5)
        with (disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        drive(job)

        assert isinstance(job.twin.failure, CelltwinError)
        assert "space" in str(job.twin.failure).lower()
        assert job.exit_code == 1
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
