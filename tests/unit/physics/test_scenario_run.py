import re
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import PackObservation, RecordingError, ScenarioPlayer, SettingsError, load_pack, parse_scenario
from celltwin.physics import (
    ScenarioRun,
    build_engine,
    checkpoint_time,
    remove_checkpoint,
    restore_checkpoint,
    save_checkpoint,
    simulate_scenario,
)

CHARGE = '[[steps]]\nkind = "charge"\nrate = 1\nuntil_rate = 0.1\nlongest = "90 min"\n'
REST = '[[steps]]\nkind = "rest"\nlongest = "10 min"\n'
DISCHARGE = '[[steps]]\nkind = "discharge"\nrate = 1\nlongest = "5 min"\n'


@pytest.fixture(scope="module")
def spec(repo_root):
    """Return the reference pack's cell in 2 modules of 2 groups of 4."""
    whole = load_pack(repo_root / "data/packs/reference.toml")
    layout = replace(whole.layout, rows=4)
    return replace(whole, name="small", series=2, parallel=4, layout=layout, modules=whole.modules[:2])


def scenario(steps, soc=0.5):
    return parse_scenario(f'name = "test"\n[initial]\nsoc = {soc}\n' + steps)


def start(spec, steps, **options):
    player = ScenarioPlayer(scenario(steps), spec)
    return ScenarioRun(build_engine(player, device="cpu"), player, **options)


def test_a_charge_holds_the_highest_group_at_its_limit_until_the_current_has_fallen(spec):
    result = simulate_scenario(spec, scenario(CHARGE, soc=0.8), device="cpu")
    current, highest = result.history("current"), result.history("group_voltage").max(axis=1)

    assert result.ended == "finished"
    assert highest.max() <= spec.cell.highest_voltage + 1e-4
    assert current[0] == pytest.approx(-spec.capacity)
    assert -0.11 * spec.capacity < current[-1] < 0.0
    held = [event for event in result.events if event.kind == "limit"]
    assert len(held) == 1
    assert held[0].message == "voltage is at its limit of 4.200 V: charge current is held back"
    assert held[0].element.startswith("M0")


def test_the_charge_that_flows_is_the_charge_that_the_cells_gain(spec):
    player = ScenarioPlayer(scenario(CHARGE + REST, soc=0.3), spec)
    engine = build_engine(player, device="cpu")
    capacity = engine.read_cells("capacity_scale") * engine.model.capacity
    before = engine.read_cells("soc")
    run = ScenarioRun(engine, player)
    while not run.finished:
        run.advance()

    gained = (capacity * (engine.read_cells("soc") - before)).reshape(spec.n_groups, spec.parallel).sum(axis=1)

    # The taper is sampled once a window, so that the integral of the samples is not exact.
    np.testing.assert_allclose(gained, run.figures.charge["charged"], rtol=2e-3)


def test_power_of_a_profile_is_met_at_every_step(spec):
    steps = '[[steps]]\nkind = "drive_cycle"\ntime = [0, 5, 40, 60]\npower = [0, 150, -80, 0]\nlongest = "2 min"\n'
    player = ScenarioPlayer(scenario(steps), spec)

    result = simulate_scenario(spec, player.scenario, device="cpu")

    time = np.concatenate([sample.terminal_time for sample in result.samples])
    power = np.concatenate([sample.terminal_current * sample.terminal_voltage for sample in result.samples])
    asked = player.demand(player.start(), PackObservation(time=0.0, soc=0.5), time - 0.5).values
    np.testing.assert_array_equal(time, np.arange(1.0, 121.0))
    np.testing.assert_allclose(power, asked, atol=0.05)


def test_a_weld_that_opens_leaves_its_current_to_the_others(spec):
    result = simulate_scenario(
        spec, scenario(DISCHARGE + "[[faults]]\nkind = 'open_weld'\ntarget = 'M01.G02.C03'\nat = 100\n"), device="cpu"
    )
    before = next(sample for sample in result.samples if sample.time == 100.0)
    after = next(sample for sample in result.samples if sample.time == 110.0)

    group = slice(4, 8)
    assert before.cell_current[6] == pytest.approx(2.0, rel=0.15)
    assert abs(after.cell_current[6]) < 1e-6
    assert after.cell_current[group].sum() == pytest.approx(spec.capacity, rel=1e-6)
    assert ("fault", 100.0) in {(event.kind, event.time) for event in result.events}


