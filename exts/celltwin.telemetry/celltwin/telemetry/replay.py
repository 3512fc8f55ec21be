"""Replay recordings: CSV and Parquet, wide and long, at real time or any speed."""

from __future__ import annotations

import logging
import time as wall_clock
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from celltwin.core import Array, Channel, SampleBlock, SettingsError

from .channel_matching import known_names, match_channels, plain_name, require_mapped, tell_names
from .csv_blocks import ChannelNames, read_long, read_wide
from .csv_form import CsvForm, find_form, split_line
from .parquet_blocks import open_parquet, read_long_parquet, read_wide_parquet
from .text_lines import TextLines, check_readable, starts_with
from .time_order import arrival_times, smallest_jump

__all__ = ["ReplaySource", "open_recording"]

_logger = logging.getLogger(__name__)

BLOCKS_A_READ = 2
EARLIEST_DATE = 1.0e8  # [s since 1970]: absolute times are shown as dates from here on


def open_recording(
    path: Path | str,
    channels: tuple[Channel, ...],
    *,
    speed: float = 0.0,
    time_column: str | None = None,
    clock: Callable[[], float] = wall_clock.monotonic,
) -> ReplaySource:
    """Open a recording for replay.

    Text tables with comma, semicolon, tab or bar, with anything above the header row, and Parquet, each with one
    column a channel or with one value a row (columns time, channel or topic, value). Columns and channels match by
    column name or topic.

    Parameters
    ----------
    path : Path
        The file.
    channels : tuple of Channel
        Channels of the pack, from :func:`celltwin.core.expand_channels`.
    speed : float
        Multiple of real time; 0 gives rows as fast as they are asked for.
    time_column : str, optional
        Name of the time column, where the usual spellings do not fit.
    clock : callable
        Tells the time that passes [s].

    Returns
    -------
    ReplaySource

    Raises
    ------
    TelemetryError
        If the file is missing, empty, binary, damaged, has no time column, or no column that a prim maps.
    SettingsError
        If the speed is negative.
    """
    if not speed >= 0.0:
        raise SettingsError(f"speed = {speed:g} must be at least 0", remedy="Use 1 for real time, 0 for no waiting")
    path = Path(path)
    check_readable(path)
    if starts_with(path, b"PAR1") or path.suffix.casefold() in (".parquet", ".pq"):
        return _open_parquet(path, channels, speed, time_column, clock)
    return _open_csv(path, channels, speed, time_column, clock)


def _open_csv(
    path: Path, channels: tuple[Channel, ...], speed: float, time_column: str | None, clock: Callable[[], float]
) -> ReplaySource:
    file = TextLines(path)
    first_lines = file.first_lines()
    form = find_form(first_lines, where=str(path), time_column=time_column)
    where = f"{path}:{form.header_line}"
    last = _last_time(file, form)
    if form.long is None:
        columns = ["" if index == form.time.index else name for index, name in enumerate(form.names)]
        match = match_channels(columns, channels, where=where)
        return ReplaySource(
            path,
            read_wide(file, form, match),
            channels=match.names,
            unmapped=match.unmapped,
            missing=match.missing,
            rates=_rates(channels),
            last=last,
            speed=speed,
            clock=clock,
            notices=file.notices,
        )
    names = ChannelNames(known_names(channels), plain_name)
    for line in first_lines[form.header_line :]:
        cells = split_line(line, form.delimiter)
        if len(cells) > form.long.channel and cells[form.long.channel].strip():
            names.number(cells[form.long.channel].strip())
    require_mapped(names.names, tuple(names.unmapped), channels, where)
    return _long_source(path, read_long(file, form, names), names, channels, last, speed, clock, file.notices)


def _open_parquet(
    path: Path, channels: tuple[Channel, ...], speed: float, time_column: str | None, clock: Callable[[], float]
) -> ReplaySource:
    file, form = open_parquet(path, time_column=time_column)
    if form.long is None:
        columns = ["" if index == form.time.index else name for index, name in enumerate(form.names)]
        match = match_channels(columns, channels, where=str(path))
        return ReplaySource(
            path,
            read_wide_parquet(file, path, form, match),
            channels=match.names,
            unmapped=match.unmapped,
            missing=match.missing,
            rates=_rates(channels),
            last=form.last,
            speed=speed,
            clock=clock,
            notices=[],
        )
    names = ChannelNames(known_names(channels), plain_name)
    column = file.schema_arrow.names[form.long.channel]
    for name in next(file.iter_batches(batch_size=200_000, columns=[column])).column(0).unique().to_pylist():
        names.number(str(name).strip())
    require_mapped(names.names, tuple(names.unmapped), channels, str(path))
    return _long_source(path, read_long_parquet(file, path, form, names), names, channels, form.last, speed, clock, [])


