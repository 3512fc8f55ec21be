"""Which groups are bled."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality, Reading
from celltwin.prescription import plan_balancing

RATE = 0.005


def with_capacity(state: PackState, capacity, uncertainty=0.3) -> PackState:
    values = np.broadcast_to(np.asarray(capacity, dtype=float), (20,))
    return state.updated(
        Reading.at(
            Kind.ESTIMATED,
            "capacity",
            Level.GROUP,
            values,
            500.0,
            standard_uncertainty=uncertainty,
            provenance="test",
        )
    )


def bled(plan) -> list[int]:
    return np.flatnonzero(plan.current).tolist()


def test_near_full_only_groups_above_the_lowest_by_more_than_the_uncertainty_are_bled(pack, estimated):
    soc = np.full(20, 0.93)
    soc[[3, 7]] = 0.945, 0.98
    plan = plan_balancing(pack, estimated(pack, soc=soc, uncertainty=0.01), RATE)

    assert bled(plan) == [7]
    assert plan.current[7] == pytest.approx(0.28)
    assert plan.hours[7] == pytest.approx(0.05 * 56.0 / 0.28)
    assert plan.emptiest_id == "M01.G01"


def test_a_smaller_uncertainty_finds_more(pack, estimated):
    soc = np.full(20, 0.93)
    soc[[3, 7]] = 0.945, 0.98
    state = with_capacity(estimated(pack, soc=soc, uncertainty=0.005), 56.0)

    assert bled(plan_balancing(pack, state, RATE)) == [3, 7]


def test_far_from_full_an_excess_is_trusted_only_with_the_capacities_known(pack, estimated):
    soc = np.full(20, 0.50)
    soc[7] = 0.54
    state = estimated(pack, soc=soc, uncertainty=0.01)

    assert bled(plan_balancing(pack, state, RATE)) == []
    assert bled(plan_balancing(pack, with_capacity(state, 56.0), RATE)) == [7]


def test_a_group_that_is_merely_smaller_makes_no_imbalance(pack, estimated):
    capacity = np.full(20, 56.0)
    capacity[7] = 50.0
    # All were full together; 20 A.h were drawn since.
    soc = 1.0 - 20.0 / capacity
    plan = plan_balancing(pack, with_capacity(estimated(pack, soc=soc, uncertainty=0.005), capacity), RATE)

    assert bled(plan) == []
    np.testing.assert_allclose(plan.excess, 0.0, atol=1e-9)


def test_bleeding_for_the_hours_told_lets_all_groups_become_full_together(pack, estimated):
    rng = np.random.default_rng(1)
    capacity, soc = 56.0 + rng.standard_normal(20), 0.9 + 0.03 * rng.standard_normal(20)
    plan = plan_balancing(
        pack, with_capacity(estimated(pack, soc=soc, uncertainty=1e-6), capacity, uncertainty=1e-6), RATE
    )
    lacking = (1.0 - soc) * capacity + plan.current * plan.hours

    np.testing.assert_allclose(lacking, lacking.max(), atol=1e-3)


def test_equal_groups_and_unknown_uncertainties_bleed_nothing(pack, estimated):
    assert not plan_balancing(pack, estimated(pack, soc=0.5), RATE).current.any()
    spread = np.linspace(0.3, 0.7, 20)
    assert not plan_balancing(pack, estimated(pack, soc=spread, uncertainty=np.nan), RATE).current.any()


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.BAD])
def test_on_values_that_are_not_good_nothing_is_planned(pack, estimated, quality):
    plan = plan_balancing(pack, estimated(pack, soc=np.linspace(0.3, 0.7, 20), quality=quality), RATE)

    assert np.isnan(plan.current).all()
    assert plan.emptiest_id == ""
