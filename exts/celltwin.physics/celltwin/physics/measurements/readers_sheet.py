"""Spreadsheets (.xlsx): the numbers of one sheet, without a spreadsheet library."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from .curve import MeasurementError
from .readers_text import TextTable, read_bytes

__all__ = ["read_sheet"]

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CELL = re.compile(r"^([A-Z]+)\d+$")


def read_sheet(path: str | Path, number: int = 1) -> TextTable:
    """Return a sheet of a spreadsheet as a table, its first filled row as the header.

    Parameters
    ----------
    path : path
        An .xlsx file.
    number : int
        Of the sheet, from 1, in the order that the file stores them.

    Raises
    ------
    MeasurementError
        If the file is no .xlsx, has no such sheet, or the sheet has no rows.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            shared = _shared_strings(archive)
            rows = _rows(archive.read(f"xl/worksheets/sheet{number}.xml"), shared)
    except KeyError:
        raise MeasurementError(f"has no sheet {number}", where=str(path), remedy="Count its sheets") from None
    except (zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise MeasurementError(
            f"is no .xlsx spreadsheet ({error})", where=str(path), remedy="Save it as .xlsx, or export the sheet as CSV"
        ) from None
    if len(rows) < 2:
        raise MeasurementError("has no rows under its header", where=f"{path}#{number}", remedy="Name another sheet")
    width = max(len(row) for row in rows)
    padded = [row + [""] * (width - len(row)) for row in rows]
    return TextTable(
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        names=tuple(name.strip() or f"column {index + 1}" for index, name in enumerate(padded[0])),
        rows=tuple(padded[1:]),
        first_line=2,
    )


def _shared_strings(archive: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    tree = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
    return ["".join(text.text or "" for text in item.iter(f"{_MAIN}t")) for item in tree.iter(f"{_MAIN}si")]


def _rows(sheet: bytes, shared: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in ElementTree.fromstring(sheet).iter(f"{_MAIN}row"):
        cells: list[str] = []
        for cell in row.iter(f"{_MAIN}c"):
            match = _CELL.match(cell.get("r", ""))
            column = _column_number(match[1]) if match else len(cells)
            cells += [""] * (column - len(cells))
            cells.append(_text(cell, shared))
        if any(cells):
            rows.append(cells)
    return rows


def _text(cell: ElementTree.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{_MAIN}t"))
    value = cell.find(f"{_MAIN}v")
    if value is None or value.text is None:
        return ""
    return shared[int(value.text)] if cell.get("t") == "s" else value.text


def _column_number(letters: str) -> int:
    """Return the index from 0 of a column such as ``"AB"``."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
