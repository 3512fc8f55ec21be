"""How well a parameter set reproduces measured curves: the figures by which calibrations are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..measurements.curve import MeasuredCurve
from .cell_simulation import CellModel, CellSimulation, SimulatedCurve

__all__ = ["CurveFigures", "compare_curve", "score_curve", "score_curves", "simulate_curve"]


@dataclass(frozen=True, kw_only=True)
class CurveFigures:
    """Errors of one curve over all of its scored rows.

    Attributes
    ----------
    name : str
        Of the curve.
    held_out : bool
        Whether the curve took no part in the fit.
    voltage_mape, temperature_mape : float
        Mean absolute error over value [%], of kelvin for the temperature; not a number where none was measured.
    voltage_rmse, temperature_rmse : float
        Root mean square error [V], [K].
    rows : int
        Scored rows that were compared.
    missing : int
        Scored rows that the simulation did not reach; they are in no error, and a fit with any is not a good one.
    """

    name: str
    held_out: bool
    voltage_mape: float
    voltage_rmse: float
    temperature_mape: float
    temperature_rmse: float
    rows: int
    missing: int


def simulate_curve(model: CellModel, curve: MeasuredCurve, values: Mapping[str, float]) -> SimulatedCurve:
    """Return the simulated curve at every row of a measured one."""
    return CellSimulation(model, curve, np.arange(curve.time.size, dtype=np.int64)).solve(values)


def score_curve(
    model: CellModel, curve: MeasuredCurve, values: Mapping[str, float], *, held_out: bool = False
) -> CurveFigures:
    """Return the errors of a parameter set on one curve.

    Parameters
    ----------
    model : CellModel
        Best with the default mesh, on which figures are stated.
    curve : MeasuredCurve
        The curve; all of its scored rows count alike.
    values : mapping of str to float
        Values of inputs; the rest are the base set's.
    held_out : bool
        Whether the curve took no part in the fit.
    """
    found = simulate_curve(model, curve, values)
    return compare_curve(curve, found.voltage, found.temperature, held_out=held_out)


def compare_curve(curve: MeasuredCurve, voltage: Array, temperature: Array, *, held_out: bool = False) -> CurveFigures:
    """Return the errors of predicted values on one curve.

    Parameters
    ----------
    curve : MeasuredCurve
        As measured; all of its scored rows count alike.
    voltage, temperature : ndarray of shape (n,)
        Predicted at every row of the curve [V], [K]; not a number where the prediction has no value.
    held_out : bool
        Whether the curve took no part in what predicts it.
    """
    scored = np.asarray(curve.scored)
    reached = scored & np.isfinite(voltage)
    voltage_errors = _errors(voltage, np.asarray(curve.voltage), reached)
    temperature_errors = (float("nan"), float("nan"))
    if curve.temperature is not None:
        temperature_errors = _errors(temperature, np.asarray(curve.temperature), reached)
    return CurveFigures(
        name=curve.name,
        held_out=held_out,
        voltage_mape=voltage_errors[0],
        voltage_rmse=voltage_errors[1],
        temperature_mape=temperature_errors[0],
        temperature_rmse=temperature_errors[1],
        rows=int(reached.sum()),
        missing=int(scored.sum() - reached.sum()),
    )


def score_curves(
    model: CellModel,
    curves: Sequence[MeasuredCurve],
    values: Mapping[str, float],
    *,
    fitted: Sequence[str] = (),
) -> tuple[CurveFigures, ...]:
    """Return the errors of a parameter set on several curves; those not among the fitted are held out."""
    return tuple(score_curve(model, curve, values, held_out=curve.name not in fitted) for curve in curves)


def _errors(simulated: Array, measured: Array, rows: NDArray[np.bool_]) -> tuple[float, float]:
    error = (simulated - measured)[rows]
    if error.size == 0:
        return float("nan"), float("nan")
    return 100.0 * float(np.mean(np.abs(error / measured[rows]))), float(np.sqrt(np.mean(error**2)))
