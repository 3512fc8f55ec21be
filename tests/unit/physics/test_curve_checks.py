"""Wrong, mixed-up and poor measurements are found, said and given a remedy; good ones pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.physics.measurements import (
    CELL_CHEMISTRIES,
    CellDescription,
    CurveFinding,
    CurveSource,
    FindingLevel,
    MeasuredCurve,
    MeasuredSet,
    MeasurementError,
    check_curve,
    check_measured_set,
    require_usable,
)
from celltwin.physics.measurements.curve_checks_sign import find_current_sign

CELL = CellDescription(name="made", chemistry="NMC-graphite", format="18650", capacity=2.0)
SOC = [0.0, 0.03, 0.1, 0.2, 0.5, 0.8, 1.0]
NMC = [2.4, 3.2, 3.4, 3.55, 3.70, 3.98, 4.18]
LFP = [1.9, 2.9, 3.15, 3.22, 3.29, 3.33, 3.45]


def discharge(rate: float = 1.0, curve: list[float] = NMC, capacity: float = 2.0) -> MeasuredCurve:
    """Return a complete discharge of an invented cell with 25 mohm, to its cut-off, that begins with a row at rest."""
    soc = np.linspace(1.0, 0.0, 400)
    current = np.full(soc.size, rate * capacity)
    current[0] = 0.0
    voltage = np.interp(soc, SOC, curve) - 0.025 * current
    last = int(np.argmax(voltage < curve[0] + 0.1))
    rows = slice(0, last + 1)
    return MeasuredCurve(
        name=f"{rate:g}C",
        time=3600.0 / rate * (1.0 - soc[rows]),
        current=current[rows],
        voltage=voltage[rows],
        temperature=298.15 + 4.0 * rate * (1.0 - soc[rows]),
        ambient_temperature=298.15,
        scored=np.ones(last + 1, dtype=np.bool_),
        source=CurveSource(path=f"{rate:g}C.csv", sha256="0", rows=last + 1),
        rest_voltage=float(voltage[0]),
    )


def measured(*curves: MeasuredCurve) -> MeasuredSet:
    return MeasuredSet(cell="made", curves=curves, nominal_capacity=2.0)


def found(findings: tuple[CurveFinding, ...], check: str) -> CurveFinding:
    chosen = [finding for finding in findings if finding.check == check]
    assert len(chosen) == 1, [str(finding) for finding in findings]
    return chosen[0]


def test_good_discharges_at_three_rates_pass_without_a_word():
    assert check_measured_set(measured(discharge(0.1), discharge(1.0), discharge(2.0)), CELL) == ()


def test_reversed_current_is_refused():
    curve = discharge()

    finding = found(check_curve(replace(curve, current=-curve.current), CELL), "current sign")

    assert finding.level is FindingLevel.REFUSED
    assert "current_sign" in finding.remedy


@pytest.mark.parametrize(
    ("quantity", "factor", "check", "remedy"),
    [
        ("current", 1e3, "current unit", "milliamperes"),
        ("current", 1e-3, "current unit", "not milliamperes"),
        ("time", 1 / 3600, "current unit", "hours"),
        ("time", 1 / 60, "current unit", "minutes"),
        ("time", 1e3, "current unit", "milliseconds"),
        ("voltage", 1e3, "voltage unit", '"mV"'),
        ("voltage", 1e-3, "voltage unit", 'not "mV"'),
        ("voltage", 14.0, "voltage unit", "cells in series"),
        ("current", 1.7, "capacity", "capacity in the description"),
    ],
)
def test_a_wrong_unit_is_refused_with_the_right_one(quantity: str, factor: float, check: str, remedy: str):
    curve = discharge()
    wrong = replace(curve, **{quantity: factor * getattr(curve, quantity)})  # type: ignore[arg-type]

    finding = found(check_curve(wrong, CELL), check)

    assert finding.level is FindingLevel.REFUSED
    assert remedy in finding.remedy


@pytest.mark.parametrize(("offset", "unit"), [(273.15, '"K"'), (-273.15, '"degC"')])
def test_kelvin_and_degrees_celsius_mixed_up_are_refused(offset: float, unit: str):
    curve = discharge()
    assert curve.temperature is not None

    finding = found(check_curve(replace(curve, temperature=curve.temperature + offset), CELL), "temperature unit")

    assert finding.level is FindingLevel.REFUSED
    assert unit in finding.remedy


def test_missing_temperature_is_doubtful_for_the_set_and_noted_for_the_curve():
    curves = [replace(discharge(rate), temperature=None) for rate in (0.2, 1.0)]

    findings = [item for item in check_measured_set(measured(*curves), CELL) if item.check == "temperature"]

    assert [item.level for item in findings] == [FindingLevel.DOUBTFUL, FindingLevel.NOTE]
    assert "heat transfer" in findings[0].message


def test_a_single_rate_is_doubtful():
    finding = found(
        check_measured_set(measured(discharge(1.0), replace(discharge(1.02), name="1C (2)")), CELL), "rates"
    )

    assert finding.level is FindingLevel.DOUBTFUL
    assert "single rate" in finding.message


@pytest.mark.parametrize(("rows", "level"), [(15, FindingLevel.DOUBTFUL), (120, FindingLevel.REFUSED)])
def test_a_gap_is_as_grave_as_the_charge_that_flows_in_it(rows: int, level: FindingLevel):
    curve = discharge()
    kept = np.ones(curve.time.size, dtype=np.bool_)
    kept[100 : 100 + rows] = False
    cut = replace(
        curve,
        **{name: getattr(curve, name)[kept] for name in ("time", "current", "voltage", "temperature", "scored")},
    )

    finding = found(check_curve(cut, CELL), "gaps")

    assert finding.level is level
    assert f"the longest of {curve.time[100 + rows] - curve.time[99]:.0f} s" in finding.message


def test_an_incomplete_discharge_is_doubtful_at_either_end():
    curve = discharge()
    part = slice(100, 250)
    short = replace(
        curve,
        **{name: getattr(curve, name)[part] for name in ("time", "current", "voltage", "temperature", "scored")},
        rest_voltage=3.95,
    )

    findings = [item for item in check_curve(short, CELL) if item.check == "incomplete"]

    assert "stops at" in findings[0].message
    assert "begins at 3.950 V at rest" in findings[1].message


def test_a_faster_discharge_that_draws_more_charge_is_noted():
    slow, fast = discharge(0.5), discharge(2.0)
    longer = replace(fast, time=1.08 * fast.time)

    finding = found(check_measured_set(measured(slow, longer), CELL), "charge")

    assert finding.level is FindingLevel.NOTE
    assert "more charge than the slower 0.5C" in finding.message


def test_a_cell_that_draws_less_than_half_its_capacity_is_doubtful():
    aged = discharge(capacity=0.9)

    finding = found(check_curve(aged, CELL), "capacity")

    assert finding.level is FindingLevel.DOUBTFUL


def test_an_lfp_cell_said_to_be_nmc_is_refused_and_named():
    lfp = [discharge(rate, LFP) for rate in (0.2, 1.0)]

    finding = found(check_measured_set(measured(*lfp), CELL), "chemistry")

    assert finding.level is FindingLevel.REFUSED
    assert finding.remedy == "It looks like LFP-graphite: correct the chemistry"


def test_a_neighbouring_chemistry_is_doubtful():
    lco = CellDescription(name="made", chemistry="LCO-graphite", format="18650", capacity=2.0, lower_voltage=2.5)

    finding = found(check_measured_set(measured(discharge(0.2), discharge()), lco), "chemistry")

    assert finding.level is FindingLevel.DOUBTFUL
    assert "NMC-graphite" in finding.remedy


def test_an_nmc_cell_said_to_be_lfp_leaves_the_window():
    lfp = CellDescription(name="made", chemistry="LFP-graphite", format="18650", capacity=2.0)

    finding = found(check_measured_set(measured(discharge(0.2), discharge()), lfp), "voltage window")

    assert "4.180 to" in finding.message
    assert "likewise 1C" in finding.message


def test_an_lfp_cell_said_to_be_so_passes():
    lfp = CellDescription(name="made", chemistry="LFP-graphite", format="18650", capacity=2.0)

    assert check_measured_set(measured(discharge(0.2, LFP), discharge(1.0, LFP)), lfp) == ()


@pytest.mark.parametrize(
    ("name", "chemistry"),
    [
        ("Chen2020", "NMC-graphite-SiOx"),
        ("Mohtat2020", "NMC-graphite"),
        ("Ecker2015", "NMC-graphite"),
        ("NCA_Kim2011", "NCA-graphite"),
        ("Ai2020", "LCO-graphite"),
        ("Prada2013", "LFP-graphite"),
    ],
)
def test_windows_hold_the_open_circuit_voltages_of_published_sets(name: str, chemistry: str):
    """Voltages at 20, 50 and 80 % of the sets' own capacity, from PyBaMM 26.10."""
    early, middle, late = {
        "Chen2020": (4.042, 3.751, 3.485),
        "Mohtat2020": (3.971, 3.716, 3.585),
        "Ecker2015": (3.987, 3.787, 3.587),
        "NCA_Kim2011": (3.980, 3.685, 3.372),
        "Ai2020": (3.994, 3.793, 3.695),
        "Prada2013": (3.310, 3.266, 3.168),
    }[name]
    window = CELL_CHEMISTRIES[chemistry]

    assert window.middle_voltage[0] <= middle <= window.middle_voltage[1]
    assert window.span_voltage[0] <= early - late <= window.span_voltage[1]


