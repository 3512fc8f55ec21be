"""What may be wrong with measured curves before anything is fitted to them, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .cell_description import CellDescription
from .curve import MeasuredCurve, MeasuredSet, MeasurementError
from .curve_checks_chemistry import check_chemistry
from .curve_checks_finding import IN_MAPPING, CurveFinding, FindingLevel, found_in
from .curve_checks_sign import find_current_sign
from .curve_checks_temperature import check_temperature
from .segments import rest_threshold

__all__ = [
    "check_curve",
    "check_measured_set",
    "require_usable",
]

_GAP_STEPS, _GAP_SHARE = 10.0, 0.01  # times the usual step, and of the duration
_GAP_LONG_STEPS = 3.0  # times the steps of a record that is sampled more slowly where little happens
_GAP_CHARGE_DOUBTFUL, _GAP_CHARGE_REFUSED = 0.02, 0.2  # of the charge of the curve
_SCORED_DOUBTFUL = 0.8  # share of the rows
_SAME_RATE = 1.3  # rates within this factor tell the same
_COARSE_VOLTAGE, _COARSE_TEMPERATURE = 5e-3, 0.3  # [V], [K]
_FEWEST_ROWS = 30
_MORE_CHARGE, _AS_WARM = 0.005, 5.0  # of the slower discharge's; [K]
_SLOW_RATE, _LEAST_SLOW, _LEAST = 0.5, 0.75, 0.5  # [1/h]; of the capacity that a whole discharge draws, slow or not
_SAID = 3  # refused findings that one error says
_COMPLETE = 0.05  # [V] above the lower cut-off that a discharge may stop at


def check_curve(curve: MeasuredCurve, description: CellDescription | None = None) -> tuple[CurveFinding, ...]:
    """Return what is wrong or doubtful about one curve.

    Parameters
    ----------
    curve : MeasuredCurve
        As read.
    description : CellDescription, optional
        The cell that it is said to be of; checks on capacity and voltages need it.
    """
    if not curve.scored.any():
        return (
            found_in(
                FindingLevel.DOUBTFUL,
                "rows",
                curve,
                "has no row that can be scored: only its current can be used",
                "Give a record with a voltage",
            ),
        )
    findings = [
        *_check_sign(curve),
        *_check_voltage_unit(curve, description),
        *check_temperature(curve),
        *_check_rows(curve),
        *_check_gaps(curve),
    ]
    if description is not None and not any(finding.check == "voltage unit" for finding in findings):
        findings += _check_charge(curve, description)
        findings += _check_window(curve, description)
    return tuple(findings)


def check_measured_set(measured: MeasuredSet, description: CellDescription | None = None) -> tuple[CurveFinding, ...]:
    """Return what is wrong or doubtful about the curves of a cell, alone and together.

    Parameters
    ----------
    measured : MeasuredSet
        As read.
    description : CellDescription, optional
        The cell that they are said to be of.

    Returns
    -------
    tuple of CurveFinding
        Refused ones first. Where several curves have the same fault, one finding names them all, with the numbers of
        the first.
    """
    findings = [finding for curve in measured.curves for finding in check_curve(curve, description)]
    discharges = [curve for curve in measured.curves if curve.kind == "discharge" and curve.scored.any()]
    rates = sorted(abs(curve.mean_current) for curve in discharges)
    if not any(curve.scored.any() and curve.kind != "rest" for curve in measured.curves):
        findings.append(
            CurveFinding(
                level=FindingLevel.REFUSED,
                check="rates",
                curve="",
                message=f"cell {measured.cell} has no curve under current that can be scored",
                remedy="Give at least one discharge",
            )
        )
    elif rates and rates[-1] < _SAME_RATE * rates[0]:
        findings.append(
            CurveFinding(
                level=FindingLevel.DOUBTFUL,
                check="rates",
                curve="",
                message=f"cell {measured.cell} is discharged at a single rate, {discharges[0].name}: resistance, "
                "kinetics and diffusion cannot be told apart by it",
                remedy="Add a discharge at another rate, at best one of C/10 or slower and one of 2C or faster",
            )
        )
    if discharges and all(curve.temperature is None for curve in discharges):
        findings.append(
            CurveFinding(
                level=FindingLevel.DOUBTFUL,
                check="temperature",
                curve="",
                message=f"cell {measured.cell} has no temperature in any discharge: heat transfer, heat capacity and "
                "activation energies stay at their prior values",
                remedy="Record the temperature of the cell's surface, or calibrate the voltage alone",
            )
        )
    findings += _check_order(discharges)
    if description is not None and not any(
        finding.level is FindingLevel.REFUSED and finding.check in ("current sign", "voltage unit")
        for finding in findings
    ):
        findings += check_chemistry(discharges, description)
    order = list(FindingLevel)
    return tuple(sorted(_grouped(findings), key=lambda finding: order.index(finding.level)))


def _check_order(discharges: Sequence[MeasuredCurve]) -> list[CurveFinding]:
    """Return findings of discharges that draw more charge than the slowest one that began as warm."""
    slowest = min(discharges, key=lambda curve: abs(curve.mean_current), default=None)
    if slowest is None:
        return []
    findings = []
    for curve in discharges:
        more = curve.charge / slowest.charge - 1.0 if slowest.charge > 0.0 else 0.0
        warmer = (
            0.0
            if curve.temperature is None or slowest.temperature is None
            else float(curve.temperature[0] - slowest.temperature[0])
        )
        if more > _MORE_CHARGE and abs(warmer) < _AS_WARM:
            findings.append(
                found_in(
                    FindingLevel.NOTE,
                    "charge",
                    curve,
                    f"draws {100.0 * more:.1f} % more charge than the slower {slowest.name}",
                    "Unless its own heat explains it, check the clock, the ammeter and whether both began equally full",
                )
            )
    return findings


def _grouped(findings: Sequence[CurveFinding]) -> list[CurveFinding]:
    """Return the findings with those of one check and remedy joined: the first one's numbers, all curves' names."""
    groups: dict[tuple[str, str, str], list[CurveFinding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.check, finding.remedy), []).append(finding)
    result = []
    for first, *others in groups.values():
        message = first.message
        names = list(dict.fromkeys(item.curve for item in (first, *others)))
        if names[1:]:
            message += f" (likewise {', '.join(names[1:])})"
        result.append(replace(first, message=message, curve=", ".join(names)))
    return result


def require_usable(findings: Sequence[CurveFinding]) -> None:
    """Raise MeasurementError where no calibration may pass over a finding.

    It says the first three with their remedies, and the first one's file.
    """
    refused = [finding for finding in findings if finding.level is FindingLevel.REFUSED]
    if not refused:
        return
    first, said = refused[0], refused[:_SAID]
    message = "; and ".join(finding.message for finding in said)
    if len(refused) > _SAID:
        message += f" (and {len(refused) - _SAID} more)"
    remedy = ". ".join(dict.fromkeys(finding.remedy for finding in said))
    raise MeasurementError(message, where=first.path or None, remedy=remedy)


def _check_sign(curve: MeasuredCurve) -> list[CurveFinding]:
    voltage = np.where(curve.scored, curve.voltage, np.nan)
    sign = find_current_sign(curve.time, curve.current, voltage)
    if sign >= 0:
        return []
    return [
        found_in(
            FindingLevel.REFUSED,
            "current sign",
            curve,
            "has a voltage that rises where its current is said to discharge and falls where it is said to charge",
            "The current has the other sign: leave current_sign out of the mapping file, then the voltage tells it, or "
            'write the other of "charge positive" and "discharge positive"',
        )
    ]


def _check_voltage_unit(curve: MeasuredCurve, description: CellDescription | None) -> list[CurveFinding]:
    median = float(np.median(curve.voltage[curve.scored]))
    if 0.8 <= median <= 5.2:
        return []
    if 800.0 <= median <= 5200.0:
        what, remedy = f"a median voltage of {median:.4g} V, a thousand times that of a cell", 'Its unit is "mV"'
    elif 0.8e-3 <= median <= 5.2e-3:
        what = f"a median voltage of {median:.4g} V, a thousandth of that of a cell"
        remedy = 'Its unit is "V", not "mV"'
    elif median > 5.2:
        one = 0.5 * (description.lower_voltage + description.upper_voltage) if description else 3.6
        what = f"a median voltage of {median:.4g} V, that of about {max(2, round(median / one))} cells in series"
        remedy = "Give the voltage of one cell, or divide it by the number of cells in series"
    else:
        what, remedy = f"a median voltage of {median:.4g} V, that of no lithium-ion cell", "Check column and unit"
    return [found_in(FindingLevel.REFUSED, "voltage unit", curve, f"has {what}", remedy)]


def _check_rows(curve: MeasuredCurve) -> list[CurveFinding]:
    findings = []
    scored = int(np.count_nonzero(curve.scored))
    if scored < _FEWEST_ROWS:
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "rows",
                curve,
                f"has {scored} rows to score",
                f"Record at least {_FEWEST_ROWS} rows, at best some hundreds",
            )
        )
    share = curve.source.used / max(1, curve.source.rows)
    if share < _SCORED_DOUBTFUL:
        reasons = ", ".join(f"{count} {reason}" for reason, count in curve.source.left_out.items())
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "rows",
                curve,
                f"loses {curve.source.rows - curve.source.used} of {curve.source.rows} rows: {reasons}",
                "Look at these rows in the file; record them again where the instrument failed",
            )
        )
    if curve.source.digitised:
        findings.append(
            found_in(
                FindingLevel.NOTE,
                "digitised",
                curve,
                f"is digitised from a figure: {1e3 * curve.voltage_noise:.1f} mV, {curve.temperature_noise:.3f} K and "
                f"{curve.time_uncertainty:.0f} s a pixel or edge",
                "Say so wherever a figure of this curve is used; ask its authors for the numbers",
            )
        )
    if curve.voltage_noise > _COARSE_VOLTAGE:
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "voltage noise",
                curve,
                f"has a voltage known to {1e3 * curve.voltage_noise:.1f} mV",
                "Export more digits, or use a better instrument",
            )
        )
    if curve.temperature is not None and curve.temperature_noise > _COARSE_TEMPERATURE:
        findings.append(
            found_in(
                FindingLevel.NOTE,
                "temperature noise",
                curve,
                f"has a temperature known to {curve.temperature_noise:.2f} K",
                "Export more digits where the sensor has them",
            )
        )
    return findings


def _check_gaps(curve: MeasuredCurve) -> list[CurveFinding]:
    steps = np.diff(curve.time)
    threshold = rest_threshold(curve.current)
    loaded = (np.abs(curve.current[1:]) > threshold) & (np.abs(curve.current[:-1]) > threshold)
    usual = max(_GAP_STEPS * float(np.median(steps)), _GAP_LONG_STEPS * float(np.quantile(steps, 0.95)))
    gaps = loaded & (steps > max(usual, _GAP_SHARE * float(curve.time[-1])))
    if not gaps.any():
        return []
    moved = np.abs(0.5 * (curve.current[1:] + curve.current[:-1])) * steps
    share = float(np.sum(moved[gaps]) / max(np.sum(moved), 1e-300))
    longest = int(np.argmax(np.where(gaps, steps, 0.0)))
    level = FindingLevel.NOTE
    if share > _GAP_CHARGE_DOUBTFUL:
        level = FindingLevel.DOUBTFUL
    if share > _GAP_CHARGE_REFUSED:
        level = FindingLevel.REFUSED
    return [
        found_in(
            level,
            "gaps",
            curve,
            f"has {np.count_nonzero(gaps)} gaps under current, the longest of {steps[longest]:.0f} s from "
            f"{curve.time[longest]:.0f} s on; {100.0 * share:.1f} % of the charge flows in them",
            "Give the whole record, or cut the curve before the gap",
        )
    ]


def _check_charge(curve: MeasuredCurve, description: CellDescription) -> list[CurveFinding]:
    if curve.kind != "discharge":
        return []
    ratio = curve.charge / description.capacity
    said = f"draws {curve.charge:.4g} A.h from a cell of {description.capacity:g} A.h"
    for factor, remedy in (
        (
            1e3,
            f'The current is in milliamperes (write unit = "mA" {IN_MAPPING}) or the time in milliseconds '
            '(unit = "ms")',
        ),
        (1e-3, "The current is in amperes, not milliamperes, or the capacity was given in mA.h"),
        (1.0 / 3600.0, f'The time is in hours: write unit = "h" {IN_MAPPING}'),
        (1.0 / 60.0, f'The time is in minutes: write unit = "min" {IN_MAPPING}'),
        (60.0, f'The time is in seconds, not in minutes: write unit = "s" {IN_MAPPING}'),
        (3600.0, f'The time is in seconds already: write unit = "s" {IN_MAPPING}'),
    ):
        if 0.3 * factor < ratio < 1.4 * factor:
            return [found_in(FindingLevel.REFUSED, "current unit", curve, said, remedy)]
    if ratio > 1.35:
        return [
            found_in(
                FindingLevel.REFUSED,
                "capacity",
                curve,
                said,
                "Check the capacity in the description, and how many cells share the current",
            )
        ]
    if ratio > 1.15:
        return [found_in(FindingLevel.DOUBTFUL, "capacity", curve, said, "Check the capacity in the description")]
    slow = curve.mean_current <= _SLOW_RATE * description.capacity
    if ratio < (_LEAST_SLOW if slow else _LEAST) and not _stops_early(curve, description):
        return [
            found_in(
                FindingLevel.DOUBTFUL,
                "capacity",
                curve,
                f"{said}, down to {curve.voltage[curve.scored][-1]:.2f} V",
                "Check the capacity in the description and whether the cell was full; an aged cell needs its own",
            )
        ]
    return []


def _stops_early(curve: MeasuredCurve, description: CellDescription) -> bool:
    return float(curve.voltage[curve.scored][-1]) > description.lower_voltage + _COMPLETE


def _check_window(curve: MeasuredCurve, description: CellDescription) -> list[CurveFinding]:
    findings = []
    voltage = curve.voltage[curve.scored]
    low, high = float(np.min(voltage)), float(np.max(voltage))
    if high > description.upper_voltage + 0.06 or low < description.lower_voltage - 0.15:
        findings.append(
            found_in(
                FindingLevel.REFUSED,
                "voltage window",
                curve,
                f"runs from {high:.3f} to {low:.3f} V, beyond the cell's {description.upper_voltage:g} to "
                f"{description.lower_voltage:g} V",
                "Check the chemistry and the cut-off voltages in the description",
            )
        )
        return findings
    if curve.kind != "discharge":
        return findings
    if _stops_early(curve, description):
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "incomplete",
                curve,
                f"stops at {voltage[-1]:.3f} V, not at {description.lower_voltage:g} V: what limits the end of a "
                "discharge is not seen",
                "Discharge to the lower cut-off, or give the cut-off that was used as lower_voltage",
            )
        )
    if (
        curve.rest_voltage is not None
        and curve.rest_voltage < description.upper_voltage - description.window.relaxation
    ):
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "incomplete",
                curve,
                f"begins at {curve.rest_voltage:.3f} V at rest: the cell was not full",
                "Charge at constant voltage before, or let the initial state of charge be free",
            )
        )
    return findings
