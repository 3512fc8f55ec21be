"""A data set of numbered Parquet parts, each replaced as a whole, so that a kill leaves every part readable."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from celltwin.core import RecordingError

__all__ = ["PartFiles", "recording_error", "trim_parts"]

PART_BYTES = 24 * 1024 * 1024
PART_SECONDS = 60.0


class PartFiles:
    """Write rows to ``part-00000.parquet``, ``part-00001.parquet``, ...

    The newest part grows: each write replaces it by a longer one, atomically, until it is large or old enough.

    Parameters
    ----------
    folder : Path
        Where the parts go; made when the first is written.
    number : int
        Of the first part to write.
    """

    def __init__(self, folder: Path, number: int = 0) -> None:
        self.folder = folder
        self._tables: list[Any] = []
        self._number = number
        self._begun = 0.0
        self._saved_rows = 0

    def write(self, table: Any, now: float) -> None:
        """Add the rows of an Arrow table and save them.

        Rows that could not be saved are kept and tried again by the next call.

        Raises
        ------
        RecordingError
            If the disk is full or the folder cannot be written; all earlier parts stay as they are.
        """
        if not self._tables:
            self._begun = now
        self._tables.append(table)
        self.save()
        if sum(part.nbytes for part in self._tables) >= PART_BYTES or now - self._begun >= PART_SECONDS:
            self._tables = []
            self._saved_rows = 0
            self._number += 1

    def save(self) -> None:
        """Save rows that are not on disk yet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = sum(part.num_rows for part in self._tables)
        if rows == self._saved_rows:
            return
        target = self.folder / f"part-{self._number:05d}.parquet"
        unfinished = self.folder / f".part-{self._number:05d}.unfinished"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                pq.write_table(pa.concat_tables(self._tables), file, compression="zstd", compression_level=1)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise recording_error(target, error) from None
        self._saved_rows = rows


def trim_parts(folder: Path, time: float) -> int:
    """Remove the rows after a time [s] from a data set and return the number of the next part.

    Raises
    ------
    RecordingError
        If a part cannot be read or written.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    number = 0
    for path in sorted(folder.glob("part-*.parquet")):
        unfinished = path.with_name(f".{path.stem}.unfinished")
        try:
            table = pq.ParquetFile(path).read()
            late = pc.fill_null(pc.greater(table.column("time"), time), False)
            if pc.any(late).as_py():
                with unfinished.open("wb") as file:
                    pq.write_table(table.filter(pc.invert(late)), file, compression="zstd", compression_level=1)
                unfinished.replace(path)
        except pa.ArrowException as error:
            raise RecordingError(
                f"cannot be read ({error})", where=str(path), remedy="Remove the part; the others stay readable"
            ) from None
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise recording_error(path, error) from None
        number = int(path.stem.removeprefix("part-")) + 1
    return number


def recording_error(path: Path, error: OSError) -> RecordingError:
    """Return what a failed write means for people."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RecordingError(
            "the disk is full", where=str(path), remedy="Free space; what was recorded before stays readable"
        )
    if error.errno == errno.EFBIG:
        return RecordingError(
            "the file may not grow further",
            where=str(path),
            remedy="Raise the limit on file sizes (ulimit -f); what was recorded before stays readable",
        )
    reason = error.strerror or str(error)
    return RecordingError(
        f"cannot be written ({reason})", where=str(path), remedy="Choose an output folder that you may write to"
    )
