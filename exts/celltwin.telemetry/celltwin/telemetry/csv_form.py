"""Work out how a text table is written: where its header stands, its delimiter, its time column."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from celltwin.core import TelemetryError, TimeForm, recognise_times, time_reader

from .time_columns import TimeColumn, find_time_column, unit_of_numbers

__all__ = ["CsvForm", "LongColumns", "find_form", "find_long_columns", "split_line"]

DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 1000  # lines before the header at most
ROWS_TRIED = 20

CHANNEL_NAMES = ("channel", "topic", "signal", "sensor", "name", "variable", "tag", "column", "measurement")
VALUE_NAMES = ("value", "val", "reading", "values")

_COMMA_NUMBER = re.compile(r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$")


@dataclass(frozen=True)
class LongColumns:
    """Positions of the channel's name and its value in a long table."""

    channel: int
    value: int


@dataclass(frozen=True)
class CsvForm:
    """How a text table is written.

    Attributes
    ----------
    delimiter : str
        Between the cells of a row.
    decimal_comma : bool
        Whether numbers have a comma for a point.
    header_line : int
        Number of the header's line, from 1.
    names : tuple of str
        Names of the columns, without surrounding spaces; empty where a column has none.
    time : TimeColumn
        The column that tells the time.
    read_time : callable
        Takes the text of a time to seconds; raises ValueError where it is none.
    of_day : bool
        Whether times are hours, minutes and seconds, which may start again at midnight.
    long : LongColumns or None
        Where it is a long table: one value a row.
    """

    delimiter: str
    decimal_comma: bool
    header_line: int
    names: tuple[str, ...]
    time: TimeColumn
    read_time: Callable[[str], float]
    of_day: bool
    long: LongColumns | None