def test_cold_surroundings_that_are_the_cell_are_doubtful():
    finding = found(check_curve(replace(discharge(), ambient_temperature=283.15), CELL), "temperature")

    assert "begins +15.0 K from its surroundings" in finding.message


def test_a_hot_cell_that_does_not_cool_at_rest_is_doubtful():
    time = np.linspace(0.0, 7200.0, 100)
    rest = MeasuredCurve(
        name="rest after 1C",
        kind="rest",
        time=time,
        current=np.zeros(100),
        voltage=np.full(100, 3.3),
        temperature=np.full(100, 306.7),
        ambient_temperature=297.7,
        scored=np.ones(100, dtype=np.bool_),
        source=CurveSource(path="x", sha256="0", rows=100),
    )

    assert "repeats an old value" in found(check_curve(rest), "temperature").message


def test_many_lost_rows_and_few_rows_are_doubtful():
    curve = discharge()
    poor = curve.keep_scored(np.arange(curve.time.size) < 25, "voltage is clipped")

    messages = [item.message for item in check_curve(poor, CELL) if item.check == "rows"]
    lost = curve.time.size - 25

    assert messages == [
        "curve 1C has 25 rows to score",
        f"curve 1C loses {lost} of {curve.time.size} rows: {lost} voltage is clipped",
    ]


