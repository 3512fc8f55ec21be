"""Single cells: conservation, closed forms, charging, and the measured discharge."""

import json

import numpy as np
import pytest

from celltwin.core import SettingsError
from celltwin.physics import (
    CellBatch,
    CellSimulator,
    Mesh,
    open_circuit_voltage,
    prepare_equations,
    simulate_charge,
)
from celltwin.physics.table_functions import TOLERANCES

HOUR = 3600.0


def test_charge_drawn_is_the_state_of_charge_lost(simulator, cell):
    scale = np.array([1.0, 0.8])
    batch = CellBatch.of(cell, initial_soc=0.9, capacity_scale=scale)

    history = simulator.simulate(batch, np.array([[1.0, 1.0], [0.5, 2.0]]), interval=600.0)

    drawn = np.array([1.0 + 0.5, 1.0 + 2.0]) * 600.0 / HOUR
    np.testing.assert_allclose(history.soc[-1], 0.9 - drawn / (cell.capacity * scale), atol=1e-5)


def test_resting_cell_keeps_its_open_circuit_voltage(simulator, cell):
    soc = np.array([0.2, 0.5, 0.8])
    batch = CellBatch.of(cell, initial_soc=soc)

    history = simulator.simulate(batch, 0.0, interval=300.0)

    expected = np.broadcast_to(open_circuit_voltage(cell, soc), history.voltage.shape)
    # the cell's two tables of potentials are thinned, each within its tolerance
    np.testing.assert_allclose(history.voltage, expected, atol=2.0 * TOLERANCES["[V]"])
    np.testing.assert_allclose(history.temperature, 298.15, atol=1e-3)


def test_added_resistance_drops_the_voltage_by_ohms_law(simulator, cell):
    batch = CellBatch.of(cell, initial_soc=0.5, added_resistance=np.array([0.0, 0.010]), heat_transfer=1e6)

    history = simulator.simulate(batch, 2.0, interval=60.0)

    np.testing.assert_allclose(history.voltage[:, 0] - history.voltage[:, 1], 0.020, atol=2e-4)


def test_warm_cell_cools_by_newtons_law(simulator, cell):
    batch = CellBatch.of(cell, initial_soc=0.5, initial_temperature=308.15, ambient_temperature=298.15)

    history = simulator.simulate(batch, 0.0, interval=600.0)

    rate = cell.heat_transfer * cell.surface / cell.heat_capacity
    np.testing.assert_allclose(history.temperature[:, 0], 298.15 + 10.0 * np.exp(-rate * history.time), atol=0.02)


def test_insulated_cell_keeps_the_energy_that_its_overpotential_loses(simulator, cell):
    """Heat of a discharge is current times overpotential plus the entropy's part, less the heat of mixing.

    PyBaMM's default leaves the heat of mixing out: energy that the particles' gradients hold until they relax.
    """
    batch = CellBatch.of(cell, initial_soc=0.7, heat_transfer=0.0)

    history = simulator.simulate(batch, np.array([[2.0]] * 15 + [[0.0]] * 15), interval=60.0)

    soc, temperature = history.soc[:, 0], history.temperature[:, 0]
    entropic = np.interp(soc, cell.soc, cell.entropic_coefficient)
    warm = open_circuit_voltage(cell, soc) + entropic * (temperature - 298.15)
    power = history.current[:, 0] * (warm - history.voltage[:, 0] - temperature * entropic)
    heat = np.trapezoid(power, history.time)
    stored = cell.heat_capacity * (temperature[-1] - temperature[0])
    assert 0.8 * heat < stored < heat
    # At rest an insulated cell keeps its temperature.
    np.testing.assert_allclose(temperature[history.time >= 900.0], temperature[-1], atol=5e-3)


def test_charging_holds_the_voltage_until_the_current_has_fallen(simulator, cell):
    batch = CellBatch.of(cell, initial_soc=np.array([0.3, 0.7]))

    history = simulator.charge(batch, np.array([4.0, 2.0]), cut_current=0.2)

    assert history.voltage.max() <= cell.highest_voltage + 1e-3
    np.testing.assert_allclose(history.current[:3], [[-4.0, -2.0]] * 3, atol=1e-9)
    np.testing.assert_array_equal(np.abs(history.current).max(axis=0) <= np.array([4.0, 2.0]) + 0.05, True)
    assert np.all(history.soc[-1] > 0.97)
    assert np.all(np.diff(history.time) > 0.0)


