"""Keep accepted samples and process images in Parquet, without making the loop wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celltwin.core import PackSpec, PackState, RecordingError, expand_channels

from .history_layout import DESCRIPTION_FILE, describe_history, measured_columns
from .history_tables import measured_table, quarantine_table, state_table
from .part_files import PartFiles, recording_error, trim_parts
from .samples import AcceptedBlock, AcceptedSamples, QuarantinedSamples

__all__ = ["HistoryWriter"]

_logger = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
MOST_PENDING_BYTES = 96 * 1024 * 1024
FULL_STEP_BYTES = 16  # about, for a value with its facets


class _Pending:
    """What has been handed over and is not written yet."""

    def __init__(self) -> None:
        self.blocks: list[AcceptedBlock] = []
        self.quarantined: list[QuarantinedSamples] = []
        self.states: list[PackState] = []
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self.blocks or self.quarantined or self.states)


class HistoryWriter:
    """Record a run to a folder: a recorder of process images that also takes accepted samples.

    A thread writes what has come every few seconds, so that a kill loses no more than that. Each data set is a
    folder of Parquet parts that ``pandas.read_parquet`` and DuckDB read as one table:

    * ``measured/<level>``: accepted samples at full rate, a column for each sensor;
    * ``states``: process images, one row for each reading of each step, elements as lists in pack order;
    * ``quarantine``: samples that were not accepted, with the reason.

    Parameters
    ----------
    folder : Path
        A new or empty folder.
    spec : PackSpec
        The pack.
    flush_seconds : float
        Longest time that something waits to be written [s].
    resume_at : float, optional
        Go on with the recording that lies in the folder, from this time [s]; what it holds later is removed.

    Raises
    ------
    RecordingError
        If the folder cannot be written or holds a recording already; with ``resume_at``, if it holds none.
    """

    def __init__(
        self,
        folder: Path | str,
        spec: PackSpec,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        resume_at: float | None = None,
    ) -> None:
        import pyarrow.parquet

        # Arrow looks for pandas at its first array. The imports, half a second here, take seven in the writing thread
        # beside a caller that never waits, and what is recorded meanwhile would be lost with the process.
        pyarrow.array([0.0])

        self.folder = Path(folder)

        def parts(data_set: str) -> PartFiles:
            place = self.folder / data_set
            return PartFiles(place, 0 if resume_at is None else trim_parts(place, resume_at))

        self._prepare(spec, resumed=resume_at is not None)
        channels = [channel for channel in expand_channels(spec) if channel.direction == "in"]
        self._levels = [
            (columns, parts(f"measured/{columns.level.value}")) for columns in measured_columns(spec, channels)
        ]
        self._states = parts("states")
        self._quarantine = parts("quarantine")
        self._flush_seconds = flush_seconds
        self._pending = _Pending()
        self._failure: RecordingError | None = None
        self._told = False
        self._closing = False
        self._asked = self._flushed = 0  # flushes asked for, and done
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="celltwin-history", daemon=True)
        self._thread.start()

    def record(self, state: PackState) -> None:
        """Keep one process image.

        Raises
        ------
        RecordingError
            If something could not be written, now or since the last call; what was written before stays readable.
        """
        size = sum(reading.values.size for reading in state.readings.values()) * FULL_STEP_BYTES
        self._hand_over(lambda pending: pending.states.append(state), size)

    def append(self, accepted: AcceptedSamples) -> None:
        """Keep accepted samples at full rate, and the quarantined ones beside them.

        Raises
        ------
        RecordingError
            As for :meth:`record`.
        """
        if not accepted.blocks and not accepted.quarantined:
            return

        def keep(pending: _Pending) -> None:
            pending.blocks += accepted.blocks
            pending.quarantined += accepted.quarantined

        size = sum(block.values.nbytes for block in accepted.blocks)
        self._hand_over(keep, size + 200 * sum(part.count for part in accepted.quarantined))

    def flush(self) -> None:
        """Wait until all that was handed over is on disk.

        Raises
        ------
        RecordingError
            As for :meth:`record`.
        """
        with self._changed:
            self._asked += 1
            asked = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._flushed >= asked or self._failure is not None or self._closing)
            if self._failure is not None:
                self._told = True
                raise self._failure

    def close(self) -> None:
        """Write what is left and end; a second call does nothing.

        Raises
        ------
        RecordingError
            If something could not be written and nobody has been told yet.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if self._failure is not None and not self._told:
            self._told = True
            raise self._failure

    def _prepare(self, spec: PackSpec, *, resumed: bool) -> None:
        description = self.folder / DESCRIPTION_FILE
        try:
            if resumed:
                if not description.exists():
                    raise RecordingError(
                        "holds no recording to go on with", where=str(self.folder), remedy="Start a new recording"
                    )
                return
            if description.exists():
                raise RecordingError(
                    "holds a recording already", where=str(self.folder), remedy="Choose another folder, or remove it"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            description.write_text(describe_history(spec), encoding="utf-8")
        except OSError as error:
            raise recording_error(description, error) from None

    def _hand_over(self, keep: Callable[[_Pending], None], size: int) -> None:
        with self._changed:
            if self._failure is not None:
                self._told = True
                raise self._failure
            if self._closing:
                raise RecordingError("the history is closed", where=str(self.folder), remedy="Record before closing it")
            keep(self._pending)
            self._pending.size += size
            if self._pending.size > MOST_PENDING_BYTES:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._pending.size <= MOST_PENDING_BYTES or self._failure is not None)

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(self._urgent, timeout=self._flush_seconds)
                closing, asked = self._closing, self._asked
                pending, self._pending = self._pending, _Pending()
                self._changed.notify_all()
            try:
                self._write(pending)
            except RecordingError as error:
                self._fail(error)
            except Exception as error:  # a fault here must reach the caller, not die with the thread
                _logger.exception("writing the history failed")
                self._fail(RecordingError(f"could not be written ({error})", where=str(self.folder)))
            with self._changed:
                self._flushed = asked
                self._changed.notify_all()

    def _urgent(self) -> bool:
        return self._closing or self._asked > self._flushed or self._pending.size > MOST_PENDING_BYTES

    def _fail(self, error: RecordingError) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _write(self, pending: _Pending) -> None:
        """Write each data set; one that fails does not keep the others from it."""
        now = time.monotonic()
        jobs: list[tuple[PartFiles, Any]] = []
        if pending:
            jobs.append((self._states, state_table(pending.states)))
            jobs += [(parts, measured_table(pending.blocks, columns)) for columns, parts in self._levels]
            jobs.append((self._quarantine, quarantine_table(pending.quarantined)))
        elif self._failure is not None:
            jobs = [(parts, None) for parts in (self._states, self._quarantine, *(parts for _, parts in self._levels))]
        failure: RecordingError | None = None
        for parts, table in jobs:
            try:
                if table is None:
                    parts.save()
                else:
                    parts.write(table, now)
            except RecordingError as error:
                failure = failure or error
        if failure is not None:
            raise failure
