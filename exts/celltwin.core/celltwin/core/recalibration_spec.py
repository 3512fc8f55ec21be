"""How a pack's cells are learned from their own telemetry: part of the pack's declaration."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SpecError
from .spec_fields import check_fields, spec_field

__all__ = ["RecalibrationSpec"]

SHORTEST_WINDOW = 900.0  # of telemetry that tells anything of a cell's capacity [s]


@dataclass(frozen=True, kw_only=True)
class RecalibrationSpec:
    """How the running twin learns capacity, resistance and diffusivity of the groups from their telemetry."""

    interval: float = spec_field(
        "Shortest window of telemetry that is learned from; 0 for no recalibration.",
        unit="s",
        at_least=0.0,
        default=0.0,
    )
    memory: float = spec_field(
        "Time after which what was learned counts by half.", unit="s", above=0.0, default=30.0 * 86400.0
    )
    seconds: float = spec_field(
        "Time that its worker may take for a window [s of the wall clock].", unit="s", above=0.0, default=120.0
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "recalibration")
        if 0.0 < self.interval < SHORTEST_WINDOW:
            raise SpecError(
                f"recalibration.interval = {self.interval:g} s is too short to tell anything",
                remedy=f"Give at least {SHORTEST_WINDOW:g} s, or 0 for no recalibration",
            )
