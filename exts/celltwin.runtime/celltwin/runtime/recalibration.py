"""The twin's recalibration: windows of its telemetry go to a worker, factors of the groups come back."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import (
    BackgroundWorker,
    Channel,
    Kind,
    Level,
    ModelError,
    PackSpec,
    PackState,
    Quality,
    Reading,
    SettingsError,
)
from celltwin.physics.calibration.online_recalibration import RecalibrationResult
from celltwin.physics.calibration.online_recalibration_collector import WindowCollector
from celltwin.physics.calibration.online_recalibration_state import (
    COORDINATES,
    RecalibrationOptions,
    RecalibrationState,
)
from celltwin.physics.calibration.online_recalibration_window import TelemetryWindow, assess_window

from .slow_tier import SlowTier

if TYPE_CHECKING:
    from celltwin.telemetry import AcceptedSamples

    from .run_folder import RunFolder

__all__ = ["STATE_FILE", "WINDOWS_FILE", "Recalibration", "load_recalibration"]

_logger = logging.getLogger(__name__)

STATE_FILE, WINDOWS_FILE = "recalibration.json", "recalibration.jsonl"
FACTORY = "celltwin.physics.calibration.online_recalibration:recalibrate_pack"
# A window ends at rest, at the latest after so many intervals: the next one then begins at rest.
LONGEST_INTERVALS = 4.0
# How long a run without a clock may go on before the answer [s], at most half an interval.
PATIENCE = 600.0
# A window narrows a factor that its prior leaves more uncertain than this share of its usual width.
UNDETERMINED = 0.8


class Recalibration:
    """Learn capacity, resistance and diffusivity of the groups while the pack runs; nothing here waits.

    Parameters
    ----------
    spec : PackSpec
        The pack; its ``recalibration`` says how often.
    folder : RunFolder
        Where windows and state are kept.
    channels : sequence of Channel
        What accepted samples come from.
    earlier : RecalibrationState, optional
        What an earlier run has learned.

    Raises
    ------
    SettingsError
        If the pack has no sensors for it.
    """

    def __init__(
        self,
        spec: PackSpec,
        folder: RunFolder,
        channels: Sequence[Channel],
        *,
        earlier: RecalibrationState | None = None,
    ) -> None:
        self._collector = WindowCollector(spec, channels)
        if self._collector.missing:
            raise SettingsError(
                f"pack {spec.name} is to be recalibrated, but maps no {' and no '.join(self._collector.missing)} "
                "of its groups",
                remedy="Map those sensors, or set recalibration.interval = 0",
            )
        self._spec, self._folder = spec, folder
        self._interval = spec.recalibration.interval
        noise = max((item.standard_uncertainty for item in channels if _of_group(item)), default=0.0)
        self._options = RecalibrationOptions(memory=spec.recalibration.memory, seconds=spec.recalibration.seconds)
        if noise > 0.0:
            self._options = replace(self._options, sensor_error=noise)
        self.state = earlier
        self._warm = earlier is not None
        self._kept = np.full(spec.n_groups, np.nan)  # when each group's values were learned [s]
        self._trusted = np.zeros(spec.n_groups, dtype=bool)
        if earlier is not None:
            self._trusted = np.asarray(earlier.windows) > 0
            self._kept[self._trusted] = earlier.time
        self._now = 0.0
        self._window: TelemetryWindow | None = None
        self._last: RecalibrationResult | None = None
        self._windows: list[dict[str, Any]] = []
        self._settled = False
        self._worker = self._start()
        patience = min(PATIENCE, 0.5 * self._interval)
        self.tier: SlowTier[RecalibrationResult] = SlowTier(
            "recalibration", self._ask, period=0.0, patience=patience, restart=self._restart
        )

    def watch(self, accepted: AcceptedSamples) -> None:
        """Keep accepted samples at their full rate."""
        for block in accepted.blocks:
            self._collector.add(block.time, block.channels, block.values)

    def may_pass(self, now: float) -> bool:
        """Return whether a run without a clock may step to ``now`` [s] before the answer is there."""
        return self.tier.may_pass(now)

    def take(self, now: float, *, clocked: bool) -> tuple[Reading, ...] | None:
        """Return new estimates of the groups' factors if an answer has come, else None."""
        self._now = now
        result = self.tier.take(now, clocked=clocked)
        if result is not None:
            return self._learn(result)
        if self._window is not None and not self.tier.pending:  # its worker failed, and the tier has said so
            window, self._window = self._window, None
            started = self._worker.started
            cause = started.exception() if started.done() and not started.cancelled() else None
            self._note(window, [f"the recalibration failed: {cause or self.tier.problems[-1]}"])
        return None

    def offer(self, state: PackState) -> None:
        """Send a window to the worker when one is complete and tells something."""
        kept, longest = self._collector.duration, LONGEST_INTERVALS * self._interval
        if kept < self._interval or (not self._collector.resting and kept < longest):
            return
        if self._window is not None and self.tier.working and kept < longest:
            return
        self._submit(state)

    def first_readings(self) -> tuple[Reading, ...]:
        """Return what an earlier run has left, as stale estimates; nothing without one."""
        return () if self.state is None else self._readings()

    def settle(self, state: PackState) -> bool:
        """Return whether an answer, or a last window, is still under way at the end of the run; without waiting.

        Parameters
        ----------
        state : PackState
            The last process image.
        """
        if self._window is None and not self._settled:
            self._settled = True
            if self._collector.duration >= self._options.shortest:
                self._submit(state)
        return self._window is not None

    def close(self) -> None:
        """End the worker and keep the state, with the time that the run has reached; a second call does nothing."""
        self._worker.close()
        if self.state is not None and self.state.windows.any():
            self._save()

    def entry(self) -> dict[str, Any]:
        """Return what the summary says."""
        last, state = self._last, self.state
        weak = {} if last is None else last.weak_groups()
        groups = []
        if state is not None:
            deviations = state.deviations
            for group, name in enumerate(state.group_ids):
                groups.append(
                    {
                        "element": name,
                        **{
                            f"{coordinate}_factor": round(float(np.exp(state.mean[group, at])), 5)
                            for at, coordinate in enumerate(COORDINATES)
                        },
                        **{
                            f"{coordinate}_uncertainty": round(float(deviations[group, at]), 5)
                            for at, coordinate in enumerate(COORDINATES)
                        },
                        "windows": int(state.windows[group]),
                        "reason": "" if last is None else last.reasons[group],
                    }
                )
        return {
            "interval_s": self._interval,
            "warm_started": self._warm,
            "windows": self._windows,
            "weak": [{"element": name, "reason": reason} for name, reason in weak.items()],
            "groups": groups,
            "model": None if state is None else state.model,
            "state": STATE_FILE if (self._folder.path / STATE_FILE).exists() else None,
        }

    def closing_lines(self) -> list[str]:
        """Return what to tell the user at the end."""
        learned = [window for window in self._windows if not window["refused"]]
        lines = [f"  recalibrated from {len(learned)} of {len(self._windows)} windows"]
        if not learned and self._windows:
            lines[0] += f"; the last was refused: {'; '.join(self._windows[-1]['refused'])}"
        weak = {} if self._last is None else self._last.weak_groups()
        return lines + [f"  weak     {name}: {reason}" for name, reason in weak.items()]

    def _submit(self, state: PackState) -> None:
        """Cut a window and send it, or note why not; time at rest alone is dropped unsaid."""
        worked = self._collector.worked
        window = self._collector.cut()
        if window is None or not worked:
            return
        if self._window is not None:
            self._note(window, ["the window before it was still being learned from"])
            return
        options, capacity = self._options, self._spec.cell.capacity
        found = assess_window(window, capacity, shortest=options.shortest, least_swing=options.least_swing)
        if found.refusals:
            self._note(window, list(found.refusals))
            return
        if not self.tier.working:
            self._note(window, ["the recalibration has been given up"])
            return
        self._window = window
        self.tier.offer(state)

    def _learn(self, result: RecalibrationResult) -> tuple[Reading, ...]:
        window, self._window = self._window, None
        assert window is not None
        if result.refused:
            self._note(window, list(result.excitation.refusals))
            return self._readings() if self.state is not None else ()
        self.state, self._last = result.state, result
        self._kept[result.promoted] = float(window.time[-1])
        # Values that a window does not better, and that still describe it, stand as they were.
        described = (result.misfit <= self._options.worst_misfit) & ~result.undescribed
        self._trusted = (result.promoted | self._trusted) & described
        self._note(window, [], result)
        if result.promoted.any():
            self._save()
        return self._readings()

    def _readings(self) -> tuple[Reading, ...]:
        """Return factors of the groups; those that no window was kept of are unknown."""
        state = self.state
        assert state is not None
        known = np.isfinite(self._kept)
        usual = np.asarray(self._options.widths)
        readings = []
        for at, coordinate in enumerate(COORDINATES):
            factor, deviation = state.factors(coordinate), state.deviations[:, at]
            quality = np.where(self._trusted, np.uint8(Quality.GOOD), np.uint8(Quality.SUSPECT))
            quality[deviation > UNDETERMINED * usual[at]] = Quality.SUSPECT
            if self._last is None:
                quality[:] = Quality.STALE
            readings.append(
                Reading(
                    kind=Kind.ESTIMATED,
                    quantity=f"{coordinate}_factor",
                    level=Level.GROUP,
                    values=np.where(known, factor, np.nan),
                    time=np.array(self._kept),
                    quality=np.where(known, quality, np.uint8(Quality.BAD)).astype(np.uint8),
                    standard_uncertainty=np.where(known, factor * deviation, np.nan),
                    provenance=f"recalibration of {state.model}, {int(state.windows.max())} windows",
                )
            )
        return tuple(readings)

    def _note(self, window: TelemetryWindow, refusals: list[str], result: RecalibrationResult | None = None) -> None:
        entry: dict[str, Any] = {
            "from_s": round(float(window.time[0]), 1),
            "to_s": round(float(window.time[-1]), 1),
            "refused": refusals,
        }
        if result is not None:
            entry |= {
                "told": list(result.excitation.told),
                "promoted": int(result.promoted.sum()),
                "groups": int(result.promoted.size),
                "seconds": round(result.seconds, 2),
                "weak": [{"element": name, "reason": why} for name, why in result.weak_groups().items()],
                "not_promoted": {
                    name: reason for name, reason in zip(window.group_ids, result.reasons, strict=True) if reason
                },
            }
        self._windows.append(entry)
        self._folder.append(WINDOWS_FILE, entry)

    def _save(self) -> None:
        assert self.state is not None
        content = json.loads(self.state.to_json()) | {"run_time": self._now}
        self._folder.write_json(STATE_FILE, content)

    def _ask(self, _: PackState) -> Future[RecalibrationResult]:
        return self._worker.submit("update", self._window)

    def _start(self) -> BackgroundWorker:
        return BackgroundWorker(FACTORY, self._spec, options=self._options, state=self.state, device="cpu")

    def _restart(self) -> None:
        self._worker.close()
        self._worker = self._start()


