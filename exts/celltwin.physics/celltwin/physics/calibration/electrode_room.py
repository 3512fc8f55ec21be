"""Electrodes must hold the charge that was drawn: how far a candidate empties one and fills the other, as residuals.

The terminal voltage of a discharge ends where overpotentials take it, so that nothing in a fit keeps a particle from
running full at the very end; a cell whose voltage limit lies beyond a full particle has no state there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from celltwin.core import Array

from ..measurements.curve import MeasuredCurve
from .base_sets import BaseSet
from .consistency_course import electrode_capacity

__all__ = ["ElectrodeRoom"]

LEFT, FREE = 0.01, 0.01  # of stoichiometry, left in the negative and free in the positive electrode
DEVIATION = 0.002  # of stoichiometry


class ElectrodeRoom:
    """Stoichiometries at the end of the longest discharge, as residuals where they leave no room.

    Parameters
    ----------
    base : BaseSet
        Published set.
    curves : sequence of MeasuredCurve
        What is fitted; the largest charge drawn counts.
    """

    size = 2

    def __init__(self, base: BaseSet, curves: Sequence[MeasuredCurve]) -> None:
        self._base = base
        self._charge = max((curve.charge for curve in curves if curve.kind == "discharge"), default=0.0)

    def residuals(self, candidates: Sequence[Mapping[str, float]]) -> Array:
        """Return residuals of candidates, shape (n_candidates, 2).

        Parameters
        ----------
        candidates : sequence of mapping
            All inputs of the cell model by name.
        """
        ends = np.array([self._ends(inputs) for inputs in candidates])
        over = np.stack([LEFT - ends[:, 0], ends[:, 1] - (1.0 - FREE)], axis=1)
        return np.maximum(over, 0.0) / DEVIATION

    def _ends(self, inputs: Mapping[str, float]) -> tuple[float, float]:
        negative, positive = (electrode_capacity(self._base.values, inputs, side) for side in ("Negative", "Positive"))
        return (
            inputs["Negative electrode initial stoichiometry"] - self._charge / negative,
            inputs["Positive electrode initial stoichiometry"] + self._charge / positive,
        )
