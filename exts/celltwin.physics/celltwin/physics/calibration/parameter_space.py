"""What a calibration may change: parameters with bounds, scales and priors, and their unit cube."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from celltwin.core import Array, ModelError, require_shape

__all__ = ["FreeParameter", "ParameterSpace"]


@dataclass(frozen=True, kw_only=True)
class FreeParameter:
    """One parameter that a calibration may change.

    Attributes
    ----------
    name : str
        PyBaMM's name, unit included, or one of the names that :mod:`base_sets_laws` adds.
    unit : str
        Unit of value and bounds, ``"-"`` for none.
    low, high : float
        Physical bounds.
    scale : {"log", "linear"}
        Whether equal steps are equal factors or equal differences.
    start : float
        Value that a search begins with, and the middle of the prior.
    spread : float, optional
        Standard deviation of the prior: decades on a ``"log"`` scale, else in ``unit``. None where anything within
        the bounds is as likely.
    source : str
        Where bounds and prior come from.

    Raises
    ------
    ModelError
        If the bounds are not in order, or the start lies outside of them.
    """

    name: str
    unit: str
    low: float
    high: float
    start: float
    source: str
    scale: Literal["log", "linear"] = "linear"
    spread: float | None = None

    def __post_init__(self) -> None:
        """Check the order of bounds and start."""
        if not (self.low < self.high and self.low <= self.start <= self.high):
            raise ModelError(
                f"{self.name!r}: the start {self.start:g} {self.unit} must lie between {self.low:g} and {self.high:g}",
                remedy="Widen the bounds or move the start",
            )
        if self.scale == "log" and self.low <= 0.0:
            raise ModelError(f"{self.name!r}: a log scale needs a lower bound above 0, not {self.low:g} {self.unit}")
        if self.spread is not None and self.spread <= 0.0:
            raise ModelError(f"{self.name!r}: the prior's spread {self.spread:g} must be above 0")

    @property
    def width(self) -> float:
        """Distance between the bounds: decades on a log scale, else in ``unit``."""
        return math.log10(self.high / self.low) if self.scale == "log" else self.high - self.low

    def to_unit(self, value: float) -> float:
        """Return where a value lies between the bounds: 0 at the lower, 1 at the upper."""
        if self.scale == "log":
            return math.log10(value / self.low) / self.width
        return (value - self.low) / self.width

    def from_unit(self, position: float) -> float:
        """Return the value at a position between the bounds."""
        if self.scale == "log":
            return float(self.low * 10.0 ** (position * self.width))
        return self.low + position * self.width

    def started_at(self, value: float) -> FreeParameter:
        """Return the parameter with another start, moved into the bounds where it lies outside."""
        return replace(self, start=min(max(value, self.low), self.high))


@dataclass(frozen=True)
class ParameterSpace:
    """Free parameters in a fixed order, and the unit cube that their bounds span.

    Attributes
    ----------
    parameters : tuple of FreeParameter
        Names are unique.

    Raises
    ------
    ModelError
        If there is none, or two have one name.
    """

    parameters: tuple[FreeParameter, ...]

    def __post_init__(self) -> None:
        """Check the names."""
        names = self.names
        if not names:
            raise ModelError("a parameter space needs at least one free parameter")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ModelError(f"two free parameters are named {twice!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return len(self.parameters)

    @property
    def start(self) -> Array:
        """Starts in the unit cube, shape (n,)."""
        return np.array([parameter.to_unit(parameter.start) for parameter in self.parameters])

    @property
    def spreads(self) -> Array:
        """Standard deviations of the priors in the unit cube, shape (n,); infinite where there is none."""
        return np.array(
            [math.inf if item.spread is None else item.spread / item.width for item in self.parameters], dtype=float
        )

    def parameter(self, name: str) -> FreeParameter:
        """Return the parameter of a name.

        Raises
        ------
        ModelError
            If none has it.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise ModelError(f"no free parameter is named {name!r}", remedy=f"Choose among {', '.join(self.names)}")

    def values(self, position: Array) -> dict[str, float]:
        """Return the values at a position in the unit cube.

        Parameters
        ----------
        position : ndarray of shape (n,)
            In [0, 1].
        """
        require_shape("position", position, (self.size,))
        return {item.name: item.from_unit(float(at)) for item, at in zip(self.parameters, position, strict=True)}

    def position(self, values: Mapping[str, float]) -> Array:
        """Return where values lie in the unit cube, shape (n,); outside [0, 1] where a bound is broken.

        Raises
        ------
        ModelError
            If the value of a free parameter is missing.
        """
        missing = [name for name in self.names if name not in values]
        if missing:
            raise ModelError(f"no value is given for {', '.join(missing)}")
        return np.array([item.to_unit(float(values[item.name])) for item in self.parameters])

    def with_starts(self, values: Mapping[str, float]) -> ParameterSpace:
        """Return the space with other starts, moved into the bounds; names that are not free are passed over."""
        return ParameterSpace(
            tuple(
                item.started_at(float(values[item.name])) if item.name in values else item for item in self.parameters
            )
        )

    def tightened(self, share: float) -> ParameterSpace:
        """Return the space with the spreads of its priors multiplied by a share."""
        return ParameterSpace(
            tuple(
                replace(item, spread=None if item.spread is None else share * item.spread) for item in self.parameters
            )
        )

    def without(self, names: Iterable[str]) -> ParameterSpace:
        """Return the space with fewer parameters."""
        left = set(names)
        return ParameterSpace(tuple(item for item in self.parameters if item.name not in left))

    def near_bounds(self, position: Array, margin: float = 0.01) -> tuple[str, ...]:
        """Return the names of parameters within ``margin`` of the cube's faces.

        A lower bound of 0 is where something is absent, which is no doubt.
        """
        return tuple(
            item.name
            for item, at in zip(self.parameters, position, strict=True)
            if float(at) >= 1.0 - margin or (float(at) <= margin and item.low != 0.0)
        )
