"""Open recordings: CSV and Parquet, wide and long."""

from __future__ import annotations

import time as wall_clock
from collections.abc import Callable
from functools import partial
from pathlib import Path

from celltwin.core import Channel, SettingsError

from .channel_matching import ChannelMatch, known_names, match_channels, plain_name, require_mapped
from .csv_blocks import ChannelNames, read_long, read_wide
from .csv_form import CsvForm, find_form, split_line
from .parquet_blocks import first_names, open_parquet, read_long_parquet, read_wide_parquet
from .replay import Inventory, Recording, ReplaySource
from .text_lines import TextLines, check_readable, starts_with

__all__ = ["open_recording"]


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
        recording = _open_parquet(path, channels, time_column)
    else:
        recording = _open_csv(path, channels, time_column)
    rates = [channel.rate for channel in channels if channel.direction == "in"]
    return ReplaySource(path, recording, rates=rates, speed=speed, clock=clock)


def _open_csv(path: Path, channels: tuple[Channel, ...], time_column: str | None) -> Recording:
    file = TextLines(path)
    first_lines = file.first_lines()
    form = find_form(first_lines, where=str(path), time_column=time_column)
    where = f"{path}:{form.header_line}"
    last = _last_time(file, form)
    if form.long is None:
        match = match_channels(_value_columns(form.names, form.time.index), channels, where=where)
        return Recording(read_wide(file, form, match), partial(_wide_inventory, match), last, file.notices)
    names = ChannelNames(known_names(channels), plain_name)
    for line in first_lines[form.header_line :]:
        cells = split_line(line, form.delimiter)
        if len(cells) == len(form.names) and cells[form.long.channel].strip():
            names.number(cells[form.long.channel].strip())
    require_mapped(names.names, tuple(names.unmapped), channels, where)
    return Recording(read_long(file, form, names), partial(_long_inventory, names, channels), last, file.notices)


def _open_parquet(path: Path, channels: tuple[Channel, ...], time_column: str | None) -> Recording:
    file, form = open_parquet(path, time_column=time_column)
    if form.long is None:
        match = match_channels(_value_columns(form.names, form.time.index), channels, where=str(path))
        return Recording(read_wide_parquet(file, path, form, match), partial(_wide_inventory, match), form.last, [])
    names = ChannelNames(known_names(channels), plain_name)
    for name in first_names(file, path, form.long):
        names.number(name)
    require_mapped(names.names, tuple(names.unmapped), channels, str(path))
    blocks = read_long_parquet(file, path, form, names)
    return Recording(blocks, partial(_long_inventory, names, channels), form.last, [])


def _value_columns(names: tuple[str, ...], time_index: int) -> list[str]:
    return ["" if index == time_index else name for index, name in enumerate(names)]


def _wide_inventory(match: ChannelMatch) -> Inventory:
    return Inventory(match.names, match.unmapped, match.missing)


def _long_inventory(names: ChannelNames, channels: tuple[Channel, ...]) -> Inventory:
    """Return what a long recording has shown so far."""
    found = {plain_name(name) for name in names.names}
    missing = tuple(
        channel.column or channel.topic
        for channel in channels
        if channel.direction == "in" and found.isdisjoint((plain_name(channel.column), plain_name(channel.topic)))
    )
    return Inventory(tuple(names.names), tuple(names.unmapped), missing)


def _last_time(file: TextLines, form: CsvForm) -> float | None:
    if form.of_day:
        return None  # it may have passed midnight
    for line in reversed(file.last_lines()):
        cells = split_line(line, form.delimiter)
        if len(cells) >= sum(map(bool, form.names)):
            try:
                return form.read_time(cells[form.time.index])
            except (ValueError, OverflowError, IndexError):
                continue
    return None
