"""Simulate a scenario on the pack engine, window by window."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    ZERO_CELSIUS,
    Array,
    DriveCycleStep,
    InternalShort,
    PackObservation,
    PackSpec,
    PlantError,
    RegulationStep,
    RestStep,
    Scenario,
    ScenarioPlayer,
    SettingsError,
)

from .scenario_conditions import ScenarioConditions
from .scenario_cycles import current_block, jump_cycles
from .scenario_engine import build_engine
from .scenario_events import ABUSE_REMEDY, ScenarioEvents
from .scenario_further import FurtherQuantities
from .scenario_result import ScenarioSample, SimulationFigures, SimulationResult

if TYPE_CHECKING:
    from .engine import EngineHistory, EngineOptions, PackEngine

__all__ = ["ScenarioRun", "SimulationProgress", "simulate_scenario"]

# A growing short is followed in as many windows as this at least.
RAMP_WINDOWS = 20
# A pack that may run away is looked at this often while a cell is hotter than that [s, K].
RUNAWAY_WINDOW, RUNAWAY_WATCH = 5.0, 373.15
# The terminals are sampled this often at least, for the charge and energy of a current that falls at a limit [s].
TERMINAL_PERIOD = 60.0
_INSTANT = 1e-6
JOULES_PER_WATT_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class SimulationProgress:
    """How far a simulation is.

    Attributes
    ----------
    time : float
        Time simulated [s].
    share : float
        Share of the scenario's longest duration that has passed [-]; steps that end early take their rest with them.
    step : str
        Name of the running step.
    sample : ScenarioSample
        The newest.
    """

    time: float
    share: float
    step: str
    sample: ScenarioSample


class ScenarioRun:
    """A scenario on an engine: advance it sample by sample.

    Parameters
    ----------
    engine : PackEngine
        Engine of one pack at the start of the run, as :func:`build_engine` makes it.
    player : ScenarioPlayer
        The scenario.
    sample_period : float
        Longest time between two samples [s].
    """

    def __init__(self, engine: PackEngine, player: ScenarioPlayer, *, sample_period: float = 10.0) -> None:
        if not sample_period >= engine.options.step:
            raise SettingsError(
                f"sample_period = {sample_period:g} s is shorter than the engine's step of {engine.options.step:g} s",
                remedy="Give a longer period, or a shorter step",
            )
        self.engine, self.player = engine, player
        self.events = ScenarioEvents(player)
        self.figures = SimulationFigures(player.spec)
        self._period = sample_period
        self._conditions = ScenarioConditions(engine, player)
        self._further = FurtherQuantities(engine)
        soc = float(engine.read_cells("soc").mean())
        self.seen = PackObservation(time=engine.time, soc=soc)
        self.progress = player.start(soc)
        self.figures.begin(engine.time)
        temperature = engine.read_cells("temperature")
        self._hottest = float(temperature.max())
        self.start_temperature = temperature  # heat is counted from here [K]

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.player.finished(self.progress)

    @property
    def share(self) -> float:
        """Share of the scenario's longest duration that is behind [-]."""
        done = sum(step.duration for step in self.player.steps[: self.progress.step])
        within = self.engine.time - self.progress.started
        return min((done + within) / self.player.scenario.longest, 1.0)

    def advance(self) -> ScenarioSample:
        """Simulate up to the next sample.

        Raises
        ------
        PlantError
            If a cell leaves what its model can describe; the message names cell, quantity and limit.
        """
        engine, player = self.engine, self.player
        begin = engine.time
        self.events.note_step(self.progress, begin)
        length = self._window()
        step = engine.options.step
        count = max(1, int(np.ceil(length / step - 1e-9)))
        middles = np.minimum(begin + step * (np.arange(count) + 0.5), begin + length)
        demand = player.demand(self.progress, self.seen, middles)
        self._conditions.apply(begin + 0.5 * length, demand)
        self.events.note_faults(begin + _INSTANT)
        self.events.note_demand(demand, self.progress, begin)
        history = engine.advance(self._drive(demand.kind, demand.values), length, sample_period=self._resolution())
        sample = self._sample(history)
        self.seen = _observe(sample)
        limited = np.flatnonzero(history.limited[:, 0] > 0)
        if limited.size:
            first = int(limited[0])
            self.events.note_held(
                int(history.limited[first, 0]), _asked(demand.kind, demand.values, sample), self.progress,
                float(history.time[first]),
            )  # fmt: skip
        self.events.note_limits(sample)
        if engine.options.abuse is not None:
            self._note_runaway(history)
        self.figures.observe(sample)
        self._hottest = float(sample.cell_temperature.max())
        self.progress = player.advance(self.progress, self.seen)
        return sample

    def settle(self) -> None:
        """Set the engine to what holds now, without simulating."""
        now = self.engine.time
        self._conditions.apply(now, self.player.demand(self.progress, self.seen, np.array([now])))

    def forget_settings(self) -> None:
        """Set the engine anew before the next sample, after somebody else has set or restored it."""
        self._conditions.forget()

    def close(self) -> None:
        """Log what has happened by the end."""
        self.events.note_faults(self.engine.time)
        if self.finished:
            self.events.note_step(self.progress, self.engine.time)

    def _window(self) -> float:
        """Return the time to the next sample [s]: no later than a change of what is asked or broken."""
        now = self.engine.time
        # The end of a step or a fault is met exactly; samples lie on whole periods otherwise.
        end = min(
            self.player.next_change(self.progress), (np.floor(now / self._period + _INSTANT) + 1.0) * self._period
        )
        if self.engine.options.abuse is not None and self._hottest > RUNAWAY_WATCH:
            end = min(end, now + RUNAWAY_WINDOW)
        for fault in self.player.active_faults(now + _INSTANT):
            if isinstance(fault, InternalShort) and now < fault.at + fault.ramp:
                end = min(end, now + max(fault.ramp / RAMP_WINDOWS, self.engine.options.step))
        return round(float(max(end - now, _INSTANT)), 6)

    def _resolution(self) -> float | None:
        """Return how finely the terminals are sampled within a window: each step where the profile moves."""
        step = self.player.current_step(self.progress)
        if isinstance(step, DriveCycleStep | RegulationStep) or self.engine.options.abuse is not None:
            return self.engine.options.step
        return None if isinstance(step, RestStep) else max(TERMINAL_PERIOD, self.engine.options.step)

    def _note_runaway(self, history: EngineHistory) -> None:
        """Log cells whose reactions warm them by 1 K/s, and open them if that is what the scenario says."""
        from .engine.runaway_oven import ONSET_RATE

        warming = history.extra["abuse_heat"] / self.engine.network.heat_capacity
        fast = warming >= ONSET_RATE
        for cell in np.flatnonzero(fast.any(axis=0)).tolist():
            first = int(np.argmax(fast[:, cell]))
            celsius = history.cell_temperature[first, cell] - ZERO_CELSIUS
            if self.events.note_runaway(
                cell,
                float(history.time[first]),
                f"thermal runaway: reactions warm the cell by {ONSET_RATE:g} K/s at {celsius:.0f} °C",
            ):
                self.figures.count_runaway(float(history.time[first]))
            if self.player.scenario.physics.open_on_runaway:
                self._conditions.lost[cell] = True
        vented = history.extra["abuse_vent"] > 0.0
        for cell in np.flatnonzero(vented.any(axis=0)).tolist():
            self.events.note_runaway(cell, float(history.time[int(np.argmax(vented[:, cell]))]), "the vent opens")

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Cells that have lost their connection on the way, of shape (n_cells,)."""
        return self._conditions.lost

    def balance(self) -> dict[str, float]:
        """Return where the energy of the pack went since its start [W.h], and what is missing in its heat [-]."""
        found = {name: float(values.sum()) for name, values in vars(self.engine.balance()).items()}
        rise = self.engine.read_cells("temperature") - self.start_temperature
        stored = float((self.engine.network.heat_capacity * rise).sum())
        balance = {f"{name}_Wh": value / JOULES_PER_WATT_HOUR for name, value in found.items() if name != "conducted"}
        balance["stored_as_heat_Wh"] = stored / JOULES_PER_WATT_HOUR
        turned = max(abs(found["generated"]), abs(found["to_coolant"]), abs(found["to_ambient"]), 1.0)
        missing = found["generated"] - found["to_coolant"] - found["to_ambient"] - stored
        if self.engine.options.abuse is None:  # what leaves through vents is not in these sums
            balance["missing_heat"] = missing / turned
        return balance

    def _drive(self, kind: str, values: Array) -> Any:
        from .engine import Drive, DriveKind

        cell = self.player.spec.cell
        return Drive(
            kind=DriveKind(kind),
            values=values,
            lowest_voltage=cell.lowest_voltage,
            highest_voltage=cell.highest_voltage,
        )

    def _sample(self, history: EngineHistory) -> ScenarioSample:
        spec, last = self.player.spec, -1
        around = self.player.surroundings(float(history.time[last]))
        channels = self._conditions.module_channel
        coolant = np.full(spec.n_modules, around.inlet_temperature)
        flow = np.zeros(spec.n_modules)
        if channels.size:
            coolant = history.coolant_temperature[last][channels]
            flow = self._conditions.channel_flow(around.coolant_flow * around.flow_share)[channels]
        return ScenarioSample(
            time=float(history.time[last]),
            step=self.progress.step,
            terminal_time=history.time,
            terminal_current=history.pack_current[:, 0],
            terminal_voltage=history.pack_voltage[:, 0],
            group_voltage=history.group_voltage[last],
            balancing_current=np.zeros(spec.n_groups),
            cell_current=history.cell_current[last],
            cell_voltage=history.cell_voltage[last],
            cell_temperature=history.cell_temperature[last],
            cell_soc=history.cell_soc[last],
            coolant_temperature=coolant,
            coolant_flow=flow,
            ambient_temperature=around.ambient_temperature,
            extra=self._further.read({name: values[last] for name, values in history.extra.items()}),
        )


def simulate_scenario(
    spec: PackSpec,
    scenario: Scenario,
    *,
    seed: int | None = None,
    fidelity: str = "SPMe",
    options: EngineOptions | None = None,
    device: str | None = None,
    sample_period: float = 10.0,
    record: Callable[[ScenarioSample], None] | None = None,
    progress: Callable[[SimulationProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    begin: Callable[[ScenarioRun], None] | None = None,
    keep: Callable[[ScenarioRun], None] | None = None,
) -> SimulationResult:
    """Simulate a scenario on the pack engine.

    Group voltages are kept within the cell's limits, as a power converter does: a charge becomes one at constant
    voltage, a discharge ends or is held back. A cell that leaves what its model can describe ends the run; what was
    simulated until then is kept, and the failure names cell, quantity and limit.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    scenario : Scenario
        The scenario.
    seed : int, optional
        Seed of everything random; the scenario's own where absent.
    fidelity : {"SPMe", "DFN", "ECM"}
        Cell model.
    options : EngineOptions, optional
        Step, resolution, and models of ageing, abuse and mechanics.
    device : str, optional
        Warp's name of the device.
    sample_period : float
        Time between samples of the cells [s].
    record : callable, optional
        Takes every sample; the result then keeps none, so that a run of days needs no more memory than one of minutes.
    progress : callable, optional
        Told after every sample how far the run is.
    cancelled : callable, optional
        Asked after every sample whether to stop.
    begin : callable, optional
        Told of the run before its first sample, such as to restore a checkpoint.
    keep : callable, optional
        Told of the run after every sample, such as to save a checkpoint.

    Returns
    -------
    SimulationResult

    Raises
    ------
    CelltwinError
        If scenario, pack and options do not fit.
    """
    from .calibration.cell_population_distribution import pack_distribution

    begun = clock.monotonic()
    scenario = scenario if seed is None else replace(scenario, seed=seed)
    player = ScenarioPlayer(scenario, spec)
    engine = build_engine(player, fidelity=fidelity, options=options, device=device)
    distribution = pack_distribution(spec)
    run = ScenarioRun(engine, player, sample_period=sample_period)
    if begin is not None:
        begin(run)
    start = engine.time
    samples: list[ScenarioSample] = []
    ended, failure = "finished", ""
    stopped = False

    def take(sample: ScenarioSample) -> bool:
        nonlocal stopped
        (record or samples.append)(sample)
        if progress is not None:
            step = player.steps[sample.step].title
            progress(SimulationProgress(time=sample.time, share=run.share, step=step, sample=sample))
        stopped = stopped or (cancelled is not None and cancelled())
        return stopped

    def save() -> None:
        if keep is not None:
            keep(run)

    while not run.finished:
        try:
            if block := current_block(run):
                jump_cycles(run, block, take, save)
            else:
                sample = run.advance()
                take(sample)
                save()
        except PlantError as error:
            ended, failure = "failed", _reason(error, run)
            run.events.add(engine.time, "failure", spec.name, error.message)
            break
        if stopped and not run.finished:
            ended = "cancelled"
            break
    run.close()
    return SimulationResult(
        spec=spec,
        scenario_name=scenario.name,
        scenario_hash=scenario.hash,
        seed=scenario.seed,
        provenance=f"pack engine, {fidelity} {engine.model.name}@{engine.model.hash}, seed {scenario.seed}, "
        f"{engine.device}" + (f", cells drawn from {distribution.cell}@{distribution.hash}" if distribution else ""),
        ended=ended,
        failure=failure,
        start=start,
        time=engine.time,
        wall_seconds=clock.monotonic() - begun,
        events=run.events.log,
        figures=run.figures,
        balance=run.balance(),
        samples=tuple(samples),
    )


def _observe(sample: ScenarioSample) -> PackObservation:
    return PackObservation(
        time=sample.time,
        current=sample.current,
        lowest_voltage=float(sample.group_voltage.min()),
        highest_voltage=float(sample.group_voltage.max()),
        soc=float(sample.cell_soc.mean()),
    )


def _reason(error: PlantError, run: ScenarioRun) -> str:
    """Return why a run failed, and the remedy that a scenario has."""
    if error.message.startswith("temperature") and run.engine.options.abuse is None:
        return f"{error.message}. No thermal runaway is simulated: {ABUSE_REMEDY}, so that a cell that burns lets go"
    return str(error)


def _asked(kind: str, values: Array, sample: ScenarioSample) -> float:
    """Return a number with the sign of the current that is asked for."""
    return sample.current if kind == "voltage" else float(values.mean())
