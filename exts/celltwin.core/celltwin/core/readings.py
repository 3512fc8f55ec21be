"""Readings and the process image: what one step of a twin knows, immutable."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Flags, freeze, require_shape
from .quantities import Kind, Level, Quality, find_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Alarm", "PackState", "Reading", "ReadingKey", "Severity"]


type ReadingKey = tuple[Kind, str, Level]


class Severity(IntEnum):
    """How urgent an alarm is: the three levels of foxBMS (MOL, RSL, MSL)."""

    NOTICE = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One limit crossed by one element.

    Attributes
    ----------
    time : float
        When [s since the start of the run].
    severity : Severity
        How urgent.
    quantity : str
        Key of the quantity.
    level : Level
        Level of the element.
    element : int
        Index of the element in pack order.
    element_id : str
        Its id, such as ``"M03.G07.C12"``.
    value, limit : float
        The reading and the limit it crossed [unit of the quantity].
    message : str
        One line for people, in display units.
    """

    time: float
    severity: Severity
    quantity: str
    level: Level
    element: int
    element_id: str
    value: float
    limit: float
    message: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """One quantity of one kind for all elements of one level.

    Attributes
    ----------
    kind, quantity, level : Kind, str, Level
        What it is: together the key of a reading in a :class:`PackState`.
    values : ndarray of shape (n,)
        Values [SI]; NaN where there has never been one.
    time : ndarray of shape (n,)
        When each value was true [s since the start of the run]; NaN where never.
    quality : ndarray of shape (n,)
        :class:`Quality` of each value, as uint8.
    standard_uncertainty : ndarray of shape (n,)
        Standard uncertainty [SI]; NaN where unknown.
    provenance : str
        Source topic or file, or model name and parameter hash.
    reason : str
        Why, for recommended values; the expected effect with it.
    """

    kind: Kind
    quantity: str
    level: Level
    values: Array
    time: Array
    quality: Flags
    standard_uncertainty: Array
    provenance: str
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the shapes and make every array read-only."""
        find_quantity(self.quantity)
        for name in ("values", "time", "quality", "standard_uncertainty"):
            array = getattr(self, name)
            require_shape(f"{self.kind} {self.quantity} {name}", array, (self.values.size,))
            object.__setattr__(self, name, freeze(array))

    @property
    def key(self) -> ReadingKey:
        """Key in a process image."""
        return (self.kind, self.quantity, self.level)

    @classmethod
    def at(
        cls,
        kind: Kind,
        quantity: str,
        level: Level,
        values: Array,
        time: float,
        *,
        quality: Quality | Flags = Quality.GOOD,
        standard_uncertainty: float | Array = float("nan"),
        provenance: str,
        reason: str = "",
    ) -> Reading:
        """Build a reading whose values all belong to one time [s]."""
        values = np.asarray(values, dtype=np.float64)
        shape = values.shape
        return cls(
            kind=kind,
            quantity=quantity,
            level=level,
            values=values,
            time=np.full(shape, float(time)),
            quality=np.broadcast_to(np.asarray(quality, dtype=np.uint8), shape),
            standard_uncertainty=np.broadcast_to(np.asarray(standard_uncertainty, dtype=np.float64), shape),
            provenance=provenance,
            reason=reason,
        )

    def usable(self) -> NDArray[np.bool_]:
        """Return where the value is finite and neither stale, suspect nor bad; shape (n,)."""
        good: NDArray[np.bool_] = np.isfinite(self.values) & (self.quality == Quality.GOOD)
        return good

    def aged(self, now: float, stale_after: float) -> Reading:
        """Return the reading with good values older than ``stale_after`` [s] marked stale."""
        old = (self.quality == Quality.GOOD) & ~(now - self.time <= stale_after)
        if not old.any():
            return self
        return replace(self, quality=np.where(old, np.uint8(Quality.STALE), self.quality).astype(np.uint8))


@dataclass(frozen=True, kw_only=True, eq=False)
class PackState:
    """The process image: one immutable snapshot that every tier reads in a step.

    Attributes
    ----------
    time : float
        Time of the step [s since the start of the run].
    step : int
        Number of the step, from 0.
    readings : mapping of ReadingKey to Reading
        All that is known, of all four kinds.
    alarms : tuple of Alarm
        Limits that are crossed now.
    """

    time: float
    step: int
    readings: Mapping[ReadingKey, Reading] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()

    def __post_init__(self) -> None:
        """Make the mapping read-only."""
        if not isinstance(self.readings, MappingProxyType):
            object.__setattr__(self, "readings", MappingProxyType(dict(self.readings)))

    def get(self, kind: Kind, quantity: str, level: Level) -> Reading | None:
        """Return a reading, or None if there is none."""
        return self.readings.get((kind, quantity, level))

    def best(self, quantity: str, level: Level) -> Reading | None:
        """Return the reading nearest to the truth: measured, else estimated, else predicted."""
        for kind in (Kind.MEASURED, Kind.ESTIMATED, Kind.PREDICTED):
            reading = self.readings.get((kind, quantity, level))
            if reading is not None and np.isfinite(reading.values).any():
                return reading
        return None

    def updated(self, *readings: Reading) -> PackState:
        """Return a snapshot with these readings added or replaced."""
        merged = dict(self.readings)
        merged.update({reading.key: reading for reading in readings})
        return replace(self, readings=merged)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle to worker processes: a mapping proxy cannot be pickled."""
        return (_rebuild_state, (self.time, self.step, dict(self.readings), self.alarms))


def _rebuild_state(time: float, step: int, readings: dict[ReadingKey, Reading], alarms: tuple[Alarm, ...]) -> PackState:
    return PackState(time=time, step=step, readings=readings, alarms=alarms)
