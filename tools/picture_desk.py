"""Draw the desk's windows with a running twin to a picture: ``python -m tools.picture_desk FILE.png --at 3600``."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from celltwin.core import Level, cell_values
from celltwin.panels import prepare_omni_ui
from celltwin.runtime import TwinSettings

__all__ = ["main"]

LOOKS = 8  # frames until everything is laid out
PATIENCE = 1800.0  # [s]


def main() -> int:
    """Run a twin to a time, then draw the windows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--at", type=float, required=True, help="time of the twin [s]")
    parser.add_argument("--pack", default="data/packs/reference.toml")
    parser.add_argument("--telemetry", default="")
    parser.add_argument("--mode", default="advise")
    parser.add_argument("--quantity", default="temperature")
    parser.add_argument("--size", type=int, nargs=2, default=(1440, 900), metavar=("WIDTH", "HEIGHT"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = TwinSettings(
            pack=options.pack, telemetry=options.telemetry, mode=options.mode, out=f"{folder}/run", report=False
        )
        _draw(settings, options)
    return 0


def _draw(settings: TwinSettings, options: argparse.Namespace) -> None:
    prepare_omni_ui()
    from omni.ui import standalone
    from omni.ui.testing import capture_screenshot

    from celltwin.panels.desk import Desk
    from celltwin.runtime.job import TwinJob

    standalone.init("Celltwin Desk", *options.size)
    standalone.set_software_cursor(False)
    job = TwinJob(settings, host="Python")
    desk = Desk(lambda: job.twin, tiled=True)
    try:
        begun = before = time.monotonic()
        while not job.done and time.monotonic() - begun < PATIENCE:
            now = time.monotonic()
            states = job.update(now - before)
            before = now
            if states and states[-1].time >= options.at:
                break
            time.sleep(0.0 if states else 0.005)
        state = job.twin.state
        if state is None:
            raise SystemExit("the twin made no step")
        desk.pack_view.choose_quantity(options.quantity)
        for _ in range(LOOKS):
            desk.refresh()
            standalone._tick_one_frame()
        values, quality = cell_values(state, job.spec, options.quantity)
        desk.pack_view.select(int(np.argmax(np.where((quality == 0) & np.isfinite(values), values, -np.inf))))
        for _ in range(LOOKS):
            desk.refresh()
            standalone._tick_one_frame()
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        if not capture_screenshot(str(options.picture.resolve())):
            raise SystemExit(f"{options.picture} cannot be written")
        name = job.spec.element_ids(Level.CELL)[desk.pack_view.cell or 0]
        print(f"{options.picture}: twin at {state.time:.0f} s, cell {name} chosen")
    finally:
        desk.destroy()
        job.close()
        standalone.shutdown()


if __name__ == "__main__":
    raise SystemExit(main())
