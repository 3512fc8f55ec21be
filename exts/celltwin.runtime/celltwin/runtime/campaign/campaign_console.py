"""Progress of a campaign in a terminal, or line by line in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .campaign_run import CampaignProgress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

__all__ = ["CampaignConsole"]

LINE_PERIOD = 10.0  # of a log [s of the wall clock]


class CampaignConsole:
    """Show how many runs are done, failed and left, and when the last will be.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to write; the standard error stream where absent.
    """

    def __init__(self, console: Console | None = None) -> None:
        # The last two are for later: Kit's loop should not wait for their import when it runs.
        import rich.progress
        import rich.table  # noqa: F401
        from rich.console import Console

        self._console = console or Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._line_due = 0.0
        self._started = False

    def start(self, lines: list[str]) -> None:
        """Say what runs."""
        from rich.progress import BarColumn, Progress, TextColumn

        self._started = True
        for line in lines:
            self._console.print(line)
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
                TextColumn("{task.fields[line]}"),
                console=self._console,
            )
            self._task = self._bar.add_task("runs", total=None, line="starting workers")
            self._bar.start()

    def update(self, progress: CampaignProgress) -> None:
        """Redraw, or write a line where it is time."""
        if self._bar is not None and self._task is not None:
            ended = progress.finished + progress.failed
            self._bar.update(self._task, total=progress.total, completed=ended, line=_line(progress))
        elif (now := time.monotonic()) >= self._line_due:
            self._line_due = now + LINE_PERIOD
            self._console.print(_line(progress))

    def follow(self, opening: list[str], progress: CampaignProgress | None) -> None:
        """Show what a campaign in another process has told so far."""
        if opening and not self._started:
            self.start(opening)
        if progress is not None:
            self.update(progress)

    def stop(self, lines: list[RenderableType]) -> None:
        """Say how it ended; a second call shows its lines only."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        for line in lines:
            self._console.print(line)


def _line(progress: CampaignProgress) -> str:
    parts = [f"{progress.finished} of {progress.total} runs done"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    parts.append(f"{progress.remaining} left")
    if progress.remaining_seconds is not None and progress.remaining:
        parts.append(f"about {_duration(progress.remaining_seconds)} to go")
    parts.append(f"{progress.workers} workers")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"
