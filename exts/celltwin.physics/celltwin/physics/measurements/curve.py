"""What was measured on a cell: curves of current, voltage and temperature, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, Array, CelltwinError, freeze, require_shape

from .rates import parse_rate

__all__ = ["CURVE_KINDS", "CurveSource", "MeasuredCurve", "MeasuredSet", "MeasurementError"]

CURVE_KINDS = ("discharge", "charge", "rest", "pulses", "drive")


class MeasurementError(CelltwinError):
    """A measurement cannot be read, or contradicts itself."""


@dataclass(frozen=True, kw_only=True)
class CurveSource:
    """Where a curve comes from, and what became of the rows of its file.

    Attributes
    ----------
    path : str
        File, or files separated by ``"; "``; behind ``#`` the sheet, field or segment in it.
    sha256 : str
        Digest of the file's contents (of all files, one after the other).
    rows : int
        Rows of data in the file, or in the part of it that the curve was cut from.
    left_out : mapping of str to int
        Rows that are not scored, counted by reason. ``rows`` less their sum are scored.
    citation, licence : str
        Whom to name, and on which terms; empty where unknown.
    digitised : bool
        Whether the curve was read off a published figure.
    """

    path: str
    sha256: str
    rows: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    citation: str = ""
    licence: str = ""
    digitised: bool = False

    @property
    def used(self) -> int:
        """Rows that are scored."""
        return self.rows - sum(self.left_out.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredCurve:
    """One continuous stretch of measurement.

    Attributes
    ----------
    name : str
        Such as ``"1C"``; unique within its set.
    kind : str
        One of ``CURVE_KINDS``.
    time : ndarray of shape (n,)
        Since the first row [s], strictly increasing.
    current : ndarray of shape (n,)
        [A], positive on discharge.
    voltage : ndarray of shape (n,)
        [V], of one cell.
    temperature : ndarray of shape (n,), optional
        Of the cell [K].
    ambient_temperature : ndarray of shape (n,) or float
        Of what surrounds the cell [K].
    strain : ndarray of shape (n,), optional
        Hoop strain of the can [-].
    thickness : ndarray of shape (n,), optional
        Growth of the cell's thickness since its least [m].
    scored : ndarray of bool of shape (n,)
        Rows that count in a fit and in its score. The others are there for the current's course.
    less_certain : ndarray of bool of shape (n,), optional
        Scored rows whose values are known less well than ``voltage_noise`` and ``temperature_noise`` say.
    voltage_noise, temperature_noise : float
        Standard uncertainty of one value: resolution of the column and scatter together [V, K].
    time_uncertainty : float
        Standard uncertainty of start and duration [s].
    rest_voltage : float, optional
        Voltage at rest just before the current began [V].
    assumptions : tuple of str
        What the reader had to suppose because the file does not say it.
    source : CurveSource
        Where the curve comes from.

    Raises
    ------
    MeasurementError
        If a time does not increase or a scored value is not finite.
    ShapeError
        If the arrays differ in length.
    """

    name: str
    time: Array
    current: Array
    voltage: Array
    scored: NDArray[np.bool_]
    source: CurveSource
    kind: str = "discharge"
    temperature: Array | None = None
    ambient_temperature: Array | float = 298.15
    strain: Array | None = None
    thickness: Array | None = None
    less_certain: NDArray[np.bool_] | None = None
    voltage_noise: float = 1e-3
    temperature_noise: float = 0.1
    time_uncertainty: float = 0.0
    rest_voltage: float | None = None
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check lengths, order and numbers, and make the arrays read-only."""
        shape = (self.time.size,)
        for name in ("time", "current", "voltage", "scored", "temperature", "strain", "thickness", "less_certain"):
            values = getattr(self, name)
            if values is not None:
                require_shape(name, values, shape)
                object.__setattr__(self, name, freeze(values))
        if isinstance(self.ambient_temperature, np.ndarray):
            require_shape("ambient_temperature", self.ambient_temperature, shape)
            object.__setattr__(self, "ambient_temperature", freeze(self.ambient_temperature))
        if self.kind not in CURVE_KINDS:
            raise MeasurementError(
                f"{self.kind!r} is no kind of curve",
                where=self.source.path,
                remedy=f"Use one of {', '.join(CURVE_KINDS)}",
            )
        if shape[0] < 2:
            raise MeasurementError(
                f"curve {self.name} has {shape[0]} rows",
                where=self.source.path,
                remedy="Give a recording with at least two rows under current",
            )
        steps = np.diff(self.time)
        if not np.all(steps > 0.0):
            row = int(np.argmax(~(steps > 0.0))) + 1
            raise MeasurementError(
                f"curve {self.name}: time {self.time[row]:g} s in row {row} does not follow {self.time[row - 1]:g} s",
                where=self.source.path,
                remedy="Sort the rows by time and remove repeated ones",
            )
        for name in ("current", "voltage", "temperature"):
            values = getattr(self, name)
            if values is None:
                continue
            wrong = ~np.isfinite(values) & (self.scored if name != "current" else True)
            if wrong.any():
                raise MeasurementError(
                    f"curve {self.name}: {name} is not a number in row {int(np.argmax(wrong))}",
                    where=self.source.path,
                    remedy="Leave the row out of those scored, or repair it",
                )

    @property
    def charge(self) -> float:
        """Charge drawn from the first row to the last [A.h], positive on discharge."""
        return float(np.trapezoid(self.current, self.time)) / SECONDS_PER_HOUR

    @property
    def mean_current(self) -> float:
        """Mean current over time [A], positive on discharge."""
        return self.charge * SECONDS_PER_HOUR / float(self.time[-1] - self.time[0])

    @property
    def ambient(self) -> Array:
        """Temperature of what surrounds the cell [K] at each row, shape (n,)."""
        if isinstance(self.ambient_temperature, np.ndarray):
            return self.ambient_temperature
        return np.full(self.time.size, float(self.ambient_temperature))

    def keep_scored(self, kept: NDArray[np.bool_], reason: str) -> MeasuredCurve:
        """Return the curve with fewer rows scored.

        Parameters
        ----------
        kept : ndarray of bool of shape (n,)
            Rows that stay scored if they are.
        reason : str
            Why the others leave; counted in ``source.left_out``.
        """
        require_shape("kept", kept, self.scored.shape)
        leaving = int(np.count_nonzero(self.scored & ~kept))
        if leaving == 0:
            return self
        left_out = dict(self.source.left_out)
        left_out[reason] = left_out.get(reason, 0) + leaving
        return replace(self, scored=self.scored & kept, source=replace(self.source, left_out=left_out))


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredSet:
    """The curves of one cell.

    Attributes
    ----------
    cell : str
        Name of the cell, such as ``"S001"``.
    curves : tuple of MeasuredCurve
        In order of their rates, slowest first; names are unique.
    nominal_capacity : float, optional
        What rates refer to [A.h]; None where unknown, and curves are then named by their current.
    unused : mapping of str to int
        Rows of the files that are in none of the curves, counted by reason.

    Raises
    ------
    MeasurementError
        If two curves have one name.
    """

    cell: str
    curves: tuple[MeasuredCurve, ...]
    nominal_capacity: float | None = None
    unused: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that names are unique."""
        names = self.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            files = "; ".join(curve.source.path for curve in self.curves if curve.name == twice)
            raise MeasurementError(
                f"cell {self.cell} has two curves named {twice!r}",
                where=files,
                remedy="Give the files of one cell, each measurement once",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the curves, in order."""
        return tuple(curve.name for curve in self.curves)

    def curve(self, name: str) -> MeasuredCurve:
        """Return the curve of a name, such as ``"2C"``; ``"C/10"`` finds ``"0.1C"`` as well.

        Raises
        ------
        MeasurementError
            If there is none; the message names those there are.
        """
        for curve in self.curves:
            if curve.name == name:
                return curve
        rate = parse_rate(name)
        for curve in self.curves:
            if rate is not None and parse_rate(curve.name) == rate:
                return curve
        raise MeasurementError(
            f"cell {self.cell} has no curve {name!r}", remedy=f"Choose among {', '.join(self.names) or 'none'}"
        )

    def of_kind(self, *kinds: str) -> MeasuredSet:
        """Return the set with the curves of these kinds only, such as ``"discharge"``."""
        return replace(self, curves=tuple(curve for curve in self.curves if curve.kind in kinds))

    def select(self, *names: str) -> MeasuredSet:
        """Return the set with these curves only, in this order."""
        return replace(self, curves=tuple(self.curve(name) for name in names))
