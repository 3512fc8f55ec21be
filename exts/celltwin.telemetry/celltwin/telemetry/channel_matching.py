"""Match the columns of a recording with the channels of a pack."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from celltwin.core import Channel, TelemetryError

__all__ = [
    "ChannelMatch",
    "known_names",
    "match_channels",
    "plain_name",
    "require_mapped",
    "suggest_name",
    "tell_names",
]

SHOWN = 8
SEARCHED = 40


@dataclass(frozen=True)
class ChannelMatch:
    """Which columns feed which channels.

    Attributes
    ----------
    columns : tuple of int
        Positions of the columns that feed a channel.
    names : tuple of str
        For each of them, the channel's column, or its topic where the file names columns by topic.
    unmapped : tuple of str
        Columns that no prim maps.
    missing : tuple of str
        Mapped channels that the recording lacks.
    """

    columns: tuple[int, ...]
    names: tuple[str, ...]
    unmapped: tuple[str, ...]
    missing: tuple[str, ...]


def match_channels(columns: Sequence[str], channels: Iterable[Channel], *, where: str) -> ChannelMatch:
    """Match the columns of a recording with the channels that come in, by column or by topic.

    Upper and lower case and repeated spaces make no difference; units in a header do, since they may contradict
    the pack's.

    Parameters
    ----------
    columns : sequence of str
        Names in the recording; empty where a column is of no interest.
    channels : iterable of Channel
        Channels of the pack.
    where : str
        File and line of the header.

    Raises
    ------
    TelemetryError
        If no column feeds a channel, or two columns feed the same.
    """
    incoming = [channel for channel in channels if channel.direction == "in"]
    lookup: dict[str, tuple[int, str]] = {}
    for number, channel in enumerate(incoming):
        for name in (channel.topic, channel.column):
            if name:
                lookup[plain_name(name)] = (number, name)
    chosen: dict[int, int] = {}
    names: list[str] = []
    indices: list[int] = []
    unmapped = []
    for index, column in enumerate(columns):
        if not column:
            continue
        found = lookup.get(plain_name(column))
        if found is None:
            unmapped.append(column)
            continue
        number, name = found
        if number in chosen:
            raise TelemetryError(
                f"columns {columns[chosen[number]]!r} and {column!r} both feed channel {name!r}",
                where=where,
                remedy="Rename or remove one of them",
            )
        chosen[number] = index
        indices.append(index)
        names.append(name)
    missing = tuple(channel.column or channel.topic for number, channel in enumerate(incoming) if number not in chosen)
    if not indices:
        raise _nothing_maps(unmapped, missing, where)
    return ChannelMatch(tuple(indices), tuple(names), tuple(unmapped), missing)


def known_names(channels: Iterable[Channel]) -> dict[str, str]:
    """Return the name of each incoming channel by its plain columns and topics."""
    return {
        plain_name(name): name
        for channel in channels
        if channel.direction == "in"
        for name in (channel.topic, channel.column)
        if name
    }


def require_mapped(found: Sequence[str], unmapped: Sequence[str], channels: Iterable[Channel], where: str) -> None:
    """Raise TelemetryError unless some channel of a long recording is mapped."""
    if not found:
        expected = tuple(channel.column or channel.topic for channel in channels if channel.direction == "in")
        raise _nothing_maps(unmapped, expected, where)


def _nothing_maps(columns: Sequence[str], missing: tuple[str, ...], where: str) -> TelemetryError:
    if not missing:
        return TelemetryError(
            "the pack maps no incoming channel",
            where=where,
            remedy="Declare [[sensors]] and [[mappings]] in the pack file",
        )
    return TelemetryError(
        f"no column is mapped to a prim; the recording has {tell_names(columns, ())}, "
        f"the pack expects {tell_names(missing, ())}",
        where=where,
        remedy="Put the recording's names into 'column' of the pack's [[mappings]], such as "
        f"column = {(columns or ['Voltage'])[0]!r}, with its unit",
    )


def suggest_name(name: str, candidates: Sequence[str]) -> str | None:
    """Return the candidate that ``name`` was probably meant to be, if any."""
    plain = {re.sub(r"[\W_]+", "", candidate.casefold()): candidate for candidate in candidates}
    core = re.sub(r"[\W_]+", "", re.sub(r"[\[(].*?[\])]", "", name.casefold()))
    if core in plain:
        return plain[core]
    close = difflib.get_close_matches(core, plain, n=1, cutoff=0.8)
    return plain[close[0]] if close else None


def tell_names(names: Sequence[str], candidates: Sequence[str]) -> str:
    """Return names as text, the first few with a suggestion each."""
    told = []
    searched = list(candidates[: SEARCHED * 25])
    for name in names[:SHOWN]:
        meant = suggest_name(name, searched) if searched else None
        told.append(f"{name!r} (meant {meant!r}?)" if meant else repr(name))
    more = len(names) - SHOWN
    return ", ".join(told) + (f" and {more} more" if more > 0 else "") if told else "nothing"


def plain_name(name: str) -> str:
    """Return a name with case and spaces evened out."""
    return " ".join(name.casefold().split())
