"""Turn the lines of a text table into sample blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from celltwin.core import SampleBlock, SampleFault, TelemetryError

from .channel_matching import ChannelMatch
from .csv_form import CsvForm, split_line
from .pivot import pivot
from .reasons import Reason
from .text_lines import LineBlock, TextLines
from .time_order import MidnightUnwrapper

__all__ = ["ChannelNames", "read_long", "read_number", "read_wide", "shown_text"]

SHOWN_TEXT = 80


class ChannelNames:
    """The channels of a long recording, found while it is read.

    Parameters
    ----------
    known : dict of str to str
        Spelling in plain words and name of each channel that is mapped.
    plain : callable
        Takes a name to plain words.
    """

    def __init__(self, known: dict[str, str], plain: Callable[[str], str]) -> None:
        self._known = known
        self._plain = plain
        self._numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.unmapped: dict[str, None] = {}

    def number(self, name: str) -> int:
        """Return the index of a channel in ``names``, -1 where no prim maps it."""
        found = self._numbers.get(name)
        if found is not None:
            return found
        mapped = self._known.get(self._plain(name))
        if mapped is None:
            self._numbers[name] = -1
            self.unmapped[name] = None
        else:
            if mapped not in self.names:
                self.names.append(mapped)
            self._numbers[name] = self.names.index(mapped)
        return self._numbers[name]


class _Row(NamedTuple):
    line: int
    cells: list[str]
    plain: bool  # no underscore, so that float() reads nothing that is no number


def read_number(text: str) -> float:
    """Return the number in a text.

    Raises
    ------
    ValueError
        If it holds none.
    """
    if "_" in text:  # Python reads 1_000 as a number, no logger writes it
        raise ValueError(text)
    return float(text)


def shown_text(text: str) -> str:
    """Return a text as sent, shortened, with what cannot be printed replaced."""
    plain = text.strip()[:SHOWN_TEXT]
    return plain if plain.isprintable() else "".join(mark if mark.isprintable() else "\ufffd" for mark in plain)


def read_wide(file: TextLines, form: CsvForm, match: ChannelMatch) -> Iterator[SampleBlock]:
    """Yield the rows of a wide table: one column a channel. Times are as stated [s]."""
    pick: Callable[[list[str]], Sequence[str]] = (
        itemgetter(*match.columns) if len(match.columns) > 1 else lambda cells: (cells[match.columns[0]],)
    )
    name = file.path.name
    days = MidnightUnwrapper()
    for block in _blocks(file):
        rows, faults = _rows(block, form, name)
        times = np.empty(len(rows))
        values = np.empty((len(rows), len(match.columns)))
        present = np.ones(values.shape, dtype=np.bool_)
        for index, row in enumerate(rows):
            times[index] = _time(row, index, form, name, faults)
            texts = pick(row.cells)
            try:
                values[index] = list(map(float if row.plain else read_number, texts))
            except ValueError:
                for column, text in enumerate(texts):
                    values[index, column], present[index, column] = _cell(
                        text, index, match.names[column], f"{name}:{row.line}", faults
                    )
        if form.of_day:
            times = days.unwrap(times)
        for array in (times, values, present):
            array.flags.writeable = False  # spares a copy
        yield SampleBlock(
            channels=match.names,
            time=times,
            values=values,
            present=present,
            origin=tuple([f"{name}:{row.line}" for row in rows]),
            faults=tuple(faults),
        )


def read_long(file: TextLines, form: CsvForm, channels: ChannelNames) -> Iterator[SampleBlock]:
    """Yield the rows of a long table: one value a row. Times are as stated [s]."""
    if form.long is None:
        raise ValueError("the table is wide")
    name = file.path.name
    days = MidnightUnwrapper()
    at_channel, at_value = form.long.channel, form.long.value
    for block in _blocks(file):
        rows, faults = _rows(block, form, name)
        numbers = [channels.number(row.cells[at_channel].strip()) for row in rows]
        rows = [row for row, number in zip(rows, numbers, strict=True) if number >= 0]
        numbers = [number for number in numbers if number >= 0]
        times = np.empty(len(rows))
        values = np.empty(len(rows))
        present = np.ones(len(rows), dtype=np.bool_)
        for index, row in enumerate(rows):
            times[index] = _time(row, index, form, name, faults)
            values[index], present[index] = _cell(
                row.cells[at_value], index, channels.names[numbers[index]], f"{name}:{row.line}", faults
            )
        yield from pivot(
            channels.names,
            days.unwrap(times) if form.of_day else times,
            np.asarray(numbers, dtype=np.int64),
            values,
            present,
            [f"{name}:{row.line}" for row in rows],
            faults,
        )


def _blocks(file: TextLines) -> Iterator[LineBlock | SampleFault]:
    """Yield the blocks of a file; where the disk fails, a fault, and no more."""
    try:
        yield from file.blocks()
    except TelemetryError as error:
        yield SampleFault(reason=Reason.UNREADABLE, origin=error.where or file.path.name, text=error.message)


def _rows(block: LineBlock | SampleFault, form: CsvForm, name: str) -> tuple[list[_Row], list[SampleFault]]:
    if isinstance(block, SampleFault):
        return [], [block]
    rows: list[_Row] = []
    faults: list[SampleFault] = []
    width = len(form.names)
    delimiter, comma = form.delimiter, form.decimal_comma
    for number, line in enumerate(block.lines, block.first):
        if number <= form.header_line:
            continue
        if comma:
            line = line.replace(",", ".")
        cells = split_line(line, delimiter)
        if len(cells) != width:
            fitted = _fit(cells, form)
            if fitted is None:
                if line.strip():
                    cut = block.cut and number == block.first + len(block.lines) - 1
                    faults.append(
                        SampleFault(
                            reason=Reason.TRUNCATED if cut else Reason.WRONG_LENGTH,
                            origin=f"{name}:{number}",
                            text=f"{len(cells)} of {width} cells: {shown_text(line)}",
                        )
                    )
                continue
            cells = fitted
        if not cells[form.time.index].strip() and not any(cell.strip() for cell in cells):
            continue
        rows.append(_Row(number, cells, "_" not in line))
    return rows, faults


def _fit(cells: list[str], form: CsvForm) -> list[str] | None:
    """Return the cells at the header's width where only blank ends differ, else None."""
    width = len(form.names)
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    if len(cells) < width and len(cells) > 1 and not any(form.names[len(cells) :]):
        return cells + [""] * (width - len(cells))
    return None


def _time(row: _Row, index: int, form: CsvForm, name: str, faults: list[SampleFault]) -> float:
    text = row.cells[form.time.index]
    try:
        return form.read_time(text)
    except (ValueError, OverflowError):
        faults.append(
            SampleFault(reason=Reason.MALFORMED_TIME, origin=f"{name}:{row.line}", text=shown_text(text), row=index)
        )
        return math.nan


def _cell(text: str, row: int, channel: str, origin: str, faults: list[SampleFault]) -> tuple[float, bool]:
    """Return the value of one cell and whether there is one; text that is no number becomes a fault."""
    try:
        return read_number(text), True
    except ValueError:
        plain = text.strip()
        if not plain:
            return math.nan, False
        faults.append(
            SampleFault(reason=Reason.MALFORMED_VALUE, origin=origin, text=shown_text(plain), row=row, channel=channel)
        )
        return math.nan, True
