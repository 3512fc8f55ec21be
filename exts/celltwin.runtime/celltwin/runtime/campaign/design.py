"""Where a campaign looks: the points of a grid, a Latin hypercube or a Sobol sequence."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array, SettingsError

__all__ = ["DESIGNS", "MOST_RUNS", "Design", "Factor", "design_points"]

DESIGNS = ("grid", "latin_hypercube", "sobol")
MOST_RUNS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What is varied.

    Attributes
    ----------
    name : str
        Name of its column in the results.
    fields : tuple of str
        Dotted names of the fields that take its value, such as ``scenario.initial.soc``.
    unit : str
        Unit of its values; empty for those of the fields.
    low, high : float
        Ends of its range [unit]; NaN where it has ``values``.
    values : tuple
        Values that it may take, instead of a range: numbers or texts.
    logarithmic : bool
        Whether the range is evenly filled in the logarithm.
    whole : bool
        Whether values of the range are rounded to whole numbers.
    levels : int
        How many values of the range a grid takes.
    """

    name: str
    fields: tuple[str, ...]
    unit: str = ""
    low: float = math.nan
    high: float = math.nan
    values: tuple[Any, ...] = ()
    logarithmic: bool = False
    whole: bool = False
    levels: int = 0

    def value_at(self, share: float) -> Any:
        """Return the value at a share in [0, 1] of the range, or of the list of values."""
        if self.values:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        if self.logarithmic:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + share * (self.high - self.low)
        value = min(max(value, self.low), self.high)  # rounding errors do not leave the range
        return round(value) if self.whole else float(value)

    def all_levels(self) -> tuple[Any, ...]:
        """Return the values that a grid takes."""
        if self.values:
            return self.values
        return tuple(self.value_at(float(share)) for share in np.linspace(0.0, 1.0, self.levels))

    def extremes(self) -> tuple[Any, ...]:
        """Return every listed value, or both ends of the range."""
        return self.values or (self.value_at(0.0), self.value_at(1.0))


@dataclass(frozen=True, kw_only=True)
class Design:
    """How the factors are combined.

    Attributes
    ----------
    kind : str
        One of :data:`DESIGNS`.
    points : int
        Number of points of a Latin hypercube or a Sobol sequence.
    seed : int
        Seed of their randomness.
    """

    kind: str
    points: int = 0
    seed: int = 1

    @property
    def advice(self) -> str | None:
        """What would make the design better, for people."""
        if self.kind != "sobol" or self.points & (self.points - 1) == 0:
            return None
        below = 1 << (self.points.bit_length() - 1)
        return (
            f"{self.points} points of a Sobol sequence are not balanced; "
            f"a power of two is: {below} or {2 * below} points"
        )


def design_points(design: Design, factors: tuple[Factor, ...]) -> list[tuple[Any, ...]]:
    """Return the value of every factor at every point, in a fixed order.

    Raises
    ------
    SettingsError
        If there would be more than :data:`MOST_RUNS` points.

    References
    ----------
    .. [1] M. D. McKay, R. J. Beckman, W. J. Conover, *Technometrics* 21 (1979) 239-245: Latin hypercube.
    .. [2] I. M. Sobol', *USSR Computational Mathematics and Mathematical Physics* 7 (1967) 86-112; scrambled after
       A. B. Owen, *Journal of Complexity* 14 (1998) 466-489.
    """
    if design.kind == "grid":
        levels = [factor.all_levels() for factor in factors]
        _require_runs(math.prod(len(values) for values in levels))
        return list(itertools.product(*levels))
    _require_runs(design.points)
    return [
        tuple(factor.value_at(float(share)) for factor, share in zip(factors, row, strict=True))
        for row in _unit_points(design, len(factors))
    ]


def _unit_points(design: Design, dimension: int) -> Array:
    """Return points in the unit cube, of shape (points, dimension)."""
    from scipy.stats import qmc

    if design.kind == "latin_hypercube":
        points: Array = qmc.LatinHypercube(dimension, rng=design.seed).random(design.points)
        return points
    # The first points of the next power of two: the same sequence, and balanced where the number is one.
    exponent = max(design.points - 1, 0).bit_length()
    sequence: Array = qmc.Sobol(dimension, scramble=True, rng=design.seed).random_base2(exponent)
    return sequence[: design.points]


def _require_runs(count: int) -> None:
    if count > MOST_RUNS:
        raise SettingsError(
            f"the design has {count:,} points; the limit is {MOST_RUNS:,}",
            remedy="Take fewer levels, or sample with latin_hypercube or sobol",
        )
