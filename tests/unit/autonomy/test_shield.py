"""The last word on every command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.autonomy import Shield, ShieldSettings
from celltwin.core import Command, Kind, Level, PackSpec, PackState, Quality, Reading

FAST = ShieldSettings(ramp=10.0)


def one(spec: PackSpec, level: Level, element: int, value: float, others: float) -> np.ndarray:
    values = np.full(spec.size(level), others)
    values[element] = value
    return values


@pytest.mark.parametrize("current", [-56.0, 0.0, 56.0])
def test_a_command_within_all_limits_passes_untouched(pack, measured, ask, current):
    command = ask(pack, current, balancing=0.2)

    assert Shield(pack).review(command, measured(pack)) is command


@pytest.mark.parametrize(("asked", "given"), [(-500.0, -168.0), (500.0, 280.0)])
def test_current_is_held_to_the_cells_limits(pack, measured, ask, asked, given):
    reviewed = Shield(pack, FAST).review(ask(pack, asked), measured(pack))

    assert reviewed.pack_current == pytest.approx(given)
    assert reviewed.origin == "shield"
    assert f"{abs(given):.2f} A" in reviewed.interventions[0]


@pytest.mark.parametrize(
    ("voltage", "current", "stopped"),
    [(4.2, -56.0, True), (4.25, -56.0, True), (4.25, 56.0, False), (2.5, 56.0, True), (2.45, -10.0, False)],
)
def test_a_group_at_its_cut_off_stops_what_would_take_it_further(pack, measured, ask, voltage, current, stopped):
    state = measured(pack, voltage=one(pack, Level.GROUP, 12, voltage, 3.7))
    reviewed = Shield(pack, FAST).review(ask(pack, current), state)

    assert (reviewed.pack_current == 0.0) == stopped
    if stopped:
        assert "M02.G03" in reviewed.interventions[0]
        assert f"{voltage:.3f} V" in reviewed.interventions[0]


def test_a_deeply_discharged_group_is_not_charged_either(pack, measured, ask):
    reviewed = Shield(pack).review(ask(pack, -10.0), measured(pack, voltage=one(pack, Level.GROUP, 3, 1.9, 3.4)))

    assert reviewed.pack_current == 0.0
    assert "M01.G04 at 1.900 V is deeply discharged" in reviewed.interventions[0]


@pytest.mark.parametrize("true_resistance", [0.5, 1.0, 2.4])
@pytest.mark.parametrize(("open_circuit", "asked"), [(4.17, -168.0), (2.56, 280.0)])
def test_the_voltage_is_held_before_the_limit_without_swinging(
    pack, measured, ask, true_resistance, open_circuit, asked
):
    shield = Shield(pack, FAST)
    resistance = true_resistance * pack.cell.resistance / pack.parallel
    current, currents = 0.0, []
    for step in range(120):
        voltage = open_circuit - resistance * current
        assert 2.5 < voltage < 4.2
        state = measured(pack, voltage=voltage, current=current, time=100.0 + 10.0 * step)
        current = shield.review(ask(pack, asked), state).pack_current
        currents.append(abs(current))

    limit = 4.198 if asked < 0.0 else 2.502
    assert open_circuit - resistance * current == pytest.approx(limit, abs=1e-4)
    assert np.all(np.diff(currents) >= -1e-9)


def test_a_charge_at_constant_voltage_is_reduced_but_goes_on(pack, measured, ask):
    state = measured(pack, voltage=4.203, current=-40.0)
    reviewed = Shield(pack, FAST).review(ask(pack, -56.0), state)

    assert -40.0 < reviewed.pack_current < -30.0


def test_a_charge_beyond_the_tolerance_stops_at_once(pack, measured, ask):
    assert Shield(pack, FAST).review(ask(pack, -56.0), measured(pack, voltage=4.211, current=-40.0)).pack_current == 0.0


def test_a_hot_cell_derates_the_current_and_calls_for_full_flow(pack, measured, ask):
    state = measured(pack, temperature=one(pack, Level.CELL, 300, 273.15 + 52.5, 300.0))
    reviewed = Shield(pack, FAST).review(ask(pack, -168.0), state)

    assert reviewed.pack_current == pytest.approx(-84.0)  # half way between 50 and 55 °C
    np.testing.assert_allclose(reviewed.coolant_flow, [0.05, 0.15])
    assert "M02.G01.C21 at 52.5 °C" in reviewed.interventions[0]


@pytest.mark.parametrize("current", [-56.0, 56.0])
def test_a_cell_over_its_highest_temperature_stops_the_current(pack, measured, ask, current):
    state = measured(pack, temperature=one(pack, Level.CELL, 300, 273.15 + 56.0, 300.0))

    assert Shield(pack).review(ask(pack, current), state).pack_current == 0.0


@pytest.mark.parametrize(
    ("celsius", "current", "stopped"),
    [(-1.0, -28.0, True), (-1.0, 28.0, False), (1.0, -28.0, False), (-21.0, 28.0, True)],
)
def test_cold_stops_charging_before_it_stops_discharging(pack, measured, ask, celsius, current, stopped):
    state = measured(pack, temperature=one(pack, Level.CELL, 7, 273.15 + celsius, 290.0))
    reviewed = Shield(pack).review(ask(pack, current), state)

    assert (reviewed.pack_current == 0.0) == stopped
    if stopped:
        assert "M01.G01.C08" in reviewed.interventions[0]


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.SUSPECT, Quality.BAD])
def test_values_that_are_not_good_lead_to_the_safe_state(pack, measured, ask, quality):
    reviewed = Shield(pack).review(ask(pack, 56.0, balancing=0.2), measured(pack, quality=quality))

    assert reviewed.pack_current == 0.0
    np.testing.assert_array_equal(reviewed.coolant_flow, pack.cooling.highest_flow)
    np.testing.assert_array_equal(reviewed.balancing_current, 0.0)


def test_values_that_are_old_lead_to_the_safe_state_whatever_their_quality(pack, measured, ask):
    assert Shield(pack).review(ask(pack, 56.0), measured(pack, time=200.0, sampled=100.0)).pack_current == 0.0
    assert Shield(pack).review(ask(pack, 56.0), measured(pack, time=150.0, sampled=100.0)).pack_current == 56.0


def test_one_missing_voltage_or_temperature_is_enough_for_the_safe_state(pack, measured, ask):
    blind = measured(pack, voltage=one(pack, Level.GROUP, 9, np.nan, 3.7))
    numb = measured(pack, temperature=np.where(np.arange(560) < 280, np.nan, 300.0))

    assert "no fresh voltage of M01.G10" in Shield(pack).review(ask(pack, 56.0), blind).interventions[0]
    reviewed = Shield(pack).review(ask(pack, 56.0), numb)
    assert "no fresh temperature in M01" in reviewed.interventions[0]
    np.testing.assert_allclose(reviewed.coolant_flow, [0.15, 0.05])


def test_estimates_do_not_stand_in_for_measurements(pack, ask):
    state = PackState(time=100.0, step=0).updated(
        Reading.at(Kind.ESTIMATED, "voltage", Level.GROUP, np.full(20, 3.7), 100.0, provenance="test"),
        Reading.at(Kind.ESTIMATED, "temperature", Level.CELL, np.full(560, 300.0), 100.0, provenance="test"),
    )

    assert Shield(pack).review(ask(pack, 56.0), state).pack_current == 0.0


def test_one_temperature_a_module_is_enough(pack, measured, ask):
    state = measured(pack, temperature=np.nan).updated(
        Reading.at(Kind.MEASURED, "temperature", Level.MODULE, np.array([300.0, 301.0]), 100.0, provenance="test")
    )

    assert Shield(pack).review(ask(pack, 56.0), state).pack_current == 56.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_set_points_that_are_no_numbers_are_refused(pack, measured, ask, wrong):
    command = replace(ask(pack, wrong), coolant_flow=np.array([wrong, 0.05]), balancing_current=np.full(20, wrong))
    reviewed = Shield(pack).review(command, measured(pack))

    assert reviewed.pack_current == 0.0
    np.testing.assert_allclose(reviewed.coolant_flow, [0.15, 0.05])
    np.testing.assert_array_equal(reviewed.balancing_current, 0.0)
    assert len(reviewed.interventions) == 3


def test_flow_and_balancing_stay_within_their_ranges(pack, measured, ask):
    command = replace(ask(pack, 0.0), coolant_flow=np.array([-0.1, 0.4]), balancing_current=np.linspace(-1.0, 5.0, 20))
    reviewed = Shield(pack).review(command, measured(pack))

    np.testing.assert_allclose(reviewed.coolant_flow, [0.0, 0.15])
    assert reviewed.balancing_current.min() == 0.0
    assert reviewed.balancing_current.max() == pytest.approx(0.02 * 56.0)


def test_an_empty_group_is_not_bled(pack, measured, ask):
    state = measured(pack, voltage=one(pack, Level.GROUP, 5, 2.5, 3.5))
    reviewed = Shield(pack).review(ask(pack, 0.0, balancing=0.3), state)

    assert np.flatnonzero(reviewed.balancing_current == 0.0).tolist() == [5]
    assert reviewed.interventions == ("balancing of M01.G06 stopped: at the lowest voltage",)


def test_set_points_of_another_pack_are_refused(pack, measured, ask):
    command = replace(ask(pack, 0.0), coolant_flow=np.zeros(7), balancing_current=np.zeros(3))
    reviewed = Shield(pack).review(command, measured(pack))

    assert reviewed.coolant_flow.shape == (2,)
    assert reviewed.balancing_current.shape == (20,)


def test_current_grows_no_faster_than_the_ramp_and_falls_at_once(pack, measured, ask):
    shield = Shield(pack, ShieldSettings(ramp=0.05))  # 14 A/s on discharge
    given = []
    for step, asked in enumerate((280.0, 280.0, 280.0, 20.0, -56.0, -56.0)):
        state = measured(pack, time=100.0 + step, current=0.0)
        given.append(shield.review(ask(pack, asked), state).pack_current)

    np.testing.assert_allclose(given, [70.0, 84.0, 98.0, 20.0, -8.4, -16.8])


def test_a_review_repeated_in_one_step_changes_nothing(pack, measured, ask):
    shield = Shield(pack, ShieldSettings(ramp=0.05))
    shield.review(ask(pack, 10.0), measured(pack, time=99.0))
    state = measured(pack, time=100.0)
    first = shield.review(ask(pack, 280.0), state)

    assert shield.review(first, state) is first
    assert shield.review(ask(pack, 280.0), state).pack_current == first.pack_current


def test_earlier_interventions_are_kept(pack, measured, ask):
    command = replace(ask(pack, -500.0), interventions=("something before",))
    reviewed: Command = Shield(pack).review(command, measured(pack))

    assert reviewed.interventions[0] == "something before"
    assert len(reviewed.interventions) == 2


def test_an_air_cooled_pack_has_no_flow_to_command(repo_root, measured):
    from celltwin.core import load_pack

    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    command = Command(
        time=100.0,
        pack_current=19.5,
        coolant_flow=np.full(3, 0.1),
        balancing_current=np.zeros(6),
        origin="duty",
    )
    reviewed = Shield(leaf).review(command, measured(leaf))

    np.testing.assert_array_equal(reviewed.coolant_flow, 0.0)
    assert reviewed.pack_current == 19.5
