r"""The local abuse model: one cell among its neighbours, rolled forward until it runs away or the horizon ends.

The engine's reactions, separator and short in a cell of one temperature, with three nodes of heat: the cell, the shell
of its neighbours, and the mean of its module,

.. math::
    \dot T &= -g_c (T - T_c) - g_n (T - T_s) + q + p(t) + \sum_i h_i \dot c_i \\
    \dot T_s &= \tfrac{g_n}{k} (T - T_s) + g_n \tfrac{k - 1}{k} (T_m - T_s) - g_c (T_s - T_c) + q \\
    \dot T_m &= -g_c (T_m - T_c) + q + \tfrac{p(t)}{N}

in kelvin a second: every heat is over the heat capacity of a cell. :math:`p = U^2 G(t) / C` is the heat of the internal
short, whose conductance grows at a constant rate to a final value; the cells in parallel that feed it sag by their
resistance.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, Array, ShapeError

from .abuse_constants import VENT_TEMPERATURE, AbuseConstants

__all__ = ["INPUTS", "ONSET_RATE", "Outlook", "RolloutCases", "react", "roll_out"]

ONSET_RATE = 1.0  # of the reactions, at which a cell runs away [K/s]
LONGEST_STEP, SHORTEST_STEP = 10.0, 0.05  # [s]
LARGEST_RISE = 1.5  # of a cell in one step [K]
FADING = 0.05  # state of charge below which a short fades, as in the engine [-]
HOT_START = 380.0  # [K]
HOT_SHARE = 1.5  # of the short's current that the cell gives itself, being hot, over an equal share [-]


@dataclass(frozen=True, kw_only=True, eq=False)
class RolloutCases:
    """Cells as the local model sees them, each field of shape (n,).

    Attributes
    ----------
    temperature, shell_temperature, module_temperature, sink_temperature : ndarray
        Of the cell, the mean of its neighbours by conductance, the mean of its module, and what cools it [K].
    sink_rate, shell_rate : ndarray
        Conductance to coolant and air, and to all neighbours, over the cell's heat capacity [1/s].
    shell_size, module_size : ndarray
        Neighbours that share the conductance, and cells of the module [-].
    other_heating : ndarray
        Of the current in its resistance [K/s].
    short, short_growth, short_final : ndarray
        Conductance of the internal short now [S], its growth [S/s], and where that ends [S].
    parallel : ndarray
        Cells that feed the short together [-].
    soc : ndarray
        State of charge [-].
    film, reacted : ndarray
        States of the film and of the negative electrode [-].
    """

    temperature: Array
    shell_temperature: Array
    module_temperature: Array
    sink_temperature: Array
    sink_rate: Array
    shell_rate: Array
    shell_size: Array
    module_size: Array
    other_heating: Array
    short: Array
    short_growth: Array
    short_final: Array
    parallel: Array
    soc: Array
    film: Array
    reacted: Array

    def __post_init__(self) -> None:
        """Check that the fields have one shape."""
        shape = self.temperature.shape
        for name in INPUTS:
            if getattr(self, name).shape != shape or len(shape) != 1:
                raise ShapeError(f"{name} has shape {getattr(self, name).shape}, expected {shape} with one axis")

    @property
    def matrix(self) -> Array:
        """Fields as columns, in the order of ``INPUTS``; of shape (n, 16)."""
        return np.stack([getattr(self, name) for name in INPUTS], axis=1)

    @classmethod
    def from_matrix(cls, matrix: Array) -> RolloutCases:
        """Return the cases whose :attr:`matrix` is given."""
        return cls(**dict(zip(INPUTS, np.ascontiguousarray(matrix.T), strict=True)))


INPUTS = tuple(field.name for field in fields(RolloutCases))


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """What becomes of cells.

    Attributes
    ----------
    onset : ndarray of shape (n,)
        Time until the cell runs away [s]; infinite where it does not within the horizon.
    highest : ndarray of shape (n,)
        Highest temperature until then [K].
    """

    onset: Array
    highest: Array


def react(constants: AbuseConstants, temperature: Array, states: Array, lithium: Array, step: Array) -> Array:
    """Advance the reactions at a given temperature; return their heating.

    Parameters
    ----------
    constants : AbuseConstants
        The cell type.
    temperature : ndarray of shape (n,)
        [K].
    states : ndarray of shape (5, n)
        Film, reacted lithium, two conversions and electrolyte [-]; changed in place.
    lithium : ndarray of shape (n,)
        State of charge, for what the negative electrode holds [-].
    step : ndarray of shape (n,)
        [s].

    Returns
    -------
    ndarray of shape (n,)
        Mean heating over the step [K/s].
    """
    c = constants
    hot = temperature >= c.quiet_temperature
    if not hot.any():
        return np.zeros(temperature.size)
    inverse = 1.0 / np.maximum(temperature, 1.0)
    change = np.zeros_like(states)
    for index in range(5):
        if c.frequency[index] <= 0.0:
            continue
        rate = c.frequency[index] * np.exp(-np.minimum(c.activation[index] * inverse, 600.0))
        rate = np.where(hot & (temperature >= c.lowest[index]), rate, 0.0)
        now = states[index]
        if index == 1:
            rate = rate * np.exp(-(c.film_initial + now) / c.film_reference)
            limit = np.maximum(lithium * c.initial[1] - now, 0.0)
            # its own film slows it within the step: at the rate of the middle
            half = limit * -np.expm1(-0.5 * rate * step)
            slowed = rate * np.exp(-half / c.film_reference)
            change[1] = limit * -np.expm1(-slowed * step)
        elif index in (2, 3):
            grown = now / (now + (1.0 - now) * np.exp(-np.minimum(rate * step, 40.0)))
            change[index] = grown - now
        else:
            change[index] = now * np.expm1(-np.minimum(rate * step, 40.0))
    heat = sum(c.heat[index] * np.abs(change[index]) for index in range(5))
    states += change
    return np.asarray(heat / step)


def roll_out(constants: AbuseConstants, cases: RolloutCases, horizon: float) -> Outlook:
    """Roll cells forward, each with steps of its own.

    A cell runs away when its reactions warm it by 1 K/s, or when it passes the temperature at which its vent opens.

    Parameters
    ----------
    constants : AbuseConstants
        The cell type.
    cases : RolloutCases
        The cells.
    horizon : float
        [s].
    """
    n = cases.temperature.size
    onset, highest = np.full(n, np.inf), cases.temperature.copy()
    left: NDArray[np.int64] = np.arange(n)
    at = {name: getattr(cases, name).copy() for name in INPUTS}
    states = np.stack([at["film"], at["reacted"], *(np.full(n, value) for value in constants.initial[2:])])
    time, molten = np.zeros(n), np.zeros(n)
    warmed = np.where(cases.temperature > HOT_START, ONSET_RATE, 0.0)  # a short first step where reactions may be fast
    open_circuit = np.array(constants.soc), np.array(constants.voltage)
    charge = constants.capacity * SECONDS_PER_HOUR
    while left.size:
        t, soc = at["temperature"], at["soc"]
        molten = np.maximum(molten, np.clip((t - constants.melting_temperature) / constants.melting_range, 0.0, 1.0))
        grown = np.minimum(at["short"] + at["short_growth"] * time, np.maximum(at["short_final"], at["short"]))
        conductance = (grown + molten * constants.molten_conductance) * np.clip(soc / FADING, 0.0, 1.0)
        ocv = np.interp(soc, *open_circuit)
        volts = ocv / (1.0 + conductance * constants.source_resistance / at["parallel"])
        short = np.square(volts) * conductance / constants.heat_capacity
        outside = (
            -at["sink_rate"] * (t - at["sink_temperature"])
            - at["shell_rate"] * (t - at["shell_temperature"])
            + at["other_heating"]
            + short
        )
        step = np.clip(LARGEST_RISE / (np.abs(outside) + np.maximum(warmed, 0.0) + 1e-9), SHORTEST_STEP, LONGEST_STEP)
        step = np.minimum(step, horizon - time + 1e-6)
        warmed = react(constants, t, states, soc, step)
        decay = np.exp(-(at["sink_rate"] + at["shell_rate"]) * step)
        relaxing = np.maximum((1.0 - decay) / np.maximum((at["sink_rate"] + at["shell_rate"]) * step, 1e-12), 0.0)
        shell, module = at["shell_temperature"], at["module_temperature"]
        at["temperature"] = t + (outside + warmed) * step * relaxing
        share = at["shell_rate"] / at["shell_size"]
        at["shell_temperature"] = shell + step * (
            share * (t - shell)
            + (at["shell_rate"] - share) * (module - shell)
            - at["sink_rate"] * (shell - at["sink_temperature"])
            + at["other_heating"]
        )
        at["module_temperature"] = module + step * (
            -at["sink_rate"] * (module - at["sink_temperature"])
            + at["other_heating"]
            + (short + warmed) / at["module_size"]
        )
        shared = np.minimum(HOT_SHARE / at["parallel"], 1.0)
        at["soc"] = np.maximum(soc - volts * conductance * shared * step / charge, 0.0)
        time = time + step
        gone = (warmed >= ONSET_RATE) | (at["temperature"] >= VENT_TEMPERATURE)
        onset[left[gone]] = time[gone]
        highest[left] = np.maximum(highest[left], at["temperature"])
        stay = ~gone & (time < horizon)
        if not stay.all():
            left, time, molten, warmed = left[stay], time[stay], molten[stay], warmed[stay]
            states = np.ascontiguousarray(states[:, stay])
            at = {name: values[stay] for name, values in at.items()}
    return Outlook(onset=onset, highest=highest)
