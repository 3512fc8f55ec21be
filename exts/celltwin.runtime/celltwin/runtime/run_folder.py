"""The folder of one run: where every result goes, written so that a crash leaves it readable."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celltwin.core import RecordingError

__all__ = ["TIER_FILES", "RunFolder"]

# The file that each tier writes.
TIER_FILES = {
    "geometric": "pack.usdc",
    "descriptive": "history/measured",
    "predictive": "history/states",
    "prescriptive": "advice.jsonl",
    "autonomous": "commands.jsonl",
}


class RunFolder:
    """Create the folder of a run and write its small files.

    Parameters
    ----------
    path : Path
        Folder to create; it must be empty or absent.

    Raises
    ------
    RecordingError
        If it cannot be written or already holds a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            if (path / "summary.json").exists():
                raise RecordingError(
                    "the folder already holds a run", where=str(path), remedy="Give another --out, or move the folder"
                )
            probe = path / ".writable"
            probe.write_bytes(b"1")
            probe.unlink()

    @property
    def stage(self) -> Path:
        """Authored stage."""
        return self.path / TIER_FILES["geometric"]

    @property
    def recording(self) -> Path:
        """Stage with the recorded layer."""
        return self.path / "recording.usda"

    @property
    def history(self) -> Path:
        """Folder of the Parquet files."""
        return self.path / "history"

    @property
    def report(self) -> Path:
        """Report for people."""
        return self.path / "report.html"

    @property
    def summary(self) -> Path:
        """Summary for programs."""
        return self.path / "summary.json"

    def append(self, name: str, entry: Mapping[str, Any]) -> None:
        """Append one line of JSON to a log such as ``commands.jsonl``."""
        path = self.path / name
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, allow_nan=False) + "\n")

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file so that it is either whole or absent."""
        path = self.path / name
        with writing(path):
            partial = path.with_suffix(path.suffix + ".partial")
            partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            partial.replace(path)
        return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of the file system into a RecordingError that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = {
            errno.ENOSPC: "Free space on the disk; everything recorded before is readable",
            errno.EDQUOT: "Your disk quota is used up; everything recorded before is readable",
            errno.EACCES: "Choose a folder that you may write, with --out or --output",
            errno.EPERM: "Choose a folder that you may write, with --out or --output",
            errno.EROFS: "The file system is read-only; choose another folder, with --out or --output",
            errno.ENOTDIR: "A part of the path is a file; choose another folder, with --out or --output",
            errno.EEXIST: "The path is a file; choose another folder, with --out or --output",
        }.get(error.errno or 0, "Check the folder that --out or --output names")
        raise RecordingError(f"cannot be written ({error.strerror or error})", where=str(path), remedy=remedy) from None
