"""The apps in the real Kit kernel: their extensions start and shut down in order."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

REPORT = """
def update(self, count):
    if count < 5:
        return
    import json, os, sys
    manager = self.app.get_extension_manager()
    names = [item["name"] for item in manager.get_extensions() if item["enabled"]]
    with open(os.environ["PROBE_REPORT"], "w") as file:
        json.dump({"enabled": names, "modules": sorted(sys.modules)}, file)
    self.app.post_quit(0)
"""


@pytest.fixture(scope="module", params=["headless", "desk"])
def visited(request, tmp_path_factory, kit_environment, write_probe):
    """Run an app, without a twin, for a few updates; return its name, what was found in it, and Kit's log."""
    folder = tmp_path_factory.mktemp(request.param)
    write_probe(folder / "exts", REPORT)
    window = ["--window"] if request.param == "desk" else []
    command = [
        sys.executable,
        str(ROOT / "tools/kit_host.py"),
        *window,
        str(ROOT / f"app/celltwin.{request.param}.kit"),
    ]
    command += ["--ext-folder", str(folder / "exts"), "--enable", "probe", "--/exts/celltwin.runtime/run=false"]
    command += [f"--/log/file={folder}/kit.log", "--/log/level=Info"]
    done = subprocess.run(
        command,
        env=kit_environment | {"PROBE_REPORT": str(folder / "report.json")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return request.param, json.loads((folder / "report.json").read_text()), (folder / "kit.log").read_text()


def test_every_extension_of_the_app_is_enabled(visited):
    app, report, _ = visited
    extensions = {path.name for path in (ROOT / "exts").iterdir()}
    without = {"headless": {"celltwin.bundle", "celltwin.panels"}, "desk": set()}[app]

    assert {name for name in report["enabled"] if name in extensions} == extensions - without


def test_extensions_start_after_what_they_depend_on_and_stop_before_it(visited):
    _, _, log = visited
    started = re.findall(r"\[ext: (celltwin\.[a-z]+)-0\.1\.0\] startup", log)
    stopped = re.findall(r"\[ext: (celltwin\.[a-z]+)-0\.1\.0\] shutdown", log)

    assert sorted(stopped) == sorted(started)
    for name in started:
        if not (ROOT / "exts" / name).is_dir():
            continue  # the app itself
        config = tomllib.loads((ROOT / "exts" / name / "config/extension.toml").read_text())
        for other in config.get("dependencies", {}):
            if other.startswith("celltwin."):
                assert started.index(other) < started.index(name)
                assert stopped.index(other) > stopped.index(name)


def test_starting_brings_no_library_that_takes_seconds(visited):
    _, report, _ = visited

    assert {"torch", "physicsnemo", "pybamm", "pyvista", "matplotlib"} & set(report["modules"]) == set()


def test_only_the_app_with_windows_has_omni_ui(visited):
    app, report, _ = visited

    assert ("omni.ui" in report["modules"]) == (app == "desk")


def test_ctrl_c_ends_a_run_with_everything_recorded_readable(tmp_path, kit_environment):
    command = [sys.executable, str(ROOT / "tools/repo.py"), "launch", "headless", "--"]
    command += ["--pack", str(ROOT / "data/packs/leaf_3_modules.toml"), "--speed", "1", "--step-period", "1"]
    command += ["--out", str(tmp_path / "run")]
    with subprocess.Popen(
        command, env=kit_environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("0:00:0"):  # the first step has been taken
                    break
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()

    assert process.returncode == 130, out
    assert "interrupted; everything recorded so far is readable" in out
    assert "Error" not in out
    assert json.loads((tmp_path / "run/summary.json").read_text())["ended"] == "interrupted"