def test_a_set_without_a_row_to_score_is_refused():
    curve = discharge()
    nothing = curve.keep_scored(np.zeros(curve.time.size, dtype=np.bool_), "no voltage")

    with pytest.raises(MeasurementError, match="no curve under current that can be scored"):
        require_usable(check_measured_set(measured(nothing), CELL))


def test_require_usable_names_the_file_and_every_fault():
    curves = [replace(discharge(rate), current=-discharge(rate).current) for rate in (0.5, 1.0)]
    hot = discharge(2.0)
    hot = replace(hot, temperature=np.full(hot.time.size, 571.0))

    with pytest.raises(MeasurementError, match=r"rises where .*; and curve 2C has temperatures") as caught:
        require_usable(check_measured_set(measured(*curves, hot), CELL))
    assert "0.5C.csv" in str(caught.value)
    require_usable(())


def test_the_sign_is_found_from_pulses_and_left_open_where_nothing_tells():
    time = np.arange(0.0, 300.0)
    pulses = np.where((time % 60 > 20) & (time % 60 < 30), 3.0, 0.0)

    assert find_current_sign(time, pulses, 3.7 - 0.03 * pulses) == 1
    assert find_current_sign(time, -pulses, 3.7 - 0.03 * pulses) == -1
    assert find_current_sign(time, pulses, np.full(300, 3.7)) == 0
    assert find_current_sign(time, np.zeros(300), 3.7 - 1e-4 * time) == 0
