"""The duty: what a scenario asks of the plant, as a command of each step, judged by what was measured."""

from __future__ import annotations

import numpy as np

from celltwin.core import (
    ChargeStep,
    Command,
    Kind,
    Level,
    PackObservation,
    PackSpec,
    PackState,
    ScenarioPlayer,
    ScenarioProgress,
    at_highest_voltage,
)

from .statistics import pack_voltage

__all__ = ["command_of", "observe"]

# At the voltage limit the duty asks for what flows, times the first, plus the second [1/h].
TAPER_HEADROOM, TAPER_STEP = 1.01, 0.01
# Share of the error of a demanded voltage that one step's change of current is to correct.
VOLTAGE_GAIN = 0.5


def observe(state: PackState) -> PackObservation:
    """Return what a scenario needs to know of a process image."""
    voltage = _known(state, Kind.MEASURED, "voltage", Level.GROUP)
    soc = _known(state, Kind.ESTIMATED, "soc", Level.PACK)
    return PackObservation(
        time=state.time,
        current=_current(state),
        lowest_voltage=float(voltage.min()) if voltage.size else float("nan"),
        highest_voltage=float(voltage.max()) if voltage.size else float("nan"),
        soc=float(soc[0]) if soc.size else float("nan"),
    )


def command_of(player: ScenarioPlayer, progress: ScenarioProgress, state: PackState) -> Command:
    """Return the set-points that a scenario asks for: current, coolant flow, no balancing.

    A charge is at constant current until the highest group reaches its limit; from there on the converter holds the
    voltage, and the duty asks for little more than what still flows.
    """
    spec, seen = player.spec, observe(state)
    demand = player.demand(progress, seen)
    if demand.kind == "current":
        current = demand.value
    elif demand.kind == "power":
        current = demand.value / _voltage(state, spec)
    else:
        resistance = spec.n_series * spec.cell.resistance / (spec.capacity / spec.cell.capacity)
        current = seen.current + VOLTAGE_GAIN * (_voltage(state, spec) - demand.value) / resistance
    if isinstance(player.current_step(progress), ChargeStep) and at_highest_voltage(seen, spec):
        flowing = max(-seen.current, 0.0)
        current = -min(-current, TAPER_HEADROOM * flowing + TAPER_STEP * spec.capacity)
    return Command(
        time=state.time,
        pack_current=current,
        coolant_flow=np.clip(player.surroundings(state.time).coolant_flow, 0.0, spec.cooling.highest_flow),
        balancing_current=np.zeros(spec.n_groups),
        origin="duty",
    )


def _current(state: PackState) -> float:
    current = _known(state, Kind.MEASURED, "current", Level.PACK)
    return float(current[0]) if current.size else 0.0


def _voltage(state: PackState, spec: PackSpec) -> float:
    found = pack_voltage(state, spec)
    return found if found is not None and found > 0.0 else spec.nominal_voltage


def _known(state: PackState, kind: Kind, quantity: str, level: Level) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    reading = state.get(kind, quantity, level)
    return np.empty(0) if reading is None else reading.values[np.isfinite(reading.values)]