def test_a_short_empties_its_group_and_heats_its_cell(spec):
    fault = "[[faults]]\nkind = 'internal_short'\ntarget = 'cell:5'\nresistance = 2\nat = 60\nramp = 40\n"
    engine = build_engine(ScenarioPlayer(scenario(REST + fault), spec), device="cpu")
    capacity = engine.read_cells("capacity_scale") * engine.model.capacity
    result = simulate_scenario(spec, scenario(REST + fault), device="cpu")
    last, first = result.samples[-1], result.samples[0]

    lost = (capacity * (first.cell_soc - last.cell_soc)).reshape(spec.n_groups, spec.parallel).sum(axis=1)
    # U / R over 500 s, and half of it over the ramp.
    voltage = result.history("group_voltage")[10:, 1].mean()
    assert lost[1] == pytest.approx(voltage / 2.0 * (500.0 + 20.0) / 3600.0, rel=0.01)
    assert np.abs(lost[[0, 2, 3]]).max() < 1e-3
    assert last.cell_temperature.argmax() == 5
    assert last.cell_temperature[5] > first.cell_temperature[5] + 5.0
    assert np.all(last.terminal_current == 0.0)


def test_a_contactor_that_sticks_open_is_told_and_nothing_flows(spec):
    result = simulate_scenario(
        spec, scenario(DISCHARGE + "[[faults]]\nkind = 'stuck_contactor'\nat = 100\n"), device="cpu"
    )
    time, current = result.history("time"), result.history("current")

    np.testing.assert_allclose(current[time <= 100.0], spec.capacity)
    np.testing.assert_allclose(current[time > 100.0], 0.0, atol=1e-9)
    assert any("stuck open" in event.message for event in result.events if event.kind == "limit")
    assert result.ended == "finished"


def test_a_module_without_coolant_gets_hotter(spec):
    fault = "[[faults]]\nkind = 'coolant_loss'\ntarget = 'M02'\nflow = 0\n"
    result = simulate_scenario(spec, scenario(DISCHARGE + fault, soc=0.9), device="cpu")

    temperature = result.samples[-1].cell_temperature.reshape(2, -1).mean(axis=1)
    assert temperature[1] > temperature[0] + 0.3
    np.testing.assert_allclose(result.samples[-1].coolant_flow, [spec.cooling.flow, 0.0])


def test_a_weak_cell_has_its_capacity_and_its_resistance(spec):
    fault = "[[faults]]\nkind = 'weak_cell'\ntarget = 'cell:2'\ncapacity = 0.5\nresistance = 3\n"
    player = ScenarioPlayer(scenario(REST + fault), spec)
    engine = build_engine(player, device="cpu")
    sound = {name: engine.read_cells(name) for name in ("capacity_scale", "resistance")}
    ScenarioRun(engine, player).advance()

    assert engine.read_cells("capacity_scale")[2] == pytest.approx(0.5 * sound["capacity_scale"][2])
    assert engine.read_cells("resistance")[2] == pytest.approx(sound["resistance"][2] + 2.0 * spec.cell.resistance)
    np.testing.assert_array_equal(np.delete(engine.read_cells("resistance"), 2), np.delete(sound["resistance"], 2))


def test_ambient_and_initial_temperature_reach_the_cells(spec):
    text = (
        'name = "x"\n[initial]\nsoc = 0.5\ntemperature = "40 degC"\n[coolant]\ninlet_temperature = "10 degC"\n' + REST
    )
    result = simulate_scenario(spec, parse_scenario(text), device="cpu")

    assert result.samples[0].cell_temperature.max() == pytest.approx(312.0, abs=1.0)
    assert result.samples[-1].cell_temperature.max() < 300.0


def test_a_cell_driven_past_its_model_ends_the_run_with_its_name_and_keeps_the_rest(spec):
    fault = "[[faults]]\nkind = 'internal_short'\ntarget = 'cell:5'\nresistance = 0.005\n"
    result = simulate_scenario(replace(spec, parallel=28), scenario(REST + fault, soc=0.9), device="cpu")

    assert result.ended == "failed"
    assert re.match(r"temperature of M01\.G01\.C06 is \d+ at .* its limits are 150 and 3000", result.failure)
    assert "[physics] abuse" in result.failure
    assert result.samples
    assert [event.kind for event in result.events].count("failure") == 1
    assert any(event.message.startswith("current") and "above its limit" in event.message for event in result.events)


def test_a_cell_hotter_than_its_reactions_is_told_where_none_are_simulated(spec):
    fault = "[[faults]]\nkind = 'internal_short'\ntarget = 'cell:1'\nresistance = 0.02\n"
    result = simulate_scenario(spec, scenario(REST + fault, soc=0.9), device="cpu")

    told = [event for event in result.events if "no thermal runaway is simulated" in event.message]
    assert [event.element for event in told] == ["M01.G01.C02"]
    assert "[physics] abuse" in told[0].message


def test_the_same_seed_gives_the_same_run_and_another_seed_another(spec):
    first, same, other = (simulate_scenario(spec, scenario(DISCHARGE), seed=seed, device="cpu") for seed in (1, 1, 2))

    np.testing.assert_array_equal(first.history("cell_current"), same.history("cell_current"))
    assert not np.allclose(first.history("cell_current"), other.history("cell_current"))
    assert first.scenario_hash != other.scenario_hash


