"""Tasks on the cores of this machine: one spawned process a worker, so that a death has one culprit."""

from __future__ import annotations

import multiprocessing
import multiprocessing.resource_tracker
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from .background import become_worker
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
    usable_cores,
)

__all__ = ["LocalExecutor"]

# Workers that end in a row before they were ready.
MOST_FAILED_STARTS = 3


class LocalExecutor:
    """Run tasks in spawned processes of lower priority, each with its libraries limited to one thread.

    Parameters
    ----------
    workers : int, optional
        Number of processes; one for each usable core where absent.

    Notes
    -----
    Each worker is a ``ProcessPoolExecutor`` of one process that holds one task: where a larger pool loses a process,
    all its tasks fail and none is the culprit. A thread hands tasks out, so that workers need not wait for the
    caller to take outcomes. One thread calls the methods.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._ended: queue.SimpleQueue[TaskOutcome | WorkerError] = queue.SimpleQueue()
        self._slots = tuple(_Slot() for _ in range(workers or usable_cores()))
        self._dispatcher: _Dispatcher | None = None
        self._pending = 0
        self._failure: WorkerError | None = None

    @property
    def workers(self) -> int:
        """How many tasks run at the same time."""
        return len(self._slots)

    @property
    def pending(self) -> int:
        """Tasks that were submitted and whose outcome has not been taken."""
        return self._pending

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the workers that have started."""
        return [process_id for slot in self._slots for process_id in slot.process_ids]

    def submit(self, task: Task) -> None:
        """Accept a task; it starts as soon as a worker is free."""
        if self._dispatcher is None:
            self._dispatcher = _Dispatcher(self._slots, self._ended)
            self._dispatcher.start()
        self._pending += 1
        self._dispatcher.inbox.put(_Asked(task))

    def take(self, timeout: float) -> list[TaskOutcome]:
        """Return the outcomes since the last call; wait for the first up to ``timeout`` [s]."""
        taken: list[TaskOutcome] = []
        wait = self._pending > 0 and timeout > 0.0 and self._failure is None
        try:
            while self._failure is None:
                item = self._ended.get(block=wait, timeout=timeout if wait else None)
                wait = False
                if isinstance(item, WorkerError):
                    self._failure = item
                else:
                    taken.append(item)
        except queue.Empty:
            pass
        self._pending -= len(taken)
        if self._failure is not None and not taken:
            raise self._failure
        return taken

    def cancel(self) -> None:
        """Forget all pending tasks, and end those that run."""
        self.close()

    def close(self) -> None:
        """Cancel what is pending and end the workers; a second call does nothing."""
        if self._dispatcher is not None:
            self._dispatcher.inbox.put(None)
            self._dispatcher.join()
            self._dispatcher = None
        self._ended = queue.SimpleQueue()
        self._pending = 0
        self._failure = None


@dataclass(frozen=True)
class _Asked:
    """A task, and how often it has been started."""

    task: Task
    attempts: int = 0


@dataclass(frozen=True)
class _Ended:
    """A started task whose future is done."""

    slot: _Slot
    asked: _Asked
    future: Future[Answer]


class _Dispatcher(threading.Thread):
    """Owns the workers: starts them, gives them tasks, buries them."""

    def __init__(self, slots: tuple[_Slot, ...], outcomes: queue.SimpleQueue[TaskOutcome | WorkerError]) -> None:
        super().__init__(name="celltwin tasks", daemon=True)
        self.inbox: queue.SimpleQueue[_Asked | _Ended | None] = queue.SimpleQueue()  # None ends the thread
        self._slots = slots
        self._outcomes = outcomes
        self._waiting: deque[_Asked] = deque()
        self._failed_starts = 0

    def run(self) -> None:
        """Handle what comes in until told to end."""
        while (item := self.inbox.get()) is not None:
            if isinstance(item, _Asked):
                self._waiting.append(item)
            else:
                self._settle(item)
            self._hand_out()
        for slot in self._slots:
            slot.end()

    def _hand_out(self) -> None:
        for slot in self._slots:
            if not self._waiting or self._failed_starts >= MOST_FAILED_STARTS:
                return
            if slot.busy:
                continue
            asked = self._waiting.popleft()
            future = slot.start(asked.task)
            # Called with the pool's locks held, so it only leaves word.
            future.add_done_callback(lambda done, slot=slot, asked=asked: self.inbox.put(_Ended(slot, asked, done)))  # type: ignore[misc]

    def _settle(self, ended: _Ended) -> None:
        slot, task, attempts = ended.slot, ended.asked.task, ended.asked.attempts + 1
        error = ended.future.exception()
        if not isinstance(error, BrokenProcessPool):
            slot.busy = False
            self._failed_starts = 0
            self._outcomes.put(
                outcome_of(task, ended.future.result(), attempts)
                if error is None
                else outcome_of_error(task, error, attempts)  # it does not pickle, or the function wanted to exit
            )
            return
        started = slot.is_ready
        slot.end()
        if not started:
            self._waiting.appendleft(ended.asked)
            self._failed_starts += 1
            if self._failed_starts == MOST_FAILED_STARTS:
                self._outcomes.put(
                    WorkerError(
                        f"{self._failed_starts} worker processes in a row ended while they started",
                        remedy="See what they wrote above; free memory, or start fewer with --workers",
                    )
                )
        elif attempts > task.retries:
            self._outcomes.put(outcome_of_deaths(task, attempts))
        else:
            self._waiting.append(_Asked(task, attempts))


class _Slot:
    """Place of one worker process, started when it is first needed and again after a death."""

    def __init__(self) -> None:
        self.busy = False
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the worker has started well."""
        return self._ready is not None and self._ready.done() and self._ready.exception() is None

    @property
    def process_ids(self) -> list[int]:
        """Process id of the worker, if it has one."""
        return list(self._pool._processes or {}) if self._pool is not None else []

    def start(self, task: Task) -> Future[Answer]:
        """Run a task in the worker."""
        self.busy = True
        if self._pool is not None:
            try:
                return self._pool.submit(perform, task)
            except BrokenProcessPool:  # it died while it had nothing to do
                self.end()
                self.busy = True
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
        with _inherited_by_workers():
            self._ready = self._pool.submit(become_worker)
        # Held open here, the pipe would have no end where a worker dies in the middle of a large result.
        self._pool._result_queue._writer.close()  # type: ignore[attr-defined]
        try:
            return self._pool.submit(perform, task)
        except BrokenProcessPool as error:  # it died at once
            failed: Future[Answer] = Future()
            failed.set_exception(error)
            return failed

    def end(self) -> None:
        """Kill the worker, if there is one."""
        self.busy = False
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):  # the pool offers no way to stop a call
                process.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


@contextmanager
def _inherited_by_workers() -> Iterator[None]:
    """Limit the threads of libraries and hold back Ctrl-C, which is the parent's, in a process that is started here."""
    multiprocessing.resource_tracker.ensure_running()  # it changes the mask when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(THREAD_LIMITS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
