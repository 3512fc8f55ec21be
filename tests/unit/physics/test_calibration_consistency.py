"""Consistency checks of calibrations: single particles, simulated, and broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.calibrate import CalibrationOptions, calibrate
from celltwin.physics.calibration.calibration_figures import CurveFigures, simulate_curve
from celltwin.physics.calibration.cell_simulation import CellModel, CellSimulation, ModelOptions
from celltwin.physics.calibration.consistency import audit_calibration
from celltwin.physics.calibration.consistency_balance import BalanceLimits, check_capacity, check_course
from celltwin.physics.calibration.consistency_check import CheckOutcome, ConsistencyCheck, join_checks, judge
from celltwin.physics.calibration.consistency_flags import FitLimits, check_data, check_fit, check_search
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve, MeasuredSet

CELL = CellDescription(name="made up", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
NAMES = ("Positive particle diffusivity [m2.s-1]", "Contact resistance [Ohm]")
LIMITS = BalanceLimits()


def _curve(name: str, current: float, duration: float) -> MeasuredCurve:
    time = np.arange(0.0, duration + 1.0, 20.0)
    return MeasuredCurve(
        name=name,
        time=time,
        current=np.where(time > 0.0, current, 0.0),
        voltage=np.linspace(4.1, 3.0, time.size),
        temperature=np.full(time.size, 298.15),
        ambient_temperature=np.full(time.size, 298.15),
        scored=np.ones(time.size, dtype=bool),
        source=CurveSource(path=f"{name}.csv", sha256=name, rows=time.size),
    )


@pytest.fixture(scope="module")
def calibrated():
    """A calibration that has hardly begun, and its own discharge as the measurement: a perfect fit."""
    curve = _curve("1C", 5.0, 2400.0)
    published = CellModel(choose_base_set(CELL, base_set="Chen2020"), ModelOptions(model="SPM"))
    likely = CellSimulation(published, curve, np.arange(curve.time.size)).solve({})
    options = CalibrationOptions(model="SPM", names=NAMES, budget=1, threads=1, base_set="Chen2020")
    rough = calibrate(CELL, MeasuredSet(cell="made up", curves=(replace(curve, voltage=likely.voltage),)), options)
    found = simulate_curve(rough.problem.model, rough.problem.curves[0], rough.values)
    assert found.complete
    exact = replace(curve, voltage=found.voltage, temperature=found.temperature)
    return rough, MeasuredSet(cell="made up", curves=(exact,))


@pytest.fixture(scope="module")
def audit(calibrated):
    result, measured = calibrated
    return audit_calibration(result, measured)


def _named(checks, name: str) -> list[ConsistencyCheck]:
    return [check for check in checks if check.name.startswith(name)]


def test_balances_of_a_solved_cell_close(audit):
    for name in ("charge balance", "lithium inventory", "energy balance, heat against temperature"):
        (check,) = _named(audit.checks, name)
        assert check.outcome is CheckOutcome.PASSED, check.message
        assert check.value < check.limit


def test_capacity_at_rest_is_that_of_the_charge_drawn_and_the_description(calibrated, audit):
    _, measured = calibrated

    assert audit.resting.capacity > measured.curves[0].charge
    assert audit.resting.lithium > audit.resting.capacity
    assert audit.resting.highest_voltage == pytest.approx(CELL.upper_voltage, abs=0.05)
    assert audit.resting.lowest_voltage == pytest.approx(CELL.lower_voltage, abs=0.05)
    moved = (audit.resting.negative_full - audit.resting.negative_empty) * audit.resting.negative_capacity
    assert moved == pytest.approx(audit.resting.capacity)


def test_a_capacity_far_from_the_description_is_refused(audit):
    other = replace(CELL, capacity=8.0)

    (check,) = _named(check_capacity(audit.resting, other, 4.0, LIMITS), "capacity against the description")

    assert check.outcome is CheckOutcome.REFUSED
    assert "8 A.h described" in check.message


def test_a_negative_electrode_too_small_for_a_full_charge_is_refused(audit):
    plating = replace(audit.resting, negative_full=1.05)

    (check,) = _named(check_capacity(plating, CELL, 4.0, LIMITS), "negative to positive")

    assert check.outcome is CheckOutcome.REFUSED
    assert "plate" in check.message


def test_a_charge_that_the_electrodes_did_not_move_is_refused(calibrated, audit):
    _, measured = calibrated
    curve, course = measured.curves[0], audit.courses["1C"]
    more = replace(curve, current=1.05 * curve.current)

    checks = check_course(more, course, {}, LIMITS)

    assert _named(checks, "charge balance")[0].outcome is CheckOutcome.REFUSED
    assert _named(checks, "charge balance")[0].value == pytest.approx(100.0 * (1.0 - 1.0 / 1.05), rel=1e-3)


def test_lithium_that_disappears_is_refused(calibrated, audit):
    _, measured = calibrated
    course = audit.courses["1C"]
    leaking = replace(course, particle_lithium=course.particle_lithium * np.linspace(1.0, 0.99, course.time.size))

    (check,) = _named(check_course(measured.curves[0], leaking, {}, LIMITS), "lithium inventory")

    assert check.outcome is CheckOutcome.REFUSED


def test_heat_that_comes_from_nowhere_is_refused(calibrated, audit):
    _, measured = calibrated
    course = audit.courses["1C"]
    hot = replace(course, temperature=course.temperature + np.linspace(0.0, 20.0, course.time.size))

    (check,) = _named(check_course(measured.curves[0], hot, {}, LIMITS), "energy balance, heat against temperature")

    assert check.outcome is CheckOutcome.REFUSED


def test_a_temperature_that_contradicts_the_voltage_is_not_passed(calibrated, audit):
    _, measured = calibrated
    curve = measured.curves[0]
    colder = replace(curve, temperature=298.15 + 0.3 * (curve.temperature - 298.15))

    (fits,) = _named(check_course(curve, audit.courses["1C"], {}, LIMITS), "energy balance, measured")
    (check,) = _named(check_course(colder, audit.courses["1C"], {}, LIMITS), "energy balance, measured")

    assert fits.outcome is CheckOutcome.PASSED, fits.message
    assert check.outcome is not CheckOutcome.PASSED


def test_heat_of_mixing_that_equations_leave_out_is_stated(audit):
    (check,) = _named(audit.checks, "energy balance, heat against work")

    assert 1.0 < check.value < 60.0
    assert "heat of mixing" in check.message


def test_a_poor_fit_is_flagged_and_a_hopeless_one_refused():
    good = CurveFigures(
        name="1C",
        held_out=False,
        voltage_mape=0.2,
        voltage_rmse=0.01,
        temperature_mape=0.02,
        temperature_rmse=0.1,
        rows=90,
        missing=0,
    )
    outcomes = {
        rmse: max(
            (check.outcome for check in check_fit([replace(good, voltage_rmse=rmse)], FitLimits())),
            key=list(CheckOutcome).index,
        )
        for rmse in (0.01, 0.05, 0.3)
    }

    assert list(outcomes.values()) == [CheckOutcome.PASSED, CheckOutcome.FLAGGED, CheckOutcome.REFUSED]
    held = check_fit([replace(good, voltage_rmse=0.5, held_out=True)], FitLimits())
    assert {check.outcome for check in held} == {CheckOutcome.PASSED, CheckOutcome.FLAGGED}
    (cut,) = _named(check_fit([replace(good, missing=10)], FitLimits()), "rows not reached")
    assert cut.outcome is CheckOutcome.FLAGGED


def test_figures_that_are_no_numbers_are_refused():
    assert judge(float("nan"), 1.0, 2.0) is CheckOutcome.REFUSED


def test_a_single_rate_without_temperature_and_digitised_is_flagged_for_each(calibrated):
    result, measured = calibrated
    curve = measured.curves[0]
    poor = replace(
        curve, temperature=None, source=replace(curve.source, digitised=True), assumptions=("air at 25 degC",)
    )

    flagged = {
        check.name
        for check in check_data(result, MeasuredSet(cell="made up", curves=(poor,)))
        if check.outcome is CheckOutcome.FLAGGED
    }

    assert {"rates", "temperature", "digitised data", "supposed by the reader"} <= flagged


def test_parameters_at_bounds_and_an_unfinished_search_are_flagged(calibrated):
    result, _ = calibrated
    at_bound = replace(result, at_bounds=("Contact resistance [Ohm]",))

    checks = {check.name: check for check in check_search(at_bound, FitLimits())}

    assert checks["parameters at bounds"].outcome is CheckOutcome.FLAGGED
    assert "Contact resistance" in checks["parameters at bounds"].message
    assert checks["convergence"].outcome is CheckOutcome.FLAGGED


def test_a_refused_calibration_raises_with_every_reason(audit):
    wrong = ConsistencyCheck(name="charge balance", curve="1C", outcome=CheckOutcome.REFUSED, message="off by 5 %")

    with pytest.raises(ModelError, match="charge balance of 1C: off by 5 %"):
        replace(audit, checks=(*audit.checks, wrong)).require_consistent()


def test_checks_of_one_kind_are_said_once_with_the_worst_number():
    checks = [
        ConsistencyCheck(name="voltage", curve=name, outcome=CheckOutcome.FLAGGED, message=f"of {name}", value=value)
        for name, value in (("1C", 31.0), ("2C", 45.0))
    ]

    (joined,) = join_checks(checks)

    assert joined.curve == "1C, 2C"
    assert joined.message == "of 2C (likewise 1C)"


def test_different_sentences_of_one_kind_are_all_said():
    checks = [
        ConsistencyCheck(name="supposed", curve="1C, 2C", outcome=CheckOutcome.FLAGGED, message=message)
        for message in ("no unit", "the sign is the voltage's")
    ]

    assert [check.message for check in join_checks(checks)] == ["no unit", "the sign is the voltage's"]


@pytest.mark.parametrize(("share", "outcome"), [(0.99, CheckOutcome.PASSED), (0.8, CheckOutcome.FLAGGED)])
def test_a_cell_that_holds_more_than_its_slow_held_out_discharge_drew_is_flagged(calibrated, share, outcome):
    result, measured = calibrated
    held = audit_calibration(result, measured).resting
    duration = 3600.0 * share * held.capacity / 0.5
    slow = _curve("0.1C", 0.5, duration)
    slow = replace(slow, voltage=np.linspace(4.2, 2.5, slow.time.size), rest_voltage=4.2)
    figures = (*result.figures, replace(result.figures[0], name="0.1C", held_out=True))

    audit = audit_calibration(replace(result, figures=figures), replace(measured, curves=(*measured.curves, slow)))

    (check,) = _named(audit.checks, "capacity against a slow discharge")
    assert check.outcome is outcome
    assert check.value == pytest.approx(100.0 * (held.capacity / slow.charge - 1.0), abs=0.1)


def test_a_sign_that_the_voltage_tells_is_no_doubt_and_an_assumed_temperature_is(calibrated):
    result, measured = calibrated
    said = ("positive current charges the cell in this file: its voltage says so", "the surroundings have 25 degC")
    (curve,) = measured.curves

    checks = check_data(result, replace(measured, curves=(replace(curve, assumptions=said),)))

    assert {check.message: check.outcome for check in _named(checks, "supposed by the reader")} == {
        said[0]: CheckOutcome.PASSED,
        said[1]: CheckOutcome.FLAGGED,
    }
