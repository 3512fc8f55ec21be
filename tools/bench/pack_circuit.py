"""Bench of current sharing: 12 unlike cells in 3 series by 4 parallel, against their circuit solved as one system.

``--plots FOLDER`` says where the picture goes (default ``docs/images``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array
from celltwin.physics import CellParameters, load_cell_parameters
from tools.bench.figures import Figures, bench_parser, hand_over
from tools.bench.pack_circuit_reference import (
    DutyPart,
    ReferenceHistory,
    ReferencePack,
    solve_reference,
)
from tools.bench.pictures import save_picture

if TYPE_CHECKING:
    from celltwin.physics.engine import CellModel, EngineHistory, EngineOptions, PackNetwork

__all__ = ["Comparison", "compare", "draw_pack", "duty_of", "main", "plot_currents", "run", "simulate"]

SEED = 12
SERIES, PARALLEL = 3, 4
CELLS = ("xjtu_18650", "Chen2020")
AMBIENT = 298.15  # [K]
TARGET = 0.5  # error of a cell's current over the mean current [%]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Largest differences between engine and reference.

    Attributes
    ----------
    current : dict of float
        For each part of the duty, of a cell's current, over the mean current of 1C [-].
    current_rms : float
        Root mean square of it over all cells and times [-].
    voltage, voltage_rms : float
        Of the pack, over the number of groups: largest, and root mean square over the times [V].
    temperature : float
        Of a cell [K].
    soc : float
        Of a cell [-].
    """

    current: dict[str, float]
    current_rms: float
    voltage: float
    voltage_rms: float
    temperature: float
    soc: float


