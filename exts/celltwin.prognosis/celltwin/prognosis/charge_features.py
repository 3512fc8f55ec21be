"""Charging features of every cell of a running pack, from its own charge curves."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, Array, Flags, PackSpec, PackState, freeze

from .cell_samples import sample_cells
from .charge_windows import WindowIntegrals
from .features import FEATURE_NAMES, REFERENCE_WINDOW, ChargeWindow, shape_features
from .tail_filter import TailFilter

__all__ = ["ChargeDoubt", "ChargeFeatures", "ChargeRecord"]

# A gap in the samples longer than this ends what was being observed [s].
LONGEST_GAP = 60.0
# Below this current a cell does not charge [A of a cell of the window's capacity].
LEAST_CURRENT = 0.02
# Constant current has ended when it falls by this share with the voltage this near to the top of the window [V].
CURRENT_FALL, NEAR_TOP = 0.02, 0.045
# A tail that ended before the lowest current is extended from here at most [A], by the decay seen since there [A].
EXTENDABLE_CURRENT, DECAY_CURRENT = 0.15, 0.2
# Doubt: a larger share of a window was extended, or the tail was held so far below the charge voltage [V].
LARGE_EXTENSION, VOLTAGE_DEFICIT = 0.15, 0.010
# The sample period is the median of so many steps.
PERIOD_STEPS = 15
# Weight of the newest stretch in the running slope of the voltage.
SLOPE_WEIGHT = 0.4


class Stage(IntEnum):
    """Where the observation of a cell's charge stands."""

    IDLE = 0  # not charging, or a charge whose beginning was not seen
    RISING = 1  # charging below the window
    WINDOW = 2  # inside the constant-current window
    TAIL = 3  # constant current has ended, the tail is awaited or observed


class ChargeDoubt(IntFlag):
    """Why the features of a complete charge may not be comparable with the training data."""

    NONE = 0
    WINDOW_EXTENDED = 1
    TAIL_EXTENDED = 2
    VOLTAGE_NOT_HELD = 4


DOUBT_TEXTS = {
    ChargeDoubt.VOLTAGE_NOT_HELD: "voltage not held at the top",
    ChargeDoubt.WINDOW_EXTENDED: "constant-current window not seen whole",
    ChargeDoubt.TAIL_EXTENDED: "tail not seen whole",
}


