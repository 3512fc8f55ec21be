"""Weak groups, from voltages under discharge alone."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Level, PackState, Quality, ShapeError
from celltwin.estimation import GroupEvidence, weakest_groups

TIME = np.arange(0.0, 3600.0, 1.0)


def discharge(n_groups: int, capacity: np.ndarray, current: float = 56.0) -> np.ndarray:
    """Return voltages of groups whose open-circuit voltage is linear in charge."""
    soc = 1.0 - current * TIME[:, np.newaxis] / 3600.0 / capacity
    return 3.0 + 1.2 * soc + 0.002 * np.sin(np.arange(n_groups))


@pytest.mark.measured
@pytest.mark.parametrize("rate", ["0_3c", "1_0c"])
def test_the_weak_groups_of_the_leaf_modules_are_a1_and_a4(leaf, leaf_recording, rate):
    time, current, voltage, _ = leaf_recording(rate)
    weak = weakest_groups(leaf, time, current, voltage)

    assert [leaf.element_ids(Level.GROUP).index(rank.element_id) for rank in weak] == [0, 3]  # A1, A4
    assert weak[0].charge == pytest.approx(55.0, abs=0.5)
    assert weak[0].last_deficit > 0.4


def test_a_group_with_less_capacity_is_found(small):
    capacity = np.full(20, 80.0)
    capacity[13] = 72.0
    ranks = weakest_groups(small, TIME, np.full(TIME.size, 56.0), discharge(20, capacity))

    assert [rank.element for rank in ranks] == [13]


def test_deficit_is_the_mean_voltage_missing_over_the_charge(small):
    voltage = np.full((TIME.size, 20), 3.6)
    voltage[TIME.size // 2 :, 5] -= 0.04
    first = weakest_groups(small, TIME, np.full(TIME.size, 56.0), voltage, 1)[0]

    assert first.deficit == pytest.approx(0.02, rel=1e-3)
    assert first.weighted_deficit == pytest.approx(0.04 / np.sqrt(2.0), rel=1e-3)
    assert first.charge == pytest.approx(56.0, rel=1e-3)


def test_in_a_pack_of_equals_noise_makes_nobody_weak(small):
    voltage = discharge(20, np.full(20, 80.0)) + 0.0005 * np.random.default_rng(1).standard_normal((TIME.size, 20))

    assert weakest_groups(small, TIME, np.full(TIME.size, 56.0), voltage) == ()


@pytest.mark.parametrize("current", [0.0, -56.0, np.nan])
def test_rest_charge_and_unknown_current_are_no_evidence(small, current):
    voltage = discharge(20, np.linspace(60.0, 80.0, 20))

    assert weakest_groups(small, TIME, np.full(TIME.size, current), voltage, 20) == ()


def test_missing_voltages_and_gaps_are_left_out(small):
    capacity = np.full(20, 80.0)
    capacity[13] = 72.0
    voltage = discharge(20, capacity)
    voltage[100:200] = np.nan
    voltage[300:400, 2] = np.nan
    kept = np.r_[0:1000, 1500:3600]
    ranks = weakest_groups(small, TIME[kept], np.full(kept.size, 56.0), voltage[kept])

    assert [rank.element for rank in ranks] == [13]


def test_step_by_step_and_at_once_give_the_same(small, image):
    rng = np.random.default_rng(2)
    time, current = TIME[::10], np.full(360, 56.0)
    voltage = discharge(20, 80.0 + rng.standard_normal(20))[::10]
    evidence = GroupEvidence(small)
    for moment, flow, row in zip(time, current, voltage, strict=True):
        evidence.observe(image(moment, {("current", Level.PACK): np.array([flow]), ("voltage", Level.GROUP): row}))

    for one, other in zip(evidence.rank(), weakest_groups(small, time, current, voltage, 20), strict=True):
        assert one.element == other.element
        assert one.weighted_deficit == pytest.approx(other.weighted_deficit)


def test_values_that_are_not_good_are_no_evidence(small, image):
    evidence = GroupEvidence(small)
    for moment in TIME[:10]:
        readings = {("current", Level.PACK): np.array([56.0]), ("voltage", Level.GROUP): np.linspace(3.0, 3.7, 20)}
        evidence.observe(image(moment, readings, Quality.SUSPECT))
    evidence.observe(PackState(time=11.0, step=11))

    assert evidence.rank() == ()


def test_the_sentence_says_how_much_and_how_sure(small):
    capacity = np.full(20, 80.0)
    capacity[13] = 72.0
    (rank,) = weakest_groups(small, TIME, np.full(TIME.size, 56.0), discharge(20, capacity))

    assert rank.sentence.startswith("M02.G04: ")
    assert " mV below the median group" in rank.sentence
    assert rank.sentence.endswith("σ)")


def test_voltages_of_another_pack_are_refused(small):
    with pytest.raises(ShapeError):
        weakest_groups(small, TIME, np.full(TIME.size, 56.0), np.zeros((TIME.size, 6)))