def run(plots: Path | None = None) -> Figures:
    """Compare the engine with the reference, by cell type; draw the first where ``plots`` names a folder."""
    figures = Figures("pack-circuit")
    for name in CELLS:
        parameters = load_cell_parameters(name)
        pack = draw_pack(parameters, seed=SEED)
        duty = duty_of(parameters)
        begun = time.perf_counter()
        reference = solve_reference(parameters, pack, duty)
        figures.add(f"{name}: reference, {sum(part.duration for part in duty):g} s", time.perf_counter() - begun, "s")
        begun = time.perf_counter()
        history = simulate(parameters, pack, duty)
        figures.add(f"{name}: engine, the same, compiling included", time.perf_counter() - begun, "s")
        found = compare(parameters, reference, history, duty)
        spread = np.ptp(reference.cell_current, axis=1).max() / parameters.capacity
        figures.add(f"{name}: largest spread of the cells' currents", 100.0 * float(spread), "% of 1C")
        for part, error in found.current.items():
            figures.add(f"{name}: cell current, {part}, largest error", 100.0 * error, "% of mean", target=TARGET)
        figures.add(f"{name}: cell current, RMS error", 100.0 * found.current_rms, "% of mean")
        figures.add(f"{name}: group voltage, RMS error", 1e3 * found.voltage_rms, "mV", target=3.0)
        figures.add(f"{name}: group voltage, largest error", 1e3 * found.voltage, "mV")
        figures.add(f"{name}: cell temperature, largest error", found.temperature, "K", target=0.1)
        figures.add(f"{name}: state of charge, largest error", 100.0 * found.soc, "%")
        if plots is not None and name == CELLS[0]:
            plot_currents(plots / "pack_circuit.png", parameters, reference, history)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run the bench as a command."""
    options = bench_parser(__doc__, pictures=True).parse_args(arguments)
    return hand_over(run(options.plots), options.json)


def plot_currents(path: Path, parameters: CellParameters, reference: ReferenceHistory, history: EngineHistory) -> None:
    """Draw the currents of all cells, and how far the engine's are from the reference's, over the duty."""
    import matplotlib.pyplot as plt

    minutes = reference.time / 60.0
    error = 100.0 * (history.cell_current - reference.cell_current) / parameters.capacity
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(11.0, 6.2), sharex=True, height_ratios=[3, 2], layout="constrained"
    )
    colours = plt.colormaps["viridis"](np.linspace(0.0, 0.9, error.shape[1]))
    for cell, colour in enumerate(colours):
        upper.plot(minutes, reference.cell_current[:, cell], color=colour, linewidth=1.0)
        upper.plot(minutes[::60], history.cell_current[::60, cell], ".", color=colour, markersize=4.0)
        lower.plot(minutes, error[:, cell], color=colour, linewidth=0.8)
    upper.plot([], [], color="black", linewidth=1.0, label="reference: one differential-algebraic system")
    upper.plot([], [], ".", color="black", label="engine, steps of 1 s")
    upper.set(
        ylabel="Current of each cell [A]", title=f"12 unlike {parameters.name} cells, 3 in series by 4 in parallel"
    )
    upper.legend(frameon=False)
    for bound in (-TARGET, TARGET):
        lower.axhline(bound, color="#6f6f6f", linestyle="--", linewidth=0.8)
    lower.set(xlabel="Time [min]", ylabel="Engine less reference\n[% of the mean current at 1C]")
    for axes in (upper, lower):
        axes.grid(visible=True, alpha=0.3)
    save_picture(figure, path)


def draw_pack(
    parameters: CellParameters,
    *,
    seed: int,
    series: int = SERIES,
    parallel: int = PARALLEL,
    opposite_feed: bool = False,
) -> ReferencePack:
    """Return a pack of cells that differ more than those of any pack worth building.

    Capacities differ by 8 % each way, series resistances by half the cell's own, temperatures at the start by 5 K
    each way, states of charge by 1 % each way within a group. Cells conduct to their neighbours in a row.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    seed : int
        Seed.
    series, parallel : int
        Groups, and cells in each.
    opposite_feed : bool
        Whether current enters at the first and leaves at the last position.
    """
    random = np.random.default_rng(seed)
    shape = (series, parallel)

    def spread(half: float) -> Array:
        return half * random.uniform(-1.0, 1.0, shape)

    own = max(parameters.resistance, 0.02 / parameters.capacity)  # some published sets state none
    conduction = np.zeros((series * parallel,) * 2)
    for first in range(series * parallel - 1):
        conduction[first, first + 1] = conduction[first + 1, first] = 0.05 * parameters.heat_capacity / 43.2
    return ReferencePack(
        capacity_scale=1.0 + spread(0.08),
        resistance=parameters.resistance + own * random.uniform(0.0, 0.5, shape),
        soc=0.85 + spread(0.01),
        temperature=AMBIENT + spread(5.0),
        heat_capacity=np.full(shape, parameters.heat_capacity),
        ambient_conductance=np.full(shape, 1e-3 * parameters.heat_capacity),
        conduction=conduction,
        rail_resistance=np.full(series, 0.02 * own),
        opposite_feed=opposite_feed,
        link_resistance=0.01 * own,
        ambient_temperature=AMBIENT,
    )


def duty_of(parameters: CellParameters, *, parallel: int = PARALLEL, scale: float = 1.0) -> tuple[DutyPart, ...]:
    """Return a discharge, a rest, pulses, constant power and a charge; ``scale`` shortens the long parts."""
    rated = parallel * parameters.capacity

    def part(name: str, duration: float, rate: float) -> DutyPart:
        return DutyPart(name=name, duration=duration, current=rate * rated)

    pulses = [part("pulse", 10.0, rate) for rate in (2.0, 0.0, -1.0, 0.0, -2.0, 0.0)]
    watts = 3.6 * SERIES * rated
    return (
        part("discharge", round(1500.0 * scale), 1.0),
        part("rest", round(300.0 * scale), 0.0),
        *pulses,
        DutyPart(name="power", duration=round(200.0 * scale), power=watts),
        part("charge", round(1800.0 * scale), -1.0),
    )


def simulate(
    parameters: CellParameters, pack: ReferencePack, duty: Sequence[DutyPart], options: EngineOptions | None = None
) -> EngineHistory:
    """Return what the engine makes of the same pack and duty, sampled at every second."""
    from celltwin.physics.engine import CellPopulation, Drive, DriveKind, PackEngine, build_cell_model
    from celltwin.physics.engine.engine_history import join_histories

    model = build_cell_model(parameters)
    network, inside = _network(model, pack)
    population = CellPopulation(
        capacity_scale=pack.capacity_scale.reshape(-1),
        resistance=inside.reshape(-1),
        soc=pack.soc.reshape(-1),
        temperature=pack.temperature.reshape(-1),
    )
    engine = PackEngine(model, network, cells=population, options=options, device="cpu")
    histories = []
    for part in duty:
        drive = Drive(values=part.current)
        if part.power is not None:
            drive = Drive(kind=DriveKind.POWER, values=part.power)
        histories.append(engine.advance(drive, part.duration, sample_period=1.0))
    return join_histories(histories)


def compare(
    parameters: CellParameters, reference: ReferenceHistory, history: EngineHistory, duty: Sequence[DutyPart]
) -> Comparison:
    """Return the largest differences, at the samples of both."""
    np.testing.assert_allclose(history.time, reference.time, atol=1e-6)
    error = (history.cell_current - reference.cell_current) / parameters.capacity
    names = np.array([part.name for part in duty])[reference.part]
    voltage = (history.pack_voltage[:, 0] - reference.pack_voltage) / history.group_voltage.shape[1]
    return Comparison(
        current={str(name): float(np.abs(error[names == name]).max()) for name in dict.fromkeys(names)},
        current_rms=float(np.sqrt(np.mean(error**2))),
        voltage=float(np.abs(voltage).max()),
        voltage_rms=float(np.sqrt(np.mean(voltage**2))),
        temperature=float(np.abs(history.cell_temperature - reference.cell_temperature).max()),
        soc=float(np.abs(history.cell_soc - reference.cell_soc).max()),
    )


def _network(model: CellModel, pack: ReferencePack) -> tuple[PackNetwork, Array]:
    """Return circuit and heat paths, and what is left of the resistance inside the cell: half lies in its weld."""
    from celltwin.physics.engine import Circuit, HeatPaths, PackNetwork

    series, parallel = pack.capacity_scale.shape
    n_cells = series * parallel
    beyond = pack.resistance - model.contact_resistance
    rows = max(1, int((pack.conduction > 0.0).sum(axis=1).max()))
    neighbours = np.tile(np.arange(n_cells, dtype=np.int32), (rows, 1))
    conductance = np.zeros((rows, n_cells))
    for cell in range(n_cells):
        for row, other in enumerate(np.flatnonzero(pack.conduction[cell])):
            neighbours[row, cell], conductance[row, cell] = other, pack.conduction[cell, other]
    circuit = Circuit(
        n_groups=series,
        parallel=parallel,
        connection_resistance=0.5 * beyond.reshape(-1),
        rail_resistance=pack.rail_resistance,
        opposite_feed=pack.opposite_feed,
        kind=np.zeros(series + 1, dtype=np.int8),
        child_start=np.concatenate([np.zeros(series + 1), [series]]).astype(np.int32),
        children=np.arange(series, dtype=np.int32),
        link_resistance=np.concatenate([np.zeros(series), [pack.link_resistance]]),
        roots=np.array([series], dtype=np.int32),
    )
    heat = HeatPaths(
        neighbours=neighbours,
        conductance=conductance,
        ambient_conductance=pack.ambient_conductance.reshape(-1),
        coolant_conductance=np.zeros(n_cells),
        segment=np.zeros(n_cells, dtype=np.int32),
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=np.zeros(1),
        coolant_heat_capacity=1.0,
        inlet_temperature=np.full(1, pack.ambient_temperature),
        ambient_temperature=pack.ambient_temperature,
    )
    network = PackNetwork(circuit=circuit, heat=heat, heat_capacity=pack.heat_capacity.reshape(-1))
    return network, 0.5 * beyond


if __name__ == "__main__":
    raise SystemExit(main())