def load_recalibration(path: Path, spec: PackSpec) -> RecalibrationState:
    """Return what an earlier run of a pack has learned, its times counted from the start of the next run.

    Time between the two runs is not known, and taken for none.

    Parameters
    ----------
    path : Path
        Folder of the run, or its state file.
    spec : PackSpec
        The pack.

    Raises
    ------
    SettingsError
        If there is no such state, or it is of another pack.
    """
    file = path / STATE_FILE if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        state = RecalibrationState.from_json(text)
        ended = float(json.loads(text).get("run_time", state.time))
    except OSError as error:
        raise SettingsError(
            f"no recalibration can be read ({error.strerror})",
            where=str(file),
            remedy="Name the folder of a run that kept a window, or leave --recalibrated out",
        ) from None
    except (ModelError, ValueError, TypeError) as error:
        reason = error.message if isinstance(error, ModelError) else repr(error)
        raise SettingsError(reason, where=str(file), remedy="Leave --recalibrated out") from None
    if state.group_ids != spec.element_ids(Level.GROUP):
        raise SettingsError(
            f"the recalibration is of a pack of other groups than {spec.name}",
            where=str(file),
            remedy="Name a run of this pack, or leave --recalibrated out",
        )
    return replace(state, time=min(state.time - ended, 0.0))


def _of_group(channel: Channel) -> bool:
    return (channel.quantity, channel.level) == ("voltage", Level.GROUP)
