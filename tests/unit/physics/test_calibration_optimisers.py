"""Optimisers on problems whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration.optimisers import METHODS, OptimisationResult, minimise
from celltwin.physics.calibration.parameter_space import FreeParameter, ParameterSpace


def _space(size: int, start: float = 0.2) -> ParameterSpace:
    return ParameterSpace(
        tuple(
            FreeParameter(name=f"p{index}", unit="-", low=0.0, high=1.0, start=start, source="none")
            for index in range(size)
        )
    )


@dataclass
class Valley:
    """Rosenbrock's curved valley in the unit cube, its end at 0.75."""

    space: ParameterSpace = field(default_factory=lambda: _space(2))
    calls: int = 0

    def residuals_many(self, positions):
        self.calls += len(positions)
        first, second = 4.0 * positions.T - 2.0
        return np.stack([10.0 * (second - first**2), 1.0 - first], axis=1)


@dataclass
class Slope:
    """A plane that falls beyond the upper bound of one parameter."""

    space: ParameterSpace = field(default_factory=lambda: _space(2))

    def residuals_many(self, positions):
        return np.stack([2.0 - positions[:, 0], positions[:, 1] - 0.3], axis=1)


@pytest.mark.parametrize(
    ("method", "budget"), [("least_squares", 150), ("multi_start", 300), ("cma", 1500), ("hybrid", 400)]
)
def test_each_optimiser_reaches_the_end_of_the_valley(method, budget):
    result = minimise(Valley(), method=method, budget=budget)

    np.testing.assert_allclose(result.x, 0.75, atol=6e-3)
    assert result.method == method


def test_a_minimum_beyond_the_bounds_is_found_on_the_face():
    result = minimise(Slope(), budget=60)

    np.testing.assert_allclose(result.x, [1.0, 0.3], atol=1e-6)


@pytest.mark.parametrize("method", ["least_squares", "multi_start", "cma", "hybrid"])
def test_the_same_seed_gives_the_same_search(method):
    first, second = (minimise(Valley(), method=method, budget=120, seed=3) for _ in range(2))

    np.testing.assert_array_equal(first.x, second.x)
    assert first.evaluations == second.evaluations


def test_another_seed_gives_another_search():
    first, second = (minimise(Valley(), method="cma", budget=60, seed=seed) for seed in (1, 2))

    assert not np.array_equal(first.x, second.x)


def test_the_history_falls_and_counts_what_was_evaluated():
    problem = Valley()

    result = minimise(problem, budget=150)

    assert np.all(np.diff(result.history[:, 2]) < 0.0)
    assert np.all(np.diff(result.history[:, 0]) > 0.0)
    assert result.evaluations == problem.calls


def test_the_budget_bounds_the_search_to_one_batch_more():
    result = minimise(Valley(), method="cma", budget=20)

    assert 20 <= result.evaluations <= 30
    assert result.reason == "budget spent"


def test_a_caller_that_answers_no_stops_the_search():
    seen = []

    result = minimise(Valley(), budget=500, progress=lambda step: seen.append(step) or len(seen) < 3)

    assert len(seen) == 3
    assert result.evaluations == seen[-1].evaluations


def test_an_interrupted_search_goes_on_from_its_checkpoint(tmp_path):
    file = tmp_path / "search.json"
    broken: OptimisationResult = minimise(
        Valley(), budget=500, checkpoint=file, progress=lambda step: step.evaluations < 12
    )

    resumed = minimise(Valley(), budget=500, checkpoint=file)

    assert resumed.cost < broken.cost
    assert resumed.evaluations > broken.evaluations
    assert resumed.history[0, 2] == broken.history[0, 2]
    np.testing.assert_allclose(resumed.x, 0.75, atol=6e-3)


def test_a_checkpoint_of_another_problem_is_refused(tmp_path):
    file = tmp_path / "search.json"
    minimise(Valley(), budget=10, checkpoint=file)

    class Longer(Slope):
        def __init__(self):
            super().__init__(_space(3))

    with pytest.raises(ModelError, match="over 2 parameters, this one has 3"):
        minimise(Longer(), budget=10, checkpoint=file)


def test_a_checkpoint_that_is_no_checkpoint_is_refused(tmp_path):
    file = tmp_path / "search.json"
    file.write_text("{}", encoding="utf-8")

    with pytest.raises(ModelError, match="cannot be read"):
        minimise(Valley(), budget=10, checkpoint=file)


def test_an_unknown_optimiser_is_refused_with_those_known():
    with pytest.raises(ModelError, match="least_squares"):
        minimise(Valley(), method="guessing")
    assert {"least_squares", "multi_start", "cma", "hybrid"} <= set(METHODS)
