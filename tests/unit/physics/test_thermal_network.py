"""Heat: coolant along its way, conduction between neighbours, closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import load_pack
from celltwin.physics.thermal_network import ThermalNetwork, pair_conductance

SURFACE = 0.004  # [m^2]


@pytest.fixture(scope="module")
def reference(repo_root):
    return load_pack(repo_root / "data/packs/reference.toml")


def test_cells_at_the_inlet_temperature_stay_there(reference):
    network = ThermalNetwork(reference, SURFACE)
    inlet = reference.cooling.inlet_temperature

    around = network.surroundings(np.full(reference.n_cells, inlet), np.full(10, reference.cooling.flow))

    np.testing.assert_allclose(around.temperature, inlet)
    np.testing.assert_allclose(around.coolant_outlet, inlet)


def test_coolant_takes_the_heat_that_the_cells_give(reference):
    network = ThermalNetwork(reference, SURFACE)
    flow = np.full(10, reference.cooling.flow)
    temperature = np.full(reference.n_cells, reference.cooling.inlet_temperature + 10.0)

    outlet = network.coolant_outlet(temperature, flow)

    # All cells alike: the closed form of a heat exchanger with one side at constant temperature.
    transfer = 280 * reference.cooling.heat_transfer * SURFACE
    units = transfer / (reference.cooling.flow * reference.cooling.coolant_heat_capacity)
    expected = reference.cooling.inlet_temperature + 10.0 * (1.0 - np.exp(-units))
    np.testing.assert_allclose(outlet, expected, rtol=1e-9)


def test_coolant_warms_along_its_way(reference):
    network = ThermalNetwork(reference, SURFACE)
    hot = np.full(reference.n_cells, reference.cooling.inlet_temperature + 10.0)

    around = network.surroundings(hot, np.full(10, 0.01))

    module = around.temperature.reshape(10, -1)[0]
    assert module[-14:].mean() > module[:14].mean() + 0.5


def test_still_coolant_takes_the_temperature_of_the_cells_and_no_more(reference):
    network = ThermalNetwork(reference, SURFACE)
    hot = np.full(reference.n_cells, 320.0)

    outlet = network.coolant_outlet(hot, np.zeros(10))

    np.testing.assert_allclose(outlet, 320.0)


def test_neighbours_exchange_as_much_as_they_get(reference):
    network = ThermalNetwork(reference, SURFACE)
    random = np.random.default_rng(0)
    temperature = 300.0 + 10.0 * random.random(reference.n_cells)
    flow = np.full(10, reference.cooling.flow)
    uniform = np.full(reference.n_cells, 300.0)

    heat = network.surroundings(temperature, flow)
    alone = ThermalNetwork(replace(reference, layout=replace(reference.layout, cell_gap=0.5)), SURFACE)
    between = heat.conductance - reference.cooling.heat_transfer * SURFACE

    exchanged = heat.conductance * (heat.temperature - temperature)
    to_coolant = alone.surroundings(temperature, flow)
    coolant_only = to_coolant.conductance * (to_coolant.temperature - temperature)
    assert np.all(between > 0.0)
    assert np.all(network.surroundings(uniform, flow).conductance == heat.conductance)
    # What neighbours exchange adds up to nothing over the pack.
    assert exchanged.sum() == pytest.approx(coolant_only.sum(), rel=2e-2)


def test_pair_conductance_is_that_of_two_cylinders_in_air(reference):
    # Shape factor 2 pi L / acosh(...) of cylinders of 18.35 mm at 19.35 mm: 0.65 m a metre of air's 0.026 W/(m.K).
    assert pair_conductance(reference) == pytest.approx(0.0162, abs=0.0005)


def test_air_has_no_outlet(repo_root):
    leaf = load_pack(repo_root / "data/packs/leaf_3_modules.toml")
    network = ThermalNetwork(leaf, 0.13)

    around = network.surroundings(np.full(leaf.n_cells, 310.0), np.zeros(3))

    np.testing.assert_allclose(around.coolant_outlet, leaf.cooling.inlet_temperature)
    assert np.all(around.temperature < 310.0)
