"""Tasks on the machines of a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from typing import Any

from .execution import (
    THREAD_LIMITS,
    Answer,
    Task,
    TaskOutcome,
    WorkerError,
    outcome_of,
    outcome_of_deaths,
    outcome_of_error,
    perform,
)

__all__ = ["RayExecutor"]

# Tasks handed to Ray for each core of the cluster: enough that no core waits for us.
AHEAD = 2
# How old the known size of the cluster may grow; machines join and leave [s].
SIZE_PERIOD = 5.0
CONNECT_TIMEOUT = 10.0  # [s]

_logger = logging.getLogger(__name__)


class RayExecutor:
    """Run tasks on the cores of a Ray cluster that has been started already.

    Every machine needs the same Python, Ray and Celltwin as this one. Ray hands tasks to machines; this class keeps
    count of a task's deaths, so that one which kills its workers ends after its retries. No usage statistics are
    sent, and the libraries of a worker are limited to one thread.

    Parameters
    ----------
    address : str
        Address of the cluster's head, such as ``"10.0.0.5:6379"``; ``"auto"`` for the cluster of this machine.
    workers : int, optional
        Most tasks at the same time; as many as the cluster has cores where absent.

    Raises
    ------
    WorkerError
        If there is no such cluster, or it runs another Python or Ray.
    """

    def __init__(self, address: str, *, workers: int | None = None) -> None:
        _require_listener(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # tasks without a GPU leave CUDA's alone
        import ray

        if ray.is_initialized():
            raise WorkerError(
                "this process is connected to a Ray cluster already", where=address, remedy="Close that executor first"
            )
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": THREAD_LIMITS},
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ImportError, RuntimeError, TimeoutError, ValueError) as error:
            raise _no_cluster(address, error) from None
        self._ray = ray
        self._perform = ray.remote(num_cpus=1, max_retries=0)(perform)
        self._most = workers
        self._cores, self._counted = 0, float("-inf")
        self._waiting: deque[tuple[Task, int]] = deque()
        self._running: dict[Any, tuple[Task, int]] = {}
        self._closed = False

    @property
    def workers(self) -> int:
        """How many tasks run at the same time."""
        now = time.monotonic()
        if now - self._counted > SIZE_PERIOD:
            self._counted = now
            self._cores = max(1, int(self._ray.cluster_resources().get("CPU", 0)))
        return min(self._most or self._cores, self._cores)

    @property
    def pending(self) -> int:
        """Tasks that were submitted and whose outcome has not been taken."""
        return len(self._waiting) + len(self._running)

    def submit(self, task: Task) -> None:
        """Accept a task; it starts as soon as a worker is free."""
        self._waiting.append((task, 0))
        self._hand_out()

    def take(self, timeout: float) -> list[TaskOutcome]:
        """Return the outcomes since the last call; wait for the first up to ``timeout`` [s]."""
        self._hand_out()
        if not self._running:
            return []
        references = list(self._running)
        done, _ = self._ray.wait(references, num_returns=1, timeout=timeout)
        if done:  # what else has ended by now
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        outcomes = [outcome for reference in done if (outcome := self._settle(reference)) is not None]
        self._hand_out()
        return outcomes

    def cancel(self) -> None:
        """Forget all pending tasks, and end those that run."""
        self._waiting.clear()
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()

    def close(self) -> None:
        """Cancel what is pending and leave the cluster; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.cancel()
        self._ray.shutdown()

    def _hand_out(self) -> None:
        # With a limit on workers nothing is handed out ahead: Ray would run it.
        most = self._most if self._most and self._most < self.workers * AHEAD else self.workers * AHEAD
        while self._waiting and len(self._running) < most:
            task, attempts = self._waiting.popleft()
            try:
                reference = self._perform.options(name=f"celltwin {task.key}").remote(task)
            except Exception as error:  # its arguments do not pickle
                reference = self._ray.put(error)
            self._running[reference] = (task, attempts + 1)

    def _settle(self, reference: Any) -> TaskOutcome | None:
        """Return the outcome of a task that has ended, or None where it is tried again."""
        errors = self._ray.exceptions
        task, attempts = self._running.pop(reference)
        try:
            answer = self._ray.get(reference)
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
            errors.RaySystemError,
            errors.LocalRayletDiedError,
        ) as error:
            _logger.warning("task %s lost its worker (%s)", task.key, type(error).__name__)
            if attempts > task.retries:
                return outcome_of_deaths(task, attempts)
            self._waiting.append((task, attempts))
            return None
        except Exception as error:  # of the function's import, its arguments, or Ray itself
            return outcome_of_error(task, error, attempts)
        if isinstance(answer, Answer):
            return outcome_of(task, answer, attempts)
        return outcome_of_error(task, answer, attempts)


def _require_listener(address: str) -> None:
    """Raise WorkerError where nothing listens at an address; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # a name such as "auto"
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> WorkerError:
    return WorkerError(
        f"no Ray cluster answers ({_first_line(error)})",
        where=address,
        remedy="Start one with `ray start --head` in this environment, and give the address that it prints",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
