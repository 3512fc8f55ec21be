"""What goes on inside a calibrated cell during a measured curve: lithium, charge and heat, for consistency checks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import FARADAY, SECONDS_PER_HOUR, Array, ModelError

from ..measurements.curve import MeasuredCurve
from .base_sets_laws import with_laws
from .cell_simulation import LEAD_RESISTANCE, CellModel, CellSimulation
from .cell_simulation_equations import lumped_equations

__all__ = ["CellCourse", "electrode_capacity", "law_values", "mean_heat_transfer", "simulate_course"]

ROWS = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class CellCourse:
    """A simulated curve with its inner state.

    Attributes
    ----------
    time, current, voltage, temperature, ambient_temperature : ndarray of shape (n,)
        [s], [A] (positive on discharge), [V], [K], [K].
    negative, positive : ndarray of shape (n,)
        Mean stoichiometries of the electrodes.
    negative_capacity, positive_capacity : float
        Charge of each electrode over its whole stoichiometry [A.h].
    particle_lithium, electrolyte_lithium : ndarray of shape (n,)
        [mol].
    heating, cooling : ndarray of shape (n,)
        Heat made in the cell, contacts included, and heat that leaves it [W].
    open_circuit, entropic : ndarray of shape (n,)
        Open-circuit voltage [V] at 25 degC and its derivative with temperature [V/K], at the mean stoichiometries.
    heat_capacity : float
        Of the cell [J/K].
    conductance : float
        From the cell to its surroundings [W/K], where it is no warmer than these.
    conductance_growth : float
        Share by which the conductance grows with every kelvin [1/K].
    lead_resistance : float
        Of what lies between the cell and the voltmeter [ohm]; it does not heat the cell.
    reason : str
        Why the simulation ended early; empty where it did not.
    """

    time: Array
    current: Array
    voltage: Array
    temperature: Array
    ambient_temperature: Array
    negative: Array
    positive: Array
    negative_capacity: float
    positive_capacity: float
    particle_lithium: Array
    electrolyte_lithium: Array
    heating: Array
    cooling: Array
    open_circuit: Array
    entropic: Array
    heat_capacity: float
    conductance: float
    conductance_growth: float
    lead_resistance: float
    reason: str = ""

    def given_off(self, temperature: Array, surroundings: Array) -> Array:
        """Return the heat that leaves the cell [W], shape (n,), at temperatures [K]."""
        warmth = temperature - surroundings
        return np.asarray(self.conductance * (1.0 + self.conductance_growth * np.abs(warmth)) * warmth)

    @property
    def charge(self) -> float:
        """Charge drawn [A.h]."""
        return float(np.trapezoid(self.current, self.time)) / SECONDS_PER_HOUR


def simulate_course(model: CellModel, curve: MeasuredCurve, values: Mapping[str, float]) -> CellCourse:
    """Return the inner state of a cell over one measured curve, from the equations that it was calibrated with.

    Parameters
    ----------
    model : CellModel
        Base set, equations, mesh and corrections.
    curve : MeasuredCurve
        Gives current, surroundings and initial temperature.
    values : mapping of str to float
        Values of inputs; the rest are the base set's.

    Raises
    ------
    ModelError
        If the equations cannot be solved at all.
    """
    import pybamm

    profile = CellSimulation(model, curve, np.arange(curve.time.size, dtype=np.int64)).profile
    inputs = {**model.numbers(values), **profile.inputs}
    laws = with_laws(model.base.values, model.shapes)
    parameters = laws.copy()
    parameters.update(profile.parameters())
    time = np.linspace(float(curve.time[0]), float(curve.time[-1]), ROWS)
    stops = np.unique([time[0], time[-1], *(at for at in profile.kinks if time[0] < at < time[-1])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            simulation = pybamm.Simulation(
                lumped_equations(model.options.model, heat_of_mixing=model.options.heat_of_mixing),
                parameter_values=parameters,
                solver=pybamm.IDAKLUSolver(rtol=1e-5, atol=1e-7, on_failure="ignore", on_extrapolation="ignore"),
            )
            solution = simulation.solve(stops, t_interp=time, inputs=inputs)
        except (pybamm.SolverError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"curve {curve.name} cannot be simulated with the calibrated values ({str(error).splitlines()[0]})",
                remedy="Calibrate again with wider data or another base set",
            ) from None
        found = {name: np.asarray(solution[title].entries, dtype=np.float64) for name, title in _SERIES.items()}
    reached = np.asarray(solution.t, dtype=np.float64)
    early = reached[-1] < time[-1] - 1e-6
    negative, positive = found["negative"], found["positive"]
    potential = {
        (what, side): law_values(laws, f"{side} electrode {law}", stoichiometry, inputs)
        for what, law in (("open_circuit", "OCP [V]"), ("entropic", "OCP entropic change [V.K-1]"))
        for side, stoichiometry in (("Negative", negative), ("Positive", positive))
    }
    return CellCourse(
        time=reached,
        current=found["current"],
        voltage=found["voltage"],
        temperature=found["temperature"],
        ambient_temperature=found["ambient"],
        negative=negative,
        positive=positive,
        negative_capacity=electrode_capacity(laws, inputs, "Negative"),
        positive_capacity=electrode_capacity(laws, inputs, "Positive"),
        particle_lithium=found["particles"],
        electrolyte_lithium=found["electrolyte"],
        heating=found["heating"] + found["contact"],
        cooling=-found["cooling"],
        open_circuit=potential["open_circuit", "Positive"] - potential["open_circuit", "Negative"],
        entropic=potential["entropic", "Positive"] - potential["entropic", "Negative"],
        heat_capacity=inputs["Cell heat capacity [J.K-1.m-3]"] * float(laws["Cell volume [m3]"]),
        conductance=inputs["Total heat transfer coefficient [W.m-2.K-1]"]
        * float(laws["Cell cooling surface area [m2]"]),
        conductance_growth=inputs["Heat transfer growth [K-1]"],
        lead_resistance=inputs.get(LEAD_RESISTANCE, 0.0),
        reason=f"ended at {reached[-1]:.0f} s: {solution.termination}" if early else "",
    )


def mean_heat_transfer(courses: Sequence[CellCourse], surface: float) -> float:
    """Return the coefficient [W/(m2.K)] that, if it did not grow, would take as much heat over all of some courses.

    Parameters
    ----------
    courses : sequence of CellCourse
        Simulated curves, one at least.
    surface : float
        Of the cell [m2].
    """
    taken = sum(float(np.trapezoid(course.cooling, course.time)) for course in courses)
    warmth = sum(
        float(np.trapezoid(course.temperature - course.ambient_temperature, course.time)) for course in courses
    )
    return (taken / warmth if abs(warmth) > 1.0 else courses[0].conductance) / surface


def law_values(laws: Any, name: str, at: Array, inputs: Mapping[str, float], *further: float) -> Array:
    """Return one of a set's functions.

    Parameters
    ----------
    laws : pybamm.ParameterValues
        The set.
    name : str
        PyBaMM's name of the function; a plain number serves as well.
    at : ndarray of shape (n,)
        Its first argument.
    inputs : mapping of str to float
        Values of inputs in it.
    *further : float
        Its other arguments.
    """
    import pybamm

    law = laws[name]
    if not callable(law):
        return np.full(at.size, float(law if isinstance(law, float | int) else inputs[name]))
    result = law(pybamm.Vector(at), *(pybamm.Scalar(value) for value in further))
    if not isinstance(result, pybamm.Symbol):
        return np.broadcast_to(np.asarray(result, dtype=np.float64).reshape(-1), at.shape).copy()
    values = laws.process_symbol(result).evaluate(inputs=dict(inputs))
    return np.broadcast_to(np.asarray(values, dtype=np.float64).reshape(-1), at.shape).copy()


def electrode_capacity(laws: Any, inputs: Mapping[str, float], side: str) -> float:
    """Return the charge of an electrode over its whole stoichiometry [A.h]."""
    amount = (
        inputs["Electrode width [m]"]
        * float(laws["Electrode height [m]"])
        * float(laws[f"{side} electrode thickness [m]"])
        * inputs[f"{side} electrode active material volume fraction"]
        * float(laws[f"Maximum concentration in {side.lower()} electrode [mol.m-3]"])
    )
    return FARADAY * amount / SECONDS_PER_HOUR


_SERIES = {
    "current": "Current [A]",
    "voltage": "Voltage [V]",
    "temperature": "Volume-averaged cell temperature [K]",
    "ambient": "Volume-averaged ambient temperature [K]",
    "negative": "Average negative particle stoichiometry",
    "positive": "Average positive particle stoichiometry",
    "particles": "Total lithium in particles [mol]",
    "electrolyte": "Total lithium in electrolyte [mol]",
    "heating": "Total heating [W]",
    "contact": "Lumped contact resistance heating [W]",
    "cooling": "Surface total cooling [W]",
}
