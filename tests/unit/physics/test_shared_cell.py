"""Finite volumes of a particle, the mean of a diffusivity between two of them, and which laws a cell type has."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.physics.engine import build_cell_model
from celltwin.physics.engine.cell_laws import CellLawChoices, make_cell_laws
from celltwin.physics.engine.lanes import lane_functions
from celltwin.physics.engine.property_fit import evaluate_cubic_table
from celltwin.physics.engine.shared_cell import choose_laws, integral_table, particle_shells


@pytest.fixture(scope="module")
def steep_table() -> np.ndarray:
    """A diffusivity with a valley a hundredfold deep, as cubics that meet with their slopes."""
    knots = np.linspace(0.0, 1.0, 65)
    bump = np.exp(-(((knots - 0.3) / 0.05) ** 2))
    value = 1e-14 * np.exp(-4.6 * bump)
    slope = value * 4.6 * bump * 2.0 * (knots - 0.3) / 0.05**2 / 64.0
    rise, before, after = np.diff(value), slope[:-1], slope[1:]
    return np.stack([value[:-1], before, 3.0 * rise - 2.0 * before - after, before + after - 2.0 * rise], axis=1)


@pytest.mark.parametrize("shells", [2, 3, 11, 60])
def test_shells_fill_the_particle_and_are_exact_for_a_steady_parabola(shells):
    particle = particle_shells(shells)
    assert particle.volumes.sum() == pytest.approx(1.0, abs=1e-14)
    # s = r^2 loses 2 D everywhere: from the particle's faces flow 6 D times the volume within
    radius = np.concatenate([[0.0], np.cumsum(particle.volumes)]) ** (1.0 / 3.0)
    mean_square = 0.6 * np.diff(radius**5) / particle.volumes
    within = np.cumsum(particle.volumes)[:-1]
    np.testing.assert_allclose(particle.conductances * np.diff(mean_square), 6.0 * within, rtol=1e-9)
    assert mean_square[-1] + 2.0 * particle.surface_gap == pytest.approx(1.0, abs=1e-12)


def test_shells_grow_thinner_towards_the_surface():
    thickness = np.diff(np.concatenate([[0.0], np.cumsum(particle_shells(11).volumes)]) ** (1.0 / 3.0))
    assert np.all(np.diff(thickness) < 0.0)
    assert thickness[-1] == pytest.approx(1.0 / 121.0, rel=1e-9)


def test_laws_are_the_simplest_that_hold_for_the_cell():
    model = build_cell_model("Chen2020")
    simple = CellLawChoices(
        constant_diffusivity=(True, True),
        constant_transference=True,
        constant_exchange=(True, True),
        square_root_kinetics=True,
    )
    assert choose_laws(model, heat_of_mixing=False) == simple
    assert choose_laws(model, heat_of_mixing=True) == replace(simple, heat_of_mixing=True)

    tilted = (
        model.positive.exchange_current * np.linspace(0.9, 1.1, len(model.positive.exchange_current))[:, np.newaxis]
    )
    positive = replace(
        model.positive, constant_diffusivity=False, exchange_current=tilted, exchange_current_exponent=0.4
    )
    transference = model.transference.copy()
    transference[1, 0] = 0.01
    assert choose_laws(replace(model, positive=positive, transference=transference), heat_of_mixing=False) == (
        CellLawChoices(constant_diffusivity=(True, False), constant_exchange=(True, False))
    )


def test_integral_of_a_table_is_exact_at_the_ends_of_its_intervals(steep_table):
    integral = integral_table(steep_table)
    points, weights = np.polynomial.legendre.leggauss(4)
    inside = (np.arange(64)[:, np.newaxis] + 0.5 * (points + 1.0)) / 64.0
    shares = evaluate_cubic_table(steep_table, inside.ravel()).reshape(inside.shape) @ weights / 128.0
    np.testing.assert_allclose(integral[:, 0], np.concatenate([[0.0], np.cumsum(shares)[:-1]]), rtol=1e-12)
    np.testing.assert_allclose(integral.sum(axis=1), np.cumsum(shares), rtol=1e-12)
    np.testing.assert_allclose(64.0 * integral[:, 1], steep_table[:, 0], rtol=1e-12)


def test_mean_diffusivity_is_that_of_the_integral_and_never_lost_between_close_places(steep_table):
    import warp as wp

    lanes = lane_functions(1)
    diffusivity = make_cell_laws(lanes, CellLawChoices()).diffusivity_negative
    vector = lanes.vector

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def average(
        table: wp.array2d(dtype=wp.float64),
        here: wp.array(dtype=vector),
        there: wp.array(dtype=vector),
        mean: wp.array(dtype=vector),
    ):
        b = wp.tid()
        mean[b] = diffusivity(table, vector(wp.float64(2.0)), here[b], there[b])

    knot = 19.0 / 64.0
    pairs = [
        (0.1, 0.7),
        (0.7, 0.1),
        (0.25, 0.35),
        (0.4, 0.4),
        (knot, knot),
        (knot - 1e-9, knot + 1e-9),
        (knot - 1e-5, knot + 1e-5),
        (0.0, 1.0),
        (1.0, 1.0),
        (0.9, 1.3),
        (-0.2, -0.1),
    ]
    means = wp.zeros(len(pairs), dtype=vector, device="cpu")
    ends = [wp.array(np.array([[pair[side]] for pair in pairs]), dtype=vector, device="cpu") for side in (0, 1)]
    table = wp.array(integral_table(steep_table), dtype=wp.float64, device="cpu")
    wp.launch(average, dim=len(pairs), inputs=[table, *ends], outputs=[means], device="cpu")
    for (here, there), mean in zip(pairs, means.numpy()[:, 0], strict=True):
        places = np.clip(here, 0.0, 1.0) + np.diff(np.clip([here, there], 0.0, 1.0)) * (np.arange(20000) + 0.5) / 20000
        # the integral's cubics follow those of the diffusivity within a per cent, exactly from knot to knot
        assert mean == pytest.approx(2.0 * np.mean(evaluate_cubic_table(steep_table, places)), rel=0.02)
