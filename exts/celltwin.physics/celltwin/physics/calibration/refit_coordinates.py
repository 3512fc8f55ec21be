"""What differs from cell to cell of one type: a few coordinates about shared values, each with its usual width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from celltwin.core import Array, ModelError, freeze

from .cell_simulation import LEAD_RESISTANCE
from .parameter_space_cell import physical_ranges

__all__ = ["CELL_TO_CELL", "CellCoordinate", "CellPrior", "cell_prior"]

_MAKING = (
    "Wildfeuer and Lienkamp, eTransportation 9 (2021) 100129: 0.2 to 0.3 % in capacity and 0.7 to 3.8 % in impedance "
    "within a batch"
)
_BATCHES = "fresh XJTU cells: 0.5 to 1.5 % in capacity within a batch, 2.0 % over batches; " + _MAKING
_MEASURING = "as large as supposed for another rig: clamps, leads and the air stream differ beside the cell"


@dataclass(frozen=True, kw_only=True)
class CellCoordinate:
    """One way in which cells of a type differ.

    Attributes
    ----------
    name : str
        Such as ``"capacity"``.
    inputs : tuple of str
        Inputs of the cell model that it moves together.
    kind : {"factor", "shift"}
        Whether it is the natural logarithm of a factor on its inputs, or what is added to them.
    unit : str
        Of a shift; ``"-"`` for factors.
    width : float
        Standard deviation between cells that is usual.
    source : str
        Where the width comes from.
    bounds : tuple of float, optional
        Of a shift, where its input has no physical range of its own.
    """

    name: str
    inputs: tuple[str, ...]
    width: float
    source: str
    kind: Literal["factor", "shift"] = "factor"
    unit: str = "-"
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check the width."""
        if not (math.isfinite(self.width) and self.width > 0.0):
            raise ModelError(f"{self.name}: a width of {self.width:g} between cells must be above 0")

    def moved(self, values: Mapping[str, float], amount: float) -> dict[str, float]:
        """Return the coordinate's inputs, moved by an amount from shared values."""
        factor = math.exp(amount) if self.kind == "factor" else 1.0
        shift = amount if self.kind == "shift" else 0.0
        return {name: values[name] * factor + shift for name in self.inputs}

    def room(self, values: Mapping[str, float]) -> tuple[float, float]:
        """Return how far the coordinate may go until one of its inputs leaves its physical range.

        Bounds that are relative to a base set's value are taken about the shared values. A shared value at its very
        bound leaves no room to that side.
        """
        if self.bounds is not None:
            return self.bounds
        low, high = -math.inf, math.inf
        for name in self.inputs:
            bounds, value = physical_ranges()[name], values[name]
            unit = abs(value) if bounds.relative else 1.0
            lower, upper = bounds.low * unit, bounds.high * unit
            if self.kind == "factor":
                low, high = max(low, math.log(lower / value)), min(high, math.log(upper / value))
            else:
                low, high = max(low, lower - value), min(high, upper - value)
        return min(low, 0.0), max(high, 0.0)


