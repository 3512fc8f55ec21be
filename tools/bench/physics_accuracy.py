"""Bench of physics accuracy: one cell of the pack engine against PyBaMM's SPMe and DFN, with a lumped temperature.

Chen2020, Marquis2019 and ORegan2022; C/5, 1C and 2C discharge and 1C charge; 5, 25 and 45 degC. A figure is the worst
of the three temperatures. SPMe is PyBaMM's with the mean of the electrolyte's concentration put right; "as shipped",
PyBaMM 26.10 averages it wrongly (``physics_cases._average_truly``). "engine" has one particle an electrode, "engine
DFN" porous electrodes. ``--plots FOLDER`` says where the pictures go (default ``docs/images``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from celltwin.core import ZERO_CELSIUS, Array
from celltwin.physics.engine import EngineOptions, build_cell_model
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.physics_cases import Case, PybammCell, Trace, compare, run_engine, time_cell_step
from tools.bench.pictures import save_picture

__all__ = ["run"]

_logger = logging.getLogger(__name__)

SETS = ("Chen2020", "Marquis2019", "ORegan2022")
MODELS = ("SPMe", "DFN")
RATES = (0.2, 1.0, 2.0, -1.0)
TEMPERATURES = (5.0, 25.0, 45.0)  # [degC]
VOLTAGE_TARGET, TEMPERATURE_TARGET = 3.0, 0.1  # [mV, K]
FULL_ORDER_TARGETS = {0.2: 15.0, 1.0: 15.0, 2.0: 30.0, -1.0: 15.0}  # [mV]
FULL_ORDER_VOLUMES = (4, 2, 4)  # what fidelity="DFN" resolves electrodes in
FULL_ORDER = EngineOptions(volumes=FULL_ORDER_VOLUMES)
FINE = EngineOptions(shells=60, salt_nodes=(16, 8, 16))
COLOURS = {0.2: "#4c4c4c", 1.0: "#1f77b4", 2.0: "#d62728", -1.0: "#2ca02c"}


@dataclass(frozen=True, eq=False)
class Outcome:
    """One case by everything that ran it: ``engine``, ``engine, fine``, ``engine DFN``, ``DFN, fine`` and so on."""

    case: Case
    capacity: float  # [A.h]
    traces: dict[str, Trace] = field(default_factory=dict)

    def error(self, name: str, reference: str, quantity: str) -> float:
        """Return the root mean square difference [mV, K]; nan where one of the two could not be run."""
        if name not in self.traces or reference not in self.traces:
            return float("nan")
        _, voltage, temperature = compare(self.traces[name], self.traces[reference])
        values = 1e3 * voltage if quantity == "voltage" else temperature
        return float(np.sqrt(np.mean(values**2)))


def run(plots: Path | None = None, sets: tuple[str, ...] = SETS, models: tuple[str, ...] = MODELS) -> Figures:
    """Compare voltages and temperatures with PyBaMM's models; draw all where ``plots`` names a folder."""
    figures = Figures("physics-accuracy")
    outcomes = [outcome for name in sets for outcome in _run_set(name, models)]
    for name in sets:
        for rate in RATES:
            _add_figures(
                figures, [each for each in outcomes if each.case.parameter_set == name and each.case.rate == rate]
            )
    if "DFN" in models:
        figures.add("processor time of a cell-step, 2,800 cells, SPMe", time_cell_step("SPMe"), "ns")
        figures.add("processor time of a cell-step, 2,800 cells, DFN", time_cell_step("DFN", FULL_ORDER_VOLUMES), "ns")
    if plots is not None and set(models) == set(MODELS):
        _draw(outcomes, sets, plots / "physics_accuracy_rates.png", _by_rate)
        _draw(outcomes, sets, plots / "physics_accuracy_temperatures.png", _by_temperature)
    return figures


def _run_set(name: str, models: tuple[str, ...]) -> list[Outcome]:
    import pybamm

    model = build_cell_model(name)
    cells: dict[str, PybammCell] = {}
    engines: dict[str, EngineOptions | None] = {"engine": None}
    if "SPMe" in models:
        cells |= {"SPMe": PybammCell(name), "SPMe, fine": PybammCell(name, fine=True)}
        cells["SPMe as shipped, fine"] = PybammCell(name, fine=True, true_mean=False)
        engines["engine, fine"] = FINE
    if "DFN" in models:
        cells |= {"DFN": PybammCell(name, fidelity="DFN"), "DFN, fine": PybammCell(name, fidelity="DFN", fine=True)}
        engines["engine DFN"] = FULL_ORDER
    outcomes = []
    for rate in RATES:
        for celsius in TEMPERATURES:
            case = Case(name, rate, celsius + ZERO_CELSIUS)
            current = rate * model.capacity
            outcome = Outcome(case, model.capacity)
            for label, cell in cells.items():
                try:
                    outcome.traces[label] = cell.run(case, current)
                except pybamm.SolverError as error:
                    _logger.warning("%s cannot run %s %s at %g degC: %s", label, name, case.label, celsius, error)
            for label, options in engines.items():
                outcome.traces[label] = run_engine(model, case, current, options)
            outcomes.append(outcome)
    return outcomes


