"""The pack panel shows the newest figures, and shows what cannot be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Alarm, Kind, Level, Mode, PackState, Quality, Severity


@pytest.fixture
def panel(driver, desk):
    driver.frames(2, desk.refresh)
    return desk.pack_panel


def panel_area(panel) -> tuple[slice, slice]:
    window = panel.window
    top, left = int(window.position_y), int(window.position_x)
    return slice(top, top + int(window.height)), slice(left, left + int(window.width))


def test_figures_follow_the_newest_state_in_display_units(driver, desk, panel, twin, make_state):
    before = driver.picture()[panel_area(panel)]
    twin.state = make_state(twin.spec, 3725.0, warmer=2.0)
    driver.frames(3, desk.refresh)

    voltage = twin.state.get(Kind.MEASURED, "voltage", Level.PACK).values[0]
    temperature = twin.state.get(Kind.MEASURED, "temperature", Level.CELL)
    hottest = int(np.argmax(np.where(temperature.usable(), temperature.values, 0.0)))
    assert panel.texts["voltage"] == (f"{voltage:.1f} V", "")
    assert panel.texts["hottest"] == (
        f"{temperature.values[hottest] - 273.15:.1f} °C",
        twin.spec.element_ids(Level.CELL)[hottest],
    )
    assert panel.time_text == "1:02:05"
    assert (np.abs(driver.picture()[panel_area(panel)] - before).max(axis=2) > 40).sum() > 300


def test_a_stale_value_looks_stale(driver, desk, panel, twin):
    fresh = driver.picture()[panel_area(panel)]
    twin.state = PackState(
        time=twin.state.time + 30.0,
        step=1,
        readings={key: reading.aged(twin.state.time + 30.0, 5.0) for key, reading in twin.state.readings.items()},
    )
    driver.frames(3, desk.refresh)

    assert panel.texts["voltage"][1] == "stale"
    assert panel.qualities["voltage"] is Quality.STALE
    amber = np.abs(driver.picture()[panel_area(panel)] - (0xE0, 0xA0, 0x30)).max(axis=2) < 30
    before = np.abs(fresh - (0xE0, 0xA0, 0x30)).max(axis=2) < 30
    assert amber.sum() > before.sum() + 1000


def test_alarms_come_and_go(driver, desk, panel, twin):
    alarm = Alarm(
        time=1.0,
        severity=Severity.CRITICAL,
        quantity="temperature",
        level=Level.CELL,
        element=7,
        element_id=twin.spec.element_ids(Level.CELL)[7],
        value=331.15,
        limit=328.15,
        message="too warm",
    )
    quiet = driver.picture()
    twin.state = PackState(time=1.0, step=1, readings=twin.state.readings, alarms=(alarm,))
    driver.frames(4, desk.refresh)
    assert panel.alarm_count == 1
    alarmed = driver.picture()
    red = np.abs(alarmed - (0xE0, 0x48, 0x4F)).max(axis=2) < 30
    assert red[panel_area(panel)].sum() > 40  # the bar beside the row
    assert red[:, : int(panel.window.position_x)].sum() > 10  # the ring around the cell and its legend

    twin.state = PackState(time=0.0, step=2, readings=twin.state.readings)
    driver.frames(4, desk.refresh)
    assert panel.alarm_count == 0
    assert (np.abs(driver.picture() - quiet).max(axis=2) > 40).sum() < 400  # the time is another


def test_the_mode_is_shown(driver, desk, panel, twin):
    twin.mode = Mode.AUTONOMOUS
    driver.frames(2, desk.refresh)

    assert panel.mode_text == "Autonomous"


def test_without_a_twin_the_windows_say_so_and_survive(driver, omni_ui_window):
    from celltwin.panels.desk import Desk

    desk = Desk(lambda: None, tiled=True)
    driver.frames(3, desk.refresh)
    picture = driver.picture()
    desk.destroy()
    driver.frames(1)

    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5
