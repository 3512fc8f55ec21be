"""All cells of a pack: current sharing, conservation, limits, heat, balancing, reproducibility."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import (
    CoolantLoss,
    CoolantSpec,
    InitialSpec,
    InternalShort,
    OpenWeld,
    PhysicsSpec,
    PlantError,
    RestStep,
    Scenario,
    SettingsError,
    StuckContactor,
    WeakCell,
    load_pack,
)
from celltwin.physics import (
    Mesh,
    PackSimulation,
    draw_variation,
    load_cell_parameters,
    open_circuit_voltage,
    prepare_equations,
    rest_block,
)
from celltwin.physics.group_solver import CellConditions, Demand, GroupSolver


def run(simulation, command, minutes):
    return [simulation.advance(command, 60.0, 10.0) for _ in range(minutes)]


def test_alike_cells_share_the_current_equally(small_pack, simulate, ask):
    simulation = simulate(small_pack, alike=True)

    block = run(simulation, ask(small_pack, 6.0), 3)[-1]

    np.testing.assert_allclose(block.cell_current, 2.0, atol=1e-3)
    assert np.ptp(block.group_voltage, axis=1).max() < 1e-4


def test_currents_of_a_group_add_up_to_the_pack_current_and_its_bleed(small_pack, simulate, ask):
    bleed = np.array([0.0, 0.2, 0.0, 0.4])
    simulation = simulate(small_pack, seed=3)

    for block in run(simulation, ask(small_pack, 6.0, bleed=bleed), 3):
        total = block.cell_current.reshape(block.time.size, 4, 3).sum(axis=2)
        np.testing.assert_allclose(total, block.pack_current[:, np.newaxis] + bleed, atol=1e-9)


def test_charge_of_every_cell_is_conserved(small_pack, simulate, ask):
    simulation = simulate(small_pack, seed=3, soc=0.8)
    blocks = run(simulation, ask(small_pack, 6.0), 10)

    current = np.concatenate([block.cell_current for block in blocks])
    drawn = (current.sum(axis=0) * 10.0) / 3600.0  # sampled every 10 s; the sharing drifts slowly
    capacity = simulation.variation.capacity_scale * simulation.parameters.capacity
    start = np.repeat(simulation.variation.initial_soc, 3)
    np.testing.assert_allclose(blocks[-1].cell_soc[-1], start - drawn / capacity, atol=2e-3)
    assert blocks[-1].cell_soc[-1].mean() == pytest.approx((start - drawn / capacity).mean(), abs=2e-4)


def test_weaker_cell_carries_less(small_pack, ask, cell):
    alike = draw_variation(
        small_pack, cell, seed=0, initial_soc=0.6, capacity_spread=0, resistance_spread=0, soc_spread=0, ageing=0
    )
    scale, resistance = np.ones(12), np.full(12, cell.resistance)
    scale[4] = 0.8
    resistance[7] *= 3.0
    simulation = PackSimulation(small_pack, replace(alike, capacity_scale=scale, resistance=resistance))

    block = run(simulation, ask(small_pack, 6.0), 5)[-1]

    shares = block.cell_current[-1]
    assert shares[4] < 0.9 * shares[3]
    assert shares[7] < 0.9 * shares[6]
    assert shares[0] == pytest.approx(2.0, abs=1e-3)


def test_pack_voltage_is_that_of_its_groups_less_the_links(small_pack, simulate, ask):
    block = run(simulate(small_pack), ask(small_pack, 6.0), 1)[-1]

    lost = 3 * small_pack.busbar.link_resistance * 6.0
    np.testing.assert_allclose(block.pack_voltage, block.group_voltage.sum(axis=1) - lost, atol=1e-9)


def test_charge_is_held_at_the_highest_voltage_and_tapers(small_pack, simulate, ask):
    simulation = simulate(small_pack, seed=1, soc=0.5)

    blocks = run(simulation, ask(small_pack, -12.0), 30)

    voltage = np.concatenate([block.group_voltage for block in blocks])
    current = np.concatenate([block.pack_current for block in blocks])
    assert voltage.max() < small_pack.cell.highest_voltage + 0.003
    held = np.concatenate([np.full(block.time.size, bool(block.limited)) for block in blocks])
    assert held[-1]
    assert not held[0]
    assert voltage[-1].max() == pytest.approx(small_pack.cell.highest_voltage, abs=0.002)
    assert -0.5 < current[-1] < 0.0
    assert np.all(current >= -12.0 - 0.2)
    assert "charge current reduced" in blocks[-1].limited[0]
    assert blocks[-1].limited[0].startswith("M0")


def test_discharge_stops_at_the_lowest_voltage(small_pack, simulate, ask):
    simulation = simulate(small_pack, seed=1, soc=0.15)

    blocks = run(simulation, ask(small_pack, 12.0), 8)

    voltage = np.concatenate([block.group_voltage for block in blocks])
    assert voltage.min() > small_pack.cell.lowest_voltage - 0.003
    assert voltage[-1].min() == pytest.approx(small_pack.cell.lowest_voltage, abs=0.01)
    assert 0.0 <= blocks[-1].pack_current[-1] < 1.0
    assert "discharge current reduced" in blocks[-1].limited[0]


def test_pack_takes_charge_again_after_it_was_emptied(small_pack, simulate, ask):
    simulation = simulate(small_pack, seed=1, soc=0.08)
    run(simulation, ask(small_pack, 12.0), 5)

    block = run(simulation, ask(small_pack, -6.0), 3)[-1]

    np.testing.assert_allclose(block.pack_current, -6.0)
    assert block.limited == ()


def test_blocks_follow_one_another_on_the_grid(small_pack, simulate, ask):
    simulation = simulate(small_pack, seed=1, soc=0.9)

    time = np.concatenate([block.time for block in run(simulation, ask(small_pack, -12.0), 6)])

    np.testing.assert_allclose(time, 10.0 * np.arange(1, 37))


def test_same_seed_gives_the_same_run(small_pack, simulate, ask):
    first, second, other = (
        run(simulate(small_pack, seed=seed), ask(small_pack, 6.0), 2)[-1].cell_current for seed in (5, 5, 6)
    )

    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3


def test_bleeding_brings_a_high_group_down(small_pack, simulate, ask):
    simulation = simulate(small_pack, alike=True)

    block = run(simulation, ask(small_pack, 0.0, bleed=np.array([0.3, 0.0, 0.0, 0.0])), 10)[-1]

    lost = 0.3 * 600.0 / 3600.0 / (3 * simulation.parameters.capacity)
    soc = block.cell_soc[-1].reshape(4, 3).mean(axis=1)
    np.testing.assert_allclose(soc, 0.6 - np.array([lost, 0.0, 0.0, 0.0]), atol=1e-4)


def test_more_coolant_leaves_cooler_cells_and_cooler_coolant(small_pack, simulate, ask):
    weak = run(simulate(small_pack), ask(small_pack, 12.0, flow=0.01), 8)[-1]
    strong = run(simulate(small_pack), ask(small_pack, 12.0, flow=0.15), 8)[-1]

    assert strong.cell_temperature[-1].max() < weak.cell_temperature[-1].max() - 0.5
    assert np.all(strong.coolant_temperature[-1] < weak.coolant_temperature[-1])
    assert np.all(strong.coolant_temperature[-1] > small_pack.cooling.inlet_temperature)


def test_pump_gives_no_more_than_it_can(small_pack, simulate, ask):
    block = run(simulate(small_pack), ask(small_pack, 6.0, flow=9.0), 1)[-1]

    np.testing.assert_allclose(block.coolant_flow, small_pack.cooling.highest_flow)


def test_first_sample_is_the_pack_at_rest(small_pack, simulate, ask, cell):
    variation = draw_variation(small_pack, cell, seed=0, initial_soc=0.6)

    rest = rest_block(small_pack, cell, variation)
    after = run(simulate(small_pack), ask(small_pack, 0.0), 1)[-1]

    np.testing.assert_allclose(after.group_voltage[-1], rest.group_voltage[0], atol=2e-4)
    np.testing.assert_allclose(rest.group_voltage[0], open_circuit_voltage(cell, variation.initial_soc))


def test_command_of_another_pack_is_refused(small_pack, simulate, ask, repo_root):
    other = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    with pytest.raises(PlantError, match="3 coolant flows and 6 balancing currents; the pack has 2 modules"):
        simulate(small_pack).advance(ask(other, 1.0), 60.0)


def test_command_that_is_not_finite_is_refused(small_pack, simulate, ask):
    with pytest.raises(PlantError, match="not finite"):
        simulate(small_pack).advance(ask(small_pack, float("nan")), 60.0)


def test_aged_pack_has_a_realistic_health_and_weak_groups(repo_root, cell):
    spec = load_pack(repo_root / "data/packs/reference.toml")

    variation = draw_variation(spec, cell, seed=0, initial_soc=0.9)

    groups = variation.soh.reshape(spec.n_groups, -1).mean(axis=1)
    assert 0.87 < variation.soh.mean() < 0.94
    assert variation.soh.max() < 1.0
    assert variation.weak_groups.size == 3
    assert np.all(groups[variation.weak_groups] < np.quantile(groups, 0.1))


def test_new_pack_without_spread_is_uniform(small_pack, cell):
    variation = draw_variation(
        small_pack, cell, seed=0, initial_soc=0.5, capacity_spread=0, resistance_spread=0, soc_spread=0, ageing=0
    )

    np.testing.assert_array_equal(variation.capacity_scale, 1.0)
    np.testing.assert_allclose(variation.resistance, cell.resistance)


def test_stand_in_set_is_scaled_to_the_cell(small_pack):
    chen = load_cell_parameters("Chen2020")

    variation = draw_variation(
        small_pack, chen, seed=0, initial_soc=0.5, capacity_spread=0, resistance_spread=0, soc_spread=0, ageing=0
    )

    np.testing.assert_allclose(variation.capacity_scale * chen.capacity, small_pack.cell.capacity)
    np.testing.assert_allclose(variation.soh, 1.0)


def test_negative_spread_is_refused(small_pack, cell):
    with pytest.raises(SettingsError, match="capacity_spread"):
        draw_variation(small_pack, cell, seed=0, initial_soc=0.5, capacity_spread=-0.1)


def test_strings_share_the_current_and_have_one_voltage(small_pack, simulate, ask):
    paired = replace(small_pack, strings=2, busbar=replace(small_pack.busbar, string_resistance=1e-3))

    block = run(simulate(paired, seed=2), ask(paired, 12.0), 3)[-1]

    strings = block.cell_current.reshape(block.time.size, 2, 2, 3).sum(axis=3)
    np.testing.assert_allclose(strings[:, :, 0], strings[:, :, 1], atol=1e-9)  # the groups of a string are in series
    np.testing.assert_allclose(strings[:, :, 0].sum(axis=1), 12.0, atol=1e-9)
    lost = (1e-3 + paired.busbar.link_resistance) * strings[:, :, 0]
    through = block.group_voltage.reshape(block.time.size, 2, 2).sum(axis=2) - lost
    np.testing.assert_allclose(through, block.pack_voltage[:, np.newaxis] + np.zeros((1, 2)), atol=1e-6)


def test_coolant_in_series_leaves_each_module_warmer(small_pack, simulate, ask):
    chain = replace(small_pack, cooling=replace(small_pack.cooling, supply="series"))

    block = run(simulate(chain, alike=True), ask(chain, 12.0, flow=0.002), 5)[-1]

    outlet = block.coolant_temperature[-1]
    inlet = chain.cooling.inlet_temperature
    assert outlet.shape == (2,)
    assert outlet[1] - outlet[0] == pytest.approx(outlet[0] - inlet, rel=0.2)
    assert outlet[0] > inlet + 0.01


def scenario(*faults, **parts):
    return Scenario(name="test", initial=InitialSpec(soc=0.6), steps=(RestStep(longest=600.0),), faults=faults, **parts)


def test_a_short_warms_its_cell_and_empties_its_group_from_when_it_starts(small_pack, simulate, ask):
    fault = InternalShort(at=25.0, target=("M01.G02.C03",), resistance=1.0, ramp=30.0)
    simulation = simulate(small_pack, alike=True, scenario=scenario(fault))

    blocks = run(simulation, ask(small_pack, 0.0), 3)

    time = np.concatenate([block.time for block in blocks])
    current = np.concatenate([block.cell_current for block in blocks])[:, 5]
    temperature = blocks[-1].cell_temperature[-1]
    np.testing.assert_allclose(time, 10.0 * np.arange(1, 19))
    # The group gives what its voltage drives through 1 ohm; the shorted cell, warm, gives most of it.
    assert np.abs(current[time <= 25.0]).max() < 1e-6
    shares = blocks[-1].cell_current[-1, 3:6]
    assert shares.sum() == pytest.approx(blocks[-1].group_voltage[-1, 1], rel=1e-2)
    assert shares.argmax() == 2
    assert temperature.argmax() == 5
    assert temperature[5] > temperature[0] + 5.0
    assert blocks[-1].cell_soc[-1].argmin() in (3, 4, 5)


def test_an_open_weld_leaves_the_group_to_the_others_until_it_is_mended(small_pack, simulate, ask):
    fault = OpenWeld(at=60.0, duration=60.0, target=("cell:0",))
    simulation = simulate(small_pack, alike=True, scenario=scenario(fault))

    before, broken, mended = run(simulation, ask(small_pack, 6.0), 3)

    assert before.cell_current[-1, 0] == pytest.approx(2.0, abs=1e-3)
    np.testing.assert_allclose(broken.cell_current[:, 0], 0.0, atol=1e-9)
    np.testing.assert_allclose(broken.cell_current[:, 1:3], 3.0, atol=0.01)
    assert mended.cell_current[-1, 0] > 2.0  # it is fuller than the others


def test_a_weak_cell_carries_less_while_it_is_weak(small_pack, simulate, ask):
    fault = WeakCell(at=60.0, target=("cell:4",), resistance=3.0)
    simulation = simulate(small_pack, alike=True, scenario=scenario(fault))

    before, weak = run(simulation, ask(small_pack, 6.0), 2)

    assert before.cell_current[-1, 4] == pytest.approx(2.0, abs=1e-3)
    assert weak.cell_current[-1, 4] < 1.7


def test_lost_coolant_does_not_flow_and_cells_stay_warm(small_pack, simulate, ask):
    fault = CoolantLoss(target=("M02",), flow=0.0)
    simulation = simulate(small_pack, alike=True, scenario=scenario(fault))

    block = run(simulation, ask(small_pack, 12.0), 8)[-1]

    np.testing.assert_allclose(block.coolant_flow[-1], [small_pack.cooling.flow, 0.0])
    assert block.cell_temperature[-1, 6:].min() > block.cell_temperature[-1, :6].max() + 2.0


def test_a_contactor_stuck_open_lets_nothing_flow_and_says_so(small_pack, simulate, ask):
    simulation = simulate(small_pack, alike=True, scenario=scenario(StuckContactor(at=60.0, position="open")))

    before, after = run(simulation, ask(small_pack, 6.0), 2)

    np.testing.assert_allclose(before.pack_current, 6.0)
    np.testing.assert_allclose(after.pack_current, 0.0)
    assert after.limited == ("small cannot carry current: its contactors are stuck open",)


def test_one_string_that_is_stuck_open_leaves_the_other_all_the_current(small_pack, simulate, ask):
    paired = replace(small_pack, strings=2)
    simulation = simulate(paired, alike=True, scenario=scenario(StuckContactor(target=("string:1",))))

    block = run(simulation, ask(paired, 6.0), 2)[-1]

    np.testing.assert_allclose(block.cell_current[-1], np.repeat([2.0, 0.0], 6), atol=1e-3)
    np.testing.assert_allclose(block.pack_current, 6.0)


def test_the_scenario_says_how_warm_pack_and_coolant_are(small_pack, simulate, ask):
    cold = replace(
        scenario(coolant=CoolantSpec(inlet_temperature=283.15)), initial=InitialSpec(soc=0.6, temperature=278.15)
    )

    first = rest_block(small_pack, load_cell_parameters("xjtu_18650"), simulate(small_pack).variation, cold)
    block = run(simulate(small_pack, scenario=cold), ask(small_pack, 0.0), 10)[-1]

    np.testing.assert_allclose(first.cell_temperature, 278.15)
    np.testing.assert_allclose(block.cell_temperature[-1], 283.15, atol=0.2)


def test_cells_of_a_group_share_as_one_system_of_equations_says(small_pack, ask, cell):
    single = replace(
        small_pack, series=1, modules=small_pack.modules[:1], layout=replace(small_pack.layout, rows=3),
        busbar=replace(small_pack.busbar, weld_resistance=0.0),
    )  # fmt: skip
    variation = draw_variation(single, cell, seed=9, initial_soc=0.7, capacity_spread=0.05, resistance_spread=0.2)
    block = run(PackSimulation(single, variation), ask(single, 6.0), 5)[-1]
    solver = GroupSolver(cell, prepare_equations(cell, "SPMe", 3, Mesh(), compiled=False))
    insulated = CellConditions(
        capacity_scale=variation.capacity_scale[np.newaxis],
        resistance=variation.resistance[np.newaxis],
        surroundings_temperature=np.full((1, 3), 298.15),
        surroundings_conductance=np.full((1, 3), 0.25),
        heat_capacity=np.full((1, 3), 43.2),
    )
    soc, temperature = np.full((1, 3), variation.initial_soc[0]), np.full((1, 3), 298.15)
    states = solver.rest(soc, temperature, insulated)

    together = solver.solve(states, insulated, Demand.of_current(np.array([6.0])), np.linspace(0.0, 300.0, 6))

    np.testing.assert_allclose(block.cell_current[-1], together.current[0, -1], atol=0.005 * 2.0)
    assert block.group_voltage[-1, 0] == pytest.approx(together.voltage[0, -1], abs=3e-3)


@pytest.mark.parametrize("opens", [True, False])
def test_a_cell_of_the_plant_runs_away_where_the_scenario_simulates_it(small_pack, ask, opens):
    scenario = Scenario(
        name="hard short",
        initial=InitialSpec(soc=1.0),
        physics=PhysicsSpec(abuse="kim_2007_lco", open_on_runaway=opens),
        steps=(RestStep(longest=600.0),),
        faults=(InternalShort(target=("cell:1",), resistance=0.02, at=5.0),),
    )
    parameters = load_cell_parameters(small_pack.cell.parameter_set)
    variation = draw_variation(small_pack, parameters, seed=1, initial_soc=1.0)
    simulation = PackSimulation(small_pack, variation, scenario=scenario)

    blocks = run(simulation, ask(small_pack, 0.0), 5)

    temperature = np.concatenate([block.cell_temperature for block in blocks])
    assert temperature.shape == (30, small_pack.n_cells)
    assert temperature[:, 1].max() > 600.0
    feeding = blocks[-1].cell_soc[-1, [0, 2]].min()
    assert (feeding > 0.5) == opens
    assert (simulation.engine.read_cells("connected")[1] == 0.0) == opens


def test_a_plant_without_reactions_computes_none(small_pack, simulate):
    assert simulate(small_pack, seed=3).engine.options.abuse is None
