"""Bench of the simulated plant: the reference pack, each cell a model of its own, through discharge, rest, charge."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from celltwin.core import Command, PackSpec
from celltwin.physics import (
    CellBatch,
    CellSimulator,
    PackSimulation,
    PackVariation,
    PlantBlock,
    SimulatedPlant,
    draw_variation,
    load_cell_parameters,
    simulate_charge,
)
from tools.bench.figures import Figures, main
from tools.bench.places import reference_pack

__all__ = ["run"]

BLOCK = 60.0  # [s]
DISCHARGE, REST, CHARGE = 42, 10, 68  # blocks: two hours in all


def run() -> Figures:
    """Measure a two-hour duty of 2,800 cells, the start of the plant's worker, and the prescriber's candidates."""
    figures = Figures("plant")
    spec = reference_pack()
    # Fits the cell and compiles the kernels where that has not been done yet.
    _advance(PackSimulation(spec, _variation(spec)), 0.0)

    begun = time.perf_counter()
    plant = SimulatedPlant(spec, seed=0, initial_soc=0.95)
    first = plant.read(0.0)
    figures.add("construct the plant and read its first sample", time.perf_counter() - begun, "s", target=0.5)
    assert first[0].time.size == 1
    plant.command(_command(spec, 0.0, spec.capacity))
    while not plant.read(np.inf):
        time.sleep(0.005)
    figures.add("first simulated block of the worker, from its start", time.perf_counter() - begun, "s", target=3.0)
    plant.close()

    simulation = PackSimulation(spec, _variation(spec))
    begun, cpu = time.perf_counter(), time.process_time()
    blocks = _duty(simulation)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    name = f"2,800 cells, {simulation.time / 3600.0:g} h of duty, SPMe, steps of 1 s"
    figures.add(name, wall, "s", target=30.0)
    figures.add(f"{name}: processor time", cpu, "s")
    figures.add(f"{name}: over real time", simulation.time / wall, "1", target=240.0, at_least=True)
    _check_conservation(figures, spec, blocks)

    simulator = CellSimulator(spec.cell.parameter_set)
    batch = CellBatch.of(simulator.parameters, initial_soc=np.full(8, 0.2), heat_transfer=40.0)
    taken = _time(lambda: simulate_charge(simulator, batch, np.linspace(1.0, 6.0, 8), target_soc=0.8))
    figures.add("8 charges to 80 % as candidates", taken, "s", target=2.0)
    return figures


def _variation(spec: PackSpec) -> PackVariation:
    return draw_variation(spec, load_cell_parameters(spec.cell.parameter_set), seed=0, initial_soc=0.95)


def _duty(simulation: PackSimulation) -> list[PlantBlock]:
    capacity = simulation.spec.capacity
    rates = [1.0] * DISCHARGE + [0.0] * REST + [-2.0] * CHARGE
    return [_advance(simulation, rate * capacity) for rate in rates]


def _advance(simulation: PackSimulation, current: float) -> PlantBlock:
    return simulation.advance(_command(simulation.spec, simulation.time, current), BLOCK)


def _command(spec: PackSpec, at: float, current: float) -> Command:
    return Command(
        time=at,
        pack_current=current,
        coolant_flow=np.full(spec.n_modules, spec.cooling.flow),
        balancing_current=np.zeros(spec.n_groups),
        origin="duty",
    )


def _check_conservation(figures: Figures, spec: PackSpec, blocks: list[PlantBlock]) -> None:
    missing, above = 0.0, 0.0
    for block in blocks:
        groups = block.cell_current.reshape(block.time.size, spec.n_groups, spec.parallel).sum(axis=2)
        missing = max(missing, float(np.abs(groups - block.pack_current[:, np.newaxis]).max()))
        above = max(above, float(block.group_voltage.max()) - spec.cell.highest_voltage)
    figures.add("largest error of a group's sum of currents", missing, "A", target=1e-9)
    figures.add("largest excess over the highest voltage", 1e3 * above, "mV", target=3.0)


def _time(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    raise SystemExit(main(run))
