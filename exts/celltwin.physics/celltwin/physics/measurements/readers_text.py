"""Tables of text as measuring instruments write them: any usual encoding, delimiter and decimal mark."""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from celltwin.core import Array

from .curve import MeasurementError

__all__ = ["SplitLines", "TextTable", "parse_number", "read_bytes", "read_text_table"]

_DELIMITERS = (",", ";", "\t", "|")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 2000  # lines, for header and form
_LONGEST_UNIT = 8  # characters
_COMMA_NUMBER = re.compile(r"^\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*$")


class SplitLines:
    """Lines of text as rows of cells, split when they are asked for: long records would not fit otherwise.

    Parameters
    ----------
    lines : sequence of str
        None of them blank.
    delimiter : str
        Between cells.
    width : int
        Cells of a row; short lines are filled with empty ones, long ones cut.
    """

    def __init__(self, lines: Sequence[str], delimiter: str, width: int) -> None:
        self._lines, self._delimiter, self._width = lines, delimiter, width

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._lines)

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the cells of each row."""
        width = self._width
        for line in self._lines:
            cells = _split(line, self._delimiter)
            yield cells if len(cells) == width else (cells + [""] * width)[:width]

    def column(self, index: int) -> list[str]:
        """Return one cell of each row."""
        mark = self._delimiter
        cells = []
        for line in self._lines:
            parts = line.split(mark, index + 1) if '"' not in line and mark != " " else _split(line, mark)
            cells.append(parts[index] if len(parts) > index else "")
        return cells


@dataclass(frozen=True, kw_only=True, eq=False)
class TextTable:
    """A table of texts.

    Attributes
    ----------
    path : str
        The file.
    sha256 : str
        Digest of its contents.
    names : tuple of str
        Columns' names; ``"column 1"`` and so on where there is no header.
    rows : tuple of list of str, or SplitLines
        Cells of each row, as long as ``names``.
    first_line : int
        Number in the file of the first row's line, from 1.
    decimal : str
        Decimal mark.
    units : tuple of str
        Texts of a line of units below the names; empty where there is none.
    """

    path: str
    sha256: str
    names: tuple[str, ...]
    rows: tuple[list[str], ...] | SplitLines
    first_line: int
    decimal: str = "."
    units: tuple[str, ...] = ()

    def texts(self, name: str) -> list[str]:
        """Return the cells of a column; MeasurementError, naming the columns, if there is none."""
        if name not in self.names:
            raise MeasurementError(
                f"has no column {name!r}",
                where=self.path,
                remedy=f"Its columns are {', '.join(self.names)}",
            )
        index = self.names.index(name)
        return self.rows.column(index) if isinstance(self.rows, SplitLines) else [row[index] for row in self.rows]

    def numbers(self, name: str) -> Array:
        """Return a column of shape (n_rows,); NaN where a cell holds no number."""
        texts = self.texts(name)
        if self.decimal == "." and not any("_" in text for text in texts):
            try:
                return np.array(list(map(float, texts)), dtype=np.float64)
            except ValueError:
                pass  # some cell holds no number
        return np.array([parse_number(text, self.decimal) for text in texts], dtype=np.float64)


def parse_number(text: str, decimal: str = ".") -> float:
    """Return the number in a cell, NaN where there is none."""
    if decimal != ".":
        text = text.replace(".", "").replace(decimal, ".")
    if "_" in text:  # Python reads 1_000 as a number, no instrument writes it
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_bytes(path: Path) -> bytes:
    """Return the contents of a file.

    Raises
    ------
    MeasurementError
        If there is none, it may not be read, or it is empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MeasurementError(
            "there is no such file", where=str(path), remedy=f"Check the path; the working folder is {Path.cwd()}"
        ) from None
    except IsADirectoryError:
        raise MeasurementError("is a folder", where=str(path), remedy="Name a file in it") from None
    except OSError as error:
        raise MeasurementError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check its permissions and the disk"
        ) from None
    if not content:
        raise MeasurementError("is empty", where=str(path), remedy="Copy the recording again")
    return content


