"""The command ``celltwin calibrate`` on files of a made-up cell, with single particles for speed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from celltwin.core import CelltwinError
from celltwin.physics import load_cell_parameters
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.cell_simulation import CellModel, CellSimulation, ModelOptions
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve
from celltwin.runtime.calibrate import CalibrationSettings, run_calibration
from celltwin.runtime.command_line import app
from celltwin.runtime.report import ReportWriter
from celltwin.runtime.report.calibration_evidence import load_calibration

CELL = """
name = "Made up"
chemistry = "NMC-graphite-SiOx"
format = "21700"
capacity = "5 Ah"
lower_voltage = 2.5
upper_voltage = 4.2
"""
MAPPING = """
ambient_temperature = "25 degC"
cell = "made up"
citation = "made up, 2026"
current_sign = "discharge positive"
[columns]
time = {column = "time", unit = "s"}
current = {column = "current", unit = "A"}
voltage = {column = "voltage", unit = "V"}
temperature = {column = "temperature", unit = "degC"}
"""


@pytest.fixture(scope="module")
def cell_folder(tmp_path_factory) -> Path:
    """Two discharges of a cell with known parameters, its description and the mapping of its files."""
    folder = tmp_path_factory.mktemp("cell")
    (folder / "cell.toml").write_text(CELL, encoding="utf-8")
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    description = CellDescription(name="Made up", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
    model = CellModel(choose_base_set(description, base_set="Chen2020"), ModelOptions(model="SPM", mesh="default"))
    (folder / "data").mkdir()
    for name, current, duration in (("slow", 2.5, 9000.0), ("fast", 7.5, 2400.0)):
        time = np.arange(0.0, duration, 30.0)
        curve = MeasuredCurve(
            name=name,
            time=time,
            current=np.where(time > 0.0, current, 0.0),
            voltage=np.linspace(4.1, 3.0, time.size),
            ambient_temperature=298.15,
            scored=np.ones(time.size, dtype=bool),
            source=CurveSource(path=name, sha256=name, rows=time.size),
        )
        found = CellSimulation(model, curve, np.arange(time.size)).solve({"Contact resistance [Ohm]": 0.008})
        kept = np.isfinite(found.voltage) & (found.voltage > 2.5)
        table = np.column_stack([time, curve.current, found.voltage, found.temperature - 273.15])[kept]
        np.savetxt(
            folder / "data" / f"{name}.csv",
            table,
            delimiter=",",
            header="time,current,voltage,temperature",
            comments="",
            fmt="%.6f",
        )
    return folder


def _settings(folder: Path, output: Path, **changes) -> CalibrationSettings:
    given = {
        "files": (str(folder / "data"),),
        "cell": str(folder / "cell.toml"),
        "mapping": str(folder / "mapping.toml"),
        "model": "SPM",
        "base_set": "Chen2020",
        "budget": 3,
        "threads": 1,
        "uncertainty": "none",
        "output": str(output),
        "report": False,
    }
    return CalibrationSettings(**(given | changes))


@pytest.fixture(scope="module")
def finished(cell_folder, tmp_path_factory):
    """What the command leaves behind, with its words."""
    output = tmp_path_factory.mktemp("run") / "out"
    arguments = [cell_folder / "data", "--cell", cell_folder / "cell.toml", "--mapping", cell_folder / "mapping.toml"]
    arguments += ["--model", "SPM", "--base-set", "Chen2020", "--budget", "24", "--threads", "1"]
    arguments += ["--uncertainty", "laplace", "--hold-out", "1.5C", "--output", output]
    result = CliRunner().invoke(
        app, ["calibrate", *(str(argument) for argument in arguments)], env={"COLUMNS": "200"}, catch_exceptions=False
    )
    return result, output


def test_files_and_a_description_give_a_set_a_summary_and_a_report(finished):
    result, output = finished

    assert result.exit_code == 0, result.output
    assert {"made_up.json", "summary.json", "report.html", "curves.npz"} <= {path.name for path in output.iterdir()}
    assert "1.5C" in result.output
    assert "fitted" in result.output
    assert load_cell_parameters(str(output / "made_up.json")).capacity == pytest.approx(5.0, rel=0.2)


def test_the_summary_holds_figures_checks_and_what_was_asked_for(finished):
    summary = json.loads((finished[1] / "summary.json").read_text(encoding="utf-8"))

    assert summary["kind"] == "calibration"
    assert summary["settings"]["budget"] == 24
    assert {found["curve"] for found in summary["provenance"]["figures"]} == {"0.5C", "1.5C"}
    assert all(
        found["voltage_RMSE_V"] < (0.06 if found["held_out"] else 0.03) for found in summary["provenance"]["figures"]
    )
    assert any(check["name"] == "written set in PyBaMM" for check in summary["provenance"]["checks"])
    assert len(summary["correlation"]) == len(summary["parameters"])
    assert all("interval_95" in item for item in summary["parameters"])
    assert summary["prediction"]["level"] == 0.9
    for band in summary["prediction"]["curves"]:
        assert 0.3 < band["voltage_coverage"] <= 1.0
        assert 1e-4 < band["voltage_half_width_V"] < 0.1
        assert 1e-3 < band["temperature_half_width_K"] < 12.0  # hardly fitted: 24 evaluations


def test_the_report_says_the_doubts_first_and_shows_every_curve(finished):
    page = (finished[1] / "report.html").read_text(encoding="utf-8")
    summary = json.loads((finished[1] / "summary.json").read_text(encoding="utf-8"))

    assert page.count("<svg") == 6  # overview, two curves, parameters, correlations, convergence
    for words in ("Voltage [V]", "Temperature [°C]", "Charge drawn [A·h]", "Residual", "Evaluations of all fitted"):
        assert words in page
    assert summary["doubts"]
    for check in summary["doubts"]:
        assert page.index(check["message"].split(" (")[0].split("'")[0][:40]) < page.index("How near the model comes")
    assert "made up, 2026" in page
    assert "A 90 % band should hold 90 % of the measured values" in page
    assert page.count("90 % band</text>") == 4  # voltage and temperature of two curves
    assert "Voltage in band [%]" in page


def test_the_report_can_be_written_again(finished):
    before = (finished[1] / "report.html").read_text(encoding="utf-8")

    ReportWriter(finished[1]).write()

    assert (finished[1] / "report.html").read_text(encoding="utf-8") == before


def test_measured_and_simulated_curves_are_kept(finished):
    evidence = load_calibration(finished[1])

    assert [curve.name for curve in evidence.curves] == ["0.5C", "1.5C"]
    assert evidence.curves[1].charge[-1] == pytest.approx(
        float(np.trapezoid(evidence.curves[1].current, evidence.curves[1].time)) / 3600.0
    )


def test_bands_are_kept_beside_the_curves_that_they_are_about(finished):
    summary = json.loads((finished[1] / "summary.json").read_text(encoding="utf-8"))

    for curve, said in zip(load_calibration(finished[1]).curves, summary["prediction"]["curves"], strict=True):
        assert curve.voltage_band.shape == (2, curve.time.size)
        low, high = curve.voltage_band[:, curve.scored]
        assert np.all(low < high)
        inside = (curve.voltage[curve.scored] >= low) & (curve.voltage[curve.scored] <= high)
        assert float(np.mean(inside)) == pytest.approx(said["voltage_coverage"])


def test_a_report_without_bands_can_still_be_written(finished, tmp_path):
    summary = json.loads((finished[1] / "summary.json").read_text(encoding="utf-8"))
    del summary["prediction"]  # as earlier versions wrote it
    (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    with np.load(finished[1] / "curves.npz") as arrays:
        kept = {name: arrays[name] for name in arrays if not name.endswith(("_low", "_high"))}
    np.savez(tmp_path / "curves.npz", **kept)

    page = ReportWriter(tmp_path).write().read_text(encoding="utf-8")

    assert "band" not in page


def test_a_folder_that_holds_a_calibration_is_not_overwritten(cell_folder, finished):
    with pytest.raises(CelltwinError, match=r"already holds a calibration.*--resume"):
        run_calibration(_settings(cell_folder, finished[1]))


def test_a_held_out_curve_is_scored_and_not_fitted(finished):
    summary = json.loads((finished[1] / "summary.json").read_text(encoding="utf-8"))

    assert summary["fitted"] == ["0.5C"]
    assert {found["curve"]: found["held_out"] for found in summary["provenance"]["figures"]} == {
        "0.5C": False,
        "1.5C": True,
    }
    assert any(check["name"] == "rates" for check in summary["doubts"])
    known, new = summary["prediction"]["curves"]
    assert (known["held_out"], new["held_out"]) == (False, True)
    assert new["voltage_half_width_V"] > known["voltage_half_width_V"]


def test_an_interruption_keeps_the_best_so_far_and_can_be_gone_on_with(cell_folder, tmp_path):
    fast = {"files": (str(cell_folder / "data" / "fast.csv"),), "budget": 6}
    seen = []

    def interrupt(step) -> None:
        seen.append(step)
        os.kill(os.getpid(), signal.SIGINT)

    first = run_calibration(_settings(cell_folder, tmp_path / "out", **fast), progress=interrupt)

    assert first.interrupted
    assert len(seen) == 1
    assert (tmp_path / "out" / "summary.json").exists()
    again = run_calibration(_settings(cell_folder, tmp_path / "out", **fast, resume=True))
    assert not again.interrupted
    assert again.summary["provenance"]["search"]["evaluations"] > 1


def test_progress_reports_the_errors_of_the_best(cell_folder, tmp_path):
    seen = []

    fast = (str(cell_folder / "data" / "fast.csv"),)
    run_calibration(_settings(cell_folder, tmp_path / "out", files=fast), progress=seen.append)

    assert 0.0 < seen[0].voltage_error < 5.0
    assert 0.0 < seen[0].temperature_error < 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": ("nowhere.csv",)}, "no such file"),
        ({"cell": "nowhere.toml"}, "no such cell description"),
        ({"hold_out": ("7C",)}, "no curve '7C'"),
        ({"hold_out": ("0.5C", "1.5C")}, "no discharge of C/4 or faster is left"),
        ({"model": "ECM"}, "Use SPM, SPMe or DFN"),
        ({"uncertainty": "some"}, "Use none, laplace, refits, full"),
        ({"budget": 0}, "--budget 0 must be above 0"),
        ({"resume": True}, "no calibration to go on with"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_remedy(cell_folder, tmp_path, changes, words):
    with pytest.raises(CelltwinError, match=words) as caught:
        run_calibration(_settings(cell_folder, tmp_path / "out", **changes))

    assert caught.value.remedy


def test_a_refused_calibration_spends_no_time_on_its_uncertainty(cell_folder, tmp_path):
    warm = tmp_path / "data"
    warm.mkdir()
    for file in sorted((cell_folder / "data").iterdir()):
        table = np.loadtxt(file, delimiter=",", skiprows=1)
        table[:, 3] += np.linspace(0.0, 60.0, len(table))
        np.savetxt(warm / file.name, table, delimiter=",", header="time,current,voltage,temperature", comments="")

    outcome = run_calibration(
        _settings(cell_folder, tmp_path / "out", files=(str(warm),), budget=1, uncertainty="laplace")
    )

    assert outcome.parameter_set is None
    assert outcome.summary["uncertainty_method"] is None
    assert "refused" in outcome.summary["identifiability"][0]
    assert "had hardly begun" in " ".join(check["message"] for check in outcome.summary["doubts"])


def test_curves_that_are_read_and_not_fitted_are_named_in_the_report(cell_folder, tmp_path):
    mixed = tmp_path / "data"
    mixed.mkdir()
    for name in ("slow", "fast"):
        table = np.loadtxt(cell_folder / "data" / f"{name}.csv", delimiter=",", skiprows=1)
        if name == "fast":  # and then rests
            rest = np.tile(table[-1], (60, 1))
            rest[:, 0] += 30.0 * np.arange(1, 61)
            rest[:, 1], rest[:, 2] = 0.0, np.linspace(table[-1, 2] + 0.1, table[-1, 2] + 0.3, 60)
            table = np.vstack([table, rest])
        np.savetxt(mixed / f"{name}.csv", table, delimiter=",", header="time,current,voltage,temperature", comments="")

    outcome = run_calibration(_settings(cell_folder, tmp_path / "out", files=(str(mixed),), budget=1, report=True))

    assert [item["kind"] for item in outcome.summary["read_only"]] == ["rest"]
    (name,) = (item["curve"] for item in outcome.summary["read_only"])
    assert f"neither fitted nor scored: {name}." in outcome.folder.report.read_text(encoding="utf-8")
