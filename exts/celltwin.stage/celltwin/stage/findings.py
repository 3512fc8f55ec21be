"""What a check of a stage finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "FindingSeverity"]


class FindingSeverity(StrEnum):
    """Whether a finding makes a stage unfit."""

    FAILURE = "failure"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a rule says about a stage.

    Attributes
    ----------
    severity : FindingSeverity
        A failure makes the stage unfit for a twin; a warning does not.
    rule : str
        Name of the rule; ``nvidia:`` before the rules of NVIDIA's validator.
    prim : str
        Path of the prim; ``"/"`` for the stage as a whole.
    message : str
        What is wrong, with the value.
    remedy : str
        What to do, as an imperative; may be empty for NVIDIA's rules.
    """

    severity: FindingSeverity
    rule: str
    prim: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.severity} {self.rule} {self.prim}: {self.message}" + (f". {self.remedy}" if self.remedy else "")
