"""Simulated discharges of one cell: built once with inputs, then solved for candidate after candidate."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError

from ..measurements.curve import MeasuredCurve
from .base_sets import BaseSet
from .base_sets_laws import CHARGE_MISSING, DIRECT_INPUTS, LAW_INPUTS, ShapeCorrections, with_laws
from .cell_simulation_equations import lumped_equations
from .cell_simulation_profile import CurrentProfile, find_profile
from .cell_simulation_surface import surface_temperature

__all__ = [
    "LEAD_RESISTANCE",
    "MEASURING_INPUTS",
    "SURFACE_GAP",
    "SURFACE_LAG",
    "CellModel",
    "CellSimulation",
    "ModelOptions",
    "SimulatedCurve",
]

LEAD_RESISTANCE = "Lead resistance [Ohm]"  # of clamps and leads: its drop is measured, its heat leaves the cell alone
SURFACE_GAP = "Surface temperature gap"  # share of the mean temperature's rise that the measured surface lacks
SURFACE_LAG = "Surface temperature lag [s]"  # with which the surface follows
MEASURING_INPUTS = (LEAD_RESISTANCE, SURFACE_GAP, SURFACE_LAG)  # of the measurement, not of the cell: 0 where not given
VOLTAGE, TEMPERATURE = "Voltage [V]", "Volume-averaged cell temperature [K]"


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which equations are solved, and how finely.

    Attributes
    ----------
    model : {"SPM", "SPMe", "DFN"}
        Electrochemical model; temperature is always lumped, with contact resistance and entropic heat.
    mesh : {"coarse", "default"}
        PyBaMM's default points, or about half as many in each direction: a quarter of the time.
    tolerance : float
        Relative tolerance of the integration.
    threads : int
        Candidates that are solved at one time.
    compiled : bool
        Whether the equations are compiled by the C compiler: a minute once, then several times faster.
    heat_of_mixing : bool
        Whether heat of mixing within particles is counted.
    """

    model: Literal["SPM", "SPMe", "DFN"] = "DFN"
    mesh: Literal["coarse", "default"] = "coarse"
    tolerance: float = 1e-4
    threads: int = 1
    compiled: bool = False
    heat_of_mixing: bool = False


