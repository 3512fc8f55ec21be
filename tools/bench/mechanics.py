"""Bench of mechanics: thickness of a pouch cell and hoop strain of 18650 cans against measurements, and its cost.

Needs CELLTWIN_DATA with ``enertech`` (Ai et al. 2020, BSD-3) and ``samsung_30q`` (ARTS-Lab, CC BY-SA 4.0); what is
absent is left out. ``--plots FOLDER`` says where the pictures go (default ``docs/images``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import SECONDS_PER_HOUR, ZERO_CELSIUS
from celltwin.physics.engine.cell_model import ThermalModel
from celltwin.physics.engine.cell_model_builder import build_cell_model
from celltwin.physics.engine.fields import CellField, Grid
from celltwin.physics.engine.lanes import lane_functions
from celltwin.physics.engine.launching import RecordingLauncher
from celltwin.physics.engine.mechanics import CellMechanics, evaluate_mechanics
from celltwin.physics.engine.mechanics_gauge import calibrate_gauge, read_gauge
from celltwin.physics.engine.mechanics_model import CanForm, MechanicsModel
from celltwin.physics.engine.mechanics_parameters import build_mechanics_model, module_stacks
from celltwin.physics.engine.pack_network import Circuit, HeatPaths, PackNetwork
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.pictures import save_picture
from tools.bench.places import PICTURES, measured_data

__all__ = ["run"]

Values = NDArray[np.float64]

DATA = measured_data()
MICRO = 1e6
ENERTECH_RATES = (0.1, 0.5, 1.0, 2.0)
ENERTECH_CAPACITY = 2.28  # [A.h], nominal
SAMSUNG_RATES = ("C10", "1C", "2C", "3C", "4C")
CELLS = 2800
STEPS = 200
COLOURS = {"0.1": "#4c4c4c", "0.5": "#1f77b4", "1": "#2ca02c", "2": "#d62728"}


@dataclass(frozen=True)
class Comparison:
    """Predicted and measured values of one test [um or um/m]."""

    place: Values
    measured: Values
    predicted: dict[str, Values]

    def error(self, name: str) -> float:
        """Return the root of the mean squared error."""
        return float(np.sqrt(np.mean((self.predicted[name] - self.measured) ** 2)))

    def explained(self, name: str) -> float:
        """Return the coefficient of determination."""
        missed = np.sum((self.predicted[name] - self.measured) ** 2)
        return float(1.0 - missed / np.sum((self.measured - self.measured.mean()) ** 2))


def run(plots: Path = PICTURES) -> Figures:
    """Compare with both sets of measurements, and time the kernels."""
    figures = Figures("mechanics")
    if (DATA / "enertech").is_dir():
        _enertech(figures, plots)
    if (DATA / "samsung_30q").is_dir():
        _samsung(figures, plots)
    _cost(figures)
    return figures


def _enertech(figures: Figures, plots: Path) -> None:
    import pybamm

    folder = DATA / "enertech" / "Enertech_cells"
    options = {"thermal": "lumped", "particle mechanics": "swelling only", "cell geometry": "arbitrary"}
    values = pybamm.ParameterValues("Ai2020")
    values["Current function [A]"] = ENERTECH_CAPACITY * pybamm.InputParameter("rate")
    simulations = {
        model.name: pybamm.Simulation(model, parameter_values=values)
        for model in (pybamm.lithium_ion.SPMe(options), pybamm.lithium_ion.DFN(options))
    }
    comparisons, furthest = {}, 0.0
    for rate in ENERTECH_RATES:
        recording = np.loadtxt(folder / f"{rate:g}C_discharge_displacement.txt")
        solutions = {
            name: simulation.solve([0.0, 1.05 * SECONDS_PER_HOUR / rate], inputs={"rate": rate})
            for name, simulation in simulations.items()
        }
        end = min(float(solution.t[-1]) for solution in solutions.values())
        recording = recording[recording[:, 0] <= end]
        seconds = recording[:, 0]
        predicted = {
            f"PyBaMM {'SPMe' if 'electrolyte' in name else 'DFN'}": MICRO
            * np.asarray(solution["Cell thickness change [m]"](seconds)).reshape(seconds.size, -1).mean(axis=1)
            for name, solution in solutions.items()
        }
        predicted["Celltwin"] = _engine_thickness(rate, seconds)
        first = next(iter(solutions.values()))
        replayed = _replayed_thickness(first, seconds)
        furthest = max(furthest, float(np.abs(replayed - predicted["PyBaMM SPMe"]).max()))
        comparisons[f"{rate:g}"] = Comparison(seconds, MICRO * (recording[:, 1] - recording[0, 1]), predicted)
    for rate_text, comparison in comparisons.items():
        for name in comparison.predicted:
            figures.add(f"Enertech {rate_text}C: thickness, {name}, RMSE", comparison.error(name), "µm")
            figures.add(f"Enertech {rate_text}C: thickness, {name}, R²", comparison.explained(name), "-")
    figures.add("thickness from PyBaMM's own stoichiometries: furthest from PyBaMM", furthest, "µm", target=0.05)
    _draw_enertech(comparisons, plots / "mechanics_enertech.png")


def _replayed_thickness(solution: Any, seconds: Values) -> Values:
    """Return the thickness change that our model finds along PyBaMM's trajectory [um]."""
    names = ("Average negative particle stoichiometry", "Average positive particle stoichiometry")
    negative, positive = (np.asarray(solution[name](seconds)).reshape(-1, 1) for name in names)
    temperature = np.asarray(solution["X-averaged cell temperature [K]"](seconds)).reshape(-1, 1)
    model = build_mechanics_model("Ai2020", reference_stoichiometry=(negative[0, 0], positive[0, 0]))
    return MICRO * evaluate_mechanics(model, negative, positive, temperature).thickness_change[:, 0]


