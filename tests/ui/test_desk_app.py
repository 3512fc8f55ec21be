"""The desk app itself: the real Kit kernel, real omni.ui and a twin that replays a recording, in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROBE = '''
"""Look at the desk after some steps of the twin, then quit."""

import json
import sys
from pathlib import Path

import omni.ext
import omni.kit.app
from carb.eventdispatcher import get_eventdispatcher

from celltwin.runtime import current_twin

STEPS, FRAMES = 5, 8


class Probe(omni.ext.IExt):
    def on_startup(self, ext_id):
        self.frames = 0
        self.guard = get_eventdispatcher().observe_event(
            observer_name=ext_id, event_name=omni.kit.app.GLOBAL_EVENT_UPDATE, on_event=self.on_update
        )

    def on_update(self, event):
        twin = current_twin()
        if twin is None or twin.state is None or twin.state.step < STEPS:
            return
        self.frames += 1
        if self.frames != FRAMES:
            return
        import omni.ui as ui
        from omni.ui.testing import capture_screenshot

        folder = Path(__file__).parent
        capture_screenshot(str(folder / "desk.png"))
        windows = [window.title for window in ui.Workspace.get_windows()]
        (folder / "seen.json").write_text(json.dumps({"windows": windows, "step": twin.state.step}))
        omni.kit.app.get_app().post_quit(0)

    def on_shutdown(self):
        self.guard.reset()
'''


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return ten minutes of a discharge of the Leaf pack, one row a second."""
    seconds = np.arange(600)
    voltages = 4.0 - 1e-4 * seconds[:, np.newaxis] - 0.01 * np.arange(6)
    temperatures = 22.0 + 2e-3 * seconds[:, np.newaxis] + np.arange(3)
    rows = np.c_[seconds, np.full(600, -65.0), voltages.sum(axis=1), voltages, temperatures]
    names = ["Time", "Current", "Voltage"]
    names += [f"Cell Voltage A{number}" for number in range(1, 7)]
    names += [f"Temperature A{number}" for number in range(1, 4)]
    path = tmp_path / "recording.csv"
    np.savetxt(path, rows, delimiter=",", header=",".join(names), comments="", fmt="%.4f")
    return path


def test_the_desk_app_shows_the_running_twin(repo_root: Path, tmp_path: Path, recording: Path):
    if os.environ.get("OMNI_KIT_ACCEPT_EULA", "").lower() not in {"y", "yes", "1"}:
        pytest.fail("Kit's licence is not accepted: set OMNI_KIT_ACCEPT_EULA=yes (./repo.sh test explains it)")
    package = tmp_path / "exts" / "desk.probe"
    (package / "config").mkdir(parents=True)
    (package / "desk_probe").mkdir()
    (package / "config" / "extension.toml").write_text(
        '[package]\nversion = "0.1.0"\n[dependencies]\n"celltwin.panels" = {}\n[[python.module]]\nname = "desk_probe"\n'
    )
    (package / "desk_probe" / "__init__.py").write_text(PROBE)
    settings = {
        "run": "true",
        "quit_when_done": "true",
        "pack": repo_root / "data" / "packs" / "leaf_3_modules.toml",
        "telemetry": recording,
        "out": tmp_path / "out",
        "mode": "observe",
        "report": "false",
        "speed": "30",
        "step_period": "5",
    }
    command = [sys.executable, str(repo_root / "tools" / "kit_host.py"), "--window"]
    command += [str(repo_root / "app" / "celltwin.desk.kit"), "--ext-folder", str(tmp_path / "exts")]
    command += [
        "--enable",
        "desk.probe",
        *(f"--/exts/celltwin.runtime/{key}={value}" for key, value in settings.items()),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads((package / "desk_probe" / "seen.json").read_text())
    assert {"Pack View", "Pack", "Control"} <= set(seen["windows"])
    with Image.open(package / "desk_probe" / "desk.png") as image:
        picture = np.asarray(image.convert("RGB")).astype(np.int16)
    chroma = picture.max(axis=2) - picture.min(axis=2)
    assert (chroma[60:540, :1000] > 60).sum() > 20_000  # the pack, in colours
    assert (tmp_path / "out" / "summary.json").exists()
