"""How a history lies on disk: data sets, columns, units."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Channel, Level, PackSpec, expand_channels, find_quantity

__all__ = ["DESCRIPTION_FILE", "FORMAT", "MeasuredColumns", "describe_history", "measured_columns"]

FORMAT = "celltwin history 1"
DESCRIPTION_FILE = "history.json"


@dataclass(frozen=True, eq=False)
class MeasuredColumns:
    """Columns of the accepted samples of one level.

    Cells are many: each of their columns holds a list of all cells in pack order. Of the other levels, each element
    has a column of its own.

    Attributes
    ----------
    level : Level
        The level.
    names : tuple of str
        Columns, such as ``"voltage.M01.G03"``, or ``"temperature"`` for lists.
    units : tuple of str
        Unit of each.
    quantities : tuple of str
        Quantity of each.
    position : ndarray of int, shape (n_channels,)
        Place of each channel of the pack among the values of this level; -1 for other levels.
    size : int
        Values in one column: 1, or the number of cells for lists.
    """

    level: Level
    names: tuple[str, ...]
    units: tuple[str, ...]
    quantities: tuple[str, ...]
    position: NDArray[np.int64]
    size: int


def measured_columns(spec: PackSpec, channels: Sequence[Channel]) -> tuple[MeasuredColumns, ...]:
    """Return the columns of every level that has sensors.

    A second sensor of the same quantity on the same element has its id in the column's name.
    """
    found = []
    for level in Level:
        names: list[str] = []
        quantities: list[str] = []
        position = np.full(len(channels), -1, dtype=np.int64)
        ids = spec.element_ids(level)
        size = spec.size(level) if level is Level.CELL else 1
        places: dict[tuple[str, str], int] = {}
        first_mapping: dict[tuple[str, int], str] = {}
        for index, channel in enumerate(channels):
            if channel.level is not level:
                continue
            first = first_mapping.setdefault((channel.quantity, channel.element), channel.mapping)
            name = (
                channel.quantity if level in (Level.CELL, Level.PACK) else f"{channel.quantity}.{ids[channel.element]}"
            )
            name = name if first == channel.mapping else f"{name}.{channel.mapping}"
            place = places.setdefault((name, channel.quantity), len(places))
            if place == len(names):
                names.append(name)
                quantities.append(channel.quantity)
            position[index] = place * size + (channel.element if level is Level.CELL else 0)
        if names:
            found.append(
                MeasuredColumns(
                    level=level,
                    names=tuple(names),
                    units=tuple(find_quantity(key).unit for key in quantities),
                    quantities=tuple(quantities),
                    position=position,
                    size=size,
                )
            )
    return tuple(found)


def describe_history(spec: PackSpec) -> str:
    """Return the JSON text that lies beside the data sets: what is in them, in which order and unit."""
    channels = [channel for channel in expand_channels(spec) if channel.direction == "in"]
    return json.dumps(
        {
            "format": FORMAT,
            "pack": spec.name,
            "conventions": "SI units; current positive on discharge; elements in pack order; time in seconds",
            "elements": {level.value: spec.element_ids(level) for level in Level},
            "data_sets": {
                "measured/<level>": "accepted samples at full rate: time and a column for each sensor",
                "states": "process images: one row for each reading of each step, elements as lists in pack order",
                "quarantine": "samples that were not accepted, in the unit of the source, with the reason",
            },
            "measured": {
                columns.level.value: dict(zip(columns.names, columns.units, strict=True))
                for columns in measured_columns(spec, channels)
            },
            "read": "pandas.read_parquet('states'), or celltwin.telemetry.read_history('.')",
        },
        indent=1,
    )