def test_a_run_can_be_stopped_between_samples(spec):
    told = []
    result = simulate_scenario(
        spec, scenario(REST), device="cpu", progress=told.append, cancelled=lambda: len(told) == 3
    )

    assert result.ended == "cancelled"
    assert result.time == 30.0
    assert [round(found.share, 3) for found in told] == [0.017, 0.033, 0.05]


def test_a_run_that_goes_on_from_its_checkpoint_is_the_one_that_was_never_interrupted(spec, tmp_path):
    steps = (
        DISCHARGE + CHARGE.replace("90 min", "3 min") + "[[faults]]\nkind='open_weld'\ntarget='cell:6'\nat=200\n"
        "[[faults]]\nkind='internal_short'\ntarget='cell:1'\nresistance=4\nat=150\nramp=200\n"
    )
    whole = start(spec, steps)
    samples = []
    while not whole.finished:
        samples.append(whole.advance())
        if samples[-1].time == 250.0:
            save_checkpoint(tmp_path, whole, {"note": 7})
    whole.close()

    again = start(spec, steps)
    assert checkpoint_time(tmp_path) == 250.0
    assert restore_checkpoint(tmp_path, again) == {"note": 7}
    rest = []
    while not again.finished:
        rest.append(again.advance())
    again.close()

    kept = [sample for sample in samples if sample.time > 250.0]
    np.testing.assert_array_equal([sample.time for sample in rest], [sample.time for sample in kept])
    for name in ("cell_current", "cell_temperature", "cell_soc", "group_voltage"):
        np.testing.assert_allclose(getattr(rest[-1], name), getattr(kept[-1], name), rtol=1e-9)
    assert again.events.log == whole.events.log
    assert again.figures.charge["discharged"] == pytest.approx(whole.figures.charge["discharged"], rel=1e-9)


def test_a_checkpoint_of_another_scenario_is_refused(spec, tmp_path):
    run = start(spec, REST)
    run.advance()
    save_checkpoint(tmp_path, run)

    with pytest.raises(RecordingError, match="of another scenario"):
        restore_checkpoint(tmp_path, start(spec, DISCHARGE))
    remove_checkpoint(tmp_path)
    with pytest.raises(RecordingError, match="there is no checkpoint"):
        restore_checkpoint(tmp_path, start(spec, REST))
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(RecordingError, match="damaged"):
        checkpoint_time(tmp_path)


def test_many_cells_past_a_limit_are_counted_and_a_dozen_named(spec):
    steps = DISCHARGE.replace("rate = 1", "rate = 6").replace("5 min", "20 s")
    result = simulate_scenario(spec, scenario(steps), device="cpu")

    named = [event for event in result.events if "is above its limit of 10.000 A" in event.message]
    counted = [event for event in result.events if "more: cell current above 10 A" in event.message]
    assert len(named) == 12
    assert len(counted) == 1


def test_a_sample_period_below_the_step_is_refused(spec):
    with pytest.raises(SettingsError, match="shorter than the engine's step of 1 s"):
        start(spec, REST, sample_period=0.5)


def test_the_heat_that_is_made_is_given_off_or_stored(spec):
    result = simulate_scenario(spec, scenario(DISCHARGE, soc=0.9), device="cpu")
    balance = result.balance

    assert balance["generated_Wh"] > 0.1
    assert abs(balance["missing_heat"]) < 1e-5
    # What the cells deliver is what leaves the terminals, links taken away.
    links = (spec.n_series - 1) * spec.busbar.link_resistance * spec.capacity**2 * 300.0 / 3600.0
    assert balance["electrical_Wh"] - links == pytest.approx(result.figures.energy["discharged"], rel=1e-3)


def test_a_cell_that_runs_away_is_told_and_loses_its_connection(spec, tmp_path):
    text = (
        'name = "x"\n[initial]\nsoc = 1.0\n[physics]\nabuse = "hu_2020_nmc"\n'
        '[[steps]]\nkind = "rest"\nlongest = "3 min"\n'
        '[[faults]]\nkind = "internal_short"\ntarget = "cell:5"\nresistance = 0.1\n'
    )
    player = ScenarioPlayer(parse_scenario(text), spec)
    run = ScenarioRun(build_engine(player, device="cpu"), player)
    while not run.finished:
        last = run.advance()
    save_checkpoint(tmp_path, run)

    told = [event for event in run.events.log if event.kind == "runaway"]
    assert told[0].message.startswith("thermal runaway: reactions warm the cell by 1 K/s")
    assert {event.element for event in told} == {"M01.G02.C02"}
    assert last.cell_temperature[5] > 500.0
    np.testing.assert_array_equal(np.flatnonzero(run.lost), [5])
    assert run.engine.read_cells("connected")[5] == 0.0
    again = ScenarioRun(build_engine(player, device="cpu"), player)
    restore_checkpoint(tmp_path, again)
    np.testing.assert_array_equal(np.flatnonzero(again.lost), [5])
