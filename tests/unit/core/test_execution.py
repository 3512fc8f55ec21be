"""Tasks in worker processes: outcomes as they end, deaths survived, culprits named."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from celltwin.core import SettingsError, Task, WorkerError, map_tasks, open_executor

# Functions that the workers import by name.
FUNCTIONS = """
import ctypes, gc, os, struct, sys
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from celltwin.core import SettingsError

def square(number):
    return number * number

def refuse(number):
    raise SettingsError(f"number = {number}", where="file", remedy="Give another")

def divide(number):
    return 1 // number

def die():
    os.kill(os.getpid(), 9)

def die_first_time(marker):
    if not Path(marker).exists():
        Path(marker).touch()
        die()
    return "lived"

def die_halfway_through_the_answer():
    for item in gc.get_objects():
        if isinstance(item, SimpleQueue):
            os.write(item._writer.fileno(), struct.pack("!i", 1_000_000) + b"part")
    die()

def describe():
    return os.environ["OMP_NUM_THREADS"], os.nice(0)

def wait_for_ever(marker):
    Path(marker).write_text(str(os.getpid()))
    while True:
        os.read(os.pipe()[0], 1)
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """Return the name of a module that workers can import."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "worker_functions.py").write_text(FUNCTIONS)
    sys.path.insert(0, str(folder))
    yield "worker_functions"
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def executor(functions):
    executor = open_executor(workers=2)
    yield executor
    executor.close()


def run(executor, function, *items):
    return sorted(map_tasks(executor, function, items), key=lambda outcome: int(outcome.task.key))


def test_every_task_has_one_outcome_with_its_arguments(executor, functions):
    outcomes = run(executor, f"{functions}:square", *((number,) for number in range(20)))

    assert [outcome.value for outcome in outcomes] == [number * number for number in range(20)]
    assert [outcome.task.arguments for outcome in outcomes] == [(number,) for number in range(20)]
    assert len({outcome.worker for outcome in outcomes}) == 2
    assert executor.pending == 0


def test_workers_have_one_thread_and_a_lower_priority_than_their_parent(executor, functions):
    before = os.environ.get("OMP_NUM_THREADS")

    (outcome,) = run(executor, f"{functions}:describe", ())

    assert outcome.value == ("1", os.nice(0) + 5)
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_what_a_function_raises_is_its_outcome_and_is_not_tried_again(executor, functions):
    (refused,) = run(executor, f"{functions}:refuse", (3,))
    (divided,) = run(executor, f"{functions}:divide", (0,))
    (missing,) = run(executor, "no_such_module:function", ())

    assert (type(refused.error), str(refused.error)) == (SettingsError, "file: number = 3. Give another")
    assert "ZeroDivisionError" in str(divided.error)
    assert "no_such_module" in str(missing.error)
    assert {outcome.attempts for outcome in (refused, divided, missing)} == {1}


def test_arguments_that_do_not_pickle_are_told_and_the_worker_lives_on(executor, functions):
    (outcome,) = run(executor, f"{functions}:square", (lambda: 0,))

    assert "pickle" in str(outcome.error)
    assert run(executor, f"{functions}:square", (2,))[0].value == 4


def test_a_task_whose_worker_dies_is_run_again(executor, functions, tmp_path):
    (outcome,) = run(executor, f"{functions}:die_first_time", (str(tmp_path / "marker"),))

    assert (outcome.value, outcome.error, outcome.attempts) == ("lived", None, 2)


def test_only_the_task_that_kills_its_workers_fails_and_its_neighbours_do_not(executor, functions):
    for number in range(6):
        executor.submit(Task(key=str(number), function=f"{functions}:square", arguments=(number,)))
    executor.submit(Task(key="poison", function=f"{functions}:die", retries=1))
    outcomes = {}
    while executor.pending:
        outcomes |= {outcome.task.key: outcome for outcome in executor.take(10.0)}

    poison = outcomes.pop("poison")
    assert (type(poison.error), poison.attempts) == (WorkerError, 2)
    assert "task poison: 2 workers died" in str(poison.error)
    assert {outcome.attempts for outcome in outcomes.values()} == {1}
    assert [outcomes[str(number)].value for number in range(6)] == [number * number for number in range(6)]


def test_a_worker_that_dies_halfway_through_its_answer_does_not_hang_the_caller(executor, functions):
    executor.submit(Task(key="half", function=f"{functions}:die_halfway_through_the_answer", retries=0))

    (outcome,) = executor.take(60.0)

    assert isinstance(outcome.error, WorkerError)


def test_an_idle_worker_that_dies_is_replaced(executor, functions):
    run(executor, f"{functions}:square", (1,), (2,))
    for process_id in executor.process_ids:
        os.kill(process_id, signal.SIGKILL)

    outcomes = run(executor, f"{functions}:square", (3,), (4,))

    assert [outcome.value for outcome in outcomes] == [9, 16]


def test_cancelling_ends_what_runs_and_forgets_what_waits(functions, tmp_path):
    executor = open_executor(workers=1)
    marker = tmp_path / "marker"
    executor.submit(Task(key="long", function=f"{functions}:wait_for_ever", arguments=(str(marker),)))
    executor.submit(Task(key="next", function=f"{functions}:square", arguments=(1,)))
    while not marker.exists() or not marker.read_text():
        assert executor.take(0.01) == []

    executor.cancel()

    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)
    assert executor.pending == 0
    executor.submit(Task(key="after", function=f"{functions}:square", arguments=(5,)))
    assert [outcome.value for outcome in executor.take(60.0)] == [25]
    executor.close()
    executor.close()


def test_workers_that_cannot_start_are_told_instead_of_being_started_for_ever(functions, monkeypatch):
    monkeypatch.setattr("celltwin.core.execution_local.become_worker", os.abort)
    executor = open_executor(workers=1)
    executor.submit(Task(key="0", function=f"{functions}:square", arguments=(1,)))

    with pytest.raises(WorkerError, match="3 worker processes in a row ended while they started"):
        executor.take(60.0)
    executor.close()


def test_no_workers_and_no_cluster_are_refused_with_the_remedy():
    with pytest.raises(WorkerError, match="Give at least 1"):
        open_executor(workers=0)
    with pytest.raises(WorkerError, match=r"127\.0\.0\.1:1: no Ray cluster answers.*ray start --head"):
        open_executor("127.0.0.1:1")
