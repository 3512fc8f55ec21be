"""Laws of a calibrated cell as tables: as few points as straight lines between them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array

from .base_sets_laws import REFERENCE_SALT, REFERENCE_TEMPERATURE
from .consistency_course import law_values

__all__ = ["LawTable", "cell_tables", "exchange_current", "tabulate"]

_FIRST, _LAST = 1e-4, 1.0 - 1e-4  # stoichiometries: beyond lies no state of a cell
_SALT = (5.0, 4500.0)  # [mol/m3]
_CANDIDATES = 20001
_POTENTIAL, _ENTROPIC, _RELATIVE = 1e-5, 1e-7, 2e-4  # [V], [V/K], of the value


@dataclass(frozen=True, eq=False)
class LawTable:
    """A function as points between which it is straight.

    Attributes
    ----------
    x, y : ndarray of shape (n,)
        Increasing places, and values there.
    """

    x: Array
    y: Array

    def content(self) -> dict[str, list[float]]:
        """Return the table as BPX has it, with nine digits."""
        return {"x": [float(f"{value:.9g}") for value in self.x], "y": [float(f"{value:.9g}") for value in self.y]}


def tabulate(law: Callable[[Array], Array], first: float, last: float, tolerance: float) -> LawTable:
    """Return a function as a table.

    Points lie where the curvature asks for them: the error of a straight piece is h^2 |f''| / 8.

    Parameters
    ----------
    law : callable
        Takes and gives arrays of shape (n,).
    first, last : float
        Ends of the table.
    tolerance : float
        Largest error between points, in the unit of the function.
    """
    # Dense towards both ends, where laws bend most.
    place = first + (last - first) * (0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, _CANDIDATES)))
    values = law(place)
    kept = _straight_pieces(place, values, tolerance)
    return LawTable(place[kept], values[kept])


def cell_tables(laws: Any, inputs: Mapping[str, float]) -> dict[str, LawTable]:
    """Return the laws of a calibrated cell at 25 degC.

    Parameters
    ----------
    laws : pybamm.ParameterValues
        The set with its laws.
    inputs : mapping of str to float
        Values of inputs in it.

    Returns
    -------
    dict of str to LawTable
        Potentials [V], entropic changes [V/K] and diffusivities [m2/s] of both electrodes over stoichiometry;
        diffusivity [m2/s] and conductivity [S/m] of the electrolyte over concentration [mol/m3].
    """
    found: dict[str, LawTable] = {}

    def add(name: str, ends: tuple[float, float], tolerance: float | None, *further: float) -> None:
        def law(at: Array) -> Array:
            return law_values(laws, name, at, inputs, *further)

        if tolerance is None:
            tolerance = _RELATIVE * float(np.min(np.abs(law(np.linspace(*_inner(ends), 101)))))
        found[name] = tabulate(law, *ends, tolerance)

    for side in ("Negative", "Positive"):
        add(f"{side} electrode OCP [V]", (_FIRST, _LAST), _POTENTIAL)
        add(f"{side} electrode OCP entropic change [V.K-1]", (_FIRST, _LAST), _ENTROPIC)
        add(f"{side} particle diffusivity [m2.s-1]", (_FIRST, _LAST), None, REFERENCE_TEMPERATURE)
    add("Electrolyte diffusivity [m2.s-1]", _SALT, None, REFERENCE_TEMPERATURE)
    add("Electrolyte conductivity [S.m-1]", _SALT, None, REFERENCE_TEMPERATURE)
    return found


def exchange_current(laws: Any, inputs: Mapping[str, float], side: str) -> tuple[float, float]:
    """Return the exchange-current density at half stoichiometry [A/m2], and how far it departs from the square root.

    BPX knows one law, j0 = F K sqrt(c_e / c_e0 x (1 - x)); the departure is the largest ratio less 1 over the middle
    nine tenths of stoichiometry.
    """
    highest = float(laws[f"Maximum concentration in {side.lower()} electrode [mol.m-3]"])
    place = np.linspace(0.05, 0.95, 19)

    def evaluated(salt: float) -> Array:
        import pybamm

        law = laws[f"{side} electrode exchange-current density [A.m-2]"]
        result = law(
            pybamm.Scalar(salt),
            pybamm.Vector(place * highest),
            pybamm.Scalar(highest),
            pybamm.Scalar(REFERENCE_TEMPERATURE),
        )
        return np.asarray(laws.process_symbol(result).evaluate(inputs=dict(inputs)), dtype=np.float64).reshape(-1)

    at_reference = evaluated(REFERENCE_SALT)
    middle = float(at_reference[place.size // 2])
    ratios = np.concatenate(
        [
            evaluated(salt) / (2.0 * middle * np.sqrt(salt / REFERENCE_SALT * place * (1.0 - place)))
            for salt in (0.5 * REFERENCE_SALT, REFERENCE_SALT, 1.5 * REFERENCE_SALT)
        ]
    )
    return middle, float(np.max(np.abs(ratios - 1.0)))


def _inner(ends: tuple[float, float]) -> tuple[float, float]:
    first, last = ends
    return first + 0.02 * (last - first), last - 0.02 * (last - first)


def _straight_pieces(place: Array, values: Array, tolerance: float) -> Array:
    """Return which points to keep so that straight lines between them stay within a tolerance, one after the other."""
    steps = np.diff(place)
    slopes = np.diff(values) / steps
    bends = np.zeros(place.size)
    bends[1:-1] = np.abs(np.diff(slopes)) / (0.5 * (steps[1:] + steps[:-1]))
    # The number of points that a unit of length needs, summed up: every whole number is one point.
    density = np.sqrt(bends / (8.0 * tolerance))
    needed = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * steps)])
    count = max(int(np.ceil(1.1 * needed[-1])), 1) + 20
    way = needed / max(needed[-1], 1e-12) * (count - 20) + 20.0 * (place - place[0]) / (place[-1] - place[0])
    kept = np.unique(np.searchsorted(way, np.arange(count + 1)).clip(0, place.size - 1))
    return np.unique(np.concatenate([[0], kept, [place.size - 1]]))
