"""Many independent tasks on the processes of this machine, or of a Ray cluster, through one small interface."""

from __future__ import annotations

import importlib
import os
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import CelltwinError

__all__ = ["Executor", "Task", "TaskOutcome", "WorkerError", "map_tasks", "open_executor", "usable_cores"]

# How often a task is tried again after its worker died.
RETRIES = 2
# Longest wait for an outcome before the caller's loop turns again [s].
POLL_PERIOD = 0.5
# Libraries read these when they are loaded: workers are processes, and threads within them only fight for cores.
THREAD_LIMITS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "CELLTWIN_THREADS"), "1"
)


class WorkerError(CelltwinError):
    """Worker processes cannot be had, or one died again and again with the same task."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One call of a function in a worker.

    Attributes
    ----------
    key : str
        Name of the task, unique among those of an executor.
    function : str
        ``"package.module:function"``, importable in the workers.
    arguments : tuple
        Its arguments; they must pickle.
    retries : int
        How often it is tried again after its worker died.
    """

    key: str
    function: str
    arguments: tuple[Any, ...] = ()
    retries: int = RETRIES


@dataclass(frozen=True, kw_only=True)
class TaskOutcome:
    """What came of a task.

    Attributes
    ----------
    task : Task
        The task, with its arguments.
    value : object
        What the function returned; None where it failed.
    error : Exception or None
        What the function raised, or a :class:`WorkerError` where its workers died.
    attempts : int
        How often it was started.
    seconds : float
        What the last attempt took in its worker [s of the wall clock]; 0 where the worker died.
    worker : str
        Host and process id of the worker; empty where it died.
    """

    task: Task
    value: Any = None
    error: Exception | None = None
    attempts: int = 1
    seconds: float = 0.0
    worker: str = ""


class Executor(Protocol):
    """Runs tasks in worker processes; a task whose worker dies is run again, a bounded number of times."""

    @property
    def workers(self) -> int:
        """How many tasks run at the same time."""

    @property
    def pending(self) -> int:
        """Tasks that were submitted and whose outcome has not been taken."""

    def submit(self, task: Task) -> None:
        """Accept a task; it starts as soon as a worker is free."""

    def take(self, timeout: float) -> list[TaskOutcome]:
        """Return the outcomes since the last call, in the order in which tasks ended.

        Parameters
        ----------
        timeout : float
            How long to wait for the first [s]; the list is empty where none came.

        Raises
        ------
        WorkerError
            If no worker can be had.
        """

    def cancel(self) -> None:
        """Forget all pending tasks, and end those that run."""

    def close(self) -> None:
        """Cancel what is pending and release the workers; a second call does nothing."""


def open_executor(address: str | None = None, workers: int | None = None) -> Executor:
    """Return the executor of a Ray cluster where an address is given, else of this machine's cores.

    Parameters
    ----------
    address : str, optional
        Ray address such as ``"auto"`` or ``"10.0.0.5:6379"``.
    workers : int, optional
        Most tasks at the same time; one for each usable core where absent.

    Raises
    ------
    WorkerError
        If there is no such cluster, or ``workers`` is less than 1.
    """
    if workers is not None and workers < 1:
        raise WorkerError(f"{workers} workers can do nothing", remedy="Give at least 1, or leave it out")
    if address:
        from .execution_ray import RayExecutor

        return RayExecutor(address, workers=workers)
    from .execution_local import LocalExecutor

    return LocalExecutor(workers)


def map_tasks(executor: Executor, function: str, items: Iterable[tuple[Any, ...]]) -> Iterator[TaskOutcome]:
    """Run a function once for the arguments of each item; yield the outcomes as tasks end.

    Parameters
    ----------
    executor : Executor
        Where to run; nothing else may be pending in it.
    function : str
        ``"package.module:function"``.
    items : iterable of tuple
        Arguments of each call; the key of its task is its number.
    """
    for number, arguments in enumerate(items):
        executor.submit(Task(key=str(number), function=function, arguments=arguments))
    while executor.pending:
        yield from executor.take(POLL_PERIOD)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Answer:
    """What a worker sends back: a value or an error, and where and how long it worked."""

    value: Any
    error: Exception | None
    seconds: float
    worker: str


def perform(task: Task) -> Answer:
    """Call a task's function in this process; what it raises becomes part of the answer."""
    begun = time.monotonic()
    value: Any = None
    error: Exception | None = None
    try:
        module, _, name = task.function.partition(":")
        value = getattr(importlib.import_module(module), name)(*task.arguments)
    except CelltwinError as raised:
        error = raised
    except Exception as raised:  # of any class, which the other side may not know
        error = described(raised)
    return Answer(value, error, time.monotonic() - begun, f"{platform.node()}:{os.getpid()}")


def described(error: BaseException) -> RuntimeError:
    """Return an error of any class as one that every process knows, in one line."""
    lines = str(error).strip().splitlines()
    return RuntimeError(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def outcome_of(task: Task, answer: Answer, attempts: int) -> TaskOutcome:
    """Return the outcome of a task whose worker has answered."""
    return TaskOutcome(
        task=task,
        value=answer.value,
        error=answer.error,
        attempts=attempts,
        seconds=answer.seconds,
        worker=answer.worker,
    )


def outcome_of_error(task: Task, error: BaseException, attempts: int) -> TaskOutcome:
    """Return the outcome of a task that failed before or after its function ran."""
    return TaskOutcome(task=task, error=described(error), attempts=attempts)


def outcome_of_deaths(task: Task, attempts: int) -> TaskOutcome:
    """Return the outcome of a task that was given up, because its worker died every time."""
    times = "its worker died" if attempts == 1 else f"{attempts} workers died"
    error = WorkerError(
        f"{times} while it ran",
        where=f"task {task.key}",
        remedy="Look for a crash or for too little memory; its parameters are kept with it",
    )
    return TaskOutcome(task=task, error=error, attempts=attempts)
