"""Cyclers' exports and Battery Data Format: tables of columns to curves."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from celltwin.core import Array, recognise_times, time_reader, unit_conversion

from .columns import CellColumns, as_columns, clean_columns
from .curve import CurveSource, MeasurementError
from .curve_checks_sign import find_current_sign
from .readers_mapping import QUANTITIES, TIME_TEXTS, ColumnRule, TableMapping, guess_mapping
from .readers_sheet import read_sheet
from .readers_text import TextTable, read_bytes, read_text_table
from .segments import CutRecord, cut_curves

__all__ = ["read_table_columns", "read_table_curves"]


def read_table_curves(
    files: Sequence[Path], mapping: TableMapping | None, *, cell: str | None = None, capacity: float | None = None
) -> dict[str, CutRecord]:
    """Return the curves of one cell's tables.

    Parameters
    ----------
    files : sequence of Path
        Text (also gzip-compressed), .xlsx or .parquet.
    mapping : TableMapping or None
        What the columns are; guessed from their names where None.
    cell : str, optional
        Name of the cell; from the mapping or the first file's name where None.
    capacity : float, optional
        Nominal capacity that rates refer to [A.h].

    Raises
    ------
    MeasurementError
        If a file cannot be read, or lacks a column.
    """
    record = CutRecord(curves=())
    for file in files:
        table = _read_table(file, mapping)
        used = mapping or guess_mapping(table.names, str(file), table.units)
        columns, assumptions = read_table_columns(table, used)
        source = CurveSource(path=str(file), sha256=table.sha256, rows=0, citation=used.citation, licence=used.licence)
        record = record.joined(
            cut_curves(
                columns,
                source,
                capacity=capacity,
                ambient_temperature=used.ambient_temperature,
                assumptions=assumptions,
            )
        )
    if not record.curves:
        raise MeasurementError(
            "holds no stretch of ten rows under current or at rest",
            where=str(files[0]),
            remedy="Check the column of the current and its unit",
        )
    name = cell or (mapping.cell if mapping else "") or files[0].name.split(".")[0]
    return {name: record}


def read_table_columns(table: TextTable, mapping: TableMapping) -> tuple[CellColumns, tuple[str, ...]]:
    """Return the cleaned columns of a table in SI, current positive on discharge, and what had to be supposed.

    Raises
    ------
    MeasurementError
        If a column is missing or holds no numbers.
    """
    values = {quantity: _quantity(table, quantity, rule) for quantity, rule in mapping.columns.items()}
    for quantity in ("time", "current", "voltage"):
        if not np.isfinite(values[quantity]).any():
            raise MeasurementError(
                f"column {mapping.columns[quantity].column!r} ({quantity}) holds no numbers",
                where=table.path,
                remedy=f"Check the decimal mark (read as {table.decimal!r}) and the delimiter",
            )
    arrays: dict[str, Array] = {name: values[name] for name in values if name not in ("time", "current", "voltage")}
    columns = clean_columns(as_columns(values["time"], values["current"], values["voltage"], **arrays), table.path)
    assumptions = mapping.notes
    sign = {"discharge positive": 1, "charge positive": -1}.get(mapping.current_sign)
    if sign is None:
        sign = find_current_sign(columns.time, columns.current, columns.voltage)
        if sign == 0:
            raise MeasurementError(
                "the voltage does not tell which sign of current discharges",
                where=table.path,
                remedy='Write current_sign = "discharge positive" or "charge positive" in the mapping file',
            )
        stated = "discharges" if sign > 0 else "charges"
        assumptions = (*assumptions, f"positive current {stated} the cell in this file: its voltage says so")
    return (columns if sign > 0 else replace(columns, current=-columns.current)), assumptions


def _quantity(table: TextTable, quantity: str, rule: ColumnRule) -> Array:
    if rule.unit in TIME_TEXTS:
        return _times(table.texts(rule.column), rule, table)
    numbers = table.numbers(rule.column)
    if quantity == "time" and np.isnan(numbers).mean() > 0.5:
        return _times(table.texts(rule.column), rule, table)
    scale, offset = unit_conversion(rule.unit, QUANTITIES[quantity])
    return scale * numbers + offset


def _times(texts: Sequence[str], rule: ColumnRule, table: TextTable) -> Array:
    """Return times written as hours, minutes and seconds, or as dates [s]."""
    form = recognise_times(texts[:200], decimal_comma=table.decimal == ",")
    if form is None:
        raise MeasurementError(
            f"times such as {texts[0]!r} in column {rule.column!r} are neither numbers, hh:mm:ss nor ISO dates",
            where=f"{table.path}:{table.first_line}",
            remedy="Name another column, or export the time in seconds",
        )
    read = time_reader(form, unit=1.0, decimal_comma=table.decimal == ",")
    times = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        try:
            times[row] = read(text)
        except (ValueError, OverflowError):
            continue
    return times


def _read_table(file: Path, mapping: TableMapping | None) -> TextTable:
    suffix = file.suffix.casefold()
    if suffix == ".xlsx":
        return read_sheet(file, mapping.sheet if mapping else 1)
    if suffix == ".parquet":
        return _read_parquet(file)
    if mapping is None:
        return read_text_table(file, content=_unpacked(file))
    return read_text_table(
        file,
        delimiter=mapping.delimiter,
        decimal=mapping.decimal,
        skip_rows=mapping.skip_rows,
        header=mapping.header,
        encoding=mapping.encoding,
        content=_unpacked(file),
    )


def _unpacked(file: Path) -> bytes:
    content = read_bytes(file)
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise MeasurementError(f"is no whole gzip file ({error})", where=str(file), remedy="Copy it again") from None


def _read_parquet(file: Path) -> TextTable:
    from pyarrow import ArrowException, parquet

    content = read_bytes(file)
    try:
        held = parquet.read_table(io.BytesIO(content))
    except (ArrowException, OSError) as error:
        raise MeasurementError(f"is no Parquet file ({error})", where=str(file), remedy="Copy it again") from None
    columns = [
        ["" if value is None else str(value) for value in held.column(name).to_pylist()] for name in held.column_names
    ]
    return TextTable(
        path=str(file),
        sha256=hashlib.sha256(content).hexdigest(),
        names=tuple(held.column_names),
        rows=tuple(list(row) for row in zip(*columns, strict=True)),
        first_line=1,
    )
