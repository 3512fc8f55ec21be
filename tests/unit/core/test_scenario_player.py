from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import PackObservation, ScenarioPlayer, SpecError, load_pack, parse_scenario

HEAD = 'name = "test"\n[initial]\nsoc = 0.5\n'


@pytest.fixture(scope="module")
def reference(repo_root):
    return load_pack(repo_root / "data/packs/reference.toml")


@pytest.fixture(scope="module")
def play(reference):
    def build(text, spec=None):
        return ScenarioPlayer(parse_scenario(HEAD + text), spec or reference)

    return build


def seen(time, current=0.0, low=3.7, high=3.7, soc=0.5):
    return PackObservation(time=time, current=current, lowest_voltage=low, highest_voltage=high, soc=soc)


def run(player, observations):
    progress = player.start(soc=0.5)
    for observation in observations:
        progress = player.advance(progress, observation)
    return progress


DISCHARGE = '[[steps]]\nkind = "discharge"\nrate = 1\nlongest = "1 h"\n'
REST = '[[steps]]\nkind = "rest"\nlongest = 60\n'


def test_a_step_ends_when_its_charge_has_moved(play):
    player = play(DISCHARGE + "until_charge = 0.5\n")

    assert run(player, [seen(t, 56.0) for t in np.arange(0.0, 1800.0, 10.0)]).step == 0
    assert run(player, [seen(t, 56.0) for t in np.arange(0.0, 1801.0, 10.0)]).step == 1


def test_a_discharge_ends_at_the_lowest_group(play):
    assert run(play(DISCHARGE), [seen(10.0, 56.0, low=2.52)]).step == 0
    assert run(play(DISCHARGE), [seen(10.0, 56.0, low=2.505)]).step == 1


def test_a_charge_goes_on_at_the_voltage_limit_until_the_current_has_fallen(play):
    charge = play('[[steps]]\nkind = "charge"\ncurrent = 28\nuntil_rate = 0.05\nlongest = "3 h"\n')

    assert run(charge, [seen(10.0, -28.0, high=4.2)]).step == 0
    assert run(charge, [seen(10.0, -2.5, high=3.9)]).step == 0
    assert run(charge, [seen(10.0, -2.5, high=4.195)]).step == 1


@pytest.mark.parametrize(("soc", "ended"), [(0.55, False), (0.61, True)])
def test_a_state_of_charge_ends_a_step_once_it_is_passed(play, soc, ended):
    player = play('[[steps]]\nkind = "charge"\nrate = 1\nuntil_soc = 0.6\nlongest = "3 h"\n')

    assert run(player, [seen(10.0, -56.0, soc=soc)]).step == int(ended)


def test_a_voltage_ends_a_discharge_at_the_lowest_group_and_a_charge_at_the_highest(play):
    down = play(DISCHARGE + "until_voltage = 3.2\n")
    up = play('[[steps]]\nkind = "charge"\nrate = 1\nuntil_voltage = 4.0\nlongest = "3 h"\n')

    assert run(down, [seen(10.0, 56.0, low=3.21, high=3.3)]).step == 0
    assert run(down, [seen(10.0, 56.0, low=3.19, high=3.3)]).step == 1
    assert run(up, [seen(10.0, -56.0, low=3.9, high=3.99)]).step == 0
    assert run(up, [seen(10.0, -56.0, low=3.9, high=4.01)]).step == 1


def test_repeats_are_written_out_and_the_longest_duration_counts_them(play):
    inner = '[[steps]]\nkind = "repeat"\ncount = 3\n[[steps.steps]]\nkind = "rest"\nlongest = 10\n'
    player = play(inner + '[[steps.steps]]\nkind = "discharge"\nrate = 1\nlongest = 20\n')

    assert [step.kind for step in player.steps] == ["rest", "discharge"] * 3
    assert player.scenario.longest == 90.0


def test_power_and_voltage_scale_with_the_pack(play, reference):
    player = play(
        '[[steps]]\nkind = "power"\nrate = -0.5\nlongest = 60\n[[steps]]\nkind = "voltage"\ncell_voltage = 4.0\n'
        "longest = 60\n"
    )
    power = player.demand(player.start(), seen(0.0))
    voltage = player.demand(replace(player.start(), step=1), seen(0.0))

    assert (power.kind, power.value) == ("power", pytest.approx(-0.5 * 20160.0))
    assert (voltage.kind, voltage.value) == ("voltage", pytest.approx(400.0))


