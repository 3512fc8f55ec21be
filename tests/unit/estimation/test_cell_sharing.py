"""Cells in parallel, told apart by their currents."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.estimation.cell_sharing import correct_sharing, predict_sharing, start_sharing

STEP = 10.0  # s


def test_equal_currents_leave_all_cells_alike():
    state = start_sharing(4)
    for _ in range(100):
        state = predict_sharing(state, np.full(4, 2.0), np.full(4, 2.0), 2.0, 0.005, STEP)
        state = correct_sharing(state, np.full(4, 2.0), np.full(4, 2.0), np.ones(4), np.full(4, 0.04), 0.005, STEP)

    np.testing.assert_allclose(state.distance, 0.0, atol=1e-12)
    assert np.all(state.distance_variance > 0.0)


def test_a_cell_that_takes_over_current_at_rest_is_the_fuller_one():
    # At rest nothing but the difference of open-circuit voltages drives current: U' d = r I.
    current = np.array([0.1, -0.1])
    state = correct_sharing(start_sharing(2), current, np.zeros(2), np.ones(2), np.full(2, 0.05), 0.001, STEP)

    assert state.distance == pytest.approx([0.005, -0.005], rel=0.3)


def test_smaller_cells_are_recognised_by_taking_a_smaller_share():
    capacity = np.array([1.0, 1.0, 1.0, 0.85])
    resistance, slope, soc = np.full(4, 0.04), 1.0, np.full(4, 0.9)
    state = start_sharing(4)
    for _ in range(240):
        # Currents of cells in parallel: one voltage, open-circuit voltage linear in charge.
        current = 2.0 + slope * (soc - soc.mean()) / 0.04
        soc = soc - current * STEP / 3600.0 / (2.0 * capacity)
        state = predict_sharing(state, current, np.full(4, current.mean()), 2.0, 0.005, STEP)
        state = correct_sharing(state, current, np.full(4, current.mean()), np.full(4, slope), resistance, 0.005, STEP)

    truth = soc - soc.mean()
    error = state.distance - state.distance.mean() - truth
    assert np.all(np.abs(error) < 2.0 * np.sqrt(state.distance_variance))
    assert np.argmin(state.capacity) == 3


def test_an_unmeasured_cell_only_grows_less_certain():
    state = start_sharing(2)
    current = np.array([2.0, np.nan])
    before = state.distance_variance.copy()
    state = predict_sharing(state, np.full(2, 2.0), np.full(2, 2.0), 2.0, 0.005, STEP)
    state = correct_sharing(state, current, np.full(2, 2.0), np.ones(2), np.full(2, 0.04), 0.005, STEP)

    assert state.distance_variance[1] > before[1]
    assert state.distance_variance[0] < state.distance_variance[1]
