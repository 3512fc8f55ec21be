"""Cycle jumping: against the whole simulation, conservation, files, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from celltwin.core import PlantError, SettingsError
from celltwin.physics.engine import (
    CellModel,
    CellPopulation,
    Circuit,
    Drive,
    EngineOptions,
    HeatPaths,
    PackEngine,
    PackNetwork,
    build_cell_model,
)
from celltwin.physics.engine.ageing_parameters import ageing_model
from celltwin.physics.engine.cycle_jump import Cycle, run_cycles
from celltwin.physics.engine.cycle_jump_file import load_run
from celltwin.physics.engine.cycle_jump_history import CycleProgress
from celltwin.physics.engine.cycle_jump_state import Rate, integrate_rates, lithium_inventory, take_slow

# Shallow and quick, for tests of the controller: the charge taken is put back, a little at a time.
SHALLOW: Cycle = ((Drive(values=10.0), 360.0), (Drive(values=-10.0), 360.0))


@pytest.fixture(scope="module")
def lgm50() -> CellModel:
    return build_cell_model("OKane2022")


def build(model: CellModel, *, sei: str = "solvent-diffusion limited", step: float = 30.0) -> PackEngine:
    """Return an engine of two groups of two unlike cells, in still air."""
    n = 4
    circuit = Circuit(
        n_groups=2,
        parallel=2,
        connection_resistance=np.full(n, 1e-3),
        rail_resistance=np.zeros(2),
        opposite_feed=False,
        kind=np.zeros(3, dtype=np.int8),
        child_start=np.array([0, 0, 0, 2], dtype=np.int32),
        children=np.array([0, 1], dtype=np.int32),
        link_resistance=np.zeros(3),
        roots=np.array([2], dtype=np.int32),
    )
    heat = HeatPaths(
        neighbours=np.arange(n, dtype=np.int32)[np.newaxis],
        conductance=np.zeros((1, n)),
        ambient_conductance=np.full(n, 0.05),
        coolant_conductance=np.zeros(n),
        segment=np.zeros(n, dtype=np.int32),
        segment_start=np.array([0, 1], dtype=np.int32),
        design_flow=np.zeros(1),
        coolant_heat_capacity=1.0,
        inlet_temperature=np.array([298.15]),
        ambient_temperature=298.15,
    )
    return PackEngine(
        model,
        PackNetwork(circuit=circuit, heat=heat, heat_capacity=np.full(n, 70.0)),
        cells=CellPopulation(
            capacity_scale=np.array([1.0, 0.97, 1.02, 1.0]), resistance=np.array([0.0, 1e-3, 0.0, 2e-3]), soc=0.7
        ),
        options=EngineOptions(ageing=ageing_model("okane_2022", sei=sei), step=step, shells=5, salt_nodes=(3, 2, 3)),
        device="cpu",
    )


def deep(engine: PackEngine) -> None:
    """Take a pack through discharge, rest, charge to a voltage and rest."""
    engine.advance(Drive(values=10.0, lowest_voltage=2.8), 2520.0)
    engine.advance(0.0, 600.0)
    engine.advance(Drive(values=-5.0, highest_voltage=4.15), 6120.0)
    engine.advance(0.0, 600.0)


def test_jumped_cycles_age_cells_as_simulated_ones(lgm50: CellModel) -> None:
    whole = run_cycles(build(lgm50), SHALLOW, cycles=60, tolerance=0.0)
    jumped = run_cycles(build(lgm50), SHALLOW, cycles=60)

    assert whole.simulated[-1] == 60
    assert jumped.simulated[-1] < 30
    assert jumped.cycle[-1] == 60
    np.testing.assert_allclose(jumped.sei_lithium[-1], whole.sei_lithium[-1], rtol=2e-3)
    np.testing.assert_allclose(jumped.lithium_loss[-1], whole.lithium_loss[-1], rtol=5e-3)
    np.testing.assert_allclose(jumped.time[-1], whole.time[-1], rtol=1e-12)


def test_no_jump_makes_or_loses_lithium(lgm50: CellModel) -> None:
    engine = build(lgm50)
    ageing = engine.options.ageing
    scale = engine.read_cells("capacity_scale")
    before = lithium_inventory(ageing, lgm50, take_slow(engine.state()), scale)

    history = run_cycles(engine, SHALLOW, cycles=40)

    assert history.jump.max() > 0
    after = lithium_inventory(ageing, lgm50, take_slow(engine.state()), scale)
    np.testing.assert_allclose(after, before, rtol=1e-8)


def test_no_jump_changes_more_than_it_may(lgm50: CellModel) -> None:
    history = run_cycles(build(lgm50), SHALLOW, cycles=60, tolerance=0.5, maximum_change=2e-4)

    jumps = np.flatnonzero(history.jump)
    assert jumps.size
    change = np.diff(history.sei_lithium, axis=0)[jumps - 1] / lgm50.capacity
    assert change.max() < 3e-4


def test_a_run_that_was_stopped_goes_on_from_its_file(lgm50: CellModel, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    seen: list[CycleProgress] = []

    def stop(progress: CycleProgress) -> bool:
        seen.append(progress)
        return progress.cycle >= 5

    stopped = run_cycles(build(lgm50), SHALLOW, cycles=30, checkpoint=file, stop=stop)
    resumed = run_cycles(build(lgm50), SHALLOW, cycles=30, checkpoint=file)
    through = run_cycles(build(lgm50), SHALLOW, cycles=30)

    assert stopped.cycle[-1] < 30
    assert seen[-1].cycle == stopped.cycle[-1]
    np.testing.assert_array_equal(resumed.cycle, through.cycle)
    np.testing.assert_allclose(resumed.lithium_loss, through.lithium_loss, rtol=1e-9, atol=1e-12)


def test_a_run_of_another_pack_or_a_damaged_file_is_refused(lgm50: CellModel, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    run_cycles(build(lgm50), SHALLOW, cycles=1, checkpoint=file)

    with pytest.raises(PlantError, match="run is of another engine: its step is 30"):
        load_run(file, build(lgm50, step=15.0))
    file.write_bytes(b"no archive")
    with pytest.raises(PlantError, match=r"run\.npz: the run cannot be read"):
        load_run(file, build(lgm50))


def test_engines_that_do_not_age_and_numbers_out_of_range_are_refused(lgm50: CellModel) -> None:
    engine = build(lgm50)
    without = PackEngine(lgm50, engine.network, options=replace(engine.options, ageing=None), device="cpu")
    with pytest.raises(PlantError, match="no ageing to jump over"):
        run_cycles(without, SHALLOW, cycles=3)
    with pytest.raises(SettingsError, match="maximum_change = 2"):
        run_cycles(engine, SHALLOW, cycles=3, maximum_change=2.0)


def test_rates_are_integrated_exactly_up_to_parabolas() -> None:
    def parabola(n: float) -> np.ndarray:
        return np.array([[1.0 + 2.0 * n + 3.0 * n**2]])

    rates = tuple(Rate(n, parabola(n)) for n in (0.5, 4.5, 20.5))

    found = integrate_rates(rates, 5.0, 17.0)

    np.testing.assert_allclose(found, (17.0 - 5.0) + (17.0**2 - 5.0**2) + (17.0**3 - 5.0**3), rtol=1e-12)


@pytest.mark.nightly
@pytest.mark.parametrize("sei", ["solvent-diffusion limited", "ec reaction limited"])
def test_two_hundred_deep_cycles_lose_the_same_jumped_and_simulated(lgm50: CellModel, sei: str) -> None:
    whole = run_cycles(build(lgm50, sei=sei, step=10.0), deep, cycles=200, tolerance=0.0)
    jumped = run_cycles(build(lgm50, sei=sei, step=10.0), deep, cycles=200)

    assert jumped.acceleration > 3.0
    fall = whole.capacity[0] - whole.capacity[-1]
    np.testing.assert_allclose(jumped.capacity[0] - jumped.capacity[-1], fall, rtol=0.02)
    for name in ("resistance", "sei_lithium", "dead_lithium", "lost_lithium", "active_negative", "active_positive"):
        change = getattr(whole, name)[-1] - getattr(whole, name)[0]
        np.testing.assert_allclose(
            getattr(jumped, name)[-1] - getattr(jumped, name)[0], change, rtol=0.02, atol=1e-9, err_msg=name
        )
