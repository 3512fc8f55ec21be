"""Launches shared by threads: the same numbers for any number of threads, and no engine in another's way."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from celltwin.core import SettingsError
from celltwin.physics.engine import CellPopulation, Drive, PackEngine
from celltwin.physics.engine.launching import SharedLaunches, processor_threads

GROUPS, PARALLEL = 8, 256  # 256 bundles of cells: enough for threads to share
LOAD = Drive(values=np.concatenate([np.full(15, 500.0), np.full(15, -300.0), np.zeros(7)]))


@pytest.fixture
def start(cell_model, string_network, monkeypatch):
    def build(threads: int, **network) -> PackEngine:
        monkeypatch.setenv("CELLTWIN_THREADS", str(threads))
        count = GROUPS * PARALLEL
        random = np.random.default_rng(1)
        cells = CellPopulation(soc=random.uniform(0.4, 0.6, count), resistance=random.uniform(0.0, 0.02, count))
        return PackEngine(cell_model, string_network(GROUPS, PARALLEL, **network), cells=cells, device="cpu")

    return build


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_change_no_number(start, threads):
    alone, shared = (start(count, conduction=0.05, ambient=0.02) for count in (1, threads))

    ours, theirs = (engine.advance(LOAD, 37.0, sample_period=4.0) for engine in (alone, shared))

    for name in ("cell_current", "cell_voltage", "cell_temperature", "cell_soc", "pack_voltage"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_parts_of_an_exchange_of_heat_wait_for_each_other(start):
    # Conduction this fast takes several parts a step, each of which reads what other threads wrote in the last.
    alone, shared = (start(count, conduction=30.0) for count in (1, 2))
    assert alone.physics.heat.parts(1.0) > 1

    for _ in range(5):
        ours, theirs = (engine.advance(LOAD, 37.0) for engine in (alone, shared))
        np.testing.assert_array_equal(ours.cell_temperature, theirs.cell_temperature)


def test_a_step_begun_early_is_the_same_step(start):
    # Samples at every step begin none early; one at the end begins all but every tenth.
    often, once = start(2), start(2)

    ours = often.advance(LOAD, 37.0, sample_period=1.0)
    theirs = once.advance(LOAD, 37.0)

    np.testing.assert_array_equal(ours.cell_voltage[-1], theirs.cell_voltage[-1])
    np.testing.assert_array_equal(ours.cell_temperature[-1], theirs.cell_temperature[-1])


def test_what_is_set_between_two_times_reaches_the_next_step(start):
    whole, parted = start(2), start(2)
    whole.advance(Drive(values=400.0), 25.0)
    parted.advance(Drive(values=400.0), 12.0)
    parted.advance(Drive(values=400.0), 13.0)
    np.testing.assert_array_equal(whole.read_cells("voltage"), parted.read_cells("voltage"))

    parted.set_cells("resistance", 0.05)
    whole.advance(Drive(values=400.0), 1.0)
    parted.advance(Drive(values=400.0), 1.0)

    assert (parted.read_cells("voltage") < whole.read_cells("voltage")).any()


def test_engines_in_threads_of_their_own_do_not_mix(start):
    expected = start(2).advance(LOAD, 37.0).cell_voltage
    engines = [start(2) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda engine: engine.advance(LOAD, 37.0).cell_voltage, engines))

    for voltage in found:
        np.testing.assert_array_equal(voltage, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking with threads, which is what is tested
def test_a_forked_process_has_threads_of_its_own(start):
    engine = start(2)
    engine.advance(LOAD, 37.0)
    child = os.fork()
    if child == 0:
        engine.advance(LOAD, 37.0)
        os._exit(0)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_consecutive_launches_become_one_share_a_thread(start):
    engine = start(2)
    engine.advance(1.0, 1.0)

    ((launches, _),) = engine.steps._launches.values()
    shared = [launch for launch in launches.onward if isinstance(launch, SharedLaunches)]

    assert [len(launch.parts()) // 2 for launch in shared] == [3]  # finish, heat, and prepare of the next step


def test_a_number_of_threads_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("CELLTWIN_THREADS", "many")
    with pytest.raises(SettingsError, match="CELLTWIN_THREADS = 'many'"):
        processor_threads()