def test_faster_charge_is_sooner_full_warmer_and_nearer_to_plating(simulator, cell):
    batch = CellBatch.of(cell, initial_soc=np.full(4, 0.2), heat_transfer=40.0)

    outcome = simulate_charge(simulator, batch, np.array([1.0, 2.0, 4.0, 6.0]), target_soc=0.7)

    assert np.all(np.diff(outcome.time_to_target) < 0.0)
    assert np.all(np.diff(outcome.peak_temperature) > 0.0)
    assert np.all(np.diff(outcome.plating_margin) < 0.0)
    # At 1 A the time is the charge over the current.
    assert outcome.time_to_target[0] == pytest.approx(0.5 * cell.capacity * HOUR, rel=1e-3)
    assert outcome.provenance == f"SPMe xjtu_18650@{cell.hash}"


def test_candidates_beyond_a_limit_are_marked(simulator, cell):
    batch = CellBatch.of(cell, initial_soc=np.full(2, 0.2), heat_transfer=10.0)

    cool = simulate_charge(simulator, batch, np.array([1.0, 6.0]), target_soc=0.7, highest_temperature=303.15)
    safe = simulate_charge(simulator, batch, np.array([1.0, 6.0]), target_soc=0.7, smallest_plating_margin=0.0)

    np.testing.assert_array_equal(cool.within_limits, [True, False])
    np.testing.assert_array_equal(safe.within_limits, [True, False])


def test_dfn_and_spme_agree_at_c_half(cell, simulator):
    batch = CellBatch.of(cell, initial_soc=0.9)
    full = CellSimulator(cell, "DFN", compiled=False)

    reduced = simulator.simulate(batch, 1.0, interval=1200.0, sample_period=60.0)
    complete = full.simulate(batch, 1.0, interval=1200.0, sample_period=60.0)

    np.testing.assert_allclose(complete.voltage[1:], reduced.voltage[1:], atol=3e-3)
    np.testing.assert_allclose(complete.temperature, reduced.temperature, atol=0.05)


def test_emptied_cell_ends_without_disturbing_the_others(simulator, cell):
    batch = CellBatch.of(cell, initial_soc=np.array([0.05, 0.9]))

    history = simulator.simulate(batch, np.full((8, 1), 4.0), interval=60.0)

    assert np.isnan(history.voltage[-1, 0])
    assert np.all(np.isfinite(history.voltage[:, 1]))


def test_percent_given_as_a_fraction_is_refused(cell):
    with pytest.raises(SettingsError, match="between 0 and 1"):
        CellBatch.of(cell, initial_soc=50.0)


def test_cache_that_cannot_be_written_only_costs_time(cell, simulator, tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CELLTWIN_CACHE", str(blocked))
    batch = CellBatch.of(cell, initial_soc=0.5)

    history = CellSimulator(cell).simulate(batch, 2.0, interval=60.0)

    np.testing.assert_allclose(history.voltage, simulator.simulate(batch, 2.0, interval=60.0).voltage, atol=1e-6)
    assert "set CELLTWIN_CACHE" in caplog.text


def test_equations_are_kept_and_damage_is_repaired(cell, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CELLTWIN_CACHE", str(tmp_path))
    expected = prepare_equations(cell, "SPM", 1, Mesh()).n_states
    (kept,) = tmp_path.glob("equations/*/equations.json")
    kept.write_text("{")

    again = prepare_equations(cell, "SPM", 1, Mesh()).n_states

    assert again == expected
    assert "is damaged" in caplog.text
    assert json.loads(kept.read_text())["n_cells"] == 1


def test_unknown_fidelity_is_refused(cell):
    with pytest.raises(SettingsError, match="fidelity = 'P2D'"):
        CellSimulator(cell, "P2D")


@pytest.mark.measured
@pytest.mark.parametrize(("rate", "millivolts", "kelvin"), [("1C", 40.0, 2.0), ("2C", 40.0, 2.0)])
def test_discharge_is_near_the_digitised_one(measured_data, simulator, cell, rate, millivolts, kelvin):
    path = measured_data("xjtu_discharge") / f"XJTU_R2.5_battery-1_discharge_{rate}.csv"
    measured = np.genfromtxt(path, delimiter=",", names=True)
    measured = measured[measured["curve_visible"] == 1]
    batch = CellBatch.of(cell, initial_soc=1.0, initial_temperature=298.8)

    count = int(np.ceil(measured["time_s"][-1] / 60.0))
    history = simulator.simulate(batch, np.full((count, 1), -measured["current_A"][0]), interval=60.0)

    known = np.isfinite(history.voltage[:, 0])
    time = history.time[known]
    voltage = np.interp(measured["time_s"], time, history.voltage[known, 0])
    temperature = np.interp(measured["time_s"], time, history.temperature[known, 0]) - 273.15
    assert 1e3 * np.sqrt(np.mean((voltage - measured["voltage_V"]) ** 2)) < millivolts
    assert np.sqrt(np.mean((temperature - measured["temperature_C"]) ** 2)) < kelvin
