"""Equivalent circuits: known ones found again, measured pulses followed, physics imitated."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pytest

from celltwin.core import ModelError, ShapeError
from celltwin.physics.engine import (
    CellPopulation,
    Drive,
    EquivalentCircuitModel,
    PackEngine,
    ThermalModel,
    build_cell_model,
    build_equivalent_circuit,
    fit_equivalent_circuit,
    simulate_equivalent_circuit,
)
from celltwin.physics.engine.equivalent_circuit_fit import filter_current
from celltwin.physics.engine.property_fit import build_cubic_table, evaluate_cubic_table
from tools.bench.physics_cases import cell_network

THERMAL = ThermalModel(heat_capacity=45.0, heat_transfer=0.08)
SOC = np.linspace(0.15, 0.95, 17)


def voltage_of(soc):
    return 3.2 + 0.9 * soc + 0.05 * np.sin(6.0 * soc)


@pytest.fixture(scope="module")
def known():
    curves = (lambda z: 0.02 + 0.01 * (1.0 - z) ** 2, lambda z: 0.012 + 0.0 * z, lambda z: 0.015 + 0.01 * z)
    potential = build_cubic_table(voltage_of, 256)
    return EquivalentCircuitModel(
        name="known",
        thermal=THERMAL,
        capacity=2.0,
        potential=np.hstack([potential, np.zeros_like(potential)]),
        resistance=np.hstack([build_cubic_table(curve, 64) for curve in curves]),
        resistance_temperature=np.array([-2.0, 0.0, 0.0]),
        time_constants=(12.0, 300.0),
        reference_temperature=298.15,
        lowest_voltage=2.5,
        highest_voltage=4.2,
    )


@pytest.fixture(scope="module")
def pulses():
    """Return time and current of eight pulses, each followed by a discharge of a tenth and a rest."""
    current = np.concatenate([np.repeat([0.0, 2.0, 0.0, -1.0, 0.0, 1.0], [3, 15, 60, 15, 60, 165])] * 8)
    return 4.0 * np.arange(current.size, dtype=np.float64), current


def test_known_circuit_is_found_again(known, pulses):
    time, current = pulses
    voltage = simulate_equivalent_circuit(known, time, current, initial_soc=0.98)

    fit = fit_equivalent_circuit(
        time, current, voltage, capacity=2.0, initial_soc=0.98, thermal=THERMAL, resistance_knots=7
    )

    assert fit.error < 5e-4
    np.testing.assert_allclose(fit.model.time_constants, known.time_constants, rtol=0.1)
    inside = SOC[(SOC > 0.25) & (SOC < 0.93)]
    for k in range(3):
        columns = slice(4 * k, 4 * k + 4)
        found, true = (evaluate_cubic_table(m.resistance[:, columns], inside) for m in (fit.model, known))
        np.testing.assert_allclose(found, true, atol=1.5e-3)
    np.testing.assert_allclose(evaluate_cubic_table(fit.model.potential[:, :4], inside), voltage_of(inside), atol=3e-3)


def test_noise_does_not_bend_the_circuit(known, pulses):
    time, current = pulses
    noise = 1e-3 * np.random.default_rng(7).standard_normal(time.size)
    voltage = simulate_equivalent_circuit(known, time, current, initial_soc=0.98) + noise

    fit = fit_equivalent_circuit(
        time, current, voltage, capacity=2.0, initial_soc=0.98, thermal=THERMAL, open_circuit=(SOC, voltage_of(SOC))
    )

    assert fit.error == pytest.approx(1e-3, rel=0.1)
    total = sum(evaluate_cubic_table(fit.model.resistance[:, 4 * k : 4 * k + 4], 0.6) for k in range(3))
    assert total == pytest.approx(0.0216 + 0.012 + 0.021, rel=0.03)


def test_recordings_that_start_anew_are_fitted_together(known):
    time = np.arange(0.0, 400.0, 2.0)
    current = np.where(time < 100.0, 2.0, 0.0)
    starts, begins = (0, 200, 400, 600), (0.9, 0.7, 0.5, 0.3)
    joined = np.tile(time, 4), np.tile(current, 4)
    voltage = simulate_equivalent_circuit(known, *joined, initial_soc=begins, starts=starts)

    fit = fit_equivalent_circuit(
        *joined,
        voltage,
        capacity=2.0,
        initial_soc=begins,
        starts=starts,
        thermal=THERMAL,
        open_circuit=(np.linspace(0.0, 1.0, 101), voltage_of(np.linspace(0.0, 1.0, 101))),
        resistance_knots=4,
    )

    assert fit.error < 1e-3


def test_pair_follows_a_step_as_an_exponential():
    time = np.linspace(0.0, 60.0, 61)

    through = filter_current(time, np.where(time > 0.0, 3.0, 0.0), 20.0)

    np.testing.assert_allclose(through, 3.0 * (1.0 - np.exp(-time / 20.0)), atol=1e-12)


def test_engine_and_plain_simulation_agree(known):
    time = np.arange(1.0, 1801.0)
    current = np.where((time // 300) % 2 == 0, 1.5, -0.5)
    network = cell_network(known, 298.15)
    engine = PackEngine(known, network, cells=CellPopulation(soc=0.9, temperature=298.15), device="cpu")

    history = engine.advance(Drive(values=current), 1800.0, sample_period=1.0)

    moderate = float(history.cell_temperature.mean())
    plain = simulate_equivalent_circuit(
        known,
        np.concatenate([[0.0], time]),
        np.concatenate([[0.0], current]),
        initial_soc=0.9,
        temperature=moderate,
    )[1:]
    assert np.ptp(history.cell_temperature) < 5.0
    assert np.sqrt(np.mean((plain - history.cell_voltage[:, 0]) ** 2)) < 1e-3


def test_circuit_of_a_physical_cell_gives_its_discharge():
    cell = build_cell_model("xjtu_18650")

    circuit = build_equivalent_circuit(cell)

    engine = PackEngine(
        cell, cell_network(cell, 298.15), cells=CellPopulation(soc=1.0, temperature=298.15), device="cpu"
    )
    history = engine.advance(cell.capacity, 3200.0, sample_period=10.0)
    time = np.concatenate([[0.0], history.time])
    current = np.full(time.size, cell.capacity)
    voltage = simulate_equivalent_circuit(circuit, time, current, initial_soc=1.0, temperature=300.0)[1:]
    assert np.sqrt(np.mean((voltage - history.cell_voltage[:, 0]) ** 2)) < 10e-3
    assert circuit.provenance["fits"]["pulses [V]"] < 10e-3
    assert circuit.resistance_temperature[0] < 0.0  # colder is more
    assert circuit.capacity == cell.capacity


def test_measurements_that_cannot_be_fitted_are_refused(pulses):
    time, current = pulses
    voltage = np.full(time.size, 3.7)

    def fit(time, current, voltage, **changes):
        given = {"capacity": 2.0, "initial_soc": 0.98, "thermal": THERMAL} | changes
        return fit_equivalent_circuit(time, current, voltage, **given)

    with pytest.raises(ShapeError, match="must be of one shape"):
        fit(time, current[:-1], voltage)
    with pytest.raises(ModelError, match="voltage is not finite at sample 5"):
        fit(time, current, np.where(time == 20.0, np.nan, voltage))
    with pytest.raises(ModelError, match="time falls at sample 7"):
        fit(np.where(time == 28.0, 0.0, time), current, voltage)
    with pytest.raises(ModelError, match="current never changes"):
        fit(time, np.ones(time.size), voltage, capacity=20.0)
    with pytest.raises(ModelError, match="sign of the current"):
        fit(time, -current, voltage)


@pytest.mark.measured
def test_measured_hybrid_pulses_of_a_samsung_cell(measured_data):
    time, current, voltage = read_sheet(measured_data("samsung_21700") / "multipulse_hppc.xlsx")

    fit = fit_equivalent_circuit(
        time, current, voltage, capacity=5.0, initial_soc=1.0, thermal=THERMAL, resistance_knots=2, voltage_knots=5
    )

    assert fit.error < 2e-3
    resistance = [float(evaluate_cubic_table(fit.model.resistance[:, 4 * k : 4 * k + 4], 0.998)) for k in range(3)]
    assert 0.005 < resistance[0] < 0.03
    assert sum(resistance) < 0.06


@pytest.mark.measured
def test_measured_pulses_of_an_lg_m50_cell(measured_data):
    from scipy.io import loadmat

    folder = measured_data("lgm50")
    pulses = loadmat(folder / "LGM50_5Ah_Pulse.mat", simplify_cells=True)["LGM50_5Ah_Pulse"]["T25"]
    curve = loadmat(folder / "LGM50_5Ah_OCV.mat", simplify_cells=True)["LGM50_5Ah_OCV"]["T25"]
    soc, mean = np.asarray(curve["refSoC"], dtype=np.float64) / 100.0, np.asarray(curve["meanOCV"], dtype=np.float64)
    parts, starts, begins, count = [], [], [], 0
    for level in range(2, 10):
        record = pulses[f"SoC{level}"]["Cell1"]["data"]
        time, current, voltage = (
            np.asarray(record[key], dtype=np.float64) for key in ("ProgTime", "Current", "Voltage")
        )
        # At both edges of a pulse one sample pairs the voltage of one side with the current of the other.
        flowing = np.abs(current) > 1.0
        nearest = np.abs(time[:, np.newaxis] - time[flowing]).min(axis=1)
        keep = flowing | (nearest > 0.2)
        keep[0] = True
        parts.append(np.stack([time[keep] - time[0], -current[keep], voltage[keep]]))
        starts.append(count)
        begins.append(float(np.interp(voltage[0], mean, soc)))
        count += int(keep.sum())
    time, current, voltage = np.concatenate(parts, axis=1)

    fit = fit_equivalent_circuit(
        time,
        current,
        voltage,
        capacity=5.0,
        initial_soc=begins,
        starts=starts,
        thermal=THERMAL,
        open_circuit=(soc, mean),
        resistance_knots=8,
    )

    assert fit.error < 6e-3
    ohmic = evaluate_cubic_table(fit.model.resistance[:, :4], np.linspace(0.25, 0.85, 7))
    assert np.all((ohmic > 0.015) & (ohmic < 0.045))


def read_sheet(path):
    """Return the first three columns of numbers of a workbook's first sheet."""
    root = ElementTree.fromstring(zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml"))
    space = root.tag.partition("}")[0] + "}"
    rows = [
        [float(cell.find(f"{space}v").text) for cell in row.findall(f"{space}c")[:3]]
        for row in list(root.iter(f"{space}row"))[1:]
    ]
    return np.array(rows).T
