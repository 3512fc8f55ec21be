"""State of charge of strings."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.estimation import combine_series


def combine(soc, capacity=None, uncertainty=0.01):
    soc = np.atleast_2d(np.asarray(soc, dtype=float))
    capacity = np.full(soc.shape, 50.0) if capacity is None else np.atleast_2d(np.asarray(capacity, dtype=float))
    value, doubt = combine_series(soc, capacity, np.full(soc.shape, uncertainty))
    return value[0], doubt[0]


@pytest.mark.parametrize("soc", [0.0, 0.3, 1.0])
def test_equal_groups_have_the_string_s_value_and_uncertainty(soc):
    value, doubt = combine([soc] * 5)

    assert value == pytest.approx(soc)
    assert doubt == pytest.approx(0.01)


def test_a_string_is_empty_with_its_first_empty_group_and_full_with_its_first_full():
    assert combine([0.4, 0.0, 0.6])[0] == pytest.approx(0.0)
    assert combine([0.4, 1.0, 0.6])[0] == pytest.approx(1.0)


def test_the_smallest_group_sets_the_usable_charge():
    # 20 A.h left in the small group, 20 A.h of room: half.
    value, _ = combine([0.5, 0.6], [40.0, 60.0])

    assert value == pytest.approx(20.0 / 40.0)


def test_an_unknown_group_leaves_the_string_unknown():
    assert np.isnan(combine([0.5, np.nan])[0])
