"""The surrogate in service: what it keeps exactly, its gradients, and where it refuses to answer."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError, SettingsError, ShapeError
from celltwin.prognosis.surrogate import CellInputs, CellSurrogate, cell_tensors, default_surrogate_folder
from celltwin.prognosis.surrogate.diffusion_modes import SphereModes, eigenvalues
from celltwin.prognosis.surrogate.profiles import HELD_OUT_KINDS, PERIOD, TRAINING_KINDS, CurrentCourse, draw_course

CONDUCTANCE = 0.06  # [W/K]


@pytest.fixture(scope="module")
def surrogate():
    return CellSurrogate()


def unlike_cells(n_cells, seed=0):
    random = np.random.default_rng(seed)
    return CellInputs(
        capacity_factor=random.uniform(0.8, 1.0, n_cells),
        resistance_factor=random.uniform(0.7, 3.0, n_cells),
        diffusivity_factor=random.uniform(0.6, 1.6, n_cells),
        conductance=random.uniform(0.03, 0.2, n_cells),
        ambient=random.uniform(285.0, 310.0, n_cells),
        soc=random.uniform(0.3, 0.9, n_cells),
        temperature=random.uniform(288.0, 312.0, n_cells),
    )


def steps_of_current(n_steps, n_cells, seed=1):
    random = np.random.default_rng(seed)
    return np.repeat(random.uniform(-1.5, 2.0, (n_steps // 5, n_cells)), 5, axis=0)


def test_charge_is_counted_exactly(surrogate):
    inputs, current = unlike_cells(7), steps_of_current(90, 7)

    course = surrogate.simulate(inputs, current)

    drawn = np.cumsum(current, axis=0) * PERIOD / 3600.0 / (surrogate.laws.capacity * inputs.capacity_factor)
    np.testing.assert_allclose(course.soc, inputs.soc - drawn, atol=1e-6)


def test_a_cell_at_rest_shows_its_open_circuit_voltage_and_cools_exponentially(surrogate):
    laws = surrogate.laws
    inputs = CellInputs.uniform(3, conductance=CONDUCTANCE, soc=0.5, ambient=290.0, temperature=300.0)

    course = surrogate.simulate(inputs, np.zeros((60, 3)))

    knots = np.linspace(0.0, 1.0, laws.negative.potential.size)
    apart = course.temperature[:, 0] - laws.reference_temperature
    voltage = 0.0
    for side, sign in ((laws.positive, 1.0), (laws.negative, -1.0)):
        at = 0.5 * (side.empty + side.full)
        voltage += sign * (np.interp(at, knots, side.potential) + apart * np.interp(at, knots, side.entropic))
    time = PERIOD * np.arange(1, 61)
    np.testing.assert_allclose(course.voltage[:, 0], voltage, atol=1e-4)
    np.testing.assert_allclose(
        course.temperature[:, 1], 290.0 + 10.0 * np.exp(-CONDUCTANCE / laws.heat_capacity * time), atol=1e-3
    )
    assert course.heat == pytest.approx(0.0, abs=1e-6)


def test_the_heat_balance_closes_over_a_discharge(surrogate):
    inputs = CellInputs.uniform(1, conductance=CONDUCTANCE, soc=0.9)

    course = surrogate.simulate(inputs, np.full((180, 1), 1.9))

    before = np.concatenate([[298.15], course.temperature[:-1, 0]])
    decay = np.exp(-CONDUCTANCE * PERIOD / surrogate.laws.heat_capacity)
    aim = 298.15 + course.heat[:, 0] / CONDUCTANCE
    np.testing.assert_allclose(course.temperature[:, 0], aim + (before - aim) * decay, atol=2e-4)
    assert course.temperature[-1, 0] > 298.6


def test_resistance_and_area_act_as_physics_has_them(surrogate):
    plain = CellInputs.uniform(1, conductance=CONDUCTANCE, soc=0.7)
    current = np.full((6, 1), 1.0)

    here = surrogate.simulate(plain, current)
    resistive = surrogate.simulate(replace(plain, resistance_factor=np.array([3.0])), current)
    smaller = surrogate.simulate(replace(plain, capacity_factor=np.array([0.8])), 0.8 * current)

    drop = 2.0 * surrogate.laws.resistance
    np.testing.assert_allclose(here.voltage - resistive.voltage, drop, atol=2e-4)
    ohmic = 0.2 * surrogate.laws.resistance
    np.testing.assert_allclose(smaller.voltage - here.voltage, ohmic, atol=2e-4)


def test_a_batch_answers_as_single_cells_do(surrogate):
    inputs, current = unlike_cells(5), steps_of_current(40, 5)

    together = surrogate.simulate(inputs, current)

    for cell in range(5):
        alone = surrogate.simulate(inputs.select(np.array([cell])), current[:, [cell]])
        np.testing.assert_allclose(together.voltage[:, cell], alone.voltage[:, 0], atol=2e-5)
        np.testing.assert_allclose(together.temperature[:, cell], alone.temperature[:, 0], atol=1e-3)


def test_a_course_may_be_interrupted_and_gone_on_with(surrogate):
    import torch

    cell, current = cell_tensors(unlike_cells(4)), torch.as_tensor(steps_of_current(30, 4), dtype=torch.float32)
    with torch.inference_mode():
        whole, _ = surrogate.module(cell, current)
        first, state = surrogate.module(cell, current[:12])
        rest, _ = surrogate.module(cell, current[12:], state=state)

    np.testing.assert_allclose(whole.voltage, torch.cat([first.voltage, rest.voltage]), atol=1e-5)


def test_gradients_agree_with_differences():
    import torch

    module = CellSurrogate().module.double()
    inputs = unlike_cells(3, seed=4)
    current = torch.as_tensor(steps_of_current(20, 3, seed=5))

    def final(currents, **changes):
        cell = replace(cell_tensors(inputs, torch.float64), **changes)
        found, _ = module(cell, currents)
        return (found.voltage[-1] + 0.1 * found.temperature[-1] + found.anode_potential[-1]).sum()

    names = ("resistance_factor", "diffusivity_factor", "conductance", "capacity_factor")
    values = {name: torch.as_tensor(getattr(inputs, name)).requires_grad_() for name in names}
    currents = current.clone().requires_grad_()
    final(currents, **values).backward()

    small = 1e-6
    for name in names:
        more, less = (final(current, **{name: values[name].detach() + change}) for change in (small, -small))
        assert values[name].grad.sum() == pytest.approx(float(more - less) / (2 * small), rel=1e-3, abs=1e-6)
    for step in (3, 19):
        change = torch.zeros_like(current)
        change[step] = small
        difference = float(final(current + change) - final(current - change)) / (2 * small)
        assert currents.grad[step].sum() == pytest.approx(difference, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({}, 12.0),
        ({}, -9.0),
        ({"ambient": 240.0}, 1.0),
        ({"temperature": 345.0}, 1.0),
        ({"resistance_factor": 20.0}, 1.0),
    ],
)
def test_outside_the_training_it_gives_a_flag_and_no_number(surrogate, changes, rate):
    numbers = {"conductance": CONDUCTANCE, "soc": 0.5, **changes}
    inputs = CellInputs.uniform(2, **numbers)
    current = np.full((12, 2), 1.9 * rate)

    course = surrogate.simulate(inputs, current)

    assert not course.trusted.any()
    assert np.isnan(course.voltage).all()
    assert np.isfinite(course.soc).all()


def test_a_discharge_past_empty_loses_trust_and_does_not_win_it_back(surrogate):
    inputs = CellInputs.uniform(1, conductance=CONDUCTANCE, soc=0.2)
    current = np.concatenate([np.full((120, 1), 1.9), np.full((60, 1), -1.0)])

    course = surrogate.simulate(inputs, current)

    assert course.trusted[30, 0]
    assert not course.trusted[-1, 0]
    assert np.all(np.diff(course.trusted[:, 0].astype(int)) <= 0)


def test_bad_arguments_are_refused_with_a_reason(surrogate):
    inputs = CellInputs.uniform(2, conductance=CONDUCTANCE)
    with pytest.raises(ShapeError, match="current has shape"):
        surrogate.simulate(inputs, np.zeros(4))
    with pytest.raises(SettingsError, match="not finite"):
        surrogate.simulate(inputs, np.full((4, 2), np.nan))
    with pytest.raises(SettingsError, match="period"):
        surrogate.simulate(inputs, np.zeros((4, 2)), period=60.0)
    with pytest.raises(SettingsError, match="above 0"):
        surrogate.simulate(CellInputs.uniform(2, conductance=0.0), np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="ambient"):
        replace(inputs, ambient=np.zeros(3))


def test_a_damaged_model_is_refused(tmp_path):
    folder = tmp_path / "surrogate_9"
    shutil.copytree(default_surrogate_folder(), folder)
    numbers = bytearray((folder / "surrogate.npz").read_bytes())
    numbers[-200] ^= 1
    (folder / "surrogate.npz").write_bytes(numbers)
    with pytest.raises(ModelError, match="not what"):
        CellSurrogate(folder)
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(ModelError, match="format 99"):
        CellSurrogate(folder)
    (folder / "model.json").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        CellSurrogate(folder)


def test_filters_answer_a_step_as_diffusion_in_a_sphere_does():
    modes = SphereModes.first(5)
    exact = eigenvalues(3000) ** 2
    for time in (0.003, 0.01, 0.05, 0.3, 2.0):
        found = np.sum(modes.shares * -np.expm1(-modes.rates * time))
        series = np.sum(2.0 / exact * -np.expm1(-exact * time))
        assert found == pytest.approx(series, abs=1.5e-3)
    assert modes.shares.sum() == pytest.approx(0.2, abs=1e-12)


def test_means_of_steps_keep_the_charge_of_a_course():
    course = CurrentCourse(np.array([0.0, 13.0, 14.0, 95.0, 120.0]), np.array([1.0, 1.0, -2.0, 0.5, 3.0]))

    end, mean, last = course.rows()

    assert end[-1] == 120.0
    assert mean.sum() * PERIOD == pytest.approx(np.trapezoid(course.current, course.time))
    np.testing.assert_allclose(last, np.interp(end, course.time, course.current))


@pytest.mark.parametrize("kind", [*TRAINING_KINDS, *HELD_OUT_KINDS])
def test_courses_of_every_kind_keep_to_the_charge_that_a_cell_has(kind):
    for seed in range(12):
        random = np.random.default_rng([seed, len(kind)])
        soc = float(random.uniform(0.2, 0.9))
        course = draw_course(kind, random, capacity=1.9, soc=soc, temperature=float(random.uniform(280.0, 315.0)))
        _, mean, _ = course.rows()
        left = soc - np.cumsum(mean) * PERIOD / 3600.0 / 1.9
        assert np.all(np.diff(course.time) > 0.0)
        assert course.time[-1] % PERIOD == pytest.approx(0.0, abs=1e-9)
        assert left.min() > -0.12
        assert left.max() < 1.12


def test_an_unknown_kind_of_profile_is_refused():
    with pytest.raises(SettingsError, match="unknown"):
        draw_course("square", np.random.default_rng(0), capacity=2.0, soc=0.5, temperature=298.0)


def test_activation_energies_and_electrolyte_of_the_shipped_cell_are_those_of_its_set(surrogate):
    laws = surrogate.laws
    assert laws.negative.diffusion_energy == pytest.approx(74953.6, rel=1e-4)
    assert laws.positive.exchange_energy == pytest.approx(36177.3, rel=1e-4)
    assert 10.0 < 1.0 / laws.electrolyte_rates[0] < 60.0