def charge_causes(doubts: Flags) -> dict[str, NDArray[np.bool_]]:
    """Return which charges are doubted, by cause in words, from :class:`ChargeDoubt` bits of shape (n,)."""
    return {text: (doubts & doubt) != 0 for doubt, text in DOUBT_TEXTS.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class ChargeRecord:
    """The newest complete charge of every cell.

    Attributes
    ----------
    features : ndarray of shape (n_cells, 16)
        Columns as :data:`FEATURE_NAMES`, currents as of a cell of the window's capacity; NaN until a charge is
        complete, and always NaN for the two entropies.
    completed : ndarray of shape (n_cells,)
        When the charge was complete [s since the start of the run]; NaN where never.
    doubts : ndarray of uint8, shape (n_cells,)
        :class:`ChargeDoubt` of each charge.
    under_way : int
        Cells whose charge is being observed now.
    """

    features: Array
    completed: Array
    doubts: Flags
    under_way: int


class ChargeFeatures:
    """Watch every step of a running pack and keep the features of each cell's newest complete charge.

    A charge is complete when its voltage has been seen to rise through the constant-current window and its
    current to fall through the constant-voltage window. Samples may come at any period up to a minute: between
    them voltage is linear and current exponential, and every statistic is an integral over time. A current
    sensor's noise is averaged over a minute of the tail. A window that the charge leaves early is extended by
    the slope seen last, and the record says so.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    window : ChargeWindow
        Which stretches of a charge to describe.

    Notes
    -----
    Voltage and current are those of :func:`sample_cells`. The methods may be called from different threads.
    """

    def __init__(self, spec: PackSpec, window: ChargeWindow = REFERENCE_WINDOW) -> None:
        n_cells = spec.n_cells
        self._spec = spec
        self._bounds = window
        self._scale = window.capacity / spec.cell.capacity
        self._lock = threading.Lock()
        self._stage = np.zeros(n_cells, dtype=np.uint8)
        self._time = np.full(n_cells, -np.inf)
        self._voltage = np.full(n_cells, np.nan)
        self._current = np.zeros(n_cells)
        self._slope = np.full(n_cells, np.nan)
        centre = 0.5 * (window.lowest_voltage + window.highest_voltage)
        self._window = WindowIntegrals(n_cells, centre)
        self._tail = WindowIntegrals(n_cells, 0.5 * (window.lowest_current + window.highest_current))
        self._filter = TailFilter(n_cells)
        self._steps: deque[float] = deque(maxlen=PERIOD_STEPS)  # [s]
        self._last_state = np.nan  # [s]
        self._tail_open = np.zeros(n_cells, dtype=np.bool_)
        self._tail_voltage = np.zeros(n_cells)  # [V.s]
        self._decay_time = np.full(n_cells, np.nan)
        self._features = np.full((n_cells, len(FEATURE_NAMES)), np.nan)
        self._completed = np.full(n_cells, np.nan)
        self._doubts = np.zeros(n_cells, dtype=np.uint8)

    @property
    def bounds_text(self) -> str:
        """What a whole charge is, for people."""
        bounds, current = self._bounds, self._bounds.lowest_current / self._scale
        return (
            f"from below {bounds.lowest_voltage:.2f} V past {bounds.highest_voltage:.3f} V and on until its current "
            f"is {current:.2g} A"
        )

    def features(self) -> Array:
        """Return the features of each cell's newest complete charge, shape (n_cells, 16), NaN where none."""
        return self.record().features

    def record(self, until: float = np.inf) -> ChargeRecord:
        """Return what is known of charges that were complete at a time [s since the start of the run]."""
        with self._lock:
            known = self._completed <= until
            return ChargeRecord(
                features=freeze(np.where(known[:, np.newaxis], self._features, np.nan)),
                completed=freeze(np.where(known, self._completed, np.nan)),
                doubts=freeze(np.where(known, self._doubts, 0).astype(np.uint8)),
                under_way=int(np.count_nonzero(self._stage > Stage.RISING)),
            )

    def completed_since(self, time: float) -> tuple[NDArray[np.intp], ChargeRecord]:
        """Return the cells whose newest charge was complete after a time [s], and these charges, a row each."""
        with self._lock:
            cells = np.flatnonzero(self._completed > time)
            return cells, ChargeRecord(
                features=freeze(self._features[cells]),
                completed=freeze(self._completed[cells]),
                doubts=freeze(self._doubts[cells]),
                under_way=int(np.count_nonzero(self._stage > Stage.RISING)),
            )

    def observe(self, state: PackState) -> None:
        """Take in one process image."""
        samples = sample_cells(state, self._spec)
        time, voltage, current = samples.time, samples.voltage, -samples.current * self._scale
        with self._lock:
            if state.time > self._last_state:
                self._steps.append(state.time - self._last_state)
            self._last_state = state.time
            new = np.isfinite(voltage) & np.isfinite(current) & (time > self._time)
            step = time - self._time
            charging = current > LEAST_CURRENT
            self._stage[new & (step > LONGEST_GAP)] = Stage.IDLE
            stopped = new & ~charging & (self._stage != Stage.IDLE)
            if stopped.any():
                self._stop(np.flatnonzero(stopped), state.time)
            active = new & charging
            tail = np.flatnonzero(active & (self._stage == Stage.TAIL))
            rising = active & ((self._stage == Stage.WINDOW) | (self._stage == Stage.RISING))
            if rising.any():
                cells = np.flatnonzero(rising)
                self._constant_current(cells, step[cells], voltage[cells], current[cells])
            if tail.size:
                self._constant_voltage(tail, time[tail], voltage[tail], current[tail], state.time)
            below = voltage < self._bounds.lowest_voltage
            self._stage[active & below & (self._stage == Stage.IDLE)] = Stage.RISING
            self._time[new], self._voltage[new], self._current[new] = time[new], voltage[new], current[new]

    def _constant_current(self, cells: NDArray[np.intp], step: Array, voltage: Array, current: Array) -> None:
        bounds = self._bounds
        bottom, top = bounds.lowest_voltage, bounds.highest_voltage
        before, current_before = self._voltage[cells], self._current[cells]
        seen = (voltage - before) / step
        ended = (current < (1.0 - CURRENT_FALL) * current_before) & (voltage >= top - NEAR_TOP)
        # Where the current began to fall within the step, the voltage bent: go on as it rose until then.
        known = np.isfinite(self._slope[cells]) & (self._slope[cells] > 0.0)
        slope = np.where(ended & known, self._slope[cells], seen)
        left = ended | (voltage >= top)
        entering = (self._stage[cells] == Stage.RISING) & (voltage >= bottom) & (seen > 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            start = np.where(entering, np.clip((bottom - before) / slope, 0.0, step), 0.0)
            end = np.where(left & (slope > 0.0), np.maximum((top - before) / slope, start), step)
        first = np.where(entering, bottom, before)
        last = np.where(left, top, voltage)
        drift = np.where(ended, 0.0, (current - current_before) / step)
        charge = (end - start) * (current_before + drift * 0.5 * (start + end))
        inside = entering | (self._stage[cells] == Stage.WINDOW)
        self._window.clear(cells[entering])
        chosen = cells[inside]
        first, last, duration = first[inside], last[inside], (end - start)[inside]
        self._window.add(
            chosen, first, last, duration, charge[inside], duration * _share_above(first, last, bounds.slope_voltage)
        )
        missed = np.where(ended & (voltage < top), (top - voltage) / (top - bottom), 0.0)
        self._window.extrapolated[cells] = missed
        steady = ~ended & (seen > 0.0)
        smooth = np.where(known, (1.0 - SLOPE_WEIGHT) * self._slope[cells] + SLOPE_WEIGHT * seen, seen)
        self._slope[cells] = np.where(steady, smooth, self._slope[cells])
        self._stage[chosen] = Stage.WINDOW
        fallen_back = (voltage < bottom - NEAR_TOP) & inside
        self._stage[cells[fallen_back]] = Stage.RISING
        done = cells[inside & left]
        self._stage[done] = Stage.TAIL
        self._slope[done] = np.nan
        self._tail_open[done] = False
        if done.size and np.count_nonzero(self._stage == Stage.TAIL) == done.size:  # the first of a charge
            self._filter.set_period(float(np.median(self._steps)))
        self._filter.clear(done)

    def _constant_voltage(
        self, cells: NDArray[np.intp], time: Array, voltage: Array, current: Array, now: float
    ) -> None:
        bounds = self._bounds
        high, low = np.log(bounds.highest_current), np.log(bounds.lowest_current)
        cells, first_time, last_time, first, last, voltage = self._filter.add(cells, time, np.log(current), voltage)
        if not cells.size:
            return
        opening = ~self._tail_open[cells] & (first > high) & (last <= high)
        missed = ~self._tail_open[cells] & (first <= high)
        regained = self._tail_open[cells] & (last > high + 0.2)
        self._stage[cells[missed | regained]] = Stage.IDLE
        self._tail.clear(cells[opening])
        self._tail_voltage[cells[opening]] = 0.0
        self._decay_time[cells[opening]] = np.nan
        self._tail_open[cells[opening]] = True
        inside = self._tail_open[cells] & ~missed & ~regained
        cells, first_time, last_time = cells[inside], first_time[inside], last_time[inside]
        first, last, voltage, opening = first[inside], last[inside], voltage[inside], opening[inside]
        step, fall = last_time - first_time, first - last
        with np.errstate(divide="ignore", invalid="ignore"):
            start = np.where(opening, step * (first - high) / fall, 0.0)
            end = np.where(last <= low, step * (first - low) / fall, step)
            crossing = first_time + step * (first - np.log(DECAY_CURRENT)) / fall
        passed = (first > np.log(DECAY_CURRENT)) & (last <= np.log(DECAY_CURRENT))
        self._decay_time[cells[passed]] = crossing[passed]
        start, end = np.clip(start, 0.0, step), np.clip(end, 0.0, step)
        from_current = np.exp(np.where(opening, high, first))
        to_current = np.exp(np.where(last <= low, low, last))
        self._add_tail(cells, from_current, to_current, end - start, voltage)
        finished = last <= low
        if finished.any():
            self._complete(cells[finished], now)

    def _add_tail(self, cells: NDArray[np.intp], first: Array, last: Array, duration: Array, voltage: Array) -> None:
        chord = duration * _share_above(first, last, self._bounds.slope_current)
        self._tail.add(cells, first, last, duration, 0.5 * (first + last) * duration, chord)
        self._tail_voltage[cells] += voltage * duration

    def _stop(self, cells: NDArray[np.intp], now: float) -> None:
        """Charging has ended: complete the tails that were nearly there, forget the rest."""
        bounds = self._bounds
        time, level = self._filter.newest(cells)
        with np.errstate(invalid="ignore", divide="ignore"):
            decay = (np.log(DECAY_CURRENT) - level) / (time - self._decay_time[cells])
            near = (
                (self._stage[cells] == Stage.TAIL)
                & self._tail_open[cells]
                & (level <= np.log(EXTENDABLE_CURRENT))
                & (decay > 0.0)
            )
        extended, level, decay = cells[near], level[near], decay[near]
        if extended.size:
            remaining = level - np.log(bounds.lowest_current)
            shares = np.linspace(0.0, 1.0, 9)
            held = self._tail_voltage[extended] / self._tail.duration[extended]
            for begin, end in pairwise(shares):
                first, last = np.exp(level - begin * remaining), np.exp(level - end * remaining)
                self._add_tail(extended, first, last, (end - begin) * remaining / decay, held)
            span = np.log(bounds.highest_current / bounds.lowest_current)
            self._tail.extrapolated[extended] = remaining / span
            self._complete(extended, now)
        self._stage[cells] = Stage.IDLE
        self._slope[cells] = np.nan

    def _complete(self, cells: NDArray[np.intp], now: float) -> None:
        bounds, window, tail = self._bounds, self._window, self._tail
        columns = {name: column for column, name in enumerate(FEATURE_NAMES)}
        values = np.full((len(FEATURE_NAMES), cells.size), np.nan)
        chord_voltage = bounds.highest_voltage - bounds.slope_voltage
        chord_current = bounds.slope_current - bounds.highest_current
        for integrals, signal, charge, chord in (
            (window, "voltage", "CC", chord_voltage),
            (tail, "current", "CV", chord_current),
        ):
            duration = integrals.duration[cells]
            mean, spread, kurtosis, skewness = shape_features(integrals.powers[:, cells], duration)
            values[columns[f"{signal} mean"]] = mean + integrals.centre
            values[columns[f"{signal} std"]] = spread
            values[columns[f"{signal} kurtosis"]] = kurtosis
            values[columns[f"{signal} skewness"]] = skewness
            with np.errstate(divide="ignore", invalid="ignore"):
                values[columns[f"{signal} slope"]] = chord / integrals.slope_duration[cells]
                kept = 1.0 - bounds.sample_period / duration
            values[columns[f"{charge} Q"]] = kept * integrals.charge[cells] / SECONDS_PER_HOUR
            values[columns[f"{charge} charge time"]] = kept * duration
        doubts = np.zeros(cells.size, dtype=np.uint8)
        doubts[window.extrapolated[cells] > LARGE_EXTENSION] |= np.uint8(ChargeDoubt.WINDOW_EXTENDED)
        doubts[tail.extrapolated[cells] > LARGE_EXTENSION] |= np.uint8(ChargeDoubt.TAIL_EXTENDED)
        held = self._tail_voltage[cells] / tail.duration[cells]
        doubts[held < self._spec.cell.highest_voltage - VOLTAGE_DEFICIT] |= np.uint8(ChargeDoubt.VOLTAGE_NOT_HELD)
        self._features[cells] = values.T
        self._completed[cells] = now
        self._doubts[cells] = doubts
        self._stage[cells] = Stage.IDLE


def _share_above(first: Array, last: Array, level: float) -> Array:
    """Return which share of a linear stretch lies above a level."""
    high, low = np.maximum(first, last), np.minimum(first, last)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(high > low, (high - level) / (high - low), high >= level)
    return np.clip(share, 0.0, 1.0)
