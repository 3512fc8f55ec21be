"""Thermal runaway in the pack engine: energy, who follows whom, and what stops it."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import SettingsError, lay_out, load_pack
from celltwin.physics.engine import CellPopulation, EngineOptions, PackEngine, build_cell_model, build_network
from celltwin.physics.engine.abuse_kernels import ABUSE_ROWS
from celltwin.physics.engine.abuse_model import SeparatorModel
from celltwin.physics.engine.abuse_parameters import abuse_model
from celltwin.physics.engine.heat_paths import thermal_model
from celltwin.physics.engine.runaway_propagation import simulate_propagation
from celltwin.physics.engine.thermal_kernels import ENERGY_ROWS


@pytest.fixture(scope="module")
def row(repo_root):
    """Eight cells in one row, two groups of four, in potting compound."""
    reference = load_pack(repo_root / "data/packs/reference.toml")
    layout = replace(reference.layout, pattern="square", rows=1, gap_conductivity=0.3)
    modules = reference.modules[:1]
    return replace(reference, name="row", series=2, parallel=4, layout=layout, modules=modules)


@pytest.fixture(scope="module")
def start(row):
    """Return a function that starts an engine for a row; the coolant stands unless it is asked for."""
    cell = build_cell_model(row.cell.parameter_set)

    def build(spec=row, *, flow=0.0, conduction=1.0, abuse=True, soc=1.0):
        model = replace(cell, thermal=thermal_model(spec))
        network = build_network(spec)
        heat = replace(network.heat, conductance=network.heat.conductance * conduction)
        runaway = abuse_model("hu_2020_nmc", cell=cell, separator=SeparatorModel(conductance=5.0))
        options = EngineOptions(abuse=runaway if abuse else None)
        engine = PackEngine(
            model, replace(network, heat=heat), cells=CellPopulation(soc=soc), options=options, device="cpu"
        )
        engine.set_coolant(flow=flow)
        return engine

    return build


@pytest.fixture(scope="module")
def spread(start):
    engine = start()
    return engine, simulate_propagation(engine, 0, duration=900.0)


def test_runaway_passes_from_neighbour_to_neighbour(row, spread):
    _, history = spread
    distance = np.linalg.norm(lay_out(row).cell_positions - lay_out(row).cell_positions[0], axis=1)

    np.testing.assert_array_equal(history.order, np.argsort(distance))
    assert (np.diff(history.onset[history.order]) > 0.0).all()


def test_the_heat_released_is_that_of_the_reactants_consumed(spread):
    engine, history = spread
    model = engine.options.abuse
    states = {name: engine.read_cells(f"abuse_{name}") for name in ABUSE_ROWS[:5]}
    fresh = {name: reaction.initial for name, reaction in model.reactions.items()} | {"negative": 0.0}
    consumed = {name: np.abs(states[name] - fresh[name]) for name in states}

    expected = sum(consumed[name] * model.heats[name] for name in states)

    np.testing.assert_allclose(history.released, expected, rtol=1e-9)


def test_the_engine_accounts_for_every_joule_of_it(spread):
    engine, history = spread
    energy = dict(zip(ENERGY_ROWS, engine.state().cells["energy"].sum(axis=1), strict=True))
    stored = engine.network.heat_capacity @ (history.temperature[-1] - history.temperature[0])

    missing = energy["generated"] - energy["to_coolant"] - energy["to_ambient"] - stored
    assert abs(missing) < 1e-9 * energy["generated"]
    assert energy["generated"] > history.released.sum()  # the charge of the cells too


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        ({}, {"conduction": 0.0}),
        ({}, {"flow": 0.05}),
        ({"cell_gap": 0.03, "gap_conductivity": 0.026}, {}),
    ],
    ids=["no conduction", "coolant flows", "cells far apart in air"],
)
def test_cells_that_are_kept_apart_or_cool_do_not_follow(row, start, spec, settings):
    engine = start(replace(row, layout=replace(row.layout, **spec)), **settings)

    history = simulate_propagation(engine, 0, duration=600.0)

    assert history.order.tolist() == [0]
    assert history.released[1:].max() < 0.5 * history.released[0]


def test_a_discharged_pack_does_not_run_away(start):
    history = simulate_propagation(start(soc=0.05), 0, duration=300.0)

    assert history.order.size == 0


def test_an_engine_goes_on_from_a_state_within_a_runaway(start):
    engine = start()
    simulate_propagation(engine, 0, duration=30.0)
    state = engine.state()
    engine.advance(0.0, 20.0)
    expected = engine.read_cells("temperature"), engine.read_cells("abuse_released")

    engine.restore(state)
    engine.advance(0.0, 20.0)

    np.testing.assert_array_equal(engine.read_cells("temperature"), expected[0])
    np.testing.assert_array_equal(engine.read_cells("abuse_released"), expected[1])


def test_a_fresh_cell_in_the_place_of_a_burnt_one_is_fresh(start):
    engine = start()
    simulate_propagation(engine, 0, duration=60.0)
    assert engine.read_cells("abuse_released")[0] > 1000.0

    engine.replace_cells(np.array([0]), CellPopulation())
    engine.advance(0.0, 1.0)

    assert engine.read_cells("abuse_released")[0] == 0.0
    assert engine.read_cells("internal_short_conductance")[0] == 0.0


def test_a_cold_pack_is_not_changed_by_the_model_of_runaway(start):
    with_model, without = start(), start(abuse=False)

    first, second = with_model.advance(4.0, 60.0), without.advance(4.0, 60.0)

    np.testing.assert_array_equal(first.cell_temperature, second.cell_temperature)
    np.testing.assert_array_equal(first.cell_voltage, second.cell_voltage)


def test_what_cannot_be_pierced_is_refused(start):
    with pytest.raises(SettingsError, match="no model of thermal runaway"):
        simulate_propagation(start(abuse=False), 0, duration=1.0)
    with pytest.raises(SettingsError, match="cell 8 cannot be pierced"):
        simulate_propagation(start(), 8, duration=1.0)
