"""What the parts of a running twin hand to each other, and the protocols that join them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, freeze, require_shape

if TYPE_CHECKING:
    from .readings import PackState

__all__ = [
    "Advice",
    "Command",
    "Mode",
    "Plant",
    "Recorder",
    "SampleBlock",
    "SampleFault",
    "TelemetrySource",
]


class Mode(StrEnum):
    """How far the twin may act."""

    OBSERVE = "observe"
    ADVISE = "advise"
    AUTONOMOUS = "autonomous"


@dataclass(frozen=True, kw_only=True)
class SampleFault:
    """One thing that a source could not turn into a number, kept as it was sent.

    Attributes
    ----------
    reason : str
        What is wrong with it, such as ``"malformed value"``.
    origin : str
        Where it stands, such as ``"file.csv:1234"``.
    text : str
        What was sent, shortened where it is long.
    row : int
        Row of the block that it belongs to; -1 where the block has no such row.
    channel : str
        Column or topic; empty for a whole row.
    """

    reason: str
    origin: str
    text: str
    row: int = -1
    channel: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleBlock:
    """Samples of several channels, as they arrived: not yet checked, not yet in SI.

    Attributes
    ----------
    channels : tuple of str
        Column or topic of each channel.
    time : ndarray of shape (n_samples,)
        Time of each row [s since the start of the source]; may be out of order or NaN.
    values : ndarray of shape (n_samples, n_channels)
        Values as sent; NaN where the source sent none or sent NaN.
    present : ndarray of bool, shape (n_samples, n_channels)
        Where the source sent a value at all.
    origin : tuple of str
        Where each row comes from, such as ``"file.csv:1234"``; one text for all or one a row.
    faults : tuple of SampleFault
        What could not be turned into numbers: values that are no numbers (NaN in ``values``), rows of a wrong length.
    arrived : ndarray of shape (n_samples,)
        When each row arrived [s since the start of the source]: never decreasing, and without the errors that a
        stated time may have. Left empty, it is the largest time so far.
    """

    channels: tuple[str, ...]
    time: Array
    values: Array
    present: NDArray[np.bool_]
    origin: tuple[str, ...]
    faults: tuple[SampleFault, ...] = ()
    arrived: Array = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        """Check the shapes and make every array read-only."""
        shape = (self.time.size, len(self.channels))
        if self.arrived.size == 0 and self.time.size:
            known = np.where(np.isfinite(self.time), self.time, -np.inf)
            object.__setattr__(self, "arrived", np.maximum.accumulate(known))
        require_shape("SampleBlock.arrived", self.arrived, (self.time.size,))
        for name in ("values", "present"):
            require_shape(f"SampleBlock.{name}", getattr(self, name), shape)
        for name in ("time", "values", "present", "arrived"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def rows(self, start: int, stop: int) -> SampleBlock:
        """Return the rows from ``start`` up to ``stop``, with their faults.

        A fault that belongs to no row stays with the first rows.
        """
        faults = tuple(
            fault if fault.row < 0 else replace(fault, row=fault.row - start)
            for fault in self.faults
            if start <= fault.row < stop or (fault.row < 0 and start == 0)
        )
        return SampleBlock(
            channels=self.channels,
            time=self.time[start:stop],
            values=self.values[start:stop],
            present=self.present[start:stop],
            origin=self.origin if len(self.origin) <= 1 else self.origin[start:stop],
            faults=faults,
            arrived=self.arrived[start:stop],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Advice:
    """Recommended set-points, the reason, and what to expect of them.

    Attributes
    ----------
    time : float
        Time of the process image that the advice is based on [s].
    charge_current : ndarray of shape (n_modules,)
        Largest charge current that keeps the limits [A, magnitude, pack terminals].
    coolant_flow : ndarray of shape (n_modules,)
        Coolant mass flow [kg/s].
    balancing_current : ndarray of shape (n_groups,)
        Current to bleed from each group [A].
    reasons : tuple of str
        Why, one text a module.
    expected : tuple of str
        What to expect, one text a module.
    provenance : str
        Model and parameter hash that the candidates were simulated with.
    candidates : tuple of dict
        What was tried: set-points, outcome, whether the limits held; for the report.
    """

    time: float
    charge_current: Array
    coolant_flow: Array
    balancing_current: Array
    reasons: tuple[str, ...]
    expected: tuple[str, ...]
    provenance: str
    candidates: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Command:
    """Set-points for the plant, after the shield.

    Attributes
    ----------
    time : float
        When [s].
    pack_current : float
        Current at the pack's terminals [A], positive on discharge.
    coolant_flow : ndarray of shape (n_modules,)
        Coolant mass flow [kg/s].
    balancing_current : ndarray of shape (n_groups,)
        Current bled from each group [A].
    origin : str
        Who asked: ``"duty"``, ``"advice"`` or ``"shield"``.
    interventions : tuple of str
        What the shield changed and why; empty where it changed nothing.
    """

    time: float
    pack_current: float
    coolant_flow: Array
    balancing_current: Array
    origin: str
    interventions: tuple[str, ...] = field(default=())


@runtime_checkable
class TelemetrySource(Protocol):
    """Something that delivers samples: a file being replayed, a broker, a simulated plant."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Columns or topics that it delivers."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        ...

    def read(self, until: float) -> list[SampleBlock]:
        """Return without waiting what has arrived up to a time [s since the start of the run]."""
        ...

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        ...


@runtime_checkable
class Plant(TelemetrySource, Protocol):
    """A source that also takes commands."""

    def command(self, command: Command) -> None:
        """Hand over the set-points for the time that comes next."""
        ...


class Recorder(Protocol):
    """Something that keeps what the twin knew."""

    def record(self, state: PackState) -> None:
        """Keep one process image."""
        ...

    def close(self) -> None:
        """Finish the files; a second call does nothing."""
        ...
