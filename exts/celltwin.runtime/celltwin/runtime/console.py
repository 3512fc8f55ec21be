"""Progress of a run in a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Kind, Level, PackState, cell_values, find_quantity

from .statistics import pack_voltage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from .job import TwinJob

__all__ = ["RunConsole", "say"]

# A terminal is redrawn, and a log gets a line, this often [s of the wall clock].
REDRAW_PERIOD = 0.25
LINE_PERIOD = 10.0


class RunConsole:
    """Show one line of what the twin sees, and at the end where its results lie.

    Parameters
    ----------
    job : TwinJob
        The run.
    console : rich.console.Console, optional
        Where to write; the standard error stream where absent.
    """

    def __init__(self, job: TwinJob, console: Console | None = None) -> None:
        from rich.console import Console

        self._job = job
        self._console = console or Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._shown = float("-inf")

    def start(self) -> None:
        """Say what runs and where the results go."""
        job = self._job
        self._console.print(
            f"[bold]Celltwin[/bold]  {job.spec.title}: {job.spec.n_cells} cells, mode {job.settings.mode}"
        )
        self._console.print(f"  source   {job.source_name}")
        self._console.print(f"  results  {job.folder.path}")
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()

    def update(self) -> None:
        """Redraw if it is time."""
        now = time.monotonic()
        period = REDRAW_PERIOD if self._status else LINE_PERIOD
        if now - self._shown < period:
            return
        self._shown = now
        line = self._line()
        if self._status:
            self._status.update(line)
        else:
            self._console.print(line)

    def stop(self) -> None:
        """Say how the run ended and where to look."""
        if self._status:
            self._status.stop()
            self._status = None
        for line in self._job.closing_lines():
            self._console.print(line)

    def _line(self) -> str:
        job = self._job
        if job.phase == "reporting":
            return "writing the report"
        state = job.twin.state
        if state is None:
            return f"waiting for the first samples ({time.monotonic() - job.begun:.0f} s)"
        parts = [f"{_clock(state.time)}{job.progress_text()}", *_values(job, state)]
        return "  ".join(parts)


def say(line: str) -> None:
    """Write one line to the standard error stream."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(line)


def _values(job: TwinJob, state: PackState) -> list[str]:
    parts = []
    voltage = pack_voltage(state, job.spec)
    if voltage is not None:
        parts.append(f"{voltage:.1f} V")
    current = state.get(Kind.MEASURED, "current", Level.PACK)
    if current is not None and np.isfinite(current.values[0]):
        parts.append(f"{current.values[0]:.1f} A")
    soc = state.get(Kind.ESTIMATED, "soc", Level.PACK)
    if soc is not None and np.isfinite(soc.values[0]):
        parts.append(f"SOC {find_quantity('soc').format(float(soc.values[0]))}")
    temperature, _ = cell_values(state, job.spec, "temperature")
    if np.isfinite(temperature).any():
        hottest = int(np.nanargmax(temperature))
        text = find_quantity("temperature").format(float(temperature[hottest]))
        parts.append(f"hottest {job.spec.element_ids(Level.CELL)[hottest]} {text}")
    if state.alarms:
        parts.append(f"{len(state.alarms)} alarms")
    quarantined = job.twin.parts.ingest.quarantine.total
    if quarantined:
        parts.append(f"{quarantined} quarantined")
    return parts


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{seconds:02d}"
