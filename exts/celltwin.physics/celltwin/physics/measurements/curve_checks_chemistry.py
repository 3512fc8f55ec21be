"""Whether the voltages of slow discharges are those of the chemistry that a cell is said to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from celltwin.core import SECONDS_PER_HOUR

from .cell_description import CELL_CHEMISTRIES, CellDescription, ChemistryWindow
from .curve import MeasuredCurve
from .curve_checks_finding import CurveFinding, FindingLevel

__all__ = ["DischargeShape", "check_chemistry", "discharge_shape"]

_FASTEST = 1.1  # [1/h]: faster discharges tell too little of the open-circuit voltage
_LOWERED = 0.22  # [V] that the middle lies below open circuit at 1C, at most
_MARGIN = 0.03  # [V]
_SPAN_MARGIN = 0.02  # [V]
_SPAN_WIDENED = 0.08  # [V] at 1C
_NEAR = 0.08  # [V] outside: a neighbouring chemistry, or an unusual cell


@dataclass(frozen=True)
class DischargeShape:
    """Where the voltage of a complete discharge lies.

    Attributes
    ----------
    rate : float
        [1/h].
    middle : float
        Voltage when half of the charge is drawn [V].
    span : float
        Voltage when a fifth is drawn less that when four fifths are [V].
    """

    rate: float
    middle: float
    span: float

    def distance(self, window: ChemistryWindow) -> float:
        """Return how far [V] this lies outside what a cell of the chemistry may have at this rate; 0 inside."""
        low, high = window.middle_voltage
        flattest, steepest = window.span_voltage
        return max(
            0.0,
            low - _MARGIN - _LOWERED * self.rate - self.middle,
            self.middle - high - _MARGIN,
            flattest - _SPAN_MARGIN - self.span,
            self.span - steepest - _SPAN_MARGIN - _SPAN_WIDENED * self.rate,
        )

    def fits(self, window: ChemistryWindow) -> bool:
        """Return whether a cell of the chemistry may have this shape at this rate."""
        return self.distance(window) == 0.0


def discharge_shape(curve: MeasuredCurve, capacity: float) -> DischargeShape | None:
    """Return the shape of a discharge, None where it draws less than 70 % of a capacity [A.h] or is too fast."""
    rate = curve.mean_current / capacity
    if curve.kind != "discharge" or rate > _FASTEST or rate <= 0.0 or curve.charge < 0.7 * capacity:
        return None
    steps = 0.5 * (curve.current[1:] + curve.current[:-1]) * np.diff(curve.time) / SECONDS_PER_HOUR
    drawn = np.concatenate([[0.0], np.cumsum(steps)])
    drawn = np.maximum.accumulate(drawn)[curve.scored]
    early, middle, late = np.interp(
        np.array([0.2, 0.5, 0.8]) * curve.charge, drawn, curve.voltage[curve.scored]
    ).tolist()
    return DischargeShape(rate=rate, middle=middle, span=early - late)


def check_chemistry(discharges: Sequence[MeasuredCurve], description: CellDescription) -> tuple[CurveFinding, ...]:
    """Return a finding where the slowest complete discharge does not look like the described chemistry.

    Neighbours, such as NMC and LCO, overlap and are not always told apart; LFP and LTO always are.

    Parameters
    ----------
    discharges : sequence of MeasuredCurve
        Of one cell.
    description : CellDescription
        What it is said to be.
    """
    shapes = [
        (shape, curve) for curve in discharges if (shape := discharge_shape(curve, description.capacity)) is not None
    ]
    if not shapes:
        return ()
    shape, curve = min(shapes, key=lambda item: item[0].rate)
    if shape.fits(description.window):
        return ()
    likely = [name for name, window in CELL_CHEMISTRIES.items() if shape.fits(window)]
    low, high = description.window.middle_voltage
    flattest, steepest = description.window.span_voltage
    return (
        CurveFinding(
            level=FindingLevel.DOUBTFUL if shape.distance(description.window) < _NEAR else FindingLevel.REFUSED,
            check="chemistry",
            curve=curve.name,
            message=f"curve {curve.name} has {shape.middle:.3f} V at half its charge and spans {shape.span:.3f} V "
            f"between 20 and 80 %; {description.chemistry} at rest has {low:.2f} to {high:.2f} V and spans "
            f"{flattest:.2f} to {steepest:.2f} V",
            remedy=f"It looks like {' or '.join(likely)}: correct the chemistry" if likely else "Check the chemistry",
            path=curve.source.path,
        ),
    )
