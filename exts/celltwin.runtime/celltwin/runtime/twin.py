"""One running twin: sense, assimilate, predict, prescribe, decide, act, publish."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from celltwin.core import (
    Advice,
    Alarm,
    CelltwinError,
    Command,
    Mode,
    PackSpec,
    PackState,
    Plant,
    Reading,
    ScenarioPlayer,
    ScenarioProgress,
    TelemetrySource,
)

from .duty import command_of, observe
from .sample_buffer import SampleBuffer
from .slow_tier import SlowTier

if TYPE_CHECKING:
    from celltwin.telemetry import AcceptedSamples, HistoryWriter, Ingest

    from .publisher import Publisher
    from .recalibration import Recalibration
    from .run_folder import RunFolder

__all__ = ["TwinParts", "TwinRuntime"]

_logger = logging.getLogger(__name__)

# The loop gives control back to Kit after this long [s].
STEP_BUDGET = 0.050
# A current that moved less since the last entry is not logged again, such as the taper at constant voltage [1/h].
LOGGED_CHANGE = 0.05


class Assimilates(Protocol):
    """The second step: estimates from measurements."""

    def assimilate(self, state: PackState) -> tuple[Reading, ...]:
        """Return estimated readings."""
        ...


class Reviews(Protocol):
    """The last word on every command."""

    def review(self, command: Command, state: PackState) -> Command:
        """Return a command within the limits."""
        ...


@dataclass(frozen=True, kw_only=True)
class TwinParts:
    """What a twin is made of; the assembly chooses them.

    Attributes
    ----------
    source : TelemetrySource
        Where samples come from; a :class:`Plant` takes commands as well.
    ingest : Ingest
        Checks samples and turns them into readings.
    history : HistoryWriter
        Keeps accepted samples at full rate.
    assimilator : Assimilates
        Estimates.
    check_alarms : callable
        Alarms of a process image.
    observe_cells : callable
        Shows each process image to what predicts.
    prediction, prescription : SlowTier
        Tiers at their own cadence.
    advice_readings : callable
        Recommended readings of an advice.
    decide : callable
        Chooses the command from mode, duty and advice.
    shield : Reviews
        Limits that need no model.
    publisher : Publisher
        Stage and recordings.
    folder : RunFolder
        The run's small files.
    recalibration : Recalibration, optional
        Learns the cells' parameters from telemetry, where the pack asks for it.
    is_loading : callable
        Whether a model is still being loaded in the background: until each slow tier has answered once.
    on_close : tuple of callable
        What else to release at the end.
    """

    source: TelemetrySource
    ingest: Ingest
    history: HistoryWriter
    assimilator: Assimilates
    check_alarms: Callable[[PackState], tuple[Alarm, ...]]
    observe_cells: Callable[[PackState], None]
    prediction: SlowTier[tuple[Reading, ...]]
    prescription: SlowTier[Advice]
    advice_readings: Callable[[Advice], tuple[Reading, ...]]
    decide: Callable[[Mode, Command, Advice | None, PackState], Command]
    shield: Reviews
    publisher: Publisher
    folder: RunFolder
    is_loading: Callable[[], bool]
    recalibration: Recalibration | None = None
    on_close: tuple[Callable[[], None], ...] = field(default=())


class TwinRuntime:
    """Advance a twin whenever the host has time for it; nothing here waits.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    parts : TwinParts
        What the twin is made of.
    duty : ScenarioPlayer or None
        What is asked of a plant; None for a recording.
    mode : Mode
        How far the twin may act.
    speed : float
        Multiple of real time; 0 for as fast as possible.
    step_period : float
        Time between steps [s].
    duration : float
        Longest time to run [s]; 0 for no limit.
    """

    def __init__(
        self,
        spec: PackSpec,
        parts: TwinParts,
        *,
        duty: ScenarioPlayer | None,
        mode: Mode,
        speed: float,
        step_period: float,
        duration: float = 0.0,
    ) -> None:
        self.spec = spec
        self.parts = parts
        self.mode = mode
        self.state: PackState | None = None
        self.advice: Advice | None = None
        self.command: Command | None = None
        self._logged: Command | None = None
        self.duty = duty
        self.progress = ScenarioProgress()
        self.finished = False
        self.failure: CelltwinError | None = None
        self.step_seconds: list[float] = []
        self._approved: Advice | None = None
        self._rejected_time = float("-inf")
        self._predicted: tuple[Reading, ...] = ()
        self._recalibrated = () if parts.recalibration is None else parts.recalibration.first_readings()
        self._ending = False
        self._buffer = SampleBuffer()
        self._speed = speed
        self._period = step_period
        self._duration = duration
        self._clock = 0.0
        self._next_step = 0
        self._closed = False
        self._alarmed: set[tuple[str, str, str]] = set()
        self.alarm_log: list[Alarm] = []
        self.watchers: list[Callable[[AcceptedSamples], None]] = []

    # What panels may do.

    def set_mode(self, mode: Mode) -> None:
        """Change how far the twin may act, from the next step on."""
        if mode is not self.mode:
            self._note("mode", {"from": self.mode.value, "to": mode.value})
        self.mode = mode

    def apply_advice(self) -> None:
        """Let the newest advice act, until it is rejected or another is applied."""
        self._approved = self.advice
        if self.advice is not None:
            self._note("applied", {"advice": self.advice.time})

    def reject_advice(self) -> None:
        """Let no advice act that has been given so far."""
        self._approved = None
        if self.advice is not None:
            self._rejected_time = self.advice.time
            self._note("rejected", {"advice": self.advice.time})

    # What the host does.

    @property
    def clocked(self) -> bool:
        """Whether the twin follows a clock, real or scaled."""
        return self._speed > 0.0

    def advance(self, dt: float) -> list[PackState]:
        """Do the steps that are due and return their process images.

        Parameters
        ----------
        dt : float
            Time since the last call [s of the wall clock].

        Returns
        -------
        list of PackState
            Empty where nothing was due; the call returns within about 50 ms of work.
        """
        if self.finished:
            return []
        if self._ending:
            return self._settle()
        self._clock += dt * self._speed
        deadline = time.perf_counter() + STEP_BUDGET
        states: list[PackState] = []
        try:
            while not (self.finished or self._ending) and self._step_is_due():
                states.append(self._step())
                if time.perf_counter() > deadline:
                    break
        except CelltwinError as error:
            self.failure = error
            self.finished = True
        return states

    def close(self) -> None:
        """Release the source, the workers and the recordings; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.finished = True
        for release in (self.parts.source.close, *self.parts.on_close, self.parts.publisher.close):
            try:
                release()
            except CelltwinError as error:
                self.failure = self.failure or error
            except Exception:  # one part must not keep the others from closing
                _logger.exception("closing a part of the twin failed")

    def _step_is_due(self) -> bool:
        now = self._next_step * self._period
        if self._duration and now > self._duration:
            self._end()
            return False
        if self.clocked and now > self._clock:
            return False
        if self._buffer.newest < now:
            self._buffer.add(self.parts.source.read(self._clock if self.clocked else np.inf))
        if self._buffer.newest < now and not self.parts.source.finished:
            return False
        if not self._buffer and self.parts.source.finished:
            self._end()
            return False
        if self.clocked:
            return True
        slow = (self.parts.prediction, self.parts.prescription, self.parts.recalibration)
        return all(tier is None or tier.may_pass(now) for tier in slow)

    @property
    def settling(self) -> bool:
        """Whether all steps are done and only the recalibration is still under way."""
        return self._ending and not self.finished

    def _end(self) -> None:
        """Let the run end: at once, or when the recalibration has learned from its last window."""
        self._ending = self.parts.recalibration is not None and self.state is not None
        self.finished = not self._ending

    def _settle(self) -> list[PackState]:
        """Return a last process image where the recalibration has brought anything, empty while it is under way."""
        recalibration, last = self.parts.recalibration, self.state
        assert recalibration is not None
        assert last is not None
        try:
            found = recalibration.take(last.time, clocked=True)
            self._recalibrated = self._recalibrated if found is None else found
            if recalibration.settle(last):
                return []
            self.finished = True
            if all(last.readings.get(reading.key) is reading for reading in self._recalibrated):
                return []
            time, step = self._next_step * self._period, self._next_step
            state = PackState(time=time, step=step, readings=last.readings, alarms=last.alarms)
            self.state = state.updated(*self._recalibrated)
            self.parts.publisher.publish(self.state)
            self._next_step += 1
        except CelltwinError as error:
            self.failure = error
            self.finished = True
            return []
        return [self.state]

    def _step(self) -> PackState:
        begun = time.perf_counter()
        parts, now = self.parts, self._next_step * self._period
        # Sense.
        accepted = parts.ingest.accept(self._buffer.take(now))
        parts.history.append(accepted)
        for watch in self.watchers:
            watch(accepted)
        if parts.recalibration is not None:
            parts.recalibration.watch(accepted)
        state = PackState(time=now, step=self._next_step).updated(*parts.ingest.readings(now))
        # Assimilate.
        state = state.updated(*parts.assimilator.assimilate(state))
        # Predict and prescribe: the newest answers, and new questions.
        parts.observe_cells(state)
        predicted = parts.prediction.take(now, clocked=self.clocked)
        self._predicted = self._predicted if predicted is None else predicted
        state = state.updated(*self._predicted)
        if parts.recalibration is not None:
            found = parts.recalibration.take(now, clocked=self.clocked)
            self._recalibrated = self._recalibrated if found is None else found
            state = state.updated(*self._recalibrated)
        advice = parts.prescription.take(now, clocked=self.clocked)
        if advice is not None:
            self._accept_advice(advice)
        if self.advice is not None:
            state = state.updated(*parts.advice_readings(self.advice))
        alarms = parts.check_alarms(state)
        state = PackState(time=now, step=state.step, readings=state.readings, alarms=alarms)
        self._log_alarms(alarms)
        parts.prediction.offer(state)
        parts.prescription.offer(state)
        if parts.recalibration is not None:
            parts.recalibration.offer(state)
        # Decide and act.
        self._act(state)
        # Publish.
        parts.publisher.publish(state)
        self.state = state
        self._next_step += 1
        self.step_seconds.append(time.perf_counter() - begun)
        return state

    def _act(self, state: PackState) -> None:
        if self.duty is None or not isinstance(self.parts.source, Plant):
            return
        before = self.progress.step
        self.progress = self.duty.advance(self.progress, observe(state))
        if self.duty.finished(self.progress):
            self._end()
        asked = command_of(self.duty, self.progress, state)
        approved = self._approved if self.mode is Mode.ADVISE else self.advice
        mode = Mode.AUTONOMOUS if self.mode is Mode.ADVISE and approved is not None else self.mode
        if approved is not None and approved.time <= self._rejected_time:
            mode, approved = Mode.ADVISE, None
        chosen = self.parts.decide(mode, asked, approved, state)
        reviewed = self.parts.shield.review(chosen, state)
        if before != self.progress.step or self._differs(reviewed):
            self.parts.folder.append("commands.jsonl", _command_entry(reviewed, asked, self.mode))
            self._logged = reviewed
        self.command = reviewed
        self.parts.source.command(reviewed)

    def _differs(self, command: Command) -> bool:
        last = self._logged
        return (
            last is None
            or abs(last.pack_current - command.pack_current) > LOGGED_CHANGE * self.spec.capacity
            or not np.allclose(last.coolant_flow, command.coolant_flow, atol=1e-5)
            or not np.allclose(last.balancing_current, command.balancing_current, atol=1e-5)
            or bool(last.interventions) != bool(command.interventions)
        )

    def _accept_advice(self, advice: Advice) -> None:
        self.advice = advice
        self.parts.folder.append(
            "advice.jsonl",
            {
                "time_s": advice.time,
                "charge_current_A": [round(float(value), 3) for value in advice.charge_current],
                "coolant_flow_kg_per_s": [round(float(value), 4) for value in advice.coolant_flow],
                "balancing_current_A": [round(float(value), 4) for value in advice.balancing_current],
                "reasons": list(advice.reasons),
                "expected": list(advice.expected),
                "provenance": advice.provenance,
                "candidates": [_plain(candidate) for candidate in advice.candidates],
            },
        )

    def _log_alarms(self, alarms: tuple[Alarm, ...]) -> None:
        present = {(alarm.quantity, alarm.element_id, alarm.severity.name) for alarm in alarms}
        for alarm in alarms:
            key = (alarm.quantity, alarm.element_id, alarm.severity.name)
            if key not in self._alarmed:
                self.alarm_log.append(alarm)
        self._alarmed = present

    def _note(self, event: str, content: dict[str, object]) -> None:
        at = self.state.time if self.state is not None else 0.0
        self.parts.folder.append("commands.jsonl", {"time_s": at, "event": event, **content})


def _command_entry(command: Command, asked: Command, mode: Mode) -> dict[str, object]:
    return {
        "time_s": command.time,
        "event": "command",
        "mode": mode.value,
        "origin": command.origin,
        "duty_current_A": round(asked.pack_current, 4),
        "pack_current_A": round(command.pack_current, 4),
        "coolant_flow_kg_per_s": [round(float(value), 4) for value in command.coolant_flow],
        "balancing_groups": int(np.count_nonzero(command.balancing_current)),
        "interventions": list(command.interventions),
    }


def _plain(candidate: dict[str, object]) -> dict[str, object]:
    def plain(value: object) -> object:
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {key: plain(value) for key, value in candidate.items()}
