"""Which groups are bled."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality, Reading
from celltwin.prescription import plan_balancing

RATE = 0.005


def test_only_groups_above_the_lowest_by_more_than_the_uncertainty_are_bled(pack, estimated):
    soc = np.full(20, 0.500)
    soc[[3, 7]] = 0.512, 0.54
    plan = plan_balancing(pack, estimated(pack, soc=soc, uncertainty=0.01), RATE)

    assert np.flatnonzero(plan.current).tolist() == [7]
    assert plan.current[7] == pytest.approx(0.28)
    assert plan.hours[7] == pytest.approx(0.04 * 56.0 / 0.28)
    assert plan.lowest_id == "M01.G01"


def test_a_smaller_uncertainty_finds_more(pack, estimated):
    soc = np.full(20, 0.500)
    soc[[3, 7]] = 0.512, 0.54

    assert np.flatnonzero(plan_balancing(pack, estimated(pack, soc=soc, uncertainty=0.005), RATE).current).tolist() == [
        3,
        7,
    ]


def test_equal_groups_and_unknown_uncertainties_bleed_nothing(pack, estimated):
    assert not plan_balancing(pack, estimated(pack, soc=0.5), RATE).current.any()
    spread = np.linspace(0.3, 0.7, 20)
    assert not plan_balancing(pack, estimated(pack, soc=spread, uncertainty=np.nan), RATE).current.any()


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.BAD])
def test_on_values_that_are_not_good_nothing_is_planned(pack, estimated, quality):
    plan = plan_balancing(pack, estimated(pack, soc=np.linspace(0.3, 0.7, 20), quality=quality), RATE)

    assert np.isnan(plan.current).all()
    assert plan.lowest_id == ""


def test_the_estimated_capacity_counts_where_it_is_known(pack, estimated):
    soc = np.full(20, 0.500)
    soc[7] = 0.54
    state: PackState = estimated(pack, soc=soc).updated(
        Reading.at(Kind.ESTIMATED, "capacity", Level.GROUP, np.full(20, 42.0), 500.0, provenance="test")
    )

    assert plan_balancing(pack, state, RATE).hours[7] == pytest.approx(0.04 * 42.0 / 0.28)
