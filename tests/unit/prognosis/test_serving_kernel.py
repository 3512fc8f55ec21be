"""The compiled kernel of the surrogate: the answers of its torch module, lane by lane, and what it leaves alone."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from celltwin.prognosis.surrogate import CellInputs, CellSurrogate, cell_tensors
from celltwin.prognosis.surrogate.bundle_kernel import LANES
from celltwin.prognosis.surrogate.serving_kernel import SHOWN, STEPS_AT_ONCE, ServingKernel
from celltwin.prognosis.surrogate.surrogate_folder import default_surrogate_folder, read_surrogate
from celltwin.prognosis.surrogate.surrogate_module import build_surrogate
from celltwin.prognosis.surrogate.surrogate_network import plain_network
from celltwin.prognosis.surrogate.surrogate_numbers import N_INPUTS, N_OUTPUTS

# What single precision leaves of each in 130 steps.
ERRORS = {
    "voltage": 1e-5,
    "temperature": 1e-4,
    "negative_surface": 1e-6,
    "positive_surface": 3e-7,
    "anode_potential": 1e-5,
    "heat": 1e-5,
}
N_STEPS = 2 * STEPS_AT_ONCE + 10


def unlike_cells(n_cells, seed=0):
    random = np.random.default_rng(seed)
    return CellInputs(
        capacity_factor=random.uniform(0.8, 1.0, n_cells),
        resistance_factor=random.uniform(0.7, 3.0, n_cells),
        diffusivity_factor=random.uniform(0.6, 1.6, n_cells),
        conductance=random.uniform(0.03, 0.2, n_cells),
        ambient=random.uniform(285.0, 310.0, n_cells),
        soc=random.uniform(0.3, 0.7, n_cells),
        temperature=random.uniform(288.0, 312.0, n_cells),
    )


def drawn_currents(n_cells, seed=1):
    random = np.random.default_rng(seed)
    mean = np.repeat(random.uniform(-2.0, 2.5, (N_STEPS // 10, n_cells)), 10, axis=0)
    return mean, mean + random.normal(0.0, 0.2, mean.shape)


def answers_of(module, inputs, current, current_end, period=10.0):
    import torch

    currents = torch.as_tensor(current), torch.as_tensor(current_end)
    with torch.inference_mode():
        return module.double()(cell_tensors(inputs, torch.float64), *currents, period=period)[0]


@pytest.mark.parametrize(("n_cells", "period"), [(2 * LANES, 10.0), (LANES + 3, 4.0), (1, 10.0)])
def test_the_kernel_answers_as_the_torch_module_does_in_double_precision(n_cells, period):
    surrogate = CellSurrogate()
    inputs, (current, current_end) = unlike_cells(n_cells), drawn_currents(n_cells)

    course = surrogate.simulate(inputs, current, current_end, period=period, keep_untrusted=True)

    exact = answers_of(surrogate.module, inputs, current, current_end, period)
    for name, error in ERRORS.items():
        np.testing.assert_allclose(getattr(course, name), getattr(exact, name), rtol=0.0, atol=error, err_msg=name)
    np.testing.assert_allclose(course.soc, exact.soc, atol=1e-6)
    np.testing.assert_array_equal(course.trusted, exact.trusted)
    assert course.trusted[0].all()


def test_flags_are_those_of_the_torch_module_and_hide_numbers_of_their_cell_alone():
    surrogate = CellSurrogate()
    inputs = unlike_cells(LANES + 2)
    current, current_end = drawn_currents(LANES + 2)
    current[40:, 3] = current_end[40:, 3] = -9.0
    current[:, LANES + 1] = current_end[:, LANES + 1] = 4.0

    course = surrogate.simulate(inputs, current, current_end)
    kept = surrogate.simulate(inputs, current, current_end, keep_untrusted=True)

    expected = answers_of(surrogate.module, inputs, current, current_end).trusted
    np.testing.assert_array_equal(course.trusted, expected)
    assert course.trusted[39, 3]
    assert not course.trusted[40:, 3].any()
    assert not course.trusted[-1, LANES + 1]
    assert course.trusted[:, :3].all()
    for name in SHOWN:
        np.testing.assert_array_equal(getattr(course, name), np.where(course.trusted, getattr(kept, name), np.nan))


def test_deeper_and_narrower_networks_are_served_too():
    _, laws, _, territory = read_surrogate(default_surrogate_folder())
    random = np.random.default_rng(3)
    sizes = (N_INPUTS, 6, 5, N_OUTPUTS - 8)
    layers = {}
    for number, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers[f"weight_{number}"] = random.normal(0.0, n_in**-0.5, (n_out, n_in)).astype(np.float32)
        layers[f"bias_{number}"] = random.normal(0.0, 0.1, n_out).astype(np.float32)
    inputs, (current, current_end) = unlike_cells(5), drawn_currents(5)
    within = np.ones(5, dtype=bool)

    kernel = ServingKernel(laws, layers, territory)
    course = kernel.run(inputs, current, current_end, period=10.0, within=within, keep_untrusted=True)

    exact = answers_of(build_surrogate(laws, plain_network(layers), territory), inputs, current, current_end)
    for name, error in ERRORS.items():
        np.testing.assert_allclose(course.shown[name], getattr(exact, name), rtol=0.0, atol=error, err_msg=name)


def test_a_simulation_leaves_its_arguments_alone_and_repeats():
    surrogate = CellSurrogate()
    inputs, (current, current_end) = unlike_cells(LANES), drawn_currents(LANES)
    before = {field.name: getattr(inputs, field.name).copy() for field in fields(inputs)}
    given = current.copy()

    first = surrogate.simulate(inputs, current, current_end)
    again = surrogate.simulate(inputs, np.asfortranarray(current), current_end)

    for name, values in before.items():
        np.testing.assert_array_equal(getattr(inputs, name), values)
    np.testing.assert_array_equal(current, given)
    for field in fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))


@pytest.mark.parametrize("amperes", [1e30, -1e30, 1e300])
def test_currents_beyond_all_numbers_are_flagged(amperes):
    course = CellSurrogate().simulate(unlike_cells(2), np.full((8, 2), amperes))

    assert not course.trusted.any()
    assert np.isnan(course.voltage).all()
