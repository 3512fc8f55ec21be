"""What may be wrong with the temperatures of a measured curve."""

from __future__ import annotations

import numpy as np

from celltwin.core import ZERO_CELSIUS, Array

from .clipping import clipped_rows
from .curve import MeasuredCurve
from .curve_checks_finding import IN_MAPPING, CurveFinding, FindingLevel, found_in

__all__ = ["check_temperature"]

_COLDEST, _HOTTEST = 230.0, 400.0  # [K] a cell under test may have
_HOT_START = ZERO_CELSIUS + 65.0  # [K]: chambers are seldom warmer, and 65 degF is a cool room
_STRANGE_OFFSET = 5.0  # [K] between cell and surroundings before a load
_FINE_TEMPERATURE, _CLIPPED_SHARE = 0.08, 0.05  # [K], of the rows


def check_temperature(curve: MeasuredCurve) -> list[CurveFinding]:
    """Return what is wrong with the temperatures of a curve: unit, range, place of the sensors."""
    findings: list[CurveFinding] = []
    for name, values in (("cell", curve.temperature), ("surroundings", curve.ambient)):
        if values is None:
            continue
        low, high = float(np.min(values)), float(np.max(values))
        if low >= _COLDEST and high <= _HOTTEST:
            continue
        if low > _COLDEST + ZERO_CELSIUS - 40.0:
            remedy = f'The file has kelvin: write unit = "K" for this column {IN_MAPPING}'
        elif high < 150.0:
            remedy = f'The file has degrees Celsius: write unit = "degC" for this column {IN_MAPPING}'
        else:
            remedy = "Check the unit of the column, and whether a sensor came off"
        findings.append(
            found_in(
                FindingLevel.REFUSED,
                "temperature unit",
                curve,
                f"has temperatures of the {name} from {low:.1f} to {high:.1f} K "
                f"({low - ZERO_CELSIUS:.1f} to {high - ZERO_CELSIUS:.1f} degC)",
                remedy,
            )
        )
    if curve.temperature is None:
        if curve.kind != "rest":
            findings.append(
                found_in(
                    FindingLevel.NOTE,
                    "temperature",
                    curve,
                    "has no temperature of the cell: it is not scored for temperature",
                    "Record the temperature of the cell's surface where you can",
                )
            )
        return findings
    if findings:
        return findings
    warmest = max(float(curve.temperature[0]), float(curve.ambient[0]))
    if curve.kind == "discharge" and warmest > _HOT_START:
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "temperature",
                curve,
                f"begins at {warmest - ZERO_CELSIUS:.1f} degC",
                f'Check the unit: a column in degrees Fahrenheit needs unit = "degF" {IN_MAPPING}',
            )
        )
    offset = float(curve.temperature[0] - curve.ambient[0])
    if curve.kind == "discharge" and abs(offset) > _STRANGE_OFFSET:
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "temperature",
                curve,
                f"begins {offset:+.1f} K from its surroundings",
                "Check which sensor is which, and let the cell rest until it has the temperature of the chamber",
            )
        )
    findings += _check_held(curve, curve.temperature)
    top = clipped_rows(curve.temperature) & (curve.temperature == np.max(curve.temperature))
    if curve.kind == "discharge" and curve.temperature_noise < _FINE_TEMPERATURE and np.mean(top) > _CLIPPED_SHARE:
        findings.append(
            found_in(
                FindingLevel.DOUBTFUL,
                "temperature",
                curve,
                f"repeats its highest temperature, {np.max(curve.temperature) - ZERO_CELSIUS:.2f} degC, in "
                f"{np.count_nonzero(top)} rows: the sensor's range may end there",
                "Check the range of the sensor",
            )
        )
    return findings


def _check_held(curve: MeasuredCurve, temperature: Array) -> list[CurveFinding]:
    """Return a finding where a cell that is hotter than its surroundings does not cool at rest."""
    if curve.kind != "rest" or curve.time[-1] < 600.0:
        return []
    excess = float(temperature[0] - curve.ambient[0])
    if abs(excess) < 3.0 or float(np.ptp(temperature)) > 0.2 * abs(excess):
        return []
    return [
        found_in(
            FindingLevel.DOUBTFUL,
            "temperature",
            curve,
            f"keeps {excess:+.1f} K to its surroundings through {curve.time[-1] / 60.0:.0f} minutes at rest: the file "
            "repeats an old value",
            "Leave the temperature of the rests out",
        )
    ]
