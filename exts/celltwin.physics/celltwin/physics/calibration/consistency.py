"""Whether a calibration is consistent with physics and with its own data: passed, flagged or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from celltwin.core import ModelError

from ..measurements.curve import MeasuredCurve, MeasuredSet
from .base_sets_laws import with_laws
from .consistency_balance import (
    BalanceLimits,
    check_capacity,
    check_course,
    check_potentials,
    check_slow_capacity,
)
from .consistency_capacity import RestingLimits, find_resting_limits
from .consistency_check import CheckOutcome, ConsistencyCheck, worst_outcome
from .consistency_course import CellCourse, simulate_course
from .consistency_flags import FitLimits, check_data, check_fit, check_search
from .potential_rise import potential_rises

if TYPE_CHECKING:
    from ..measurements.cell_description import CellDescription
    from .calibrate import CalibrationResult

__all__ = ["CalibrationAudit", "audit_calibration"]

MOST_CURVES = 8
_SLOW, _WHOLE = 0.21, 0.05  # [1/h]: up to C/5; [V] above the lower cut-off


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationAudit:
    """All checks of one calibration.

    Attributes
    ----------
    checks : tuple of ConsistencyCheck
        Balances first, then fit, search and data.
    resting : RestingLimits
        What the cell holds at rest.
    courses : mapping of str to CellCourse
        Inner state over the curves, by name of curve.
    """

    checks: tuple[ConsistencyCheck, ...]
    resting: RestingLimits
    courses: dict[str, CellCourse]

    @property
    def outcome(self) -> CheckOutcome:
        """The worst of all checks."""
        return worst_outcome(self.checks)

    def of(self, *outcomes: CheckOutcome) -> tuple[ConsistencyCheck, ...]:
        """Return the checks with these outcomes."""
        return tuple(check for check in self.checks if check.outcome in outcomes)

    def require_consistent(self) -> None:
        """Raise where a check refuses the calibration.

        Raises
        ------
        ModelError
            Naming every check that refuses it.
        """
        refused = self.of(CheckOutcome.REFUSED)
        if refused:
            raise ModelError(
                "the calibration is refused: "
                + "; ".join(
                    f"{check.name}{f' of {check.curve}' if check.curve else ''}: {check.message}" for check in refused
                ),
                remedy="Read the report; check the data, the description of the cell and its chemistry",
            )


def audit_calibration(
    result: CalibrationResult,
    measured: MeasuredSet,
    *,
    balance: BalanceLimits | None = None,
    fit: FitLimits | None = None,
) -> CalibrationAudit:
    """Check a calibration for charge, electrodes, lithium, energy, fit, search and data.

    Each discharge is simulated once more from the default mesh with the cell's inner state.

    Parameters
    ----------
    result : CalibrationResult
        The calibration.
    measured : MeasuredSet
        The curves that it was made of.
    balance, fit : BalanceLimits, FitLimits, optional
        Limits; those of a good cell test by default.

    Raises
    ------
    ModelError
        If the calibrated cell has no state between its voltage limits.
    """
    balance, fit = balance or BalanceLimits(), fit or FitLimits()
    model, description = result.problem.model, result.description
    inputs = model.numbers(result.values)
    laws = with_laws(model.base.values, model.shapes)
    resting = find_resting_limits(laws, inputs, description.lower_voltage, description.upper_voltage)
    curves = [measured.curve(found.name) for found in result.figures][:MOST_CURVES]
    drawn = max((curve.charge for curve in curves), default=0.0)
    checks = [*check_capacity(resting, description, drawn, balance)]
    checks += check_potentials(potential_rises(laws, inputs), balance)
    for curve in curves:
        if not _is_slow_and_whole(curve, description):
            continue
        begun = min(curve.rest_voltage or description.upper_voltage, description.upper_voltage)
        within = find_resting_limits(laws, inputs, description.lower_voltage, begun)
        check = check_slow_capacity(curve, within, description.lower_voltage, balance)
        checks.append(check if curve.name in result.fitted else _softened(check))
    courses: dict[str, CellCourse] = {}
    for curve in curves:
        try:
            courses[curve.name] = simulate_course(model, curve, result.values)
        except ModelError as error:
            checks.append(
                ConsistencyCheck(
                    name="simulation",
                    curve=curve.name,
                    outcome=CheckOutcome.REFUSED if curve.name in result.fitted else CheckOutcome.FLAGGED,
                    message=error.message,
                )
            )
            continue
        found = check_course(curve, courses[curve.name], inputs, balance)
        checks += found if curve.name in result.fitted else [_softened(check) for check in found]
    checks += check_fit(result.figures, fit)
    checks += check_search(result, fit)
    checks += check_data(result, measured)
    return CalibrationAudit(checks=tuple(checks), resting=resting, courses=courses)


def _is_slow_and_whole(curve: MeasuredCurve, description: CellDescription) -> bool:
    """Return whether a discharge is so slow, and so complete, that it shows what the cell holds at rest."""
    return (
        curve.kind == "discharge"
        and curve.mean_current <= _SLOW * description.capacity
        and curve.rest_voltage is not None
        and float(curve.voltage[curve.scored][-1]) < description.lower_voltage + _WHOLE
    )


def _softened(check: ConsistencyCheck) -> ConsistencyCheck:
    """Return a check of a held-out curve, which may flag a calibration and not refuse it."""
    return replace(check, outcome=CheckOutcome.FLAGGED) if check.outcome is CheckOutcome.REFUSED else check
