"""The filter of the groups, on cells whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.estimation import FilterSettings, OcvTable
from celltwin.estimation.group_filter import CAPACITY_FACTOR, SOC, correct_groups, predict_groups, start_groups

SETTINGS = FilterSettings(capacity=2.0, resistance=0.04)
STEP = 10.0  # s


def simulate(curve: OcvTable, soc: float, currents: np.ndarray, rng: np.random.Generator, n: int = 50):
    """Yield current, voltages and true state of charge of n cells whose curve, resistance and capacity differ."""
    soc = np.full(n, soc)
    capacity = 2.0 * (1.0 + 0.04 * rng.standard_normal(n))
    resistance = 0.04 * (1.0 + 0.2 * rng.standard_normal(n))
    phase = rng.uniform(0.0, 2.0 * np.pi, n)
    slow = np.zeros(n)
    for current in currents:
        soc = soc - current * STEP / 3600.0 / capacity
        fading = np.exp(-STEP / 90.0)
        slow = fading * slow + (1.0 - fading) * 0.5 * resistance * current
        error = 0.012 * np.sin(8.0 * soc + phase)  # the curve in use is wrong by some millivolts
        noise = 0.001 * rng.standard_normal(n)
        yield current, curve.evaluate(soc)[0] + error - slow - resistance * current + noise, soc


def drive_cycle(rng: np.random.Generator, steps: int) -> np.ndarray:
    return np.repeat(rng.uniform(-0.6, 2.4, steps // 6 + 1), 6)[:steps]


def test_curve_is_inverted_exactly(curve):
    soc = np.linspace(0.0, 1.0, 37)

    np.testing.assert_allclose(curve.invert(curve.evaluate(soc)[0]), soc, atol=1e-9)


def test_a_falling_curve_is_refused():
    with pytest.raises(ModelError, match="does not rise"):
        OcvTable.from_samples(np.linspace(0, 1, 50), np.linspace(4.0, 3.0, 50), "wrong")


def test_without_voltages_the_filter_counts_charge(curve):
    state = start_groups(SETTINGS, curve, np.array([3.8]), np.zeros(1), np.full(1, 0.001))
    before = state.mean[0, SOC]
    for _ in range(36):
        state = predict_groups(state, SETTINGS, curve, np.array([2.0]), np.zeros(1), STEP)

    assert state.mean[0, SOC] == pytest.approx(before - 0.1, abs=1e-9)  # 1C for 360 s


def test_counting_with_an_uncertain_current_grows_the_uncertainty_by_its_offset(curve):
    settings = FilterSettings(capacity=2.0, resistance=0.04, capacity_spread=0.0)
    state = start_groups(settings, curve, np.array([3.8]), np.zeros(1), np.full(1, 0.001))
    before = state.covariance[0, SOC, SOC]
    for _ in range(360):
        state = predict_groups(state, settings, curve, np.zeros(1), np.array([0.02]), STEP)

    assert np.sqrt(state.covariance[0, SOC, SOC] - before) == pytest.approx(0.01)  # 0.02 A for 1 h in 2 A.h


def test_it_converges_from_a_wrong_start_and_its_interval_covers_the_truth(curve):
    rng = np.random.default_rng(3)
    wrong = start_groups(SETTINGS, curve, np.full(50, 3.6), np.full(50, 2.0), np.full(50, 0.001))
    state, inside, errors = wrong, [], []
    for step, (current, voltage, soc) in enumerate(simulate(curve, 0.9, drive_cycle(rng, 720), rng)):
        flow = np.full(50, current)
        state = predict_groups(state, SETTINGS, curve, flow, np.full(50, 0.003), STEP)
        state = correct_groups(state, SETTINGS, curve, voltage, flow, np.full(50, 0.001))
        if step > 120:
            errors.append(state.soc - soc)
            inside.append(np.abs(errors[-1]) <= 1.96 * np.hypot(state.deviation(SOC), SETTINGS.soc_uncertainty))

    assert np.abs(wrong.soc[0] - 0.9) > 0.3
    assert np.sqrt(np.mean(np.square(errors))) < 0.03
    assert np.mean(inside) >= 0.95


def test_it_finds_the_capacity_of_a_cell_that_lost_a_fifth(curve):
    settings = FilterSettings(capacity=2.5, resistance=0.04, ocv_uncertainty=0.003)
    rng = np.random.default_rng(5)
    state = None
    currents = np.concatenate([np.zeros(6), np.full(600, 1.0)])
    for current, voltage, _ in simulate(curve, 1.0, currents, rng, n=1):
        flow = np.array([current])
        if state is None:
            state = start_groups(settings, curve, voltage, flow, np.full(1, 0.001))
        state = predict_groups(state, settings, curve, flow, np.zeros(1), STEP)
        state = correct_groups(state, settings, curve, voltage, flow, np.full(1, 0.001))

    assert 2.5 / state.mean[0, CAPACITY_FACTOR] == pytest.approx(2.0, rel=0.06)
    assert state.deviation(CAPACITY_FACTOR)[0] < 0.8 * settings.capacity_spread


def test_repeating_one_voltage_does_not_average_the_error_of_the_curve_away(curve):
    state = start_groups(SETTINGS, curve, np.array([3.8]), np.zeros(1), np.full(1, 0.001))
    for _ in range(1000):
        state = predict_groups(state, SETTINGS, curve, np.zeros(1), np.zeros(1), STEP)
        state = correct_groups(state, SETTINGS, curve, np.array([3.8]), np.zeros(1), np.full(1, 0.001))

    slope = curve.evaluate(state.soc)[1][0]
    assert state.deviation(SOC)[0] >= 0.95 * SETTINGS.ocv_uncertainty / slope


def test_a_flat_curve_gives_a_wider_uncertainty_than_a_steep_one():
    grid = np.linspace(0.0, 1.0, 401)
    flat = OcvTable.from_samples(grid, 3.3 + 0.05 * grid, "flat")
    steep = OcvTable.from_samples(grid, 3.0 + 1.0 * grid, "steep")
    deviation = [
        start_groups(SETTINGS, curve, curve.evaluate(np.array([0.5]))[0], np.zeros(1), np.full(1, 0.001)).deviation(SOC)
        for curve in (flat, steep)
    ]

    assert deviation[0][0] > 10.0 * deviation[1][0]


def test_a_start_under_load_is_less_certain_than_one_at_rest(curve):
    rest, load = (
        start_groups(SETTINGS, curve, np.array([3.7]), np.array([current]), np.full(1, 0.001)).deviation(SOC)[0]
        for current in (0.0, 4.0)
    )

    assert load > 2.0 * rest


def test_one_wrong_voltage_moves_the_state_of_charge_by_little(curve):
    state = start_groups(SETTINGS, curve, np.array([3.8]), np.zeros(1), np.full(1, 0.001))
    for _ in range(20):
        state = correct_groups(state, SETTINGS, curve, np.array([3.8]), np.zeros(1), np.full(1, 0.001))
    hit = correct_groups(state, SETTINGS, curve, np.array([2.8]), np.zeros(1), np.full(1, 0.001))

    assert abs(hit.soc[0] - state.soc[0]) < 0.05
    assert hit.surprise[0] > 20.0


def test_missing_values_leave_the_belief_as_it_is(curve):
    state = start_groups(SETTINGS, curve, np.array([3.8, 3.9]), np.zeros(2), np.full(2, 0.001))
    for voltage, current in ((np.nan, 1.0), (3.7, np.nan)):
        after = correct_groups(state, SETTINGS, curve, np.full(2, voltage), np.full(2, current), np.full(2, 0.001))
        np.testing.assert_array_equal(after.mean, state.mean)
        np.testing.assert_array_equal(after.covariance, state.covariance)


def test_covariance_stays_positive_over_a_long_drive(curve):
    rng = np.random.default_rng(11)
    state = start_groups(SETTINGS, curve, np.full(4, 4.1), np.zeros(4), np.full(4, 0.001))
    for current, voltage, _ in simulate(curve, 0.95, drive_cycle(rng, 2000) * 0.3, rng, n=4):
        flow = np.full(4, current)
        state = predict_groups(state, SETTINGS, curve, flow, np.full(4, 0.01), STEP)
        state = correct_groups(state, SETTINGS, curve, voltage, flow, np.full(4, 0.001))

    assert np.isfinite(state.mean).all()
    assert np.linalg.eigvalsh(state.covariance).min() > -1e-12
