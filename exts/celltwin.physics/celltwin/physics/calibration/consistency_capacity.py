"""What a calibrated cell holds at rest between its voltage limits, and its electrodes' share of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import ModelError

from .consistency_course import electrode_capacity, law_values

__all__ = ["RestingLimits", "find_resting_limits"]

_POINTS = 40001
_EDGE = 1e-4  # of stoichiometry, kept clear of empty and full


@dataclass(frozen=True, kw_only=True)
class RestingLimits:
    """Stoichiometries and charges at the voltage limits, at rest and 25 degC.

    Attributes
    ----------
    negative_empty, negative_full, positive_empty, positive_full : float
        Stoichiometries at the lower and the upper voltage limit.
    capacity : float
        Charge between the limits [A.h].
    negative_capacity, positive_capacity : float
        Charge of each electrode over its whole stoichiometry [A.h].
    lithium : float
        Cyclable lithium [A.h].
    lowest_voltage, highest_voltage : float
        Open-circuit voltages at the ends [V]: the cell's limits, or nearer together where an electrode is exhausted.
    """

    negative_empty: float
    negative_full: float
    positive_empty: float
    positive_full: float
    capacity: float
    negative_capacity: float
    positive_capacity: float
    lithium: float
    lowest_voltage: float
    highest_voltage: float

    @property
    def negative_to_positive(self) -> float:
        """Room for lithium in the negative electrode over what the positive one gives when charged."""
        return (1.0 - self.negative_empty) / (self.negative_full - self.negative_empty)


def find_resting_limits(
    laws: Any, inputs: Mapping[str, float], lower_voltage: float, upper_voltage: float
) -> RestingLimits:
    """Return what a cell holds between its voltage limits.

    Lithium moves between the electrodes without loss, so that x(q) = x0 - q / Qn and y(q) = y0 + q / Qp.

    Parameters
    ----------
    laws : pybamm.ParameterValues
        The set with its laws.
    inputs : mapping of str to float
        Values of inputs in it.
    lower_voltage, upper_voltage : float
        Limits [V].

    Raises
    ------
    ModelError
        If the open-circuit voltage does not pass through the limits in the right order.
    """
    held = {side: electrode_capacity(laws, inputs, side) for side in ("Negative", "Positive")}
    x0, y0 = (inputs[f"{side} electrode initial stoichiometry"] for side in held)
    first = max(-(1.0 - _EDGE - x0) * held["Negative"], -(y0 - _EDGE) * held["Positive"])
    last = min((x0 - _EDGE) * held["Negative"], (1.0 - _EDGE - y0) * held["Positive"])
    # Dense towards both ends, where potentials run off.
    share = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, _POINTS))
    drawn = first + share * (last - first)
    x, y = x0 - drawn / held["Negative"], y0 + drawn / held["Positive"]
    voltage = law_values(laws, "Positive electrode OCP [V]", y, inputs)
    voltage = voltage - law_values(laws, "Negative electrode OCP [V]", x, inputs)
    falling = np.minimum.accumulate(voltage)
    begin = float(np.interp(-upper_voltage, -falling, drawn))
    end = float(np.interp(-lower_voltage, -falling, drawn))
    if not end > begin:
        raise ModelError(
            f"the open-circuit voltage runs from {falling[0]:.3f} to {falling[-1]:.3f} V, which holds nothing between "
            f"{upper_voltage:g} and {lower_voltage:g} V",
            remedy="Check the voltage limits and the chemistry in the description of the cell",
        )
    return RestingLimits(
        negative_empty=x0 - end / held["Negative"],
        negative_full=x0 - begin / held["Negative"],
        positive_empty=y0 + end / held["Positive"],
        positive_full=y0 + begin / held["Positive"],
        capacity=end - begin,
        negative_capacity=held["Negative"],
        positive_capacity=held["Positive"],
        lithium=x0 * held["Negative"] + y0 * held["Positive"],
        lowest_voltage=float(np.interp(end, drawn, falling)),
        highest_voltage=float(np.interp(begin, drawn, falling)),
    )
