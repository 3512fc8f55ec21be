"""The engine's heat: closed forms of warming and cooling, symmetry, shorts and resistors, coolant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.physics.engine import CellPopulation, EngineOptions, PackEngine, ThermalModel, build_pack_engine

CAPACITY = 43.2  # [J/K]


@pytest.fixture
def start(cell_model):
    def build(network, *, model=None, options: EngineOptions | None = None, **cells) -> PackEngine:
        population = CellPopulation(**({"soc": 0.6} | cells))
        return PackEngine(model or cell_model, network, cells=population, options=options, device="cpu")

    return build


def test_a_warm_cell_cools_as_one_node_does(start, string_network):
    engine = start(string_network(ambient=0.2), temperature=318.15)

    history = engine.advance(0.0, 600.0, sample_period=1.0)

    expected = 298.15 + 20.0 * (1.0 - 0.2 / CAPACITY) ** np.arange(1, 601)
    np.testing.assert_allclose(history.cell_temperature[:, 0], expected, atol=1e-9)
    exact = 298.15 + 20.0 * np.exp(-0.2 / CAPACITY * history.time)
    np.testing.assert_allclose(history.cell_temperature[:, 0], exact, atol=0.02)


def test_conduction_keeps_the_heat_and_evens_it(start, string_network):
    heat_capacity = np.array([40.0, 50.0, 60.0])
    first = np.array([330.0, 300.0, 290.0])
    engine = start(string_network(3, 1, heat_capacity=heat_capacity, conduction=0.5), temperature=first)

    history = engine.advance(0.0, 3600.0, sample_period=60.0)

    np.testing.assert_allclose(history.cell_temperature @ heat_capacity, first @ heat_capacity, rtol=1e-12)
    np.testing.assert_allclose(history.cell_temperature[-1], first @ heat_capacity / heat_capacity.sum(), atol=1e-3)


def test_a_row_of_cells_alike_is_symmetric_and_hottest_in_the_middle(start, string_network):
    ambient = np.array([0.1, 0.0, 0.0, 0.0, 0.1])
    engine = start(string_network(5, 1, conduction=0.05, ambient=ambient), soc=0.9)

    temperature = engine.advance(4.0, 900.0).cell_temperature[0]

    np.testing.assert_allclose(temperature, temperature[::-1], atol=1e-9)
    assert temperature[2] > temperature[1] > temperature[0] > 299.0


def test_an_adiabatic_cell_keeps_what_its_current_loses(start, cell_model, string_network):
    # Without entropy and at rest in the end, heat is the electrical work that did not come out.
    flat = {
        side: replace(getattr(cell_model, side), potential=_without_entropy(getattr(cell_model, side).potential))
        for side in ("negative", "positive")
    }
    model = replace(cell_model, **flat)
    engine = start(string_network(), model=model, options=EngineOptions(heat_of_mixing=True))

    out = engine.advance(2.0, 300.0, sample_period=1.0)
    back = engine.advance(-2.0, 300.0, sample_period=1.0)
    engine.advance(0.0, 4 * 3600.0)

    work = 2.0 * (out.pack_voltage.sum() - back.pack_voltage.sum())
    gained = CAPACITY * (engine.read_cells("temperature")[0] - 298.15)
    assert work < 0.0
    assert gained == pytest.approx(-work, rel=1e-3)


def test_heat_of_a_weld_stays_with_its_cell(start, string_network):
    plain, welded = (start(string_network(weld=weld)).advance(4.0, 1.0) for weld in (0.0, 0.01))

    added = CAPACITY * (welded.cell_temperature[0, 0] - plain.cell_temperature[0, 0])
    assert added == pytest.approx(0.01 * 4.0**2, rel=1e-6)


def test_an_internal_short_discharges_and_heats_the_cell(start, cell_model, string_network):
    engine = start(string_network(2, 1))
    engine.set_cells("internal_short_conductance", 0.5, np.array([1]))

    history = engine.advance(0.0, 120.0, sample_period=1.0)

    volts = history.cell_voltage[:, 1]
    np.testing.assert_allclose(history.cell_current[:, 1], 0.5 * volts, rtol=1e-9)
    np.testing.assert_allclose(history.cell_current[:, 0], 0.0, atol=1e-9)
    drawn = 0.5 * volts.sum() / 3600.0 / cell_model.capacity
    assert history.cell_soc[-1, 1] == pytest.approx(0.6 - drawn, abs=1e-9)
    burnt = 0.5 * (volts**2).sum()
    warmed = CAPACITY * (history.cell_temperature[-1, 1] - 298.15)
    assert burnt < warmed < 1.15 * burnt
    assert history.cell_temperature[-1, 0] == pytest.approx(298.15, abs=1e-3)


def test_a_balancing_resistor_discharges_the_cell_and_heats_something_else(start, cell_model, string_network):
    engine = start(string_network(2, 1))
    engine.set_cells("bleed_conductance", 0.05, np.array([1]))

    history = engine.advance(0.0, 600.0, sample_period=1.0)

    volts = history.cell_voltage[:, 1]
    np.testing.assert_allclose(history.cell_current[:, 1], 0.05 * volts, rtol=1e-9)
    drawn = 0.05 * volts.sum() / 3600.0 / cell_model.capacity
    assert history.cell_soc[-1, 1] == pytest.approx(0.6 - drawn, abs=1e-9)
    warmed = CAPACITY * (history.cell_temperature[-1, 1] - 298.15)
    assert abs(warmed) < 0.1 * 0.05 * (volts**2).sum()


def test_core_and_surface_part_by_heat_over_conductance(start, cell_model, string_network):
    thermal = ThermalModel(heat_capacity=CAPACITY, surface_share=0.3, core_conductance=0.5)
    engine = start(string_network(ambient=0.2), model=replace(cell_model, thermal=thermal))
    engine.set_cells("internal_short_conductance", 0.01)  # a steady source of heat, near enough

    engine.advance(0.0, 1800.0)

    core, surface, mean = (engine.read_cells(f"{part}temperature")[0] for part in ("core_", "surface_", ""))
    lost = 0.2 * (surface - 298.15)
    assert 0.5 * (core - surface) == pytest.approx(lost, rel=0.02)
    assert mean == pytest.approx(0.3 * surface + 0.7 * core, abs=1e-9)


def test_a_lost_coolant_leaves_the_pack_hotter(small_pack):
    cooled, lost = (
        build_pack_engine(small_pack, cells=CellPopulation(soc=0.9, temperature=298.15), device="cpu") for _ in "ab"
    )
    lost.set_coolant(flow=0.0)

    with_flow, without = (engine.advance(12.0, 600.0) for engine in (cooled, lost))

    assert without.cell_temperature.min() > with_flow.cell_temperature.max() + 0.5


def test_the_coolant_takes_what_the_cells_give(small_pack):
    engine = build_pack_engine(small_pack, cells=CellPopulation(soc=0.5, temperature=310.0), device="cpu")
    heat = engine.network.heat
    engine.set_ambient(310.0)  # no cell is ever warmer: what the housing takes up is counted below
    taken, given = 0.0, 0.0
    before = engine.read_cells("temperature")
    surface = engine.read_cells("surface_temperature")

    history = engine.advance(0.0, 300.0, sample_period=1.0)

    flow = heat.design_flow * heat.coolant_heat_capacity
    taken = float(((history.coolant_temperature - heat.inlet_temperature) @ flow).sum())
    surfaces = np.vstack([surface, history.cell_surface_temperature[:-1]])
    given = float(engine.network.heat_capacity @ (before - history.cell_temperature[-1]))
    given += float(((310.0 - surfaces) @ heat.ambient_conductance).sum())
    assert taken == pytest.approx(given, rel=1e-6)
    assert taken > 100.0


def test_warmer_coolant_warms_cells_along_its_way(small_pack):
    engine = build_pack_engine(small_pack, cells=CellPopulation(soc=0.5, temperature=298.15), device="cpu")
    engine.set_coolant(flow=1e-4, inlet_temperature=318.15)

    temperature = engine.advance(0.0, 120.0).cell_temperature[0]

    segment = engine.network.heat.segment
    first, last = temperature[segment == segment.min()], temperature[segment == segment.max()]
    assert first.mean() > last.mean() + 0.05
    assert temperature.min() > 298.15


def test_warmer_surroundings_warm_a_cell(start, string_network):
    engine = start(string_network(ambient=1.0))
    engine.set_ambient(310.0)

    history = engine.advance(0.0, 1200.0)

    np.testing.assert_allclose(history.cell_temperature, 310.0, atol=1e-3)


def _without_entropy(table: np.ndarray) -> np.ndarray:
    plain = np.array(table)
    plain[:, 4:] = 0.0
    return plain
