"""What a calibration is taken to know of other temperatures than those that its curves began at.

Discharges that begin at one temperature tell activation energies by the warmth of the cell alone, where every error
that grows with the rate looks like one of them: a fit may use them to explain what its model lacks. At other
surroundings a parameter set is therefore predicted twice: with the activation energies of the fit, and with such as the
literature has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..measurements.curve import MeasuredCurve
from .parameter_space_cell import physical_ranges

__all__ = ["draw_activation_energies", "is_elsewhere"]

FAR = 5.0  # beyond the surroundings of the fitted curves [K]


def is_elsewhere(curve: MeasuredCurve, fitted: Sequence[MeasuredCurve]) -> bool:
    """Return whether a curve's surroundings are colder or warmer than those of all fitted curves by more than 5 K."""
    known = [float(np.mean(one.ambient)) for one in fitted]
    return not min(known) - FAR <= float(np.mean(curve.ambient)) <= max(known) + FAR


def draw_activation_energies(
    known: Mapping[str, float], count: int, random: np.random.Generator
) -> list[dict[str, float]]:
    """Return activation energies drawn from the priors of a calibration, within their bounds.

    Parameters
    ----------
    known : mapping of str to float
        Inputs of the model; those that are no activation energies are passed over.
    count : int
        How many draws.
    random : numpy.random.Generator
        Of the draws.

    Returns
    -------
    list of dict of str to float
        By name of input [J/mol].
    """
    ranges = {name: item for name, item in physical_ranges().items() if "activation energy" in name and name in known}
    draws = {
        name: np.clip(
            (known[name] if item.start is None else item.start) + item.spread * random.standard_normal(count),
            item.low,
            item.high,
        )
        for name, item in ranges.items()
    }
    return [{name: float(values[row]) for name, values in draws.items()} for row in range(count)]
