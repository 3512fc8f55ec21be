"""Whether a written set gives PyBaMM the same discharge as the calibration that it was written from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import ModelError

from ..measurements.curve import MeasuredSet
from .calibrated_set import calibrated_values
from .cell_simulation import CellSimulation
from .cell_simulation_equations import lumped_equations
from .consistency import CalibrationAudit
from .consistency_check import ConsistencyCheck, check_number

if TYPE_CHECKING:
    from .calibrate import CalibrationResult

__all__ = ["check_written_set"]

_COOLING = ("Total heat transfer coefficient [W.m-2.K-1]", "Heat transfer growth [K-1]")
_LIMITS = 1.0, 10.0  # root mean square difference, flagged and refused [mV]


def check_written_set(
    path: str | Path, result: CalibrationResult, measured: MeasuredSet, audit: CalibrationAudit
) -> tuple[ConsistencyCheck, ...]:
    """Return how far discharges of a written set, read by PyBaMM's BPX reader, are from the calibration's.

    Parameters
    ----------
    path : path
        The file.
    result : CalibrationResult
        What it was written from.
    measured : MeasuredSet
        Its data.
    audit : CalibrationAudit
        Holds the discharges of the calibration.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    import pybamm

    model, values = result.problem.model, calibrated_values(path)
    inputs = model.numbers(result.values)
    cooling = {name: inputs[name] for name in _COOLING}  # the rig's: a file holds one coefficient
    checks = []
    for name in result.fitted:
        if name not in audit.courses:
            continue
        course, curve = audit.courses[name], measured.curve(name)
        profile = CellSimulation(model, curve, np.arange(curve.time.size, dtype=np.int64)).profile
        at_start = values.copy()
        at_start.update(profile.parameters())
        for side, stoichiometry in (("negative", course.negative[0]), ("positive", course.positive[0])):
            highest = float(at_start[f"Maximum concentration in {side} electrode [mol.m-3]"])
            at_start.update({f"Initial concentration in {side} electrode [mol.m-3]": float(stoichiometry) * highest})
        for side, cut_off in (("Lower", 0.1), ("Upper", 10.0)):
            at_start.update({f"{side} voltage cut-off [V]": cut_off})
        at_start.update(cooling, check_already_exists=False)
        equations = lumped_equations(model.options.model, heat_of_mixing=model.options.heat_of_mixing)
        solver = pybamm.IDAKLUSolver(rtol=1e-5, atol=1e-7, on_extrapolation="ignore")
        stops = np.unique(
            [course.time[0], course.time[-1], *(at for at in profile.kinks if 0.0 < at < course.time[-1])]
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                simulation = pybamm.Simulation(equations, parameter_values=at_start, solver=solver)
                solution = simulation.solve(stops, t_interp=course.time, inputs={**inputs, **profile.inputs})
                voltage = np.asarray(solution["Voltage [V]"].entries, dtype=np.float64)
        except (pybamm.SolverError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"PyBaMM cannot simulate {name} with the written set ({str(error).splitlines()[0]})", where=str(path)
            ) from None
        # Where a simulation ends by an event, its last time is its own.
        shared, mine, theirs = np.intersect1d(np.asarray(solution.t), course.time, return_indices=True)
        difference = 1e3 * float(np.sqrt(np.mean((voltage[mine] - course.voltage[theirs]) ** 2)))
        if shared.size < 0.98 * course.time.size:
            difference = float("inf")
        checks.append(
            check_number(
                "written set in PyBaMM",
                difference,
                _LIMITS,
                unit="mV",
                curve=name,
                message=f"the set read back by PyBaMM's BPX reader discharges within {difference:.2f} mV of the "
                "calibrated model (root mean square)",
            )
        )
    return tuple(checks)
