"""All cells of a pack: current sharing, conservation, limits, heat, balancing, reproducibility."""

import json
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import PlantError, SettingsError, load_pack
from celltwin.physics import draw_variation, load_cell_parameters, open_circuit_voltage, rest_block


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


def test_weaker_cell_carries_less(small_pack, simulate, ask, cell):
    simulation = simulate(small_pack, alike=True)
    scale = np.ones(12)
    scale[4] = 0.8
    resistance = np.full(12, cell.resistance)
    resistance[7] *= 3.0
    simulation.variation = replace(simulation.variation, capacity_scale=scale, resistance=resistance)

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


def test_equations_are_kept_and_damage_is_repaired(small_pack, simulate, ask, compiled_equations, caplog):
    expected = run(simulate(small_pack), ask(small_pack, 6.0), 1)[-1].group_voltage
    kept = [path for path in compiled_equations.glob("equations/*/equations.json") if "-3-" in path.parent.name]
    assert json.loads(kept[0].read_text())["n_cells"] == 3
    kept[0].write_text("{")

    again = run(simulate(small_pack), ask(small_pack, 6.0), 1)[-1].group_voltage

    np.testing.assert_array_equal(again, expected)
    assert "is damaged" in caplog.text
    assert json.loads(kept[0].read_text())["n_cells"] == 3
