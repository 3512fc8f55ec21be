"""Run an app in the Kit kernel of the omniverse-kit wheel: start it, drive its updates, end it cleanly.

Kit's own launcher module cannot be used here: the ovui wheel ships an ``omni`` package that hides the kernel's, the
kernel has no run loop to pace the updates, and Ctrl-C would end the process without any ``on_shutdown``.

Worker processes are spawned and import this file again as ``__mp_main__``; nothing here may run on import.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import sysconfig
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["run_app"]

EXIT_FAILED_TO_START = 1
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Turn the first ending signal into a quit of the app, and a second into an end at once.

    Attributes
    ----------
    pending : int or None
        Exit code of the signal that has come; None before any.
    """

    def __init__(self) -> None:
        self._quit: Callable[[int], None] | None = None
        self.pending: int | None = None
        for number in ENDING_SIGNALS:
            signal.signal(number, self._receive)

    def attach(self, quit_app: Callable[[int], None]) -> None:
        """Name what quits the app with an exit code; a signal that came before quits it now."""
        self._quit = quit_app
        if self.pending is not None:
            quit_app(self.pending)

    def _receive(self, number: int, _frame: object) -> None:
        if self.pending is not None:
            os._exit(128 + number)
        self.pending = 128 + number
        if self._quit is not None:
            self._quit(self.pending)


class OmniUiWindow:
    """The operating system's window that ovui draws in, ticked beside Kit's updates."""

    def __init__(self, kit_file: Path) -> None:
        from celltwin.panels import prepare_omni_ui

        prepare_omni_ui()  # before anything makes carb importable
        from omni.ui import standalone

        window = tomllib.loads(kit_file.read_text())["settings"]["app"]["window"]
        self._standalone = standalone
        self._resting_until = 0.0
        standalone.init(window["title"], window["width"], window["height"])

    @property
    def closed(self) -> bool:
        """Whether the user has closed the window."""
        from omni.ui import _ui

        return bool(_ui._standalone_should_close())

    def draw(self) -> None:
        """Handle input and draw one frame; slow drawing pauses, so that at least half of the time is the twin's."""
        begun = time.monotonic()
        if begun < self._resting_until:
            return
        self._standalone._tick_one_frame()
        ended = time.monotonic()
        self._resting_until = ended + (ended - begun)

    def close(self) -> None:
        """Release the window; the app must have shut down before."""
        self._standalone.shutdown()


def run_app(kit_file: Path, kit_arguments: list[str], *, with_window: bool) -> int:
    """Run a Kit app until it quits.

    Parameters
    ----------
    kit_file : Path
        The app.
    kit_arguments : list of str
        Further arguments of Kit, such as ``--/exts/celltwin.runtime/seed=7``.
    with_window : bool
        Whether to bring real ``omni.ui`` into the process by ovui.

    Returns
    -------
    int
        What the app passed to ``post_quit``; 128 plus the number of the signal that ended it; 1 if it or one of
        its extensions did not start.
    """
    interruption = Interruption()
    logging.disable(logging.DEBUG)  # Kit opens the root logger to everything, and libraries say much
    window = OmniUiWindow(kit_file) if with_window else None
    app = _start_kernel([str(kit_file), "--no-window", "--allow-root", *kit_arguments])
    import omni.kit.app

    interface = omni.kit.app.get_app()
    interruption.attach(interface.post_uncancellable_quit)
    if broken := _find_broken(app.extension_manager, kit_file.stem):
        _complain(f"Celltwin could not start: {broken}. Kit's log has more: {_setting('/log/file')}")
        interface.post_uncancellable_quit(EXIT_FAILED_TO_START)
    period = _update_period()
    due = time.monotonic()
    while app.is_running():
        app.update()
        if window is not None:
            window.draw()
            if window.closed:
                interface.post_uncancellable_quit(0)
        due = max(due + period, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    code = int(app.shutdown())
    if window is not None:
        window.close()
    return code


def _start_kernel(arguments: list[str]) -> Any:
    kernel = Path(sysconfig.get_path("platlib")) / "omni" / "kernel" / "py"
    sys.path.insert(0, str(kernel))
    import omni

    if str(kernel / "omni") not in omni.__path__:  # ovui's omni was imported first
        omni.__path__.append(str(kernel / "omni"))
    import omni.kit_app

    app = omni.kit_app.KitApp()
    app.startup(arguments)
    return app


def _find_broken(manager: Any, app_name: str) -> str:
    """Return in words which extension did not start, or an empty text."""
    enabled = {item["name"]: item["id"] for item in manager.get_extensions() if item["enabled"]}
    if app_name not in enabled:
        return f"the dependencies of {app_name} could not be resolved"
    failed = [
        name
        for name, identity in sorted(enabled.items())
        if manager.get_extension_dict(identity).get_dict().get("state", {}).get("failed")
    ]
    return f"the extensions {', '.join(failed)} failed" if failed else ""


def _update_period() -> float:
    """Return the time between two updates [s] by the settings of Kit's own run loops; 0 without a limit."""
    limit = "/app/runLoops/main/rateLimit"
    frequency = _setting(f"{limit}Frequency")
    return 1.0 / float(frequency) if _setting(f"{limit}Enabled") and frequency else 0.0


def _setting(path: str) -> Any:
    import carb.settings

    return carb.settings.get_settings().get(path)


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Run the app named on the command line: ``kit_host.py [--window] APP.kit [KIT ARGUMENTS]``."""
    arguments = sys.argv[1:]
    with_window = arguments[:1] == ["--window"]
    kit_file, *kit_arguments = arguments[with_window:]
    sys.argv[1:] = kit_arguments
    return run_app(Path(kit_file).resolve(), kit_arguments, with_window=with_window)


if __name__ == "__main__":
    sys.exit(main())
