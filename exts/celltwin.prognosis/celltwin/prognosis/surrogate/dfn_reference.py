"""The model that a surrogate learns from: PyBaMM's DFN with one temperature, for currents and inputs of any cell."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, ModelError
from celltwin.physics import CellParameters, load_cell_parameters
from celltwin.physics.parameter_sets import parameter_values

from .cell_inputs import CellInputs
from .profiles import PERIOD, CurrentCourse

__all__ = ["MESH", "OUTPUTS", "ReferenceRun", "simulate_charge", "simulate_course"]

# Within 0.6 mV (root mean square) of 20, 10, 20 points and 30 shells that thin out, at half the time of PyBaMM's 20s.
MESH = {"x_n": 8, "x_s": 4, "x_p": 8, "r_n": 20, "r_p": 20}
TOLERANCE = 1e-4
MARGIN = 0.15  # [V] past the voltage limits, so that a surrogate has seen them from both sides
BENDS = 256  # most changes of the current's slope
JUMP = 0.05  # [A/s]: a change of slope from here on restarts the integration

OUTPUTS = (
    "voltage",
    "temperature",
    "negative_surface",
    "positive_surface",
    "anode_potential",
    "heat",
    "negative_mean",
    "positive_mean",
)
_NAMES = {
    "voltage": "Voltage [V]",
    "temperature": "Volume-averaged cell temperature [K]",
    "negative_surface": "X-averaged negative particle surface stoichiometry",
    "positive_surface": "X-averaged positive particle surface stoichiometry",
    "anode_potential": "Negative electrode surface potential difference at separator interface [V]",
    "heat": "Heating without contacts [W]",
    "negative_mean": "Negative electrode stoichiometry",
    "positive_mean": "Positive electrode stoichiometry",
}
_ALONG = "Negative electrode surface potential difference [V]"  # at every point: the lowest counts
_INPUTS = (
    "capacity factor",
    "resistance factor",
    "diffusivity factor",
    "conductance",
    "ambient",
    "negative start",
    "positive start",
    "temperature",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceRun:
    """What a simulation gave, at the ends of steps of :data:`PERIOD`.

    Attributes
    ----------
    current, current_end : ndarray of shape (n_steps,)
        Mean over each step, and at its end [A].
    values : dict of str to ndarray of shape (n_steps,)
        :data:`OUTPUTS`: voltage [V], temperature [K], surface stoichiometries averaged over each electrode [-], the
        lowest potential of the negative electrode against the electrolyte beside it [V], heat made in the cell without
        that of the series resistance [W], and mean stoichiometries [-].
    seconds : float
        Processor time of the solution, without building the equations but where a voltage is held [s].
    """

    current: Array
    current_end: Array
    values: dict[str, Array]
    seconds: float


def simulate_course(name: str, inputs: CellInputs, course: CurrentCourse) -> ReferenceRun:
    """Return a simulation of one cell under a current.

    Parameters
    ----------
    name : str
        Cell parameters, as :func:`celltwin.physics.load_cell_parameters` takes them.
    inputs : CellInputs
        Of one cell.
    course : CurrentCourse
        The current.

    Raises
    ------
    ModelError
        If the equations could not be solved at all, or the course has too many bends.
    """
    import pybamm

    model, solver = _built(name)
    times, mean, end = course.rows()
    slopes = np.diff(course.current) / np.diff(course.time)
    bends, at = np.zeros(BENDS), np.zeros(BENDS)
    changes = np.diff(slopes)
    if changes.size >= BENDS:
        raise ModelError(f"a course of {changes.size + 1} pieces is too long", remedy=f"Give at most {BENDS} pieces")
    bends[0], at[0] = slopes[0], 0.0
    bends[1 : changes.size + 1], at[1 : changes.size + 1] = changes, course.time[1:-1]
    jumps = course.time[1:-1][np.abs(changes) > JUMP]
    given = _numbers(load_cell_parameters(name), inputs)
    given |= {"first current": float(course.current[0]), "bends": bends, "bend times": at}
    stops = np.unique(np.concatenate([[0.0, times[-1]], jumps]))
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            solution = solver.solve(model, stops, inputs=given, t_interp=np.concatenate([[0.0], times]))
        except (pybamm.SolverError, ValueError, RuntimeError) as error:
            raise ModelError(f"the simulation failed ({_first_line(error)})", where=name) from None
    return _read(solution, times, mean, end, time.process_time() - begun)


def simulate_charge(name: str, inputs: CellInputs, rate: float, *, tail: float = 0.1) -> ReferenceRun:
    """Return a charge at a constant current, then at the highest voltage until the current has decayed.

    Parameters
    ----------
    name : str
        Cell parameters.
    inputs : CellInputs
        Of one cell.
    rate : float
        Current over capacity [1/h], positive.
    tail : float
        Rate at which the charge ends [1/h].

    Raises
    ------
    ModelError
        If the equations could not be solved.
    """
    import pybamm

    parameters = load_cell_parameters(name)
    capacity = parameters.capacity * float(inputs.capacity_factor[0])
    model, values = _model(name)
    begun = time.process_time()
    values.update(
        {"Current function [A]": -rate * capacity, "Upper voltage cut-off [V]": parameters.highest_voltage + 0.1}
    )
    steps = [
        (
            f"Charge at {rate * capacity:.6f} A until {parameters.highest_voltage} V",
            f"Hold at {parameters.highest_voltage} V until {tail * capacity:.6f} A",
        )
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulation = pybamm.Simulation(
            model,
            parameter_values=values,
            experiment=pybamm.Experiment(steps, period=f"{PERIOD} s"),
            solver=pybamm.IDAKLUSolver(rtol=TOLERANCE, atol=1e-2 * TOLERANCE),
            var_pts=MESH,
        )
        try:
            solution = simulation.solve(inputs=_numbers(parameters, inputs))
        except (pybamm.SolverError, ValueError, RuntimeError) as error:
            raise ModelError(f"the simulation failed ({_first_line(error)})", where=name) from None
    times = np.arange(PERIOD, float(solution.t[-1]), PERIOD)

    def rows(label: str, at: Array) -> Array:
        return np.asarray(solution[label](at), dtype=np.float64).reshape(-1)

    found = {key: rows(label, times) for key, label in _NAMES.items()}
    along = np.asarray(solution[_ALONG](times), dtype=np.float64).reshape(-1, times.size)[1:-1]  # without the ends
    found["anode_potential"] = np.minimum(found["anode_potential"], along.min(axis=0))
    charge = rows("Discharge capacity [A.h]", np.concatenate([[0.0], times]))
    return ReferenceRun(
        current=np.diff(charge) * SECONDS_PER_HOUR / PERIOD,
        current_end=rows("Current [A]", times),
        values=found,
        seconds=time.process_time() - begun,
    )


@lru_cache(maxsize=2)
def _built(name: str) -> tuple[Any, Any]:
    """Return the discretised model with its current as an input, and its solver: once a process."""
    import pybamm

    model, values = _model(name)

    def current(time: Any) -> Any:
        risen = pybamm.maximum(time - pybamm.InputParameter("bend times", expected_size=BENDS), 0.0)
        bent = pybamm.Matrix(np.ones((1, BENDS))) @ (pybamm.InputParameter("bends", expected_size=BENDS) * risen)
        return pybamm.InputParameter("first current") + bent

    values.update({"Current function [A]": current(pybamm.t)})
    solver = pybamm.IDAKLUSolver(
        rtol=TOLERANCE,
        atol=1e-2 * TOLERANCE,
        output_variables=[*_NAMES.values(), _ALONG],
        on_failure="ignore",
        on_extrapolation="ignore",
        options={"num_threads": 1, "num_solvers": 1, "silence_sundials_errors": True},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulation = pybamm.Simulation(model, parameter_values=values, solver=solver, var_pts=MESH)
        simulation.build()
    return simulation.built_model, solver


def _model(name: str) -> tuple[Any, Any]:
    """Return the equations, and parameter values with a cell's inputs in place of numbers."""
    import pybamm

    parameters = load_cell_parameters(name)
    values = parameter_values(parameters.base_set, parameters.overrides)
    given = {label: pybamm.InputParameter(label) for label in _INPUTS}
    model = pybamm.lithium_ion.DFN(
        {"thermal": "lumped", "contact resistance": "true", "cell geometry": "arbitrary"}, name="reference"
    )
    layers = ("Negative current collector", "Negative electrode", "Separator", "Positive electrode")
    heat: dict[str, Any] = {}
    for layer in (*layers, "Positive current collector"):
        # With a cell volume and surface of one, PyBaMM's heat balance per volume is that of the whole cell.
        heat[f"{layer} density [kg.m-3]"] = 1.0
        heat[f"{layer} specific heat capacity [J.kg-1.K-1]"] = parameters.heat_capacity
    model.variables[_NAMES["heat"]] = model.variables["Volume-averaged total heating [W.m-3]"]
    factor = given["diffusivity factor"]
    for electrode in ("Negative", "Positive"):
        label = f"{electrode} particle diffusivity [m2.s-1]"
        values.update({label: _scaled(values[label], factor)})
    values.update(
        {
            **heat,
            "Electrode width [m]": values["Electrode width [m]"] * given["capacity factor"],
            "Contact resistance [Ohm]": parameters.resistance * given["resistance factor"],
            "Total heat transfer coefficient [W.m-2.K-1]": given["conductance"],
            "Cell cooling surface area [m2]": 1.0,
            "Cell volume [m3]": 1.0,
            "Ambient temperature [K]": given["ambient"],
            "Initial temperature [K]": given["temperature"],
            "Initial concentration in negative electrode [mol.m-3]": given["negative start"]
            * float(values["Maximum concentration in negative electrode [mol.m-3]"]),
            "Initial concentration in positive electrode [mol.m-3]": given["positive start"]
            * float(values["Maximum concentration in positive electrode [mol.m-3]"]),
            "Lower voltage cut-off [V]": parameters.lowest_voltage - MARGIN,
            "Upper voltage cut-off [V]": parameters.highest_voltage + MARGIN,
        }
    )
    return model, values


