"""What a check says: how grave it is, of which curve, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .curve import MeasuredCurve

__all__ = ["IN_MAPPING", "CurveFinding", "FindingLevel", "found_in"]

IN_MAPPING = "in a mapping file (docs/measurements.md)"


class FindingLevel(StrEnum):
    """How grave a finding is."""

    REFUSED = "refused"
    """No calibration can be right."""
    DOUBTFUL = "doubtful"
    """A calibration says less than it seems to."""
    NOTE = "note"
    """The reader of the result should know."""


@dataclass(frozen=True, kw_only=True)
class CurveFinding:
    """One thing that is wrong or doubtful about measurements.

    Attributes
    ----------
    level : FindingLevel
        How grave it is.
    check : str
        Which check found it, such as ``"current sign"``.
    curve : str
        Name of the curve; empty where it is about the whole set.
    message : str
        What was found, with numbers.
    remedy : str
        What to do.
    path : str
        File, where it is about one.
    """

    level: FindingLevel
    check: str
    curve: str
    message: str
    remedy: str
    path: str = ""

    def __str__(self) -> str:
        """Return one line: level, message, remedy."""
        return f"{self.level}: {self.message}. {self.remedy}"


def found_in(level: FindingLevel, check: str, curve: MeasuredCurve, message: str, remedy: str) -> CurveFinding:
    """Return a finding about one curve, whose message goes on after the curve's name."""
    return CurveFinding(
        level=level,
        check=check,
        curve=curve.name,
        message=f"curve {curve.name} {message}",
        remedy=remedy,
        path=curve.source.path,
    )