def _engine_thickness(rate: float, seconds: Values) -> Values:
    """Return the thickness change that the pack engine finds by itself [um]."""
    from celltwin.physics.engine.engine_options import CellPopulation, EngineOptions
    from celltwin.physics.engine.pack_engine import PackEngine

    cell = build_cell_model("Ai2020")
    # the test starts where the published set says: stoichiometries 24108 / 28700 and 21725 / 49943
    start = (24108.0 / 28700.0, 21725.0 / 49943.0)
    empty, full = cell.negative.stoichiometry_empty, cell.negative.stoichiometry_full
    soc = (start[0] - empty) / (full - empty)
    model = build_mechanics_model("Ai2020", reference_stoichiometry=start)
    options = EngineOptions(step=min(10.0, 1.0 / rate), mechanics=model)
    engine = PackEngine(cell, _one_cell(cell.thermal), cells=CellPopulation(soc=min(soc, 1.0)), options=options)
    history = engine.advance(rate * ENERTECH_CAPACITY, float(seconds[-1]), sample_period=10.0)
    change = MICRO * history.extra["thickness_change"][:, 0]
    return np.asarray(np.interp(seconds, np.append(0.0, history.time), np.append(0.0, change)))


def _one_cell(thermal: ThermalModel) -> PackNetwork:
    """Return the network of a single cell in the air of the test."""
    no, one = np.zeros(1), np.zeros(1, dtype=np.int32)
    circuit = Circuit(
        n_groups=1,
        parallel=1,
        connection_resistance=no,
        rail_resistance=no,
        opposite_feed=False,
        kind=np.zeros(1, dtype=np.int8),
        child_start=np.zeros(2, dtype=np.int32),
        children=np.zeros(0, dtype=np.int32),
        link_resistance=no,
        roots=one,
    )
    heat = HeatPaths(
        neighbours=one[np.newaxis],
        conductance=no[np.newaxis],
        ambient_conductance=np.array([thermal.heat_transfer]),
        coolant_conductance=no,
        segment=one,
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=no,
        coolant_heat_capacity=1006.0,
        inlet_temperature=np.array([298.15]),
        ambient_temperature=298.15,
    )
    return PackNetwork(circuit=circuit, heat=heat, heat_capacity=np.array([thermal.heat_capacity]))


