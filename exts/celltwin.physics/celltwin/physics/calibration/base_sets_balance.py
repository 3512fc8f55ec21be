"""Capacity and stoichiometries of a cell from its slowest discharge and a set's open-circuit potentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import FARADAY, SECONDS_PER_HOUR, Array, ModelError

from ..measurements.curve import MeasuredCurve

if TYPE_CHECKING:
    import pybamm

__all__ = ["Balance", "balance_on_charge", "balance_on_curve", "electrode_potentials"]

POINTS = 1601
AT_REST = 3e-3  # [V]: how well the open-circuit voltage at the start is known
MARGIN = 1e-3  # of stoichiometry, where potentials run off


@dataclass(frozen=True)
class Balance:
    """How a set's electrodes stand against each other in a cell.

    Attributes
    ----------
    numbers : mapping of str to float
        Area, active fractions and initial stoichiometries by name of input.
    slope : float
        Fall of the open-circuit voltage with charge drawn, at the start [V/C].
    error : float
        Departure from the curve [V].
    """

    numbers: Mapping[str, float]
    slope: float
    error: float = 0.0


def balance_on_charge(
    values: pybamm.ParameterValues,
    numbers: Mapping[str, float],
    *,
    start_voltage: float,
    lower_voltage: float,
    charge: float,
) -> Balance:
    """Return area and stoichiometries with which a set's open-circuit voltage spans a charge.

    Stoichiometries move along the set's own balance, x(q) = x0 - q/Qn, y(q) = y0 + q/Qp, until the open-circuit
    voltage meets the start; the area makes the way to the lower voltage hold the charge.

    Parameters
    ----------
    values : pybamm.ParameterValues
        The set.
    numbers : mapping of str to float
        Numbers of its laws.
    start_voltage, lower_voltage : float
        Open-circuit voltages [V] between which the charge lies.
    charge : float
        [A.h].

    Raises
    ------
    ModelError
        If the set's open-circuit voltage does not reach the start.
    """
    capacity = {domain: _areal_capacity(values, numbers, domain) for domain in ("Negative", "Positive")}
    low = numbers["Negative electrode initial stoichiometry"]
    high = numbers["Positive electrode initial stoichiometry"]
    span = np.linspace(-1.0, 1.0, 8001) * max(capacity.values())
    x = low - span / capacity["Negative"]
    y = high + span / capacity["Positive"]
    inside = (x > MARGIN) & (x < 1.0 - MARGIN) & (y > MARGIN) & (y < 1.0 - MARGIN)
    span, x, y = span[inside], x[inside], y[inside]
    negative, positive = electrode_potentials(values, x, y)
    voltage = np.minimum.accumulate(positive - negative)
    begin = float(np.interp(-start_voltage, -voltage, span))
    end = float(np.interp(-max(lower_voltage, float(voltage[-1])), -voltage, span))
    if end <= begin:
        raise ModelError(
            f"the set's open-circuit voltage runs from {voltage[0]:.2f} to {voltage[-1]:.2f} V, which does not hold "
            f"{start_voltage:.2f} V",
            remedy="Check the chemistry and the voltage limits",
        )
    area = charge * SECONDS_PER_HOUR / (end - begin)
    reach = 0.02 * (end - begin)
    fall = start_voltage - float(np.interp(begin + reach, span, voltage))
    return Balance(
        {
            "Electrode width [m]": area / float(values["Electrode height [m]"]),
            "Negative electrode initial stoichiometry": low - begin / capacity["Negative"],
            "Positive electrode initial stoichiometry": high + begin / capacity["Positive"],
        },
        fall / (area * reach),
    )


def balance_on_curve(
    values: pybamm.ParameterValues, numbers: Mapping[str, float], curve: MeasuredCurve, *, start_voltage: float
) -> Balance:
    """Return area, active fractions and stoichiometries that put a set's open-circuit curve onto a discharge.

    The four stoichiometries at start and end, and one constant for everything that polarises, are found by least
    squares; the set's own balance is their prior, so that what the curve does not tell stays as published.

    Parameters
    ----------
    values : pybamm.ParameterValues
        The set.
    numbers : mapping of str to float
        Numbers of its laws.
    curve : MeasuredCurve
        A slow discharge.
    start_voltage : float
        Upper voltage limit of the cell [V]: where the prior puts the start of a curve that does not tell its voltage
        at rest.

    Raises
    ------
    ModelError
        If the set's open-circuit voltage does not reach the start, or the curve is no discharge.
    """
    from scipy.optimize import least_squares

    if curve.charge <= 0.0:
        raise ModelError(
            f"curve {curve.name} draws {curve.charge:.3g} A.h", remedy="Give a discharge, current positive on discharge"
        )
    begun = balance_on_charge(
        values,
        numbers,
        start_voltage=curve.rest_voltage or start_voltage,
        lower_voltage=float(np.min(np.asarray(curve.voltage)[curve.scored])),
        charge=1.03 * curve.charge,
    ).numbers
    prior = {**numbers, **begun}
    span = {
        domain: curve.charge * SECONDS_PER_HOUR / (area * _areal_capacity(values, prior, domain))
        for domain in ("Negative", "Positive")
        for area in (prior["Electrode width [m]"] * float(values["Electrode height [m]"]),)
    }
    x0, y0 = prior["Negative electrode initial stoichiometry"], prior["Positive electrode initial stoichiometry"]
    drawn, voltage = _course(curve)
    grid = np.linspace(MARGIN, 1.0 - MARGIN, POINTS)
    negative, positive = electrode_potentials(values, grid, grid)
    slope = np.abs(np.gradient(voltage, drawn))
    deviation = 0.008 + 0.02 * slope

    def departures(at: Array) -> Array:
        x = at[0] - drawn * np.exp(at[2]) * span["Negative"]
        y = at[1] + drawn * np.exp(at[3]) * span["Positive"]
        outside = np.maximum(MARGIN - x, 0.0) + np.maximum(y - 1.0 + MARGIN, 0.0)
        model = np.interp(y, grid, positive) - np.interp(x, grid, negative) - at[4] - 20.0 * outside
        held = [(at[0] - x0) / 0.15, (at[1] - y0) / 0.10, at[2] / 0.3, at[3] / 0.2, (at[4] - 0.06) / 0.05]
        if curve.rest_voltage is not None:
            rest = np.interp(at[1], grid, positive) - np.interp(at[0], grid, negative)
            held.append(float(rest - curve.rest_voltage) / AT_REST)
        return np.concatenate([(model - voltage) / deviation / np.sqrt(drawn.size / 40.0), held])

    best = None
    for shift in (0.0, -0.1, -0.2):
        begin = np.array([np.clip(x0 + shift, 0.1, 0.99), np.clip(y0, 0.01, 0.9), shift, 0.0, 0.06])
        found = least_squares(departures, begin, loss="soft_l1", bounds=(_LOW, _HIGH))
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    at = best.x
    error = float(np.sqrt(np.mean((departures(at)[: drawn.size] * np.sqrt(drawn.size / 40.0) * deviation) ** 2)))
    shrink = {"Negative": float(np.exp(-at[2])), "Positive": float(np.exp(-at[3]))}
    both = float(np.sqrt(shrink["Negative"] * shrink["Positive"]))
    fractions = {
        f"{domain} electrode active material volume fraction": float(
            np.clip(numbers[f"{domain} electrode active material volume fraction"] * shrink[domain] / both, 0.36, 0.84)
        )
        for domain in ("Negative", "Positive")
    }
    reach = 0.02
    x, y = np.array([0.0, -reach]), np.array([0.0, reach])
    x = at[0] + x * np.exp(at[2]) * span["Negative"]
    y = at[1] + y * np.exp(at[3]) * span["Positive"]
    start = np.interp(y, grid, positive) - np.interp(x, grid, negative)
    return Balance(
        {
            "Electrode width [m]": prior["Electrode width [m]"] * both,
            **fractions,
            "Negative electrode initial stoichiometry": float(at[0]),
            "Positive electrode initial stoichiometry": float(at[1]),
        },
        float(start[0] - start[1]) / (reach * curve.charge * SECONDS_PER_HOUR),
        error,
    )


_LOW, _HIGH = [0.1, 0.005, -1.2, -1.2, 0.0], [0.995, 0.9, 0.7, 0.7, 0.4]


def electrode_potentials(values: pybamm.ParameterValues, negative: Array, positive: Array) -> tuple[Array, Array]:
    """Return open-circuit potentials [V] of a set at stoichiometries of each electrode, shapes as given."""
    import pybamm

    def potential(domain: str, stoichiometry: Array) -> Array:
        law = values[f"{domain} electrode OCP [V]"]
        return np.asarray(values.evaluate(law(pybamm.Vector(stoichiometry))), dtype=np.float64).reshape(-1)

    return potential("Negative", negative), potential("Positive", positive)


def _course(curve: MeasuredCurve) -> tuple[Array, Array]:
    """Return share of the charge drawn and voltage at about 200 scored rows, those before the current left out."""
    time, current = np.asarray(curve.time), np.asarray(curve.current)
    steps = 0.5 * (current[1:] + current[:-1]) * np.diff(time)
    drawn = np.concatenate([[0.0], np.cumsum(steps)])
    rows = np.flatnonzero(curve.scored & (current > 0.5 * np.median(current)))
    rows = rows[rows.size // 50 :]
    rows = rows[:: max(rows.size // 200, 1)]
    return drawn[rows] / drawn[-1], np.asarray(curve.voltage)[rows]


def _areal_capacity(values: pybamm.ParameterValues, numbers: Mapping[str, float], domain: str) -> float:
    """Return the charge of an electrode over its whole stoichiometry [C/m2]."""
    thickness = float(values[f"{domain} electrode thickness [m]"])
    highest = float(values[f"Maximum concentration in {domain.lower()} electrode [mol.m-3]"])
    return FARADAY * highest * thickness * numbers[f"{domain} electrode active material volume fraction"]
