"""Points of designs: they fill the ranges as their kind promises, and the same seed gives the same points."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import SettingsError
from celltwin.runtime.campaign import Design, Factor, design_points

RATE = Factor(name="rate", fields=("scenario.steps.0.rate",), low=0.5, high=2.0, levels=4)
DECADES = Factor(name="spread", fields=("a",), low=1e-3, high=1.0, logarithmic=True, levels=4)
COUNT = Factor(name="count", fields=("b",), low=1.0, high=4.0, whole=True, levels=4)
MODEL = Factor(name="model", fields=("c",), values=("SPMe", "ECM"))


def test_a_grid_has_every_combination_once():
    points = design_points(Design(kind="grid"), (RATE, MODEL))

    assert len(points) == len(set(points)) == 8
    assert [point[0] for point in points[::2]] == pytest.approx([0.5, 1.0, 1.5, 2.0])


def test_levels_of_a_logarithmic_range_have_equal_ratios():
    points = design_points(Design(kind="grid"), (DECADES,))

    np.testing.assert_allclose([point[0] for point in points], [1e-3, 1e-2, 1e-1, 1.0], rtol=1e-12)


def test_whole_numbers_are_whole():
    points = design_points(Design(kind="grid"), (COUNT,))

    assert points == [(1,), (2,), (3,), (4,)]


def test_a_latin_hypercube_has_one_point_in_every_slice_of_every_factor():
    points = np.array(design_points(Design(kind="latin_hypercube", points=20, seed=3), (RATE, DECADES)))

    slices = np.floor(np.column_stack([(points[:, 0] - 0.5) / 1.5, np.log10(points[:, 1] * 1e3) / 3.0]) * 20.0)
    assert sorted(slices[:, 0]) == sorted(slices[:, 1]) == list(range(20))


def test_sixteen_points_of_a_sobol_sequence_are_one_in_each_box_of_a_four_by_four_grid():
    points = np.array(design_points(Design(kind="sobol", points=16, seed=5), (RATE, DECADES)))

    shares = np.column_stack([(points[:, 0] - 0.5) / 1.5, np.log10(points[:, 1] * 1e3) / 3.0])
    boxes = {(int(4.0 * x), int(4.0 * y)) for x, y in shares}
    assert len(boxes) == 16


def test_a_listed_value_comes_as_often_as_any_other():
    points = design_points(Design(kind="sobol", points=16), (RATE, MODEL))

    assert sum(point[1] == "SPMe" for point in points) == 8


@pytest.mark.parametrize("kind", ["latin_hypercube", "sobol"])
def test_the_seed_decides_the_points(kind):
    first, again, other = (design_points(Design(kind=kind, points=8, seed=seed), (RATE, DECADES)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_fewer_sobol_points_are_the_beginning_of_the_same_sequence_and_the_balance_is_advised():
    six = Design(kind="sobol", points=6)

    assert design_points(six, (RATE,)) == design_points(Design(kind="sobol", points=8), (RATE,))[:6]
    assert six.advice is not None
    assert "4 or 8 points" in six.advice
    assert Design(kind="sobol", points=8).advice is None


def test_more_runs_than_anyone_wants_are_refused_before_they_are_made():
    factors = tuple(
        Factor(name=f"f{number}", fields=(f"f{number}",), low=0.0, high=1.0, levels=10) for number in range(9)
    )

    with pytest.raises(SettingsError, match=r"1,000,000,000 points; the limit is 1,000,000.*sobol"):
        design_points(Design(kind="grid"), factors)
