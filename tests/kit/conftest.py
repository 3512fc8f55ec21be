"""Run apps in the real Kit kernel, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "tools/kit_host.py"


@dataclass(frozen=True)
class ProbeApp:
    """An app with the settings of celltwin.headless, whose only extension is written by a test."""

    kit_file: Path
    environment: dict[str, str]

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start the app; nothing of it outlives the context."""
        with subprocess.Popen(
            [sys.executable, str(HOST), str(self.kit_file), *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the app to its end; return its exit code and what it wrote."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=120)
            return process.returncode, out, err


@pytest.fixture(scope="session")
def kit_environment() -> dict[str, str]:
    """Return the environment for Kit; the licence has to be accepted by whoever runs the tests."""
    if os.environ.get("OMNI_KIT_ACCEPT_EULA", "").lower() not in {"y", "yes", "1"}:
        pytest.fail("Kit's licence is not accepted: set OMNI_KIT_ACCEPT_EULA=yes (./repo.sh test explains it)")
    return {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}


@pytest.fixture(scope="session")
def write_probe() -> Callable[[Path, str], Path]:
    """Return a function that writes an extension ``probe`` with the given methods into a folder."""

    def write(folder: Path, methods: str) -> Path:
        package = folder / "probe"
        (package / "config").mkdir(parents=True)
        (package / "probe").mkdir()
        (package / "config/extension.toml").write_text(
            '[package]\nversion = "0.1.0"\ntitle = "Probe"\n\n[[python.module]]\nname = "probe"\n'
        )
        (package / "probe/__init__.py").write_text(PROBE_HEAD + textwrap.indent(textwrap.dedent(methods), "    "))
        return folder

    return write


@pytest.fixture
def probe_app(
    tmp_path: Path, kit_environment: dict[str, str], write_probe: Callable[[Path, str], Path]
) -> Callable[[str], ProbeApp]:
    """Return a function that makes an app of an extension's methods."""

    def make(methods: str) -> ProbeApp:
        write_probe(tmp_path / "exts", methods)
        text = (ROOT / "app/celltwin.headless.kit").read_text(encoding="utf-8")
        kit_file = tmp_path / "app/probe_app.kit"
        kit_file.parent.mkdir()
        kit_file.write_text(text.replace('"celltwin.runtime" = {}', '"probe" = {}'))
        return ProbeApp(kit_file, kit_environment)

    return make


PROBE_HEAD = '''
import time

import omni.ext
import omni.kit.app
from carb.eventdispatcher import get_eventdispatcher


class Probe(omni.ext.IExt):
    """Count the updates and call ``update`` with the number."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.app = omni.kit.app.get_app()

    def on_startup(self, ext_id):
        self.start()
        self.guard = get_eventdispatcher().observe_event(
            observer_name=ext_id, event_name=omni.kit.app.GLOBAL_EVENT_UPDATE, on_event=self.on_update
        )

    def on_update(self, event):
        self.count += 1
        self.update(self.count)

    def on_shutdown(self):
        self.guard.reset()
        self.stop()

    def start(self):
        pass

    def update(self, count):
        pass

    def stop(self):
        pass

'''
