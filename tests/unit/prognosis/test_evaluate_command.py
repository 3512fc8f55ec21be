"""The command that judges models, on made-up folders of cells; kinds without a network, so that nothing heavy loads."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from celltwin.prognosis import FEATURE_NAMES, CycleDataError
from celltwin.prognosis.command_line_evaluate import app
from celltwin.prognosis.protocol_runs import ProtocolPredictions


def write_cells(folder, names, cycles=25):
    random = np.random.default_rng(4)
    for name in names:
        soh = np.linspace(1.0, 0.8, cycles)
        rows = random.normal(1.0, 0.01, (cycles, len(FEATURE_NAMES)))
        rows[:, 4] = soh
        file = folder / f"{name}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [",".join((*FEATURE_NAMES, "capacity"))]
        lines += [",".join(map(str, (*row, 3.0 * health))) for row, health in zip(rows, soh, strict=True)]
        file.write_text("\n".join(lines), encoding="utf-8")


def run(*arguments):
    return CliRunner().invoke(app, ["soh", *map(str, arguments)], env={"COLUMNS": "160"}, catch_exceptions=False)


@pytest.fixture
def fleet(tmp_path):
    write_cells(tmp_path / "fleet", [f"{site}/cell{n}" for site, n in [("north", k) for k in range(1, 7)]])
    write_cells(tmp_path / "fleet", [f"south/unit{n}" for n in range(1, 7)])
    return tmp_path / "fleet"


def test_a_new_set_with_names_of_its_own_is_judged_in_one_command(fleet, tmp_path):
    done = run("--data", fleet, "--nominal-capacity", 3, "--protocol", "cv", "--folds", 3, "--model", "kernel",
               "--seeds", 2, "--out", tmp_path / "out")  # fmt: skip

    assert done.exit_code == 0
    assert "north" in done.output
    assert "south" in done.output
    content = json.loads((tmp_path / "out/fleet_cv_kernel.json").read_text())
    assert content["seeds"] == [1, 2]
    assert content["figures"]["mean"]["cells"] == 12
    assert content["figures"]["mean"]["mape"] < 2.0
    predictions = ProtocolPredictions.load(tmp_path / "out/fleet_cv_kernel.npz")
    assert predictions.predicted.shape == (2, 12 * 25)


def test_the_leaky_protocol_says_that_it_leaks(fleet, tmp_path):
    done = run("--data", fleet, "--nominal-capacity", 3, "--protocol", "published", "--model", "kernel", "--seeds", 1,
               "--out", tmp_path / "out")  # fmt: skip

    assert done.exit_code == 0
    assert "LEAKY" in done.output
    assert json.loads((tmp_path / "out/fleet_published_kernel.json").read_text())["leaky"] is True


def test_an_unknown_nominal_capacity_is_asked_for(fleet):
    with pytest.raises(CycleDataError, match="--nominal-capacity"):
        run("--data", fleet)


def test_cells_without_numbers_are_sent_to_cross_validation(tmp_path):
    write_cells(tmp_path / "fleet", ["alpha", "beta", "gamma"])

    with pytest.raises(CycleDataError, match="--protocol cv"):
        run("--data", tmp_path / "fleet", "--nominal-capacity", 3, "--model", "kernel", "--out", tmp_path / "out")
