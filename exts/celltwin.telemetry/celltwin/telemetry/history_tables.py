"""Arrow tables of a history, built from accepted samples and process images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from celltwin.core import Level, PackState

from .history_layout import MeasuredColumns
from .samples import AcceptedBlock, QuarantinedSamples

__all__ = ["measured_table", "quarantine_table", "state_table"]


def measured_table(blocks: Iterable[AcceptedBlock], columns: MeasuredColumns) -> Any:
    """Return the accepted samples of one level, one row a time; None if there are none."""
    import pyarrow as pa

    parts = []
    for block in blocks:
        position = columns.position[block.channels]
        of_level = position >= 0
        if not of_level.any():
            continue
        values = block.values[:, of_level]
        some = ~np.isnan(values).all(axis=1)
        if some.any():
            parts.append((block.time[some], position[of_level], values[some]))
    if not parts:
        return None
    time = np.unique(np.concatenate([stated for stated, _, _ in parts]))
    dense = np.full((time.size, len(columns.names) * columns.size), np.nan)
    for stated, position, values in parts:
        place = np.ix_(np.searchsorted(time, stated), position)
        dense[place] = np.where(np.isnan(values), dense[place], values)
    metadata = {"celltwin": "accepted samples, SI units, current positive on discharge"}
    fields = [pa.field("time", pa.float64(), metadata={"unit": "s"})]
    arrays = [pa.array(time)]
    for index, (name, unit) in enumerate(zip(columns.names, columns.units, strict=True)):
        if columns.level is not Level.CELL:
            column = dense[:, index]
            arrays.append(pa.array(column, mask=np.isnan(column)))
        else:
            flat = np.ascontiguousarray(dense[:, index * columns.size : (index + 1) * columns.size]).reshape(-1)
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), columns.size))
        fields.append(pa.field(name, arrays[-1].type, metadata={"unit": unit}))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def state_table(states: Sequence[PackState]) -> Any:
    """Return process images, one row for each reading of each; None if there are none.

    Values are kept in single precision; ``age`` is how long before the step each value was true.
    """
    import pyarrow as pa

    rows = [(state, reading) for state in states for reading in state.readings.values()]
    if not rows:
        return None
    sizes = np.array([reading.values.size for _, reading in rows])
    offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32))

    def lists(parts: list[Any], kind: Any) -> Any:
        return pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(parts).astype(kind)))

    columns = {
        "time": (pa.array(np.array([state.time for state, _ in rows], dtype=np.float64)), "s"),
        "step": (pa.array(np.array([state.step for state, _ in rows], dtype=np.int64)), "1"),
        "kind": (pa.array([reading.kind.value for _, reading in rows]), ""),
        "quantity": (pa.array([reading.quantity for _, reading in rows]), ""),
        "level": (pa.array([reading.level.value for _, reading in rows]), ""),
        "values": (lists([reading.values for _, reading in rows], np.float32), "SI unit of the quantity"),
        "quality": (lists([reading.quality for _, reading in rows], np.uint8), "0 good, 1 stale, 2 suspect, 3 bad"),
        "standard_uncertainty": (
            lists([reading.standard_uncertainty for _, reading in rows], np.float32),
            "SI unit of the quantity",
        ),
        "age": (lists([state.time - reading.time for state, reading in rows], np.float32), "s"),
        "provenance": (pa.array([reading.provenance for _, reading in rows]), ""),
        "reason": (pa.array([reading.reason for _, reading in rows]), ""),
    }
    metadata = {"celltwin": "process images, SI units, current positive on discharge, elements in pack order"}
    schema = pa.schema(
        [pa.field(name, array.type, metadata={"unit": unit}) for name, (array, unit) in columns.items()],
        metadata=metadata,
    )
    return pa.Table.from_arrays([array for array, _ in columns.values()], schema=schema)


def quarantine_table(samples: Sequence[QuarantinedSamples]) -> Any:
    """Return quarantined samples, one row each; None if there are none."""
    import pyarrow as pa

    if not samples:
        return None
    time = np.concatenate([part.time for part in samples])
    values = np.concatenate([part.values for part in samples])
    return pa.table(
        {
            "time": pa.array(time, mask=np.isnan(time)),
            "reason": pa.array([part.reason.value for part in samples for _ in range(part.count)]),
            "channel": pa.array([channel or "whole row" for part in samples for channel in part.channels]),
            "value": pa.array(values, mask=np.isnan(values)),
            "text": pa.array([text for part in samples for text in part.texts], pa.string()),
            "origin": pa.array([origin for part in samples for origin in part.origins], pa.string()),
        }
    ).replace_schema_metadata({"celltwin": "samples not accepted, values as sent, in the unit of the source"})
