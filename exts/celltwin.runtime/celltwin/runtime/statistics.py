"""Figures of a run, gathered step by step in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import (
    SECONDS_PER_HOUR,
    Array,
    Kind,
    Level,
    PackSpec,
    PackState,
    Quality,
    cell_values,
    expand_channels,
)
from celltwin.estimation import GroupEvidence

if TYPE_CHECKING:
    from celltwin.telemetry import AcceptedBlock, AcceptedSamples

__all__ = ["Extreme", "RunStatistics", "pack_voltage"]

# Charge is not counted over a longer silence of the source [s].
LONGEST_GAP = 120.0


@dataclass(frozen=True)
class Extreme:
    """The largest or smallest value of a run, and where and when it was.

    Attributes
    ----------
    value : float
        Value [SI].
    element : str
        Id of the element.
    time : float
        Time [s].
    """

    value: float
    element: str
    time: float

    def entry(self) -> dict[str, Any]:
        """Return it for a JSON file."""
        return {"value": round(self.value, 4), "element": self.element, "time_s": self.time}


class RunStatistics:
    """Follow a run: charge, energy, extremes, and the first and last state of charge and of health.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    """

    def __init__(self, spec: PackSpec) -> None:
        self._spec = spec
        self._time = np.nan  # of the last sample [s]
        self._current = np.nan  # at that time [A]
        self._voltage = np.nan  # of the pack at that time [V]
        incoming = [channel for channel in expand_channels(spec) if channel.direction == "in"]
        self._columns = {
            (quantity, level): np.array(
                [
                    channel.element if (channel.quantity, channel.level) == (quantity, level) else -1
                    for channel in incoming
                ],
                dtype=np.int64,
            )
            for quantity, level in (("current", Level.PACK), ("voltage", Level.PACK), ("voltage", Level.GROUP))
        }
        self.charge = {"discharged": 0.0, "charged": 0.0}  # [A.h]
        self.energy = {"discharged": 0.0, "charged": 0.0}  # [W.h]
        self.extremes: dict[str, Extreme] = {}
        self.soc: list[tuple[float, float]] = []
        self.soh: dict[str, Any] | None = None
        self.steps = 0
        self._evidence = GroupEvidence(spec)

    def observe(self, state: PackState) -> None:
        """Take one process image into account."""
        self.steps += 1
        for quantity, level in (("voltage", Level.GROUP), ("temperature", Level.CELL), ("temperature", Level.MODULE)):
            self._extremes(state, quantity, level)
        soc = state.get(Kind.ESTIMATED, "soc", Level.PACK)
        if soc is not None and np.isfinite(soc.values[0]):
            self.soc = [
                self.soc[0] if self.soc else (state.time, float(soc.values[0])),
                (state.time, float(soc.values[0])),
            ]
        values, quality = cell_values(state, self._spec, "soh")
        known = np.isfinite(values)
        if known.any():
            weakest = int(np.nanargmin(values))
            self.soh = {
                "cells": int(known.sum()),
                "mean": round(float(values[known].mean()), 4),
                "standard_deviation": round(float(values[known].std()), 4),
                "lowest": round(float(values[weakest]), 4),
                "weakest_cell": self._spec.element_ids(Level.CELL)[weakest],
                "trusted_cells": int((known & (quality == Quality.GOOD)).sum()),
            }

    def entry(self) -> dict[str, Any]:
        """Return the figures for ``summary.json``, units in the names."""
        return {
            "steps": self.steps,
            "discharged_Ah": round(self.charge["discharged"], 3),
            "charged_Ah": round(self.charge["charged"], 3),
            "discharged_Wh": round(self.energy["discharged"], 2),
            "charged_Wh": round(self.energy["charged"], 2),
            "soc_first": round(self.soc[0][1], 4) if self.soc else None,
            "soc_last": round(self.soc[-1][1], 4) if self.soc else None,
            "soh": self.soh,
            "groups": [
                {
                    "element": rank.element_id,
                    "deficit_V": round(rank.deficit, 5),
                    "last_deficit_V": round(rank.last_deficit, 5),
                    "significance": round(rank.significance, 2),
                    "weak": rank.weak,
                    "sentence": rank.sentence,
                }
                for rank in self._evidence.rank()
            ],
            "extremes": {name: extreme.entry() for name, extreme in self.extremes.items()},
        }

    def watch(self, accepted: AcceptedSamples) -> None:
        """Take accepted samples into account at their full rate: charge, energy, weak groups."""
        for block in accepted.blocks:
            current = self._pick(block, "current", Level.PACK)[:, 0]
            current = _carry_forward(current, self._current)
            groups = self._pick(block, "voltage", Level.GROUP)
            voltage = self._pick(block, "voltage", Level.PACK)[:, 0]
            voltage = np.where(np.isfinite(voltage), voltage, groups.sum(axis=1) / self._spec.strings)
            voltage = _carry_forward(voltage, self._voltage)
            self._integrate(block.time, current, voltage)
            self._evidence.observe_samples(block.time, current, groups)
            if block.time.size:
                self._time, self._current, self._voltage = block.time[-1], current[-1], voltage[-1]

    def _pick(self, block: AcceptedBlock, quantity: str, level: Level) -> Array:
        elements = self._columns[(quantity, level)][block.channels]
        found = np.full((block.time.size, self._spec.size(level)), np.nan)
        found[:, elements[elements >= 0]] = block.values[:, elements >= 0]
        return found

    def _integrate(self, time: Array, current: Array, voltage: Array) -> None:
        step = np.diff(time, prepend=self._time)  # [s]
        before = np.concatenate([[self._current], current[:-1]])
        mean = np.where(np.isfinite(before), 0.5 * (before + current), current)
        counted = (step > 0.0) & (step <= LONGEST_GAP) & np.isfinite(mean)
        charge = np.where(counted, mean * step, 0.0) / SECONDS_PER_HOUR
        energy = np.where(np.isfinite(voltage), charge * np.nan_to_num(voltage), 0.0)
        for way, sign in (("discharged", 1.0), ("charged", -1.0)):
            self.charge[way] += float(np.maximum(sign * charge, 0.0).sum())
            self.energy[way] += float(np.maximum(sign * energy, 0.0).sum())

    def _extremes(self, state: PackState, quantity: str, level: Level) -> None:
        reading = state.get(Kind.MEASURED, quantity, level)
        if reading is None:
            return
        trusted = np.where(reading.usable(), reading.values, np.nan)
        if not np.isfinite(trusted).any():
            return
        ids = self._spec.element_ids(level)
        for side, index in (("lowest", int(np.nanargmin(trusted))), ("highest", int(np.nanargmax(trusted)))):
            name = f"{side}_{level.value}_{quantity}_{'V' if quantity == 'voltage' else 'K'}"
            value, old = float(trusted[index]), self.extremes.get(name)
            if old is None or (value < old.value if side == "lowest" else value > old.value):
                self.extremes[name] = Extreme(value, ids[index], state.time)


def _carry_forward(values: Array, first: float) -> Array:
    """Return the values with NaN replaced by the last one before it."""
    extended = np.concatenate([[first], values])
    last = np.maximum.accumulate(np.where(np.isfinite(extended), np.arange(extended.size), 0))
    return extended[last][1:]


def pack_voltage(state: PackState, spec: PackSpec) -> float | None:
    """Return the pack's voltage [V]: measured, else the sum of a string's measured groups, else None."""
    reading = state.get(Kind.MEASURED, "voltage", Level.PACK)
    if reading is not None and np.isfinite(reading.values[0]):
        return float(reading.values[0])
    groups = state.get(Kind.MEASURED, "voltage", Level.GROUP)
    if groups is not None and np.isfinite(groups.values).all():
        return float(groups.values.sum()) / spec.strings
    return None
