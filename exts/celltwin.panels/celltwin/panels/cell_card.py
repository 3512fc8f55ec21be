"""What is known of one cell, as rows of a card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Kind, Level, PackSpec, PackState, Quality, Reading, find_quantity

from .channels import COVERAGE_95
from .display_text import QUALITY_LABELS, show_value

__all__ = ["CardRow", "cell_card"]

# Levels whose value is a cell's too: a group's voltage is, a module's or a group's current is not.
_SHARED = {
    "voltage": (Level.GROUP,),
    "temperature": (Level.GROUP, Level.MODULE),
    "soc": (Level.GROUP, Level.MODULE),
    "soh": (Level.GROUP, Level.MODULE),
}
CARD_QUANTITIES = (
    "temperature",
    "voltage",
    "current",
    "soc",
    "soh",
    "rul",
    "rul_time",
    "runaway_risk",
    "capacity",
    "resistance",
)


@dataclass(frozen=True, kw_only=True)
class CardRow:
    """One value of a cell: quantity, kind of value, text, where it belongs if not to the cell, and quality."""

    label: str
    kind: Kind
    text: str
    note: str
    quality: Quality


def cell_card(state: PackState, spec: PackSpec, cell: int) -> tuple[CardRow, ...]:
    """Return all that is known of a cell: its own values, and those it shares with its group or module."""
    rows = []
    for quantity in CARD_QUANTITIES:
        for kind in (Kind.MEASURED, Kind.ESTIMATED, Kind.PREDICTED):
            row = _row(state, spec, cell, quantity, kind)
            if row is not None:
                rows.append(row)
    return tuple(rows)


def _row(state: PackState, spec: PackSpec, cell: int, quantity: str, kind: Kind) -> CardRow | None:
    for level in (Level.CELL, *_SHARED.get(quantity, ())):
        reading = state.get(kind, quantity, level)
        element = cell * spec.size(level) // spec.n_cells
        if reading is None or not np.isfinite(reading.values[element]):
            continue
        return CardRow(
            label=find_quantity(quantity).label,
            kind=kind,
            text=show_value(quantity, float(reading.values[element])) + _interval(reading, element),
            note=_note(level, reading, element),
            quality=Quality(int(reading.quality[element])),
        )
    return None


def _interval(reading: Reading, element: int) -> str:
    half = COVERAGE_95 * float(reading.standard_uncertainty[element])
    if not np.isfinite(half) or half <= 0.0:
        return ""
    found = find_quantity(reading.quantity)
    if found.scientific:  # a probability far below its own uncertainty: what it may be at most says more
        return f", at most {found.format(min(float(reading.values[element]) + half, found.highest))}"
    return f" ± {found.display_scale * half:.{found.decimals}f}"


def _note(level: Level, reading: Reading, element: int) -> str:
    shared = "" if level is Level.CELL else f"{level}"
    quality = Quality(int(reading.quality[element]))
    flag = "" if quality is Quality.GOOD else QUALITY_LABELS[quality]
    return " · ".join(part for part in (shared, flag) if part)
