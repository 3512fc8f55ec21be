"""Open-circuit potentials must fall with lithium: what shape corrections make rise, as residuals and as a figure.

A potential that rises with lithium means that a particle parts into two phases [1]_, which the models here do not
describe; a fit that is free to bend potentials puts such humps where they explain a few millivolts.

References
----------
.. [1] R. C. Smith, M. Z. Bazant, Multiphase porous electrode theory, J. Electrochem. Soc. 164 (2017) E3291.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from celltwin.core import Array

from .base_sets import BaseSet
from .base_sets_balance import electrode_potentials
from .base_sets_laws import ShapeCorrections
from .consistency_course import law_values

__all__ = ["PotentialRise", "potential_rises"]

NODES = 199
DEVIATION = 0.008  # root mean square slope [V] over stoichiometry that counts as one standard deviation
SIDES = ("Negative", "Positive")


class PotentialRise:
    """Where potentials rise with lithium, as residuals of shape corrections' coefficients.

    Where the published potential rises already, corrections may leave it as it is.

    Parameters
    ----------
    base : BaseSet
        Published set.
    shapes : ShapeCorrections
        Corrections of its laws.
    names : sequence of str
        Free parameters; without a coefficient of a potential among them there are no residuals.
    """

    def __init__(self, base: BaseSet, shapes: ShapeCorrections, names: Sequence[str]) -> None:
        edges = _edges()
        step = edges[1] - edges[0]
        published = electrode_potentials(base.values, edges, edges)
        self._slopes: list[Array] = []
        self._free: list[tuple[list[str], Array]] = []
        for side, potential in zip(SIDES, published, strict=True):
            field = f"open_circuit_{side.lower()}"
            coefficients = list(shapes.names(field))
            if not set(coefficients) & set(names):
                continue
            none = dict.fromkeys(coefficients, 0.0)
            each = [np.diff(shapes.sum(field, edges, none | {name: 1.0})) / step for name in coefficients]
            self._slopes.append(np.diff(potential) / step)
            self._free.append((coefficients, np.stack(each)))

    @property
    def size(self) -> int:
        """Number of residuals."""
        return NODES * len(self._free)

    def residuals(self, candidates: Sequence[Mapping[str, float]]) -> Array:
        """Return residuals of candidates' values by name, shape (n_candidates, size)."""
        found = [np.zeros((len(candidates), 0))]
        for slope, (names, response) in zip(self._slopes, self._free, strict=True):
            amounts = np.array([[values.get(name, 0.0) for name in names] for values in candidates])
            most = np.maximum(slope, 0.0)
            found.append(np.maximum(slope + amounts @ response - most, 0.0) / (DEVIATION * np.sqrt(NODES)))
        return np.concatenate(found, axis=1)


def potential_rises(laws: Any, inputs: Mapping[str, float]) -> dict[str, float]:
    """Return how far the open-circuit potential of each electrode rises with lithium, all rises together [V].

    Parameters
    ----------
    laws : pybamm.ParameterValues
        The set with its laws.
    inputs : mapping of str to float
        Values of inputs in it.
    """
    at = _edges()
    return {
        side: float(np.maximum(np.diff(law_values(laws, f"{side} electrode OCP [V]", at, inputs)), 0.0).sum())
        for side in SIDES
    }


def _edges() -> Array:
    return np.linspace(0.003, 0.997, NODES + 1)