@dataclass(frozen=True, eq=False)
class SimulatedCurve:
    """What a model gives at the rows asked for.

    Attributes
    ----------
    voltage, temperature : ndarray of shape (n,)
        [V], [K]; not a number in rows that the simulation did not reach.
    end : float
        Time reached [s].
    end_voltage : float
        Voltage there [V]; 0 where nothing was reached.
    reason : str
        Why the simulation ended early; empty where it did not.
    """

    voltage: Array
    temperature: Array
    end: float
    end_voltage: float = 0.0
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Whether every row was reached."""
        return bool(np.all(np.isfinite(self.voltage)))


class CellModel:
    """The discretised models of one base set: one for all constant currents, one for each other profile.

    Parameters
    ----------
    base : BaseSet
        Published set on the cell's geometry.
    options : ModelOptions
        Equations and mesh.
    shapes : ShapeCorrections
        Corrections of the laws; their coefficients are 0 where no value is given.
    """

    def __init__(self, base: BaseSet, options: ModelOptions, shapes: ShapeCorrections | None = None) -> None:
        self.base = base
        self.options = options
        self.shapes = shapes or ShapeCorrections()
        self._built: dict[Any, tuple[Any, Any]] = {}
        self._defaults = {name: float(base.numbers[name]) for name in (*DIRECT_INPUTS, *LAW_INPUTS)}
        self._defaults |= dict.fromkeys(self.shapes.input_names(), 0.0)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of everything that a candidate may set."""
        return tuple(self._defaults)

    def numbers(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return all inputs for a candidate: its own values, and the base set's for the rest.

        Raises
        ------
        ModelError
            If the candidate names what is no input.
        """
        unknown = [name for name in values if name not in self._defaults and name not in MEASURING_INPUTS]
        if unknown:
            raise ModelError(f"{', '.join(unknown)}: no such input of the cell model")
        return self._defaults | {name: float(value) for name, value in values.items()}

    def solve(
        self, profile: CurrentProfile, times: Array, candidates: Sequence[Mapping[str, float]]
    ) -> list[SimulatedCurve]:
        """Return the simulated curve of each candidate.

        Parameters
        ----------
        profile : CurrentProfile
            Current and surroundings.
        times : ndarray of shape (n,)
            When values are wanted [s].
        candidates : sequence of mapping
            Values by name of input.
        """
        model, solver = self._model(profile)
        given = [self.numbers(values) for values in candidates]
        measuring = [{name: numbers.pop(name, 0.0) for name in MEASURING_INPUTS} for numbers in given]
        inputs = [{**numbers, **profile.inputs} for numbers in given]
        end = float(times[-1])
        stops = np.array(sorted({0.0, end, *(at for at in profile.kinks if 0.0 < at < end)}))
        solutions = _solve(solver, model, stops, np.asarray(times, dtype=np.float64), inputs)
        found = [_read(solution, times) for solution in solutions]
        return [
            _measured(curve, profile, times, numbers, how)
            for curve, numbers, how in zip(found, given, measuring, strict=True)
        ]

    def _model(self, profile: CurrentProfile) -> tuple[Any, Any]:
        if profile.key not in self._built:
            self._built[profile.key] = self._build(profile)
        return self._built[profile.key]

    def _build(self, profile: CurrentProfile) -> tuple[Any, Any]:
        import pybamm

        values = with_laws(self.base.values, self.shapes)
        values.update(profile.parameters(), check_already_exists=False)
        model = lumped_equations(self.options.model, heat_of_mixing=self.options.heat_of_mixing)
        solver = pybamm.IDAKLUSolver(
            rtol=self.options.tolerance,
            atol=1e-2 * self.options.tolerance,
            output_variables=[VOLTAGE, TEMPERATURE],
            on_failure="ignore",
            on_extrapolation="ignore",
            options={
                "compile": self.options.compiled,
                "num_threads": self.options.threads,
                "num_solvers": self.options.threads,
                "silence_sundials_errors": True,
                "max_num_steps": 3000,
                "num_steps_no_progress": 50,
                "t_no_progress": 1e-3,
            },
        )
        points = _POINTS[self.options.mesh]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            simulation = pybamm.Simulation(model, parameter_values=values, solver=solver, var_pts=points)
            simulation.build()
        return simulation.built_model, solver


@dataclass(frozen=True, eq=False)
class CellSimulation:
    """One measured curve under a cell model.

    Attributes
    ----------
    model : CellModel
        Shared with the other curves of the cell.
    curve : MeasuredCurve
        Gives current, surroundings and initial temperature.
    rows : ndarray of int of shape (n,)
        Rows of the curve whose values are wanted.
    """

    model: CellModel
    curve: MeasuredCurve
    rows: NDArray[np.int64]
    profile: CurrentProfile = field(init=False)

    def __post_init__(self) -> None:
        """Reduce the measured current to what the solver needs."""
        profile = find_profile(self.curve)
        missing = {CHARGE_MISSING: self.model.base.charge_missing(self.curve)}
        object.__setattr__(self, "profile", replace(profile, inputs={**profile.inputs, **missing}))

    @property
    def times(self) -> Array:
        """Times of the rows [s], shape (n,)."""
        return np.asarray(self.curve.time[self.rows])

    def solve(self, values: Mapping[str, float]) -> SimulatedCurve:
        """Return voltage and temperature at the rows for one candidate."""
        return self.solve_many([values])[0]

    def solve_many(self, candidates: Sequence[Mapping[str, float]]) -> list[SimulatedCurve]:
        """Return voltage and temperature at the rows for each candidate."""
        return self.model.solve(self.profile, self.times, candidates)


def _measured(
    curve: SimulatedCurve, profile: CurrentProfile, times: Array, numbers: Mapping[str, float], how: Mapping[str, float]
) -> SimulatedCurve:
    """Return what instruments show of a simulated curve: leads take voltage, and a surface is cooler than the mean."""
    voltage, temperature = curve.voltage, curve.temperature
    if how[LEAD_RESISTANCE]:
        voltage = voltage - how[LEAD_RESISTANCE] * profile.current(times)
    if how[SURFACE_GAP] or how[SURFACE_LAG]:
        start = profile.inputs["Surroundings at start [K]"] + numbers["Surroundings offset [K]"]
        surroundings = np.asarray(start + profile.inputs["Surroundings drift [K.s-1]"] * times)
        temperature = surface_temperature(
            times,
            temperature,
            surroundings,
            first=profile.inputs["Initial temperature [K]"],
            gap=how[SURFACE_GAP],
            lag=how[SURFACE_LAG],
        )
    return replace(curve, voltage=voltage, temperature=temperature)


def _solve(solver: Any, model: Any, stops: Array, times: Array, inputs: list[dict[str, float]]) -> list[Any]:
    """Return a solution, or the reason for having none, of each set of inputs."""
    import pybamm

    wanted = np.unique(np.concatenate([stops[:1], times]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = solver.solve(model, stops, inputs=inputs, t_interp=wanted)
        except (pybamm.SolverError, ValueError, RuntimeError) as error:
            if len(inputs) == 1:
                return [str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__]
            return [_solve(solver, model, stops, times, [one])[0] for one in inputs]
    return list(found) if isinstance(found, list) else [found]


def _read(solution: Any, times: Array) -> SimulatedCurve:
    count = times.size
    if isinstance(solution, str):
        return SimulatedCurve(np.full(count, np.nan), np.full(count, np.nan), 0.0, 0.0, solution)
    at = np.asarray(solution.t, dtype=np.float64)
    end = float(at[-1])
    reached = times <= end + 1e-6
    columns, last = [], []
    for name in (VOLTAGE, TEMPERATURE):
        values = np.asarray(solution[name].entries, dtype=np.float64).reshape(-1)[: at.size]
        columns.append(np.where(reached, np.interp(times, at, values), np.nan))
        last.append(float(values[-1]))
    reason = "" if bool(reached.all()) else f"ended at {end:.1f} s: {solution.termination}"
    return SimulatedCurve(columns[0], columns[1], end, last[0], reason)


_POINTS = {
    "coarse": {"x_n": 8, "x_s": 4, "x_p": 8, "r_n": 10, "r_p": 10},
    "default": {"x_n": 20, "x_s": 20, "x_p": 20, "r_n": 20, "r_p": 20},
}