def test_a_table_of_speed_becomes_the_power_of_the_vehicle(play, reference):
    player = play(
        '[[steps]]\nkind = "drive_cycle"\ntime = [0, 10, 20]\nspeed = [0, 20, 20]\n'
        "[steps.vehicle]\nmass = 1000\nrotating_share = 0\ndrag_area = 0.5\nrolling_resistance = 0.01\n"
        'air_density = 1.2\nefficiency = 0.5\nauxiliary_power = 100\nbattery_energy = "40.32 kWh"\n'
    )

    watts = player.demand(player.start(), seen(0.0), np.array([5.0, 15.0])).values

    drag, roll = 0.5 * 1.2 * 0.5, 0.01 * 1000 * 9.80665
    expected = [(1000 * 2.0 + drag * 100 + roll) * 10 / 0.5 + 100, (drag * 400 + roll) * 20 / 0.5 + 100]
    np.testing.assert_allclose(watts, 0.5 * np.array(expected))  # the pack has half the vehicle's energy


def test_a_drive_cycle_starts_again_until_its_step_ends(play):
    player = play('[[steps]]\nkind = "drive_cycle"\ntime = [0, 10]\npower = [0, 1000]\nlongest = 25\nscale = 2\n')

    watts = player.demand(player.start(), seen(0.0), np.array([0.0, 5.0, 10.0, 15.0, 25.0])).values

    np.testing.assert_allclose(watts, [0.0, 1000.0, 2000.0, 1000.0, 1000.0])
    assert player.scenario.longest == 25.0


def test_regulation_is_bounded_seeded_and_pulls_the_charge_back(play):
    text = '[[steps]]\nkind = "frequency_regulation"\nrate = 0.8\nlongest = "6 h"\n'
    player, other = play(text), play("[[faults]]\nkind='open_weld'\ntarget='cell:0'\n" + text)
    times = np.arange(0.0, 6 * 3600.0, 2.0)
    limit = 0.8 * player.spec.energy

    half = player.demand(player.start(), seen(0.0, soc=0.5), times).values
    full = player.demand(player.start(), seen(0.0, soc=0.9), times).values

    assert np.abs(half).max() <= limit
    assert abs(half.mean()) < 0.15 * limit
    assert 0.3 * limit < half.std() < 0.45 * limit
    assert full.mean() > half.mean() + 0.4 * limit
    np.testing.assert_array_equal(half, other.demand(other.start(), seen(0.0, soc=0.5), times).values)


def test_solar_charges_by_day_and_discharges_in_the_evening(play):
    player = play('[[steps]]\nkind = "solar_shifting"\nrate = 0.25\ndischarge_rate = 0.2\ncloudy_share = 0\n')
    hours = np.arange(-12.0, 12.0)  # the scenario starts at noon; ask for a whole day around it
    watts = player.demand(player.start(), seen(0.0), 3600.0 * hours).values / player.spec.energy

    assert watts[0] == 0.0  # midnight
    assert watts[12] == pytest.approx(-0.25 * 0.98, abs=0.01)  # noon in June at 40 degrees north: 0.98 kW/m^2
    np.testing.assert_allclose(watts[18:22], 0.2)
    assert np.all(watts[22:] == 0.0)
    full = player.demand(player.start(), seen(0.0, soc=0.96), 3600.0 * hours).values
    empty = player.demand(player.start(), seen(0.0, soc=0.05), 3600.0 * hours).values
    assert full.min() == 0.0
    assert empty.max() == 0.0


def test_clouds_take_their_share(play):
    text = '[[steps]]\nkind = "solar_shifting"\ncloudy_share = {}\ncloud_transmission = 0.2\nlongest = "240 h"\n'
    times = 60.0 * np.arange(0, 14400)

    energy = [
        -player.demand(player.start(), seen(0.0), times).values.clip(max=0.0).sum()
        for player in (play(text.format(0.0)), play(text.format(0.5)))
    ]

    assert energy[1] / energy[0] == pytest.approx(1.0 - 0.5 * 0.8, abs=0.08)


