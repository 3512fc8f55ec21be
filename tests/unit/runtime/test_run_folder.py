import json

import pytest

from celltwin.core import RecordingError, SettingsError
from celltwin.runtime import TwinSettings, settings_from
from celltwin.runtime.run_folder import RunFolder


def test_a_folder_below_a_file_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("x")

    with pytest.raises(RecordingError, match=r"file/run.*--out"):
        RunFolder(tmp_path / "file" / "run")


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    RunFolder(tmp_path / "run").write_json("summary.json", {"kept": 1})

    with pytest.raises(RecordingError, match="already holds a run"):
        RunFolder(tmp_path / "run")

    assert json.loads((tmp_path / "run/summary.json").read_text()) == {"kept": 1}


def test_logs_grow_line_by_line(tmp_path):
    folder = RunFolder(tmp_path / "run")

    folder.append("commands.jsonl", {"time_s": 0.0})
    folder.append("commands.jsonl", {"time_s": 10.0})

    lines = (tmp_path / "run/commands.jsonl").read_text().splitlines()
    assert [json.loads(line)["time_s"] for line in lines] == [0.0, 10.0]


def test_a_full_disk_names_the_file_and_the_remedy(tmp_path):
    folder = RunFolder(tmp_path / "run")
    (tmp_path / "run" / "commands.jsonl").symlink_to("/dev/full")

    with pytest.raises(RecordingError, match=r"commands.jsonl.*No space left.*Free space"):
        folder.append("commands.jsonl", {"time_s": 0.0})


def test_settings_come_from_texts_as_kit_gives_them():
    settings = settings_from({"speed": "2.5", "seed": "7", "report": "false", "step-period": 5})

    assert settings == TwinSettings(speed=2.5, seed=7, report=False, step_period=5.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"packs": "x"}, r"unknown option --packs.*--pack, --telemetry"),
        ({"seed": "one"}, "--seed one: not a int"),
        ({"mode": "fly"}, r"--mode fly: unknown mode.*observe, advise, autonomous"),
        ({"speed": "-1"}, "--speed -1.0: must be at least 0"),
        ({"fidelity": "P2D"}, "--fidelity P2D: unknown cell model"),
    ],
)
def test_a_wrong_setting_is_named(values, message):
    with pytest.raises(SettingsError, match=message):
        settings_from(values)
