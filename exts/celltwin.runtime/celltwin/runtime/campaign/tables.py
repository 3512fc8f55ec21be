"""Fields of pack and scenario files by dotted name: read, replaced, written as TOML again."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from celltwin.core import SpecError

__all__ = ["flatten", "replaced", "toml_text"]


def flatten(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted name and value of everything below nested tables; a list is one value."""
    for key, value in tables.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from flatten(value, name)
        else:
            yield name, value


def replaced(tables: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the tables of a file with other values of some fields.

    Parameters
    ----------
    tables : mapping
        Tables as read from TOML.
    values : mapping of str to object
        Value by dotted name, such as ``"cooling.flow"``; an entry of a list goes by its number from 0, its name, or
        its id: ``"steps.1.rate"``, ``"steps[1].rate"`` and ``"steps[Charge].rate"`` may be the same field.

    Raises
    ------
    SpecError
        If a name leads through something that is no table, or to no entry of a list.
    """
    result = copy.deepcopy(dict(tables))
    for name, value in values.items():
        *path, last = _segments(name)
        place: Any = result
        for depth, segment in enumerate(path):
            place = _enter(place, segment, name, ".".join(path[: depth + 1]))
        if isinstance(place, list):
            place[_entry(place, last, name)] = value
        elif isinstance(place, dict):
            place[last] = value
        else:
            raise _no_table(name, ".".join(path))
    return result


def toml_text(tables: Mapping[str, Any]) -> str:
    """Return tables as a TOML text, one line a key."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in tables.items())


def _segments(name: str) -> list[str]:
    parts = re.sub(r"\[([^\]]+)\]", lambda found: "." + found[1], name).split(".")
    if not all(parts):
        raise SpecError(f"{name!r} is no name of a field", remedy="Write for example scenario.initial.soc")
    return parts


def _enter(place: Any, segment: str, name: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_entry(place, segment, name)]
    if isinstance(place, dict):
        return place.setdefault(segment, {})
    raise _no_table(name, path)


def _entry(entries: list[Any], segment: str, name: str) -> int:
    if segment.isdigit() and int(segment) < len(entries):
        return int(segment)
    titles = [entry.get("name") or entry.get("id") if isinstance(entry, dict) else None for entry in entries]
    found = [number for number, title in enumerate(titles) if title == segment]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{number}{f' ({title})' if title else ''}" for number, title in enumerate(titles))
    raise SpecError(
        f"{name}: {segment!r} names {len(found) or 'none'} of the {len(entries)} entries",
        remedy=f"Give a number: {known}" if entries else "Add entries to the file first",
    )


def _no_table(name: str, path: str) -> SpecError:
    return SpecError(f"{name}: {path} is a value, not a table", remedy="Correct the name")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    return repr(value)
