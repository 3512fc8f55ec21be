"""Find the column that tells the time, and read its values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from celltwin.core import TelemetryError

__all__ = ["TimeColumn", "find_time_column", "unit_of_numbers"]

ELAPSED_NAMES = (
    "time",
    "t",
    "total time",
    "test time",
    "elapsed time",
    "time elapsed",
    "elapsed",
    "relative time",
    "run time",
    "runtime",
    "time since start",
    "seconds",
    "minutes",
    "hours",
    "zeit",
)
ABSOLUTE_NAMES = (
    "timestamp",
    "time stamp",
    "datetime",
    "date time",
    "date/time",
    "utc",
    "utc time",
    "time utc",
    "epoch",
    "epoch time",
    "unix time",
    "ts",
    "absolute time",
)
LAST_RESORT_NAMES = ("real time", "dpt time", "date")

SECONDS_PER_UNIT = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
NOT_UNITS = ("utc", "gmt", "local", "iso", "iso8601", "iso 8601", "hh:mm:ss", "h:m:s", "date")
LONGEST_NAME = 60

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BRACKETS = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\])]*)[\])]$")


@dataclass(frozen=True)
class TimeColumn:
    """The column that tells the time.

    Attributes
    ----------
    index : int
        Position among the columns.
    name : str
        Name as the file writes it.
    unit : float or None
        Length of its unit [s]; None where the header names none.
    absolute : bool
        Whether the name says that it counts from a date, not from the start.
    """

    index: int
    name: str
    unit: float | None
    absolute: bool


def find_time_column(names: Sequence[str], *, where: str, wanted: str | None = None) -> TimeColumn | None:
    """Return the time column among the columns of a table, or None if there is none.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    where : str
        File and line, for the error.
    wanted : str, optional
        Name of the column to take, instead of the usual spellings.

    Raises
    ------
    TelemetryError
        If several columns fit equally well, or the unit in the header is unknown.
    """
    if wanted is not None:
        for index, name in enumerate(names):
            if name.strip() == wanted.strip():
                return _time_column(index, name, where)
        return None
    for spellings in (ELAPSED_NAMES, ABSOLUTE_NAMES, LAST_RESORT_NAMES):
        found = [
            (index, name)
            for index, name in enumerate(names)
            if len(name) <= LONGEST_NAME and _split_unit(name)[0] in spellings
        ]
        if len(found) > 1:
            raise TelemetryError(
                f"several columns may be the time: {', '.join(repr(name.strip()) for _, name in found)}",
                where=where,
                remedy="Keep one of them, or rename the others",
            )
        if found:
            return _time_column(*found[0], where)
    return None


def _time_column(index: int, name: str, where: str) -> TimeColumn:
    base, unit_name = _split_unit(name)
    unit = SECONDS_PER_UNIT.get(unit_name or base)
    if unit is None and unit_name and unit_name not in NOT_UNITS:
        raise TelemetryError(
            f"time column {name.strip()!r} names the unit {unit_name!r}, which is none of time",
            where=where,
            remedy="Use s, ms, us, ns, min, h or d",
        )
    return TimeColumn(index, name.strip(), unit, base in ABSOLUTE_NAMES + LAST_RESORT_NAMES)


def _split_unit(name: str) -> tuple[str, str | None]:
    """Return a column's name in plain words and the unit that it names, if any."""
    text = name.strip().strip('"').strip()
    if text[:1] == "T" and not text[1:2].isalpha():
        return text, None  # a temperature
    bracketed = _BRACKETS.match(text)
    if bracketed:
        return _plain(bracketed["name"]), bracketed["unit"].strip().casefold() or None
    every = (*ELAPSED_NAMES, *ABSOLUTE_NAMES, *LAST_RESORT_NAMES)
    for spelling in (text, _CAMEL.sub(" ", text)):
        plain = _plain(spelling)
        if plain in every:
            return plain, None
        base, _, unit = plain.replace("/", " ").rpartition(" ")
        base = base.strip().removesuffix(" in")
        if unit in SECONDS_PER_UNIT and base in every:
            return base, unit
    return _plain(text), None


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-.]+", " ", name.casefold()).strip()


def unit_of_numbers(first: float, column: TimeColumn) -> float:
    """Return the length of the unit [s] of a numeric time column.

    A time stamp without a unit counts seconds, milliseconds, microseconds or nanoseconds since 1970: its size tells.
    """
    if column.unit is not None:
        return column.unit
    if column.absolute and math.isfinite(first):
        for smallest, unit in ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3)):
            if abs(first) >= smallest:
                return unit
    return 1.0
