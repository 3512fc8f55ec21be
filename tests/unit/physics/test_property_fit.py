"""Polynomials and tables of cell properties: exact where they can be, monotone where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics.engine.property_fit import (
    PropertyScale,
    build_cubic_table,
    evaluate_cubic_table,
    evaluate_property,
    evaluate_temperature_factor,
    extend_falling,
    fit_power_law,
    fit_property,
    fit_temperature_factor,
    refine_cubic_table,
)

SCALE = PropertyScale(concentration=1000.0, temperature=298.15)
PLACE = np.linspace(0.0, 1.0, 4001)


def samples():
    grid = np.meshgrid(np.linspace(100.0, 3000.0, 30), np.linspace(253.15, 333.15, 15), indexing="ij")
    return tuple(axis.reshape(-1) for axis in grid)


def test_polynomial_over_concentration_times_arrhenius_is_fitted_exactly():
    concentration, temperature = samples()
    xi = concentration / 1000.0 - 1.0
    values = 0.3 - 0.2 * xi + 0.05 * xi**3 + 17000.0 / 8.314 * (1.0 / 298.15 - 1.0 / temperature)

    coefficients, errors = fit_property(SCALE, concentration, temperature, values)

    assert np.abs(errors).max() < 1e-10
    again = evaluate_property(coefficients, SCALE, concentration, temperature)
    np.testing.assert_allclose(again, values, atol=1e-10)


def test_reweighting_levels_the_errors():
    concentration, temperature = samples()
    values = np.abs(concentration / 1000.0 - 1.0)  # no polynomial

    _, errors = fit_property(SCALE, concentration, temperature, values)

    basis = np.vander((concentration - 1550.0) / 1450.0, 6)
    squares = basis @ np.linalg.lstsq(basis, values, rcond=None)[0] - values
    assert np.abs(errors).max() < 0.8 * np.abs(squares).max()


def test_important_samples_are_met_more_closely():
    concentration, temperature = samples()
    values = np.abs(concentration / 1000.0 - 1.0)
    near = np.abs(concentration - 1000.0) < 150.0

    _, errors = fit_property(SCALE, concentration, temperature, values, importance=np.where(near, 20.0, 1.0))

    assert np.abs(errors[near]).max() < 0.2 * np.abs(errors[~near]).max()


def test_arrhenius_factor_is_one_term():
    temperature = np.linspace(253.15, 373.15, 21)
    factor = np.exp(35000.0 / 8.314 * (1.0 / 298.15 - 1.0 / temperature))

    coefficients, worst = fit_temperature_factor(SCALE, temperature, factor[:, np.newaxis])

    np.testing.assert_allclose(coefficients, [35.0 / 8.314, 0.0, 0.0], atol=1e-9)
    assert worst < 1e-10
    np.testing.assert_allclose(evaluate_temperature_factor(coefficients, SCALE, temperature), factor, rtol=1e-10)


def test_factor_that_is_not_common_shows_in_the_error():
    temperature = np.linspace(253.15, 373.15, 21)
    theta = SCALE.scaled_temperature(temperature)
    two = np.exp(np.stack([4.0 * theta, 4.4 * theta], axis=1))

    _, worst = fit_temperature_factor(SCALE, temperature, two)

    assert worst == pytest.approx(np.expm1(0.2 * np.abs(theta).max()), rel=0.05)


def test_power_law_gives_its_exponent():
    exponent, worst = fit_power_law(np.geomspace(300.0, 2500.0, 20), 3.0 * np.geomspace(300.0, 2500.0, 20) ** 0.208)

    assert exponent == 0.208
    assert worst < 1e-12


def test_cubic_is_reproduced_by_its_table():
    table = build_cubic_table(lambda s: 1.0 - 2.0 * s + 3.0 * s**2 - s**3, 7)

    np.testing.assert_allclose(
        evaluate_cubic_table(table, PLACE), 1.0 - 2.0 * PLACE + 3.0 * PLACE**2 - PLACE**3, atol=1e-8
    )


def test_table_converges_with_the_fourth_power_of_its_intervals():
    errors = [
        np.abs(evaluate_cubic_table(build_cubic_table(lambda s: np.tanh(8.0 * (s - 0.4)), n), PLACE) - expected).max()
        for n, expected in ((32, np.tanh(8.0 * (PLACE - 0.4))), (64, np.tanh(8.0 * (PLACE - 0.4))))
    ]

    assert 12.0 < errors[0] / errors[1] < 20.0


def test_slope_is_continuous_across_nodes():
    table = build_cubic_table(lambda s: np.exp(-30.0 * s) + np.sin(9.0 * s), 64)

    after = table[1:, 1]
    before = table[:-1, 1] + 2.0 * table[:-1, 2] + 3.0 * table[:-1, 3]
    np.testing.assert_allclose(before, after, atol=1e-12)


def test_steep_ends_stay_monotone_within_and_beyond():
    def potential(s):
        return np.exp(-7000.0 * s) - 0.1 * s - np.exp(-7000.0 * (1.0 - s))

    table = build_cubic_table(potential, 256, monotone=True)

    values = evaluate_cubic_table(table, np.linspace(-0.02, 1.02, 20001))
    assert np.all(np.diff(values) < 0.0)


def test_refinement_stops_at_the_tolerance():
    found = refine_cubic_table(
        lambda s: np.exp(-200.0 * s), tolerance=1e-5, window=(0.0, 1.0), sizes=(64, 256, 1024, 4096)
    )

    assert found.coefficients.shape[0] == 1024
    assert found.worst < 1e-5


def test_a_pole_beyond_the_window_becomes_a_falling_line():
    def with_pole(s):
        return 4.0 - s + 0.001 / (s - 0.20013)

    extended, kept = extend_falling(with_pole, (0.4, 0.9))

    values = extended(PLACE)
    assert np.isfinite(values).all()
    assert np.all(np.diff(values) < 0.0)
    assert 0.2 < kept[0] < 0.4
    assert kept[1] == 1.0
    inside = (kept[0] <= PLACE) & (kept[1] >= PLACE)
    np.testing.assert_array_equal(values[inside], with_pole(PLACE[inside]))
