"""Swelling, pressure and strain: closed forms, force balance, PyBaMM's thickness change, gradients, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError, ShapeError
from celltwin.physics.engine.fields import CellField, Grid
from celltwin.physics.engine.lanes import lane_functions
from celltwin.physics.engine.launching import TapedLauncher
from celltwin.physics.engine.mechanics import CellMechanics, evaluate_mechanics, stack_compliance
from celltwin.physics.engine.mechanics_model import CanForm, LayerForm, MechanicsModel, PressStacks
from celltwin.physics.engine.mechanics_parameters import build_mechanics_model, module_stacks

ROOM = 298.15  # [K]
FULL = (0.84, 0.435)  # stoichiometries of the full Enertech cell


@pytest.fixture(scope="module")
def pouch() -> MechanicsModel:
    return build_mechanics_model("Ai2020", reference_stoichiometry=FULL)


@pytest.fixture(scope="module")
def can() -> MechanicsModel:
    return build_mechanics_model("Chen2020", form=CanForm(radius=10.4e-3), reference_stoichiometry=(0.3, 0.7))


def discharge(n_cells: int = 1, steps: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drawn = np.linspace(0.0, 1.0, steps)[:, np.newaxis] * np.ones(n_cells)
    return 0.84 - 0.80 * drawn, 0.435 + 0.53 * drawn, np.full((steps, n_cells), ROOM)


def test_nothing_changes_at_the_reference_state(pouch, can):
    for model in (pouch, can):
        negative, positive = model.reference_stoichiometry

        result = evaluate_mechanics(model, np.array([[negative]]), np.array([[positive]]), np.array([[ROOM]]))

        assert abs(result.thickness_change[0, 0]) < 1e-15
        assert abs(result.hoop_strain[0, 0]) < 1e-15
        assert result.contact_factor[0, 0] == 1.0


def test_free_thickness_is_that_of_pybamm(pouch):
    import pybamm

    values = pybamm.ParameterValues("Ai2020")
    options = {"thermal": "lumped", "particle mechanics": "swelling only", "cell geometry": "arbitrary"}
    simulation = pybamm.Simulation(pybamm.lithium_ion.SPM(options), parameter_values=values)
    solution = simulation.solve([0.0, 3000.0])
    time = np.linspace(0.0, 3000.0, 31)
    negative, positive, temperature, expected = (
        np.asarray(solution[name](time)).reshape(-1, 1)
        for name in (
            "Average negative particle stoichiometry",
            "Average positive particle stoichiometry",
            "X-averaged cell temperature [K]",
            "Cell thickness change [m]",
        )
    )
    model = build_mechanics_model("Ai2020", reference_stoichiometry=(negative[0, 0], positive[0, 0]))

    result = evaluate_mechanics(model, negative, positive, temperature)

    np.testing.assert_allclose(result.thickness_change, expected, atol=0.02e-6)
    assert expected.min() < -90e-6


def test_heat_and_film_thicken_a_free_cell_by_closed_forms(pouch):
    negative, positive, temperature = discharge(steps=2)

    cold = evaluate_mechanics(pouch, negative, positive, temperature)
    warm = evaluate_mechanics(pouch, negative, positive, temperature + 20.0)
    aged = evaluate_mechanics(pouch, negative, positive, temperature, film=100e-9)

    np.testing.assert_allclose(warm.thickness_change - cold.thickness_change, 20.0 * 1.1e-6, rtol=1e-9)
    surface = 34 * 76.5e-6 * 3.0 * 0.61 / 5e-6  # of all negative particles over the area of a layer
    np.testing.assert_allclose(aged.thickness_change - cold.thickness_change, surface * 100e-9, rtol=1e-9)


def test_a_rigid_housing_keeps_the_length_of_its_stack(pouch):
    stacks = PressStacks(
        stack=np.zeros(4, dtype=np.int32),
        preload=np.array([500.0]),
        housing_stiffness=np.array([np.inf]),
        pad_compliance=np.array([0.0]),
    )
    negative, positive, temperature = discharge(n_cells=4)
    negative = negative + np.array([0.0, 0.01, -0.02, 0.03])  # cells of unequal charge
    model = replace(pouch, stacks=stacks)

    result = evaluate_mechanics(model, negative, positive, temperature)

    tight = result.pressure[:, 0] > 0.0
    assert tight.any()
    assert not tight.all()  # empty cells leave the housing
    np.testing.assert_allclose(result.thickness_change[tight].sum(axis=1), 0.0, atol=1e-15)
    assert np.ptp(result.thickness_change[0]) > 1e-6  # the fuller cell squeezes the others


def test_pressure_is_the_force_that_straps_and_cells_agree_on(pouch):
    stacks = PressStacks(
        stack=np.repeat(np.arange(2, dtype=np.int32), 3),
        preload=np.array([2000.0, 1000.0]),
        housing_stiffness=np.array([5e6, 2e6]),
        pad_compliance=np.array([1e-8, 0.0]),
    )
    negative, positive, temperature = discharge(n_cells=6, steps=5)
    model = replace(pouch, stacks=stacks)

    free = evaluate_mechanics(pouch, negative, positive, temperature).thickness_change
    result = evaluate_mechanics(model, negative, positive, temperature)

    form = model.form
    for stack in (0, 1):
        cells = stacks.stack == stack
        force = result.pressure[:, cells] * form.area
        assert np.ptp(force, axis=1).max() == 0.0  # the same force through all of them
        tight = force[:, 0] > 0.0
        longer = result.thickness_change[:, cells].sum(axis=1)
        more = force[:, 0] - stacks.preload[stack]
        gives = 1.0 / stacks.housing_stiffness[stack] + stacks.pad_compliance[stack]
        np.testing.assert_allclose(longer[tight], (more * gives)[tight], rtol=1e-9, atol=1e-15)
        expected = (
            stacks.preload[stack] / form.area + free[:, cells].sum(axis=1) / stack_compliance(form, stacks)[stack]
        )
        np.testing.assert_allclose(result.pressure[:, cells][:, 0], np.maximum(expected, 0.0), rtol=1e-9)


def test_contact_resistance_follows_the_power_law_down_to_its_bound(pouch):
    model = replace(pouch, stacks=module_stacks(1, 2, area=pouch.form.area, preload_pressure=4e5))
    negative, positive, temperature = discharge(n_cells=2, steps=40)

    result = evaluate_mechanics(model, negative, positive, temperature)

    ratio = np.maximum(result.pressure / 4e5, model.lowest_pressure_ratio)
    np.testing.assert_allclose(result.contact_factor, 0.9 + 0.1 * ratio**-0.5, rtol=1e-12)
    assert result.contact_factor.max() == pytest.approx(0.9 + 0.1 / np.sqrt(0.05))
    assert result.contact_factor[0, 0] == pytest.approx(1.0)


def test_a_cell_outside_any_stack_swells_freely(pouch):
    stacks = PressStacks(
        stack=np.array([0, -1], dtype=np.int32),
        preload=np.array([100.0]),
        housing_stiffness=np.array([1e6]),
        pad_compliance=np.array([0.0]),
    )
    negative, positive, temperature = discharge(n_cells=2)

    free = evaluate_mechanics(pouch, negative, positive, temperature)
    result = evaluate_mechanics(replace(pouch, stacks=stacks), negative, positive, temperature)

    np.testing.assert_array_equal(result.thickness_change[:, 1], free.thickness_change[:, 1])
    assert result.pressure[:, 1].max() == 0.0
    assert result.contact_factor[:, 1].max() == 1.0


def test_a_hard_roll_stretches_its_can_by_its_own_growth(can):
    hard = replace(can, form=replace(can.form, roll_modulus=1e15))
    charge = np.array([[0.4, 0.6], [0.6, 0.45], [0.85, 0.3]])
    negative, positive = charge[:, :1], charge[:, 1:]
    temperature = np.full((3, 1), ROOM)

    result = evaluate_mechanics(hard, negative, positive, temperature)

    free = evaluate_mechanics(
        replace(can, form=LayerForm(area=1.0, thickness=can.form.thickness)), negative, positive, temperature
    ).thickness_change
    np.testing.assert_allclose(result.hoop_strain, free / can.form.radius, rtol=1e-4)
    np.testing.assert_allclose(result.thickness_change, 2.0 * can.form.radius * result.hoop_strain, rtol=1e-12)


def test_hoop_strain_is_that_of_a_thin_wall_under_the_pressure(can):
    negative = np.linspace(0.1, 0.9, 9)[:, np.newaxis]
    positive = 0.9 - 0.6 * negative

    result = evaluate_mechanics(can, negative, positive, np.full((9, 1), ROOM + 15.0))

    form = can.form
    stretched = (result.pressure - form.assembly_pressure) * form.radius / (form.can_modulus * form.wall)
    expected = stretched * (1.0 - 0.5 * form.poisson_ratio) + 15.0 * form.can_expansion
    np.testing.assert_allclose(result.hoop_strain, expected, rtol=1e-12)
    assert result.pressure.min() > 0.0
    np.testing.assert_array_equal(result.contact_factor, 1.0)  # welded tabs


@pytest.mark.parametrize("case", ["layers", "can"])
def test_gradients_agree_with_differences(pouch, can, case):
    import warp as wp

    stacks = module_stacks(1, 3, area=2.397e-3, preload_pressure=2e6)
    model = (
        replace(pouch, stacks=stacks) if case == "layers" else replace(can, contact_exponent=0.95, contact_share=0.3)
    )
    lanes = lane_functions(1, backward=True)
    grid = Grid(n_groups=3, parallel=1, lanes=lanes, device="cpu", gradient=True)
    places = np.array([[0.75, 0.80, 0.70], [0.48, 0.45, 0.5], [300.0, 305.0, 310.0], [0.0, 1e-8, 2e-8]])
    weights = {"thickness_change": 1e6, "hoop_strain": 1e4, "pressure": 1e-6, "contact_factor": 1.0}

    def total(values, tape=None):
        fields = [CellField(grid) for _ in values]
        for field, value in zip(fields, values, strict=True):
            field.write(value)
        mechanics = CellMechanics(model, grid)
        inputs = [field.bundles for field in fields]
        if tape is None:
            mechanics.launch(TapedLauncher("cpu"), *inputs)
        else:
            with tape:
                mechanics.launch(TapedLauncher("cpu"), *inputs)
            seeds = {}
            for name, weight in weights.items():
                out = getattr(mechanics, name)
                seed = wp.full(3, wp.float64(weight), dtype=wp.float64)
                seeds[out.flat if case == "layers" else out.bundles] = (
                    seed if case == "layers" else wp.array(np.full((3, 1), weight), dtype=lanes.vector)
                )
            tape.backward(grads=seeds)
        value = sum(weight * getattr(mechanics, name).read().sum() for name, weight in weights.items())
        return value, [field.flat.grad.numpy().copy() for field in fields]

    _, gradients = total(places, wp.Tape())

    for row, step in enumerate((1e-6, 1e-6, 1e-3, 1e-12)):
        for cell in range(3):
            high, low = places.copy(), places.copy()
            high[row, cell] += step
            low[row, cell] -= step
            difference = (total(high)[0] - total(low)[0]) / (2.0 * step)
            assert gradients[row][cell] == pytest.approx(difference, rel=1e-5)


def test_bundles_of_one_and_of_eight_agree(pouch):
    model = replace(pouch, stacks=module_stacks(5, 4, area=pouch.form.area))
    random = np.random.default_rng(7)
    places = [
        random.uniform(0.1, 0.8, 20),
        random.uniform(0.5, 0.9, 20),
        random.uniform(280.0, 320.0, 20),
        np.zeros(20),
    ]
    found = []
    for width in (1, 8):
        grid = Grid(n_groups=10, parallel=2, lanes=lane_functions(width), device="cpu")
        fields = [CellField(grid) for _ in places]
        for field, values in zip(fields, places, strict=True):
            field.write(values)
        mechanics = CellMechanics(model, grid)
        mechanics.launch(TapedLauncher("cpu"), *(field.bundles for field in fields))
        found.append((mechanics.thickness_change.read(), mechanics.pressure.read()))

    for one, eight in zip(*found, strict=True):
        np.testing.assert_allclose(one, eight, rtol=1e-12)


def test_refuses_what_cannot_be(pouch, can):
    area = pouch.form.area
    negative, positive, temperature = discharge(n_cells=3)
    with pytest.raises(ModelError, match="the stacks name 4 cells, the trajectory has 3"):
        evaluate_mechanics(replace(pouch, stacks=module_stacks(2, 2, area=area)), negative, positive, temperature)
    with pytest.raises(ModelError, match="cells in cans are not pressed"):
        replace(can, stacks=module_stacks(1, 2, area=area))
    with pytest.raises(ModelError, match="modulus = 0 is not physical"):
        LayerForm(area=area, thickness=6e-3, modulus=0.0)
    with pytest.raises(ModelError, match="preload of stack 0 = -1"):
        module_stacks(1, 2, area=1.0, preload_pressure=-1.0)
    with pytest.raises(ModelError, match="leaves no jelly roll"):
        CanForm(radius=1.6e-3)
    with pytest.raises(ShapeError, match=r"temperature has the shape \(2,\), expected \(12, 3\)"):
        evaluate_mechanics(pouch, negative, positive, np.zeros(2))
    negative[4, 2] = np.nan
    with pytest.raises(ModelError, match="of cell 2 is not finite at step 4"):
        evaluate_mechanics(pouch, negative, positive, temperature)


def test_an_empty_roll_leaves_its_can(can):
    loose = replace(can, form=replace(can.form, assembly_pressure=1e5))

    result = evaluate_mechanics(loose, np.array([[0.02]]), np.array([[0.9]]), np.array([[ROOM - 10.0]]))

    assert result.pressure[0, 0] == 0.0
    expected = -1e5 * can.form.strain_compliance - 10.0 * can.form.can_expansion
    assert result.hoop_strain[0, 0] == pytest.approx(expected)


def test_readings_stay_as_they_were_read():
    field = CellField(Grid(n_groups=8, parallel=1, lanes=lane_functions(8), device="cpu"))
    before = field.read()

    field.write(1.0)

    np.testing.assert_array_equal(before, 0.0)
