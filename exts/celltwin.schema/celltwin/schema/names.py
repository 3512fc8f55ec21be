"""Names of the attributes that carry values, and of the schemas that document them."""

from __future__ import annotations

from celltwin.core import CelltwinError, Kind, find_quantity

__all__ = [
    "FACETS",
    "attribute_name",
    "attribute_type",
    "camel_case",
    "cell_array_name",
    "value_schema",
]

FACETS = ("quality", "time", "uncertainty", "provenance", "reason")

_SCALAR_TYPES = {
    None: "double",
    "quality": "token",
    "time": "double",
    "uncertainty": "double",
    "provenance": "string",
    "reason": "string",
}
_ARRAY_TYPES = {
    None: "float[]",
    "quality": "uchar[]",
    "time": "double[]",
    "uncertainty": "float[]",
    "provenance": "string",
    "reason": "string",
}


def attribute_name(kind: Kind, quantity: str, facet: str | None = None) -> str:
    """Return the name of the attribute that holds one value of an element.

    Parameters
    ----------
    kind : Kind
        Measured, estimated, predicted or recommended.
    quantity : str
        Key of the quantity, such as ``"charge_current"``.
    facet : str, optional
        What is said about the value: one of :data:`FACETS`; None for the value itself.

    Returns
    -------
    str
        Such as ``"battery:measured:voltage"`` or ``"battery:measured:voltage:quality"``.

    Raises
    ------
    CelltwinError
        If there is no such facet.
    SpecError
        If there is no such quantity.
    """
    return _join("battery", str(kind), find_quantity(quantity).usd_name, _checked(facet))


def cell_array_name(kind: Kind, quantity: str, facet: str | None = None) -> str:
    """Return the name of a module's array attribute with one value for each of its cells, in pack order.

    Parameters and errors are those of :func:`attribute_name`; the result is such as
    ``"battery:measured:cells:voltage"``.
    """
    return _join("battery", str(kind), "cells", find_quantity(quantity).usd_name, _checked(facet))


def attribute_type(facet: str | None = None, *, cells: bool = False) -> str:
    """Return the USD type name of a value or facet, of one element or of the cells of a module.

    Quality is a token (``good``, ``stale``, ``suspect``, ``bad``) for one element and the number of
    :class:`celltwin.core.Quality` in arrays; provenance and reason are one text for a whole array.
    """
    return (_ARRAY_TYPES if cells else _SCALAR_TYPES)[_checked(facet)]


def value_schema(quantity: str, *, cells: bool = False) -> str:
    """Return the applied API schema that declares the attributes of a quantity, such as ``"BatteryVoltageAPI"``."""
    name = find_quantity(quantity).usd_name
    return f"Battery{name[0].upper()}{name[1:]}{'Cells' if cells else ''}API"


def camel_case(field: str) -> str:
    """Return a field's name as USD writes it: ``"standard_uncertainty"`` becomes ``"standardUncertainty"``."""
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _checked(facet: str | None) -> str | None:
    if facet is not None and facet not in FACETS:
        raise CelltwinError(f"a value has no facet {facet!r}", remedy=f"Use one of {', '.join(FACETS)}")
    return facet


def _join(*parts: str | None) -> str:
    return ":".join(part for part in parts if part)
