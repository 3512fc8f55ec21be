"""The command that predicts measured cells with the served models, on made-up cells."""

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from celltwin.prognosis import FEATURE_NAMES, CycleDataError
from celltwin.prognosis.cell_forecast import COLUMNS
from celltwin.runtime.command_line import app

# A charge of a fresh XJTU cell, as the sets of cycles describe it.
CHARGE = {
    "voltage mean": 4.16, "voltage std": 0.031, "voltage kurtosis": -0.6, "voltage skewness": -0.7, "CC Q": 0.40,
    "CC charge time": 360.0, "voltage slope": 3.0e-4, "voltage entropy": 5.9, "current mean": 0.34,
    "current std": 0.20, "current kurtosis": 2.0, "current skewness": 1.6, "CV Q": 0.20, "CV charge time": 1700.0,
    "current slope": -2.0e-4, "current entropy": 7.0,
}  # fmt: skip


def write_cell(folder, name, *, cycles=40, capacity=2.0, broken=None):
    random = np.random.default_rng(len(name))
    rows = np.array([CHARGE[column] for column in FEATURE_NAMES]) * random.normal(1.0, 0.003, (cycles, len(CHARGE)))
    if broken is not None:
        rows[broken] = np.inf
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join((*FEATURE_NAMES, "capacity"))]
    lines += [",".join(map(str, (*row, capacity * (0.99 - 1e-3 * number)))) for number, row in enumerate(rows)]
    (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")


def predict(folder, out, *arguments):
    given = ["predict", str(folder), "--out", str(out), *map(str, arguments)]
    return CliRunner().invoke(app, given, env={"COLUMNS": "180"}, catch_exceptions=False)


def read(file):
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_cycle_gets_soh_and_remaining_life_with_intervals(tmp_path):
    write_cell(tmp_path / "cells", "2C_battery-1", broken=20)

    done = predict(tmp_path / "cells", tmp_path / "out", "--nominal-capacity", 2.0)

    assert done.exit_code == 0, done.output
    assert "2C_battery-1" in done.output
    rows = read(tmp_path / "out" / "2C_battery-1.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["cycle"]) for row in rows] == list(range(1, 41))
    newest = {name: float(rows[-1][name]) for name in COLUMNS if not name.endswith("doubts")}
    assert newest["soh_low"] < newest["soh"] < newest["soh_high"]
    assert newest["rul_low"] <= newest["rul_cycles"] <= newest["rul_high"]
    assert "fewer than 3 cycles" in rows[0]["soh_doubts"]
    assert "fewer than ten charges" in rows[0]["rul_doubts"]
    assert rows[20]["soh"] == ""
    assert "no prediction" in rows[20]["soh_doubts"]


def test_a_duty_or_capacity_that_no_training_cell_had_is_doubted_and_told_less_surely(tmp_path):
    write_cell(tmp_path / "cells", "taxi_battery-1", capacity=5.0)

    predict(tmp_path / "cells", tmp_path / "unknown", "--nominal-capacity", 5.0)
    predict(tmp_path / "cells", tmp_path / "known", "--nominal-capacity", 5.0, "--used-like", "2C")

    unknown, known = (read(tmp_path / name / "taxi_battery-1.csv")[-1] for name in ("unknown", "known"))
    assert "used in a way that no training cell was" in unknown["soh_doubts"]
    assert "used in a way that no training cell was" in unknown["rul_doubts"]
    assert "used in a way" not in known["soh_doubts"]
    assert "capacity" in known["soh_doubts"]

    def width(row):
        return float(row["soh_high"]) - float(row["soh_low"])

    assert width(unknown) > width(known)


def test_a_folder_without_cells_is_refused(tmp_path):
    with pytest.raises(CycleDataError):
        predict(tmp_path, tmp_path / "out", "--nominal-capacity", 2.0)
