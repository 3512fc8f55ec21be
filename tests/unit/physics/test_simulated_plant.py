"""The plant in its worker: samples as mapped, answers to commands, and a death that is told once."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import (
    InitialSpec,
    Level,
    OpenWeld,
    Plant,
    PlantError,
    RestStep,
    Scenario,
    SensorBias,
    expand_channels,
)
from celltwin.physics import SimulatedPlant


def wait_for_samples(plant, until=np.inf):
    """Let the worker finish what it was asked for, and read."""
    blocks = plant.read(until)
    if not blocks:
        wait([plant._pending], timeout=60.0)
        blocks = plant.read(until)
    return blocks


@pytest.fixture
def plant(small_pack) -> Iterator[SimulatedPlant]:
    plant = SimulatedPlant(small_pack, seed=4, initial_soc=0.7)
    yield plant
    plant.close()


def test_it_is_a_plant_with_the_channels_of_the_pack(plant, small_pack):
    assert isinstance(plant, Plant)
    assert plant.channels == tuple(channel.column for channel in expand_channels(small_pack))


def test_first_sample_comes_at_once_in_the_units_as_sent(plant, small_pack):
    begun = time.perf_counter()
    (block,) = plant.read(0.0)
    assert time.perf_counter() - begun < 0.5
    assert block.time.tolist() == [0.0]
    values = dict(zip(block.channels, block.values[0], strict=True))
    temperatures = [values[c.column] for c in expand_channels(small_pack) if c.quantity == "temperature"]
    assert np.mean(temperatures) == pytest.approx(small_pack.cooling.inlet_temperature - 273.15, abs=0.2)  # degC
    assert values["pack_current"] == pytest.approx(0.0, abs=0.6)


def test_command_is_answered_in_the_block_that_follows(plant, small_pack, ask):
    plant.read(np.inf)
    plant.command(ask(small_pack, 6.0))

    (block,) = wait_for_samples(plant)

    np.testing.assert_allclose(block.time, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
    column = block.channels.index("pack_current")
    np.testing.assert_allclose(block.values[:, column], 6.0, atol=0.6)
    plant.command(replace(ask(small_pack, -3.0), time=60.0))
    (following,) = wait_for_samples(plant)
    np.testing.assert_allclose(following.values[:, column], -3.0, atol=0.6)
    assert following.time[0] == 70.0


def test_samples_after_the_clock_are_held_back(plant, small_pack, ask):
    plant.read(0.0)
    plant.command(ask(small_pack, 6.0))

    first = wait_for_samples(plant, until=25.0)
    second = plant.read(40.0)

    assert [block.time.tolist() for block in first] == [[10.0, 20.0]]
    assert [block.time.tolist() for block in second] == [[30.0, 40.0]]
    assert plant.read(40.0) == []


def test_truth_tells_what_sensors_blur(plant, small_pack, ask):
    plant.read(np.inf)
    plant.command(ask(small_pack, 6.0))
    (block,) = wait_for_samples(plant)

    truth = plant.truth

    assert truth.time == 60.0
    assert truth.soh.shape == truth.soc.shape == (12,)
    assert truth.current.reshape(4, 3).sum(axis=1) == pytest.approx(np.full(4, 6.0))
    sent = [
        value
        for channel, value in zip(expand_channels(small_pack), block.values[-1], strict=True)
        if channel.quantity == "current" and channel.level is Level.CELL
    ]
    noise = np.asarray(sent) - truth.current
    assert 0.0 < np.abs(noise).max() < 0.05
    assert "seed 4" in truth.provenance


def test_dead_worker_is_told_once(plant, small_pack, ask):
    plant.read(np.inf)
    plant.command(ask(small_pack, 6.0))
    wait_for_samples(plant)
    for process in plant._worker._pool._processes.values():
        os.kill(process.pid, signal.SIGKILL)
    plant.command(replace(ask(small_pack, 6.0), time=60.0))

    with pytest.raises(PlantError, match="worker process has died after 60 s"):
        wait_for_samples(plant)

    assert plant.read(np.inf) == []
    assert plant.finished


def test_pack_whose_cell_is_unknown_fails_at_once(small_pack):
    spec = replace(small_pack, cell=replace(small_pack.cell, parameter_set="NoSuchCell"))
    with pytest.raises(Exception, match="'NoSuchCell' is neither"):
        SimulatedPlant(spec)


def test_failure_of_the_worker_names_its_cause(small_pack, ask):
    plant = SimulatedPlant(small_pack, fidelity="P2D")
    try:
        plant.read(np.inf)
        plant.command(ask(small_pack, 6.0))
        with pytest.raises(Exception, match="fidelity = 'P2D' is unknown"):
            wait_for_samples(plant)
        assert plant.finished
    finally:
        plant.close()


def test_faults_of_the_scenario_reach_pack_and_sensors(small_pack, ask):
    faults = (SensorBias(quantity="current", target=("pack",), offset=100.0), OpenWeld(target=("cell:0",)))
    scenario = Scenario(name="broken", initial=InitialSpec(soc=0.7), steps=(RestStep(longest=60.0),), faults=faults)
    plant = SimulatedPlant(small_pack, seed=4, initial_soc=0.7, scenario=scenario)
    try:
        plant.read(np.inf)
        plant.command(ask(small_pack, 6.0))
        (block,) = wait_for_samples(plant)
    finally:
        plant.close()

    np.testing.assert_allclose(block.values[:, block.channels.index("pack_current")], 106.0, atol=0.6)
    assert plant.truth.current[0] == pytest.approx(0.0, abs=1e-9)
    assert plant.truth.current[1] > 2.5


def test_command_of_another_pack_is_refused(plant, small_pack, ask):
    wrong = replace(ask(small_pack, 6.0), coolant_flow=np.zeros(3))
    with pytest.raises(PlantError, match="do not fit a pack of 2 modules"):
        plant.command(wrong)


def test_closing_twice_is_harmless(plant):
    plant.close()
    plant.close()
    assert plant.read(np.inf) == []
    assert plant.finished
