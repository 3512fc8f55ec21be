"""Derivatives of where a pack ends, held against central differences of the engine itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from celltwin.core import Array, PlantError, SettingsError
from celltwin.physics.engine import (
    CellPopulation,
    Drive,
    DriveGradient,
    EngineOptions,
    PackEngine,
    abuse_model,
    ageing_model,
    build_mechanics_model,
    build_network,
    build_pack_engine,
    combine_networks,
    differentiate_drive,
)

STEPS = 40  # more than the engine's gradients take in one stretch
PLACES = (0, 31, 32, 39)  # both sides of a stretch's end
TOLERANCE = 1e-4  # ten times as strict as is asked; differences themselves err by some 1e-6


@pytest.fixture(scope="module")
def engine(small_pack: Any) -> PackEngine:
    """Return two modules of two groups of three unlike cells, with heat between them."""
    return build_pack_engine(small_pack, cells=unlike_cells(small_pack.n_cells), device="cpu")


@pytest.fixture(scope="module")
def profile() -> Array:
    """Return a current that charges, rests for a moment and discharges [A]."""
    return 6.0 * np.sin(2.0 * np.pi * np.arange(STEPS) / 25.0) + 3.0


def unlike_cells(n_cells: int, soc: float = 0.7) -> CellPopulation:
    random = np.random.default_rng(3)
    return CellPopulation(
        soc=soc,
        capacity_scale=random.uniform(0.95, 1.05, n_cells),
        resistance=random.uniform(0.0, 0.02, n_cells),
    )


def weights_of(engine: PackEngine) -> Array:
    """Return unlike weights, so that what moves between cells counts."""
    return np.linspace(-0.5, 1.5, engine.n_cells)


def assert_is_derivative(
    engine: PackEngine,
    drive: Drive,
    weights: dict[str, Array | float],
    *,
    change: float,
    places: tuple[int, ...] = PLACES,
    duration: float = float(STEPS),
) -> DriveGradient:
    """Hold a gradient against central differences of the engine, over the largest of them."""
    found = differentiate_drive(engine, drive, duration, weights=weights)
    start = engine.state()
    values = np.asarray(drive.values, dtype=np.float64)
    differences = np.empty(len(places))
    for index, place in enumerate(places):
        ends = []
        for sign in (1.0, -1.0):
            moved = values.copy()
            moved[place] += sign * change
            engine.advance(replace(drive, values=moved), duration)
            ends.append(sum(float((weight * engine.read_cells(name)).sum()) for name, weight in weights.items()))
            engine.restore(start)
        differences[index] = (ends[0] - ends[1]) / (2.0 * change)
    scale = np.abs(differences).max()
    assert scale > 0.0
    np.testing.assert_allclose(found.gradient[list(places), 0], differences, rtol=TOLERANCE, atol=TOLERANCE * scale)
    return found


@pytest.mark.parametrize("quantity", ["temperature", "soc", "voltage"])
def test_the_derivative_with_each_current_is_that_of_the_engine(engine, profile, quantity):
    assert_is_derivative(engine, Drive(values=profile), {quantity: weights_of(engine)}, change=0.01)


def test_objective_and_final_values_are_those_that_the_engine_reaches(engine, profile):
    start, weights = engine.state(), {"soc": weights_of(engine), "temperature": 2.0}

    found = differentiate_drive(engine, Drive(values=profile), STEPS, weights=weights)
    engine.advance(Drive(values=profile), STEPS)

    for name, weight in weights.items():
        np.testing.assert_array_equal(found.final[name], engine.read_cells(name))
        assert found.final[name].shape == np.broadcast_to(weight, engine.n_cells).shape
    assert found.objective == pytest.approx(sum(float((w * found.final[n]).sum()) for n, w in weights.items()))
    engine.restore(start)


def test_charge_costs_the_same_state_of_charge_whenever_it_flows(engine, profile):
    found = differentiate_drive(engine, Drive(values=profile), STEPS, weights={"soc": engine.model.capacity * 3600.0})

    scale = engine.read_cells("capacity_scale").reshape(engine.n_groups, -1)
    assert -found.gradient.mean() == pytest.approx((scale.shape[1] / scale.sum(axis=1)).sum(), rel=2e-3)
    np.testing.assert_allclose(found.gradient, found.gradient.mean(), rtol=5e-3)


@pytest.mark.parametrize(("kind", "values"), [("power", np.zeros(STEPS)), ("voltage", np.linspace(15.4, 15.0, STEPS))])
def test_power_and_voltage_are_differentiated_too_even_at_rest(engine, kind, values):
    weights = {"temperature": weights_of(engine), "voltage": 1.0}

    assert_is_derivative(engine, Drive(kind=kind, values=values), weights, change=1e-3)


def test_a_limit_of_voltage_takes_over_from_the_drive(small_pack):
    engine = build_pack_engine(small_pack, cells=unlike_cells(small_pack.n_cells, soc=0.85), device="cpu")
    drive = Drive(values=np.linspace(-2.0, -6.0, STEPS), highest_voltage=4.125)
    start = engine.state()
    limited = engine.advance(drive, STEPS, sample_period=1.0).limited[:, 0] > 0
    engine.restore(start)
    held = int(np.argmax(limited))

    found = assert_is_derivative(engine, drive, {"soc": 1.0}, change=1e-3, places=(0, held - 1, held + 1, STEPS - 1))

    assert 2 < held < STEPS - 2
    assert limited[held:].all()
    assert not found.gradient[held:].any()
    # what was charged before need not be charged once the limit holds the voltage
    assert 0.0 < np.abs(found.gradient[:held]).max() < engine.n_groups / (engine.model.capacity * 3600.0)


def test_currents_that_settle_slowly_are_solved_until_they_have(small_pack):
    # from rest straight onto the limit: more solutions of the circuit than usual
    engine = build_pack_engine(small_pack, cells=unlike_cells(small_pack.n_cells, soc=0.85), device="cpu")
    drive = Drive(values=np.full(5, -6.0), highest_voltage=4.08)

    # the limit holds from the first step on: only its voltage counts, not the current asked for
    found = differentiate_drive(engine, drive, 5.0, weights={"temperature": 1.0})

    assert not found.gradient.any()
    smooth = replace(drive, values=np.full(5, -3.0))
    assert_is_derivative(engine, smooth, {"temperature": 1.0}, change=1e-3, places=(0, 2), duration=5.0)


@pytest.mark.parametrize("rail", [0.0, 1e-3])
def test_strings_in_parallel_share_what_the_derivative_goes_through(cell_model, string_network, rail):
    # unlike strings of two groups of two cells, whose heat flows to neighbours only
    strings = [string_network(2, 2, weld=weld, rail=rail, link=2e-3, conduction=0.5) for weld in (1e-3, 2e-2)]
    network = combine_networks(strings, kind="parallel")
    engine = PackEngine(cell_model, network, cells=unlike_cells(8), device="cpu")
    drive = Drive(values=np.linspace(8.0, -4.0, 6))

    for quantity in ("temperature", "current"):
        weights = {quantity: weights_of(engine)}
        assert_is_derivative(engine, drive, weights, change=0.01, places=(0, 3, 5), duration=6.0)


def test_switches_and_faults_are_in_the_derivative(small_pack):
    engine = build_pack_engine(small_pack, cells=unlike_cells(small_pack.n_cells), device="cpu")
    engine.set_cells("connected", 0.0, np.array([2]))
    engine.set_cells("internal_short_conductance", 0.5, np.array([4]))
    engine.set_cells("bleed_conductance", 0.05, np.array([1]))
    engine.set_groups("bypass_conductance", 0.2, np.array([1]))
    engine.set_groups("balancing_current", 0.3, np.array([0]))
    engine.set_coolant(flow=0.01, inlet_temperature=290.0)
    drive = Drive(values=np.linspace(8.0, 4.0, 6))

    weights: dict[str, Array | float] = {"temperature": weights_of(engine), "voltage": 1.0}
    assert_is_derivative(engine, drive, weights, change=0.01, places=(0, 3, 5), duration=6.0)


def test_heat_that_flows_between_cells_is_in_the_derivative(cell_model, string_network):
    # a cell that makes little heat, beside one with ten times its resistance
    found = []
    for conduction in (0.0, 5.0):
        network = string_network(2, 1, conduction=conduction)
        cells = CellPopulation(soc=0.7, resistance=np.array([0.0, 0.3]))
        engine = PackEngine(cell_model, network, cells=cells, device="cpu")
        weights: dict[str, Array | float] = {"temperature": np.array([1.0, 0.0])}
        drive = Drive(values=np.full(6, 4.0))
        found.append(assert_is_derivative(engine, drive, weights, change=0.01, places=(0, 5), duration=6.0).gradient)

    assert (found[1][0] > 1.5 * found[0][0]).all()


def test_differentiating_leaves_the_engine_as_it_was(engine, profile):
    engine.advance(3.0, 5.0)
    start = engine.state()
    engine.advance(Drive(values=profile), STEPS)
    expected = engine.read_cells("voltage")
    engine.restore(start)

    differentiate_drive(engine, Drive(values=profile), STEPS, weights={"temperature": 1.0})

    after = engine.state()
    assert after.time == start.time
    for name, values in start.cells.items():
        np.testing.assert_array_equal(after.cells[name], values, err_msg=name)
    engine.advance(Drive(values=profile), STEPS)
    np.testing.assert_array_equal(engine.read_cells("voltage"), expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"colour": 1.0}, "no 'colour'"),
        ({"resistance": 1.0}, "'resistance' cannot be differentiated"),
        ({"shells_negative": 1.0}, "several numbers a cell"),
        ({"soc": np.ones(5)}, "one number for each of 12 cells"),
        ({"soc": np.nan}, "one number for each of 12 cells"),
    ],
)
def test_weights_that_cannot_be_are_refused(engine, weights, message):
    before = engine.state()

    with pytest.raises(SettingsError, match=message):
        differentiate_drive(engine, Drive(values=1.0), 2.0, weights=weights)

    assert engine.time == before.time
    np.testing.assert_array_equal(engine.read_cells("soc"), before.cells["soc"])


def test_a_drive_that_a_cell_cannot_follow_leaves_the_engine_where_it_was(engine):
    start = engine.state()

    with pytest.raises(PlantError):
        differentiate_drive(engine, Drive(values=1000.0), STEPS, weights={"soc": 1.0})

    np.testing.assert_array_equal(engine.read_cells("soc"), start.cells["soc"])


@pytest.mark.parametrize("part", ["abuse", "mechanics"])
def test_runaway_and_mechanics_are_refused(cell_model, small_pack, part):
    model = abuse_model("kim_2007_lco", cell=cell_model) if part == "abuse" else build_mechanics_model("xjtu_18650")
    engine = PackEngine(cell_model, build_network(small_pack), options=EngineOptions(**{part: model}), device="cpu")

    with pytest.raises(SettingsError, match="cannot be differentiated"):
        differentiate_drive(engine, Drive(values=1.0), 2.0, weights={"soc": 1.0})


@pytest.mark.nightly
@pytest.mark.parametrize("quantity", ["sei_thickness", "plated_lithium", "lost_lithium", "soc"])
def test_ageing_is_differentiated(small_pack, profile, quantity):
    engine = build_pack_engine(
        small_pack,
        cells=unlike_cells(small_pack.n_cells),
        options=EngineOptions(ageing=ageing_model("okane_2022")),
        device="cpu",
    )
    unit = {"sei_thickness": 1e12, "plated_lithium": 1e9, "lost_lithium": 1e9}.get(quantity, 1.0)

    assert_is_derivative(engine, Drive(values=profile), {quantity: unit * weights_of(engine)}, change=0.01)


@pytest.mark.nightly
def test_equivalent_circuits_are_differentiated(small_pack, profile):
    engine = build_pack_engine(small_pack, cells=unlike_cells(small_pack.n_cells), fidelity="ECM", device="cpu")

    for quantity in ("temperature", "soc", "voltage"):
        assert_is_derivative(engine, Drive(values=profile), {quantity: weights_of(engine)}, change=0.01)
