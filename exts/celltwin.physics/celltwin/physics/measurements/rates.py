"""Names of rates: how a discharge of a known current and capacity is called."""

from __future__ import annotations

import re

__all__ = ["parse_rate", "rate_name"]

_USUAL = (0.01, 0.02, 1 / 30, 0.04, 0.05, 1 / 15, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
_NEAR = 0.03  # a usual rate is meant where the measured one is as near as this

_FRACTION = re.compile(r"^C/?(?P<hours>\d+(?:[.p]\d+)?)$", re.IGNORECASE)
_MULTIPLE = re.compile(r"^(?P<rate>\d+(?:[.p]\d+)?)\s*C$", re.IGNORECASE)


def rate_name(current: float, capacity: float | None) -> str:
    """Return the name of a rate, such as ``"0.1C"`` or ``"2C"``; ``"3 A"`` where no capacity is known.

    Parameters
    ----------
    current : float
        [A], of either sign.
    capacity : float or None
        Nominal capacity [A.h].
    """
    if not capacity:
        return f"{abs(current):.3g} A"
    rate = abs(current) / capacity
    usual = min((*_USUAL, max(1.0, round(rate))), key=lambda value: abs(value - rate))
    if rate > 0.0 and abs(usual - rate) <= _NEAR * rate:
        rate = usual
    return f"{rate:.0f}C" if rate >= 100.0 else f"{rate:.2g}C"


def parse_rate(name: str) -> float | None:
    """Return the rate [1/h] that a name such as ``"2C"``, ``"C/10"``, ``"C10"`` or ``"0p1C"`` states, or None."""
    fraction = _FRACTION.match(name.strip())
    if fraction is not None:
        hours = float(fraction["hours"].replace("p", "."))
        return 1.0 / hours if hours > 0.0 else None
    multiple = _MULTIPLE.match(name.strip())
    return float(multiple["rate"].replace("p", ".")) if multiple is not None else None
