"""Ageing of cells: closed forms, conservation of lithium, scaling, gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from celltwin.core import FARADAY, GAS_CONSTANT, SECONDS_PER_HOUR, Array, ModelError
from celltwin.physics.engine.ageing import AgeingModel, LossModel, PlatingModel, SeiModel
from celltwin.physics.engine.ageing_cells import CellAgeing
from celltwin.physics.engine.ageing_diffusion import couple_diffusion
from celltwin.physics.engine.ageing_parameters import ageing_model
from celltwin.physics.engine.ageing_state import (
    AgeingState,
    film_resistance,
    host_capacity,
    lithium_loss,
    new_ageing_state,
    remaining_capacity,
)
from celltwin.physics.engine.ageing_trajectory import OperatingHistory, age_along
from celltwin.physics.engine.cell_model import CellModel
from celltwin.physics.engine.cell_model_builder import build_cell_model
from celltwin.physics.engine.fields import CellField, Grid
from celltwin.physics.engine.lanes import lane_functions
from celltwin.physics.engine.launching import TapedLauncher
from celltwin.physics.engine.property_fit import evaluate_cubic_table

ONE = np.ones(1)


@pytest.fixture(scope="module")
def lgm50() -> CellModel:
    return build_cell_model("OKane2022")


@pytest.fixture(scope="module")
def okane() -> AgeingModel:
    return ageing_model("okane_2022")


def hold(n_steps: int = 1, n_cells: int = 1, *, step: float = 1.0, **values: float | Array) -> OperatingHistory:
    """Return operating points that stay as they are: a cell at rest at 25 °C, half full, but for ``values``."""
    point: dict[str, Any] = {
        "temperature": 298.15,
        "current": 0.0,
        "potential_negative": 0.12,
        "surface_negative": 0.5,
        "surface_positive": 0.5,
        "mean_negative": 0.5,
        "mean_positive": 0.5,
        "salt_negative": 1.0,
        "salt_deviation": 0.0,
        **values,
    }
    return OperatingHistory(step=step, **{name: np.full((n_steps, n_cells), value) for name, value in point.items()})


def wander(n_steps: int, n_cells: int, *, step: float) -> OperatingHistory:
    """Return operating points that wander over all that a cell may meet."""
    random = np.random.default_rng(7)
    ranges = {
        "temperature": (268.0, 328.0),
        "current": (-10.0, 10.0),
        "potential_negative": (-0.05, 0.8),
        "surface_negative": (0.05, 0.95),
        "surface_positive": (0.25, 0.9),
        "mean_negative": (0.05, 0.95),
        "mean_positive": (0.25, 0.9),
        "salt_negative": (0.6, 1.4),
        "salt_deviation": (0.0, 0.2),
    }
    return OperatingHistory(
        step=step, **{name: random.uniform(*ends, (n_steps, n_cells)) for name, ends in ranges.items()}
    )


def test_film_behind_diffusing_solvent_grows_with_the_root_of_time(lgm50: CellModel, okane: AgeingModel) -> None:
    warm = 318.15
    trajectory = age_along(okane, lgm50, hold(600, step=3600.0, temperature=warm), sample_every=600)

    sei = okane.sei
    factor = np.exp(sei.activation_energy / GAS_CONSTANT * (1.0 / 298.15 - 1.0 / warm))
    constant = sei.diffusivity * sei.concentration * sei.partial_molar_volume / sei.lithium_ratio * factor
    expected = np.sqrt(sei.initial_thickness**2 + 2.0 * constant * 600 * 3600.0)
    np.testing.assert_allclose(trajectory.states[-1].sei_thickness, expected, rtol=1e-4)


def test_film_of_ethylene_carbonate_follows_its_quadratic(lgm50: CellModel) -> None:
    model = ageing_model("okane_2022", sei="ec reaction limited", plating="none", loss="none")
    trajectory = age_along(model, lgm50, hold(2000, step=360.0), sample_every=2000)

    sei = model.sei
    speed = sei.rate_constant * np.exp(-0.5 * FARADAY / (GAS_CONSTANT * 298.15) * (0.12 - 0.4))
    drag, growth = speed / sei.diffusivity, sei.concentration * speed * sei.partial_molar_volume * 2000 * 360.0
    begin = sei.initial_thickness + 0.5 * drag * sei.initial_thickness**2
    expected = (np.sqrt(1.0 + 2.0 * drag * (begin + growth)) - 1.0) / drag
    np.testing.assert_allclose(trajectory.states[-1].sei_thickness, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("sei", "plating", "loss"),
    [
        ("solvent-diffusion limited", "partially reversible", "stress-driven"),
        ("ec reaction limited", "irreversible", "stress and reaction-driven"),
    ],
)
def test_every_ion_that_leaves_the_negative_particles_is_found_again(
    lgm50: CellModel, sei: str, plating: str, loss: str
) -> None:
    model = ageing_model("okane_2022", sei=sei, plating=plating, loss=loss)
    if "reaction" in loss:
        model = replace(model, loss_negative=replace(model.loss_negative, reaction_factor=1e-5))
    scale = np.linspace(0.5, 2.0, 11)

    trajectory = age_along(model, lgm50, wander(400, 11, step=20.0), capacity_scale=scale, sample_every=50)

    for state, charge in zip(trajectory.states, trajectory.side_charge, strict=True):
        found = lithium_loss(model, lgm50, state, scale).side_reactions
        np.testing.assert_allclose(found, charge, rtol=1e-9, atol=1e-12)
    assert (trajectory.states[-1].active_negative < 1.0).all()


def test_lithium_within_lost_active_material_is_what_it_held(lgm50: CellModel, okane: AgeingModel) -> None:
    strained = hold(100, step=10.0, surface_negative=0.45, surface_positive=0.55)
    trajectory = age_along(okane, lgm50, strained, sample_every=100)

    end = trajectory.states[-1]
    loss = okane.loss_negative
    stress = 0.05 * lgm50.negative.maximum_concentration * loss.stress_coefficient
    rate = loss.stress_rate * stress**2 / lgm50.negative.active_fraction
    np.testing.assert_allclose(1.0 - end.active_negative, rate * 1000.0, rtol=1e-9)
    assert end.active_positive[0] == 1.0  # pressed, not torn
    held = 0.5 * host_capacity(lgm50, "negative") * (1.0 - end.active_negative)
    np.testing.assert_allclose(end.lost_lithium, held, rtol=1e-9)


def test_current_driven_loss_is_proportional_to_the_current_and_the_time(lgm50: CellModel) -> None:
    loss = LossModel(current_rate=1e-10, current_activation_energy=3e4)
    model = AgeingModel(name="current", loss_positive=loss)
    warm = 313.15
    history = hold(50, 2, step=20.0, current=np.array([5.0, -10.0]), temperature=warm)
    end = age_along(model, lgm50, history, capacity_scale=[1.0, 2.0], sample_every=50).states[-1]

    factor = np.exp(3e4 / GAS_CONSTANT * (1.0 / 298.15 - 1.0 / warm))
    rate = 1e-10 * 5.0 / lgm50.electrode_area / lgm50.positive.active_fraction * factor
    np.testing.assert_allclose(1.0 - end.active_positive, rate * 1000.0, rtol=1e-8)


def test_reversible_plating_comes_to_its_equilibrium_whatever_the_step(lgm50: CellModel) -> None:
    plating = PlatingModel(kind="reversible", plating_rate=1e-9, stripping_rate=1e-9, transfer_coefficient=0.65)
    model = AgeingModel(name="plating", plating=plating)
    ends = [
        age_along(model, lgm50, hold(steps, step=step), sample_every=steps).states[-1].plated_lithium[0]
        for step, steps in ((10.0, 2000), (1000.0, 200))
    ]

    salt = lgm50.electrolyte_concentration * np.exp(-FARADAY / (GAS_CONSTANT * 298.15) * 0.12)
    volume = lgm50.negative.thickness * lgm50.electrode_area
    np.testing.assert_allclose(ends, salt * FARADAY * volume / SECONDS_PER_HOUR, rtol=1e-4)


def test_lithium_dies_and_is_never_stripped_where_plating_is_irreversible(lgm50: CellModel) -> None:
    model = ageing_model("okane_2022", sei="ec reaction limited", plating="irreversible", loss="none")
    trajectory = age_along(model, lgm50, hold(1000, step=10.0, potential_negative=0.05), sample_every=100)

    dead = np.array([state.dead_lithium[0] for state in trajectory.states])
    assert (np.diff(dead) > 0.0).all()
    assert all(state.plated_lithium[0] == 0.0 for state in trajectory.states)


def test_larger_cells_age_alike_and_by_larger_amounts(lgm50: CellModel, okane: AgeingModel) -> None:
    history = hold(200, 2, step=10.0, current=np.array([-5.0, -15.0]), potential_negative=0.02)
    scale = np.array([1.0, 3.0])
    trajectory = age_along(okane, lgm50, history, capacity_scale=scale, sample_every=200)

    state, loss = trajectory.states[-1], lithium_loss(okane, lgm50, trajectory.states[-1], scale)
    np.testing.assert_allclose(state.sei_thickness[1], state.sei_thickness[0], rtol=1e-12)
    np.testing.assert_allclose(loss.total[1], 3.0 * loss.total[0], rtol=1e-9)
    np.testing.assert_allclose(trajectory.film_resistance[-1, 0], 3.0 * trajectory.film_resistance[-1, 1], rtol=1e-9)


def test_uneven_salt_draws_plating_to_where_it_gathers(lgm50: CellModel, okane: AgeingModel) -> None:
    history = hold(10, 2, step=10.0, potential_negative=0.02, salt_deviation=np.array([0.0, 0.2]))
    state = age_along(okane, lgm50, history).states[-1]

    assert state.plated_lithium[1] > 1.05 * state.plated_lithium[0]


def test_film_and_contact_growth_resist_as_the_state_says(lgm50: CellModel, okane: AgeingModel) -> None:
    model = replace(okane, contact_growth=0.2)
    scale = np.array([0.8, 1.0, 1.3])
    trajectory = age_along(model, lgm50, wander(100, 3, step=60.0), capacity_scale=scale, sample_every=100)

    expected = [film_resistance(model, lgm50, state, scale) for state in trajectory.states]
    np.testing.assert_allclose(trajectory.film_resistance, expected, rtol=1e-9)
    assert (trajectory.film_resistance[-1] > trajectory.film_resistance[0]).all()


def test_a_new_cell_has_the_capacity_of_its_type(lgm50: CellModel, okane: AgeingModel) -> None:
    scale = np.array([0.9, 1.0])
    state = new_ageing_state(okane, lgm50, scale)
    loss = lithium_loss(okane, lgm50, state, scale)

    np.testing.assert_allclose(remaining_capacity(lgm50, state, loss, scale), lgm50.capacity * scale, rtol=2e-4)


def test_capacity_falls_by_nearly_the_lithium_that_is_lost(lgm50: CellModel, okane: AgeingModel) -> None:
    state = replace(new_ageing_state(okane, lgm50, ONE), dead_lithium=np.array([0.3]))
    loss = lithium_loss(okane, lgm50, state, ONE)

    fall = lgm50.capacity - remaining_capacity(lgm50, state, loss, ONE)

    assert 0.24 < fall[0] <= 0.3


def test_stress_drives_diffusion_by_the_factor_of_ai(lgm50: CellModel, okane: AgeingModel) -> None:
    coupled = couple_diffusion(lgm50, okane)

    for side in ("negative", "positive"):
        electrode, before, loss = getattr(coupled, side), getattr(lgm50, side), getattr(okane, f"loss_{side}")
        s = np.linspace(0.05, 0.95, 7)
        modulus = 2.0 * loss.partial_molar_volume * loss.young_modulus / (9.0 * (1.0 - loss.poisson_ratio))
        theta = loss.partial_molar_volume * modulus / (GAS_CONSTANT * 298.15)
        expected = 1.0 + theta * s * electrode.maximum_concentration
        ratio = evaluate_cubic_table(electrode.diffusivity, s) / evaluate_cubic_table(before.diffusivity, s)
        np.testing.assert_allclose(ratio, expected, rtol=1e-6)
        warmth = 1000.0 * (1.0 / 298.15 - 1.0 / 318.15) ** np.arange(1.0, 2.0)
        gain = np.exp(
            (electrode.diffusivity_temperature - before.diffusivity_temperature) @ (warmth ** np.arange(1, 4))
        )
        warm = (1.0 + 0.5 * theta * electrode.maximum_concentration * 298.15 / 318.15) / (
            1.0 + 0.5 * theta * electrode.maximum_concentration
        )
        np.testing.assert_allclose(gain, warm, rtol=1e-4)
    assert coupled.hash != lgm50.hash
    assert couple_diffusion(lgm50, replace(okane, stress_diffusion=False)) is lgm50


def test_gradients_agree_with_finite_differences(lgm50: CellModel, okane: AgeingModel) -> None:
    import warp as wp

    point = {"current": -5.0, "potential_negative": 0.05, "surface_negative": 0.45, "temperature": 303.0}

    def outcome(values: dict[str, float], *, backward: bool) -> tuple[float, dict[str, float]]:
        grid = Grid(1, 1, lane_functions(1, backward=backward), "cpu", gradient=backward)
        ageing = CellAgeing(okane, lgm50, grid, negative_nodes=2)
        names = ("temperature", "current", "potential_negative", "surface_negative", "surface_positive")
        fields = {
            name: CellField(grid, fill=values.get(name, 0.5)) for name in (*names, "mean_negative", "mean_positive")
        }
        salt = CellField(grid, rows=2)
        salt.write(np.array([[0.9], [1.1]]))
        begin = ageing.state(ONE)
        rows = [begin] + [CellField(grid, rows=6) for _ in range(3)]
        outputs = [[CellField(grid) for _ in range(4)] for _ in range(3)]
        tape = wp.Tape()
        with tape:
            for before, after, out in zip(rows[:-1], rows[1:], outputs, strict=True):
                ageing.launch(
                    TapedLauncher("cpu"),
                    600.0,
                    CellField(grid, fill=1.0),
                    fields["temperature"],
                    fields["current"],
                    fields["potential_negative"],
                    fields["surface_negative"],
                    fields["surface_positive"],
                    fields["mean_negative"],
                    fields["mean_positive"],
                    salt,
                    before,
                    after,
                    out[0],
                    out[1],
                    out[2],
                    out[3],
                )
        end = rows[-1].read()[:, 0]
        weights = np.array([1e8, 1e2, 1e4, 1e4, 1e4, 1e3])
        if backward:
            seed = wp.array(weights.reshape(6, 1), dtype=wp.float64)
            tape.backward(grads={rows[-1].flat: seed})
        slopes = {name: float(field.flat.grad.numpy()[0]) for name, field in fields.items()} if backward else {}
        return float(weights @ end), slopes

    _, slopes = outcome(point, backward=True)
    for name, value in point.items():
        step = 1e-4 * abs(value)
        above, below = (outcome({**point, name: value + sign * step}, backward=False)[0] for sign in (1.0, -1.0))
        difference = (above - below) / (2.0 * step)
        np.testing.assert_allclose(slopes[name], difference, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("part", "changes", "named"),
    [
        (SeiModel, {"kind": "tunnelling limited"}, "kind = 'tunnelling limited'"),
        (SeiModel, {"kind": "ec reaction limited", "diffusivity": 1e-18, "concentration": 4541.0}, "rate_constant"),
        (PlatingModel, {"kind": "reversible", "plating_rate": 1e-9}, "stripping_rate"),
        (LossModel, {"poisson_ratio": 0.5}, "poisson_ratio"),
        (LossModel, {"critical_stress": 0.0}, "critical_stress"),
    ],
)
def test_ageing_models_name_what_is_not_physical(part: Any, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        part(**changes)


def test_ageing_state_names_the_cell_that_is_not_physical(lgm50: CellModel, okane: AgeingModel) -> None:
    rows = new_ageing_state(okane, lgm50, np.ones(3)).rows()
    rows[3, 1] = 1.5

    with pytest.raises(ModelError, match=r"cell 1: active_negative = 1\.5"):
        AgeingState.of(rows)