def split_line(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; a quoted cell may hold the delimiter but no line end."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return [line]


def find_long_columns(names: Sequence[str]) -> LongColumns | None:
    """Return where the channel and the value stand, if these are the columns of a long table."""
    plain = [name.strip().casefold() for name in names]
    channel = next((plain.index(name) for name in CHANNEL_NAMES if name in plain), None)
    value = next((plain.index(name) for name in VALUE_NAMES if name in plain), None)
    if channel is None or value is None:
        return None
    return LongColumns(channel, value)


def find_form(lines: Sequence[str], *, where: str, time_column: str | None = None) -> CsvForm:
    """Return how a text table is written, from its first lines.

    Parameters
    ----------
    lines : sequence of str
        The first lines of the file: whatever stands above the header, the header, some rows.
    where : str
        The file.
    time_column : str, optional
        Name of the time column, where the usual spellings do not fit.

    Raises
    ------
    TelemetryError
        If there is no header, no time column or several, or no row under the header.
    """
    if not any(line.strip() for line in lines):
        raise TelemetryError("holds nothing but blank lines", where=where, remedy="Copy the recording again")
    failures: list[TelemetryError] = []
    found = [_try_delimiter(lines, delimiter, where, time_column, failures) for delimiter in DELIMITERS]
    forms = [form for form in found if form is not None]
    if forms:
        return max(forms, key=lambda form: sum(map(bool, form.names)))
    if failures:
        raise failures[0]
    raise _no_table(lines, where, time_column)


def _try_delimiter(
    lines: Sequence[str], delimiter: str, where: str, wanted: str | None, failures: list[TelemetryError]
) -> CsvForm | None:
    """Return the form of the first header row that has rows below, or None; what nearly was one goes to failures."""
    for index, line in enumerate(lines[:LOOKED_AT]):
        if delimiter not in line:
            continue
        cells = [cell.strip() for cell in split_line(line, delimiter)]
        names = _without_blank_end(cells)
        if len(names) < 2 or sum(map(_is_number, names)) * 2 > len(names):
            continue
        rows = _rows_below(lines, index, delimiter, len(cells))
        found = None
        try:
            found = find_time_column(names, where=f"{where}:{index + 1}", wanted=wanted)
        except TelemetryError as error:
            failures.append(error)
        if found is None:
            continue
        form = _form_of(rows, cells, found, delimiter, index + 1)
        if form is not None:
            return form
        if not rows and sum(1 for below in lines[index + 1 :] if below.strip()) <= 1:
            failures.append(
                TelemetryError(
                    "holds a header but no whole row",
                    where=f"{where}:{index + 1}",
                    remedy="Check that the recorder has finished writing, and copy it again",
                )
            )
        if rows:
            shown = rows[0][found.index]
            failures.append(
                TelemetryError(
                    f"times such as {shown!r} in column {found.name!r} are neither numbers, ISO dates nor hh:mm:ss",
                    where=f"{where}:{index + 2}",
                    remedy="Write times as seconds or as 2026-01-31T12:00:00",
                )
            )
    return None


def _form_of(
    rows: list[list[str]], names: list[str], column: TimeColumn, delimiter: str, header_line: int
) -> CsvForm | None:
    if not rows:
        return None
    cells = [cell.strip() for row in rows for cell in row]
    decimal_comma = delimiter != "," and any(map(_COMMA_NUMBER.match, cells)) and not any(_has_point(c) for c in cells)
    times = [row[column.index] for row in rows]
    form = recognise_times(times, decimal_comma=decimal_comma)
    if form is None:
        return None
    unit = 1.0
    if form is TimeForm.NUMBER:
        plain = time_reader(form, unit=1.0, decimal_comma=decimal_comma)
        unit = unit_of_numbers(next(value for value in map(_tolerant(plain), times) if value is not None), column)
    return CsvForm(
        delimiter=delimiter,
        decimal_comma=decimal_comma,
        header_line=header_line,
        names=tuple(names),
        time=column,
        read_time=time_reader(form, unit=unit, decimal_comma=decimal_comma),
        of_day=form is TimeForm.CLOCK,
        long=find_long_columns(names),
    )


def _tolerant(read: Callable[[str], float]) -> Callable[[str], float | None]:
    def attempt(text: str) -> float | None:
        try:
            return read(text)
        except ValueError:
            return None

    return attempt


def _rows_below(lines: Sequence[str], header: int, delimiter: str, width: int) -> list[list[str]]:
    """Return some rows under a header that have its width."""
    rows: list[list[str]] = []
    for line in lines[header + 1 : header + 1 + 5 * ROWS_TRIED]:
        cells = split_line(line, delimiter)
        if abs(len(cells) - width) <= 1 and len(cells) > 1:
            rows.append(cells)
            if len(rows) == ROWS_TRIED:
                break
    return rows


def _without_blank_end(cells: list[str]) -> list[str]:
    names = list(cells)
    while names and not names[-1]:
        names.pop()
    return names


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _has_point(text: str) -> bool:
    return "." in text and _is_number(text)


def _no_table(lines: Sequence[str], where: str, wanted: str | None) -> TelemetryError:
    """Return the error that says best why no table was found."""
    best: tuple[int, int, list[str]] | None = None
    for delimiter in DELIMITERS:
        for index, line in enumerate(lines[:LOOKED_AT]):
            cells = split_line(line, delimiter)
            names = _without_blank_end([cell.strip() for cell in cells])
            if len(names) < 2 or sum(map(_is_number, names)) * 2 > len(names):
                continue
            rows = _rows_below(lines, index, delimiter, len(cells))
            numeric = sum(_is_number(cell) for row in rows for cell in row)
            if rows and numeric and (best is None or len(names) > len(best[2])):
                best = (index + 1, numeric, names)
    if best is not None:
        line_number, _, names = best
        shown = ", ".join(repr(name) for name in names[:12]) + (", ..." if len(names) > 12 else "")
        what = "has no time column" if wanted is None else f"has no column {wanted!r}"
        return TelemetryError(
            f"{what}; its columns are {shown}",
            where=f"{where}:{line_number}",
            remedy="Name the time column time_s, time, timestamp or Total Time",
        )
    first = next(line for line in lines if line.strip())
    if any(len(split_line(first, mark)) > 1 and all(map(_is_number, split_line(first, mark))) for mark in DELIMITERS):
        return TelemetryError(
            "has no header row, so its columns have no names",
            where=f"{where}:1",
            remedy="Put a line such as time_s,pack_current,pack_voltage on top",
        )
    return TelemetryError(
        f"holds no table; its first line is {first.strip()[:60]!r}",
        where=where,
        remedy="Give a CSV with a header row (comma, semicolon or tab) or a Parquet file",
    )
