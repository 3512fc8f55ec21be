"""One consistency check of a calibration: what was looked at, the number, its limit, and what follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = ["CheckOutcome", "ConsistencyCheck", "check_number", "join_checks", "judge", "worst_outcome"]


class CheckOutcome(StrEnum):
    """What a check says of a calibration."""

    PASSED = "passed"
    FLAGGED = "flagged"
    REFUSED = "refused"


_ORDER = (CheckOutcome.PASSED, CheckOutcome.FLAGGED, CheckOutcome.REFUSED)


@dataclass(frozen=True, kw_only=True)
class ConsistencyCheck:
    """One check.

    Attributes
    ----------
    name : str
        What was looked at, such as ``"charge balance"``.
    curve : str
        Name of the curve; empty where the calibration as a whole is meant.
    outcome : CheckOutcome
        Passed, flagged or refused.
    value, limit : float, optional
        The number, and the one beyond which the check does not pass; None where there is none.
    unit : str
        Of both; ``"%"`` for shares.
    message : str
        The same in plain words, with the consequence.
    """

    name: str
    outcome: CheckOutcome
    message: str
    curve: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""


def judge(value: float, flagged: float, refused: float) -> CheckOutcome:
    """Return the outcome of a number that should be small; what is no number is refused."""
    if value <= flagged:
        return CheckOutcome.PASSED
    return CheckOutcome.FLAGGED if value <= refused else CheckOutcome.REFUSED


def check_number(
    name: str, value: float, limits: tuple[float, float], *, unit: str, message: str, curve: str = ""
) -> ConsistencyCheck:
    """Return the check of a number that should be small; one below zero passes.

    Parameters
    ----------
    name : str
        What was looked at.
    value : float
        The number [unit].
    limits : tuple of float
        Beyond them it is flagged and refused [unit].
    unit, message, curve : str
        As in :class:`ConsistencyCheck`.
    """
    return ConsistencyCheck(
        name=name,
        curve=curve,
        outcome=judge(value, *limits),
        value=value,
        limit=limits[0],
        unit=unit,
        message=message,
    )


def worst_outcome(checks: Iterable[ConsistencyCheck]) -> CheckOutcome:
    """Return the worst outcome; passed where there is no check."""
    return max((check.outcome for check in checks), key=_ORDER.index, default=CheckOutcome.PASSED)


def join_checks(checks: Iterable[ConsistencyCheck]) -> tuple[ConsistencyCheck, ...]:
    """Return one check for each name and outcome: the worst, with the names of all curves.

    The worst is the one with the largest value; the number of curves behind it does not change its message. Checks
    without a value say something each, and are joined only where they say the same.
    """
    groups: dict[tuple[str, CheckOutcome, str], list[ConsistencyCheck]] = {}
    for check in checks:
        said = check.message if check.value is None else ""
        groups.setdefault((check.name, check.outcome, said), []).append(check)
    joined = []
    for group in groups.values():
        worst = max(group, key=lambda check: -1.0 if check.value is None else abs(check.value))
        curves = ", ".join(check.curve for check in group if check.curve)
        likewise = [check.curve for check in group if check is not worst and check.curve]
        message = worst.message
        if likewise:
            named = "" if worst.curve in message else f"{worst.curve}: "
            message = f"{named}{message} (likewise {', '.join(likewise)})"
        joined.append(replace(worst, curve=curves, message=message))
    return tuple(joined)
