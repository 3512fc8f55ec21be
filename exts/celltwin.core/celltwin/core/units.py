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


# The units that pack files and recordings use daily, as (unit in the field's base, scale, offset): importing pint costs
# tenths of a second that a start should not pay. Anything else goes through pint.
_DAILY = {
    "m": ("m", 1.0, 0.0), "cm": ("m", 1e-2, 0.0), "mm": ("m", 1e-3, 0.0), "um": ("m", 1e-6, 0.0),
    "kg": ("kg", 1.0, 0.0), "g": ("kg", 1e-3, 0.0),
    "s": ("s", 1.0, 0.0), "ms": ("s", 1e-3, 0.0), "min": ("s", 60.0, 0.0), "h": ("s", 3600.0, 0.0),
    "Hz": ("Hz", 1.0, 0.0),
    "V": ("V", 1.0, 0.0), "mV": ("V", 1e-3, 0.0),
    "A": ("A", 1.0, 0.0), "mA": ("A", 1e-3, 0.0),
    "ohm": ("ohm", 1.0, 0.0), "mohm": ("ohm", 1e-3, 0.0),
    "W": ("W", 1.0, 0.0), "kW": ("W", 1e3, 0.0),
    "A.h": ("A.h", 1.0, 0.0), "Ah": ("A.h", 1.0, 0.0), "mAh": ("A.h", 1e-3, 0.0),
    "K": ("K", 1.0, 0.0), "degC": ("K", 1.0, ZERO_CELSIUS), "°C": ("K", 1.0, ZERO_CELSIUS),
    "delta_degC": ("K difference", 1.0, 0.0),
    "kg/s": ("kg/s", 1.0, 0.0), "g/s": ("kg/s", 1e-3, 0.0),
    "1": ("1", 1.0, 0.0), "%": ("1", 1e-2, 0.0),
}  # fmt: skip


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
    given, wanted = _DAILY.get(unit), _DAILY.get(target)
    if given and wanted and given[0] == wanted[0]:
        return given[1] / wanted[1], (given[2] - wanted[2]) / wanted[1]
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
