"""One cell in the engine: open-circuit voltage, rest, charge, resistance, similarity, convergence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.physics import open_circuit_voltage
from celltwin.physics.engine import CellPopulation, Drive, EngineOptions, PackEngine


@pytest.fixture
def one_cell(cell_model, string_network):
    def start(*, soc: float = 0.8, ambient: float = 0.4, options: EngineOptions | None = None, **cells) -> PackEngine:
        network = string_network(ambient=ambient)
        return PackEngine(cell_model, network, cells=CellPopulation(soc=soc, **cells), options=options, device="cpu")

    return start


def test_a_tiny_current_keeps_the_voltage_at_open_circuit(one_cell, cell):
    engine = one_cell(soc=0.95, options=EngineOptions(step=60.0))

    history = engine.advance(cell.capacity / 100.0, 80 * 3600.0, sample_period=3600.0)

    expected = open_circuit_voltage(cell, history.cell_soc[:, 0])
    inside = history.cell_soc[:, 0] > 0.1
    np.testing.assert_allclose(history.cell_voltage[inside, 0], expected[inside], atol=2.5e-3)


def test_rest_relaxes_to_equilibrium(one_cell, cell, cell_model):
    engine = one_cell()
    engine.advance(2.0 * cell.capacity, 600.0)

    rested = engine.advance(0.0, 4 * 3600.0, sample_period=1800.0)

    for side in ("negative", "positive"):
        mean = engine.read_cells(f"mean_{side}")
        np.testing.assert_allclose(engine.read_cells(f"surface_{side}"), mean, atol=1e-7)
        shells = engine.read_cells(f"shells_{side}")
        np.testing.assert_allclose(shells, np.broadcast_to(mean, shells.shape), atol=1e-7)
    np.testing.assert_allclose(engine.read_cells("salt"), 1.0, atol=1e-9)
    expected = open_circuit_voltage(cell, rested.cell_soc[-1])
    np.testing.assert_allclose(rested.cell_voltage[-1], expected, atol=2e-4)
    np.testing.assert_allclose(rested.cell_temperature[-1], 298.15, atol=1e-4)


def test_state_of_charge_counts_the_current(one_cell, cell_model):
    engine = one_cell()
    current = np.concatenate([np.full(100, 3.0), np.zeros(50), np.full(150, -1.5)])

    history = engine.advance(Drive(values=current), 300.0, sample_period=1.0)

    expected = 0.8 - np.cumsum(current) / 3600.0 / cell_model.capacity
    np.testing.assert_allclose(history.cell_soc[:, 0], expected, atol=1e-12)


def test_added_resistance_takes_its_voltage_and_no_more(one_cell):
    plain, added = one_cell(), one_cell(resistance=0.02)

    voltages = [engine.advance(4.0, 1.0).cell_voltage[0, 0] for engine in (plain, added)]

    assert voltages[0] - voltages[1] == pytest.approx(4.0 * 0.02, abs=1e-9)


def test_a_cell_of_twice_the_area_behaves_as_two_cells(cell_model, string_network):
    alone = replace(cell_model, contact_resistance=0.0)
    engines = [
        PackEngine(
            alone,
            string_network(heat_capacity=43.2 * size, ambient=0.4 * size),
            cells=CellPopulation(soc=0.8, capacity_scale=size, resistance=0.02 / size),
            device="cpu",
        )
        for size in (1.0, 2.0)
    ]

    small, large = (engine.advance(3.0 * size, 300.0) for engine, size in zip(engines, (1.0, 2.0), strict=True))

    np.testing.assert_allclose(large.cell_voltage, small.cell_voltage, atol=1e-10)
    np.testing.assert_allclose(large.cell_temperature, small.cell_temperature, atol=1e-9)
    np.testing.assert_allclose(large.cell_soc, small.cell_soc, atol=1e-12)


def test_charge_raises_and_discharge_lowers_the_voltage(one_cell):
    rest, discharge, charge = (one_cell().advance(current, 10.0).cell_voltage[0, 0] for current in (0.0, 2.0, -2.0))

    assert discharge < rest < charge


def test_a_cold_cell_loses_more_voltage_and_makes_more_heat(one_cell):
    cold, warm = (one_cell(temperature=kelvin, ambient=0.0) for kelvin in (273.15, 308.15))

    lost = [engine.advance(2.0, 60.0) for engine in (cold, warm)]

    assert lost[0].cell_voltage[0, 0] < lost[1].cell_voltage[0, 0] - 0.02
    rise = [history.cell_temperature[0, 0] - start for history, start in zip(lost, (273.15, 308.15), strict=True)]
    assert rise[0] > 1.3 * rise[1]


def test_faster_diffusion_keeps_the_voltage_up(one_cell):
    slow, fast = (one_cell(diffusivity_scale=scale).advance(4.0, 300.0).cell_voltage[0, 0] for scale in (0.5, 2.0))

    assert fast > slow + 2e-3


def test_halving_the_step_halves_the_error(one_cell):
    found = []
    for step in (16.0, 8.0, 4.0, 2.0):
        engine = one_cell(options=EngineOptions(step=step))
        history = engine.advance(4.0, 320.0)
        found.append([history.cell_voltage[0, 0], history.cell_temperature[0, 0]])

    first, second, third = np.abs(np.diff(np.array(found), axis=0))
    np.testing.assert_allclose(first / second, 2.0, rtol=0.15)
    np.testing.assert_allclose(second / third, 2.0, rtol=0.1)


def test_finer_particles_change_the_voltage_by_less_than_a_millivolt(one_cell):
    coarse, fine = (
        one_cell(options=EngineOptions(shells=shells, salt_nodes=salt)).advance(4.0, 300.0).cell_voltage[0, 0]
        for shells, salt in ((10, (5, 2, 5)), (40, (20, 8, 20)))
    )

    assert coarse == pytest.approx(fine, abs=1e-3)


def test_the_last_step_is_shortened_to_meet_the_duration(one_cell, cell_model):
    engine = one_cell(options=EngineOptions(step=7.0))

    history = engine.advance(2.0, 25.0)

    assert history.time[-1] == 25.0
    assert history.cell_soc[-1, 0] == pytest.approx(0.8 - 2.0 * 25.0 / 3600.0 / cell_model.capacity, abs=1e-12)


def test_two_short_runs_make_one_long_one(one_cell):
    long, short = one_cell(), one_cell()

    whole = long.advance(2.0, 120.0, sample_period=10.0)
    parts = [short.advance(2.0, 60.0, sample_period=10.0) for _ in range(2)]

    np.testing.assert_array_equal(whole.cell_voltage, np.concatenate([part.cell_voltage for part in parts]))
    np.testing.assert_array_equal(whole.time, np.concatenate([part.time for part in parts]))


def test_a_restored_state_goes_on_as_the_first_time(one_cell):
    engine = one_cell()
    engine.advance(3.0, 60.0)
    kept = engine.state()
    first = engine.advance(-2.0, 60.0, sample_period=10.0)

    engine.restore(kept)
    second = engine.advance(-2.0, 60.0, sample_period=10.0)

    np.testing.assert_array_equal(second.time, first.time)
    np.testing.assert_array_equal(second.cell_voltage, first.cell_voltage)
    np.testing.assert_array_equal(second.cell_temperature, first.cell_temperature)
