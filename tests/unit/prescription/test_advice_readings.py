"""Advice on the prims."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Advice, Kind, Level, Quality
from celltwin.prescription import advice_readings


@pytest.fixture
def advice() -> Advice:
    balancing = np.zeros(20)
    balancing[3] = 0.28
    return Advice(
        time=300.0,
        charge_current=np.array([84.0, 70.0]),
        coolant_flow=np.array([0.1, 0.12]),
        balancing_current=balancing,
        reasons=("because of M01", "because of M02"),
        expected=("80 % in 20 min", ""),
        provenance="a model",
    )


def find(readings, quantity, level):
    (found,) = [reading for reading in readings if (reading.quantity, reading.level) == (quantity, level)]
    return found


def test_every_recommended_value_has_time_reason_and_provenance(pack, advice):
    readings = advice_readings(advice, pack)

    assert {reading.kind for reading in readings} == {Kind.RECOMMENDED}
    for reading in readings:
        assert reading.values.size == pack.size(reading.level)
        assert np.all(reading.time == 300.0)
        assert reading.reason
        assert reading.provenance == "a model"


def test_the_pack_is_charged_with_the_least_of_its_modules(pack, advice):
    reading = find(advice_readings(advice, pack), "charge_current", Level.PACK)

    assert reading.values[0] == 70.0
    assert reading.reason == "least of the modules in series, M02: because of M02"


def test_the_reason_of_the_modules_has_a_line_for_each(pack, advice):
    reading = find(advice_readings(advice, pack), "coolant_flow", Level.MODULE)

    assert reading.reason.splitlines() == ["M01: because of M01 → 80 % in 20 min", "M02: because of M02"]


def test_nothing_recommended_is_bad_and_says_why(pack, advice):
    from dataclasses import replace

    silent = replace(advice, charge_current=np.array([84.0, np.nan]), reasons=("fine", "nothing recommended: blind"))
    readings = advice_readings(silent, pack)
    pack_reading = find(readings, "charge_current", Level.PACK)

    assert np.isnan(pack_reading.values[0])
    assert pack_reading.quality[0] == Quality.BAD
    assert "nothing recommended: blind" in pack_reading.reason
    np.testing.assert_array_equal(find(readings, "charge_current", Level.MODULE).quality, [Quality.GOOD, Quality.BAD])