CELL_TO_CELL: tuple[CellCoordinate, ...] = (
    CellCoordinate(name="capacity", inputs=("Electrode width [m]",), width=0.015, source=_BATCHES),
    CellCoordinate(
        name="negative stoichiometry",
        inputs=("Negative electrode initial stoichiometry",),
        kind="shift",
        width=0.008,
        source="supposed: 1 % of the electrodes' loading against each other, as of the capacity",
    ),
    CellCoordinate(
        name="positive stoichiometry",
        inputs=("Positive electrode initial stoichiometry",),
        kind="shift",
        width=0.008,
        source="supposed: 1 % of the electrodes' loading against each other, as of the capacity",
    ),
    CellCoordinate(
        name="resistance",
        inputs=("Contact resistance [Ohm]",),
        kind="shift",
        unit="ohm",
        width=4e-3,
        source="of a cell of 1 A.h: 4 % of the 0.1 ohm.A.h that cylinders have in all; " + _MAKING,
    ),
    CellCoordinate(
        name="lead resistance",
        inputs=(LEAD_RESISTANCE,),
        kind="shift",
        unit="ohm",
        width=15e-3,
        bounds=(-1.0, 1.0),
        source="of a cell of 1 A.h, supposed: clamps and leads beyond the sense wires differ by milliohms and do not "
        "heat the cell",
    ),
    CellCoordinate(
        name="kinetics",
        inputs=(
            "Negative electrode exchange-current density [A.m-2]",
            "Positive electrode exchange-current density [A.m-2]",
        ),
        width=0.10,
        source="impedance varies more than capacity; widened for age and batches; " + _MAKING,
    ),
    CellCoordinate(
        name="diffusivity",
        inputs=("Negative particle diffusivity [m2.s-1]", "Positive particle diffusivity [m2.s-1]"),
        width=0.10,
        source="supposed: 5 % of particle size, squared",
    ),
    CellCoordinate(
        name="heat transfer", inputs=("Total heat transfer coefficient [W.m-2.K-1]",), width=0.15, source=_MEASURING
    ),
    CellCoordinate(
        name="surroundings",
        inputs=("Surroundings offset [K]",),
        kind="shift",
        unit="K",
        width=0.3,
        source="supposed: two thermocouples and the air of a chamber on two days",
    ),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class CellPrior:
    """A Gaussian over coordinates: what is known of a cell before it is measured.

    Attributes
    ----------
    coordinates : tuple of CellCoordinate
        In a fixed order.
    mean : ndarray of shape (n,)
        About the shared values; zero where nothing else is known.
    covariance : ndarray of shape (n, n)
        Between cells.
    source : str
        Where it comes from.
    """

    coordinates: tuple[CellCoordinate, ...]
    mean: Array
    covariance: Array
    source: str = "usual widths between cells of one type"

    def __post_init__(self) -> None:
        """Check shapes and definiteness, and make the arrays read-only."""
        size = len(self.coordinates)
        if size == 0:
            raise ModelError("a prior over cells needs at least one coordinate")
        if self.mean.shape != (size,) or self.covariance.shape != (size, size):
            raise ModelError(
                f"mean {self.mean.shape} and covariance {self.covariance.shape} do not fit {size} coordinates"
            )
        if np.linalg.eigvalsh(0.5 * (self.covariance + self.covariance.T)).min() <= 0.0:
            raise ModelError("the covariance between cells is not positive definite", remedy="Widen its diagonal")
        object.__setattr__(self, "mean", freeze(self.mean))
        object.__setattr__(self, "covariance", freeze(self.covariance))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return tuple(item.name for item in self.coordinates)

    @property
    def widths(self) -> Array:
        """Standard deviations, shape (n,)."""
        return np.sqrt(np.diag(self.covariance))

    def whiten(self, amounts: Array) -> Array:
        """Return departures from the mean in independent standard deviations, shape (…, n)."""
        factor = np.linalg.cholesky(self.covariance)
        return np.asarray(np.linalg.solve(factor, (np.atleast_2d(amounts) - self.mean).T).T)


def cell_prior(
    names: Sequence[str] = (),
    *,
    capacity: float = 1.0,
    widths: Mapping[str, float] | None = None,
    thermal: bool = True,
    surroundings: bool = False,
) -> CellPrior:
    """Return the usual prior between cells of one type.

    Parameters
    ----------
    names : sequence of str
        Which coordinates; all of ``CELL_TO_CELL`` where empty.
    capacity : float
        Of the cell [A.h]: resistances are the smaller, the larger the cell.
    widths : mapping of str to float, optional
        Other standard deviations, by coordinate.
    thermal : bool
        Whether temperatures were measured; without, nothing thermal is fitted.
    surroundings : bool
        Whether the temperature of the surroundings was supposed, not measured, so that it may be off.

    Raises
    ------
    ModelError
        If a name is unknown.
    """
    known = {item.name: item for item in CELL_TO_CELL}
    unknown = [name for name in (*names, *(widths or {})) if name not in known]
    if unknown:
        raise ModelError(f"cells do not differ in {', '.join(unknown)}", remedy=f"Choose among {', '.join(known)}")
    left_out = set() if names else {"surroundings"} - ({"surroundings"} if thermal and surroundings else set())
    # Without temperatures, resistance within the cell and outside of it are one.
    left_out |= set() if thermal else {"heat transfer", "surroundings", "lead resistance"}
    for name in ("resistance", "lead resistance"):
        known[name] = replace(known[name], width=known[name].width / capacity)
    chosen = [known[name] for name in (names or known) if name not in left_out]
    chosen = [replace(item, width=(widths or {}).get(item.name, item.width)) for item in chosen]
    return CellPrior(
        coordinates=tuple(chosen),
        mean=np.zeros(len(chosen)),
        covariance=np.diag([item.width**2 for item in chosen]),
    )