def _long_source(
    path: Path,
    blocks: Iterator[SampleBlock],
    names: ChannelNames,
    channels: tuple[Channel, ...],
    last: float | None,
    speed: float,
    clock: Callable[[], float],
    notices: list[str],
) -> ReplaySource:
    found = {plain_name(name) for name in names.names}
    missing = tuple(
        channel.column or channel.topic
        for channel in channels
        if channel.direction == "in"
        and plain_name(channel.column) not in found
        and plain_name(channel.topic) not in found
    )
    return ReplaySource(
        path,
        blocks,
        channels=tuple(names.names),
        unmapped=tuple(names.unmapped),
        missing=missing,
        rates=_rates(channels),
        last=last,
        speed=speed,
        clock=clock,
        notices=notices,
    )


def _rates(channels: tuple[Channel, ...]) -> list[float]:
    return [channel.rate for channel in channels if channel.direction == "in"]


def _last_time(file: TextLines, form: CsvForm) -> float | None:
    for line in reversed(file.last_lines()):
        cells = split_line(line, form.delimiter)
        if len(cells) >= len([name for name in form.names if name]):
            try:
                return form.read_time(cells[form.time.index])
            except (ValueError, OverflowError, IndexError):
                continue
    return None


class ReplaySource:
    """A recording being replayed: a telemetry source.

    Times count from the recording's first row. Rows are given in the order of the file, each when it is due, with
    all their faults: judging them is the ingest's work.

    Attributes
    ----------
    path : Path
        The file.
    unmapped : tuple of str
        Columns or topics of the file that no prim maps.
    missing : tuple of str
        Mapped channels that the file lacks; for a long file, its first megabytes.
    notices : list of str
        What a reader should know of how the file was read.
    duration : float or None
        Time from first to last row [s], where it can be told without reading all.
    time_origin : float
        Time of the first row as the file states it [s].
    """

    def __init__(
        self,
        path: Path,
        blocks: Iterator[SampleBlock],
        *,
        channels: tuple[str, ...],
        unmapped: tuple[str, ...],
        missing: tuple[str, ...],
        rates: list[float],
        last: float | None,
        speed: float,
        clock: Callable[[], float],
        notices: list[str],
    ) -> None:
        self.path = path
        self.unmapped = unmapped
        self.missing = missing
        self.notices = notices
        self._channels = channels
        self._blocks = blocks
        self._limit = smallest_jump(rates)
        self._speed = speed
        self._clock = clock
        self._begun: float | None = None
        self._newest = -np.inf
        self._row = 0
        self._ahead: SampleBlock | None = None
        self._current: SampleBlock | None = None
        self.time_origin = 0.0
        self._start()
        self.duration = None if last is None or last < self.time_origin else last - self.time_origin
        self._tell()

    @property
    def channels(self) -> tuple[str, ...]:
        """Columns or topics that it delivers."""
        return self._channels

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
        loaded = 0
        while self._current is not None:
            block = self._current
            due = int(np.searchsorted(block.arrived, until, side="right"))
            if due > self._row or (block.time.size == 0 and block.faults):
                given.append(block.rows(self._row, due) if self._row or due < block.time.size else block)
            self._row = max(self._row, due)
            if self._row < block.time.size or loaded == BLOCKS_A_READ:
                break
            self._advance()
            loaded += 1
        return given

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._current = self._ahead = None
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()

    def _start(self) -> None:
        self._ahead = next(self._blocks, None)
        while self._ahead is not None and self._ahead.time.size == 0 and not self._ahead.faults:
            self._ahead = next(self._blocks, None)
        if self._ahead is not None:
            stated = self._ahead.time[np.isfinite(self._ahead.time)]
            believed = stated[np.isfinite(arrival_times(stated, -np.inf, self._limit, None))]
            self.time_origin = float(believed[0]) if believed.size else 0.0
            self._ahead = self._shifted(self._ahead)
        self._advance()

    def _advance(self) -> None:
        """Make the block ahead the current one and read the next."""
        current = self._ahead
        self._row = 0
        self._ahead = None
        if current is None:
            self._current = None
            return
        following = next(self._blocks, None)
        self._ahead = None if following is None else self._shifted(following)
        arrived = arrival_times(current.time, self._newest, self._limit, _first_time(self._ahead))
        arrived = np.maximum(arrived, 0.0)
        if arrived.size:
            self._newest = float(arrived[-1])
        self._current = replace(current, arrived=arrived)

    def _shifted(self, block: SampleBlock) -> SampleBlock:
        return replace(block, time=block.time - self.time_origin, arrived=np.empty(0))

    def _tell(self) -> None:
        if self.missing:
            text = f"lacks mapped channels: {tell_names(self.missing, self.unmapped)}"
            self.notices.append(text)
            _logger.warning("%s %s", self.path, text)
        if self.unmapped:
            text = f"has columns that no prim maps: {tell_names(self.unmapped, self.missing)}"
            self.notices.append(text)
            _logger.info("%s %s", self.path, text)


def _first_time(block: SampleBlock | None) -> float | None:
    if block is None:
        return None
    finite: Array = block.time[np.isfinite(block.time)]
    return float(finite[0]) if finite.size else None