def _add_figures(figures: Figures, outcomes: list[Outcome]) -> None:
    head = f"{outcomes[0].case.parameter_set} {outcomes[0].case.label}"
    full = FULL_ORDER_TARGETS[outcomes[0].case.rate]
    rows: tuple[tuple[str, str, str, str, float | None], ...] = (
        ("voltage", "engine", "SPMe, fine", "mV", VOLTAGE_TARGET),
        ("temperature", "engine", "SPMe, fine", "K", TEMPERATURE_TARGET),
        ("voltage", "engine, fine", "SPMe, fine", "mV", VOLTAGE_TARGET),
        ("temperature", "engine, fine", "SPMe, fine", "K", TEMPERATURE_TARGET),
        ("voltage", "engine", "SPMe as shipped, fine", "mV", None),
        ("temperature", "engine", "SPMe as shipped, fine", "K", None),
        ("voltage", "engine", "SPMe", "mV", None),
        ("voltage", "SPMe", "SPMe, fine", "mV", None),
        ("voltage", "engine DFN", "DFN, fine", "mV", full),
        ("temperature", "engine DFN", "DFN, fine", "K", None),
        ("voltage", "engine DFN", "DFN", "mV", None),
        ("voltage", "DFN", "DFN, fine", "mV", None),
        ("voltage", "engine", "DFN, fine", "mV", full),
        ("voltage", "engine", "DFN", "mV", None),
        ("voltage", "SPMe", "DFN", "mV", None),
    )
    for quantity, name, reference, unit, target in rows:
        errors = np.array([outcome.error(name, reference, quantity) for outcome in outcomes])
        if np.isnan(errors).all():
            continue
        figures.add(f"{head}: {quantity}, {name} - {reference}", float(np.nanmax(errors)), unit, target=target)


def _by_rate(outcome: Outcome) -> tuple[str, str] | None:
    if round(outcome.case.temperature - ZERO_CELSIUS) != 25:
        return None
    return outcome.case.label, COLOURS[outcome.case.rate]


def _by_temperature(outcome: Outcome) -> tuple[str, str] | None:
    if outcome.case.rate != 1.0:
        return None
    celsius = round(outcome.case.temperature - ZERO_CELSIUS)
    return f"{celsius} °C", {5: "#1f77b4", 25: "#4c4c4c", 45: "#d62728"}[celsius]


def _draw(
    outcomes: list[Outcome], sets: tuple[str, ...], path: Path, choose: Callable[[Outcome], tuple[str, str] | None]
) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, axes = plt.subplots(
        3, len(sets), figsize=(4.4 * len(sets), 8.6), sharex="col", squeeze=False, layout="constrained"
    )
    for column, name in enumerate(sets):
        voltages, temperatures, residuals = axes[:, column]
        for outcome in outcomes:
            style = choose(outcome)
            if outcome.case.parameter_set != name or style is None:
                continue
            label, colour = style
            _draw_case(outcome, label, colour, voltages, temperatures, residuals)
        voltages.set_title(name)
        residuals.set_xlabel("charge passed / capacity")
        residuals.axhspan(-VOLTAGE_TARGET, VOLTAGE_TARGET, color="#dddddd", zorder=0)
        residuals.set_yscale("symlog", linthresh=5.0)
        residuals.set_ylim(-100.0, 100.0)
        residuals.set_yticks(
            [-100, -30, -10, -3, 0, 3, 10, 30, 100], ["−100", "−30", "−10", "−3", "0", "3", "10", "30", "100"]
        )
        residuals.minorticks_off()
        for axis in axes[:, column]:
            axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("voltage [V]")
    axes[1, 0].set_ylabel("temperature rise [K]")
    axes[2, 0].set_ylabel("engine − SPMe, fine mesh [mV]")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles += [
        Line2D([], [], color="#777777", linewidth=2.4),
        Line2D([], [], color="black", linestyle="--", linewidth=1.0),
        Line2D([], [], color="black", linestyle=":", linewidth=1.0),
    ]
    labels += ["engine", "PyBaMM SPMe, fine mesh", "PyBaMM DFN"]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save_picture(figure, path, dpi=120)


def _draw_case(
    outcome: Outcome, label: str, colour: str, voltages: object, temperatures: object, residuals: object
) -> None:
    def charge(time: Array) -> Array:
        return abs(outcome.case.rate) * time / 3600.0

    for name, style in (
        ("engine", {"color": colour, "linewidth": 2.4, "alpha": 0.55, "label": label}),
        ("SPMe, fine", {"color": "black", "linestyle": "--", "linewidth": 0.9}),
        ("DFN", {"color": "black", "linestyle": ":", "linewidth": 0.9}),
    ):
        if name not in outcome.traces:
            continue
        trace = outcome.traces[name]
        voltages.plot(charge(trace.time), trace.voltage, **style)  # type: ignore[attr-defined]
        temperatures.plot(charge(trace.time), trace.temperature - outcome.case.temperature, **style)  # type: ignore[attr-defined]
    if "SPMe, fine" in outcome.traces:
        time, voltage, _ = compare(outcome.traces["engine"], outcome.traces["SPMe, fine"])
        residuals.plot(charge(time), 1e3 * voltage, color=colour, linewidth=1.4)  # type: ignore[attr-defined]


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--sets", default=",".join(SETS), metavar="NAMES", help="PyBaMM sets, separated by commas")
    parser.add_argument("--models", default=",".join(MODELS), metavar="NAMES", help="PyBaMM models to compare with")
    options = parser.parse_args(arguments)
    figures = run(options.plots, tuple(options.sets.split(",")), tuple(options.models.split(",")))
    return hand_over(figures, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