def read_text_table(
    path: str | Path,
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    skip_rows: int | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    content: bytes | None = None,
) -> TextTable:
    """Read a table of text.

    What is not given is found out: the header is the last line of texts before the longest run of lines with equally
    many cells.

    Parameters
    ----------
    path : path
        The file.
    delimiter : str, optional
        Between cells; ``" "`` for any run of blanks.
    decimal : str, optional
        ``"."`` or ``","``.
    skip_rows : int, optional
        Lines above the header, or above the first row where there is no header.
    header : bool, optional
        Whether there is a line of names.
    encoding : str, optional
        Of the text.
    content : bytes, optional
        The file's contents, where they are at hand or were packed.

    Raises
    ------
    MeasurementError
        If the file cannot be read, is no text, or holds no table.
    """
    path = Path(path)
    if content is None:
        content = read_bytes(path)
    lines = _decode(content, path, encoding).splitlines()
    delimiter = delimiter or _find_delimiter(lines[skip_rows or 0 :], path)
    top = [_split(line, delimiter) for line in lines[: (skip_rows or 0) + _LOOKED_AT]]
    start = skip_rows if skip_rows is not None else _find_start(top)
    while start < len(top) and not any(cell.strip() for cell in top[start]):
        start += 1
    if start >= len(top):
        raise MeasurementError("holds no rows", where=str(path), remedy="Check skip_rows, or copy the recording again")
    first = [cell.strip().strip('"') for cell in top[start]]
    if header is None:
        header = not _mostly_numbers(first)
    if header:
        names = tuple(name or f"column {index + 1}" for index, name in enumerate(first))
        start += 1
    else:
        names = tuple(f"column {index + 1}" for index in range(len(first)))
    units: tuple[str, ...] = ()
    if header and start < len(top) and _is_units(top[start], first):
        units = tuple(cell.strip().strip('"') for cell in top[start])
        start += 1
    marks = delimiter + ' \t"'
    rows = SplitLines([line for line in lines[start:] if line.strip(marks)], delimiter, len(names))
    if not len(rows):
        raise MeasurementError(
            "holds a header but no rows", where=str(path), remedy="Check that the recorder has finished writing"
        )
    return TextTable(
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        names=names,
        rows=rows,
        first_line=start + 1,
        decimal=decimal or _find_decimal(rows, delimiter),
        units=units,
    )


def _decode(content: bytes, path: Path, encoding: str | None) -> str:
    if encoding is None:
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and content[:4096].count(0) > 8:
        raise MeasurementError(
            "is no table of text", where=str(path), remedy="Give a CSV, .mat, .xlsx or .parquet file, by its own suffix"
        )
    for name in (encoding,) if encoding else ("utf-8", "cp1252", "latin-1"):
        try:
            return content.decode(name)
        except UnicodeDecodeError:
            continue
        except LookupError:
            break
    raise MeasurementError(
        f"is no text in {encoding}",
        where=str(path),
        remedy="Name its encoding in the mapping file, or save it as UTF-8",
    )


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _find_delimiter(lines: Sequence[str], path: Path) -> str:
    """Return the delimiter that gives the most lines the same number of cells, more cells first."""
    sample = [line for line in lines[:_LOOKED_AT] if line.strip()]
    best, best_score = "", (0, 0)
    for delimiter in (*_DELIMITERS, " "):
        counts = [len(_split(line, delimiter)) for line in sample]
        usual = max(set(counts), key=counts.count) if counts else 0
        if usual < 2:
            continue
        cells = _split(sample[-1], delimiter)
        score = (counts.count(usual) if _mostly_numbers(cells) or delimiter != " " else 0, usual)
        if score > best_score:
            best, best_score = delimiter, score
    if not best:
        raise MeasurementError(
            "holds no table: no delimiter gives its lines several cells",
            where=str(path),
            remedy="Name delimiter and skip_rows in a mapping file (docs/measurements.md)",
        )
    return best


def _find_start(split: Sequence[list[str]]) -> int:
    """Return the index of the header, or of the first row where there is none."""
    widths = [len(cells) for cells in split if any(cell.strip() for cell in cells)]
    usual = max(set(widths), key=widths.count)
    first = next(
        (
            index
            for index, cells in enumerate(split)
            if len(cells) >= max(2, usual - 1) and _mostly_numbers(cells, some=True)
        ),
        0,
    )
    above = first - 1
    while above >= 0 and not any(cell.strip() for cell in split[above]):
        above -= 1
    if above < 0 or len(split[above]) < usual - 1 or _mostly_numbers(split[above]):
        return first
    return above - 1 if above > 0 and _is_units(split[above], split[above - 1]) else above


def _is_units(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether a line is one of units: as many short texts as there are longer names above, no number."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    return (
        len(cells) == len(names)
        and len(filled) > 1
        and not any(map(_is_number, filled))
        and max(map(len, filled)) <= _LONGEST_UNIT
        and sum(map(len, names)) > sum(map(len, cells))
        and not any(map(_is_number, (name for name in names if name.strip())))
    )


def _mostly_numbers(cells: Sequence[str], *, some: bool = False) -> bool:
    """Return whether most (or, with ``some``, at least two) of the filled cells are numbers."""
    filled = [cell for cell in cells if cell.strip()]
    numeric = sum(_is_number(cell) for cell in filled)
    return numeric >= 2 if some else bool(filled) and 2 * numeric > len(filled)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _find_decimal(rows: SplitLines, delimiter: str) -> str:
    if delimiter == ",":
        return "."
    sample = [cell for row in islice(rows, 200) for cell in row]
    return "," if any(map(_COMMA_NUMBER.match, sample)) else "."
