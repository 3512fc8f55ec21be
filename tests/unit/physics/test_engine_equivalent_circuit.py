"""Equivalent circuits in the engine: exact responses of their resistors and capacitors, heat, and sharing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import CelltwinError
from celltwin.physics.engine import (
    CellPopulation,
    Drive,
    EngineOptions,
    EquivalentCircuitModel,
    PackEngine,
    ThermalModel,
)

OHMIC, FIRST, SECOND = 0.030, 0.020, 0.010  # [ohm]
CONSTANTS = (8.0, 200.0)  # [s]
LOW, RISE = 3.0, 1.2  # open-circuit voltage at 0, and up to 1 [V]


@pytest.fixture
def circuit():
    """Return a cell whose open-circuit voltage is a straight line and whose resistances are constant."""
    return EquivalentCircuitModel(
        name="line",
        thermal=ThermalModel(heat_capacity=43.2),
        capacity=2.0,
        potential=np.array([[LOW, RISE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
        resistance=np.array([[OHMIC, 0, 0, 0, FIRST, 0, 0, 0, SECOND, 0, 0, 0]], dtype=np.float64),
        resistance_temperature=np.zeros(3),
        time_constants=CONSTANTS,
        reference_temperature=298.15,
        lowest_voltage=2.5,
        highest_voltage=4.2,
    )


@pytest.fixture
def start(string_network):
    def build(model, series=1, parallel=1, *, options=None, soc=0.8, weld=0.0, **cells) -> PackEngine:
        network = string_network(series, parallel, weld=weld)
        return PackEngine(model, network, cells=CellPopulation(soc=soc, **cells), options=options, device="cpu")

    return build


@pytest.mark.parametrize("step", [0.5, 1.0, 10.0])
def test_a_pulse_and_its_rest_follow_the_exponentials_at_any_step(circuit, start, step):
    engine = start(circuit, options=EngineOptions(step=step))

    pulse = engine.advance(3.0, 60.0, sample_period=step)
    rest = engine.advance(0.0, 300.0, sample_period=step)

    def slow(time):
        return sum(r * (1.0 - np.exp(-time / tau)) for r, tau in zip((FIRST, SECOND), CONSTANTS, strict=True))

    charge = 0.8 - 3.0 * pulse.time / 7200.0
    np.testing.assert_allclose(
        pulse.cell_voltage[:, 0], LOW + RISE * charge - 3.0 * (OHMIC + slow(pulse.time)), atol=1e-7
    )
    left = slow(rest.time) - slow(rest.time - 60.0)
    np.testing.assert_allclose(rest.cell_voltage[:, 0], LOW + RISE * charge[-1] - 3.0 * left, atol=1e-7)


def test_heat_is_what_the_current_loses(circuit, start):
    engine = start(circuit)

    history = engine.advance(3.0, 600.0, sample_period=1.0)

    open_circuit = LOW + RISE * history.cell_soc[:, 0]
    lost = (3.0 * (open_circuit - history.cell_voltage[:, 0])).sum()
    assert 43.2 * (history.cell_temperature[-1, 0] - 298.15) == pytest.approx(lost, rel=1e-9)


def test_entropy_cools_on_discharge_where_it_should(circuit, start):
    table = np.array(circuit.potential)
    table[0, 4] = 5e-4  # dU/dT > 0: discharge takes up heat
    warm, cool = (start(model).advance(1.0, 60.0) for model in (circuit, replace(circuit, potential=table)))

    taken_up = 43.2 * (warm.cell_temperature[0, 0] - cool.cell_temperature[0, 0])
    assert taken_up == pytest.approx(298.15 * 5e-4 * 60.0, rel=1e-3)


def test_two_in_parallel_share_by_kirchhoff(circuit, start):
    # Straight lines and constant resistances: the first step's currents solve two linear equations.
    engine = start(circuit, parallel=2, weld=np.array([0.0, 0.03]), soc=np.array([0.8, 0.7]))

    current = engine.advance(4.0, 1.0).cell_current[0]

    slow = sum(r * (1.0 - np.exp(-1.0 / tau)) for r, tau in zip((FIRST, SECOND), CONSTANTS, strict=True))
    own = OHMIC + slow + RISE / 7200.0
    matrix = np.array([[own, -(own + 0.03)], [1.0, 1.0]])
    np.testing.assert_allclose(current, np.linalg.solve(matrix, [RISE * 0.1, 4.0]), rtol=1e-7)


def test_a_larger_cell_has_less_resistance_and_more_charge(circuit, start):
    plain, double = start(circuit), start(circuit, capacity_scale=2.0)

    one, two = plain.advance(2.0, 60.0), double.advance(4.0, 60.0)

    np.testing.assert_allclose(two.cell_voltage, one.cell_voltage, atol=1e-9)
    np.testing.assert_allclose(two.cell_soc, one.cell_soc, atol=1e-12)


def test_the_power_drive_is_met(circuit, start):
    history = start(circuit, 3, 2).advance(Drive(kind="power", values=50.0), 30.0, sample_period=1.0)

    np.testing.assert_allclose(history.pack_current * history.pack_voltage, 50.0, rtol=1e-9)


def test_an_emptied_circuit_is_named_with_quantity_limit_and_time(circuit, start):
    engine = start(circuit, 2, 1, soc=np.array([0.5, 0.1]))

    with pytest.raises(CelltwinError, match=r"state of charge of cell 1 of group 2 is .* at \d+\.\d s"):
        engine.advance(2.0, 3600.0, sample_period=1.0)
