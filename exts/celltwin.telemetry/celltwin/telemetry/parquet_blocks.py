"""Turn a Parquet file into sample blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SampleBlock, SampleFault, TelemetryError, recognise_times, time_reader

from .channel_matching import ChannelMatch
from .csv_blocks import SHOWN_TEXT, ChannelNames, read_number, shown_text
from .csv_form import LongColumns, find_long_columns
from .pivot import pivot
from .reasons import Reason
from .time_columns import TimeColumn, find_time_column, unit_of_numbers

__all__ = ["ParquetForm", "first_names", "open_parquet", "read_long_parquet", "read_wide_parquet"]

CELLS_A_BATCH = 60_000


@dataclass(frozen=True)
class ParquetForm:
    """How a Parquet file is laid out.

    Attributes
    ----------
    names : tuple of str
        Names of the columns; empty for columns of lists and other nested values.
    time : TimeColumn
        The column that tells the time.
    long : LongColumns or None
        Where it is a long table.
    read_time : callable
        Takes an Arrow array of times to seconds, with faults for what is none.
    last : float or None
        Last time in the file [s], where it can be told without reading all.
    """

    names: tuple[str, ...]
    time: TimeColumn
    long: LongColumns | None
    read_time: Callable[[Any], Array]
    last: float | None


def open_parquet(path: Path, *, time_column: str | None = None) -> tuple[Any, ParquetForm]:
    """Open a Parquet file and return it with its layout.

    Raises
    ------
    TelemetryError
        If it is damaged, has no rows or no time column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = str(path)
    try:
        file = pq.ParquetFile(path, memory_map=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    if file.metadata.num_rows == 0:
        raise TelemetryError("holds no rows", where=where, remedy="Check the program that wrote it")
    schema = file.schema_arrow
    columns = [str(name) for name in schema.names]
    found = find_time_column(columns, where=where, wanted=time_column)
    if found is None:
        shown = ", ".join(repr(name) for name in columns[:12]) + (", ..." if len(columns) > 12 else "")
        what = "has no time column" if time_column is None else f"has no column {time_column!r}"
        raise TelemetryError(
            f"{what}; its columns are {shown}",
            where=where,
            remedy="Name the time column time_s, time, timestamp or Total Time",
        )
    names = tuple("" if pa.types.is_nested(field.type) else name for name, field in zip(columns, schema, strict=True))
    try:
        first = next(file.iter_batches(batch_size=64, columns=[columns[found.index]])).column(0)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    read_time = _time_reader(first, found, where)
    last = None
    group = file.metadata.num_row_groups - 1
    try:
        last_times = read_time(file.read_row_group(group, columns=[columns[found.index]]).column(0).combine_chunks())
        finite = last_times[np.isfinite(last_times)]
        last = float(finite[-1]) if finite.size else None
    except (pa.ArrowException, OSError):
        last = None
    return file, ParquetForm(names, found, find_long_columns(names), read_time, last)


def first_names(file: Any, path: Path, long: LongColumns) -> list[str]:
    """Return the channels in the first rows of a long Parquet file.

    Raises
    ------
    TelemetryError
        If these rows are damaged.
    """
    import pyarrow as pa

    column = file.schema_arrow.names[long.channel]
    try:
        found = next(file.iter_batches(batch_size=200_000, columns=[column])).column(0).unique().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    return [str(name).strip() for name in found if name is not None]


def _damaged(path: Path, error: Exception) -> TelemetryError:
    return TelemetryError(
        f"is a damaged or unfinished Parquet file ({str(error).splitlines()[0][:120]})",
        where=str(path),
        remedy="Copy it again, or let the program that wrote it finish",
    )


def _time_reader(first: Any, column: TimeColumn, where: str) -> Callable[[Any], Array]:
    import pyarrow as pa

    kind = first.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_date(kind):
        return _read_timestamps
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = _numbers(first)
        finite = numbers[np.isfinite(numbers)]
        unit = unit_of_numbers(float(finite[0]) if finite.size else math.nan, column)
        return lambda array: _numbers(array) * unit
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        texts = [text for text in first.to_pylist() if isinstance(text, str)]
        form = recognise_times(texts, decimal_comma=False) if texts else None
        if form is not None:
            read = time_reader(form, unit=column.unit or 1.0, decimal_comma=False)
            return lambda array: np.array([_or_nan(read, text) for text in array.to_pylist()])
    raise TelemetryError(
        f"column {column.name!r} of type {kind} is no time",
        where=where,
        remedy="Write times as numbers of seconds, time stamps or ISO dates",
    )


def _or_nan(read: Callable[[str], float], text: str | None) -> float:
    try:
        return math.nan if text is None else read(text)
    except (ValueError, OverflowError):
        return math.nan


def _read_timestamps(array: Any) -> Array:
    import pyarrow as pa

    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("ms"))
    kind = array.type
    scale = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[kind.unit]
    return _numbers(array.cast(pa.int64())) * scale


def _numbers(array: Any) -> Array:
    import pyarrow as pa

    values: Array = np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    return values


