"""Declared fields: one line gives a spec field its meaning, unit, bounds and USD name."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FieldRule", "check_fields", "field_rules", "spec_field"]

_RULE = "celltwin_rule"


@dataclass(frozen=True, kw_only=True)
class FieldRule:
    """What a declared field means and what values it may take.

    Attributes
    ----------
    doc : str
        Meaning, one sentence; becomes the documentation of the USD attribute.
    unit : str or None
        SI unit of a number, None for text and counts.
    above, at_least, at_most : float or None
        Bounds: strictly above, at least, at most [unit].
    choices : tuple of str
        Allowed texts; empty for any.
    """

    doc: str
    unit: str | None = None
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] = ()

    def complaint(self, value: object) -> str | None:
        """Return what is wrong with a value, or None."""
        if isinstance(value, str):
            if self.choices and value not in self.choices:
                return f"{value!r} is not one of {', '.join(self.choices)}"
            return None
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            shown = f"{number:g}{' ' + self.unit if self.unit and self.unit != '1' else ''}"
            if not math.isfinite(number):
                return f"{shown} is not finite"
            if self.above is not None and not number > self.above:
                return f"{shown} must be greater than {self.above:g}"
            if self.at_least is not None and number < self.at_least:
                return f"{shown} must be at least {self.at_least:g}"
            if self.at_most is not None and number > self.at_most:
                return f"{shown} must be at most {self.at_most:g}"
        return None


def spec_field(
    doc: str,
    *,
    unit: str | None = None,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    choices: tuple[str, ...] = (),
    default: Any = MISSING,
) -> Any:
    """Declare a dataclass field with its rule."""
    rule = FieldRule(doc=doc, unit=unit, above=above, at_least=at_least, at_most=at_most, choices=choices)
    return field(default=default, metadata={_RULE: rule})


def field_rules(kind: type) -> Iterator[tuple[str, FieldRule]]:
    """Yield name and rule of each declared field of a spec dataclass, in order."""
    for item in fields(kind):
        if _RULE in item.metadata:
            yield item.name, item.metadata[_RULE]


def check_fields(spec: object, where: str) -> None:
    """Raise SpecError for the first field whose value breaks its rule."""
    for name, rule in field_rules(type(spec)):
        complaint = rule.complaint(getattr(spec, name))
        if complaint:
            raise SpecError(f"{where}.{name} = {complaint}", remedy=rule.doc)
