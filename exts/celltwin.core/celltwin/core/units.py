"""Units: SI inside, percent and degrees Celsius only where people read.

Current is positive on discharge, in every array, attribute and file of Celltwin.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import SpecError

if TYPE_CHECKING:
    import pint

__all__ = ["SECONDS_PER_HOUR", "ZERO_CELSIUS", "convert_to", "parse_quantity", "unit_conversion"]

SECONDS_PER_HOUR = 3600.0
ZERO_CELSIUS = 273.15  # [K]


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry:
    import pint  # 0.1 s: only files that name a unit pay for it

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


@lru_cache(maxsize=256)
def unit_conversion(unit: str, target: str) -> tuple[float, float]:
    """Return scale and offset that take a value in ``unit`` to ``target``.

    Parameters
    ----------
    unit, target : str
        Unit names, such as ``"mV"`` and ``"V"``, or ``"degC"`` and ``"K"``.

    Returns
    -------
    tuple of float
        ``(scale, offset)`` with ``value_in_target = scale * value + offset``.

    Raises
    ------
    SpecError
        If a unit is unknown or the two have different dimensions.
    """
    if unit == target:
        return 1.0, 0.0
    registry = _registry()
    names = {"%": "percent", "°C": "degC", "A.h": "A*hour", "Ah": "A*hour"}
    source, sink = names.get(unit, unit), names.get(target, target)
    sink = "dimensionless" if sink == "1" else sink
    source = "dimensionless" if source == "1" else source
    try:
        zero = registry.Quantity(0.0, source).to(sink).magnitude
        one = registry.Quantity(1.0, source).to(sink).magnitude
    except Exception as error:  # pint raises many unrelated types for bad text
        raise SpecError(
            f"unit {unit!r} cannot be converted to {target!r} ({error})",
            remedy=f"Give a unit of the same dimension as {target!r}",
        ) from None
    return float(one - zero), float(zero)


def convert_to(value: float, unit: str, target: str) -> float:
    """Return ``value`` given in ``unit``, expressed in ``target``."""
    scale, offset = unit_conversion(unit, target)
    return scale * value + offset


def parse_quantity(text: str, unit: str) -> float:
    """Return the number in a text such as ``"18.4 mm"``, expressed in ``unit``.

    Raises
    ------
    SpecError
        If the text is not a number and a unit, or the dimension differs.
    """
    number, _, name = text.strip().partition(" ")
    try:
        value = float(number)
    except ValueError:
        raise SpecError(f"{text!r} is not a number with a unit", remedy=f"Write for example '12.5 {unit}'") from None
    return convert_to(value, name.strip() or unit, unit)
