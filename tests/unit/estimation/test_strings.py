"""Strings of modules in parallel: the pack's current is shared, and its voltage that of one string."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, SpecError
from celltwin.estimation import Assimilator, weakest_groups


@pytest.fixture(scope="module")
def paired(small):
    """Return the small pack with its two modules side by side."""
    return replace(small, strings=2)


def loaded(spec, curve, image, shares, *, cells: bool = False):
    """Return the last state of a discharge at 1C in which each string carries its share."""
    soc, current = np.full(spec.n_groups, 0.8), 56.0 * spec.strings
    cell = np.repeat(np.asarray(shares) * current / spec.parallel, spec.n_series)
    assimilator, state = Assimilator(spec, curve), None
    for number in range(90):
        flowing = cell if number > 2 else np.zeros_like(cell)
        soc = soc - flowing * 10.0 / 3600.0 / spec.cell.capacity
        readings = {
            ("current", Level.PACK): np.array([flowing[:: spec.n_series].sum() * spec.parallel]),
            ("voltage", Level.GROUP): curve.evaluate(soc)[0] - 0.035 * flowing,
            ("temperature", Level.CELL): np.full(spec.n_cells, 299.0),
        }
        if cells:
            readings["current", Level.CELL] = np.repeat(flowing, spec.parallel)
        state = image(10.0 * number, readings)
        state = state.updated(*assimilator.assimilate(state))
    return state, soc


def test_equal_strings_share_the_current_and_show_one_voltage(paired, curve, image):
    state, soc = loaded(paired, curve, image, (0.5, 0.5))

    groups, pack = (state.get(Kind.ESTIMATED, "soc", level) for level in (Level.GROUP, Level.PACK))
    voltage = state.get(Kind.MEASURED, "voltage", Level.GROUP)
    np.testing.assert_allclose(groups.values, soc, atol=0.02)
    assert pack.values == pytest.approx(soc.mean(), abs=0.02)
    assert state.get(Kind.ESTIMATED, "voltage", Level.PACK).values == pytest.approx(voltage.values[:10].sum())


def test_measured_cell_currents_tell_strings_apart(paired, curve, image):
    state, soc = loaded(paired, curve, image, (0.6, 0.4), cells=True)

    groups = state.get(Kind.ESTIMATED, "soc", Level.GROUP)
    assert soc[10] - soc[0] > 0.04
    np.testing.assert_allclose(groups.values, soc, atol=0.02)


def test_weak_groups_are_found_against_their_own_string(paired):
    time = np.arange(0.0, 600.0, 10.0)
    voltage = np.full((time.size, paired.n_groups), 3.7)
    voltage[:, 10:] -= 0.05  # the second string carries more
    voltage += 1e-4 * np.random.default_rng(0).standard_normal(voltage.shape)
    voltage[:, 3] -= 0.02

    weak = weakest_groups(paired, time, np.full(time.size, 112.0), voltage)

    assert [rank.element for rank in weak] == [3]
    assert weak[0].charge == pytest.approx(56.0 * 590.0 / 3600.0, rel=0.02)


def test_a_string_cannot_lose_a_module_alone(paired):
    with pytest.raises(SpecError, match="strings = 2 does not divide the 1 modules"):
        paired.with_modules(paired.modules[:1])
