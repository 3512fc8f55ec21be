"""A measured cell end to end: files and five lines in; set, report, PyBaMM's and the engine's discharges out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.physics import load_cell_parameters
from celltwin.physics.calibration import calibrated_values, read_calibrated_set
from celltwin.physics.engine import build_cell_model
from celltwin.runtime.calibrate import CalibrationSettings, run_calibration
from tools.bench.physics_cases import Case, PybammCell, compare, run_engine

CELL = """
name = "Samsung 30Q S001"
chemistry = "NCA-graphite-SiOx"
format = "18650"
capacity = "3000 mAh"
mass = "46 g"
"""


@pytest.mark.nightly
@pytest.mark.measured
@pytest.mark.timeout(900)
def test_a_measured_cell_gives_one_set_for_pybamm_and_for_the_pack(measured_data, tmp_path: Path):
    (tmp_path / "cell.toml").write_text(CELL, encoding="utf-8")
    settings = CalibrationSettings(
        files=(str(measured_data("samsung_30q") / "S001"),),
        cell=str(tmp_path / "cell.toml"),
        hold_out=("4C",),
        seconds=100.0,
        output=str(tmp_path / "out"),
    )

    outcome = run_calibration(settings)

    assert outcome.parameter_set is not None, outcome.summary["doubts"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 1e5
    figures = {found["curve"]: found for found in outcome.summary["provenance"]["figures"]}
    assert outcome.summary["fitted"] == ["1C", "2C", "3C"]
    for name in outcome.summary["fitted"]:
        assert figures[name]["voltage_MAPE_percent"] < 0.92  # the paper's at 1C
        assert figures[name]["rows_not_reached"] == 0
    bands = {band["curve"]: band for band in outcome.summary["prediction"]["curves"]}
    assert bands["4C"]["held_out"]
    for name in outcome.summary["fitted"]:
        assert bands[name]["voltage_coverage"] > 0.75
        assert bands[name]["ended_early"] == 0
        assert bands[name]["voltage_half_width_V"] < bands["4C"]["voltage_half_width_V"]
    card = read_calibrated_set(outcome.parameter_set)["provenance"]
    assert {data["curve"]: data["use"] for data in card["data"]}["4C"] == "held out"
    assert all(data["licence"].startswith("CC BY-SA") for data in card["data"])
    written = [check for check in outcome.summary["provenance"]["checks"] if check["name"] == "written set in PyBaMM"]
    assert len(written) == 3
    assert all(check["value"] < 1.0 for check in written)  # [mV]
    _require_same_cell(outcome.parameter_set)


def _require_same_cell(path: Path) -> None:
    """Compare 1C discharges of the engine and of PyBaMM, both SPMe, from one file."""
    values = calibrated_values(path)
    values.update({"Contact resistance [Ohm]": 0.0})  # PyBaMM's lumped model of the bench has none
    model = replace(build_cell_model(str(path)), contact_resistance=0.0)
    case = Case(parameter_set=str(path), rate=1.0, temperature=298.15)
    current = load_cell_parameters(str(path)).capacity

    reference = PybammCell(values, fine=True).run(case, current)
    _, voltage, temperature = compare(run_engine(model, case, current), reference)

    assert float(np.sqrt(np.mean(voltage**2))) < 2e-3
    assert float(np.max(np.abs(temperature))) < 0.1
