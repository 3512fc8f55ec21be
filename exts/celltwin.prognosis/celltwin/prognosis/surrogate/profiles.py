"""Currents over time, drawn at random: the kinds that a surrogate is trained on, and other kinds that it is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, SettingsError

__all__ = ["HELD_OUT_KINDS", "PERIOD", "TRAINING_KINDS", "CurrentCourse", "draw_course", "first_soc"]

PERIOD = 10.0  # [s]: steps of the surrogate, and rows of a simulation
EDGE = 1.0  # [s] that a jump of current takes
TRAINING_KINDS = ("steps", "ramps", "sines", "tapers")
HELD_OUT_KINDS = ("constant", "pulses", "drive", "fast_charge")


@dataclass(frozen=True, eq=False)
class CurrentCourse:
    """A current that is straight between knots.

    Attributes
    ----------
    time : ndarray of shape (n_knots,)
        Rising, from 0 on [s].
    current : ndarray of shape (n_knots,)
        Positive on discharge [A].
    """

    time: Array
    current: Array

    def rows(self, period: float = PERIOD) -> tuple[Array, Array, Array]:
        """Return ends of steps [s], the mean current of each step and the current at its end [A], each (n_steps,)."""
        edges = np.arange(0.0, self.time[-1] + 1e-6, period)
        charge = np.concatenate([[0.0], np.cumsum(np.diff(self.time) * 0.5 * (self.current[1:] + self.current[:-1]))])
        piece = np.clip(np.searchsorted(self.time, edges, side="right") - 1, 0, self.time.size - 2)
        since = edges - self.time[piece]
        slope = (self.current[piece + 1] - self.current[piece]) / (self.time[piece + 1] - self.time[piece])
        drawn = charge[piece] + self.current[piece] * since + 0.5 * slope * since**2
        return edges[1:], np.diff(drawn) / period, np.interp(edges[1:], self.time, self.current)


def first_soc(kind: str, random: np.random.Generator) -> float:
    """Return a state of charge [-] for a profile of a kind to start from."""
    if kind == "constant":
        return float(random.uniform(0.97, 1.0))
    if kind == "pulses":
        return float(random.uniform(0.6, 1.0))
    if kind == "fast_charge":
        return float(random.uniform(0.03, 0.3))
    if kind == "drive":
        return float(random.uniform(0.35, 0.95))
    return float(random.uniform(0.03, 0.99))


def draw_course(
    kind: str, random: np.random.Generator, *, capacity: float, soc: float, temperature: float, duration: float = 3600.0
) -> CurrentCourse:
    """Return a course of a kind, drawn at random.

    States of charge stay within [0.02, 0.98] but for ``"constant"``, which empties the cell; currents are smaller in
    the cold, where a cell reaches its voltage limits soon.

    Parameters
    ----------
    kind : str
        One of :data:`TRAINING_KINDS` and :data:`HELD_OUT_KINDS`; of ``"fast_charge"`` only the constant current.
    random : numpy.random.Generator
        Source of everything random.
    capacity : float
        Capacity of the cell [A.h].
    soc, temperature : float
        State of charge [-] and temperature [K] at the start.
    duration : float
        Length [s], a multiple of :data:`PERIOD`.

    Raises
    ------
    SettingsError
        If the kind is unknown.
    """
    makers = {
        "steps": _steps,
        "ramps": _ramps,
        "sines": _sines,
        "tapers": _tapers,
        "constant": _constant,
        "pulses": _pulses,
        "drive": _drive,
        "fast_charge": _fast_charge,
    }
    if kind not in makers:
        raise SettingsError(f"kind = {kind!r} of a profile is unknown", remedy=f"Use one of {', '.join(makers)}")
    strength = float(np.clip((temperature - 263.0) / 35.0, 0.3, 1.0))
    time, rate = makers[kind](_Draw(random, soc, strength, duration))
    return CurrentCourse(time, rate * capacity)


class _Draw(NamedTuple):
    random: np.random.Generator
    soc: float
    strength: float
    duration: float


def _signed_rate(random: np.random.Generator, soc: float, strength: float) -> float:
    """Return a rate [1/h]: often small, discharging where there is charge, charging where there is room."""
    if random.random() < 0.15:
        return 0.0
    discharging = random.random() < np.clip((soc - 0.08) / 0.84, 0.0, 1.0)
    return float((3.0 if discharging else -2.5) * strength * random.random() ** 1.3)


def _fitting(rate: float, soc: float, seconds: float) -> float:
    """Return the rate, made smaller where it would leave the state of charge's range within so many seconds."""
    room = (soc - 0.02) if rate > 0.0 else (0.98 - soc)
    return float(np.sign(rate) * min(abs(rate), SECONDS_PER_HOUR * max(room, 0.0) / seconds))


def _held(lengths: list[float], rates: list[float]) -> tuple[Array, Array]:
    """Return knots of rates that are held for so many seconds each."""
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    time, rate = [0.0], [rates[0]]
    for edge, before, after in zip(edges[1:-1], rates[:-1], rates[1:], strict=True):
        if after != before:
            time += [edge, edge + EDGE]
            rate += [before, after]
    return np.array([*time, edges[-1]]), np.array([*rate, rates[-1]])


def _length(random: np.random.Generator, longest: float, left: float) -> float:
    seconds = np.exp(random.uniform(np.log(20.0), np.log(longest)))
    return float(min(left, PERIOD * round(seconds / PERIOD)))


def _steps(draw: _Draw) -> tuple[Array, Array]:
    random, soc, strength, duration = draw
    lengths: list[float] = []
    rates: list[float] = []
    longest = float(random.choice([600.0, 1800.0, 3600.0]))
    while sum(lengths) < duration:
        seconds = _length(random, longest, duration - sum(lengths))
        rate = _fitting(_signed_rate(random, soc, strength), soc, seconds)
        soc -= rate * seconds / SECONDS_PER_HOUR
        lengths.append(seconds)
        rates.append(rate)
    return _held(lengths, rates)


