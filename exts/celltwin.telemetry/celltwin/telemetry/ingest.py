"""Check samples, convert them to SI, and keep the newest of each sensor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    Array,
    Channel,
    Kind,
    Level,
    PackSpec,
    Quality,
    Reading,
    SampleBlock,
    expand_channels,
)

from .channel_matching import plain_name, tell_names
from .classification import ACCEPTED, Verdict, classify, describe_faults, is_value_fault
from .plausibility import FrozenSensors, possible_range, too_fast
from .quarantine import Quarantine
from .samples import AcceptedBlock, AcceptedSamples, QuarantinedSamples
from .time_order import find_jumps, smallest_jump

__all__ = ["Ingest"]

_logger = logging.getLogger(__name__)

PERIODS_UNTIL_STALE = 3.0
SHORTEST_STALE = 1.0  # [s]
REMEMBERED_LAYOUTS = 64


@dataclass(frozen=True, eq=False)
class _Group:
    """Channels that make up one reading."""

    quantity: str
    level: Level
    size: int
    channels: NDArray[np.int64]
    elements: NDArray[np.int64]
    redundant: bool
    topics: str


@dataclass(frozen=True, eq=False)
class _BlockLayout:
    """Which columns of a block feed which channels."""

    columns: NDArray[np.int64]
    channels: NDArray[np.int64]
    unmapped: tuple[str, ...]
    whole: bool


class Ingest:
    """Check samples and turn them into readings; whatever comes in, it never stops.

    Parameters
    ----------
    spec : PackSpec
        The pack, with its sensors and mappings.

    Attributes
    ----------
    channels : tuple of Channel
        Incoming channels; accepted samples count them.
    quarantine : Quarantine
        Account of everything that was not accepted.
    """

    def __init__(self, spec: PackSpec) -> None:
        self.channels: tuple[Channel, ...] = tuple(
            channel for channel in expand_channels(spec) if channel.direction == "in"
        )
        self.quarantine = Quarantine()
        count = len(self.channels)
        ranges = np.array([possible_range(spec, channel) for channel in self.channels]).reshape(count, 2)
        self._scale = np.array([channel.scale for channel in self.channels])
        self._offset = np.array([channel.offset for channel in self.channels])
        self._lowest, self._highest = ranges[:, 0].copy(), ranges[:, 1].copy()
        self._uncertainty = np.array([channel.standard_uncertainty for channel in self.channels])
        self._stale_after = np.array(
            [max(PERIODS_UNTIL_STALE / channel.rate, SHORTEST_STALE) for channel in self.channels]
        )
        self._is_temperature = np.array(
            [channel.quantity in ("temperature", "coolant_temperature") for channel in self.channels], dtype=np.bool_
        )
        self._names = {
            plain_name(name): index
            for index, channel in enumerate(self.channels)
            for name in (channel.topic, channel.column)
            if name
        }
        self._groups = _group_channels(spec, self.channels)
        self._frozen_sensors = FrozenSensors([group.channels for group in self._groups], self._uncertainty)
        self._layouts: dict[tuple[str, ...], _BlockLayout] = {}
        self._last_names: tuple[str, ...] = ()
        self._last_layout = self._lay_out(())
        self._unmapped: dict[str, int] = {}
        self._source = ""
        self._provenances: dict[str, tuple[str, ...]] = {}
        # State of each channel.
        self._value = np.full(count, np.nan)
        self._time = np.full(count, np.nan)
        self._newest = np.full(count, -np.inf)
        self._bad = np.zeros(count, dtype=np.bool_)
        self._jumped = np.zeros(count, dtype=np.bool_)
        self._frozen = np.zeros(count, dtype=np.bool_)
        # State of the clock.
        self._clock = -np.inf
        self._jump = smallest_jump(channel.rate for channel in self.channels)
        self._pending: float | None = None

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Columns or topics that came in but that no prim maps."""
        return tuple(self._unmapped)

    @property
    def silent(self) -> tuple[str, ...]:
        """Mapped channels of which nothing has been accepted so far."""
        return tuple([self.channels[index].column for index in np.flatnonzero(np.isnan(self._time))])

    def accept(self, blocks: Iterable[SampleBlock]) -> AcceptedSamples:
        """Check samples, keep the newest of each sensor and return all that passed, in SI.

        Parameters
        ----------
        blocks : iterable of SampleBlock
            Samples as sent, in the order of their arrival.

        Returns
        -------
        AcceptedSamples
            Every value sent by a mapped channel is either in ``blocks`` or counted in ``quarantined``.
        """
        accepted: list[AcceptedBlock] = []
        quarantined: list[QuarantinedSamples] = []
        sent = np.zeros(len(self.channels), dtype=np.int64)
        moved = np.zeros(len(self.channels), dtype=np.bool_)
        for block in blocks:
            layout = self._layout(block.channels)
            self._note_unmapped(block, layout)
            jumps = self._judge_clock(block.time)
            channels = slice(None) if layout.whole else layout.channels
            verdict = classify(
                block,
                layout.columns,
                scale=self._scale[channels],
                offset=self._offset[channels],
                lowest=self._lowest[channels],
                highest=self._highest[channels],
                newest=self._newest[channels],
                jumps=jumps,
            )
            put_aside = describe_faults(block, layout.columns, verdict.codes)
            for samples in put_aside:
                self.quarantine.add(samples)
            quarantined += put_aside
            accepted_here = verdict.codes == ACCEPTED
            if block.time.size == 1 and layout.whole and accepted_here.all():
                self._remember_all(float(block.time[0]), verdict, sent, moved)
            else:
                self._remember(block, layout.channels, verdict, sent, moved)
            if accepted_here.any():
                accepted.append(AcceptedBlock(channels=layout.channels, time=block.time, values=verdict.values))
            if block.origin:
                self._source = block.origin[0]
        if sent.any():
            self._frozen = self._frozen_sensors.update(self._value, sent, moved)
        return AcceptedSamples(blocks=tuple(accepted), quarantined=tuple(quarantined))

    def readings(self, now: float) -> tuple[Reading, ...]:
        """Return one measured reading for each quantity and level that has sensors.

        Parameters
        ----------
        now : float
            Time of the step [s]; values older than three periods of their channel are stale.
        """
        quality = np.where(now - self._time <= self._stale_after, np.uint8(Quality.GOOD), np.uint8(Quality.STALE))
        quality[self._jumped | self._frozen] = Quality.SUSPECT
        quality[self._bad] = Quality.BAD
        readings = []
        for group, provenance in zip(self._groups, self._provenance(), strict=True):
            values = np.full(group.size, np.nan)
            time = np.full(group.size, np.nan)
            uncertainty = np.full(group.size, np.nan)
            marks = np.full(group.size, Quality.STALE, dtype=np.uint8)
            channels, elements = group.channels, group.elements
            if group.redundant:  # the last assignment wins: the best, then the newest, then the surest
                order = np.lexsort(
                    (-self._uncertainty[channels], self._newest[channels], -quality[channels].astype(int))
                )
                channels, elements = channels[order], elements[order]
            values[elements] = self._value[channels]
            time[elements] = self._time[channels]
            uncertainty[elements] = self._uncertainty[channels]
            marks[elements] = quality[channels]
            for array in (values, time, uncertainty, marks):
                array.flags.writeable = False  # spares a copy
            readings.append(
                Reading(
                    kind=Kind.MEASURED,
                    quantity=group.quantity,
                    level=group.level,
                    values=values,
                    time=time,
                    quality=marks,
                    standard_uncertainty=uncertainty,
                    provenance=provenance,
                )
            )
        return tuple(readings)

    def _layout(self, names: tuple[str, ...]) -> _BlockLayout:
        if names is self._last_names:  # spares hashing thousands of names
            return self._last_layout
        found = self._layouts.get(names) or self._lay_out(names)
        self._last_names, self._last_layout = names, found
        return found

    def _lay_out(self, names: tuple[str, ...]) -> _BlockLayout:
        indices = [self._names.get(plain_name(name), -1) for name in names]
        columns, channels, unmapped = [], [], []
        seen: set[int] = set()
        for column, index in enumerate(indices):
            if index < 0 or index in seen:
                unmapped.append(names[column])
                continue
            seen.add(index)
            columns.append(column)
            channels.append(index)
        layout = _BlockLayout(
            columns=np.array(columns, dtype=np.int64),
            channels=np.array(channels, dtype=np.int64),
            unmapped=tuple(unmapped),
            whole=channels == list(range(len(self.channels))),
        )
        if len(self._layouts) >= REMEMBERED_LAYOUTS:
            self._layouts.pop(next(iter(self._layouts)))
        self._layouts[names] = layout
        return layout

    def _note_unmapped(self, block: SampleBlock, layout: _BlockLayout) -> None:
        if not layout.unmapped:
            return
        new = [name for name in layout.unmapped if name not in self._unmapped]
        for name in layout.unmapped:
            self._unmapped[name] = self._unmapped.get(name, 0) + block.time.size
        if new:
            _logger.warning("no prim maps %s", tell_names(new, self.silent))

    def _judge_clock(self, time: Array) -> NDArray[np.bool_]:
        """Return the rows whose time is not believed, and let the clock follow the others."""
        known = time[np.isfinite(time)]
        if known.size == 0:
            return np.zeros(time.size, dtype=np.bool_)
        if self._pending is not None:
            if known[0] >= self._pending:  # two in a row: the gap was real
                self._jump = max(self._jump, 2.0 * (self._pending - self._clock))
                self._clock = self._pending
            self._pending = None
        jumps = find_jumps(time, self._clock, self._jump)
        believed = time[np.isfinite(time) & ~jumps]
        if believed.size:
            self._clock = max(self._clock, float(believed.max()))
        if jumps.any() and known[-1] > self._clock:
            self._pending = float(known[-1])
        return jumps

    def _remember_all(self, time: float, verdict: Verdict, sent: NDArray[np.int64], moved: NDArray[np.bool_]) -> None:
        """Keep one row in which every channel was accepted: the usual case, where speed counts."""
        values = verdict.values[0]
        moved |= values != self._value
        now = np.full(values.size, time)
        self._jumped = too_fast(self._is_temperature, self._value, self._time, values, now)
        self._bad[:] = False
        self._value[:] = values
        self._time = now
        self._newest[:] = verdict.newest
        sent += 1

    def _remember(
        self,
        block: SampleBlock,
        channels: NDArray[np.int64],
        verdict: Verdict,
        sent: NDArray[np.int64],
        moved: NDArray[np.bool_],
    ) -> None:
        """Keep the newest accepted value of each channel of a block."""
        rows = block.time.size
        if rows == 0 or channels.size == 0:
            return
        accepted = verdict.codes == ACCEPTED
        faulty = is_value_fault(verdict.codes)
        number = accepted.sum(axis=0)
        last = rows - 1 - np.argmax(accepted[::-1], axis=0)
        last_faulty = rows - 1 - np.argmax(faulty[::-1], axis=0)
        some = number > 0
        some_faulty = faulty.any(axis=0)
        self._bad[channels] = np.where(
            some_faulty & (~some | (last_faulty > last)), True, np.where(some, False, self._bad[channels])
        )
        column = np.arange(channels.size)
        values, time = verdict.values[last, column], block.time[last]
        before, before_time = self._value[channels], self._time[channels]
        with np.errstate(invalid="ignore"):
            moved[channels] |= (accepted & (verdict.values != before)).any(axis=0)
        if rows > 1:
            earlier = accepted.copy()
            earlier[last, column] = False
            previous = rows - 1 - np.argmax(earlier[::-1], axis=0)
            twice = number > 1
            before = np.where(twice, verdict.values[previous, column], before)
            before_time = np.where(twice, block.time[previous], before_time)
        fast = too_fast(self._is_temperature[channels], before, before_time, values, time)
        self._jumped[channels] = np.where(some, fast, self._jumped[channels])
        self._value[channels] = np.where(some, values, self._value[channels])
        self._time[channels] = np.where(some, time, self._time[channels])
        self._newest[channels] = verdict.newest
        sent[channels] += number

    def _provenance(self) -> tuple[str, ...]:
        source, _, line = self._source.rpartition(":")
        source = source if line.isdigit() else self._source
        found = self._provenances.get(source)
        if found is None:
            found = tuple([f"{source}: {group.topics}" if source else group.topics for group in self._groups])
            self._provenances = {source: found}
        return found


def _group_channels(spec: PackSpec, channels: Sequence[Channel]) -> tuple[_Group, ...]:
    members: dict[tuple[str, Level], list[int]] = {}
    for index, channel in enumerate(channels):
        members.setdefault((channel.quantity, channel.level), []).append(index)
    mappings = {mapping.channel: mapping for mapping in spec.mappings}
    groups = []
    for (quantity, level), indices in members.items():
        elements = np.array([channels[index].element for index in indices], dtype=np.int64)
        used = dict.fromkeys(channels[index].mapping for index in indices)
        groups.append(
            _Group(
                quantity=quantity,
                level=level,
                size=spec.size(level),
                channels=np.array(indices, dtype=np.int64),
                elements=elements,
                redundant=np.unique(elements).size < elements.size,
                topics=", ".join(mappings[name].topic or mappings[name].column or name for name in used),
            )
        )
    return tuple(groups)
