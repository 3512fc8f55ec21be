import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Reading, ScenarioPlayer, ScenarioProgress, load_pack, parse_scenario
from celltwin.runtime.duty import command_of, observe

DUTY = """
name = "test"
[initial]
soc = 0.9
[coolant]
flow = 0.5
[[steps]]
name = "down"
kind = "discharge"
rate = 1.0
until_charge = 0.5
longest = "2 h"
[[steps]]
kind = "rest"
longest = 100
[[steps]]
name = "up"
kind = "charge"
rate = 0.5
until_rate = 0.05
longest = "3 h"
[[steps]]
kind = "power"
power = "6.9 kW"
longest = "1 h"
[[steps]]
kind = "voltage"
cell_voltage = 3.8
longest = "1 h"
"""


@pytest.fixture(scope="module")
def player(repo_root):
    return ScenarioPlayer(parse_scenario(DUTY), load_pack(repo_root / "data/packs/leaf_3_modules.toml"))


def image(spec, time, current, voltage=3.7, soc=None):
    state = PackState(time=time, step=0).updated(
        Reading.at(Kind.MEASURED, "current", Level.PACK, np.array([current]), time, provenance="test"),
        Reading.at(Kind.MEASURED, "voltage", Level.GROUP, np.full(spec.n_groups, voltage), time, provenance="test"),
    )
    if soc is None:
        return state
    return state.updated(Reading.at(Kind.ESTIMATED, "soc", Level.PACK, np.array([soc]), time, provenance="test"))


def asked(player, step, *, current=0.0, voltage=3.7):
    return command_of(player, ScenarioProgress(step=step), image(player.spec, 0.0, current, voltage))


def test_rates_become_pack_currents_positive_on_discharge(player):
    assert asked(player, 0).pack_current == pytest.approx(65.0)
    assert asked(player, 1).pack_current == 0.0
    assert asked(player, 2).pack_current == pytest.approx(-32.5)


def test_at_the_voltage_limit_the_duty_asks_for_little_more_than_what_flows(player):
    full = asked(player, 2, current=-20.0, voltage=4.199)
    filling = asked(player, 2, current=-20.0, voltage=4.1)

    assert -21.0 < full.pack_current < -20.0
    assert filling.pack_current == pytest.approx(-32.5)


def test_power_becomes_the_current_at_the_measured_voltage(player):
    volts = player.spec.n_series * 3.7

    assert asked(player, 3).pack_current == pytest.approx(6900.0 / volts)


def test_a_demanded_voltage_moves_the_current_towards_it(player):
    above = asked(player, 4, voltage=3.81).pack_current
    below = asked(player, 4, voltage=3.79).pack_current

    assert above > 0.0 > below
    assert asked(player, 4, current=5.0, voltage=3.8).pack_current == pytest.approx(5.0)


def test_a_finished_duty_rests(player):
    assert asked(player, 5).pack_current == 0.0


def test_the_coolant_flows_as_the_scenario_says(player):
    spec = player.spec

    np.testing.assert_allclose(asked(player, 0).coolant_flow, 0.5 * spec.cooling.flow)


def test_what_is_observed_comes_from_measured_groups_and_the_estimated_charge(player):
    spec = player.spec
    state = image(spec, 30.0, -10.0, soc=0.4)
    groups = np.linspace(3.6, 3.8, spec.n_groups)
    groups[0] = np.nan
    state = state.updated(Reading.at(Kind.MEASURED, "voltage", Level.GROUP, groups, 30.0, provenance="test"))

    seen = observe(state)

    assert (seen.time, seen.current, seen.soc, seen.highest_voltage) == (30.0, -10.0, 0.4, 3.8)
    assert seen.lowest_voltage == pytest.approx(groups[1])


def test_nothing_measured_is_unknown_and_ends_no_step(player):
    seen = observe(PackState(time=10.0, step=1))

    assert np.isnan([seen.lowest_voltage, seen.highest_voltage, seen.soc]).all()
    assert player.advance(player.start(), seen).step == 0
