"""A scenario: what is asked of a pack, where it stands, and what breaks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import SpecError
from .scenario_faults import ScenarioFault
from .scenario_steps import LoadStep, RepeatStep, ScenarioStep
from .spec_fields import check_fields, spec_field

__all__ = ["AmbientSpec", "CoolantSpec", "CycleBlock", "InitialSpec", "PhysicsSpec", "Scenario", "scenario_entry"]

SECONDS_PER_DAY = 86400.0
# More steps than this, repeats written out, are a mistake.
MOST_STEPS = 200_000


@dataclass(frozen=True, kw_only=True)
class InitialSpec:
    """The pack at the start, and how its cells differ."""

    soc: float = spec_field("Mean state of charge.", unit="1", at_least=0.0, at_most=1.0)
    temperature: float | None = spec_field(
        "Temperature of every cell; that of the coolant where absent.", unit="K", above=0.0, default=None
    )
    soc_spread: float = spec_field(
        "Standard deviation of the groups' state of charge.", unit="1", at_least=0.0, default=0.003
    )
    capacity_spread: float | None = spec_field(
        "Relative standard deviation of the cells' capacity from manufacturing; where absent, that of the pack's "
        "distribution of cells, or 0.01 without one.",
        at_least=0.0,
        default=None,
    )
    resistance_spread: float | None = spec_field(
        "Relative standard deviation of the cells' resistance from manufacturing; where absent, that of the pack's "
        "distribution of cells, or 0.05 without one.",
        at_least=0.0,
        default=None,
    )
    ageing: float = spec_field("Factor on all losses of age; 0 for a new pack.", at_least=0.0, default=1.0)
    weak_groups: int | None = spec_field(
        "Number of groups with more lost capacity; 3 % of them where absent.", at_least=0, default=None
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "initial")


@dataclass(frozen=True, kw_only=True)
class AmbientSpec:
    r"""The air around the pack.

    ``day`` is a sinusoid over the time of day, with its maximum at ``hottest``:

    .. math:: T(t) = T_0 + A \cos\bigl(2\pi (t - t_h) / 86400\,\mathrm{s}\bigr)
    """

    kind: str = spec_field("How the temperature goes.", choices=("constant", "day", "table"), default="constant")
    temperature: float | None = spec_field(
        "Temperature, or the mean of the day; the pack's own ambient where absent.", unit="K", above=0.0, default=None
    )
    amplitude: float = spec_field(
        "Half of the difference between the day's extremes.", unit="K", at_least=0.0, at_most=60.0, default=0.0
    )
    hottest: float = spec_field(
        "Time of day of the maximum.", unit="s", at_least=0.0, at_most=SECONDS_PER_DAY, default=54000.0
    )
    times: tuple[float, ...] = spec_field("Times of the run, strictly increasing.", unit="s", at_least=0.0, default=())
    temperatures: tuple[float, ...] = spec_field(
        "Temperatures at these times, linear between them.", unit="K", above=0.0, default=()
    )

    def __post_init__(self) -> None:
        """Check the fields alone and against each other."""
        check_fields(self, "ambient")
        if self.kind == "day" and self.temperature is not None and self.temperature - self.amplitude <= 0.0:
            raise SpecError(
                f"ambient.amplitude = {self.amplitude:g} K is below absolute zero at night", remedy="Correct it"
            )
        if (self.kind == "table") != bool(self.times) or len(self.times) != len(self.temperatures):
            raise SpecError(
                f"ambient.times has {len(self.times)} entries, ambient.temperatures {len(self.temperatures)}",
                remedy="Give both the same number for kind = 'table', and leave them out otherwise",
            )
        for row, (before, after) in enumerate(pairwise(self.times), start=1):
            if not after > before:
                raise SpecError(
                    f"ambient.times does not increase at entry {row}: {after:g} s after {before:g} s",
                    remedy="Sort the entries",
                )

    def at(self, time: float, time_of_day: float, otherwise: float) -> float:
        """Return the temperature [K] at a time of the run and of the day [s]; ``otherwise`` where none is given."""
        if self.kind == "table":
            return float(np.interp(time, self.times, self.temperatures))
        mean = otherwise if self.temperature is None else self.temperature
        if self.kind == "constant":
            return mean
        return mean + self.amplitude * float(np.cos(2.0 * np.pi * (time_of_day - self.hottest) / SECONDS_PER_DAY))


@dataclass(frozen=True, kw_only=True)
class CoolantSpec:
    """The coolant as it comes to the pack."""

    inlet_temperature: float | None = spec_field(
        "Temperature at the inlet; that of the pack's declaration where absent.", unit="K", above=0.0, default=None
    )
    above_ambient: float | None = spec_field(
        "Temperature at the inlet above the ambient, instead of a fixed one.",
        unit="K",
        at_least=-60.0,
        at_most=60.0,
        default=None,
    )
    flow: float = spec_field("Flow as a multiple of the design flow.", at_least=0.0, default=1.0)

    def __post_init__(self) -> None:
        """Check the fields alone and against each other."""
        check_fields(self, "coolant")
        if self.inlet_temperature is not None and self.above_ambient is not None:
            raise SpecError(
                "coolant.inlet_temperature and coolant.above_ambient are both given", remedy="Keep one of them"
            )


@dataclass(frozen=True, kw_only=True)
class PhysicsSpec:
    """Physics that a scenario needs beside electrochemistry, circuit and heat."""

    abuse: str = spec_field("Set of constants of thermal runaway, such as hu_2020_nmc; none where empty.", default="")
    open_on_runaway: bool = spec_field(
        "Whether a cell that runs away loses its connection, by its interrupt device or its bond.", default=True
    )
    ageing: str = spec_field("Set of ageing parameters, such as okane_2022; none where empty.", default="")
    mechanics: bool = spec_field("Whether cells swell and press on each other.", default=False)


@dataclass(frozen=True, kw_only=True)
class CycleBlock:
    """Steps of a profile that come again and again and are mostly jumped over.

    Attributes
    ----------
    start, length : int
        First step of the profile, and steps of one repetition.
    count : int
        Repetitions.
    tolerance : float
        Error of a jump over the change that it makes [-].
    """

    start: int
    length: int
    count: int
    tolerance: float

    @property
    def end(self) -> int:
        """Step of the profile that follows."""
        return self.start + self.length * self.count


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is asked of a pack, where it stands, and what breaks; one declaration for simulation, twin and tests."""

    name: str = spec_field("Name of the scenario.")
    description: str = spec_field("What it is for.", default="")
    source: str = spec_field("Where the profile and the figures come from.", default="")
    seed: int = spec_field("Seed of everything random.", at_least=0, default=1)
    start: float = spec_field(
        "Time of day at the start.", unit="s", at_least=0.0, at_most=SECONDS_PER_DAY, default=43200.0
    )
    initial: InitialSpec
    ambient: AmbientSpec = AmbientSpec()
    coolant: CoolantSpec = CoolantSpec()
    physics: PhysicsSpec = PhysicsSpec()
    steps: tuple[ScenarioStep, ...] = ()
    faults: tuple[ScenarioFault, ...] = ()

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "scenario")
        if not self.steps:
            raise SpecError("steps is empty", remedy="Give the scenario at least one [[steps]]")
        _check_jumps(self)
        if _count(self.steps) > MOST_STEPS:
            raise SpecError(
                f"steps are {_count(self.steps)} with the repeats written out; the limit is {MOST_STEPS}",
                remedy="Repeat less, or run the scenario several times",
            )

    @cached_property
    def profile(self) -> tuple[LoadStep, ...]:
        """All steps in their order, repeats written out."""
        return tuple(_unroll(self.steps))

    @cached_property
    def jumps(self) -> tuple[CycleBlock, ...]:
        """Blocks of the profile whose repetitions are mostly jumped over, in order."""
        return tuple(_blocks(self.steps, 0))

    @property
    def longest(self) -> float:
        """Longest duration of all steps [s]."""
        return sum(step.duration for step in self.profile)

    @cached_property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all that the scenario says."""
        text = json.dumps(scenario_entry(self), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def scenario_entry(part: Any) -> Any:
    """Return a scenario or a part of it as tables, lists and plain values: what a scenario file holds.

    What has its default is left out.
    """
    if isinstance(part, tuple):
        return [scenario_entry(item) for item in part]
    if not is_dataclass(part):
        return part
    kind = getattr(part, "kind", None)
    entry: dict[str, Any] = {"kind": kind} if isinstance(part, LoadStep | RepeatStep | ScenarioFault) else {}
    for item in fields(part):
        value = getattr(part, item.name)
        if value != item.default:
            entry[item.name] = scenario_entry(value)
    return entry


def _count(steps: tuple[ScenarioStep, ...]) -> int:
    return sum(step.count * _count(step.steps) if isinstance(step, RepeatStep) else 1 for step in steps)


def _blocks(steps: tuple[ScenarioStep, ...], start: int) -> list[CycleBlock]:
    found: list[CycleBlock] = []
    for step in steps:
        if not isinstance(step, RepeatStep):
            start += 1
            continue
        length = _count(step.steps)
        if step.jump:
            found.append(CycleBlock(start=start, length=length, count=step.count, tolerance=step.tolerance))
        else:
            for repetition in range(step.count):
                found += _blocks(step.steps, start + repetition * length)
        start += step.count * length
    return found


def _check_jumps(scenario: Scenario) -> None:
    """Raise where repetitions are to be jumped over and something other than age would change meanwhile."""
    if not any(isinstance(step, RepeatStep) and _jumps(step) for step in scenario.steps):
        return
    physics = scenario.physics
    if not physics.ageing:
        raise SpecError(
            "steps jump over repetitions, but physics.ageing is empty: nothing would change",
            remedy="Name a set such as okane_2022, or leave out jump",
        )
    if physics.abuse:
        raise SpecError(
            "steps jump over repetitions, but physics.abuse is given: a runaway cannot be jumped over",
            remedy="Leave out one of them",
        )
    for number, fault in enumerate(scenario.faults):
        if any(0.0 < time < float("inf") for time in fault.changes):
            raise SpecError(
                f"faults[{number}] ({fault.title}) changes within the run, and steps jump over repetitions",
                remedy="Give faults from the start on without duration and ramp, or leave out jump",
            )


def _jumps(step: RepeatStep) -> bool:
    return step.jump or any(_jumps(inner) for inner in step.steps if isinstance(inner, RepeatStep))


def _unroll(steps: tuple[ScenarioStep, ...]) -> list[LoadStep]:
    found: list[LoadStep] = []
    for step in steps:
        if isinstance(step, RepeatStep):
            found += _unroll(step.steps) * step.count
        else:
            found.append(step)
    return found
