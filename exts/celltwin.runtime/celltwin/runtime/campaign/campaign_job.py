"""A campaign beside a loop that must not wait, such as Kit's: it works in a process of its own."""

from __future__ import annotations

import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from celltwin.core import BackgroundWorker, CelltwinError, PlantError

from .campaign_run import CampaignProgress
from .session import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["CampaignJob"]

EXIT_USAGE = 2
# How long the campaign's process works before it tells how far it is [s].
WORK_PERIOD = 0.5
# How long its end is waited for when the host quits [s].
CLOSE_TIMEOUT = 30.0


class CampaignJob:
    """Run a campaign in a process of its own; asking how far it is never waits.

    Parameters
    ----------
    file : str
        Campaign file.
    out, ray, workers
        As for :class:`CampaignSession`.
    function : str, optional
        ``"package.module:function"`` that simulates one run.

    Attributes
    ----------
    done : bool
        Whether nothing is left to do.
    exit_code : int
        0 if all runs finished, 1 if some failed, 2 if the campaign could not run, 130 if it was interrupted.
    longest_update : float
        Longest time between two updates of the host while the campaign ran [s].
    """

    def __init__(self, file: str, *, out: str = "", ray: str = "", workers: int = 0, **options: str) -> None:
        self._worker = BackgroundWorker(
            "celltwin.runtime.campaign.session:CampaignSession", file, out=out, ray=ray, workers=workers, **options
        )
        self._answer: Future[Any] = self._worker.submit("opening_lines")
        self._asked = "opening_lines"
        self._updated: float | None = None
        self.progress: CampaignProgress | None = None
        self.opening: list[str] = []
        self.closing: list[RenderableType] = []
        self.done = False
        self.exit_code = 0
        self.longest_update = 0.0

    def update(self) -> None:
        """Take what has come from the campaign's process and ask it for more; returns at once."""
        if self.done:
            return
        now = time.monotonic()
        if self._updated is not None:
            self.longest_update = max(self.longest_update, now - self._updated)
        self._updated = now
        if self._answer.done():
            self._take()

    def interrupt(self) -> None:
        """Stop the campaign now; what has finished is kept, and the next start goes on from there."""
        if self.done:
            return
        try:
            if self._asked != "close":
                self._worker.started.result(timeout=CLOSE_TIMEOUT)
                self._ask("close")
            self._end(*self._answer.result(timeout=CLOSE_TIMEOUT))
        except Exception as error:  # it is being ended anyway, and its folder is readable at any instant
            self._end(EXIT_INTERRUPTED, [f"the campaign ended without a summary ({type(error).__name__})"])

    def _take(self) -> None:
        try:
            failed = self._worker.started.exception()
            if failed is not None:
                raise failed
            answer = self._answer.result()
        except CelltwinError as error:
            self._end(EXIT_USAGE, [f"[red]error[/red]  {error}"])
        except BrokenProcessPool:
            died = PlantError("the process of the campaign died", remedy="Start it again: it goes on where it ended")
            self._end(EXIT_USAGE, [f"[red]error[/red]  {died}"])
        else:
            self._go_on(answer)

    def _go_on(self, answer: Any) -> None:
        if self._asked == "close":
            self._end(*answer)
            return
        if self._asked == "opening_lines":
            self.opening = answer
        else:
            self.progress = answer
        if self.progress is not None and self.progress.done:
            self._ask("close")
        else:
            self._ask("advance", WORK_PERIOD)

    def _ask(self, method: str, *arguments: object) -> None:
        self._asked = method
        self._answer = self._worker.submit(method, *arguments)

    def _end(self, code: int, lines: list[RenderableType]) -> None:
        self.done = True
        self.exit_code = code
        self.closing = [
            *lines,
            f"  longest time between two updates of the host  {1000.0 * self.longest_update:.0f} ms",
        ]
        self._worker.close()
