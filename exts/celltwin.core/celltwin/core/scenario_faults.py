"""The faults that a scenario can declare, and what of a pack they hit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .errors import SpecError
from .pack_spec import PackSpec
from .quantities import Level, find_quantity
from .spec_fields import check_fields, spec_field

__all__ = [
    "FAULT_KINDS",
    "CoolantLoss",
    "InternalShort",
    "OpenWeld",
    "ScenarioFault",
    "SensorBias",
    "SensorDropout",
    "SensorFault",
    "SensorFreeze",
    "SensorNoise",
    "StuckContactor",
    "WeakCell",
    "find_cells",
    "find_modules",
    "find_strings",
]


@dataclass(frozen=True, kw_only=True)
class ScenarioFault(ABC):
    """Something that breaks at a time, and perhaps mends.

    A target is an id in pack order such as ``"M03.G07.C12"`` (cell), ``"M03.G07"`` (group) or ``"M03"`` (module), an
    index from 0 such as ``"cell:17"``, ``"group:4"``, ``"module:0"`` or ``"string:1"``, or ``"pack"``.
    """

    kind: ClassVar[str]

    name: str = spec_field("Name for people; the kind where empty.", default="")
    at: float = spec_field("Time of the run when it happens.", unit="s", at_least=0.0, default=0.0)
    duration: float | None = spec_field(
        "How long it lasts; to the end where absent.", unit="s", above=0.0, default=None
    )

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, "fault")

    @property
    def title(self) -> str:
        """Name for people."""
        return self.name or self.kind.replace("_", " ")

    @property
    def end(self) -> float:
        """Time of the run when it is over [s]."""
        return float("inf") if self.duration is None else self.at + self.duration

    @property
    def changes(self) -> tuple[float, ...]:
        """Times when its effect starts, stops or bends [s]."""
        return (self.at, self.end)

    def strength(self, time: float) -> float:
        """Return how much of the fault acts at a time [s]: from 0 to 1."""
        return 1.0 if self.at <= time < self.end else 0.0

    @abstractmethod
    def describe(self) -> str:
        """Return what is broken, for people."""


@dataclass(frozen=True, kw_only=True)
class InternalShort(ScenarioFault):
    """A conducting path inside cells, whose heat stays in the cell."""

    kind: ClassVar[str] = "internal_short"

    target: tuple[str, ...] = spec_field("Cells, or all cells of groups and modules.")
    resistance: float = spec_field("Resistance of the path when it is complete.", unit="ohm", above=0.0)
    ramp: float = spec_field(
        "Time over which its conductance grows, in proportion to time.", unit="s", at_least=0.0, default=0.0
    )

    @property
    def changes(self) -> tuple[float, ...]:
        """Times when its effect starts, bends or stops [s]."""
        return (self.at, self.at + self.ramp, self.end)

    def strength(self, time: float) -> float:
        """Return the share of its conductance at a time [s]."""
        if not self.at <= time < self.end:
            return 0.0
        return 1.0 if self.ramp <= 0.0 else min((time - self.at) / self.ramp, 1.0)

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"internal short of {self.resistance:g} ohm"


@dataclass(frozen=True, kw_only=True)
class WeakCell(ScenarioFault):
    """Cells of less capacity or more resistance than the others."""

    kind: ClassVar[str] = "weak_cell"

    target: tuple[str, ...] = spec_field("Cells, or all cells of groups and modules.")
    capacity: float = spec_field("Factor on the cell's capacity.", above=0.0, at_most=1.0, default=1.0)
    resistance: float = spec_field(
        "Factor on the resistance of the cell's data sheet; what is above 1 is added.", at_least=1.0, default=1.0
    )

    def __post_init__(self) -> None:
        """Check the fields alone and against each other."""
        ScenarioFault.__post_init__(self)
        if self.capacity == 1.0 and self.resistance == 1.0:
            raise SpecError("capacity and resistance are both 1: nothing is weak", remedy="Give one of them")

    def describe(self) -> str:
        """Return what is broken, for people."""
        words = [f"{100.0 * self.capacity:g} % of the capacity"] if self.capacity != 1.0 else []
        words += [f"{self.resistance:g} times the resistance"] if self.resistance != 1.0 else []
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class OpenWeld(ScenarioFault):
    """Cells that have lost their connection to the busbar; their group goes on without them."""

    kind: ClassVar[str] = "open_weld"

    target: tuple[str, ...] = spec_field("Cells.")

    def describe(self) -> str:
        """Return what is broken, for people."""
        return "weld open"


@dataclass(frozen=True, kw_only=True)
class StuckContactor(ScenarioFault):
    """A contactor of the pack or of a string that does not do what it is told."""

    kind: ClassVar[str] = "stuck_contactor"

    target: tuple[str, ...] = spec_field("The pack, or strings of modules.", default=("pack",))
    position: str = spec_field(
        "Where it is stuck: open, so that nothing flows; or closed, so that it does not interrupt.",
        choices=("open", "closed"),
        default="open",
    )

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"contactor stuck {self.position}"


@dataclass(frozen=True, kw_only=True)
class CoolantLoss(ScenarioFault):
    """Coolant that flows less than it is told to, or not at all."""

    kind: ClassVar[str] = "coolant_loss"

    target: tuple[str, ...] = spec_field("The pack, or modules.", default=("pack",))
    flow: float = spec_field("Share of the flow that is left.", at_least=0.0, at_most=1.0, default=0.0)

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"coolant flow at {100.0 * self.flow:g} %"


@dataclass(frozen=True, kw_only=True)
class SensorFault(ScenarioFault):
    """Something wrong with the values of sensors; abstract."""

    quantity: str = spec_field("Quantity of the sensors; any where empty.", default="")
    sensor: str = spec_field("Id of the sensor in the pack's declaration; any where empty.", default="")
    target: tuple[str, ...] = spec_field(
        "What carries the sensors; a module stands for all that it holds.", default=("pack",)
    )

    def __post_init__(self) -> None:
        """Check the fields alone and against each other."""
        ScenarioFault.__post_init__(self)
        if not self.quantity and not self.sensor:
            raise SpecError("quantity and sensor are both missing", remedy="Say which sensors the fault hits")
        if self.quantity:
            find_quantity(self.quantity)

    @property
    def unit(self) -> str:
        """SI unit of the quantity; empty where it is not named."""
        return find_quantity(self.quantity).unit if self.quantity else ""

    @property
    def sensors(self) -> str:
        """Which sensors, for people."""
        return f"sensors {self.sensor}" if self.sensor else f"{self.quantity.replace('_', ' ')} sensors"


@dataclass(frozen=True, kw_only=True)
class SensorBias(SensorFault):
    """Values that are off by a constant."""

    kind: ClassVar[str] = "sensor_bias"

    offset: float = spec_field("What is added to each value [SI unit of the quantity].")

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"{self.sensors} off by {self.offset:+g} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True)
class SensorFreeze(SensorFault):
    """Values that stay what they were."""

    kind: ClassVar[str] = "sensor_freeze"

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"{self.sensors} frozen"


@dataclass(frozen=True, kw_only=True)
class SensorDropout(SensorFault):
    """Values that do not come."""

    kind: ClassVar[str] = "sensor_dropout"

    share: float = spec_field(
        "Share of the samples that is lost, drawn at random.", above=0.0, at_most=1.0, default=1.0
    )

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"{self.sensors} silent for {100.0 * self.share:g} % of the samples"


@dataclass(frozen=True, kw_only=True)
class SensorNoise(SensorFault):
    """Values with more noise than the sensor should have."""

    kind: ClassVar[str] = "sensor_noise"

    deviation: float = spec_field("Standard deviation of the noise [SI unit of the quantity].", above=0.0)

    def describe(self) -> str:
        """Return what is broken, for people."""
        return f"{self.sensors} with noise of {self.deviation:g} {self.unit}".rstrip()


FAULT_KINDS: dict[str, type[ScenarioFault]] = {
    kind.kind: kind
    for kind in (
        InternalShort,
        WeakCell,
        OpenWeld,
        StuckContactor,
        CoolantLoss,
        SensorBias,
        SensorFreeze,
        SensorDropout,
        SensorNoise,
    )
}


def find_cells(target: tuple[str, ...], spec: PackSpec) -> NDArray[np.int64]:
    """Return the cells that targets name, in pack order; those of groups, modules and strings where these are named.

    Raises
    ------
    SpecError
        If the pack has no such element; the message says what it has.
    """
    return _expand(target, spec, spec.n_cells)


def find_modules(target: tuple[str, ...], spec: PackSpec) -> NDArray[np.int64]:
    """Return the modules that targets name; SpecError where a target is none or less than a module."""
    _refuse_small(target, spec, spec.n_modules, "modules or the pack, such as 'M03'")
    return _expand(target, spec, spec.n_modules)


def find_strings(target: tuple[str, ...], spec: PackSpec) -> NDArray[np.int64]:
    """Return the strings of modules that targets name; SpecError where a target is none or less than a string."""
    _refuse_small(target, spec, spec.strings, "'pack' or strings, such as 'string:0'")
    return _expand(target, spec, spec.strings)


def _refuse_small(target: tuple[str, ...], spec: PackSpec, most: int, remedy: str) -> None:
    for name in target:
        _, size = _find(name, spec)
        if size > most:
            raise SpecError(f"target {name!r} is too small a part of the pack for this fault", remedy=f"Name {remedy}")


def _expand(target: tuple[str, ...], spec: PackSpec, count: int) -> NDArray[np.int64]:
    """Return the elements of a level of ``count`` elements that lie in the targets."""
    chosen = np.zeros(count, dtype=bool)
    for name in target:
        index, size = _find(name, spec)
        if size > count:
            index, size = index * count // size, count
        share = count // size
        chosen[index * share : (index + 1) * share] = True
    if not chosen.any():
        raise SpecError("target is empty", remedy="Name what the fault hits")
    return np.flatnonzero(chosen)


def _find(name: str, spec: PackSpec) -> tuple[int, int]:
    """Return index and number of elements of the level that a name belongs to."""
    if name in ("pack", spec.name):
        return 0, 1
    level, colon, number = name.partition(":")
    sizes = {**{level.value: spec.size(level) for level in Level}, "string": spec.strings}
    if colon and level in sizes:
        try:
            index = int(number)
        except ValueError:
            raise SpecError(
                f"target {name!r}: {number!r} is no index", remedy="Write for example 'cell:17', counted from 0"
            ) from None
        if not 0 <= index < sizes[level]:
            raise SpecError(
                f"target {name!r} is out of range: {spec.name} has {sizes[level]} {level}s, "
                f"the last is {sizes[level] - 1}",
                remedy="Name an element of the pack; indices count from 0 in pack order",
            )
        return index, sizes[level]
    for element_level in (Level.MODULE, Level.GROUP, Level.CELL):
        ids = spec.element_ids(element_level)
        if name in ids:
            return ids.index(name), len(ids)
    raise SpecError(
        f"target {name!r} is not in {spec.name}, whose cells are {spec.element_ids(Level.CELL)[0]} to "
        f"{spec.element_ids(Level.CELL)[-1]}",
        remedy="Name a cell, a group, a module, 'pack', or an index such as 'cell:17'",
    )
