"""The regression of remaining life near the end, by measured SOH, on numbers made up."""

import numpy as np
import pytest

from celltwin.prognosis.remaining_life import LifeKernelSettings
from celltwin.prognosis.remaining_life.leave_out import LeaveOut
from celltwin.prognosis.remaining_life.life_inputs import input_names
from celltwin.prognosis.remaining_life.life_kernel import train_life_kernel
from celltwin.prognosis.remaining_life.life_late import LateSettings, NearEnd, fit_late
from celltwin.prognosis.remaining_life.life_network import LifeRows
from celltwin.prognosis.scaling import InputScaling

NAMES = input_names(history=True)
SOH = NAMES.index("SOH now")


@pytest.fixture(scope="module")
def near_end():
    mean, spread = np.zeros(len(NAMES)), np.ones(len(NAMES))
    mean[SOH], spread[SOH] = 0.9, 0.05
    return NearEnd(scaling=InputScaling(mean=mean, spread=spread, stand_in=mean), end_of_life=0.85)


def fading_cells(lives=(0.7, 0.9, 1.1, 1.3), each=40):
    """Return rows of cells that fade alike in the last quarter of a typical life, whenever that is; and their cells.

    Nothing but SOH tells when a cell will end.
    """
    age = np.concatenate([np.linspace(0.0, life, each) for life in lives])
    remaining = np.repeat(lives, each) - age
    inputs = np.zeros((age.size, len(NAMES) + 3))
    inputs[:, SOH] = (np.where(remaining < 0.25, 0.85 + 0.4 * remaining, 0.95) - 0.9) / 0.05
    inputs[:, -3], inputs[:, -2] = 1.0, 3.0 * (age - 0.5)
    rows = LifeRows(
        inputs=inputs,
        remaining=remaining[:, np.newaxis],
        arrived=np.full((age.size, 1), True),
        resistance=np.full((age.size, 1), 1.2),
        weight=np.ones(age.size),
    )
    return rows, np.repeat([f"c{number}" for number in range(len(lives))], each)


def train(rows, cell, near_end):
    return train_life_kernel(rows, cell, LifeKernelSettings(), end=0, n_duties=1, seed=(1,), near_end=near_end)


def ask(module, inputs):
    import torch

    with torch.no_grad():
        return module(torch.as_tensor(inputs, dtype=torch.float32)).numpy()[0, 0, :, 0]


def test_measured_soh_tells_the_end_of_a_cell_that_nothing_else_does(near_end):
    rows, cell = fading_cells()
    new = cell == "c3"
    near = new & (rows.remaining[:, 0] > 0.0) & (rows.remaining[:, 0] < 0.05)
    far_off = NearEnd(scaling=near_end.scaling, end_of_life=0.5)  # so that SOH is never listened to

    heard, unheard = (
        np.abs(ask(train(rows.choose(~new), cell[~new], each), rows.inputs[near]) - rows.remaining[near, 0]).mean()
        for each in (near_end, far_off)
    )

    assert heard < 0.05
    assert unheard > 3.0 * heard


def test_low_soh_of_a_young_cell_is_no_end(near_end):
    rows, cell = fading_cells()
    young = rows.inputs[:1].copy()
    young[0, SOH] = (0.855 - 0.9) / 0.05  # the capacity of the first charges still rises
    module = train(rows, cell, near_end)

    np.testing.assert_allclose(ask(module, young), ask(module, rows.inputs[:1]))


def test_without_a_past_near_the_end_nothing_is_fitted(near_end):
    rows, cell = fading_cells()
    early = rows.remaining[:, 0] > 0.3
    said = np.zeros((early.sum(), 2))

    late, both = fit_late(
        rows.inputs[early], cell[early], said, said, LateSettings(), near_end, np.random.default_rng(1)
    )

    assert late is None
    np.testing.assert_array_equal(both, said)


def test_leaving_a_cell_out_is_fitting_without_its_rows():
    random = np.random.default_rng(3)
    likeness, within = random.normal(size=(12, 4)), np.eye(4)
    targets, starts = random.normal(size=(12, 3)), np.array([0, 5, 8])
    targets -= targets.mean(axis=0)  # what is left of the mean is not fitted anew

    said = LeaveOut(starts, likeness, np.linalg.inv(likeness.T @ likeness + within))(targets)[5:8]

    rest = np.r_[0:5, 8:12]
    weights = np.linalg.solve(likeness[rest].T @ likeness[rest] + within, likeness[rest].T @ targets[rest])
    np.testing.assert_allclose(said, likeness[5:8] @ weights, rtol=1e-6, atol=1e-9)
