"""The control panel hands over what an operator decides, and only what the mode allows."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Mode


@pytest.fixture
def panel(driver, desk):
    driver.frames(2, desk.refresh)
    return desk.control_panel


def test_clicking_a_mode_switches_the_twin(driver, desk, panel, twin):
    for mode in (Mode.AUTONOMOUS, Mode.OBSERVE, Mode.ADVISE):
        driver.click_on(panel.mode_buttons[mode])
        driver.frames(1, desk.refresh)
        assert twin.mode is mode

    assert twin.done == ["mode autonomous", "mode observe", "mode advise"]


def test_apply_and_reject_hand_over_the_decision(driver, desk, panel, twin):
    driver.click_on(panel.apply_button)
    driver.frames(2, desk.refresh)
    assert twin.done == ["apply"]
    assert panel.status_text == "Applied."

    driver.click_on(panel.apply_button)  # applied already: the button is off
    driver.click_on(panel.reject_button)
    driver.frames(2, desk.refresh)
    assert twin.done == ["apply", "reject"]
    assert panel.status_text == "Rejected."


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.AUTONOMOUS])
def test_a_mode_that_forbids_decisions_disables_the_buttons(driver, desk, panel, twin, mode):
    enabled = driver.picture()
    twin.mode = mode
    driver.frames(2, desk.refresh)

    driver.click_on(panel.apply_button)
    driver.click_on(panel.reject_button)

    assert twin.done == []
    assert (np.abs(driver.picture() - enabled).max(axis=2) > 20).sum() > 500  # they look disabled


def test_a_new_advice_waits_for_a_new_decision(driver, desk, panel, twin, make_advice):
    driver.click_on(panel.apply_button)
    twin.advice = make_advice(twin.spec, 120.0)
    driver.frames(2, desk.refresh)

    assert panel.status_text == "Waiting for your decision."
    assert panel.apply_button.enabled


def test_clicking_a_module_shows_its_reason_and_effect(driver, desk, panel, twin):
    driver.click_on(panel.row_widget(3))
    driver.frames(2, desk.refresh)

    assert panel.reason_text == twin.advice.reasons[3]
    assert panel.expected_text == twin.advice.expected[3]


def test_what_the_shield_changed_is_shown(driver, desk, panel, twin, make_command):
    before = driver.picture()
    twin.command = make_command(twin.spec, 10.0, ("Charge current cut to 40.0 A: M05.G04 is at 4.19 V",))
    driver.frames(2, desk.refresh)

    assert panel.shield_text == "Charge current cut to 40.0 A: M05.G04 is at 4.19 V"
    amber = [np.abs(shot - (0xE0, 0xA0, 0x30)).max(axis=2) < 30 for shot in (before, driver.picture())]
    assert amber[1].sum() > amber[0].sum() + 50
