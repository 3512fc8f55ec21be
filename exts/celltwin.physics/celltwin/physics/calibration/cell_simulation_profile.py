"""The current and the surroundings of a measured curve, in the form that a solver takes quickly."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array

from ..measurements.curve import MeasuredCurve

__all__ = ["CurrentProfile", "find_profile", "simplify"]

STEADY = 0.03  # of the median current: scatter up to here is a constant current
AT_START = 3.0  # [s]: values this early are the temperature at the start


@dataclass(frozen=True, eq=False)
class CurrentProfile:
    """Current and surroundings over time.

    Attributes
    ----------
    key : hashable
        Equal for profiles that share one discretised model.
    inputs : mapping of str to float
        Inputs of the solver.
    kinks : tuple of float
        Times [s] where the integration must stop and begin anew.
    knots : tuple of ndarray, optional
        Times [s] and currents [A] between which a changing current is straight.
    """

    key: Hashable
    inputs: Mapping[str, float]
    kinks: tuple[float, ...]
    knots: tuple[Array, Array] | None = None

    def current(self, times: Array) -> Array:
        """Return the current [A] at times [s], shape (n,)."""
        if self.knots is not None:
            return np.asarray(np.interp(times, *self.knots))
        risen = (times - self.inputs["Current begins [s]"]) / self.inputs["Current rises [s]"]
        return np.asarray(self.inputs["Steady current [A]"] * np.clip(risen, 0.0, 1.0))

    def parameters(self) -> dict[str, Any]:
        """Return PyBaMM's parameters of current and temperatures."""
        import pybamm

        def given(name: str) -> Any:
            return pybamm.InputParameter(name)

        def surroundings(_width: Any, _height: Any, time: Any) -> Any:
            start = given("Surroundings at start [K]") + given("Surroundings offset [K]")
            return start + given("Surroundings drift [K.s-1]") * time

        if self.knots is None:
            risen = (pybamm.t - given("Current begins [s]")) / given("Current rises [s]")
            current = given("Steady current [A]") * pybamm.maximum(pybamm.minimum(risen, 1.0), 0.0)
        else:
            current = pybamm.Interpolant(*self.knots, pybamm.t)
        return {
            "Current function [A]": current,
            "Ambient temperature [K]": surroundings,
            "Initial temperature [K]": given("Initial temperature [K]"),
        }


def find_profile(curve: MeasuredCurve) -> CurrentProfile:
    """Return the profile of a measured curve: one constant current where that is what it is, else straight pieces.

    Parameters
    ----------
    curve : MeasuredCurve
        With current, surroundings and, where measured, temperature.
    """
    time, current = np.asarray(curve.time), np.asarray(curve.current)
    drift, start = np.polyfit(time - time[0], curve.ambient, 1)
    first = curve.ambient[0] if curve.temperature is None else _initial_temperature(curve)
    weather = {
        "Surroundings at start [K]": float(start),
        "Surroundings drift [K.s-1]": float(drift),
        "Initial temperature [K]": float(first),
    }
    level = float(np.median(current))
    loaded = np.abs(current) > 0.5 * abs(level)
    begun = int(np.argmax(loaded))
    rest = current[begun:]
    steady = level != 0.0 and float(np.std(rest)) < STEADY * abs(level) and bool(loaded[begun:].all())
    if steady:
        mean = float(np.trapezoid(rest, time[begun:]) / (time[-1] - time[begun]))
        begins, rises = (-1.0, 1.0) if begun == 0 else (float(time[begun - 1]), float(time[begun] - time[begun - 1]))
        inputs = {"Steady current [A]": mean, "Current begins [s]": begins, "Current rises [s]": rises}
        return CurrentProfile("steady", inputs | weather, (begins, begins + rises))
    knots = simplify(time, current, 5e-3 * float(np.max(np.abs(current))))
    key = (curve.name, curve.source.sha256)
    corners = tuple(float(at) for at in knots[0]) if knots[0].size <= 400 else ()
    return CurrentProfile(key, weather, corners, knots)


def simplify(time: Array, current: Array, tolerance: float) -> tuple[Array, Array]:
    """Return knots of straight pieces that stay within a tolerance of a course (Douglas and Peucker, 1973).

    Parameters
    ----------
    time, current : ndarray of shape (n,)
        The course.
    tolerance : float
        Largest departure, in the unit of the current.
    """
    kept = np.zeros(time.size, dtype=bool)
    kept[[0, -1]] = True
    pieces = [(0, time.size - 1)]
    while pieces:
        first, last = pieces.pop()
        if last - first < 2:
            continue
        line = np.interp(time[first : last + 1], time[[first, last]], current[[first, last]])
        away = np.abs(current[first : last + 1] - line)
        worst = int(np.argmax(away))
        if away[worst] > tolerance:
            kept[first + worst] = True
            pieces += [(first, first + worst), (first + worst, last)]
    return np.asarray(time[kept]), np.asarray(current[kept])


def _initial_temperature(curve: MeasuredCurve) -> float:
    assert curve.temperature is not None
    finite = np.flatnonzero(np.isfinite(curve.temperature))
    if finite.size == 0:
        return float(curve.ambient[0])
    first = finite[np.asarray(curve.time)[finite] <= curve.time[finite[0]] + AT_START]
    return float(np.median(np.asarray(curve.temperature)[first]))
