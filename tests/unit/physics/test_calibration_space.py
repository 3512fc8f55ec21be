"""Free parameters, their unit cube, and the physical ranges of a cell."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import ModelError, ShapeError
from celltwin.physics.calibration.parameter_space import FreeParameter, ParameterSpace
from celltwin.physics.calibration.parameter_space_cell import physical_ranges

DIFFUSIVITY = FreeParameter(
    name="diffusivity", unit="m2/s", low=1e-16, high=1e-12, start=1e-14, scale="log", spread=0.5, source="a paper"
)
RESISTANCE = FreeParameter(name="resistance", unit="ohm", low=0.0, high=0.02, start=0.005, source="a data sheet")
SPACE = ParameterSpace((DIFFUSIVITY, RESISTANCE))


def test_equal_steps_of_a_log_scale_are_equal_factors():
    quarter, half = DIFFUSIVITY.from_unit(0.25), DIFFUSIVITY.from_unit(0.5)

    assert quarter == pytest.approx(1e-15)
    assert half == pytest.approx(1e-14)


def test_values_survive_the_way_into_the_unit_cube_and_back():
    values = {"diffusivity": 3.3e-15, "resistance": 0.0123}

    assert SPACE.values(SPACE.position(values)) == pytest.approx(values)


def test_spreads_are_shares_of_the_width_and_infinite_without_a_prior():
    np.testing.assert_allclose(SPACE.spreads, [0.125, np.inf])


def test_a_start_beyond_a_bound_is_moved_onto_it():
    moved = SPACE.with_starts({"resistance": 0.5, "unheard of": 1.0})

    np.testing.assert_allclose(moved.start, [0.5, 1.0])


def test_parameters_at_the_faces_of_the_cube_are_named():
    assert SPACE.near_bounds(np.array([0.5, 0.999])) == ("resistance",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 0.03}, "must lie between"),
        ({"scale": "log"}, "lower bound above 0"),
        ({"spread": 0.0}, "must be above 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        FreeParameter(**(vars(RESISTANCE) | changes))


def test_two_parameters_of_one_name_are_refused():
    with pytest.raises(ModelError, match="two free parameters"):
        ParameterSpace((RESISTANCE, RESISTANCE))


def test_a_position_of_another_size_is_refused():
    with pytest.raises(ShapeError):
        SPACE.values(np.zeros(3))


def test_every_physical_range_has_a_unit_and_a_source():
    for name, item in physical_ranges().items():
        assert item.low < item.high, name
        assert item.spread > 0.0, name
        assert item.unit, name
        assert len(item.source) > 10, name
