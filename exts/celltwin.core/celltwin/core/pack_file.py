"""Pack files: TOML to :class:`PackSpec`, with errors that name file, key and value."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from .errors import SpecError
from .layout import lay_out
from .pack_spec import (
    BusbarSpec,
    CellSpec,
    CoolingSpec,
    DataMappingSpec,
    LayoutSpec,
    ModuleSpec,
    PackSpec,
    SensorSpec,
)
from .quantities import Level, find_quantity
from .spec_fields import FieldRule, field_rules
from .units import parse_quantity

__all__ = ["load_pack", "parse_pack"]

_SECTIONS: dict[str, type] = {"cell": CellSpec, "layout": LayoutSpec, "busbar": BusbarSpec, "cooling": CoolingSpec}
_LISTS: dict[str, type] = {"sensors": SensorSpec, "mappings": DataMappingSpec}
_TOP = ("name", "title", "description", "source")
_GRID = ("count", "columns", "gap", "prefix")


def load_pack(path: str | Path) -> PackSpec:
    """Read a pack file.

    Numbers are SI, or texts with a unit such as ``"18.4 mm"``.

    Parameters
    ----------
    path : str or Path
        TOML file.

    Returns
    -------
    PackSpec
        The pack.

    Raises
    ------
    SpecError
        If the file is missing or not TOML, or a key is unknown, missing, of the wrong type or unit,
        out of bounds or used twice; the message names file, key and value.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError("there is no such pack file", where=str(path), remedy="See data/packs for examples") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"the pack file cannot be read ({error})", where=str(path), remedy="Give a TOML file in UTF-8"
        ) from None
    return parse_pack(text, where=str(path))


def parse_pack(text: str, where: str = "<pack>") -> PackSpec:
    """Return the pack that a TOML text declares; ``where`` is the name that errors give it."""
    try:
        return _build(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"not valid TOML: {error}", where=where, remedy="Mend the line that it names") from None
    except SpecError as error:
        place = f"{where}: {error.where}" if error.where else where
        raise SpecError(error.message, where=place, remedy=error.remedy) from None


def _build(data: dict[str, Any]) -> PackSpec:
    known = (*_TOP, "topology", "modules", *_SECTIONS, *_LISTS)
    _reject_unknown(data, known, "")
    for key in ("name", "title", "topology", "modules", *_SECTIONS):
        if key not in data:
            raise SpecError(f"{key} is missing", remedy="See data/packs/reference.toml for a complete pack")
    parts: dict[str, Any] = {
        key: _read(PackSpec, {key: data[key]}, "", partial=True)[key] for key in _TOP if key in data
    }
    parts |= _read(PackSpec, _table(data, "topology"), "topology", partial=True, allowed=("series", "parallel"))
    for key in ("series", "parallel"):
        if key not in parts:
            raise SpecError(f"topology.{key} is missing", remedy="Give series groups and parallel cells of one module")
    for key, kind in _SECTIONS.items():
        parts[key] = kind(**_read(kind, _table(data, key), key))
    for key, kind in _LISTS.items():
        parts[key] = tuple(
            kind(**_read(kind, entry, f"{key}[{_name(entry, number)}]"))
            for number, entry in enumerate(_tables(data, key))
        )
    if isinstance(data["modules"], list):
        parts["modules"] = tuple(
            ModuleSpec(**_read(ModuleSpec, entry, f"modules[{_name(entry, number)}]"))
            for number, entry in enumerate(_tables(data, "modules"))
        )
        return PackSpec(**parts)
    return _fill_grid(parts, _table(data, "modules"))


def _fill_grid(parts: dict[str, Any], grid: dict[str, Any]) -> PackSpec:
    _reject_unknown(grid, _GRID, "modules")
    count = _whole(grid, "count")
    columns = _whole(grid, "columns")
    gap = grid.get("gap")
    gap = _number(gap, FieldRule(doc="Free space between modules.", unit="m", at_least=0.0), "modules.gap")
    prefix = grid.get("prefix", "M")
    placed = [ModuleSpec(id=f"{prefix}{index + 1:02d}", position=(0.0, 0.0, 0.0)) for index in range(count)]
    spec = PackSpec(**parts, modules=tuple(placed))
    size_x, size_y, _ = lay_out(spec).module_size
    rows = -(-count // columns)
    modules = []
    for index, module in enumerate(placed):
        row, column = divmod(index, columns)
        x = (column - (min(columns, count) - 1) / 2.0) * (size_x + gap)
        y = (row - (rows - 1) / 2.0) * (size_y + gap)
        modules.append(replace(module, position=(round(x, 6), round(y, 6), 0.0)))
    return replace(spec, modules=tuple(modules))


def _read(
    kind: type, table: dict[str, Any], where: str, *, partial: bool = False, allowed: tuple[str, ...] = ()
) -> dict[str, Any]:
    rules = dict(field_rules(kind))
    _reject_unknown(table, allowed or tuple(rules), where)
    types = get_type_hints(kind)
    result = {}
    for key, value in table.items():
        rule = rules[key]
        if key == "standard_uncertainty" and "quantity" in table:
            unit = find_quantity(str(table["quantity"])).unit
            unit = "delta_degC" if unit == "K" and isinstance(value, str) and "degC" in value else unit
            rule = FieldRule(doc=rule.doc, unit=unit, at_least=rule.at_least)
        result[key] = _convert(value, types[key], rule, f"{where}.{key}" if where else key)
    if not partial:
        for item in fields(kind):
            if item.name in rules and item.name not in result and item.default is MISSING:
                raise SpecError(f"{where}.{item.name} is missing", remedy=rules[item.name].doc)
    return result


def _convert(value: Any, kind: Any, rule: FieldRule, where: str) -> Any:
    if kind is float:
        return _number(value, rule, where)
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(f"{where} = {value!r} is not a whole number", remedy=rule.doc)
        complaint = rule.complaint(value)
        if complaint:
            raise SpecError(f"{where} = {complaint}", remedy=rule.doc)
        return value
    if kind is str:
        if not isinstance(value, str):
            raise SpecError(f"{where} = {value!r} is not a text", remedy=rule.doc)
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
        return tuple(_number(item, rule, where) for item in value)
    if any(isinstance(item, bool) or not isinstance(item, int) for item in value):
        raise SpecError(f"{where} = {value!r} is not a list of whole numbers", remedy=rule.doc)
    return tuple(value)


def _number(value: Any, rule: FieldRule, where: str) -> float:
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


def _whole(grid: dict[str, Any], key: str) -> int:
    value = grid.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(
            f"modules.{key} = {value!r} is not a whole number of at least 1", remedy="Give the grid of modules its size"
        )
    return value


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(data[key], dict):
        raise SpecError(f"{key} = {data[key]!r} is not a table", remedy=f"Write [{key}] and its keys below")
    return dict(data[key])


def _tables(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = data.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"{key} is not a list of tables", remedy=f"Write [[{key}]] before each entry")
    return entries


def _name(entry: dict[str, Any], number: int) -> str:
    return str(entry.get("id") or entry.get("channel") or number)


def _reject_unknown(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            place = f"{where}.{key}" if where else key
            near = get_close_matches(key, known, n=1)
            raise SpecError(
                f"unknown key {place} = {value!r}" if not isinstance(value, dict | list) else f"unknown key {place}",
                remedy=f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(known)}",
            )