def _samsung(figures: Figures, plots: Path) -> None:
    from scipy.optimize import minimize_scalar

    tests = {(cell, rate): _read_samsung(cell, rate) for cell in ("S001", "S002") for rate in SAMSUNG_RATES}
    basis = build_mechanics_model("Chen2020", form=CanForm(radius=9.0e-3))
    ends = [build_mechanics_model("Chen2020", reference_soc=soc).reference_stoichiometry for soc in (1.0, 0.0)]

    def hoop_strain(test: SamsungTest, modulus: float) -> Values:
        """Return the wall's own strain less its mean [um/m]; the gauge's zero is free and steel's growth cancelled."""
        model = replace(basis, form=replace(_can(basis), roll_modulus=modulus, can_expansion=0.0))
        negative, positive = (full + (empty - full) * test.drawn for full, empty in zip(*ends, strict=True))
        result = evaluate_mechanics(
            model, negative[:, np.newaxis], positive[:, np.newaxis], test.temperature[:, np.newaxis]
        )
        strain = MICRO * result.hoop_strain[:, 0]
        return np.asarray(strain - strain.mean() + test.strain.mean())

    slow = tests["S001", "C10"]

    def misfit(logarithm: float) -> float:
        return float(np.sum((hoop_strain(slow, 10.0**logarithm) - slow.strain) ** 2))

    modulus = 10.0 ** minimize_scalar(misfit, bounds=(6.0, 10.0), method="bounded").x
    figures.add("Samsung 30Q: radial modulus of the jelly roll, fitted to S001 at C/10", modulus / 1e6, "MPa")
    comparisons = {}
    for (cell, rate), test in tests.items():
        own = tests[cell, "C10"]
        full, empty = ends[0][0], ends[1][0]
        gauge = calibrate_gauge(full + (empty - full) * own.drawn, own.strain, own.temperature)
        shown = read_gauge(gauge, full + (empty - full) * test.drawn, test.temperature)
        comparison = Comparison(
            test.charge,
            test.strain,
            {
                "thin wall, one modulus": hoop_strain(test, modulus),
                "gauge calibrated at C/10": shown - shown.mean() + test.strain.mean(),
            },
        )
        comparisons[cell, rate] = comparison
        for name in comparison.predicted:
            told = "fitted" if rate == "C10" and (cell == "S001" or "gauge" in name) else "predicted"
            figures.add(f"Samsung {cell} {rate}: {name}, {told}, RMSE", comparison.error(name), "µm/m")
            figures.add(f"Samsung {cell} {rate}: {name}, {told}, R²", comparison.explained(name), "-")
    grid = np.linspace(0.02, 0.98, 200)
    first, second = (np.interp(grid, tests[cell, "C10"].drawn, tests[cell, "C10"].strain) for cell in ("S001", "S002"))
    figures.add("Samsung C10: correlation of the two cells' own readings", np.corrcoef(first, second)[0, 1], "-")
    _draw_samsung(comparisons, plots / "mechanics_samsung.png")


@dataclass(frozen=True)
class SamsungTest:
    """One discharge: charge drawn [A.h] and as a share of the test's own [-], temperature [K], strain [um/m]."""

    charge: Values
    drawn: Values
    temperature: Values
    strain: Values


def _read_samsung(cell: str, rate: str) -> SamsungTest:
    data = np.genfromtxt(DATA / "samsung_30q" / cell / f"Q30_{cell}_{rate}.csv", delimiter=",", encoding="utf-8-sig")
    data = data[np.abs(data[:, 1]) < 100.0]  # A: a sample of 3.4e38 A is no current
    step = np.diff(data[:, 0])
    charge = np.concatenate([[0.0], np.cumsum(-0.5 * (data[1:, 1] + data[:-1, 1]) * step)]) / SECONDS_PER_HOUR
    kept = np.linspace(0, charge.size - 1, min(charge.size, 2000)).astype(np.int64)
    slow = data[kept]
    return SamsungTest(
        charge=charge[kept],
        drawn=charge[kept] / charge[-1],
        temperature=slow[:, 4] + ZERO_CELSIUS,
        strain=MICRO * slow[:, 5],
    )


def _can(model: MechanicsModel) -> CanForm:
    assert isinstance(model.form, CanForm)
    return model.form


