"""A real omni.ui window to drive, and a small twin that is fed with real process images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celltwin.core import (
    Advice,
    Alarm,
    Array,
    Command,
    Kind,
    Level,
    Mode,
    PackSpec,
    PackState,
    Quality,
    Reading,
    Severity,
    lay_out,
    load_pack,
)
from celltwin.panels import prepare_omni_ui

WINDOW_SIZE = (1280, 760)


class SampleTwin:
    """A twin without a plant: it holds what it is given and remembers what an operator did."""

    def __init__(self, spec: PackSpec) -> None:
        self.spec = spec
        self.state: PackState | None = None
        self.advice: Advice | None = None
        self.command: Command | None = None
        self.mode = Mode.ADVISE
        self.done: list[str] = []

    def set_mode(self, mode: Mode) -> None:
        self.done.append(f"mode {mode.value}")
        self.mode = mode

    def apply_advice(self) -> None:
        self.done.append("apply")

    def reject_advice(self) -> None:
        self.done.append("reject")


def pack_state(
    spec: PackSpec,
    time: float = 0.0,
    *,
    warmer: float = 0.0,
    hotter_module: int | None = None,
    stale_module: int | None = None,
) -> PackState:
    """Return a pack under discharge: warmest in the middle of each module, weaker groups lower in voltage."""
    random = np.random.default_rng(7)
    layout = lay_out(spec)
    local = layout.cells_in_module[:, :2]
    reach = np.abs(local).max(axis=0) + 1e-9
    middle = np.exp(-1.5 * ((local / reach) ** 2).sum(axis=1))
    module_heat = np.linspace(0.0, 4.0, spec.n_modules)[:, np.newaxis]
    if hotter_module is not None:
        module_heat[hotter_module] += 12.0
    temperature = (301.0 + warmer + module_heat + 6.0 * middle).reshape(-1) + random.normal(0.0, 0.15, spec.n_cells)
    soc = np.clip(0.71 - time / 7200.0 + random.normal(0.0, 0.004, spec.n_cells), 0.0, 1.0)
    group_soc = soc.reshape(spec.n_groups, spec.parallel).mean(axis=1)
    voltage = 3.1 + 0.9 * group_soc + random.normal(0.0, 0.002, spec.n_groups)
    voltage[spec.n_groups // 3] -= 0.03
    soh = np.clip(0.93 + random.normal(0.0, 0.01, spec.n_cells), 0.0, 1.0)
    current = 1.0 * spec.capacity
    cell_current = current / spec.parallel * (1.0 + random.normal(0.0, 0.02, spec.n_cells))
    quality = np.zeros(spec.n_cells, dtype=np.uint8)
    if stale_module is not None:
        each = spec.n_cells // spec.n_modules
        quality[stale_module * each : (stale_module + 1) * each] = Quality.STALE
    quality[spec.n_cells // 2] = Quality.SUSPECT

    def reading(kind: Kind, quantity: str, level: Level, values: Array, uncertainty: float, **more: object) -> Reading:
        return Reading.at(
            kind, quantity, level, values, time, standard_uncertainty=uncertainty, provenance="sample", **more
        )

    limit = spec.cell.highest_temperature - 12.0
    alarms = [
        Alarm(
            time=time,
            severity=Severity.CRITICAL if temperature[cell] > limit + 1.0 else Severity.WARNING,
            quantity="temperature",
            level=Level.CELL,
            element=int(cell),
            element_id=spec.element_ids(Level.CELL)[int(cell)],
            value=float(temperature[cell]),
            limit=limit,
            message=f"{spec.element_ids(Level.CELL)[int(cell)]} is warmer than {limit - 273.15:.1f} °C",
        )
        for cell in np.flatnonzero((temperature > limit) & (quality == 0))[:40]
    ]
    one = np.ones(1)
    return PackState(
        time=time,
        step=int(time),
        readings={
            item.key: item
            for item in (
                reading(Kind.MEASURED, "voltage", Level.PACK, one * voltage.sum(), 0.1),
                reading(Kind.MEASURED, "current", Level.PACK, one * current, 0.1),
                reading(Kind.MEASURED, "voltage", Level.GROUP, voltage, 1e-3),
                reading(Kind.MEASURED, "temperature", Level.CELL, temperature, 0.1, quality=quality),
                reading(Kind.MEASURED, "current", Level.CELL, cell_current, 5e-3),
                reading(Kind.ESTIMATED, "soc", Level.CELL, soc, 0.01),
                reading(Kind.ESTIMATED, "soc", Level.PACK, one * soc.mean(), 0.01),
                reading(Kind.PREDICTED, "soh", Level.CELL, soh, 0.012),
            )
        },
        alarms=tuple(alarms),
    )


def pack_advice(spec: PackSpec, time: float = 0.0) -> Advice:
    """Return an advice with a text for every module."""
    balancing = np.zeros(spec.n_groups)
    balancing[:: max(spec.series // 3, 1)] = 0.1
    current = np.full(spec.n_modules, 1.2 * spec.capacity)
    return Advice(
        time=time,
        charge_current=current,
        coolant_flow=np.linspace(0.05, 0.11, spec.n_modules),
        balancing_current=balancing,
        reasons=tuple(
            f"{value:.1f} A is the fastest of seven candidates that keeps every cell of {module.id} below 4.20 V and "
            "45 °C; 84.0 A would reach 47.3 °C after 9 min."
            for value, module in zip(current, spec.modules, strict=True)
        ),
        expected=tuple(
            f"80 % SOC after 31 min; hottest cell {36.0 + index:.1f} °C, highest group 4.17 V."
            for index in range(spec.n_modules)
        ),
        provenance="SPMe xjtu_18650 4f1c2a",
    )


def pack_command(spec: PackSpec, time: float = 0.0, interventions: tuple[str, ...] = ()) -> Command:
    """Return a charging command."""
    return Command(
        time=time,
        pack_current=-1.0 * spec.capacity,
        coolant_flow=np.full(spec.n_modules, 0.05),
        balancing_current=np.zeros(spec.n_groups),
        origin="shield" if interventions else "advice",
        interventions=interventions,
    )


class Driver:
    """Frames, mouse and pictures of the one window that omni.ui draws in."""

    def __init__(self, folder: Path) -> None:
        from omni.ui import testing

        self._testing = testing
        self._folder = folder
        self._count = 0

    def frames(self, count: int, refresh: Callable[[], None] = lambda: None) -> None:
        """Draw some frames, calling ``refresh`` before each, as the desk does."""
        for _ in range(count):
            refresh()
            asyncio.run(self._testing.next_frame())

    def click(self, x: float, y: float, button: int = 0) -> None:
        asyncio.run(self._testing.mouse_click(x, y, button))

    def click_on(self, widget: object) -> None:
        """Click the middle of a widget."""
        self.click(
            widget.screen_position_x + widget.computed_width / 2.0,  # type: ignore[attr-defined]
            widget.screen_position_y + widget.computed_height / 2.0,  # type: ignore[attr-defined]
        )

    def drag(self, x0: float, y0: float, x1: float, y1: float, button: int = 0) -> None:
        asyncio.run(self._testing.mouse_drag(x0, y0, x1, y1, button=button, steps=4))

    def scroll(self, x: float, y: float, steps: float) -> None:
        asyncio.run(self._testing.mouse_scroll(x, y, 0.0, steps))

    def picture(self) -> np.ndarray:
        """Return what is on the screen, shape (height, width, 3)."""
        self._count += 1
        path = self._folder / f"{self._count:03d}.png"
        assert self._testing.capture_screenshot(str(path))
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(np.int16)


@pytest.fixture(scope="session")
def omni_ui_window() -> Iterator[None]:
    """Open the one window of this process, drawn to memory."""
    prepare_omni_ui()
    from omni.ui import standalone

    standalone.init("celltwin tests", *WINDOW_SIZE)
    standalone.set_software_cursor(False)
    yield
    standalone.shutdown()


@pytest.fixture
def driver(omni_ui_window: None, tmp_path: Path) -> Driver:
    """Return what drives the window."""
    return Driver(tmp_path)


@pytest.fixture(scope="session")
def reference_spec(repo_root: Path) -> PackSpec:
    """Return the reference pack of 2,800 cells."""
    return load_pack(repo_root / "data" / "packs" / "reference.toml")


@pytest.fixture(scope="session")
def make_state() -> Callable[..., PackState]:
    """Return what makes process images."""
    return pack_state


@pytest.fixture(scope="session")
def make_advice() -> Callable[..., Advice]:
    """Return what makes advice."""
    return pack_advice


@pytest.fixture(scope="session")
def make_command() -> Callable[..., Command]:
    """Return what makes commands."""
    return pack_command


@pytest.fixture
def twin(reference_spec: PackSpec) -> SampleTwin:
    """Return a twin of the reference pack with a first process image and advice."""
    twin = SampleTwin(reference_spec)
    twin.state = pack_state(reference_spec)
    twin.advice = pack_advice(reference_spec)
    twin.command = pack_command(reference_spec)
    return twin


@pytest.fixture
def desk(driver: Driver, twin: SampleTwin) -> Iterator[object]:
    """Open the three windows as the desk app does, showing the twin."""
    from celltwin.panels.desk import Desk

    desk = Desk(lambda: twin, tiled=True)
    driver.frames(4, desk.refresh)
    yield desk
    desk.destroy()
    driver.frames(2)
