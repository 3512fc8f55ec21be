"""Bench of ageing: the engine against PyBaMM's degradation submodels, its cost, and cycle jumping against all cycles.

``--plots FOLDER`` says where the pictures go (default ``docs/images``). ``--cycles N`` says over how many cycles jumps
are checked by simulating them all (default 200).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import ZERO_CELSIUS, Array
from celltwin.physics.engine.ageing import AgeingModel
from celltwin.physics.engine.ageing_cells import CellAgeing
from celltwin.physics.engine.ageing_parameters import ageing_model, build_ageing_model
from celltwin.physics.engine.ageing_reference import AgeingReference, simulate_ageing
from celltwin.physics.engine.ageing_state import AgeingState, lithium_loss
from celltwin.physics.engine.ageing_trajectory import AgeingTrajectory, age_along
from celltwin.physics.engine.cell_model import CellModel
from celltwin.physics.engine.cell_model_builder import build_cell_model
from celltwin.physics.engine.cycle_jump import run_cycles
from celltwin.physics.engine.cycle_jump_history import CycleHistory
from celltwin.physics.engine.engine_options import CellPopulation, Drive, EngineOptions
from celltwin.physics.engine.fields import CellField, Grid
from celltwin.physics.engine.lanes import lane_functions
from celltwin.physics.engine.launching import RecordingLauncher
from celltwin.physics.engine.pack_engine import PackEngine
from celltwin.physics.engine.pack_network import Circuit, HeatPaths, PackNetwork
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.pictures import save_picture
from tools.bench.places import PICTURES

__all__ = ["run"]

ROOM, WARM = 25.0, 45.0  # [°C]
CYCLES = [("Discharge at 1C until 2.5 V", "Charge at 1C until 4.2 V", "Hold at 4.2 V until C/20")] * 2
STORAGE = ["Rest for 100 hours"]
FIXED = [
    "Discharge at 1C for 45 minutes",
    "Rest for 10 minutes",
    "Charge at 0.75C for 1 hour",
    "Rest for 10 minutes",
] * 2
ONE = np.ones(1)
COLOURS = ("#1f77b4", "#d62728", "#2ca02c")
CELLS, STEPS = 2800, 500
LONG = 2000  # cycles of the long run


@dataclass(frozen=True)
class Case:
    """One comparison with PyBaMM."""

    name: str
    sei: str
    plating: str
    loss: str
    celsius: float
    experiment: list[Any]
    step: float = 10.0


CASES = (
    Case(
        "solvent, 2 cycles, 25 °C", "solvent-diffusion limited", "partially reversible", "stress-driven", ROOM, CYCLES
    ),
    Case(
        "solvent, 2 cycles, 45 °C", "solvent-diffusion limited", "partially reversible", "stress-driven", WARM, CYCLES
    ),
    Case("carbonate, 2 cycles, 25 °C", "ec reaction limited", "reversible", "stress-driven", ROOM, CYCLES),
    Case("carbonate, 2 cycles, 45 °C", "ec reaction limited", "irreversible", "stress-driven", WARM, CYCLES),
    Case("solvent, 100 h, 45 °C", "solvent-diffusion limited", "partially reversible", "none", WARM, STORAGE, 360.0),
    Case("carbonate, 100 h, 25 °C", "ec reaction limited", "none", "none", ROOM, STORAGE, 360.0),
)


def run(plots: Path = PICTURES, *, cycles: int = 200) -> Figures:
    """Compare one step and one cell with PyBaMM, time the kernel, and jump over cycles."""
    figures = Figures("ageing")
    cell = build_cell_model("OKane2022")
    _compare_steps(figures, cell, plots / "ageing_pybamm.png")
    _compare_engine(figures, cell)
    _time_kernel(figures, cell)
    _jump(figures, cell, cycles, plots / "ageing_cycles.png")
    return figures


def _compare_steps(figures: Figures, cell: CellModel, picture: Path) -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")
    shown: dict[str, tuple[AgeingReference, AgeingTrajectory, AgeingModel]] = {}
    for case in CASES:
        reference = simulate_ageing(
            values,
            case.experiment,
            sei=case.sei,
            plating=case.plating,
            loss=case.loss,
            temperature=case.celsius + ZERO_CELSIUS,
            step=case.step,
        )
        model = build_ageing_model(values, sei=case.sei, plating=case.plating, loss=case.loss)
        trajectory = age_along(model, cell, reference.operating, sample_every=6)
        _add_errors(figures, f"step along PyBaMM, {case.name}", model, cell, trajectory.states[-1], reference)
        shown[case.name] = reference, trajectory, model
    _draw_pybamm({case.name: shown[case.name] for case in CASES[:3]}, cell, picture)


def _add_errors(
    figures: Figures, name: str, model: AgeingModel, cell: CellModel, state: AgeingState, reference: AgeingReference
) -> None:
    loss = lithium_loss(model, cell, state, ONE)
    end = {key: float(values[-1]) for key, values in reference.results.items()}
    pairs = {
        "film": (loss.sei, end["sei"]),
        "plated and dead lithium": (loss.plated + loss.dead, end["plating"]),
        "active material, -": (1.0 - state.active_negative, 1.0 - end["active_negative"]),
        "active material, +": (1.0 - state.active_positive, 1.0 - end["active_positive"]),
    }
    for what, (ours, theirs) in pairs.items():
        if theirs > 1e-9:
            figures.add(f"{name}: {what}", 100.0 * abs(float(ours[0]) / theirs - 1.0), "%", target=3.0)


def _compare_engine(figures: Figures, cell: CellModel) -> None:
    import pybamm

    values = pybamm.ParameterValues("OKane2022")
    for sei, celsius in (("solvent-diffusion limited", ROOM), ("ec reaction limited", WARM)):
        temperature = celsius + ZERO_CELSIUS
        reference = simulate_ageing(values, FIXED, sei=sei, temperature=temperature, initial_soc=0.95)
        model = build_ageing_model(values, sei=sei)
        engine = PackEngine(
            cell,
            _network(1, 1, temperature, ambient=1e3, heat_capacity=5e6),
            cells=CellPopulation(soc=0.95),
            options=EngineOptions(ageing=model, shells=20, salt_nodes=(8, 4, 8)),
            device="cpu",
        )
        for _ in range(2):
            for current, duration in ((5.0, 2700.0), (0.0, 600.0), (-3.75, 3600.0), (0.0, 600.0)):
                engine.advance(current, duration)
        state = AgeingState.of(engine.state().cells["ageing"])
        _add_errors(figures, f"engine, {sei}, {celsius:g} °C", model, cell, state, reference)


def _time_kernel(figures: Figures, cell: CellModel) -> None:
    """Time the kernel alone, by processor time, at operating points that differ."""
    random = np.random.default_rng(0)
    grid = Grid(CELLS // 28, 28, lane_functions(8), "cpu")

    def field(low: float, high: float, rows: int | None = None) -> CellField:
        made = CellField(grid, rows=rows, fill=0.5 * (low + high))
        made.write(random.uniform(low, high, (CELLS,) if rows is None else (rows, CELLS)))
        return made

    for sei in ("solvent-diffusion limited", "ec reaction limited"):
        ageing = CellAgeing(ageing_model("okane_2022", sei=sei), cell, grid, negative_nodes=5)
        state = ageing.state(np.ones(CELLS))
        launcher = RecordingLauncher("cpu")
        ageing.launch(
            launcher,
            1.0,
            field(0.95, 1.05),
            temperature=field(290.0, 320.0),
            current=field(-5.0, 5.0),
            potential_negative=field(0.05, 0.6),
            surface_negative=field(0.2, 0.8),
            surface_positive=field(0.2, 0.8),
            mean_negative=field(0.2, 0.8),
            mean_positive=field(0.2, 0.8),
            salt=field(0.9, 1.1, 12),
            before=state,
            after=state,
            side_current=CellField(grid),
            film_resistance=CellField(grid),
            active_negative=CellField(grid),
            active_positive=CellField(grid),
        )
        (launch,) = launcher.take()
        taken = []
        for _ in range(STEPS):
            begun = time.process_time()
            launch.launch()
            taken.append(time.process_time() - begun)
        cost = 1e9 * float(np.median(taken)) / CELLS
        figures.add(f"{CELLS} cells, {sei}: a cell and step", cost, "ns", target=60.0)


def _jump(figures: Figures, cell: CellModel, cycles: int, picture: Path) -> None:
    from rich.progress import Progress

    histories: dict[str, CycleHistory] = {}
    with Progress(transient=True) as progress:

        def aged(name: str, engine: PackEngine, count: int, tolerance: float) -> CycleHistory:
            task = progress.add_task(name, total=count)
            begun = time.perf_counter()
            history = run_cycles(
                engine,
                _cycle,
                cycles=count,
                tolerance=tolerance,
                stop=lambda state: progress.update(task, completed=state.cycle),
            )
            figures.add(f"{name}: {count} cycles", time.perf_counter() - begun, "s")
            histories[name] = history
            return history

        for sei in ("solvent-diffusion limited", "ec reaction limited"):
            whole = aged(f"{sei}, all simulated", _four_cells(cell, sei, ROOM), cycles, 0.0)
            jumped = aged(f"{sei}, jumped", _four_cells(cell, sei, ROOM), cycles, 0.02)
            figures.add(f"{sei}: cycles for each simulated", jumped.acceleration, "", target=3.0, at_least=True)
            for name in ("capacity", "lithium_loss", "resistance", "active_negative", "active_positive"):
                error = _change_error(getattr(jumped, name), getattr(whole, name))
                figures.add(f"{sei}: error of the change of {name.replace('_', ' ')}", 100.0 * error, "%", target=2.0)
        for celsius in (ROOM, WARM):
            engine = _four_cells(cell, "solvent-diffusion limited", celsius)
            long = aged(f"solvent-diffusion limited, {celsius:g} °C, jumped", engine, LONG, 0.02)
            figures.add(
                f"{LONG} cycles, {celsius:g} °C: cycles for each simulated", long.acceleration, "", 10.0, at_least=True
            )
            kept = float((long.capacity[-1] / long.capacity[0]).min())
            figures.add(f"{LONG} cycles, {celsius:g} °C: capacity of the worst cell", 100.0 * kept, "%")
    _draw_cycles(histories, picture)


def _change_error(found: Array, true: Array) -> float:
    change = true[-1] - true[0]
    return float(np.max(np.abs((found[-1] - found[0]) / change - 1.0)))


def _cycle(engine: PackEngine) -> None:
    engine.advance(Drive(values=10.0, lowest_voltage=2.8), 2520.0)
    engine.advance(0.0, 600.0)
    engine.advance(Drive(values=-5.0, highest_voltage=4.15), 6120.0)
    engine.advance(0.0, 600.0)


def _four_cells(cell: CellModel, sei: str, celsius: float) -> PackEngine:
    return PackEngine(
        cell,
        _network(2, 2, celsius + ZERO_CELSIUS, ambient=0.05, heat_capacity=70.0),
        cells=CellPopulation(
            capacity_scale=np.array([1.0, 0.97, 1.02, 1.0]), resistance=np.array([0.0, 1e-3, 0.0, 2e-3]), soc=0.9
        ),
        options=EngineOptions(ageing=ageing_model("okane_2022", sei=sei), step=10.0, shells=6, salt_nodes=(3, 2, 3)),
        device="cpu",
    )


def _network(groups: int, parallel: int, temperature: float, *, ambient: float, heat_capacity: float) -> PackNetwork:
    n = groups * parallel
    circuit = Circuit(
        n_groups=groups,
        parallel=parallel,
        connection_resistance=np.full(n, 1e-5),
        rail_resistance=np.zeros(groups),
        opposite_feed=False,
        kind=np.zeros(groups + 1, dtype=np.int8),
        child_start=np.array([0] * (groups + 1) + [groups], dtype=np.int32),
        children=np.arange(groups, dtype=np.int32),
        link_resistance=np.zeros(groups + 1),
        roots=np.array([groups], dtype=np.int32),
    )
    heat = HeatPaths(
        neighbours=np.arange(n, dtype=np.int32)[np.newaxis],
        conductance=np.zeros((1, n)),
        ambient_conductance=np.full(n, ambient),
        coolant_conductance=np.zeros(n),
        segment=np.zeros(n, dtype=np.int32),
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=np.zeros(1),
        coolant_heat_capacity=1.0,
        inlet_temperature=np.array([temperature]),
        ambient_temperature=temperature,
    )
    return PackNetwork(circuit=circuit, heat=heat, heat_capacity=np.full(n, heat_capacity))


def _draw_pybamm(
    shown: dict[str, tuple[AgeingReference, AgeingTrajectory, AgeingModel]], cell: CellModel, path: Path
) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11.5, 7.2), layout="constrained", sharex=True)
    for colour, (name, (reference, trajectory, model)) in zip(COLOURS, shown.items(), strict=True):
        hours, theirs = reference.time / 3600.0, reference.results
        ours_hours = trajectory.time / 3600.0
        losses = [lithium_loss(model, cell, state, ONE) for state in trajectory.states]
        lines = (
            (axes[0, 0], 1e9 * theirs["sei_thickness"], [1e9 * s.sei_thickness[0] for s in trajectory.states]),
            (axes[0, 1], 1e3 * theirs["plating"], [1e3 * float((x.plated + x.dead)[0]) for x in losses]),
            (
                axes[1, 0],
                1e6 * (1.0 - theirs["active_negative"]),
                [1e6 * (1.0 - s.active_negative[0]) for s in trajectory.states],
            ),
            (
                axes[1, 1],
                1e6 * (1.0 - theirs["active_positive"]),
                [1e6 * (1.0 - s.active_positive[0]) for s in trajectory.states],
            ),
        )
        for axis, reference_line, our_line in lines:
            axis.plot(hours, reference_line, color=colour, linewidth=4.0, alpha=0.3)
            axis.plot(ours_hours, our_line, color=colour, linewidth=1.2, label=name)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylabel("film on the negative particles [nm]")
    axes[0, 1].set_ylabel("plated and dead lithium [mA.h]")
    axes[1, 0].set_ylabel("active material lost, negative [ppm]")
    axes[1, 1].set_ylabel("active material lost, positive [ppm]")
    for axis in axes[1]:
        axis.set_xlabel("time [h]")
    axes[0, 0].plot([], [], color="0.5", linewidth=4.0, alpha=0.4, label="PyBaMM SPMe")
    axes[0, 0].legend(frameon=False, fontsize=9)
    figure.suptitle("LG M50, OKane2022: 1C discharge to 2.5 V, 1C charge to 4.2 V, held to C/20, twice", fontsize=10)
    save_picture(figure, path, framed=False)


def _draw_cycles(histories: dict[str, CycleHistory], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14.0, 4.4), layout="constrained")
    for colour, sei in zip(COLOURS, ("solvent-diffusion limited", "ec reaction limited"), strict=False):
        whole, jumped = histories[f"{sei}, all simulated"], histories[f"{sei}, jumped"]
        kept, landed = (100.0 * h.capacity / h.capacity[0] for h in (whole, jumped))
        axes[0].plot(whole.cycle, kept[:, 1], color=colour, linewidth=4.0, alpha=0.3)
        axes[0].plot(jumped.cycle, landed[:, 1], color=colour, marker="o", markersize=3.0, linewidth=0.8, label=sei)
    axes[0].plot([], [], color="0.5", linewidth=4.0, alpha=0.4, label="every cycle simulated")
    axes[0].set(xlabel="cycle", ylabel="capacity of the weakest cell [%]")
    for colour, celsius in zip(COLOURS, (ROOM, WARM), strict=False):
        long = histories[f"solvent-diffusion limited, {celsius:g} °C, jumped"]
        label = f"{celsius:g} °C: {long.simulated[-1]} of {long.cycle[-1]} cycles simulated"
        axes[1].plot(long.cycle, 100.0 * long.capacity / long.capacity[0], color=colour, linewidth=0.9)
        axes[1].plot([], [], color=colour, label=label)
        style = "-" if celsius == ROOM else "--"
        parts = {
            "lithium in film, plated, dead": (long.lithium_loss - long.lost_lithium)[:, 0] / long.capacity[0, 0],
            "active material, negative": 1.0 - long.active_negative[:, 0],
            "active material, positive": 1.0 - long.active_positive[:, 0],
        }
        for shade, (what, lost) in zip(("#333333", "#9467bd", "#ff7f0e"), parts.items(), strict=True):
            axes[2].plot(long.cycle, 100.0 * lost, style, color=shade, label=f"{what}, {celsius:g} °C")
    axes[1].set(xlabel="cycle", ylabel="capacity of four cells [%]")
    axes[2].set(xlabel="cycle", ylabel="lost by the first cell [% of its capacity or electrode]")
    axes[2].set_ylim(top=1.4 * axes[2].get_ylim()[1])  # room for the legend
    for axis in axes:
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle("2s2p of unlike LG M50 cells, OKane2022: 1C discharge, C/2 charge to 4.15 V a group", fontsize=10)
    save_picture(figure, path, framed=False)


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    parser = bench_parser(__doc__, pictures=True)
    parser.add_argument("--cycles", type=int, default=200, metavar="N", help="cycles that jumps are checked over")
    options = parser.parse_args(arguments)
    return hand_over(run(options.plots, cycles=options.cycles), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
