"""Texts as panels show them: times, values in display units, and only glyphs that the fonts have."""

from __future__ import annotations

import math

from celltwin.core import Quality, find_quantity

__all__ = ["MISSING", "QUALITY_LABELS", "drawable", "show_duration", "show_value"]

MISSING = "-"

QUALITY_LABELS = {
    Quality.GOOD: "good",
    Quality.STALE: "stale",
    Quality.SUSPECT: "suspect",
    Quality.BAD: "bad",
}

# omni.ui draws Latin, Greek and common punctuation; the fonts have no arrows, dashes or comparison signs.
_REPLACED = str.maketrans(
    {"→": "to", "←": "from", "≤": "<=", "≥": ">=", "≈": "~", "∞": "inf", "√": "sqrt", "−": "-", "–": "-", "\t": " "}
)


def drawable(text: str) -> str:
    """Return the text with glyphs that omni.ui lacks replaced."""
    return text.translate(_REPLACED)


def show_value(quantity: str, value: float, *, unit: bool = True) -> str:
    """Return a value [SI] in display units, or a dash where there is none."""
    if not math.isfinite(value):
        return MISSING
    found = find_quantity(quantity)
    if found.scientific:
        return found.format(value)
    shown = found.to_display(value)
    if round(shown, found.decimals) == 0.0:
        value, shown = (0.0 - found.display_offset) / found.display_scale, 0.0  # never "-0.00"
    return found.format(value) if unit else f"{shown:.{found.decimals}f}"


def show_duration(seconds: float) -> str:
    """Return a time [s] as hours, minutes and seconds."""
    if not math.isfinite(seconds):
        return MISSING
    whole = round(abs(seconds))
    sign = "-" if seconds < 0 and whole else ""
    return f"{sign}{whole // 3600:d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
