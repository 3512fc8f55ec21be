"""What the control panel shows and allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Advice, Command, Mode, PackState
from celltwin.panels import Decision, control_view


@pytest.fixture
def advice(leaf) -> Advice:
    balancing = np.zeros(leaf.n_groups)
    balancing[1] = 0.05
    return Advice(
        time=60.0,
        charge_current=np.array([30.0, 31.0, 32.0]),
        coolant_flow=np.array([0.01, 0.02, 0.03]),
        balancing_current=balancing,
        reasons=("first", "second → third", "fourth"),
        expected=("a", "b", "c"),
        provenance="SPMe leaf 1a2b",
    )


def command(leaf, **changes: object) -> Command:
    plain = Command(
        time=70.0,
        pack_current=-30.0,
        coolant_flow=np.full(3, 0.015),
        balancing_current=np.zeros(leaf.n_groups),
        origin="advice",
    )
    return replace(plain, **changes)


STATE = PackState(time=90.0, step=9)


def test_every_module_has_its_set_points_and_reasons(leaf, advice):
    view = control_view(leaf, STATE, advice, command(leaf), Mode.ADVISE)

    assert [row.module for row in view.rows] == ["A01", "A02", "A03"]
    assert view.rows[0].balancing == "1 group, 0.05 A"
    assert view.rows[1].balancing == "none"
    assert view.rows[1].charge_current == "31.0 A"
    assert {view.rows[1].coolant_flow, view.rows[1].coolant_now} == {"no coolant"}  # the pack is cooled by air
    assert view.rows[1].reason == "second to third"
    assert view.headline == "Advice of 0:01:00, 0:00:30 old · SPMe leaf 1a2b"


def test_coolant_flow_stands_beside_what_the_plant_has_now(reference):
    count = reference.n_modules
    advice = Advice(
        time=0.0,
        charge_current=np.full(count, 56.0),
        coolant_flow=np.full(count, 0.08),
        balancing_current=np.zeros(reference.n_groups),
        reasons=("",) * count,
        expected=("",) * count,
        provenance="test",
    )
    now = Command(
        time=0.0,
        pack_current=0.0,
        coolant_flow=np.full(count, 0.05),
        balancing_current=np.zeros(reference.n_groups),
        origin="duty",
    )

    row = control_view(reference, None, advice, now, Mode.ADVISE).rows[7]

    assert (row.coolant_flow, row.coolant_now) == ("0.080 kg/s", "0.050 kg/s")


@pytest.mark.parametrize(
    ("mode", "decision", "may_apply", "may_reject", "status"),
    [
        (Mode.ADVISE, None, True, True, "Waiting for your decision."),
        (Mode.ADVISE, Decision(advice_time=60.0, applied=True), False, True, "Applied."),
        (Mode.ADVISE, Decision(advice_time=60.0, applied=False), True, False, "Rejected."),
        (Mode.ADVISE, Decision(advice_time=50.0, applied=True), True, True, "Waiting for your decision."),
        (Mode.OBSERVE, None, False, False, "Not acted on in this mode."),
        (Mode.AUTONOMOUS, None, False, False, "The newest advice acts by itself."),
    ],
)
def test_buttons_follow_the_mode_and_the_last_decision(leaf, advice, mode, decision, may_apply, may_reject, status):
    view = control_view(leaf, STATE, advice, command(leaf), mode, decision)

    assert (view.may_apply, view.may_reject, view.status) == (may_apply, may_reject, status)


def test_without_advice_there_is_nothing_to_decide(leaf):
    view = control_view(leaf, None, None, None, Mode.ADVISE)

    assert view.rows == ()
    assert not view.may_apply
    assert not view.may_reject
    assert view.command == "No plant takes commands: the twin follows a recording."


def test_without_a_plant_no_decision_is_offered(leaf, advice):
    view = control_view(leaf, STATE, advice, None, Mode.ADVISE)

    assert len(view.rows) == 3
    assert not view.may_apply
    assert not view.may_reject
    assert view.status == "There is no plant to act on."


@pytest.mark.parametrize(("current", "what"), [(-30.0, "charging"), (30.0, "discharging"), (0.0, "rest")])
def test_the_command_says_which_way_the_current_flows(leaf, advice, current, what):
    view = control_view(leaf, STATE, advice, command(leaf, pack_current=current), Mode.ADVISE)

    assert view.command == f"{current:.2f} A ({what}), by advice"


def test_what_the_shield_changed_is_listed(leaf, advice):
    changed = command(leaf, origin="shield", interventions=("cut to 20 A", "flow raised"))

    view = control_view(leaf, STATE, advice, changed, Mode.AUTONOMOUS)

    assert view.shield == ("cut to 20 A", "flow raised")