def test_ambient_and_coolant_follow_the_scenario(play, reference):
    hot = play(
        DISCHARGE.replace("[[steps]]", "[ambient]\nkind='day'\ntemperature='30 degC'\namplitude='8 K'\nhottest='15 h'\n"
        "[coolant]\nabove_ambient='5 K'\nflow=0.5\n[[steps]]")
    )  # fmt: skip
    plain = play(DISCHARGE)

    noon_and_peak = [hot.surroundings(time) for time in (0.0, 3 * 3600.0)]  # the run starts at noon

    assert noon_and_peak[1].ambient_temperature == pytest.approx(311.15)
    assert noon_and_peak[0].ambient_temperature == pytest.approx(303.15 + 8.0 * np.cos(np.pi / 4))
    assert noon_and_peak[1].inlet_temperature == pytest.approx(316.15)
    np.testing.assert_allclose(noon_and_peak[0].coolant_flow, 0.5 * reference.cooling.flow)
    assert plain.surroundings(0.0).inlet_temperature == reference.cooling.inlet_temperature


def test_coolant_is_lost_in_the_named_module_for_as_long_as_the_fault_lasts(play):
    player = play(DISCHARGE + "[[faults]]\nkind='coolant_loss'\ntarget='M02'\nflow=0.1\nat=100\nduration=50\n")

    shares = [player.surroundings(time).flow_share for time in (99.0, 100.0, 149.0, 150.0)]

    assert [share[1] for share in shares] == [1.0, 0.1, 0.1, 1.0]
    assert all(np.all(np.delete(share, 1) == 1.0) for share in shares)


def test_a_short_grows_over_its_ramp_and_its_bends_are_announced(play):
    player = play(DISCHARGE + "[[faults]]\nkind='internal_short'\ntarget='cell:5'\nresistance=1\nat=60\nramp=40\n")
    fault = player.scenario.faults[0]

    assert [fault.strength(time) for time in (59.0, 60.0, 80.0, 100.0, 500.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    progress, changes = player.start(), []
    for time in (0.0, 60.0, 100.0):
        progress = player.advance(progress, seen(time, 1.0))
        changes.append(player.next_change(progress))
    assert changes == [60.0, 100.0, 3600.0]


def test_a_contactor_that_sticks_open_lets_nothing_flow(play):
    player = play(DISCHARGE + "[[faults]]\nkind='stuck_contactor'\nat=100\n")

    assert player.demand(player.start(), seen(99.0)).value == pytest.approx(56.0)
    stuck = player.demand(player.start(), seen(100.0))
    assert (stuck.value, stuck.connected.any()) == (0.0, False)


def test_a_contactor_that_sticks_closed_does_not_interrupt(play):
    open_it = DISCHARGE + '[[steps]]\nkind = "disconnect"\nlongest = 60\n'
    sound, stuck = play(open_it), play(open_it + "[[faults]]\nkind='stuck_contactor'\nposition='closed'\n")
    progress = replace(sound.start(), step=1)

    assert sound.demand(progress, seen(3600.0)).value == 0.0
    assert not sound.demand(progress, seen(3600.0)).connected.any()
    assert stuck.demand(progress, seen(3600.0)).value == pytest.approx(56.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("kind='open_weld'\ntarget='M11.G01.C01'", r"faults\[0\] \(open weld\): target 'M11.G01.C01' is not"),
        ("kind='open_weld'\ntarget='cell:2800'", r"out of range: reference has 2800 cells, the last is 2799"),
        ("kind='open_weld'\ntarget='cell:x'", r"'x' is no index"),
        ("kind='open_weld'\ntarget='M01.G01'", r"every cell of a group would be open"),
        ("kind='coolant_loss'\ntarget='M01.G01'", r"too small a part .* Name modules"),
        ("kind='stuck_contactor'\ntarget='M01'", r"too small a part .* Name 'pack' or strings"),
        ("kind='sensor_bias'\nsensor='nose'\noffset=1", r"sensor 'nose' is not in reference\. Name one of cell_"),
    ],
)  # fmt: skip
def test_a_target_that_the_pack_has_not_is_named(play, fault, message):
    with pytest.raises(SpecError, match=message):
        play(DISCHARGE + "[[faults]]\n" + fault + "\n")


def test_a_voltage_outside_the_cells_limits_is_refused(play):
    with pytest.raises(SpecError, match=r"step 0 \(Discharge\): until_voltage = 4.5 V lies outside 2.5 to 4.2 V"):
        play(DISCHARGE + "until_voltage = 4.5\n")
