"""Time liionpack on a pack: runs in the environment of ``liionpack.txt``, which knows nothing of Celltwin.

Usage: ``python time_liionpack.py REQUEST.json ANSWER.json``; the request is what ``tools.bench.pack_liionpack`` writes.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")  # of the libraries that liionpack brings, about themselves

import liionpack  # type: ignore[import-not-found]  # noqa: E402
import numpy as np  # noqa: E402
import pybamm  # noqa: E402

__all__ = ["main"]

WIDTH = "Electrode width [m]"
TRANSFER = "Total heat transfer coefficient [W.m-2.K-1]"
TEMPERATURE = "Volume-averaged cell temperature [K]"


class TimedManager(liionpack.CasadiManager):  # type: ignore[misc]  # no types
    """liionpack's own manager, with a stopwatch around each of its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def _step(self, *arguments: Any) -> Any:
        begun = time.perf_counter()
        result = super()._step(*arguments)
        self.seconds.append(time.perf_counter() - begun)
        return result


def main(request_path: str, answer_path: str) -> None:
    """Answer one request."""
    liionpack.set_logging_level("ERROR")
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    values = _parameter_values(request)
    current = request["current"]
    netlist = liionpack.setup_circuit(
        Np=request["parallel"],
        Ns=request["series"],
        Rb=request["rail_resistance"],
        Rc=request["weld_resistance"],
        Ri=0.03,
        V=request["voltage"],
        I=current,
        configuration="series-groups",
    )
    # Columns of the netlist are parallel positions, down each of which the series groups follow.
    shape = (request["series"], request["parallel"])
    resistance = np.reshape(request["resistance"], shape).T.reshape(-1)
    links = netlist["desc"].str.startswith("Rc")
    netlist.loc[links, "value"] = netlist.loc[links, "value"].to_numpy() + resistance
    inputs = {WIDTH: float(values[WIDTH]) * np.reshape(request["capacity_scale"], shape).T.reshape(-1)}
    values[WIDTH] = "[input]"
    model, outputs = _isothermal, []
    if request["model"] == "SPMe":
        model, outputs = _with_heat, [TEMPERATURE]
        inputs[TRANSFER] = np.full(shape[0] * shape[1], request["heat_transfer"])
        values[TRANSFER] = "[input]"
    experiment = pybamm.Experiment(
        [f"Discharge at {current} A for {request['steps']} seconds"], period="1 second", temperature=298.15
    )
    manager = TimedManager()
    begun = time.perf_counter()
    found = manager.solve(
        netlist=netlist,
        sim_func=model,
        parameter_values=values,
        experiment=experiment,
        inputs=inputs,
        output_variables=outputs,
        initial_soc=None,
        nproc=request["processes"],
    )
    whole = time.perf_counter() - begun
    answer = {
        "seconds": manager.seconds,
        "setup": whole - sum(manager.seconds),
        "voltage": np.asarray(found["Pack terminal voltage [V]"], dtype=float).tolist(),
        "lowest_current": np.min(found["Cell current [A]"], axis=1).astype(float).tolist(),
        "highest_current": np.max(found["Cell current [A]"], axis=1).astype(float).tolist(),
        "versions": {"liionpack": "0.4.0", "pybamm": pybamm.__version__, "numpy": np.__version__},
    }
    Path(answer_path).write_text(json.dumps(answer), encoding="utf-8")


def _parameter_values(request: Mapping[str, Any]) -> pybamm.ParameterValues:
    """Return the published set with the overrides of a Celltwin parameter file, at the initial state of charge."""
    values = pybamm.ParameterValues(request["base_set"])
    changes: dict[str, Any] = {}
    for override in request["overrides"]:
        name = override["parameter"]
        source = values if override.get("from_set") is None else pybamm.ParameterValues(override["from_set"])
        if "value" in override:
            changes[name] = _constant(override["value"]) if callable(source[name]) else override["value"]
        elif "tanh_series" in override:
            changes[name] = _tanh_series(override["tanh_series"])
        elif "factor" in override:
            changes[name] = _scaled(source[name], override["factor"])
        else:
            changes[name] = source[name]
    values.update(changes)
    for side in ("negative", "positive"):
        name = f"Maximum concentration in {side} electrode [mol.m-3]"
        values[f"Initial concentration in {side} electrode [mol.m-3]"] = values[name] * request[f"{side}_stoichiometry"]
    values["Lower voltage cut-off [V]"] = request["lowest_voltage"]
    values["Upper voltage cut-off [V]"] = request["highest_voltage"] + 0.05
    for layer in ("Negative current collector", "Negative electrode", "Separator", "Positive electrode"):
        _set_heat(values, layer)
    _set_heat(values, "Positive current collector")
    values.update(
        {
            "Cell volume [m3]": request["heat_capacity"] / 1e6,  # J/K over the layers' 1e6 J/(m3.K)
            "Cell cooling surface area [m2]": request["surface"],
        }
    )
    return values


def _set_heat(values: pybamm.ParameterValues, layer: str) -> None:
    values.update({f"{layer} density [kg.m-3]": 1e3, f"{layer} specific heat capacity [J.kg-1.K-1]": 1e3})


def _tanh_series(series: Mapping[str, Any]) -> Any:
    def function(stoichiometry: Any) -> Any:
        result = series["offset"] + series["slope"] * stoichiometry
        for amplitude, centre, width in zip(series["amplitude"], series["centre"], series["width"], strict=True):
            result = result + amplitude * pybamm.tanh((stoichiometry - centre) / width)
        return result

    return function


def _constant(value: float) -> Any:
    """Return a function of the stoichiometry: this PyBaMM loses the shape of a mere number in its place."""

    def function(stoichiometry: Any) -> Any:
        return value * (1.0 + 1e-12 * stoichiometry)

    return function


def _scaled(published: Any, factor: float) -> Any:
    if not callable(published):
        return published * factor

    def scaled(*arguments: Any) -> Any:
        return factor * published(*arguments)

    return scaled


def _isothermal(values: pybamm.ParameterValues) -> pybamm.Simulation:
    """Return liionpack's default: a single-particle model without electrolyte and heat."""
    return liionpack.basic_simulation(values)


def _with_heat(values: pybamm.ParameterValues) -> pybamm.Simulation:
    """Return liionpack's single-particle model with electrolyte and one temperature a cell, apart from each other."""
    model = pybamm.lithium_ion.SPMe(options={"thermal": "lumped", "cell geometry": "arbitrary"})
    model = liionpack.add_events_to_model(model)
    return pybamm.Simulation(model=model, parameter_values=values, solver=pybamm.CasadiSolver(mode="safe"))


if __name__ == "__main__":
    main(*sys.argv[1:])
