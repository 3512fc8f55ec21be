"""Calibration on curves whose parameters are known: single particles, simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate, fitted_discharges
from celltwin.physics.calibration.calibration_figures import score_curve
from celltwin.physics.calibration.calibration_problem import CalibrationProblem, choose_rows
from celltwin.physics.calibration.cell_simulation import (
    LEAD_RESISTANCE,
    SURFACE_GAP,
    CellModel,
    CellSimulation,
    ModelOptions,
)
from celltwin.physics.calibration.cell_simulation_profile import find_profile, simplify
from celltwin.physics.calibration.optimisers import minimise
from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve, MeasuredSet

CELL = CellDescription(name="made up", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
DIFFUSION, CONTACT = "Positive particle diffusivity [m2.s-1]", "Contact resistance [Ohm]"
COOLING = "Total heat transfer coefficient [W.m-2.K-1]"
TRUTH = {DIFFUSION: 9e-15, CONTACT: 0.011, COOLING: 18.0}
SPM = ModelOptions(model="SPM")


def _curve(name: str, current: float, duration: float, **changes) -> MeasuredCurve:
    time = np.arange(0.0, duration + 1.0, 10.0)
    course = np.where(time > 0.0, current, 0.0)
    given = {
        "name": name,
        "time": time,
        "current": course,
        "voltage": np.linspace(4.1, 3.0, time.size),
        "temperature": np.full(time.size, 298.15),
        "ambient_temperature": np.full(time.size, 298.15),
        "scored": np.ones(time.size, dtype=bool),
        "voltage_noise": 1e-3,
        "temperature_noise": 0.02,
        "source": CurveSource(path=f"{name}.csv", sha256=name, rows=time.size),
    }
    return MeasuredCurve(**(given | changes))


@pytest.fixture(scope="module")
def model() -> CellModel:
    return CellModel(choose_base_set(CELL), SPM)


@pytest.fixture(scope="module")
def measured(model) -> MeasuredSet:
    """Two discharges of the cell with the true parameters."""
    curves = []
    for name, current, duration in (("C/2", 2.5, 6000.0), ("1.5C", 7.5, 1900.0)):
        curve = _curve(name, current, duration)
        found = CellSimulation(model, curve, np.arange(curve.time.size)).solve(TRUTH)
        assert found.complete
        curves.append(replace(curve, voltage=found.voltage, temperature=found.temperature))
    return MeasuredSet(cell="made up", curves=tuple(curves))


def _problem(model, measured, names=tuple(TRUTH)) -> CalibrationProblem:
    return CalibrationProblem(measured.curves, model, cell_parameter_space(model.base, model="SPM", names=names))


def test_known_parameters_are_recovered_from_two_discharges(model, measured):
    problem = _problem(model, measured)

    found = problem.space.values(minimise(problem, budget=80).x)

    for name, truth in TRUTH.items():
        assert found[name] == pytest.approx(truth, rel=0.03), name


def test_the_true_parameters_leave_only_the_prior(model, measured):
    problem = _problem(model, measured)

    residuals = problem.residuals(problem.space.position(TRUTH))

    assert np.max(np.abs(residuals[: -len(TRUTH)])) < 1e-3
    assert residuals.size == problem.size


def test_candidates_in_a_batch_give_what_they_give_alone(model, measured):
    problem = _problem(model, measured)
    positions = np.array([[0.3, 0.4, 0.5], [0.6, 0.5, 0.4]])

    together = problem.residuals_many(positions)

    for position, residuals in zip(positions, together, strict=True):
        np.testing.assert_allclose(problem.residuals(position), residuals, atol=1e-9)
    assert problem.evaluations == 4


def test_a_discharge_that_ends_early_is_a_penalty_that_falls_as_it_gets_further(model, measured):
    names = ("Electrode width [m]",)
    problem = _problem(model, measured, names)
    width = problem.space.parameters[0].start

    costs = problem.costs(
        np.array([problem.space.position({names[0]: share * width}) for share in (0.7, 0.8, 0.9, 1.0)])
    )

    assert np.all(np.isfinite(costs))
    assert np.all(np.diff(costs) < 0.0)
    assert any("voltage" in reason for reason in problem.failures)


def test_rows_that_were_not_reached_are_counted_and_not_padded(model, measured):
    curve = measured.curve("1.5C")
    figures = score_curve(model, curve, {"Electrode width [m]": 0.8 * model.base.numbers["Electrode width [m]"]})
    found = CellSimulation(model, curve, np.arange(curve.time.size)).solve(
        {"Electrode width [m]": 0.8 * model.base.numbers["Electrode width [m]"]}
    )

    assert figures.missing == np.count_nonzero(np.isnan(found.voltage)) > 0
    assert figures.rows + figures.missing == curve.time.size
    assert found.reason.startswith("ended at")


def test_figures_of_the_truth_are_zero(model, measured):
    figures = score_curve(model, measured.curve("C/2"), TRUTH)

    assert figures.voltage_mape < 1e-4
    assert figures.temperature_rmse < 1e-4
    assert figures.missing == 0


def test_a_coarse_model_is_carried_to_the_finer_one(measured, model):
    fine = CellModel(model.base, replace(SPM, mesh="default"))
    names = tuple(TRUTH)
    space = cell_parameter_space(model.base, model="SPM", names=names)
    coarse_problem = CalibrationProblem(measured.curves, model, space)
    fine_problem = CalibrationProblem(measured.curves, fine, space)
    position = space.position({**TRUTH, CONTACT: 0.02})

    assert coarse_problem.correct_towards(fine_problem, position)
    np.testing.assert_allclose(coarse_problem.residuals(position), fine_problem.residuals(position), atol=1e-6)


def test_a_whole_calibration_says_what_it_did(measured, tmp_path):
    options = CalibrationOptions(model="SPM", names=tuple(TRUTH), budget=60, threads=1, curves=("C/2",))

    result = calibrate(CELL, measured, options, checkpoint=tmp_path)

    assert result.fitted == ("C/2",)
    assert [figure.held_out for figure in result.figures] == [False, True]
    assert result.figures[0].voltage_mape < 0.2
    assert result.evaluations <= 60 + 5  # steps of five dampings are tried together
    assert {"pybamm", "numpy"} <= set(result.software)
    again = calibrate(CELL, measured, options, checkpoint=tmp_path)
    assert again.problem.cost(again.position) <= result.problem.cost(result.position) * 1.001
    with pytest.raises(ModelError, match="of another calibration"):
        calibrate(CELL, measured, replace(options, curves=("1.5C",)), checkpoint=tmp_path)


def test_the_same_calibration_twice_gives_the_same_parameters(measured):
    options = CalibrationOptions(model="SPM", names=tuple(TRUTH), budget=8, threads=1)

    first, second = (calibrate(CELL, measured, options) for _ in range(2))

    np.testing.assert_array_equal(first.position, second.position)


def test_a_cell_without_a_discharge_is_refused(measured):
    slow = MeasuredSet(cell="slow", curves=(_curve("C/20", 0.25, 6000.0),))

    with pytest.raises(ModelError, match="no discharge of C/4"):
        calibrate(CELL, slow)


def test_an_unknown_chemistry_asks_for_a_set():
    with pytest.raises(ModelError, match="Give a BPX file or a PyBaMM set"):
        choose_base_set(replace(CELL, chemistry="LFP-LTO", lower_voltage=1.0, upper_voltage=2.2))


def test_the_base_set_spans_the_cells_capacity_between_its_limits():
    base = choose_base_set(CELL)
    model = CellModel(base, SPM)
    slow = _curve("C/50", 0.1, 3600.0 * 50.0)

    found = CellSimulation(model, slow, np.arange(slow.time.size)).solve({CONTACT: 1e-6})

    assert found.voltage[1] == pytest.approx(4.2, abs=0.02)
    assert found.voltage[np.isfinite(found.voltage)][-1] == pytest.approx(2.5, abs=0.15)


def test_noise_on_a_constant_current_is_still_a_constant_current():
    curve = _curve("1C", 5.0, 3000.0)
    noisy = replace(curve, current=curve.current + 0.02 * np.sin(np.arange(curve.time.size)) * (curve.current > 0))

    assert find_profile(noisy).key == find_profile(curve).key == "steady"
    assert find_profile(noisy).inputs["Steady current [A]"] == pytest.approx(5.0, rel=2e-3)


def test_a_changing_current_keeps_its_corners():
    time = np.arange(0.0, 100.0)
    current = np.where((time > 30.0) & (time < 60.0), 5.0, 1.0)

    knots, levels = simplify(time, current, 0.01)

    assert knots.size == 6
    np.testing.assert_allclose(np.interp(time, knots, levels), current)


def test_chosen_rows_stand_for_all_scored_rows():
    curve = _curve("1C", 5.0, 3600.0)
    hidden = curve.keep_scored(curve.time > 500.0, "test")

    rows, shares = choose_rows(hidden, 40)

    assert shares.sum() == pytest.approx(1.0)
    assert np.all(hidden.scored[rows])
    assert rows[-1] == curve.time.size - 1


def test_slow_discharges_are_fitted_where_the_open_circuit_curve_may_be_corrected():
    curves = tuple(_curve(name, current, 600.0) for name, current in (("C/10", 0.5), ("1C", 5.0)))
    slow_and_fast = MeasuredSet(cell="made up", curves=curves)

    names = [
        [curve.name for curve in fitted_discharges(slow_and_fast, CELL, shapes=shapes)] for shapes in (False, True)
    ]

    assert names == [["1C"], ["C/10", "1C"]]


def test_what_a_start_says_of_the_rig_is_kept(measured):
    start = {**TRUTH, LEAD_RESISTANCE: 0.007, SURFACE_GAP: 0.05}
    options = CalibrationOptions(model="SPM", names=(CONTACT,), start=start, curves=("1.5C",), budget=1, threads=1)

    result = calibrate(CELL, measured, options)

    assert result.values[LEAD_RESISTANCE] == 0.007
    assert result.values[SURFACE_GAP] == 0.05
