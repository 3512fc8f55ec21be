"""Tables of TOML files: checked against declared fields, with errors that name key and value."""

from __future__ import annotations

from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, get_type_hints

from .errors import SpecError
from .quantities import Level, find_quantity
from .spec_fields import FieldRule, field_rules
from .units import parse_quantity

__all__ = ["read_number", "read_table", "reject_unknown", "require_table", "require_tables"]


def read_table(
    kind: type, table: dict[str, Any], where: str, *, partial: bool = False, allowed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the values of a table as arguments of a spec dataclass.

    Parameters
    ----------
    kind : type
        Dataclass whose fields are declared by ``spec_field``.
    table : dict
        Keys and values as read.
    where : str
        Name of the table in errors.
    partial : bool
        Whether keys may be missing.
    allowed : tuple of str
        Keys that may occur; all declared fields where empty.

    Raises
    ------
    SpecError
        If a key is unknown or missing, or a value has the wrong type, unit or size.
    """
    rules = dict(field_rules(kind))
    reject_unknown(table, allowed or tuple(rules), where)
    types = get_type_hints(kind)
    result = {}
    for key, value in table.items():
        rule = rules[key]
        if key == "standard_uncertainty" and "quantity" in table:
            try:
                unit = find_quantity(str(table["quantity"])).unit
            except SpecError as error:
                raise SpecError(f"{where}.quantity: {error.message}", remedy=error.remedy) from None
            rule = FieldRule(doc=rule.doc, unit=unit, at_least=rule.at_least)
            if unit == "K" and isinstance(value, str):  # a difference of temperatures, not a temperature
                value = value.replace("°C", "degC").replace("degC", "delta_degC")
        result[key] = _convert(value, types[key], rule, f"{where}.{key}" if where else key)
    if not partial:
        for item in fields(kind):
            if item.name in rules and item.name not in result and item.default is MISSING:
                raise SpecError(f"{where}.{item.name} is missing", remedy=rules[item.name].doc)
    return result


def _convert(value: Any, kind: Any, rule: FieldRule, where: str) -> Any:
    if kind in (float, float | None):
        return read_number(value, rule, where)
    if kind is bool:
        if not isinstance(value, bool):
            raise SpecError(f"{where} = {value!r} is not true or false", remedy=rule.doc)
        return value
    if kind == tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise SpecError(f"{where} = {value!r} is not a text or a list of texts", remedy=rule.doc)
        return tuple(texts)
    if kind in (int, int | None):
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(f"{where} = {value!r} is not a whole number", remedy=rule.doc)
        complaint = rule.complaint(value)
        if complaint:
            raise SpecError(f"{where} = {complaint}", remedy=rule.doc)
        return value
    if kind is str:
        if not isinstance(value, str):
            raise SpecError(f"{where} = {value!r} is not a text", remedy=rule.doc)
        complaint = rule.complaint(value)
        if complaint:
            raise SpecError(f"{where} = {complaint}", remedy=rule.doc)
        return value
    if kind is Level:
        try:
            return Level(value)
        except ValueError:
            raise SpecError(f"{where} = {value!r} is not one of {', '.join(Level)}", remedy=rule.doc) from None
    if not isinstance(value, list):
        raise SpecError(f"{where} = {value!r} is not a list", remedy=rule.doc)
    if kind == tuple[float, float, float]:
        if len(value) != 3:
            raise SpecError(f"{where} = {value!r} has {len(value)} numbers, not 3", remedy=rule.doc)
        return tuple(read_number(item, rule, where) for item in value)
    if kind == tuple[float, ...]:
        return tuple(read_number(item, rule, f"{where}[{number}]") for number, item in enumerate(value))
    if any(isinstance(item, bool) or not isinstance(item, int) for item in value):
        raise SpecError(f"{where} = {value!r} is not a list of whole numbers", remedy=rule.doc)
    return tuple(value)


def read_number(value: Any, rule: FieldRule, where: str) -> float:
    """Return a number, or a text with a unit, in the unit of its rule; SpecError if it breaks the rule."""
    if isinstance(value, str):
        try:
            value = parse_quantity(value, rule.unit or "1")
        except SpecError as error:
            raise SpecError(f"{where}: {error.message}", remedy=error.remedy) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{where} = {value!r} is not a number", remedy=rule.doc)
    complaint = rule.complaint(float(value))
    if complaint:
        raise SpecError(f"{where} = {complaint}", remedy=rule.doc)
    return float(value)


def require_table(data: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a table of a file by its key; SpecError if it is something else."""
    if not isinstance(data[key], dict):
        raise SpecError(f"{key} = {data[key]!r} is not a table", remedy=f"Write [{key}] and its keys below")
    return dict(data[key])


def require_tables(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of tables by its key, empty where absent; SpecError if it is something else."""
    entries = data.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"{key} is not a list of tables", remedy=f"Write [[{key}]] before each entry")
    return entries


def reject_unknown(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise SpecError for the first key that is not known, with the nearest known one."""
    for key, value in table.items():
        if key not in known:
            place = f"{where}.{key}" if where else key
            near = get_close_matches(key, known, n=1)
            raise SpecError(
                f"unknown key {place} = {value!r}" if not isinstance(value, dict | list) else f"unknown key {place}",
                remedy=f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(known)}",
            )
