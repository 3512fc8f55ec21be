"""Who has the say in each mode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.autonomy import decide
from celltwin.core import Advice, Mode, PackState

NOW = PackState(time=400.0, step=40)


@pytest.fixture
def advice() -> Advice:
    balancing = np.zeros(20)
    balancing[3] = 0.28
    return Advice(
        time=300.0,
        charge_current=np.array([84.0, 70.0]),
        coolant_flow=np.array([0.1, 0.12]),
        balancing_current=balancing,
        reasons=("", ""),
        expected=("", ""),
        provenance="test",
    )


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ADVISE])
def test_advice_does_not_act_unless_autonomous(pack, ask, advice, mode):
    duty = ask(pack, -56.0)

    assert decide(mode, duty, advice, NOW, pack) is duty


def test_autonomous_charging_follows_the_advice_at_the_least_of_the_modules_currents(pack, ask, advice):
    command = decide(Mode.AUTONOMOUS, ask(pack, -56.0), advice, NOW, pack)

    assert command.pack_current == -70.0
    np.testing.assert_array_equal(command.coolant_flow, advice.coolant_flow)
    np.testing.assert_array_equal(command.balancing_current, advice.balancing_current)
    assert command.origin == "advice"


@pytest.mark.parametrize("current", [0.0, 56.0])
def test_rest_and_discharge_stay_the_duty_s_while_cooling_and_balancing_follow_advice(pack, ask, advice, current):
    command = decide(Mode.AUTONOMOUS, ask(pack, current), advice, NOW, pack)

    assert command.pack_current == current
    np.testing.assert_array_equal(command.coolant_flow, advice.coolant_flow)


@pytest.mark.parametrize("age", [901.0, -1.0])
def test_advice_that_is_old_or_from_the_future_does_not_act(pack, ask, advice, age):
    duty = ask(pack, -56.0)

    assert decide(Mode.AUTONOMOUS, duty, advice, PackState(time=advice.time + age, step=0), pack) is duty


def test_without_advice_the_duty_stands(pack, ask):
    duty = ask(pack, -56.0)

    assert decide(Mode.AUTONOMOUS, duty, None, NOW, pack) is duty


def test_what_the_advice_leaves_open_stays_the_duty_s(pack, ask, advice):
    partial = replace(
        advice,
        charge_current=np.array([84.0, np.nan]),
        coolant_flow=np.array([np.nan, 0.12]),
        balancing_current=np.full(20, np.nan),
    )
    command = decide(Mode.AUTONOMOUS, ask(pack, -56.0), partial, NOW, pack)

    assert command.pack_current == -56.0
    np.testing.assert_array_equal(command.coolant_flow, [0.05, 0.12])
    np.testing.assert_array_equal(command.balancing_current, 0.0)


def test_advice_for_another_pack_does_not_act(pack, ask, advice):
    duty = ask(pack, -56.0)

    assert decide(Mode.AUTONOMOUS, duty, replace(advice, charge_current=np.ones(5)), NOW, pack) is duty
