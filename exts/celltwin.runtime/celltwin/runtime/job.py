"""A run from settings to report, driven by whatever loop the host has."""

from __future__ import annotations

import gc
import logging
import math
import platform
import time
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celltwin.core import BackgroundWorker, CelltwinError, PackState
from celltwin.prognosis import HISTORY_FILE
from celltwin.stage import read_pack

from .active import set_current_twin
from .assembly import assemble, load_spec
from .run_folder import TIER_FILES, RunFolder
from .settings import TwinSettings, default_run_folder, resolve
from .statistics import RunStatistics
from .versions import library_versions

if TYPE_CHECKING:
    from celltwin.stage import Stage

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "TwinJob"]

_logger = logging.getLogger(__name__)

TRUTH_FILE = "truth.json"
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class TwinJob:
    """Run a twin, write its summary, then its report.

    Parameters
    ----------
    settings : TwinSettings
        What to run.
    host : str
        What it runs in, such as ``"Kit 110.4.0"`` or ``"Python"``.
    stage : Stage, optional
        Stage to write to, such as the editor's.

    Raises
    ------
    CelltwinError
        If the pack, the recording, the duty or the output folder is wrong.
    """

    def __init__(self, settings: TwinSettings, *, host: str, stage: Stage | None = None) -> None:
        self.begun = time.monotonic()
        self.settings = settings
        self.host = host
        self.spec = load_spec(settings.pack) if stage is None else read_pack(stage)
        self.folder = RunFolder(Path(settings.out) if settings.out else default_run_folder(self.spec.name))
        self.twin = assemble(settings, self.spec, self.folder, stage=stage)
        self.statistics = RunStatistics(self.spec)
        self.twin.watchers.append(self.statistics.watch)
        self.phase = "running"
        self.exit_code = 0
        self.first_step_seconds: float | None = None
        self.first_step_at: float | None = None  # [s since 1970]
        self.longest_gap = {"loading": 0.0, "running": 0.0}  # between two updates of the host [s]
        self._updated: float | None = None
        self._ended = ""
        self._report: Future[Any] | None = None
        self._reporter: BackgroundWorker | None = None
        set_current_twin(self.twin)
        # What is built lives as long as the run: the collector need not walk it again in the middle of a step.
        gc.freeze()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.phase == "done"

    @property
    def source_name(self) -> str:
        """What delivers the samples."""
        if self.settings.telemetry:
            return f"recording {self.settings.telemetry}"
        duty = resolve(self.settings.duty).stem
        return f"simulated plant, {self.settings.fidelity}, duty {duty}, seed {self.settings.seed}"

    def prepare(self) -> None:
        """Do the first step before the host's loop runs: creating every attribute takes longer than a frame."""
        self.update(0.0)
        self._updated = None

    def update(self, dt: float) -> list[PackState]:
        """Do what is due and return new process images; ``dt`` is wall time since the last call [s]."""
        if self.phase == "reporting":
            self._finish_report()
            return []
        if self.done:
            return []
        self._measure_gap()
        states = self.twin.advance(dt)
        for state in states:
            if self.first_step_seconds is None:
                self.first_step_seconds = time.monotonic() - self.begun
                self.first_step_at = time.time()
            self.statistics.observe(state)
        if self.twin.finished:
            self._end("failed" if self.twin.failure else "finished")
        return states

    def interrupt(self) -> None:
        """End the run now, keeping all that was recorded."""
        if self.phase == "running":
            self.exit_code = EXIT_INTERRUPTED
            self._end("interrupted")
        self.close()

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        if self.phase == "running":
            self._end("interrupted")
        if self._reporter is not None:
            self._reporter.close()
            self._reporter = None
        self.phase = "done"
        set_current_twin(None)

    def progress_text(self) -> str:
        """Return how far the run is, for people."""
        twin = self.twin
        if twin.settling:
            return "  learning from the last window"
        step = twin.duty.current_step(twin.progress) if twin.duty is not None else None
        if step is not None:
            return f"  {step.title}"
        duration = getattr(twin.parts.source, "duration", None)
        if duration and twin.state is not None:
            return f" of {duration / 60.0:.0f} min"
        return ""

    def closing_lines(self) -> list[str]:
        """Return what to tell the user at the end."""
        lines = []
        twin = self.twin
        if twin.failure is not None:
            lines.append(f"[red]stopped[/red]  {twin.failure}")
        elif self._ended == "interrupted":
            lines.append("interrupted; everything recorded so far is readable")
        simulated = twin.state.time if twin.state is not None else 0.0
        lines.append(f"  {simulated:.0f} s of the pack in {self.wall_seconds:.1f} s, {self.statistics.steps} steps")
        quarantine = twin.parts.ingest.quarantine
        if quarantine.total:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(quarantine.counts.items()))
            lines.append(f"  quarantined {quarantine.total} values: {reasons}")
        if twin.parts.recalibration is not None:
            lines += twin.parts.recalibration.closing_lines()
        lines.append(f"  summary  {self.folder.summary}")
        if self.folder.report.exists():
            lines.append(f"  report   {self.folder.report}")
        elif self._ended == "interrupted":
            lines.append(f"  report   celltwin report {self.folder.path}")
        return lines

    @property
    def wall_seconds(self) -> float:
        """Time since the start [s of the wall clock], or what the run took."""
        return self._wall if self._ended else time.monotonic() - self.begun

    _wall = 0.0

    def _measure_gap(self) -> None:
        now, before = time.monotonic(), self._updated
        self._updated = now
        if before is not None:
            phase = "loading" if self.twin.parts.is_loading() else "running"
            self.longest_gap[phase] = max(self.longest_gap[phase], now - before)

    def _end(self, how: str) -> None:
        self._wall = time.monotonic() - self.begun
        self._ended = how
        self.phase = "done"
        self.twin.close()
        if self.twin.failure is not None:
            self.exit_code = EXIT_FAILED
        try:
            self._write_truth()
            self.folder.write_json("summary.json", self._summary())
        except CelltwinError as error:
            self.twin.failure = self.twin.failure or error
            self.exit_code = EXIT_FAILED
        if self.settings.report and how != "interrupted" and self.statistics.steps and self.folder.summary.exists():
            self.phase = "reporting"
            self._reporter = BackgroundWorker("celltwin.runtime.report:ReportWriter", self.folder.path)
            self._report = self._reporter.submit("write")
        else:
            self.close()

    def _write_truth(self) -> None:
        """Keep what only a simulated plant knows, for the report to judge predictions by."""
        truth = getattr(self.twin.parts.source, "truth", None)
        if truth is not None:
            soh = [round(float(value), 5) for value in truth.soh]
            self.folder.write_json(TRUTH_FILE, {"provenance": truth.provenance, "soh": soh})

    def _finish_report(self) -> None:
        if self._report is None or not self._report.done():
            return
        try:
            self._report.result()
        except Exception as error:  # the run is safe on disk; its report can be made again
            _logger.error("the report failed: %s; try: celltwin report %s", error, self.folder.path)
            self.exit_code = self.exit_code or EXIT_FAILED
        self.close()

    def _summary(self) -> dict[str, Any]:
        twin, parts = self.twin, self.twin.parts
        simulated = twin.state.time if twin.state is not None else 0.0
        return {
            "celltwin": library_versions(("celltwin",))["celltwin"],
            "host": self.host,
            "python": platform.python_version(),
            "libraries": library_versions(
                ("usd-core", "warp-lang", "pybamm", "onnxruntime", "nvidia-physicsnemo", "numpy")
            ),
            "ended": self._ended,
            "failure": str(twin.failure) if twin.failure else None,
            "pack": {
                "name": self.spec.name,
                "title": self.spec.title,
                "file": self.settings.pack,
                "cells": self.spec.n_cells,
                "capacity_Ah": self.spec.capacity,
                "energy_Wh": self.spec.energy,
            },
            "source": self.source_name,
            "simulated_source": not self.settings.telemetry,
            "mode": twin.mode.value,
            "seed": self.settings.seed,
            "simulated_s": simulated,
            "wall_s": round(self._wall, 3),
            "first_step_s": self.first_step_seconds,
            "first_step_at_s": self.first_step_at,
            "longest_update_s": {phase: round(gap, 4) for phase, gap in self.longest_gap.items()},
            "step_ms": _quantiles(twin.step_seconds),
            "figures": self.statistics.entry(),
            "models": _models(twin),
            "tiers": {tier: str(name) for tier, name in TIER_FILES.items()} | {"recording": self.folder.recording.name},
            "quarantine": {
                "total": parts.ingest.quarantine.total,
                "counts": dict(parts.ingest.quarantine.counts),
                "rows": [_finite(asdict(row)) for row in parts.ingest.quarantine.rows()],
            },
            "alarms": [
                {
                    "time_s": alarm.time,
                    "severity": alarm.severity.name.lower(),
                    "quantity": alarm.quantity,
                    "element": alarm.element_id,
                    "value": round(alarm.value, 4),
                    "limit": round(alarm.limit, 4),
                    "message": alarm.message,
                }
                for alarm in twin.alarm_log
            ],
            "slow_tiers": {
                tier.name: {"answers": tier.answers, "problems": tier.problems}
                for tier in (parts.prediction, parts.prescription, getattr(parts.recalibration, "tier", None))
                if tier is not None
            },
            "recalibration": None if parts.recalibration is None else parts.recalibration.entry(),
            "past": {
                "from": self.settings.past or None,
                "used_like": self.settings.used_like or None,
                "file": HISTORY_FILE if (self.folder.path / HISTORY_FILE).exists() else None,
            },
            "truth": TRUTH_FILE if (self.folder.path / TRUTH_FILE).exists() else None,
        }


def _models(twin: Any) -> dict[str, str]:
    found = {}
    if twin.state is not None:
        for (kind, quantity, level), reading in twin.state.readings.items():
            found[f"{kind.value} {quantity} ({level.value})"] = reading.provenance
    return found


def _finite(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in entry.items()
    }


def _quantiles(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        name: round(1000.0 * ordered[round(share * last)], 3)
        for name, share in (("median", 0.5), ("p99", 0.99), ("longest", 1.0))
    }
