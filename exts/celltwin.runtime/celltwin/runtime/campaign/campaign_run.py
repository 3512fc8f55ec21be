"""A campaign at work: runs go out in batches, results come in, and a new start goes on where the last one ended."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celltwin.core import CelltwinError, Executor, Task, TaskOutcome, WorkerError, open_executor

from .batch import RunAnswer
from .campaign import Campaign, RunRequest
from .results import ResultFolder, RunRecord

__all__ = ["SIMULATE", "CampaignProgress", "CampaignRun"]

# Takes a RunRequest and returns a RunResult.
SIMULATE = "celltwin.runtime.campaign.simulation:simulate_run"
BATCH = "celltwin.runtime.campaign.batch:simulate_batch"
# Runs that are shorter than this go out together [s]; a batch is what a kill can lose.
BATCH_SECONDS = 4.0
MOST_IN_BATCH = 64
# Batches waiting or running, for each worker.
AHEAD = 2
# Weight of the newest answer in the expected duration of a run.
MEMORY = 0.5


@dataclass(frozen=True, kw_only=True)
class CampaignProgress:
    """How far a campaign is.

    Attributes
    ----------
    total, finished, failed : int
        Runs in all, with results, and without.
    finished_before : int
        Runs with results when this start began.
    workers : int
        How many work at the same time.
    elapsed : float
        Time since this start [s of the wall clock].
    remaining_seconds : float or None
        Expected time to the end [s of the wall clock]; None before the first answer.
    """

    total: int
    finished: int
    failed: int
    finished_before: int
    workers: int
    elapsed: float
    remaining_seconds: float | None

    @property
    def remaining(self) -> int:
        """Runs that have neither finished nor failed."""
        return self.total - self.finished - self.failed

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.remaining == 0


class CampaignRun:
    """Work on a campaign until it is done or closed; nothing that has finished is run again.

    Parameters
    ----------
    campaign : Campaign
        What to run.
    folder : Path
        Where results go; what it holds of the same design is kept.
    address : str, optional
        Ray cluster to run on; this machine's cores where absent.
    workers : int, optional
        Most runs at the same time.
    retry_failed : bool
        Whether runs that failed before are run again.
    function : str
        ``"package.module:function"`` that simulates one run.

    Raises
    ------
    SettingsError
        If the folder holds another campaign, or another process works on it.
    RecordingError
        If the folder cannot be written.
    WorkerError
        If there is no such cluster.
    """

    def __init__(
        self,
        campaign: Campaign,
        folder: Path,
        *,
        address: str | None = None,
        workers: int | None = None,
        retry_failed: bool = False,
        function: str = SIMULATE,
    ) -> None:
        self.campaign = campaign
        self.results = ResultFolder(folder, campaign, executor=f"ray {address}" if address else "this machine")
        try:
            if retry_failed:
                self.results.forget_failures()
            self._executor: Executor = open_executor(address, workers)
        except BaseException:
            self.results.close()
            raise
        ended = self.results.finished | self.results.failed
        self._left = deque(run for run in range(campaign.n_runs) if run not in ended)
        self._batches: dict[str, tuple[int, ...]] = {}
        self._function = function
        self._started = time.monotonic()
        self._finished_before = len(self.results.finished)
        self._ended_before = len(ended)
        self._run_seconds: float | None = None
        self._closed = False

    @property
    def progress(self) -> CampaignProgress:
        """How far the campaign is."""
        finished, failed = len(self.results.finished), len(self.results.failed)
        total, elapsed = self.campaign.n_runs, time.monotonic() - self._started
        ended = finished + failed - self._ended_before
        return CampaignProgress(
            total=total,
            finished=finished,
            failed=failed,
            finished_before=self._finished_before,
            workers=self._executor.workers if not self._closed else 0,
            elapsed=elapsed,
            remaining_seconds=elapsed / ended * (total - finished - failed) if ended else None,
        )

    def advance(self, timeout: float) -> CampaignProgress:
        """Send out runs and keep results that have come, waiting for the first up to ``timeout`` [s].

        Raises
        ------
        WorkerError
            If no worker can be had.
        RecordingError
            If results cannot be written; the runs that are finished stay so.
        """
        self._send()
        for outcome in self._executor.take(timeout):
            self._settle(outcome)
        self._send()
        return self.progress

    def close(self) -> None:
        """Stop what runs and release workers and folder; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._executor.close()
        finally:
            self.results.close()

    def _send(self) -> None:
        while self._left and self._executor.pending < AHEAD * self._executor.workers:
            size = self._batch_size()
            self._submit([self._left.popleft() for _ in range(size)])

    def _batch_size(self) -> int:
        if self._run_seconds is None:
            return 1
        fair = -(-len(self._left) // (AHEAD * self._executor.workers))  # the end comes for all workers together
        return max(1, min(fair, MOST_IN_BATCH, int(BATCH_SECONDS / max(self._run_seconds, 1e-6))))

    def _submit(self, runs: list[int]) -> None:
        requests: list[RunRequest] = []
        for run in runs:
            try:
                requests.append(self.campaign.request(run))
            except CelltwinError as error:
                self.results.write_failure(run, error=type(error).__name__, reason=str(error), attempts=0)
        if not requests:
            return
        key = " ".join(str(request.run) for request in requests)
        self._batches[key] = tuple(request.run for request in requests)
        arguments: tuple[Any, ...] = (self._function, tuple(requests))
        if len(requests) > 1:  # if its worker dies, each run is tried alone, to find the one that does it
            self._executor.submit(Task(key=key, function=BATCH, arguments=arguments, retries=0))
        else:
            self._executor.submit(Task(key=key, function=BATCH, arguments=arguments))

    def _settle(self, outcome: TaskOutcome) -> None:
        runs = self._batches.pop(outcome.task.key)
        if outcome.error is None:
            self._keep(outcome, outcome.value)
        elif isinstance(outcome.error, WorkerError) and len(runs) > 1:
            for run in runs:
                self._submit([run])
        else:
            for run in runs:
                self.results.write_failure(
                    run,
                    error=type(outcome.error).__name__,
                    reason=str(outcome.error),
                    attempts=outcome.attempts,
                    worker=outcome.worker,
                )

    def _keep(self, outcome: TaskOutcome, answers: list[RunAnswer]) -> None:
        records = [
            RunRecord(
                run=answer.run,
                figures=answer.result.figures,
                units=answer.result.units,
                history=answer.result.history,
                attempts=outcome.attempts,
                seconds=answer.seconds,
                worker=outcome.worker,
            )
            for answer in answers
            if answer.result is not None
        ]
        if records:
            self.results.write_runs(records)
        for answer in answers:
            if answer.result is None:
                self.results.write_failure(
                    answer.run,
                    error=answer.error,
                    reason=answer.reason,
                    attempts=outcome.attempts,
                    worker=outcome.worker,
                )
        seconds = sum(answer.seconds for answer in answers) / len(answers)
        before = seconds if self._run_seconds is None else self._run_seconds
        self._run_seconds = MEMORY * seconds + (1.0 - MEMORY) * before
