"""Lines of a text file of any usual encoding, read in blocks of constant size."""

from __future__ import annotations

import codecs
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from celltwin.core import TelemetryError

__all__ = ["BLOCK_BYTES", "LineBlock", "TextLines", "check_readable", "starts_with"]

_logger = logging.getLogger(__name__)

BLOCK_BYTES = 64 * 1024
SAMPLE_BYTES = 4 * 1024 * 1024
LONGEST_LINE_BYTES = 16 * 1024 * 1024
HIGHEST_CONTROL_SHARE = 0.02

# First bytes of files that are no text, and what to do with them.
_MAGIC = (
    (b"PK\x03\x04", "a spreadsheet or zip archive", "Export the sheet as CSV, or unpack the archive"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls)", "Export the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip", "Unpack it with gunzip"),
    (b"BZh", "compressed with bzip2", "Unpack it with bunzip2"),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it with unzstd"),
    (b"\x89HDF", "an HDF5 or MATLAB 7.3 file", "Export its table as CSV or Parquet"),
    (b"MATLAB 5.0", "a MATLAB file", "Export its table as CSV or Parquet"),
    (b"ARROW1", "a Feather file", "Convert it to Parquet"),
    (b"SQLite format 3", "an SQLite database", "Export its table as CSV"),
    (b"%PDF", "a PDF", "Give the table itself as CSV or Parquet"),
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class LineBlock:
    """Some lines of a file.

    Attributes
    ----------
    lines : list of str
        Without their ends.
    first : int
        Number of the first line, from 1.
    cut : bool
        Whether the last line is the file's last and has no end.
    """

    lines: list[str]
    first: int
    cut: bool


def check_readable(path: Path) -> None:
    """Raise TelemetryError unless ``path`` is a regular file with something in it that may be read."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise TelemetryError("is a folder, not a recording", where=str(path), remedy="Name one file in it")
        if not stat.S_ISREG(found.st_mode):
            raise TelemetryError("is not a regular file", where=str(path), remedy="Copy the recording to a file first")
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        raise TelemetryError(
            "there is no such file", where=str(path), remedy=f"Check the path; the working folder is {Path.cwd()}"
        ) from None
    except PermissionError:
        raise TelemetryError(
            "may not be read by this user", where=str(path), remedy=f"Give yourself the right: chmod u+r {path}"
        ) from None
    except OSError as error:
        raise TelemetryError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check the disk or copy the file"
        ) from None
    if found.st_size == 0:
        raise TelemetryError(
            "is empty", where=str(path), remedy="Check that the recorder has finished writing, and copy it again"
        )


def starts_with(path: Path, mark: bytes) -> bool:
    """Return whether a file starts with these bytes."""
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


class TextLines:
    """Read a text file in blocks of whole lines.

    Parameters
    ----------
    path : Path
        The file; :func:`check_readable` has passed.

    Raises
    ------
    TelemetryError
        If it is no text, or is text in an encoding that cannot be told.

    Notes
    -----
    UTF-8, with or without byte order mark, and UTF-16 with one are read as such. Bytes that are no UTF-8 are read
    as Windows-1252, with a notice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: list[str] = []
        with path.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
        self.encoding = _find_encoding(path, sample)
        if self.encoding == "cp1252":
            self._notice("is not UTF-8; read as Windows-1252")
        self._sample = sample
        self._whole = len(sample) < SAMPLE_BYTES
        text = self._decode(sample, final=False)
        if self._old_mac(text):
            self.line_end = "\r"
        else:
            self.line_end = "\n"

    @staticmethod
    def _old_mac(text: str) -> bool:
        return "\n" not in text and "\r" in text

    def first_lines(self) -> list[str]:
        """Return the whole lines at the start of the file, some megabytes of them; once, since they are let go."""
        text = self._decode(self._sample, final=False)
        self._sample = b""
        lines = text.split(self.line_end)
        if not self._whole and len(lines) > 1:
            lines.pop()
        return [line.rstrip("\r") for line in lines]

    def last_lines(self, size: int = 64 * 1024) -> list[str]:
        """Return the whole lines at the end of the file, oldest first; empty where they cannot be told apart."""
        if self.encoding not in ("utf-8", "utf-8-sig", "cp1252") or self.line_end != "\n":
            return []
        with self.path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            tail = file.read()
        text = tail.decode("cp1252" if self.encoding == "cp1252" else "utf-8", errors="replace")
        lines = text.split("\n")
        return [line.rstrip("\r") for line in (lines if length <= size else lines[1:])]

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[LineBlock]:
        """Yield all lines of the file, about ``size`` bytes at a time.

        Raises
        ------
        TelemetryError
            If the disk fails.
        """
        decoder = (
            codecs.getincrementaldecoder(self.encoding)() if self.encoding.startswith(("utf-16", "utf-32")) else None
        )
        rest, first = "", 1
        tail = b""
        try:
            with self.path.open("rb") as file:
                while True:
                    data = file.read(size)
                    last = len(data) < size
                    if decoder is not None:
                        text = rest + decoder.decode(data, final=last)
                    else:
                        raw = tail + data
                        cut = len(raw) if last else self._whole_lines(raw)
                        tail = raw[cut:]
                        text = rest + self._decode(raw[:cut], final=True)
                    lines = text.split(self.line_end)
                    rest = lines.pop()
                    if not last and len(rest) > LONGEST_LINE_BYTES:
                        lines.append(rest)
                        rest = ""
                    if last:
                        if rest:
                            lines.append(rest)
                        if lines:
                            yield LineBlock([line.rstrip("\r") for line in lines], first, cut=bool(rest))
                        return
                    if lines:
                        yield LineBlock([line.rstrip("\r") for line in lines], first, cut=False)
                        first += len(lines)
        except UnicodeDecodeError as error:
            raise TelemetryError(
                f"is damaged: byte {error.start} of a block is no {self.encoding}",
                where=f"{self.path}:{first}",
                remedy="Copy the file again, or save it as UTF-8",
            ) from None
        except OSError as error:
            raise TelemetryError(
                f"cannot be read further ({error.strerror})",
                where=f"{self.path}:{first}",
                remedy="Check the disk or the network share",
            ) from None

    def _whole_lines(self, raw: bytes) -> int:
        end = raw.rfind(self.line_end.encode("ascii")) + 1
        return end or (len(raw) if len(raw) > LONGEST_LINE_BYTES else 0)

    def _decode(self, raw: bytes, *, final: bool) -> str:
        if self.encoding == "cp1252":
            return _decode_windows(raw)
        decoder = codecs.getincrementaldecoder(self.encoding)()
        try:
            return decoder.decode(raw, final=final)
        except UnicodeDecodeError:
            if not self.encoding.startswith("utf-8"):
                raise
            self._notice("has bytes that are not UTF-8; those lines are read as Windows-1252")
            return _decode_windows(raw)

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)
            _logger.warning("%s %s", self.path, text)


def _decode_windows(raw: bytes) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _find_encoding(path: Path, sample: bytes) -> str:
    where = str(path)
    for magic, what, remedy in _MAGIC:
        if sample.startswith(magic):
            raise TelemetryError(f"is {what}, not a table of text", where=where, remedy=remedy)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            try:
                codecs.getincrementaldecoder(encoding)().decode(sample)
            except UnicodeDecodeError:
                break
            return encoding
    head = sample[: 64 * 1024]
    nulls = head.count(0)
    if nulls * 4 > len(head) and max(head[0::2].count(0), head[1::2].count(0)) * 10 > nulls * 9:
        raise TelemetryError(
            "looks like UTF-16 without a byte order mark", where=where, remedy="Save it as UTF-8 and try again"
        )
    controls = sum(head.count(code) for code in (*range(1, 9), *range(14, 32), 127))
    if nulls * 100 > len(head) or controls > HIGHEST_CONTROL_SHARE * len(head):
        raise TelemetryError(
            "is binary, not a table of text", where=where, remedy="Give a CSV (comma, semicolon or tab) or Parquet file"
        )
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=False)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
