"""Cycles of measured cells: sixteen charging features and the capacity, one row a cycle."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, CelltwinError, freeze

from .features import FEATURE_NAMES

__all__ = ["CellCycles", "CycleDataError", "CycleSet", "load_cycles"]

CAPACITY_COLUMN = "capacity"
REMEDY = (
    "Obtain the folder 'data/XJTU data' of the repository wang-fujin/PINN4SOH (Wang et al., Nature Communications "
    "15, 4332, 2024), or give a folder of CSV files with the same columns"
)


class CycleDataError(CelltwinError):
    """A set of cycles is missing, or is not one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CellCycles:
    """All cycles of one cell, in order.

    Attributes
    ----------
    name : str
        Name of the cell: its file without the suffix.
    protocol : str
        How it was cycled: the part of the name before ``_battery``, else the name of the file's folder.
    number : str
        Its number within the protocol, as text: what follows ``_battery-``, else the digits that the name ends in.
    features : ndarray of shape (n_cycles, 16)
        Columns as :data:`FEATURE_NAMES`; may hold infinities as published.
    soh : ndarray of shape (n_cycles,)
        Capacity as a fraction of nominal capacity.
    """

    name: str
    protocol: str
    number: str
    features: Array
    soh: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleSet:
    """Cells of one data set.

    Attributes
    ----------
    cells : tuple of CellCycles
        In order of their names.
    nominal_capacity : float
        What SOH is a fraction of [A.h].
    digest : str
        SHA-256 of the names and contents of the files.
    """

    cells: tuple[CellCycles, ...]
    nominal_capacity: float
    digest: str

    @property
    def protocols(self) -> tuple[str, ...]:
        """Protocols in order of their names."""
        return tuple(sorted({cell.protocol for cell in self.cells}))

    def select(self, names: tuple[str, ...]) -> tuple[CellCycles, ...]:
        """Return the cells of these names, in the order of the set."""
        chosen = set(names)
        return tuple(cell for cell in self.cells if cell.name in chosen)


def load_cycles(folder: str | Path, *, nominal_capacity: float = 2.0) -> CycleSet:
    """Read every CSV file of a folder and of the folders in it as one cell each.

    Rows without a finite positive capacity have no label and are left out; a feature that is not finite stays as
    it is, since what to put in its place is learnt from training cells only.

    Parameters
    ----------
    folder : path
        Files with the sixteen features and ``capacity`` [A.h]. From the name ``<protocol>_battery-<number>.csv``
        come protocol and number; of any other name the protocol is the folder that the file lies in.
    nominal_capacity : float
        Nominal capacity of the cells [A.h].

    Raises
    ------
    CycleDataError
        If there are no such files, two of them have one name, a column is missing or a value is not a number.
    """
    folder = Path(folder).resolve()
    files = sorted(folder.rglob("*.csv"), key=lambda file: (file.name, file))
    if not files:
        raise CycleDataError("no cycles found (*.csv)", where=str(folder), remedy=REMEDY)
    for first, second in pairwise(files):
        if first.name == second.name:
            raise CycleDataError(
                f"{first.relative_to(folder)} and {second.relative_to(folder)} name the same cell",
                where=str(folder),
                remedy="Give every cell a file name of its own, or name one of the folders in it",
            )
    digest = hashlib.sha256()
    cells = []
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
        cells.append(_read_cell(file, content, nominal_capacity))
    return CycleSet(cells=tuple(cells), nominal_capacity=nominal_capacity, digest=digest.hexdigest())


def stack_cells(cells: tuple[CellCycles, ...], columns: NDArray[np.intp]) -> tuple[Array, Array, NDArray[np.str_]]:
    """Return chosen features (n_rows, n_columns), SOH (n_rows,) and name of the cell (n_rows,) of all cycles."""
    names = np.concatenate([np.full(cell.soh.size, cell.name) for cell in cells])
    features = np.concatenate([cell.features[:, columns] for cell in cells])
    return features, np.concatenate([cell.soh for cell in cells]), names


def read_columns(file: Path, content: bytes, names: tuple[str, ...]) -> Array:
    """Return the named columns of a CSV file, shape (n_rows, n_columns); an empty field is NaN.

    Raises
    ------
    CycleDataError
        If it is not text, a column is missing or a value is not a number.
    """
    try:
        rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise CycleDataError(f"not a text file ({error.reason})", where=str(file), remedy=REMEDY) from None
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in names if name not in header]
    if missing:
        raise CycleDataError(f"column {missing[0]!r} is missing", where=str(file), remedy=REMEDY)
    order = [header.index(name) for name in names]
    values = np.empty((len(rows) - 1, len(order)))
    for line, row in enumerate(rows[1:]):
        try:
            values[line] = [float(row[column] or "nan") for column in order]
        except (ValueError, IndexError) as error:
            raise CycleDataError(
                f"not a row of numbers ({error})", where=f"{file}:{line + 2}", remedy="Remove or repair the row"
            ) from None
    return values


def _read_cell(file: Path, content: bytes, nominal_capacity: float) -> CellCycles:
    values = read_columns(file, content, (*FEATURE_NAMES, CAPACITY_COLUMN))
    labelled = np.isfinite(values[:, -1]) & (values[:, -1] > 0.0)
    if not labelled.any():
        raise CycleDataError("no cycle has a capacity", where=str(file), remedy=REMEDY)
    protocol, named, number = file.stem.partition("_battery-")
    if not named:
        protocol, number = file.parent.name, file.stem[len(file.stem.rstrip("0123456789")) :]
    return CellCycles(
        name=file.stem,
        protocol=protocol,
        number=number,
        features=freeze(values[labelled, :-1]),
        soh=freeze(values[labelled, -1] / nominal_capacity),
    )
