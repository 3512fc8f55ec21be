"""Capacities of many cells over their cycles, and how they spread: what a pack of such cells is drawn from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celltwin.core import Array, freeze

from .curve import CurveSource, MeasurementError
from .readers_text import read_text_table

__all__ = ["CapacitySpread", "CellCapacities", "capacity_spread", "read_capacities"]

_COLUMNS = ("capacity", "discharge capacity", "capacity_ah", "qdischarge")
_NAME = re.compile(r"^(?P<group>.+?)_battery-(?P<number>\d+)$")
_OUTLIER = 0.2  # of the cell's median: no cycle changes the capacity by so much and back

NO_CAPACITY = "capacity is not a positive number"
OUTLYING = "capacity leaps from that of its neighbours and back"


@dataclass(frozen=True, kw_only=True, eq=False)
class CellCapacities:
    """The capacity of one cell, cycle by cycle.

    Attributes
    ----------
    name : str
        Of the cell: its file without the suffix.
    group : str
        Cells that were treated alike, such as ``"2C"``: the part of the name before ``_battery``; else the folder.
    cycle : ndarray of int of shape (n,)
        Number of the row in the file, from 1; rows without a capacity are left out.
    capacity : ndarray of shape (n,)
        [A.h].
    source : CurveSource
        Where it comes from.
    """

    name: str
    group: str
    cycle: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    capacity: Array
    source: CurveSource

    def initial(self, cycles: int = 5) -> float:
        """Return the median capacity of the first cycles [A.h]."""
        return float(np.median(self.capacity[:cycles]))


@dataclass(frozen=True, kw_only=True, eq=False)
class CapacitySpread:
    """How capacity differs between cells, as fresh.

    Attributes
    ----------
    names : tuple of str
        Cells.
    capacity : ndarray of shape (n_cells,)
        Of each cell's first cycles [A.h].
    mean : float
        [A.h].
    deviation : float
        Sample standard deviation over the mean, or of the ratios to the means of groups [-].
    deviation_uncertainty : float
        Standard uncertainty of ``deviation``, from the number of cells [-].
    """

    names: tuple[str, ...]
    capacity: Array
    mean: float
    deviation: float
    deviation_uncertainty: float


def read_capacities(path: str | Path | Sequence[str | Path]) -> tuple[CellCapacities, ...]:
    """Read capacity per cell and cycle from tables with a column ``capacity``, one file a cell, one row a cycle.

    XJTU's and MIT's feature tables (PINN4SOH) are such files. Their sixteen charging features are the matter of
    ``celltwin.prognosis.load_cycles``; here only the capacity counts.

    Parameters
    ----------
    path : path or sequence of paths
        Files, or a folder whose CSV files are all read.

    Raises
    ------
    MeasurementError
        If there is no file, or one has no column or no row of capacities.
    """
    files: list[Path] = []
    for item in [path] if isinstance(path, str | Path) else path:
        files += sorted(Path(item).rglob("*.csv")) if Path(item).is_dir() else [Path(item)]
    if not files:
        raise MeasurementError("holds no CSV file", where=str(path), remedy="Give a folder with one file a cell")
    return tuple(map(_read_cell, files))


def capacity_spread(cells: Sequence[CellCapacities], *, cycles: int = 5, within_groups: bool = False) -> CapacitySpread:
    """Return how the capacity of fresh cells differs.

    Parameters
    ----------
    cells : sequence of CellCapacities
        At least two.
    cycles : int
        First cycles of which the median is a cell's capacity.
    within_groups : bool
        Whether cells are compared with the mean of their own group alone: batches, and ways to measure a capacity,
        differ in their means.

    Raises
    ------
    MeasurementError
        If there are fewer than two cells, or with ``within_groups`` no group of two.
    """
    if len(cells) < 2:
        raise MeasurementError(f"{len(cells)} cells have no spread", remedy="Give the capacities of several cells")
    initial = np.array([cell.initial(cycles) for cell in cells])
    groups = [cell.group if within_groups else "" for cell in cells]
    relative = initial / np.array([initial[[name == own for name in groups]].mean() for own in groups])
    freedom = len(cells) - len(set(groups))
    if freedom < 1:
        raise MeasurementError("each cell is a group of its own", remedy="Give several cells of one group")
    deviation = float(np.sqrt(np.sum(np.square(relative - 1.0)) / freedom))
    return CapacitySpread(
        names=tuple(cell.name for cell in cells),
        capacity=freeze(initial),
        mean=float(np.mean(initial)),
        deviation=deviation,
        deviation_uncertainty=deviation / float(np.sqrt(2.0 * freedom)),
    )


def _read_cell(file: Path) -> CellCapacities:
    table = read_text_table(file)
    column = next((name for name in table.names if name.strip().casefold() in _COLUMNS), None)
    if column is None:
        raise MeasurementError(
            f"has no column of capacities; its columns are {', '.join(table.names)}",
            where=str(file),
            remedy=f"Name the column {_COLUMNS[0]!r}, in A.h",
        )
    capacity = table.numbers(column)
    known = np.isfinite(capacity) & (capacity > 0.0)
    if not known.any():
        raise MeasurementError("has no row with a capacity", where=str(file), remedy="Check the decimal mark")
    leaping = known & _leaping(np.where(known, capacity, np.nan))
    kept = known & ~leaping
    left_out = {NO_CAPACITY: int(np.count_nonzero(~known)), OUTLYING: int(np.count_nonzero(leaping))}
    match = _NAME.match(file.stem)
    return CellCapacities(
        name=file.stem,
        group=match["group"] if match else file.parent.name,
        cycle=freeze(np.flatnonzero(kept) + 1),
        capacity=freeze(capacity[kept]),
        source=CurveSource(
            path=str(file),
            sha256=table.sha256,
            rows=capacity.size,
            left_out={reason: count for reason, count in left_out.items() if count},
        ),
    )


def _leaping(capacity: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return the rows that differ from the median of the five around them by more than a share of it."""
    if capacity.size < 5:
        return np.zeros(capacity.size, dtype=np.bool_)
    padded = np.pad(capacity, 2, mode="edge")
    around = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    return np.abs(capacity - around) > _OUTLIER * around
