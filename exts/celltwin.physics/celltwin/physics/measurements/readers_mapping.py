"""What the columns of a cycler's export are: a small TOML file, or the names that cyclers use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celltwin.core import SpecError, build_spec, read_spec_text, reject_unknown, require_table, unit_conversion

from .curve import MeasurementError

__all__ = ["BDF_COLUMNS", "QUANTITIES", "ColumnRule", "TableMapping", "guess_mapping", "load_mapping", "parse_mapping"]

QUANTITIES: dict[str, str] = {
    "time": "s",
    "current": "A",
    "voltage": "V",
    "temperature": "K",
    "ambient_temperature": "K",
    "strain": "1",
    "thickness": "m",
}
"""Quantities that a column may hold, with the SI unit that they are converted to."""

SIGNS = ("discharge positive", "charge positive", "find out")
TIME_TEXTS = ("hh:mm:ss", "datetime")

# Battery Data Format 1.0.0: machine-readable name and preferred label (without its unit), quantity, unit.
BDF_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("test_time_second", "Test Time / s", "time", "s"),
    ("test_time_millisecond", "Test Time / ms", "time", "ms"),
    ("current_ampere", "Current / A", "current", "A"),
    ("voltage_volt", "Voltage / V", "voltage", "V"),
    ("surface_temperature_celsius", "Surface Temperature / degC", "temperature", "degC"),
    ("temperature_t1_celsius", "Surface Temperature T1 / degC", "temperature", "degC"),
    ("ambient_temperature_celsius", "Ambient Temperature / degC", "ambient_temperature", "degC"),
    ("unix_time_second", "Unix Time / s", "time", "s"),
)

# Plain names that exports use, best first; a unit in brackets, behind a slash or an underscore is read separately.
_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("test time", "total time", "time", "elapsed time", "zeit", "t", "prog time", "progtime", "testtime"),
    "current": ("current", "i", "cell current", "strom", "curr", "ecell current", "measured current"),
    "voltage": ("voltage", "ecell", "u", "v", "cell voltage", "potential", "spannung", "terminal voltage"),
    "temperature": (
        "cell temperature", "surface temperature", "temperature", "temp", "t1", "aux temperature 1", "aux t1",
        "cell temp", "log temp 001", "temperatur", "thermocouple",
    ),
    "ambient_temperature": (
        "ambient temperature", "chamber temperature", "ambient", "chamber temp", "oven temperature",
    ),
    "thickness": ("thickness change", "thickness", "displacement"),
    "strain": ("strain", "hoop strain"),
}  # fmt: skip
_UNIT_SPELLINGS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "ms": "ms", "min": "min", "minutes": "min",
    "h": "h", "hr": "h", "hours": "h", "a": "A", "amp": "A", "amps": "A", "ampere": "A", "ma": "mA", "v": "V",
    "volt": "V", "volts": "V", "mv": "mV", "c": "degC", "degc": "degC", "°c": "degC", "celsius": "degC", "k": "K",
    "kelvin": "K", "um": "um", "µm": "um", "mm": "mm", "m": "m", "hh:mm:ss": "hh:mm:ss", "h:m:s": "hh:mm:ss", "1": "1",
}  # fmt: skip
_USUAL_UNITS = {"time": "s", "current": "A", "voltage": "V", "temperature": "degC", "ambient_temperature": "degC"}
_WARM = re.compile(r"temp|thermo")
_AROUND = re.compile(r"ambient|chamber|oven|room|air|umgebung|kammer|raum|luft")
_UNIT_AT_END = re.compile(r"^(?P<name>.*?)\s*(?:[\[(]\s*(?P<bracket>[^\])]*)\s*[\])]|[/,]\s*(?P<slash>\S+))$")


@dataclass(frozen=True, kw_only=True)
class ColumnRule:
    """Which column holds a quantity, and how.

    Attributes
    ----------
    column : str
        Name in the header, or ``"column 3"`` (from 1) in a table without one.
    unit : str
        Of its numbers; ``"hh:mm:ss"`` or ``"datetime"`` for times written so.
    """

    column: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class TableMapping:
    """How a table of measurements is written.

    Attributes
    ----------
    columns : mapping of str to ColumnRule
        By quantity (``QUANTITIES``); time, current and voltage at least.
    current_sign : str
        ``"discharge positive"``, ``"charge positive"`` or ``"find out"`` (from the voltage).
    delimiter, decimal, encoding : str or None
        Of the text; found out where None.
    skip_rows : int or None
        Lines above the header.
    header : bool or None
        Whether there is a header.
    sheet : int
        Of a spreadsheet, from 1.
    ambient_temperature : float or None
        [K], where no column has it.
    cell, citation, licence : str
        For the result; empty where unknown.
    """

    columns: Mapping[str, ColumnRule]
    current_sign: str = "find out"
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    skip_rows: int | None = None
    header: bool | None = None
    sheet: int = 1
    ambient_temperature: float | None = None
    cell: str = ""
    citation: str = ""
    licence: str = ""
    notes: tuple[str, ...] = field(default=())


def load_mapping(path: str | Path) -> TableMapping:
    """Read a mapping file; SpecError names file, key and value where it is wrong."""
    path = Path(path)
    text = read_spec_text(path, "mapping", "See docs/measurements.md")
    return parse_mapping(text, where=str(path))


def parse_mapping(text: str, where: str = "<mapping>") -> TableMapping:
    """Return the mapping that a TOML text declares.

    Raises
    ------
    SpecError
        If it is no TOML, a key is unknown, a quantity is missing, or a unit is not one of its quantity.
    """
    return build_spec(text, where, _build)


_TEXTS = ("delimiter", "decimal", "encoding", "cell", "citation", "licence")
_TOP = (*_TEXTS, "skip_rows", "header", "sheet", "current_sign", "ambient_temperature", "columns")


def _build(table: dict[str, Any]) -> TableMapping:
    reject_unknown(table, _TOP, "")
    if "columns" not in table:
        raise SpecError("columns is missing", remedy='Write [columns] and below it time = {column = "...", unit = "s"}')
    given = require_table(table, "columns")
    reject_unknown(given, tuple(QUANTITIES), "columns")
    columns = {name: _rule(name, entry) for name, entry in given.items()}
    for name in ("time", "current", "voltage"):
        if name not in columns:
            raise SpecError(
                f"columns.{name} is missing",
                remedy=f"Say which column holds the {name}, and its unit; add one to the file where it has none",
            )
    values: dict[str, Any] = {}
    for key in _TEXTS:
        if key in table:
            if not isinstance(table[key], str):
                raise SpecError(f"{key} = {table[key]!r} is not a text", remedy='Write it in quotes, such as ";"')
            values[key] = table[key]
    if values.get("decimal", ".") not in (".", ","):
        raise SpecError(f"decimal = {values['decimal']!r} is no decimal mark", remedy='Write "." or ","')
    for key, lowest in (("skip_rows", 0), ("sheet", 1)):
        if key in table:
            if isinstance(table[key], bool) or not isinstance(table[key], int) or table[key] < lowest:
                raise SpecError(
                    f"{key} = {table[key]!r} is not a whole number of at least {lowest}", remedy="Count lines"
                )
            values[key] = table[key]
    if "header" in table:
        if not isinstance(table["header"], bool):
            raise SpecError(f"header = {table['header']!r} is not true or false", remedy="Say whether there is one")
        values["header"] = table["header"]
    if "current_sign" in table:
        if table["current_sign"] not in SIGNS:
            raise SpecError(
                f"current_sign = {table['current_sign']!r} is unknown", remedy=f"Write one of {', '.join(SIGNS)}"
            )
        values["current_sign"] = table["current_sign"]
    if "ambient_temperature" in table:
        values["ambient_temperature"] = _temperature(table["ambient_temperature"])
    return TableMapping(columns=columns, **values)


def _rule(quantity: str, entry: Any) -> ColumnRule:
    place = f"columns.{quantity}"
    if not isinstance(entry, dict):
        raise SpecError(f"{place} = {entry!r} is not a table", remedy='Write {column = "...", unit = "..."}')
    reject_unknown(entry, ("column", "unit"), place)
    column, unit = entry.get("column"), entry.get("unit")
    if isinstance(column, int) and not isinstance(column, bool):
        column = f"column {column}"
    if not isinstance(column, str) or not isinstance(unit, str):
        missing = "column" if not isinstance(column, str) else "unit"
        raise SpecError(
            f"{place}.{missing} is missing", remedy="Give the name of the column (or its number) and its unit, as texts"
        )
    if not (quantity == "time" and unit in TIME_TEXTS):
        try:
            unit_conversion(unit, QUANTITIES[quantity])
        except SpecError as error:
            raise SpecError(f"{place}.unit: {error.message}", remedy=error.remedy) from None
    return ColumnRule(column=column, unit=unit)


def _temperature(value: Any) -> float:
    from celltwin.core import parse_quantity

    if isinstance(value, str):
        return parse_quantity(value, "K")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"ambient_temperature = {value!r} is no temperature", remedy='Write "25 degC"')
    return float(value)


def guess_mapping(names: Sequence[str], where: str, units: Sequence[str] = ()) -> TableMapping:
    """Return the mapping that the names of the columns suggest.

    Battery Data Format names, machine-readable or labels, are taken as they are defined, current positive on charge.
    Else names that cyclers use are recognised, with the unit that they carry; the sign is then found out.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    where : str
        File, for the error.
    units : sequence of str
        A line of units below the names; empty where there is none.

    Raises
    ------
    MeasurementError
        If time, current or voltage is not among them.
    """
    known = {name.strip().casefold(): name for name in reversed(names)}
    columns: dict[str, ColumnRule] = {}
    for machine, label, quantity, unit in BDF_COLUMNS:
        for spelling in (machine, label):
            if spelling.casefold() in known and quantity not in columns:
                columns[quantity] = ColumnRule(column=known[spelling.casefold()], unit=unit)
    if {"time", "current", "voltage"} <= set(columns):
        return TableMapping(columns=columns, current_sign="charge positive", notes=("Battery Data Format",))
    columns = {}
    below = [_UNIT_SPELLINGS.get(unit.strip("[]() ").casefold()) for unit in units] or [None] * len(names)
    read = [
        (name, plain, own or unit)
        for name, unit in zip(names, below, strict=True)
        for plain, own in [_split_unit(name)]
    ]
    for quantity, spellings in _NAMES.items():
        found = next((item for spelling in spellings for item in read if item[1] == spelling), None)
        if found is not None and all(rule.column != found[0] for rule in columns.values()):
            usual = found[2] or _USUAL_UNITS.get(quantity)
            if usual is not None:
                columns[quantity] = ColumnRule(column=found[0], unit=usual)
    missing = [name for name in ("time", "current", "voltage") if name not in columns]
    if missing:
        raise MeasurementError(
            f"no column is known to be {' or '.join(missing)}; the columns are {', '.join(names[:30])}",
            where=where,
            remedy="Say in a mapping file what the columns are (docs/measurements.md)",
        )
    unread = _add_temperatures(columns, read)
    stated = {name for name, _, unit in read if unit is not None}
    supposed = [
        f"{quantity} {rule.column!r} in {rule.unit}" for quantity, rule in columns.items() if rule.column not in stated
    ]
    if supposed:
        unread = (f"the file states no unit; read as usual: {', '.join(supposed)}", *unread)
    return TableMapping(columns=columns, notes=unread)


def _add_temperatures(columns: dict[str, ColumnRule], read: Sequence[tuple[str, str, str | None]]) -> tuple[str, ...]:
    """Take columns that can only be temperatures where no usual name was found; say which might be one.

    Parameters
    ----------
    columns : dict of str to ColumnRule
        Found so far; extended.
    read : sequence of tuple
        Name, plain name and unit of each column.
    """
    said: list[str] = []
    likely = [
        item
        for item in read
        if (_WARM.search(item[1]) or (item[1].startswith("t ") and item[2] in ("degC", "K")))
        and item[2] in ("degC", "K", None)
        and all(rule.column != item[0] for rule in columns.values())
    ]
    for quantity, around in (("temperature", False), ("ambient_temperature", True)):
        found = [item for item in likely if bool(_AROUND.search(item[1])) is around]
        if quantity in columns or not found:
            continue
        if len(found) == 1:
            columns[quantity] = ColumnRule(column=found[0][0], unit=found[0][2] or "degC")
        else:
            names = ", ".join(repr(item[0]) for item in found)
            said.append(f"{quantity} is not read: it may be {names}; say in a mapping file which")
    return tuple(said)


def _split_unit(name: str) -> tuple[str, str | None]:
    """Return a column's name in plain words and the unit that it carries, if any."""
    text = name.strip().strip('"')
    match = _UNIT_AT_END.match(text)
    if match is not None:
        unit = _UNIT_SPELLINGS.get((match["bracket"] or match["slash"] or "").strip().casefold())
        if unit is not None or match["bracket"] is not None:
            return _plain(match["name"]), unit
    base, _, tail = _plain(text).rpartition(" ")
    if base and tail in _UNIT_SPELLINGS and any(base in spellings for spellings in _NAMES.values()):
        return base, _UNIT_SPELLINGS[tail]
    return _plain(text), None


def _plain(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_\-.~]+", " ", spaced.casefold()).strip()
