"""Cooling that grows with a cell's warmth, against PyBaMM's own lumped model and against a balance by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from celltwin.physics.calibration.cell_simulation_equations import lumped_equations

pybamm = pytest.importorskip("pybamm")

TIMES = np.linspace(0.0, 1800.0, 61)
COEFFICIENT = "Total heat transfer coefficient [W.m-2.K-1]"


def parameters(growth: float | None) -> Any:
    values = pybamm.ParameterValues("Chen2020")
    added: dict[str, Any] = {
        "Cell heat capacity [J.K-1.m-3]": 2.5e6,
        "Contact resistance [Ohm]": 0.01,
        "Current function [A]": 10.0,
        COEFFICIENT: 12.0,
    }
    if growth is not None:
        added["Heat transfer growth [K-1]"] = growth
    values.update(added, check_already_exists=False)
    return values


def discharge(model: Any, growth: float | None) -> Any:
    points = {"x_n": 4, "x_s": 4, "x_p": 4, "r_n": 6, "r_p": 6}
    solver = pybamm.IDAKLUSolver(rtol=1e-7, atol=1e-9)
    simulation = pybamm.Simulation(model, parameter_values=parameters(growth), solver=solver, var_pts=points)
    return simulation.solve([TIMES[0], TIMES[-1]], t_interp=TIMES)


def temperature(solution: Any) -> np.ndarray:
    return np.asarray(solution["Volume-averaged cell temperature [K]"].entries)


def test_without_growth_the_equations_are_pybamms():
    options = {"thermal": "lumped", "contact resistance": "true", "use lumped thermal capacity": "true"}
    theirs = discharge(pybamm.lithium_ion.SPM(options), None)
    ours = discharge(lumped_equations("SPM"), 0.0)
    np.testing.assert_allclose(temperature(ours), temperature(theirs), atol=1e-5)


def test_growth_takes_what_the_law_says():
    solution = discharge(lumped_equations("SPM"), 0.02)
    warm = temperature(solution) - 298.15
    assert warm[-1] > 8.0
    values = parameters(0.02)
    expected = 12.0 * (1.0 + 0.02 * warm) * warm * values["Cell cooling surface area [m2]"]
    np.testing.assert_allclose(
        -np.asarray(solution["Surface total cooling [W]"].entries), expected, rtol=1e-6, atol=1e-9
    )
    made = np.asarray(solution["Total heating [W]"].entries) + 100.0 * 0.01
    stored = 2.5e6 * values["Cell volume [m3]"] * warm[-1]
    assert np.trapezoid(made - expected, solution.t) == pytest.approx(stored, rel=2e-3)
