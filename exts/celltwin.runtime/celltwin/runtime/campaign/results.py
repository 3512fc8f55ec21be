"""The folder of a campaign: its manifest, and every finished run in Parquet, readable whatever happens."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from celltwin.core import SettingsError

from ..run_folder import writing
from .campaign import Campaign
from .software import software_entry

__all__ = ["ResultFolder", "RunRecord", "read_runs"]

MANIFEST = "campaign.json"
RUNS, HISTORY, FAILURES = "runs", "history", "failures"
PART = "part-0.parquet"
_PARAMETERS_OF_RUN = ("run", "point", "repetition", "seed")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is kept of a finished run.

    Attributes
    ----------
    run : int
        Its number.
    figures : mapping of str to float, str or bool
        Summary figures by name.
    units : mapping of str to str
        Unit of each figure and each column of the history.
    history : mapping of str to ndarray, optional
        Samples over time by name, of shape (n_samples,) or (n_samples, n_elements).
    attempts, seconds, worker : int, float, str
        How often it was started, what it took [s of the wall clock], and where.
    """

    run: int
    figures: Mapping[str, Any]
    units: Mapping[str, str]
    history: Mapping[str, Any] | None = None
    attempts: int = 1
    seconds: float = 0.0
    worker: str = ""


class ResultFolder:
    """Open the folder of a campaign, new or begun before, and hold it against other processes.

    Parameters
    ----------
    path : Path
        The folder.
    campaign : Campaign
        What runs.
    executor : str
        What it runs on, for the manifest.

    Raises
    ------
    SettingsError
        If the folder belongs to a campaign of another design, or another process works in it.
    RecordingError
        If it cannot be written.

    Notes
    -----
    A run is finished when a part in ``runs`` holds it. A part is written beside its place, flushed to the disk and
    renamed, after the histories of its runs: a kill at any instant loses the runs that have no part, and nothing else.
    """

    def __init__(self, path: Path, campaign: Campaign, *, executor: str) -> None:
        self.path = path
        self.campaign = campaign
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("w")
        try:
            self._hold()
            self._manifest = self._checked_manifest()
            self.finished = self._read_finished()
            self.failed = {int(part.parent.name.partition("=")[2]) for part in path.glob(f"{FAILURES}/run=*/{PART}")}
            self.failed -= self.finished
            self._manifest["sessions"].append(
                {
                    "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                    "executor": executor,
                    "finished_before": len(self.finished),
                    "software": software_entry(),
                }
            )
            self._write_json(MANIFEST, self._manifest)
        except BaseException:
            self._lock.close()
            raise

    @property
    def changed_software(self) -> bool:
        """Whether earlier runs in the folder were made by other code, parameters or libraries."""
        sessions = self._manifest["sessions"]
        return any(session["software"] != sessions[-1]["software"] for session in sessions[:-1])

    def write_runs(self, records: Iterable[RunRecord]) -> None:
        """Keep finished runs, all of them in one part."""
        import pyarrow as pa

        records = sorted(records, key=lambda record: record.run)
        for record in records:
            if record.history is not None:
                self._write_part(f"{HISTORY}/run={record.run:06d}", _history_table(record))
        rows, units = [], {}
        for record in records:
            row = {
                **self.campaign.parameters(record.run),
                "attempts": record.attempts,
                "seconds": record.seconds,
                "worker": record.worker,
            }
            taken = set(row)
            for name, value in record.figures.items():
                column = f"{name}_result" if name in taken else name
                row[column] = _plain(value)
                units[column] = record.units.get(name, "")
            rows.append(row)
        self._write_part(f"{RUNS}/batch={records[0].run:06d}", self._table(pa, rows, units))
        self.finished.update(record.run for record in records)
        for record in records:
            self._forget_failure(record.run)

    def write_failure(self, run: int, *, error: str, reason: str, attempts: int, worker: str = "") -> None:
        """Keep that a run failed, with its parameters."""
        import pyarrow as pa

        row = {
            **self.campaign.parameters(run),
            "attempts": attempts,
            "seconds": 0.0,
            "worker": worker,
            "error": error,
            "reason": reason,
        }
        self._write_part(f"{FAILURES}/run={run:06d}", self._table(pa, [row], {}))
        self.failed.add(run)

    def forget_failures(self) -> None:
        """Let failed runs be tried again."""
        for run in list(self.failed):
            self._forget_failure(run)

    def close(self) -> None:
        """Let other processes work in the folder; a second call does nothing."""
        self._lock.close()

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                "another process works on this campaign",
                where=str(self.path),
                remedy="Wait for it or stop it, or give another --out",
            ) from None

    def _checked_manifest(self) -> dict[str, Any]:
        path = self.path / MANIFEST
        fresh = self._fresh_manifest()
        try:
            with writing(path):
                kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if not kept:
                if any((self.path / name).exists() for name in (RUNS, HISTORY, FAILURES)):
                    raise KeyError(MANIFEST)
                return fresh
            differing = [name for name, digest in fresh["hashes"].items() if kept["hashes"].get(name) != digest]
            kept["sessions"] = list(kept["sessions"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SettingsError(
                "the folder holds results, but no readable manifest",
                where=str(path),
                remedy="Give another --out, or move the folder away",
            ) from None
        if differing:
            raise SettingsError(
                f"the folder holds runs of a campaign with other {', '.join(differing)}",
                where=str(path),
                remedy=f"Give another --out for this design, or restore what {self.campaign.path.name} said before",
            )
        return fresh | {"created": kept["created"], "sessions": kept["sessions"]}

    def _fresh_manifest(self) -> dict[str, Any]:
        campaign = self.campaign
        return {
            "name": campaign.name,
            "description": campaign.description,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "file": str(campaign.path),
            "pack": str(campaign.pack),
            "scenario": str(campaign.scenario),
            "base": dict(campaign.base),
            "factors": [
                {key: value for key, value in asdict(factor).items() if value == value}  # without NaN
                for factor in campaign.factors
            ],
            "design": asdict(campaign.design),
            "outputs": asdict(campaign.outputs),
            "points": len(campaign.points),
            "runs": campaign.n_runs,
            "seeds": list(campaign.seeds),
            "hashes": campaign.hashes,
            "sessions": [],
        }

    def _read_finished(self) -> set[int]:
        """Return the runs that parts hold; a part that cannot be read is set aside, and its runs are run again."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        finished: set[int] = set()
        for unfinished in self.path.glob(f"*/*/.{PART}.unfinished"):
            unfinished.unlink()
        for part in sorted(self.path.glob(f"{RUNS}/batch=*/{PART}")):
            try:
                finished.update(pq.read_table(part, columns=["run"], partitioning=None)["run"].to_pylist())
            except (pa.ArrowException, OSError, KeyError):
                part.rename(part.with_name(f".{PART}.damaged"))
        return finished

    def _table(self, pa: Any, rows: list[dict[str, Any]], units: Mapping[str, str]) -> Any:
        units = {factor.name: factor.unit for factor in self.campaign.factors if factor.unit} | {
            "seconds": "s",
            **units,
        }
        columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
        fields = []
        for name, values in columns.items():
            whole = name in (*_PARAMETERS_OF_RUN, "attempts")
            kind = pa.int64() if whole else _kind(pa, values)
            fields.append(pa.field(name, kind, metadata={"unit": units[name]} if units.get(name) else None))
        return pa.table(list(columns.values()), schema=pa.schema(fields, metadata={"celltwin": "runs of a campaign"}))

    def _write_part(self, folder: str, table: Any) -> None:
        import pyarrow.parquet as pq

        target = self.path / folder / PART
        unfinished = target.with_name(f".{PART}.unfinished")  # readers pass over names with a dot
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                pq.write_table(table, file, compression="zstd")
                _flush(file)
            unfinished.replace(target)

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        target = self.path / name
        unfinished = target.with_name(f".{name}.unfinished")
        with writing(target):
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
                _flush(file)
            unfinished.replace(target)

    def _forget_failure(self, run: int) -> None:
        part = self.path / FAILURES / f"run={run:06d}" / PART
        with writing(part):
            part.unlink(missing_ok=True)
            if part.parent.exists():
                part.parent.rmdir()
        self.failed.discard(run)


def read_runs(folder: Path, *, failed: bool = False) -> list[dict[str, Any]]:
    """Return the finished or the failed runs of a campaign's folder, in their order: one mapping for each."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for part in folder.glob(f"{FAILURES if failed else RUNS}/*=*/{PART}"):
        rows += pq.read_table(part, partitioning=None).to_pylist()
    return sorted(rows, key=lambda row: int(row["run"]))


def _history_table(record: RunRecord) -> Any:
    import numpy as np
    import pyarrow as pa

    assert record.history is not None
    arrays, fields = [], []
    for name, values in record.history.items():
        values = np.ascontiguousarray(values)
        if values.ndim == 2:
            array = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        else:
            array = pa.array(values)
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata={"unit": record.units.get(name, "1")}))
    metadata = {"celltwin": "history of a run, SI units, current positive on discharge, elements in pack order"}
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))


def _kind(pa: Any, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return pa.bool_()
    if all(isinstance(value, int | float) for value in known):
        return pa.float64()
    return pa.string()


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