def _values(array: Any, channel: str, name: str, first_row: int, faults: list[SampleFault]) -> tuple[Array, Any]:
    """Return numbers and where there is one; texts that are no numbers become faults."""
    import pyarrow as pa

    present = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numbers(array), present
    if pa.types.is_boolean(kind):
        return _numbers(array.cast(pa.uint8())), present
    values = np.full(len(array), np.nan)
    for row, item in enumerate(array.to_pylist()):
        text = "" if item is None else str(item).strip()
        if not text:
            present[row] = False
            continue
        try:
            values[row] = read_number(text)
        except ValueError:
            faults.append(
                SampleFault(
                    reason=Reason.MALFORMED_VALUE,
                    origin=f"{name}:{first_row + row + 1}",
                    text=shown_text(text),
                    row=row,
                    channel=channel,
                )
            )
    return values, present


def read_wide_parquet(file: Any, path: Path, form: ParquetForm, match: ChannelMatch) -> Iterator[SampleBlock]:
    """Yield the rows of a wide table: one column a channel. Times are as stated [s]; rows count from 1."""
    wanted = [form.time.index, *match.columns]
    columns = [file.schema_arrow.names[index] for index in wanted]
    size = max(64, CELLS_A_BATCH // len(columns))
    for first_row, batch in _batches(file, path, columns, size):
        if isinstance(batch, SampleFault):
            yield _fault_block(batch)
            return
        faults: list[SampleFault] = []
        times = form.read_time(batch.column(columns[0]))
        values = np.empty((batch.num_rows, len(match.columns)))
        present = np.empty(values.shape, dtype=np.bool_)
        for column, channel in enumerate(match.names):
            values[:, column], present[:, column] = _values(
                batch.column(columns[column + 1]), channel, path.name, first_row, faults
            )
        for array in (times, values, present):
            array.flags.writeable = False  # spares a copy
        yield SampleBlock(
            channels=match.names,
            time=times,
            values=values,
            present=present,
            origin=_origins(path.name, first_row, batch.num_rows),
            faults=tuple(faults),
        )


def read_long_parquet(file: Any, path: Path, form: ParquetForm, channels: ChannelNames) -> Iterator[SampleBlock]:
    """Yield the rows of a long table: one value a row. Times are as stated [s]; rows count from 1."""
    if form.long is None:
        raise ValueError("the table is wide")
    names = file.schema_arrow.names
    columns = [names[form.time.index], names[form.long.channel], names[form.long.value]]
    for first_row, batch in _batches(file, path, columns, CELLS_A_BATCH // 8):
        if isinstance(batch, SampleFault):
            yield _fault_block(batch)
            return
        faults: list[SampleFault] = []
        times = form.read_time(batch.column(columns[0]))
        numbers = _channel_numbers(batch.column(columns[1]), channels)
        values, present = _values(batch.column(columns[2]), "", path.name, first_row, faults)
        kept = np.flatnonzero(numbers >= 0)
        place = {int(row): index for index, row in enumerate(kept)}
        faults = [
            SampleFault(
                reason=fault.reason,
                origin=fault.origin,
                text=fault.text,
                row=place[fault.row],
                channel=channels.names[numbers[fault.row]],
            )
            for fault in faults
            if fault.row in place
        ]
        origins = _origins(path.name, first_row, batch.num_rows)
        yield from pivot(
            channels.names,
            times[kept],
            numbers[kept],
            values[kept],
            present[kept],
            [origins[row] for row in kept],
            faults,
        )


def _channel_numbers(array: Any, channels: ChannelNames) -> NDArray[np.int64]:
    import pyarrow as pa

    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    numbers = np.array([channels.number(str(name).strip()) for name in encoded.dictionary.to_pylist()] + [-1])
    indices = encoded.indices.fill_null(numbers.size - 1).to_numpy(zero_copy_only=False)
    chosen: NDArray[np.int64] = numbers[indices.astype(np.int64)]
    return chosen


def _origins(name: str, first_row: int, count: int) -> tuple[str, ...]:
    return tuple([f"{name}:{row}" for row in range(first_row + 1, first_row + count + 1)])


def _fault_block(fault: SampleFault) -> SampleBlock:
    return SampleBlock(
        channels=(),
        time=np.empty(0),
        values=np.empty((0, 0)),
        present=np.empty((0, 0), dtype=np.bool_),
        origin=(),
        faults=(fault,),
    )


def _batches(file: Any, path: Path, columns: Sequence[str], size: int) -> Iterator[tuple[int, Any]]:
    """Yield batches with the number of rows before each, decoding the next one in a thread meanwhile."""
    import pyarrow as pa

    batches = file.iter_batches(batch_size=size, columns=list(columns))
    row = 0
    with file, ThreadPoolExecutor(max_workers=1, thread_name_prefix="celltwin-parquet") as thread:
        ahead = thread.submit(next, batches, None)
        while True:
            try:
                batch = ahead.result()
            except (pa.ArrowException, OSError) as error:
                yield (
                    row,
                    SampleFault(
                        reason=Reason.UNREADABLE,
                        origin=f"{path.name}:{row + 1}",
                        text=f"{file.metadata.num_rows - row} rows: {str(error).splitlines()[0][:SHOWN_TEXT]}",
                    ),
                )
                return
            if batch is None:
                return
            ahead = thread.submit(next, batches, None)
            yield row, batch
            row += batch.num_rows
