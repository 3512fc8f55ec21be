"""Calibrated sets as files: valid BPX, the same cell for PyBaMM and for the engine, with their provenance."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics import CellBatch, CellSimulator, Mesh, load_cell_parameters, open_circuit_voltage
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.base_sets_laws import CHARGE_MISSING, ShapeCorrections, with_laws
from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
from celltwin.physics.calibration.calibrated_set import (
    ParameterUncertainty,
    build_calibrated_set,
    calibrated_values,
    read_calibrated_set,
    set_name,
    write_calibrated_set,
)
from celltwin.physics.calibration.calibrated_set_check import check_written_set
from celltwin.physics.calibration.calibrated_set_tables import cell_tables, exchange_current, tabulate
from celltwin.physics.calibration.calibration_figures import score_curves, simulate_curve
from celltwin.physics.calibration.cell_simulation import CellModel, CellSimulation, ModelOptions
from celltwin.physics.calibration.consistency import audit_calibration
from celltwin.physics.calibration.consistency_check import CheckOutcome, ConsistencyCheck
from celltwin.physics.calibration.consistency_course import law_values
from celltwin.physics.engine import build_cell_model
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve, MeasuredSet

CELL = CellDescription(name="Made Up 21700", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
NAMES = ("Positive particle diffusivity [m2.s-1]", "Contact resistance [Ohm]")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A calibration, its data, its audit, and the file of its set."""
    time = np.arange(0.0, 2401.0, 20.0)
    curve = MeasuredCurve(
        name="1C",
        time=time,
        current=np.where(time > 0.0, 5.0, 0.0),
        voltage=np.linspace(4.1, 3.0, time.size),
        temperature=np.full(time.size, 298.15),
        ambient_temperature=np.full(time.size, 298.15),
        scored=np.ones(time.size, dtype=bool),
        source=CurveSource(
            path="/home/someone/records/made_up/1C.csv",
            sha256="ab" * 32,
            rows=130,
            left_out={"before the current": 9},
            citation="made up, 2026",
            licence="CC0",
        ),
    )
    published = CellModel(choose_base_set(CELL, base_set="Chen2020"), ModelOptions(model="SPM"))
    found = CellSimulation(published, curve, np.arange(time.size)).solve({})
    measured = MeasuredSet(
        cell="made up", curves=(replace(curve, voltage=found.voltage, temperature=found.temperature),)
    )
    options = CalibrationOptions(model="SPM", names=NAMES, budget=1, threads=1, base_set="Chen2020", seed=7)
    result = calibrate(CELL, measured, options)
    found = simulate_curve(result.problem.model, curve, result.values)
    exact = replace(curve, voltage=found.voltage, temperature=found.temperature)  # a perfect fit
    measured = MeasuredSet(cell="made up", curves=(exact,))
    result = replace(result, figures=score_curves(result.problem.model, measured.curves, result.values, fitted=["1C"]))
    audit = audit_calibration(result, measured)
    uncertainty = ParameterUncertainty(
        names=NAMES,
        standard_deviation=np.array([1e-15, 0.001]),
        low=np.array([1e-15, 0.002]),
        high=np.array([9e-15, 0.006]),
        correlation=np.array([[1.0, -0.4], [-0.4, 1.0]]),
        method="Laplace approximation",
    )
    content = build_calibrated_set(result, measured, audit, uncertainty=uncertainty)
    path = write_calibrated_set(content, tmp_path_factory.mktemp("sets") / "made_up.json")
    return result, measured, audit, path


def test_the_file_is_valid_bpx(written):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own use of its dependencies
        import bpx

        document = bpx.parse_bpx_file(str(written[3]))

    assert document.header.title == "Made Up 21700, calibrated"
    assert document.parameterisation.cell.nominal_cell_capacity == CELL.capacity


def test_pybamm_discharges_the_file_as_the_calibrated_model(written):
    result, measured, audit, path = written

    (check,) = check_written_set(path, result, measured, audit)

    assert check.outcome is CheckOutcome.PASSED
    assert check.value < 0.2  # [mV]