def _scaled(law: Any, factor: Any) -> Any:
    if not callable(law):
        return law * factor

    def scaled(*arguments: Any) -> Any:
        return factor * law(*arguments)

    return scaled


def _numbers(parameters: CellParameters, inputs: CellInputs) -> dict[str, Any]:
    soc = float(inputs.soc[0])
    low, high = parameters.negative_empty, parameters.negative_full
    empty, full = parameters.positive_empty, parameters.positive_full
    return {
        "capacity factor": float(inputs.capacity_factor[0]),
        "resistance factor": float(inputs.resistance_factor[0]),
        "diffusivity factor": float(inputs.diffusivity_factor[0]),
        "conductance": float(inputs.conductance[0]),
        "ambient": float(inputs.ambient[0]),
        "negative start": low + soc * (high - low),
        "positive start": empty + soc * (full - empty),
        "temperature": float(inputs.temperature[0]),
    }


def _read(solution: Any, times: Array, mean: Array, end: Array, seconds: float) -> ReferenceRun:
    at = np.asarray(solution.t, dtype=np.float64)
    reached = int(np.sum(times <= at[-1] + 1e-6))
    if reached < 2:
        raise ModelError("the simulation ended within its first steps")
    found = {}
    for key, label in _NAMES.items():
        values = np.asarray(solution[label].entries, dtype=np.float64).reshape(-1)[: at.size]
        if key == "anode_potential":
            along = np.asarray(solution[_ALONG].entries, dtype=np.float64).reshape(-1, at.size)
            values = np.minimum(values, along.min(axis=0))
        found[key] = np.interp(times[:reached], at, values)
    kept = np.all([np.isfinite(values) for values in found.values()], axis=0)
    count = int(np.argmin(kept)) if not kept.all() else reached
    return ReferenceRun(
        current=mean[:count],
        current_end=end[:count],
        values={key: values[:count] for key, values in found.items()},
        seconds=seconds,
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
