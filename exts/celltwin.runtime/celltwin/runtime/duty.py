"""The duty: what the operator asks of the pack, step by step."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from celltwin.core import (
    SECONDS_PER_HOUR,
    Command,
    Kind,
    Level,
    PackSpec,
    PackState,
    SpecError,
    read_table,
    reject_unknown,
    require_tables,
    spec_field,
)

__all__ = ["Duty", "DutyProgress", "DutyStep", "command_of", "load_duty", "next_progress"]

KINDS = ("discharge", "charge", "rest")
# A charge has reached its voltage when the highest group is this near to the limit [V].
VOLTAGE_REACHED = 0.010
# At the limit the duty asks for what flows, times the first, plus the second [1/h].
TAPER_HEADROOM, TAPER_STEP = 1.01, 0.01


@dataclass(frozen=True, kw_only=True)
class DutyStep:
    """One step of a duty; it ends at the first of its conditions that is met."""

    name: str = spec_field("Name for people.")
    kind: str = spec_field("What the pack does.", choices=KINDS)
    rate: float = spec_field(
        "Current as a multiple of the pack's capacity per hour.", unit="1", at_least=0.0, default=0.0
    )
    longest: float = spec_field("Longest duration.", unit="s", above=0.0)
    until_charge: float = spec_field(
        "Charge moved in this step at which it ends, as a fraction of nominal capacity; 0 for none.",
        unit="1",
        at_least=0.0,
        at_most=1.0,
        default=0.0,
    )
    until_rate: float = spec_field(
        "Charging ends when the current has fallen to this multiple at the voltage limit; 0 for none.",
        unit="1",
        at_least=0.0,
        default=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class Duty:
    """A sequence of steps from an initial state of charge."""

    name: str = spec_field("Name of the duty.")
    description: str = spec_field("What it is for.", default="")
    initial_soc: float = spec_field("State of charge of the pack at the start.", unit="1", at_least=0.0, at_most=1.0)
    steps: tuple[DutyStep, ...] = ()

    @property
    def longest(self) -> float:
        """Longest duration of all steps [s]."""
        return sum(step.longest for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class DutyProgress:
    """Where a duty stands.

    Attributes
    ----------
    step : int
        Index of the running step; the number of steps when the duty is done.
    started : float
        When the step began [s].
    charge : float
        Charge moved in the step [A.h], as a magnitude.
    time : float
        Time of the last update [s].
    """

    step: int = 0
    started: float = 0.0
    charge: float = 0.0
    time: float = 0.0


def load_duty(path: str | Path) -> Duty:
    """Read a duty from a TOML file.

    Raises
    ------
    SpecError
        If the file is missing or wrong; the message names file, key and value.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        reject_unknown(data, ("name", "description", "initial_soc", "steps"), "")
        steps = []
        for number, entry in enumerate(require_tables(data, "steps")):
            step = DutyStep(**read_table(DutyStep, entry, f"steps[{number}]"))
            if step.kind != "rest" and step.rate <= 0.0:
                raise SpecError(
                    f"steps[{number}].rate = {step.rate:g} must be greater than 0", remedy="Give the step a rate"
                )
            steps.append(step)
        if not steps:
            raise SpecError("steps is empty", remedy="Give the duty at least one [[steps]]")
        head = {key: value for key, value in data.items() if key != "steps"}
        return Duty(**read_table(Duty, head, "duty"), steps=tuple(steps))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(
            f"the duty cannot be read ({error})", where=str(path), remedy="See data/scenarios for examples"
        ) from None
    except SpecError as error:
        raise SpecError(error.message, where=str(path), remedy=error.remedy) from None


def next_progress(duty: Duty, progress: DutyProgress, state: PackState, spec: PackSpec) -> DutyProgress:
    """Return where the duty stands after a step of the twin, judged by what was measured."""
    if progress.step >= len(duty.steps):
        return progress
    step = duty.steps[progress.step]
    current = _measured_current(state)
    charge = progress.charge + abs(current) * (state.time - progress.time) / SECONDS_PER_HOUR
    progress = replace(progress, charge=charge, time=state.time)
    if not _ended(step, progress, state, spec, current):
        return progress
    return DutyProgress(step=progress.step + 1, started=state.time, time=state.time)


def command_of(duty: Duty, progress: DutyProgress, state: PackState, spec: PackSpec) -> Command:
    """Return the set-points that the duty asks for: current, design flow, no balancing.

    A charge is at constant current until the highest group reaches its limit; from there on the converter holds the
    voltage, and the duty asks for little more than what still flows.
    """
    current = 0.0
    if progress.step < len(duty.steps):
        step = duty.steps[progress.step]
        sign = {"discharge": 1.0, "charge": -1.0, "rest": 0.0}[step.kind]
        current = sign * step.rate * spec.capacity
        if step.kind == "charge" and _at_voltage_limit(state, spec):
            flowing = max(-_measured_current(state), 0.0)
            current = -min(-current, TAPER_HEADROOM * flowing + TAPER_STEP * spec.capacity)
    return Command(
        time=state.time,
        pack_current=current,
        coolant_flow=np.full(spec.n_modules, spec.cooling.flow),
        balancing_current=np.zeros(spec.n_groups),
        origin="duty",
    )


def _ended(step: DutyStep, progress: DutyProgress, state: PackState, spec: PackSpec, current: float) -> bool:
    if state.time - progress.started >= step.longest:
        return True
    if step.until_charge and progress.charge >= step.until_charge * spec.capacity:
        return True
    if step.kind == "discharge":
        voltage = state.get(Kind.MEASURED, "voltage", Level.GROUP)
        if voltage is None or not np.isfinite(voltage.values).any():
            return False
        return bool(np.nanmin(voltage.values) <= spec.cell.lowest_voltage + VOLTAGE_REACHED)
    if step.kind == "charge" and step.until_rate:
        return _at_voltage_limit(state, spec) and 0.0 <= -current <= step.until_rate * spec.capacity
    return False


def _at_voltage_limit(state: PackState, spec: PackSpec) -> bool:
    voltage = state.get(Kind.MEASURED, "voltage", Level.GROUP)
    if voltage is None or not np.isfinite(voltage.values).any():
        return False
    return bool(np.nanmax(voltage.values) >= spec.cell.highest_voltage - VOLTAGE_REACHED)


def _measured_current(state: PackState) -> float:
    reading = state.get(Kind.MEASURED, "current", Level.PACK)
    return float(reading.values[0]) if reading is not None and np.isfinite(reading.values[0]) else 0.0