def _ramps(draw: _Draw) -> tuple[Array, Array]:
    random, soc, strength, duration = draw
    time, rate = [0.0], [_signed_rate(random, soc, strength)]
    while time[-1] < duration:
        seconds = max(PERIOD, _length(random, 900.0, duration - time[-1]))
        wanted = 0.5 * (rate[-1] + _signed_rate(random, soc, strength))
        mean = _fitting(wanted, soc, 2.0 * seconds)
        time.append(time[-1] + seconds)
        rate.append(2.0 * mean - rate[-1] if abs(2.0 * mean - rate[-1]) < 3.0 * strength else mean)
        soc -= 0.5 * (rate[-1] + rate[-2]) * seconds / SECONDS_PER_HOUR
    return np.array(time), np.array(rate)


def _sines(draw: _Draw) -> tuple[Array, Array]:
    random, soc, strength, duration = draw
    every = 30.0
    time = np.arange(0.0, duration + 1.0, every)
    offset = _fitting(0.5 * _signed_rate(random, soc, strength), 0.2 + 0.6 * soc, duration)
    rate = np.full(time.size, offset)
    for _ in range(random.integers(1, 4)):
        cycle = np.exp(random.uniform(np.log(240.0), np.log(2400.0)))
        share = min(1.0, 0.25 * min(soc, 1.0 - soc) * SECONDS_PER_HOUR * np.pi / cycle)
        rate += share * strength * random.uniform(0.2, 1.2) * np.sin(2.0 * np.pi * (time / cycle + random.random()))
    return time, rate


def _tapers(draw: _Draw) -> tuple[Array, Array]:
    """Constant currents that then decay, as where a voltage is held, with rests."""
    random, soc, strength, duration = draw
    time, rate = [0.0], [0.0]
    while time[-1] < duration:
        start = _fitting(_signed_rate(random, soc, strength), soc, 900.0)
        held, decay = random.uniform(60.0, 900.0), random.uniform(120.0, 600.0)
        held, tail = (
            PERIOD * round(held / PERIOD),
            PERIOD * np.round(decay * np.array([0.25, 0.5, 1.0, 1.5, 2.5]) / PERIOD),
        )
        begun = time[-1]
        time += [begun + EDGE, begun + held, *(begun + held + tail)]
        rate += [start, start, *(start * np.exp(-tail / decay))]
        soc -= start * (held + 0.92 * decay) / SECONDS_PER_HOUR
        if random.random() < 0.5:
            time += [time[-1] + EDGE, time[-1] + PERIOD * random.integers(3, 60)]
            rate += [0.0, 0.0]
    return _cut(np.array(time), np.array(rate), duration)


def _cut(time: Array, rate: Array, duration: float) -> tuple[Array, Array]:
    kept = time < duration
    return np.append(time[kept], duration), np.append(rate[kept], np.interp(duration, time, rate))


def _constant(draw: _Draw) -> tuple[Array, Array]:
    """Return a discharge at 0.3C to 2C until the cell is empty."""
    rate = np.exp(draw.random.uniform(np.log(0.3), np.log(2.0)))
    return _held([PERIOD * np.ceil(SECONDS_PER_HOUR * draw.soc / rate / PERIOD)], [float(rate)])


def _pulses(draw: _Draw) -> tuple[Array, Array]:
    """Pairs of pulses and rests, a tenth of the charge apart, as in HPPC tests."""
    random, soc, strength, duration = draw
    lengths: list[float] = []
    rates: list[float] = []
    high = random.uniform(1.0, 2.5) * strength
    pulse, rest = PERIOD * random.integers(1, 4), PERIOD * random.integers(6, 40)
    while sum(lengths) < duration and soc > 0.12:
        lengths += [pulse, 40.0, pulse, rest, 360.0, rest]
        rates += [high, 0.0, -0.75 * high if soc < 0.9 else 0.0, 0.0, 1.0 * strength, 0.0]
        soc -= 0.1 * strength + 0.25 * high * pulse / SECONDS_PER_HOUR
    return _held(lengths, rates)


def _drive(draw: _Draw) -> tuple[Array, Array]:
    """Driving for 20 minutes: start, cruise, brake, stop, one after the other, in pieces of 10 to 60 s."""
    random, soc, strength, _ = draw
    lengths: list[float] = []
    rates: list[float] = []
    while sum(lengths) < 1200.0 and soc > 0.05:
        cruise = random.uniform(0.2, 1.4) * strength
        trip = [
            (PERIOD * random.integers(1, 3), random.uniform(1.2, 3.0) * strength),
            (PERIOD * random.integers(1, 7), cruise),
            (PERIOD * random.integers(1, 4), cruise * random.uniform(0.5, 1.5)),
            (PERIOD, -random.uniform(0.3, 1.8) * strength if soc < 0.93 else 0.0),
            (PERIOD * random.integers(1, 3), 0.02),
        ]
        lengths += [float(seconds) for seconds, _ in trip]
        rates += [float(rate) for _, rate in trip]
        soc -= sum(seconds * rate for seconds, rate in trip) / SECONDS_PER_HOUR
    return _held(lengths, rates)


def _fast_charge(draw: _Draw) -> tuple[Array, Array]:
    rate = draw.random.uniform(1.0, 2.5) * max(draw.strength, 0.6)
    return _held([PERIOD * np.ceil(SECONDS_PER_HOUR * (1.02 - draw.soc) / rate / PERIOD)], [-float(rate)])
