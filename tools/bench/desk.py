"""Bench of the desk: frames of the three windows and live updates, drawn on whatever device there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Advice, Command, Kind, Level, Mode, PackSpec, PackState, Reading
from celltwin.panels import prepare_omni_ui
from tools.bench.figures import Figures, main
from tools.bench.places import reference_pack

if TYPE_CHECKING:
    from celltwin.panels.desk import Desk

__all__ = ["run"]

WINDOW = (1440, 900)
FRAMES = 40


class FedTwin:
    """A twin that shows what it is given."""

    def __init__(self, spec: PackSpec) -> None:
        self.spec = spec
        self.state: PackState | None = None
        self.advice: Advice | None = None
        self.command: Command | None = None
        self.mode = Mode.OBSERVE

    def set_mode(self, mode: Mode) -> None:
        """Change the mode."""
        self.mode = mode

    def apply_advice(self) -> None:
        """There is no plant."""

    def reject_advice(self) -> None:
        """There is no plant."""


def run() -> Figures:
    """Measure the desk with the reference pack, every cell of which changes from state to state."""
    prepare_omni_ui()
    from omni.ui import standalone
    from omni.ui.testing import next_frame

    from celltwin.panels.desk import Desk
    from celltwin.panels.pack_scene import Detail

    def draw() -> None:
        coroutine = next_frame()  # the public way to tick once; it never suspends for long
        try:
            while True:
                coroutine.send(None)
        except StopIteration:
            pass

    figures = Figures("desk")
    begun = time.perf_counter()
    standalone.init("bench", *WINDOW)
    spec = reference_pack()
    twin = FedTwin(spec)
    desk = Desk(lambda: twin, tiled=True)
    random = np.random.default_rng(3)
    states = [_state(spec, step, random) for step in range(FRAMES)]

    def frame() -> None:
        desk.refresh()
        draw()

    twin.state = states[0]
    for _ in range(6):
        frame()
    figures.add("open the windows to the first picture", time.perf_counter() - begun, "s", target=4.0)

    view = desk.pack_view
    fitted = view.camera
    assert fitted is not None

    def orbit(_: int) -> None:
        camera = view.camera
        assert camera is not None
        view.look(camera.orbited(0.02, 0.0))
        frame()

    for detail, zoom in ((Detail.TILES, 0.0), (Detail.ROUND, 7.0), (Detail.BOXES, -12.0)):
        view.look(fitted.zoomed(zoom))
        frame()
        assert view.scene is not None
        assert view.scene.detail is detail
        rate = 1.0 / float(np.median(_times(orbit)))
        figures.add(f"frames of a moving camera, cells as {detail.value}", rate, "1/s")
    view.look(fitted)
    frame()
    figures.add("frames while the mouse orbits the fitted pack", _drag_rate(desk), "1/s", target=10.0, at_least=True)
    view.look(fitted)
    frame()

    def feed(show: Callable[[FedTwin], None]) -> Callable[[int], None]:
        def step(index: int) -> None:
            twin.state = states[index]
            show(twin)

        return step

    for name, show in (("pack panel", desk.pack_panel.show), ("control panel", desk.control_panel.show)):
        taken = _times(feed(show), prepare=lambda _: draw())
        figures.add(f"live update, {name}", 1e3 * float(np.median(taken)), "ms", target=10.0)
    taken = _times(feed(view.show), prepare=lambda _: draw())
    figures.add("live update, 2,800 cells recoloured", 1e3 * float(np.median(taken)), "ms", target=10.0)

    view.window.visible = False
    frame()
    taken = _times(lambda index: feed(lambda _: frame())(index))
    figures.add("frame of both panels alone, with a live update", 1e3 * float(np.median(taken)), "ms", target=33.0)
    desk.destroy()
    standalone.shutdown()
    return figures


def _drag_rate(desk: Desk) -> float:
    """Return frames a second in the second half of a drag across the view."""
    from omni.ui.testing import mouse_drag

    shown = desk.pack_view.scene.view if desk.pack_view.scene is not None else None
    assert shown is not None
    x, y = shown.screen_position_x + 0.3 * shown.computed_width, shown.screen_position_y + 0.5 * shown.computed_height
    stamps: list[float] = []

    async def drag() -> None:
        moving = asyncio.ensure_future(mouse_drag(x, y, x + 0.4 * shown.computed_width, y + 20.0, steps=FRAMES))
        while not moving.done():
            desk.refresh()
            stamps.append(time.perf_counter())
            await asyncio.sleep(0)

    asyncio.run(drag())
    return 1.0 / float(np.median(np.diff(stamps[len(stamps) // 2 : -4])))


def _times(act: Callable[[int], None], prepare: Callable[[int], None] = lambda _: None) -> list[float]:
    taken = []
    for index in range(FRAMES):
        prepare(index)
        begun = time.perf_counter()
        act(index)
        taken.append(time.perf_counter() - begun)
    return taken


def _state(spec: PackSpec, step: int, random: np.random.Generator) -> PackState:
    def reading(kind: Kind, quantity: str, level: Level, middle: float, spread: float) -> Reading:
        values = middle + spread * random.standard_normal(spec.size(level))
        return Reading.at(kind, quantity, level, values, float(step), standard_uncertainty=spread, provenance="bench")

    readings = (
        reading(Kind.MEASURED, "voltage", Level.PACK, spec.nominal_voltage, 0.1),
        reading(Kind.MEASURED, "current", Level.PACK, spec.capacity, 0.1),
        reading(Kind.MEASURED, "voltage", Level.GROUP, spec.cell.nominal_voltage, 0.01),
        reading(Kind.MEASURED, "temperature", Level.CELL, 303.0, 2.0),
        reading(Kind.MEASURED, "current", Level.CELL, 2.0, 0.05),
        reading(Kind.ESTIMATED, "soc", Level.CELL, 0.5, 0.01),
        reading(Kind.PREDICTED, "soh", Level.CELL, 0.9, 0.01),
    )
    return PackState(time=float(step), step=step, readings={item.key: item for item in readings})


if __name__ == "__main__":
    raise SystemExit(main(run))
