"""Past charges from files: what an earlier run of a pack has recorded, and histories of its cells as CSV."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Level, PackSpec, RecordingError, SettingsError

from .charge_history import LONGEST_PAST, CellPasts, ChargeHistory, Floats
from .cycles import CycleDataError, read_columns
from .features import FEATURE_NAMES
from .past_windows import BEGINNING as MEAN_BEGINNING
from .remaining_life.life_inputs import BEGINNING as MEDIAN_BEGINNING
from .remaining_life.life_inputs import finite_median

__all__ = ["HISTORY_FILE", "NEW_PACK", "open_history", "save_history"]

HISTORY_FILE = "charge_history.npz"
# In place of a path: the pack is new, its first charge is yet to come.
NEW_PACK = "new"
FORMAT = 1
NUMBER_COLUMN = "cycle"
REMEDY = "Name the folder of a run of this pack, a folder of CSV histories of its cells, or 'new' for a new pack"


def open_history(spec: PackSpec, past: str = "") -> ChargeHistory:
    """Return the past charges of a pack.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    past : str
        ``"new"`` for a pack whose first charge is yet to come; the folder of an earlier run of the same pack, or its
        ``charge_history.npz``; a folder of CSV histories; empty where the past is unknown.

        A CSV history holds the sixteen features, one row a charge in order, and may hold ``cycle``, the number of
        each charge; without it the first row is the first charge. Its name is the id of a cell, group or module, or
        the name of the pack: all cells of it then have this past, unless a finer file gives another.

    Raises
    ------
    SettingsError, CycleDataError
        If there is nothing of the kind, or it is of another pack.
    """
    if past in ("", NEW_PACK):
        return ChargeHistory(spec, begun=past == NEW_PACK)
    place = Path(past)
    file = place / HISTORY_FILE if place.is_dir() else place
    if file.is_file():
        return _restore(spec, file)
    if place.is_dir() and any(place.glob("*.csv")):
        return _prime(spec, place)
    raise SettingsError("no past charges found", where=str(place), remedy=REMEDY)


def save_history(pasts: CellPasts, spec: PackSpec, path: Path) -> None:
    """Write what is known of past charges; the file is whole or absent.

    Parameters
    ----------
    pasts : CellPasts
        A look at the history.
    spec : PackSpec
        The pack.
    path : Path
        File to write.

    Raises
    ------
    RecordingError
        If it cannot be written.
    """
    length = max(int(pasts.held.max()), 1)
    newest, seen = pasts.newest(length, np.arange(spec.n_cells))
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            np.savez(
                file,
                format=FORMAT,
                pack=_identity(spec),
                title=spec.name,
                time=pasts.time,
                newest=np.where(seen[:, :, np.newaxis], newest, np.float32(np.nan)),
                held=pasts.held,
                count=pasts.count,
                begun=pasts.begun,
                total=pasts.total,
                number=pasts.number,
                first=pasts.first,
                completed=pasts.completed,
                doubts=pasts.doubts,
                used=pasts.used,
                watched=pasts.watched,
            )
        partial.replace(path)
    except OSError as error:
        raise RecordingError(
            f"the past charges cannot be kept ({error.strerror or error})",
            where=str(path),
            remedy="Free space on the disk, or choose a folder that you may write, with --out",
        ) from None


def _identity(spec: PackSpec) -> str:
    cell = spec.cell
    text = "\0".join((spec.name, cell.chemistry, f"{cell.capacity:g}", *spec.element_ids(Level.CELL)))
    return hashlib.sha256(text.encode()).hexdigest()


def _restore(spec: PackSpec, file: Path) -> ChargeHistory:
    try:
        with file.open("rb") as stream, np.load(stream) as kept:
            found = {name: kept[name] for name in kept.files}
        if int(found["format"]) != FORMAT:
            raise SettingsError(f"format {found['format']} is not {FORMAT}", where=str(file), remedy=REMEDY)
        if str(found["pack"]) != _identity(spec):
            raise SettingsError(
                f"the past charges are those of another pack ({found['title']}), not of {spec.name}",
                where=str(file),
                remedy=REMEDY,
            )
        history = ChargeHistory(spec)
        completed = found["completed"] - np.maximum(float(found["time"]), 0.0)
        newest, held, count = found["newest"], found["held"], found["count"]
        # Cells of equal pasts go together: mostly all of them.
        for key in np.unique(np.stack([held, count, found["begun"]], axis=1), axis=0):
            cells = np.flatnonzero((held == key[0]) & (count == key[1]) & (found["begun"] == key[2]))
            history.set_past(
                cells,
                newest[cells][:, newest.shape[1] - key[0] :],
                int(key[1]),
                begun=bool(key[2]),
                completed=completed[cells],
                **{name: found[name][cells] for name in ("total", "number", "first", "doubts")},
            )
        history.set_use(found["used"], float(found["watched"]))
    except (OSError, EOFError, KeyError, TypeError, ValueError, IndexError, BadZipFile) as error:
        raise SettingsError(
            f"the past charges cannot be read ({type(error).__name__}: {error})", where=str(file), remedy=REMEDY
        ) from None
    return history


def _prime(spec: PackSpec, folder: Path) -> ChargeHistory:
    history = ChargeHistory(spec)
    places = {
        name: (level, element)
        for level in (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK)
        for element, name in enumerate(spec.element_ids(level))
    }
    files = sorted(folder.glob("*.csv"))
    unknown = next((file for file in files if file.stem not in places), None)
    if unknown is not None:
        raise CycleDataError(
            f"pack {spec.name} has no cell, group or module {unknown.stem}",
            where=str(unknown),
            remedy=f"Name a history after what it is of, such as {spec.element_ids(Level.CELL)[0]}.csv",
        )
    order = (Level.PACK, Level.MODULE, Level.GROUP, Level.CELL)
    for file in sorted(files, key=lambda file: order.index(places[file.stem][0])):
        level, element = places[file.stem]
        each = spec.n_cells // spec.size(level)
        _set_past(history, np.arange(element * each, (element + 1) * each), *_read_charges(file))
    return history


def _read_charges(file: Path) -> tuple[Array, int]:
    """Return the features of a history, and the number of its last charge."""
    content = file.read_bytes()
    header = next(csv.reader(content.decode("utf-8-sig", errors="replace").splitlines()), [])
    numbered = NUMBER_COLUMN in (name.strip() for name in header)
    values = read_columns(file, content, (*FEATURE_NAMES, NUMBER_COLUMN) if numbered else FEATURE_NAMES)
    if not len(values):
        raise CycleDataError("the history holds no charge", where=str(file), remedy="Add a row, or remove the file")
    if not numbered:
        return values, len(values)
    numbers = values[:, -1]
    if not (np.all(np.diff(numbers) == 1.0) and numbers[0] >= 1.0):
        raise CycleDataError(
            f"the numbers in column {NUMBER_COLUMN!r} do not count up by one from 1 or more",
            where=str(file),
            remedy="Give every charge from the first known one on a row of its own",
        )
    return values[:, :-1], int(numbers[-1])


def _set_past(history: ChargeHistory, cells: NDArray[np.intp], values: Array, count: int) -> None:
    begun = count == len(values)
    beginning = values[:MEAN_BEGINNING] if begun else values[:0]
    finite = np.isfinite(beginning)
    first = beginning[:MEDIAN_BEGINNING]
    median = finite_median(np.where(np.isfinite(first), first, np.nan)) if begun else np.full(values.shape[1], np.nan)
    newest: Floats = values[-LONGEST_PAST:].astype(np.float32)

    def all_cells[T: np.generic](row: NDArray[T]) -> NDArray[T]:
        return np.broadcast_to(row, (cells.size, *row.shape))

    history.set_past(
        cells,
        all_cells(newest),
        count,
        begun=begun,
        total=all_cells(np.where(finite, beginning, 0.0).sum(axis=0)),
        number=all_cells(finite.sum(axis=0)),
        first=all_cells(median),
        completed=np.zeros(cells.size),
        doubts=np.zeros(cells.size, dtype=np.uint8),
    )
