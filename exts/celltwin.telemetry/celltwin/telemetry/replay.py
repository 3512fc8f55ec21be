"""Replay a recording at real time, at any speed, or as fast as it is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from celltwin.core import Array, SampleBlock

from .channel_matching import tell_names
from .time_order import arrival_times, smallest_jump

__all__ = ["Inventory", "Recording", "ReplaySource"]

_logger = logging.getLogger(__name__)

BLOCKS_A_READ = 2
EARLIEST_DATE = 1.0e8  # [s since 1970]: absolute times are shown as dates from here on


@dataclass(frozen=True)
class Inventory:
    """Which channels a recording has.

    Attributes
    ----------
    channels : tuple of str
        Columns or topics that a prim maps.
    unmapped : tuple of str
        Columns or topics that no prim maps.
    missing : tuple of str
        Mapped channels that the recording lacks.
    """

    channels: tuple[str, ...]
    unmapped: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """An opened recording.

    Attributes
    ----------
    blocks : iterator of SampleBlock
        Its rows in the order of the file, times as stated [s].
    inventory : callable
        Tells the channels found so far.
    last : float or None
        Last time as stated [s], where it can be told without reading all.
    notices : list of str
        What a reader should know of how the file is read; grows while it is read.
    """

    blocks: Iterator[SampleBlock]
    inventory: Callable[[], Inventory]
    last: float | None
    notices: list[str]


class ReplaySource:
    """A recording being replayed: a telemetry source.

    Times count from the recording's first row. Rows are given in the order of the file, each when it is due, with
    all their faults: judging them is the ingest's work.

    Parameters
    ----------
    path : Path
        The file.
    recording : Recording
        Its rows.
    rates : list of float
        Expected rates of the pack's channels [Hz].
    speed : float
        Multiple of real time; 0 gives rows as fast as they are asked for.
    clock : callable
        Tells the time that passes [s].

    Attributes
    ----------
    path : Path
        The file.
    notices : list of str
        What a reader should know of how the file was read.
    """

    def __init__(
        self, path: Path, recording: Recording, *, rates: list[float], speed: float, clock: Callable[[], float]
    ) -> None:
        self.path = path
        self.notices = recording.notices
        self._recording = recording
        self._blocks = recording.blocks
        self._limit = smallest_jump(rates)
        self._speed = speed
        self._clock = clock
        self._begun: float | None = None
        self._origin: float | None = None
        self._newest = -np.inf
        self._row = 0
        self._current: SampleBlock | None = None
        self._ahead = self._next_block()
        self._advance()
        self._tell(recording.inventory())

    @property
    def channels(self) -> tuple[str, ...]:
        """Columns or topics that it delivers; of a long file, those found so far."""
        return self._recording.inventory().channels

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Columns or topics of the file that no prim maps; of a long file, those found so far."""
        return self._recording.inventory().unmapped

    @property
    def missing(self) -> tuple[str, ...]:
        """Mapped channels that the file lacks; of a long file, that have not been found so far."""
        return self._recording.inventory().missing

    @property
    def time_origin(self) -> float:
        """Time of the first row as the file states it [s]."""
        return self._origin or 0.0

    @property
    def duration(self) -> float | None:
        """Time from first to last row [s], where it can be told without reading all."""
        last = self._recording.last
        return None if last is None or last < self.time_origin else last - self.time_origin

    @property
    def started(self) -> str:
        """Date of the first row, empty where the file tells none."""
        if self.time_origin < EARLIEST_DATE:
            return ""
        return datetime.fromtimestamp(self.time_origin, tz=UTC).isoformat()

    @property
    def finished(self) -> bool:
        """Whether every row has been given."""
        return self._current is None

    def read(self, until: float) -> list[SampleBlock]:
        """Return the rows that are due, a bounded amount of them; ask again for more.

        Parameters
        ----------
        until : float
            Time [s since the start of the run]. At a speed above 0, rows come no earlier than the clock allows.
        """
        if self._speed > 0.0:
            now = self._clock()
            if self._begun is None:
                self._begun = now
            until = min(until, (now - self._begun) * self._speed)
        given: list[SampleBlock] = []
        for _ in range(BLOCKS_A_READ):
            if self._current is None:
                break
            block = self._current
            due = int(np.searchsorted(block.arrived, until, side="right"))
            if due > self._row or (block.time.size == 0 and block.faults):
                given.append(block.rows(self._row, due) if self._row or due < block.time.size else block)
            self._row = max(self._row, due)
            if self._row < block.time.size:
                break
            self._advance()
        return given

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._current = self._ahead = None
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()

    def _advance(self) -> None:
        """Make the block ahead the current one and read the next."""
        current = self._ahead
        self._row = 0
        self._ahead = None
        if current is None:
            self._current = None
            return
        self._ahead = self._next_block()
        arrived = arrival_times(current.time, self._newest, self._limit, _first_time(self._ahead))
        arrived = np.maximum(arrived, 0.0)
        if arrived.size:
            self._newest = float(arrived[-1])
        self._current = replace(current, arrived=arrived)

    def _next_block(self) -> SampleBlock | None:
        """Return the next block with its times counted from the recording's first row."""
        block = next(self._blocks, None)
        if block is None:
            return None
        if self._origin is None:
            stated = block.time[np.isfinite(block.time)]
            believed = stated[np.isfinite(arrival_times(stated, -np.inf, self._limit, None))]
            self._origin = float(believed[0]) if believed.size else None
        with np.errstate(over="ignore"):
            return replace(block, time=block.time - self.time_origin, arrived=np.empty(0))

    def _tell(self, inventory: Inventory) -> None:
        if inventory.missing:
            text = f"lacks mapped channels: {tell_names(inventory.missing, inventory.unmapped)}"
            self.notices.append(text)
            _logger.warning("%s %s", self.path, text)
        if inventory.unmapped:
            text = f"has columns that no prim maps: {tell_names(inventory.unmapped, inventory.missing)}"
            self.notices.append(text)
            _logger.info("%s %s", self.path, text)


def _first_time(block: SampleBlock | None) -> float | None:
    if block is None:
        return None
    finite: Array = block.time[np.isfinite(block.time)]
    return float(finite[0]) if finite.size else None