def _cost(figures: Figures) -> None:
    """Time the kernels for a pack of pouch cells in pressed modules of 28."""
    model = build_mechanics_model("Ai2020")
    model = replace(model, stacks=module_stacks(CELLS // 28, 28, area=model.form.area))  # type: ignore[union-attr]
    grid = Grid(n_groups=CELLS // 28, parallel=28, lanes=lane_functions(8), device="cpu")
    inputs = [CellField(grid, fill=value).bundles for value in (0.4, 0.7, 300.0, 0.0)]
    launcher = RecordingLauncher("cpu")
    CellMechanics(model, grid).launch(launcher, *inputs)
    launches = launcher.take()
    taken = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        for launch in launches:
            launch.launch()
        taken.append(time.perf_counter() - begun)
    figures.add(f"{CELLS} cells in stacks of 28: a cell and step", 1e9 * float(np.median(taken)) / CELLS, "ns")


def _draw_enertech(comparisons: dict[str, Comparison], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.6), width_ratios=[3, 2], layout="constrained")
    for rate, comparison in comparisons.items():
        charge = float(rate) * ENERTECH_CAPACITY * comparison.place / SECONDS_PER_HOUR
        colour = COLOURS[rate]
        axes[0].plot(charge, comparison.measured, color=colour, linewidth=3.0, alpha=0.35)
        axes[0].plot(charge, comparison.predicted["Celltwin"], color=colour, label=f"{rate}C")
        axes[0].plot(charge, comparison.predicted["PyBaMM DFN"], color=colour, linestyle=":")
        axes[1].plot(charge, comparison.predicted["Celltwin"] - comparison.measured, color=colour)
        axes[1].plot(charge, comparison.predicted["PyBaMM DFN"] - comparison.measured, color=colour, linestyle=":")
    axes[0].plot([], [], color="0.5", linewidth=3.0, alpha=0.4, label="recorded (Ai et al. 2020)")
    axes[0].plot([], [], color="0.3", label="Celltwin, nothing fitted")
    axes[0].plot([], [], color="0.3", linestyle=":", label="PyBaMM DFN, Ai2020")
    axes[0].set(xlabel="charge drawn [A.h]", ylabel="change of thickness [µm]")
    axes[0].set_title("Enertech LCO pouch cell, 2.28 A.h, 34 layers, free to swell", loc="left", fontsize=10)
    axes[0].legend(frameon=False, fontsize=9, ncols=2)
    axes[1].axhline(0.0, color="0.8", linewidth=0.8)
    axes[1].set(xlabel="charge drawn [A.h]", ylabel="predicted less recorded [µm]")
    axes[1].set_title("data: PyBaMM repository, BSD-3", loc="left", fontsize=10)
    save_picture(figure, path, framed=False)


def _draw_samsung(comparisons: dict[tuple[str, str], Comparison], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(SAMSUNG_RATES), figsize=(15.0, 6.2), sharex=True, layout="constrained")
    for row, cell in enumerate(("S001", "S002")):
        for column, rate in enumerate(SAMSUNG_RATES):
            axis, comparison = axes[row, column], comparisons[cell, rate]
            axis.plot(comparison.place, comparison.measured, color="0.25", label="measured")
            for name, colour in (("gauge calibrated at C/10", "#1f77b4"), ("thin wall, one modulus", "#d62728")):
                axis.plot(comparison.place, comparison.predicted[name], color=colour, label=name, linewidth=1.2)
            axis.set_title(f"{cell}, {'C/10' if rate == 'C10' else rate}", fontsize=10, loc="left")
            if row == 1:
                axis.set_xlabel("charge drawn [A.h]")
        axes[row, 0].set_ylabel("hoop strain, gauge's zero [µm/m]")
    axes[0, -1].legend(frameon=False, fontsize=8)
    figure.suptitle(
        "Samsung 30Q 18650. Data: ARTS-Lab, Dataset Cycling with Strain Monitoring for Samsung 30Q Cell, CC BY-SA 4.0; "
        "this figure likewise",
        fontsize=9,
    )
    save_picture(figure, path, framed=False)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    options = bench_parser(__doc__, pictures=True).parse_args(arguments)
    return hand_over(run(options.plots), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