def test_pybamm_reads_what_bpx_has_no_place_for(written):
    result, *_, path = written
    values = calibrated_values(path)

    assert values["Contact resistance [Ohm]"] == pytest.approx(result.values["Contact resistance [Ohm]"])
    assert values["Negative electrode active material volume fraction"] == pytest.approx(
        result.values["Negative electrode active material volume fraction"]
    )


def test_the_pack_reads_the_file_as_cell_parameters(written):
    _, _, audit, path = written
    parameters = load_cell_parameters(str(path))

    assert parameters.capacity == pytest.approx(audit.resting.capacity)
    assert parameters.name == "made_up_21700"
    assert float(open_circuit_voltage(parameters, 1.0)) == pytest.approx(audit.resting.highest_voltage, abs=1e-3)
    assert float(open_circuit_voltage(parameters, 0.0)) == pytest.approx(audit.resting.lowest_voltage, abs=1e-3)
    assert np.all(np.diff(parameters.voltage) > 0.0)
    assert len(parameters.hash) == 12


def test_the_twins_cells_look_the_files_tables_up(written):
    path = str(written[3])
    cell = load_cell_parameters(path)
    simulator = CellSimulator(cell, "SPM", mesh=Mesh(electrode=3, separator=2, particle=8), compiled=False)
    batch = CellBatch.of(cell, initial_soc=np.array([0.8]), heat_transfer=cell.heat_transfer)

    history = simulator.simulate(batch, np.array([[5.0], [5.0], [5.0]]), interval=300.0)

    values = calibrated_values(path)
    reached = 0.8 * np.array([cell.negative_full, cell.positive_full])
    reached += 0.2 * np.array([cell.negative_empty, cell.positive_empty])
    for side, stoichiometry in zip(("negative", "positive"), reached, strict=True):
        highest = values[f"Maximum concentration in {side} electrode [mol.m-3]"]
        values.update({f"Initial concentration in {side} electrode [mol.m-3]": stoichiometry * highest})
    values.update({"Current function [A]": 5.0})
    import pybamm

    options = {"thermal": "lumped", "contact resistance": "true", "cell geometry": "arbitrary"}
    simulation = pybamm.Simulation(
        pybamm.lithium_ion.SPM(options), parameter_values=values, solver=pybamm.IDAKLUSolver(on_extrapolation="ignore")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = simulation.solve([0.0, 600.0], t_interp=[0.0, 300.0, 600.0])
    at = [int(np.argmin(np.abs(np.asarray(history.time) - time))) for time in (300.0, 600.0)]
    np.testing.assert_allclose(history.voltage[at, 0], expected["Voltage [V]"].entries[1:], atol=2e-3)


def test_the_engine_has_the_same_cell(written, tmp_path, monkeypatch):
    result, _, audit, path = written
    monkeypatch.setenv("CELLTWIN_CACHE", str(tmp_path))
    model = build_cell_model(str(path))

    assert model.capacity == pytest.approx(audit.resting.capacity, rel=1e-6)
    assert model.contact_resistance == pytest.approx(result.values["Contact resistance [Ohm]"])
    assert model.thermal.heat_capacity == pytest.approx(audit.courses["1C"].heat_capacity)
    assert model.thermal.heat_transfer == pytest.approx(audit.courses["1C"].conductance)
    assert model.negative.active_fraction == pytest.approx(
        result.values["Negative electrode active material volume fraction"]
    )


def test_the_card_says_which_rows_of_which_file_were_used(written):
    result, *_, path = written
    card = read_calibrated_set(path)["provenance"]

    (data,) = card["data"]
    assert data["rows_used"] == 121
    assert data["rows_left_out"] == {"before the current": 9}
    assert data["sha256"] == "ab" * 32
    assert data["file"] == "records/made_up/1C.csv"
    assert (data["citation"], data["licence"]) == ("made up, 2026", "CC0")
    assert card["seed"] == 7
    assert card["model"]["base_set"] == "Chen2020"
    assert {"pybamm", "bpx", "python"} <= set(card["software"])
    assert [found["curve"] for found in card["figures"]] == ["1C"]
    assert card["search"]["evaluations"] == result.evaluations


def test_parameters_carry_bounds_unit_and_uncertainty(written):
    parameters = {item["name"]: item for item in read_calibrated_set(written[3])["parameters"]}

    contact = parameters["Contact resistance [Ohm]"]
    assert contact["unit"] == "ohm"
    assert contact["low"] < contact["value"] < contact["high"]
    assert contact["interval_95"] == [0.002, 0.006]
    assert contact["standard_deviation"] == 0.001
    assert read_calibrated_set(written[3])["correlation"]["values"] == [[1.0, -0.4], [-0.4, 1.0]]


def test_a_single_rate_stands_among_the_limits(written):
    assert any("single rate" in text for text in load_cell_parameters(str(written[3])).limits)


def test_a_refused_calibration_gives_no_set(written):
    result, measured, audit, _ = written
    wrong = ConsistencyCheck(name="charge balance", outcome=CheckOutcome.REFUSED, message="off by 5 %")

    with pytest.raises(ModelError, match="refused"):
        build_calibrated_set(result, measured, replace(audit, checks=(wrong,)))


def test_a_damaged_set_says_what_to_do(written, tmp_path):
    data = json.loads(written[3].read_text(encoding="utf-8"))
    del data["Parameterisation"]["User-defined"]["Celltwin"]["description"]["cell"]
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(ModelError, match=r"damaged.*Calibrate again"):
        load_cell_parameters(str(damaged))


def test_a_plain_bpx_file_is_no_calibrated_set(written, tmp_path):
    data = json.loads(written[3].read_text(encoding="utf-8"))
    del data["Parameterisation"]["User-defined"]["Celltwin"]
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(ModelError, match="no calibrated set"):
        read_calibrated_set(plain)


@pytest.mark.parametrize("law", [np.sin, lambda at: np.exp(-20.0 * at), lambda at: np.tanh(30.0 * (at - 0.4))])
def test_tables_are_as_near_as_asked_for(law):
    table = tabulate(law, 0.0, 1.0, 1e-5)

    place = np.linspace(0.0, 1.0, 20011)
    assert np.max(np.abs(np.interp(place, table.x, table.y) - law(place))) < 1.5e-5
    assert table.x.size < 600


def test_tables_hold_shape_corrections():
    base = choose_base_set(CELL, base_set="Chen2020")
    shapes = ShapeCorrections(open_circuit_positive=(0.3, 0.5, 0.7), diffusivity_negative=2)
    laws = with_laws(base.values, shapes)
    inputs = {**base.numbers, **dict.fromkeys(shapes.input_names(), 0.0), CHARGE_MISSING: 0.0}
    corrected = {**inputs, "Positive OCP correction 2 [V]": 0.02, "Negative diffusivity correction 1": 1.0}

    plain, tables = (cell_tables(laws, values) for values in (inputs, corrected))

    name = "Positive electrode OCP [V]"
    gain = np.interp(0.5, tables[name].x, tables[name].y) - np.interp(0.5, plain[name].x, plain[name].y)
    assert gain == pytest.approx(0.02, abs=3e-5)
    name = "Negative particle diffusivity [m2.s-1]"
    place = np.array([0.1, 0.5, 0.9])
    ratio = np.interp(place, tables[name].x, tables[name].y) / law_values(laws, name, place, inputs, 298.15)
    np.testing.assert_allclose(ratio, np.exp(2.0 * place - 1.0), rtol=1e-3)


def test_an_exchange_current_that_bpx_cannot_hold_is_noticed():
    base = choose_base_set(CELL, base_set="ORegan2022")

    _, departure = exchange_current(with_laws(base.values, ShapeCorrections()), dict(base.numbers), "Positive")

    assert departure > 0.02


def test_names_of_files_are_plain():
    assert set_name("Samsung 30Q / S001") == "samsung_30q_s001"
    assert set_name("***") == "cell"
