"""The bench of optimisers: what takes part, what is kept, and the conversation with PyBOP's process."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field

import numpy as np
import pytest

from celltwin.physics.calibration.optimisers import minimise, register_method
from celltwin.physics.calibration.parameter_space import FreeParameter, ParameterSpace
from tools.bench import calibrate_optimisers, calibration_pybop
from tools.bench.calibrate_optimisers import Search, best_pybop, collect
from tools.bench.calibrate_optimisers_plots import plot_optimisers
from tools.bench.environment import BenchEnvironmentError

SPEAKER = """
import json, sys
request = json.loads(sys.argv[1])
position = request["start"]
for step in range(request["seed"]):
    print(json.dumps({"positions": [[value + shift for value in position] for shift in (0.1, 0.2, 0.3)]}), flush=True)
    costs = json.loads(sys.stdin.readline())["costs"]
    position = [value + 0.1 * (1 + costs.index(min(costs))) for value in position]
if request["optimiser"] == "Broken":
    raise ValueError("no such optimiser")
print(json.dumps({"reason": "converged"}), flush=True)
"""


@dataclass
class Bowl:
    space: ParameterSpace = field(
        default_factory=lambda: ParameterSpace(
            tuple(FreeParameter(name=name, unit="-", low=0.0, high=1.0, start=0.1, source="none") for name in "ab")
        )
    )

    def residuals_many(self, positions):
        return positions - 0.6


@pytest.fixture
def speaker(tmp_path, monkeypatch):
    script = tmp_path / "speaker.py"
    script.write_text(SPEAKER, encoding="utf-8")
    monkeypatch.setattr(calibration_pybop, "SCRIPT", script)

    def register(optimiser):
        register_method("spoken", calibration_pybop.pybop_method(sys.executable, optimiser, 0.1))
        return "spoken"

    return register


def _search(method="cma", *, cell="S001", budget=300, seed=0, cost=2.0, count=None):
    return Search(
        cell=cell,
        method=method,
        budget=budget,
        seed=seed,
        cost=cost,
        best=np.geomspace(100.0, cost, count or budget).tolist(),
        voltage=dict.fromkeys(("1C", "2C", "3C"), 0.5),
        temperature=dict.fromkeys(("1C", "2C", "3C"), 0.1),
        seconds=3.0,
        processor=2.0,
        reason="budget spent",
        failures=0,
    )


def test_a_process_that_proposes_gets_the_costs_of_its_candidates(speaker):
    result = minimise(Bowl(), method=speaker("Steps"), budget=30, seed=3)

    assert result.reason == "converged"
    assert result.evaluations == 9
    np.testing.assert_allclose(result.x, 0.6)


def test_the_last_batch_is_cut_to_the_budget(speaker):
    result = minimise(Bowl(), method=speaker("Steps"), budget=7, seed=100)

    assert result.evaluations == 7
    assert result.reason == "budget spent"


def test_a_process_that_dies_is_said_in_one_line(speaker):
    with pytest.raises(BenchEnvironmentError, match=r"PyBOP's Broken failed: .*no such optimiser") as caught:
        minimise(Bowl(), method=speaker("Broken"), budget=30, seed=1)

    assert "\n" not in str(caught.value)


def test_what_knows_no_chance_searches_with_one_seed():
    plan = calibrate_optimisers._plan(("least_squares", "cma"), (300, 1000), (0, 1))

    assert plan.count(("cma", 1000, 1)) == 1
    assert [entry for entry in plan if entry[0] == "least_squares"] == [
        ("least_squares", 300, 0),
        ("least_squares", 1000, 0),
    ]


def test_the_best_of_pybop_is_that_of_the_trials():
    trial = calibrate_optimisers.TRIAL
    searches = [
        _search("PyBOP XNES", budget=trial, cost=5.0),
        _search("PyBOP CMAES", budget=trial, cost=4.0),
        _search("PyBOP XNES", cost=1.0),
        _search("cma", cost=0.5),
    ]

    assert best_pybop(searches) == "PyBOP CMAES"
    assert best_pybop([_search()]) is None


def test_searches_are_read_back_as_they_were_kept(tmp_path):
    search = _search()
    (tmp_path / "one.json").write_text(json.dumps(asdict(search)), encoding="utf-8")

    assert collect(tmp_path) == [search]


def test_figures_are_the_middle_of_the_seeds():
    searches = [_search(seed=seed, cost=cost) for seed, cost in enumerate((1.0, 3.0))]

    figures = calibrate_optimisers._figures(searches).as_dict()["figures"]

    assert figures["S001, 300, cma: cost, middle of 2"]["value"] == pytest.approx(2.0)
    assert figures["S001, 300, cma: cost, worst"]["value"] == pytest.approx(3.0)
    assert figures["S001, 300, cma: V MAPE at 2C"]["value"] == pytest.approx(0.5)


def test_the_picture_of_optimisers_is_drawn(tmp_path):
    searches = [
        _search("least_squares", count=120),
        _search("PyBOP CMAES", cell="XJTU", budget=1000),
        _search("PyBOP CMAES", budget=150),
    ]

    plot_optimisers(tmp_path / "picture.png", searches, trial=150)

    assert (tmp_path / "picture.png").stat().st_size > 10_000
