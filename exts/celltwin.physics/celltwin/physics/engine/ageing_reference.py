"""PyBaMM's single-particle model with electrolyte and the same ageing: what the engine is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array

from .ageing_trajectory import OperatingHistory

__all__ = ["AgeingReference", "simulate_ageing"]

_OPERATING = {
    "temperature": "X-averaged negative electrode temperature [K]",
    "current": "Current [A]",
    "surface_negative": "X-averaged negative particle surface stoichiometry",
    "surface_positive": "X-averaged positive particle surface stoichiometry",
    "mean_negative": "Average negative particle stoichiometry",
    "mean_positive": "Average positive particle stoichiometry",
    "salt_negative": "X-averaged negative electrolyte concentration [mol.m-3]",
}
_RESULTS = {
    "sei_thickness": "X-averaged negative SEI thickness [m]",
    "sei": "Loss of capacity to negative SEI [A.h]",
    "plating": "Loss of capacity to negative lithium plating [A.h]",
    "active_negative": "X-averaged negative electrode active material volume fraction",
    "active_positive": "X-averaged positive electrode active material volume fraction",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class AgeingReference:
    """A solution of PyBaMM, sampled at a fixed step.

    Attributes
    ----------
    time : ndarray of shape (n_steps,)
        [s].
    voltage : ndarray of shape (n_steps,)
        [V].
    operating : OperatingHistory
        Operating points of the one cell, midway through each step.
    results : dict of str to ndarray of shape (n_steps,)
        ``sei_thickness`` [m]; lithium in film (``sei``) and plated or dead (``plating``), and in lost active material
        (``lost``) [A.h]; ``active_negative`` and ``active_positive`` over those of the new cell [-].
    """

    time: Array
    voltage: Array
    operating: OperatingHistory
    results: dict[str, Array]


def simulate_ageing(
    parameter_values: Any,
    experiment: Sequence[Any],
    *,
    sei: str = "solvent-diffusion limited",
    plating: str = "partially reversible",
    loss: str = "stress-driven",
    temperature: float = 298.15,
    initial_soc: float = 1.0,
    step: float = 10.0,
) -> AgeingReference:
    """Return PyBaMM's SPMe with ageing through an experiment, at constant temperature.

    Parameters
    ----------
    parameter_values : pybamm.ParameterValues
        The set.
    experiment : sequence
        Steps or cycles in PyBaMM's words.
    sei, plating, loss : str
        PyBaMM's options of the same names.
    temperature : float
        [K].
    initial_soc : float
        [-].
    step : float
        Of the samples [s].
    """
    import pybamm

    values = parameter_values.copy()
    values.update({"Ambient temperature [K]": temperature, "Initial temperature [K]": temperature})
    options = {
        "SEI": sei,
        "lithium plating": plating,
        "loss of active material": loss,
        "x-average side reactions": "true",
        "thermal": "isothermal",
    }
    if "stress" in loss:
        options["particle mechanics"] = "swelling only"
    model = pybamm.lithium_ion.SPMe(options)
    simulation = pybamm.Simulation(
        model,
        experiment=pybamm.Experiment(list(experiment)),
        parameter_values=values,
        solver=pybamm.IDAKLUSolver(atol=1e-8, rtol=1e-8),
    )
    solution = simulation.solve(initial_soc=initial_soc)
    time = np.arange(0.0, float(solution.t[-1]), step)
    ends = np.minimum(time + step, solution.t[-1])

    def sample(name: str, at: Array) -> Array:
        return np.asarray(solution[name](at), dtype=np.float64).reshape(-1)

    middle = 0.5 * (time + ends)
    operating = {name: sample(variable, middle) for name, variable in _OPERATING.items()}
    salt = solution["Negative electrolyte concentration [mol.m-3]"]
    places = np.linspace(0.0, float(values["Negative electrode thickness [m]"]), 21)
    profile = np.asarray(salt(t=middle, x=0.5 * (places[1:] + places[:-1]))).reshape(places.size - 1, -1)
    operating["salt_deviation"] = profile.std(axis=0) / float(values["Initial concentration in electrolyte [mol.m-3]"])
    operating["salt_negative"] /= float(values["Initial concentration in electrolyte [mol.m-3]"])
    operating["potential_negative"] = sample(
        "X-averaged negative electrode surface potential difference [V]", middle
    ) + sample("X-averaged negative electrode SEI film overpotential [V]", middle)
    results = {name: sample(variable, ends) for name, variable in _RESULTS.items() if variable in model.variables}
    results["plating"] = results["plating"] - float(sample(_RESULTS["plating"], np.zeros(1))[0])
    lost = np.zeros_like(time)
    for side in ("negative", "positive"):
        results[f"active_{side}"] /= float(sample(_RESULTS[f"active_{side}"], np.zeros(1))[0])
        name = f"Loss of lithium due to loss of active material in {side} electrode [mol]"
        if name in model.variables:
            lost += sample(name, ends) * pybamm.constants.F.value / 3600.0
    results["lost"] = lost
    return AgeingReference(
        time=ends,
        voltage=sample("Voltage [V]", ends),
        operating=OperatingHistory(step=step, **{name: samples[:, np.newaxis] for name, samples in operating.items()}),
        results=results,
    )
