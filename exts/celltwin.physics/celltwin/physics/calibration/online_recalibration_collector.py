"""Telemetry of a running pack as it comes in, kept by group, and cut into windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Channel, Level, PackSpec

from .online_recalibration_window import GROUP_LEVELS, TelemetryWindow, over_groups

__all__ = ["WindowCollector"]

_QUANTITIES = ("current", "voltage", "temperature")
_REST = 0.02  # current of a pack that rests, over the capacity [1/h]
_NOISE = 4.0  # standard uncertainties of the current sensor that are no current
_BRIDGED = 60.0  # silence of the current sensor that is interpolated over [s]


class WindowCollector:
    """Keeps current, voltage and temperature of the groups until they are cut out as a window.

    Quantities may come in blocks of their own and at their own times: rows are those of the voltages, with the
    current interpolated between its neighbours where these lie within a minute.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    channels : sequence of Channel
        Those that samples come from; blocks count them.
    """

    def __init__(self, spec: PackSpec, channels: Sequence[Channel]) -> None:
        self._spec = spec
        self._elements = {
            quantity: (level, np.array([_element(channel, quantity, level) for channel in channels], dtype=np.int64))
            for quantity in _QUANTITIES
            for level in [_level(quantity, channels, spec)]
            if level is not None
        }
        level, elements = self._elements.get("current", (Level.PACK, np.empty(0, dtype=np.int64)))
        noise = max(
            (item.standard_uncertainty for item, own in zip(channels, elements, strict=False) if own >= 0), default=0.0
        )
        cells = spec.parallel * (spec.strings if level is Level.PACK else 1)
        self._rest = max(_REST * spec.cell.capacity, _NOISE * noise / cells)  # [A]
        self._blocks: list[tuple[Array, tuple[Array, Array, Array]]] = []
        self._begun = float("nan")
        self._newest = float("nan")
        self._flowing = float("nan")  # newest current of a mean cell [A]
        self._worked = False

    @property
    def missing(self) -> tuple[str, ...]:
        """Quantities that no sensor of the pack measures where they would be needed."""
        return tuple(quantity for quantity in _QUANTITIES if quantity not in self._elements)

    @property
    def duration(self) -> float:
        """Time that is kept [s]."""
        return 0.0 if np.isnan(self._begun) else self._newest - self._begun

    @property
    def resting(self) -> bool:
        """Whether hardly any current flows at the newest sample."""
        return bool(abs(self._flowing) < self._rest)

    @property
    def worked(self) -> bool:
        """Whether more than that flowed at any time that is kept."""
        return self._worked

    def add(self, time: Array, columns: NDArray[np.int64], values: Array) -> None:
        """Keep samples that came together.

        Parameters
        ----------
        time : ndarray of shape (n,)
            [s since the start of the run].
        columns : ndarray of int of shape (n_columns,)
            Channel of each column.
        values : ndarray of shape (n, n_columns)
            In SI; not a number where there is none.
        """
        if not time.size:
            return
        found = tuple(self._of_groups(quantity, columns, values) for quantity in _QUANTITIES)
        current = found[0].mean(axis=1)
        known = np.isfinite(current)
        if known.any():
            self._flowing = float(current[known][-1])
            self._worked |= bool(np.any(np.abs(current[known]) >= self._rest))
        self._blocks.append((time, found))  # type: ignore[arg-type]  # three of them
        first, last = float(np.min(time)), float(np.max(time))
        self._begun = first if np.isnan(self._begun) else min(self._begun, first)
        self._newest = last if np.isnan(self._newest) else max(self._newest, last)

    def cut(self) -> TelemetryWindow | None:
        """Return what is kept as a window and begin the next, at the newest sample; None where it is none."""
        blocks, self._blocks = self._blocks, []
        self._begun = self._newest = float("nan")
        self._worked = False
        if not blocks:
            return None
        time = np.concatenate([block[0] for block in blocks])
        rows = [np.concatenate([block[1][place] for block in blocks]) for place in range(3)]
        times, place = np.unique(time, return_inverse=True)
        current, voltage, temperature = (_merged(values, place, times.size) for values in rows)
        last = slice(-1, None)
        self._blocks = [(times[last].copy(), (current[last].copy(), voltage[last].copy(), temperature[last].copy()))]
        self._begun = self._newest = float(times[-1])
        measured = np.isfinite(voltage).any(axis=1)
        kept = slice(None) if measured.all() else measured
        if np.count_nonzero(measured) < 2:
            return None
        return TelemetryWindow(
            time=times[kept],
            current=_bridged(times, current)[kept],
            voltage=voltage[kept],
            temperature=_spread(temperature, self._spec)[kept],
            group_ids=self._spec.element_ids(Level.GROUP),
            source=f"telemetry of {self._spec.name}",
        )

    def _of_groups(self, quantity: str, columns: NDArray[np.int64], values: Array) -> Array:
        if quantity not in self._elements:
            return np.full((len(values), self._spec.n_groups), np.nan)
        level, elements = self._elements[quantity]
        own = elements[columns]
        ordered = np.full((len(values), self._spec.size(level)), np.nan)
        ordered[:, own[own >= 0]] = values[:, own >= 0]
        return over_groups(ordered, quantity, level, self._spec)


def _level(quantity: str, channels: Sequence[Channel], spec: PackSpec) -> Level | None:
    """Return the level that is measured whole, else for temperatures the one with most sensors; None for none."""
    counts = {
        level: len({channel.element for channel in channels if (channel.quantity, channel.level) == (quantity, level)})
        for level in GROUP_LEVELS[quantity]
    }
    whole = [level for level, count in counts.items() if count == spec.size(level)]
    if whole:
        return whole[0]
    most = max(counts, key=lambda level: counts[level])
    return most if quantity != "current" and counts[most] else None


def _element(channel: Channel, quantity: str, level: Level) -> int:
    return channel.element if (channel.quantity, channel.level) == (quantity, level) else -1


def _merged(values: Array, place: NDArray[np.intp], size: int) -> Array:
    """Return rows of equal times as one: the last value that is known."""
    if place.size == size and np.all(np.diff(place) > 0):
        return values
    merged = np.full((size, values.shape[1]), np.nan)
    for row, values_of_row in zip(place, values, strict=True):
        known = np.isfinite(values_of_row)
        merged[row, known] = values_of_row[known]
    return merged


def _bridged(time: Array, current: Array) -> Array:
    """Return the current with short silences filled linearly; longer ones stay unknown."""
    known = np.isfinite(current)
    if known.all():
        return current
    filled = np.array(current)
    for group in np.flatnonzero(~known.all(axis=0)):
        at = np.flatnonzero(known[:, group])
        if at.size == 0:
            continue
        filled[:, group] = np.interp(time, time[at], current[at, group])
        after = np.clip(np.searchsorted(at, np.arange(time.size)), 0, at.size - 1)
        before = np.clip(after - 1, 0, at.size - 1)
        near = np.abs(time - time[at[after]]) + np.abs(time - time[at[before]]) <= _BRIDGED
        exact = np.isin(np.arange(time.size), at)
        filled[~(near | exact), group] = np.nan
    return filled


def _spread(temperature: Array, spec: PackSpec) -> Array:
    """Return temperatures with those of groups that have no sensor taken from their module, else from the pack."""
    known = np.isfinite(temperature)
    if known.any(axis=0).all() or not known.any():
        return temperature
    filled = np.array(temperature)
    modules = np.repeat(np.arange(spec.n_modules), spec.series)
    for group in np.flatnonzero(~known.any(axis=0)):
        same = known[:, modules == modules[group]].any(axis=0)
        others = filled[:, modules == modules[group]][:, same] if same.any() else temperature[:, known.any(axis=0)]
        count = np.isfinite(others).sum(axis=1)
        filled[:, group] = np.where(count > 0, np.nansum(others, axis=1) / np.maximum(count, 1), np.nan)
    return filled
