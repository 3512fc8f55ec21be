"""Read a recorded history back as arrays."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, Flags, Kind, Level, ReadingKey, RecordingError, find_quantity

from .history_layout import DESCRIPTION_FILE

__all__ = ["History", "ReadingHistory", "read_history"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadingHistory:
    """One reading through all recorded steps.

    Attributes
    ----------
    time : ndarray of shape (n_steps,)
        Time of each step [s].
    values : ndarray of shape (n_steps, n)
        Values [SI].
    quality : ndarray of uint8, shape (n_steps, n)
        Quality of each value.
    standard_uncertainty : ndarray of shape (n_steps, n)
        Standard uncertainty [SI].
    age : ndarray of shape (n_steps, n)
        How long before the step each value was true [s].
    provenance, reasons : tuple of str
        One text a step.
    """

    time: Array
    values: Array
    quality: Flags
    standard_uncertainty: Array
    age: Array
    provenance: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class History:
    """A recorded run.

    Attributes
    ----------
    folder : Path
        Where it lies.
    pack : str
        Name of the pack.
    element_ids : dict of Level to tuple of str
        Ids in pack order.
    damaged : list of str
        Parts that cannot be read; they are left out.
    """

    folder: Path
    pack: str
    element_ids: dict[Level, tuple[str, ...]]
    damaged: list[str] = field(default_factory=list)

    def keys(self) -> tuple[ReadingKey, ...]:
        """Return the readings of the process images, in order of their first appearance."""
        table = self._read("states", ["kind", "quantity", "level"])
        if table is None:
            return ()
        rows = zip(*(table.column(name).to_pylist() for name in ("kind", "quantity", "level")), strict=True)
        return tuple((Kind(kind), quantity, Level(level)) for kind, quantity, level in dict.fromkeys(rows))

    def reading(self, kind: Kind, quantity: str, level: Level) -> ReadingHistory:
        """Return one reading through all steps; empty arrays where it was never recorded."""
        find_quantity(quantity)
        columns = ["time", "values", "quality", "standard_uncertainty", "age", "provenance", "reason"]
        table = self._read(
            "states", columns, [("kind", "==", kind.value), ("quantity", "==", quantity), ("level", "==", level.value)]
        )
        size = len(self.element_ids[level])
        if table is None:
            return ReadingHistory(
                time=np.empty(0),
                values=np.empty((0, size)),
                quality=np.empty((0, size), dtype=np.uint8),
                standard_uncertainty=np.empty((0, size)),
                age=np.empty((0, size)),
                provenance=(),
                reasons=(),
            )
        lists: dict[str, Any] = {
            name: table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
            for name in ("values", "quality", "standard_uncertainty", "age")
        }
        return ReadingHistory(
            time=table.column("time").to_numpy(),
            values=lists["values"].astype(np.float64),
            quality=lists["quality"],
            standard_uncertainty=lists["standard_uncertainty"].astype(np.float64),
            age=lists["age"].astype(np.float64),
            provenance=tuple(table.column("provenance").to_pylist()),
            reasons=tuple(table.column("reason").to_pylist()),
        )

    def measured(self, quantity: str, level: Level) -> tuple[Array, Array]:
        """Return the accepted samples of one quantity at full rate.

        Returns
        -------
        time : ndarray of shape (n_samples,)
            Time of each row [s].
        values : ndarray of shape (n_samples, n)
            Values [SI], elements in pack order; NaN where an element sent none.
        """
        find_quantity(quantity)
        ids = self.element_ids[level]
        table = self._read(f"measured/{level.value}")
        if table is None:
            return np.empty(0), np.empty((0, len(ids)))
        time = table.column("time").to_numpy()
        values = np.full((time.size, len(ids)), np.nan)
        if level is Level.CELL and quantity in table.column_names:
            values = table.column(quantity).combine_chunks().flatten().to_numpy().reshape(-1, len(ids)).copy()
        for index, element in enumerate(ids):
            name = quantity if level is Level.PACK else f"{quantity}.{element}"
            if level is not Level.CELL and name in table.column_names:
                values[:, index] = table.column(name).to_numpy()
        some = ~np.isnan(values).all(axis=1)
        return time[some], values[some]

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the quarantined samples, one dictionary each."""
        table = self._read("quarantine")
        return [] if table is None else list(table.to_pylist())

    def _read(
        self, data_set: str, columns: list[str] | None = None, filters: list[tuple[str, str, str]] | None = None
    ) -> Any:
        """Return the rows of a data set, in the order of recording; None if there are none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = []
        for path in sorted((self.folder / data_set).glob("part-*.parquet")):
            try:
                tables.append(pq.read_table(path, columns=columns, filters=filters, partitioning=None))
            except (pa.ArrowException, OSError) as error:
                name = str(path.relative_to(self.folder))
                if name not in self.damaged:
                    self.damaged.append(name)
                    _logger.warning("%s cannot be read and is left out (%s)", path, str(error).splitlines()[0])
        table = pa.concat_tables(tables) if tables else None
        return table if table is not None and table.num_rows else None


def read_history(folder: Path | str) -> History:
    """Open a recorded history.

    Raises
    ------
    RecordingError
        If the folder holds none.
    """
    folder = Path(folder)
    description = folder / DESCRIPTION_FILE
    try:
        found = json.loads(description.read_text(encoding="utf-8"))
        ids = {Level(level): tuple(names) for level, names in found["elements"].items()}
        return History(folder, str(found["pack"]), ids)
    except FileNotFoundError:
        raise RecordingError(
            "holds no history", where=str(folder), remedy=f"Name the folder in which {DESCRIPTION_FILE} lies"
        ) from None
    except (OSError, UnicodeDecodeError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise RecordingError(
            f"cannot be read ({error})", where=str(description), remedy="Copy it from another history of the same pack"
        ) from None
