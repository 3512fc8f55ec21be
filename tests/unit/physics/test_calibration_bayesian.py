"""Bayesian optimisation on problems whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from celltwin.physics.calibration.optimisers import METHODS, Progress, minimise
from celltwin.physics.calibration.optimisers_bayesian import BATCH, TrustRegion
from celltwin.physics.calibration.parameter_space import FreeParameter, ParameterSpace

SIZE = 4


def _space() -> ParameterSpace:
    return ParameterSpace(
        tuple(
            FreeParameter(name=f"p{index}", unit="-", low=0.0, high=1.0, start=0.35, source="none")
            for index in range(SIZE)
        )
    )


@dataclass
class Bowl:
    """A bowl that is flatter in some directions than in others, its bottom at 0.6."""

    space: ParameterSpace = field(default_factory=_space)
    calls: int = 0

    def residuals_many(self, positions):
        self.calls += len(positions)
        return (positions - 0.6) * np.array([40.0, 20.0, 10.0, 5.0])


class FailingBowl(Bowl):
    """A bowl on whose far side simulations fail: a huge penalty, or no number at all."""

    def residuals_many(self, positions):
        residuals = super().residuals_many(positions)
        residuals[positions[:, 0] > 0.65] = 1e6
        residuals[positions[:, 1] > 0.75] = np.nan
        return residuals


def test_a_trust_region_comes_nearer_the_bottom_than_its_first_design():
    problem = Bowl()
    seen: list[Progress] = []

    result = minimise(problem, method="trust_region", budget=20, progress=lambda step: seen.append(step) or None)

    assert result.cost < 0.2 * seen[0].best
    assert result.evaluations == problem.calls
    assert 20 <= result.evaluations < 20 + BATCH


def test_the_whole_cube_is_searched_past_simulations_that_fail():
    problem = FailingBowl()
    begun = 0.5 * float(np.sum(problem.residuals_many(problem.space.start[np.newaxis]) ** 2))

    # One seed's way hangs on the last digits of the processor's arithmetic: most seeds get there on any.
    results = [minimise(problem, method="bayesian", budget=32, seed=seed) for seed in (1, 2, 3)]

    assert np.median([result.cost for result in results]) < 0.2 * begun
    for result in results:
        assert result.x[0] <= 0.65
        assert result.x[1] <= 0.75


@pytest.mark.parametrize("method", ["bayesian", "trust_region"])
def test_the_same_seed_gives_the_same_batches_and_leaves_torch_as_it_was(method):
    import torch

    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()

    first, second = (minimise(Bowl(), method=method, budget=16, seed=2) for _ in range(2))

    np.testing.assert_array_equal(first.x, second.x)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_an_interrupted_search_goes_on_from_its_best(tmp_path):
    file = tmp_path / "search.json"
    broken = minimise(
        Bowl(), method="trust_region", budget=24, checkpoint=file, progress=lambda step: step.evaluations < 12
    )

    resumed = minimise(Bowl(), method="trust_region", budget=24, checkpoint=file)

    assert broken.evaluations < 24 <= resumed.evaluations
    assert resumed.cost <= broken.cost


def test_a_region_doubles_after_successes_halves_after_failures_and_collapses():
    region = TrustRegion(SIZE, length=0.4)

    grown = region.after(True).after(True).after(True)
    shrunk = region
    for _ in range(region.patience):
        shrunk = shrunk.after(False)

    assert grown.length == pytest.approx(0.8)
    assert shrunk.length == pytest.approx(0.2)
    assert TrustRegion(SIZE, length=1.5, successes=2).after(True).length == TrustRegion.LONGEST
    assert TrustRegion(SIZE, length=0.007).collapsed
    assert not region.collapsed


def test_a_success_between_failures_keeps_the_region():
    region = TrustRegion(12, length=0.4)

    region = region.after(False).after(False).after(True).after(False).after(False)

    assert region.length == pytest.approx(0.4)


def test_the_box_is_longer_where_the_cost_changes_less_and_stays_in_the_cube():
    low, high = TrustRegion(2, length=0.4).box(np.array([0.5, 0.95]), np.array([0.5, 2.0]))

    np.testing.assert_allclose(high[0] - low[0], 0.2)
    np.testing.assert_allclose([low[1], high[1]], [0.55, 1.0])


def test_both_are_among_the_methods():
    minimise(Bowl(), budget=1)

    assert {"bayesian", "trust_region"} <= set(METHODS)
