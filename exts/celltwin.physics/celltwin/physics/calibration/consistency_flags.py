"""What is poor about a fit or its data, said in plain words so that no poor calibration passes silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..measurements.curve import MeasuredCurve, MeasuredSet
from ..measurements.curve_checks import check_measured_set
from ..measurements.curve_checks_finding import FindingLevel
from .calibration_figures import CurveFigures
from .consistency_check import CheckOutcome, ConsistencyCheck, judge, worst_outcome

if TYPE_CHECKING:
    from .calibrate import CalibrationResult

__all__ = ["FitLimits", "check_data", "check_fit", "check_search", "summarise"]

_SAME_RATE = 1.3  # rates within this factor tell the same
_OUTCOMES = {FindingLevel.REFUSED: CheckOutcome.REFUSED, FindingLevel.DOUBTFUL: CheckOutcome.FLAGGED}
_CERTAIN = "its voltage says so"  # ends what a reader took from the record itself
_DONE = ("converged", "no step lowers", "restarts", "tolerance")


@dataclass(frozen=True, kw_only=True)
class FitLimits:
    """How near a fit must come: beyond the first number it is flagged as poor, beyond the second refused.

    Attributes
    ----------
    voltage, voltage_share : tuple of float
        Root mean square error [mV]; mean absolute error over voltage [%].
    temperature : tuple of float
        Root mean square error [K].
    missing : tuple of float
        Scored rows that the simulation does not reach [%].
    held_out : float
        Factor on the limits for curves that took no part in the fit, which are then flagged and never refused.
    failed : float
        Share of simulations during the search that may end early [%].
    """

    voltage: tuple[float, float] = (30.0, 150.0)
    voltage_share: tuple[float, float] = (0.6, 4.0)
    temperature: tuple[float, float] = (1.0, 8.0)
    missing: tuple[float, float] = (0.5, 20.0)
    held_out: float = 2.0
    failed: float = 50.0


def check_fit(figures: Sequence[CurveFigures], limits: FitLimits) -> tuple[ConsistencyCheck, ...]:
    """Return how near the fit comes to each curve."""
    return tuple(check for found in figures for check in _curve_checks(found, limits))


def check_data(result: CalibrationResult, measured: MeasuredSet) -> tuple[ConsistencyCheck, ...]:
    """Return what the data cannot tell: single rate, digitised rows, no temperature, doubtful records."""
    curves = [measured.curve(name) for name in result.fitted]
    checks = [*_rates(curves), *_digitised(curves), *_temperature(curves), *_supposed(curves)]
    named = set(result.fitted)
    for finding in check_measured_set(measured, result.description):
        if (finding.curve and not named & set(finding.curve.split(", "))) or finding.check in ("rates", "temperature"):
            continue
        checks.append(
            ConsistencyCheck(
                name=f"data: {finding.check}",
                curve=finding.curve,
                outcome=_OUTCOMES.get(finding.level, CheckOutcome.PASSED),
                message=f"{finding.message}. {finding.remedy}",
            )
        )
    return tuple(checks)


def check_search(result: CalibrationResult, limits: FitLimits) -> tuple[ConsistencyCheck, ...]:
    """Return what the search says: parameters at their bounds, no convergence, failed simulations."""
    bound = [name.split(" [")[0] for name in result.at_bounds]
    checks = [
        ConsistencyCheck(
            name="parameters at bounds",
            outcome=CheckOutcome.FLAGGED if bound else CheckOutcome.PASSED,
            value=float(len(bound)),
            limit=0.0,
            message=f"{', '.join(bound)}: the data push further than physics allows, so another cause is missing "
            "from the model or the data"
            if bound
            else f"none of {result.space.size} free parameters lies at a bound",
        )
    ]
    reason = result.stages[-1][1].reason if result.stages else "nothing was searched"
    done = any(word in reason for word in _DONE)
    begun = done or result.evaluations > result.space.size
    checks.append(
        ConsistencyCheck(
            name="convergence",
            outcome=CheckOutcome.PASSED if done else CheckOutcome.FLAGGED,
            message=f"the search ended after {result.evaluations} evaluations: {reason}"
            + ("" if done else "; a longer search (--seconds, --budget) may find a better fit")
            + ("" if begun else ". It had hardly begun: give it more time, or --model SPMe, which needs no compiler"),
        )
    )
    runs = max(result.evaluations * len(result.fitted), 1)
    failed = 100.0 * sum(result.failures.values()) / runs
    checks.append(
        ConsistencyCheck(
            name="failed simulations",
            outcome=CheckOutcome.PASSED if failed <= limits.failed else CheckOutcome.FLAGGED,
            value=failed,
            limit=limits.failed,
            unit="%",
            message=f"{sum(result.failures.values())} of about {runs} simulations in the search ended early",
        )
    )
    return tuple(checks)


def _curve_checks(found: CurveFigures, limits: FitLimits) -> list[ConsistencyCheck]:
    factor = limits.held_out if found.held_out else 1.0
    what = "held out" if found.held_out else "fitted"
    reached = found.rows + found.missing
    missing = 100.0 * found.missing / max(reached, 1)
    checks = [
        _measure(f"voltage, {what}", found, 1e3 * found.voltage_rmse, limits.voltage, factor, "mV"),
        _measure(f"voltage, {what}, share", found, found.voltage_mape, limits.voltage_share, factor, "%"),
    ]
    if np.isfinite(found.temperature_rmse):
        checks.append(_measure(f"temperature, {what}", found, found.temperature_rmse, limits.temperature, factor, "K"))
    if found.missing:
        checks.append(
            ConsistencyCheck(
                name="rows not reached",
                curve=found.name,
                outcome=_softened(judge(missing, *limits.missing), found.held_out),
                value=missing,
                limit=limits.missing[0],
                unit="%",
                message=f"the simulation ends before {found.missing} of {reached} scored rows of {found.name}; they "
                "are in no error",
            )
        )
    return checks


def _measure(
    name: str, found: CurveFigures, value: float, limits: tuple[float, float], factor: float, unit: str
) -> ConsistencyCheck:
    flagged, refused = (factor * limit for limit in limits)
    outcome = _softened(judge(value, flagged, refused), found.held_out)
    size = f"{value:.2f} {unit}" if unit != "mV" else f"{value:.1f} mV"
    word = ("prediction" if found.held_out else "fit") + " of"
    word = word if outcome is CheckOutcome.PASSED else f"poor {word}"
    return ConsistencyCheck(
        name=name,
        curve=found.name,
        outcome=outcome,
        value=value,
        limit=flagged,
        unit=unit,
        message=f"{word} {found.name}: {'mean absolute' if unit == '%' else 'root mean square'} error {size}",
    )


def _softened(outcome: CheckOutcome, held_out: bool) -> CheckOutcome:
    return CheckOutcome.FLAGGED if held_out and outcome is CheckOutcome.REFUSED else outcome


def _rates(curves: Sequence[MeasuredCurve]) -> list[ConsistencyCheck]:
    rates = sorted(abs(curve.mean_current) for curve in curves)
    spread = rates[-1] / max(rates[0], 1e-12)
    single = spread < _SAME_RATE
    return [
        ConsistencyCheck(
            name="rates",
            outcome=CheckOutcome.FLAGGED if single else CheckOutcome.PASSED,
            value=spread,
            limit=_SAME_RATE,
            unit="-",
            message=f"all data are of a single rate ({curves[0].name}): resistance, kinetics and diffusion cannot be "
            "told apart, and other rates are extrapolation; add a discharge at 2C or faster, and a slower one"
            if single
            else f"currents differ by a factor of {spread:.1f}",
        )
    ]


def _digitised(curves: Sequence[MeasuredCurve]) -> list[ConsistencyCheck]:
    names = [curve.name for curve in curves if curve.source.digitised]
    if not names:
        return []
    return [
        ConsistencyCheck(
            name="digitised data",
            curve=", ".join(names),
            outcome=CheckOutcome.FLAGGED,
            message=f"{', '.join(names)} were read off a figure: errors of reading are part of the fit",
        )
    ]


def _temperature(curves: Sequence[MeasuredCurve]) -> list[ConsistencyCheck]:
    without = [curve.name for curve in curves if curve.temperature is None]
    if not without:
        return []
    everywhere = len(without) == len(curves)
    return [
        ConsistencyCheck(
            name="temperature",
            curve=", ".join(without),
            outcome=CheckOutcome.FLAGGED,
            message="voltage only, no temperature was measured: heat transfer, heat capacity and entropic terms are "
            "not determined and stay at their published or assumed values; record the temperature of the cell's surface"
            if everywhere
            else f"no temperature was measured in {', '.join(without)}",
        )
    ]


def _supposed(curves: Sequence[MeasuredCurve]) -> list[ConsistencyCheck]:
    found: dict[str, list[str]] = {}
    for curve in curves:
        for text in curve.assumptions:
            found.setdefault(text, []).append(curve.name)
    return [
        ConsistencyCheck(
            name="supposed by the reader",
            curve=", ".join(names),
            outcome=CheckOutcome.PASSED if text.endswith(_CERTAIN) else CheckOutcome.FLAGGED,
            message=text,
        )
        for text, names in found.items()
    ]


def summarise(checks: Sequence[ConsistencyCheck]) -> str:
    """Return one sentence on a calibration."""
    outcome = worst_outcome(checks)
    counts = {kind: sum(check.outcome is kind for check in checks) for kind in CheckOutcome}
    if outcome is CheckOutcome.REFUSED:
        return f"refused: {counts[CheckOutcome.REFUSED]} of {len(checks)} checks"
    if outcome is CheckOutcome.FLAGGED:
        return f"usable with care: {counts[CheckOutcome.FLAGGED]} of {len(checks)} checks are flagged"
    return f"all {len(checks)} checks passed"
