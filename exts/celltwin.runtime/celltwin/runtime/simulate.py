"""A simulated scenario as a run folder: samples, events, summary, report."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import (
    Kind,
    Level,
    PackSpec,
    PackState,
    Reading,
    RecordingError,
    Scenario,
    ScenarioPlayer,
    load_scenario,
    save_scenario,
)

from .assembly import load_spec
from .interruption import interruptible
from .run_folder import TIER_FILES, RunFolder
from .settings import default_run_folder, resolve
from .simulate_sensors import SimulatedSensors
from .versions import library_versions

if TYPE_CHECKING:
    from celltwin.physics import ScenarioRun, ScenarioSample, SimulationProgress, SimulationResult
    from celltwin.telemetry import HistoryWriter

__all__ = ["SimulationSettings", "resume_simulation", "run_simulation"]

SCENARIO_FILE, SETTINGS_FILE = "scenario.toml", "simulation.json"
# Where no sample period is given: as many samples as this at most, and none closer than the shortest [s].
MOST_SAMPLES, SHORTEST_PERIOD = 1000, 10.0
# As many of a block's repetitions are about simulated.
SIMULATED_REPETITIONS = 30
# Between two checkpoints [s of the wall clock].
CHECKPOINT_PERIOD = 30.0


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """What ``celltwin simulate`` is told.

    Attributes
    ----------
    scenario : str
        Scenario file, or the name of one in ``data/scenarios``.
    pack : str
        Pack file (TOML) or stage (USD).
    out : str
        Folder for the results; empty for ``out/<scenario>-<time>``.
    seed : int or None
        Seed of everything random; the scenario's own where None.
    fidelity : str
        Cell model: ``SPMe`` or ``ECM``.
    step : float
        Time step of the engine [s].
    sample_period : float
        Time between samples [s]; 0 for one that gives about a thousand samples.
    device : str
        Warp's name of the device; empty for a GPU where there is one.
    report : bool
        Whether to write ``report.html``.
    """

    scenario: str
    pack: str = "data/packs/reference.toml"
    out: str = ""
    seed: int | None = None
    fidelity: str = "SPMe"
    step: float = 1.0
    sample_period: float = 0.0
    device: str = ""
    report: bool = True


def run_simulation(
    settings: SimulationSettings, *, progress: Callable[[SimulationProgress], None] | None = None
) -> tuple[SimulationResult, RunFolder]:
    """Simulate a scenario and write its run folder; Ctrl-C ends it early and keeps what was simulated.

    A checkpoint is kept while it runs, for :func:`resume_simulation`.

    Parameters
    ----------
    settings : SimulationSettings
        What to simulate.
    progress : callable, optional
        Told after every sample how far it is.

    Raises
    ------
    CelltwinError
        If scenario, pack, settings or output folder are wrong.
    """
    from celltwin.physics.calibration import pack_distribution
    from celltwin.stage import build_pack_stage, save_stage

    spec = load_spec(settings.pack)
    scenario = load_scenario(resolve(settings.scenario))
    if settings.seed is not None:
        scenario = replace(scenario, seed=settings.seed)
    # A scenario or a distribution that does not fit the pack leaves no folder behind.
    ScenarioPlayer(scenario, spec)
    pack_distribution(spec)
    folder = RunFolder(Path(settings.out) if settings.out else default_run_folder(scenario.name))
    save_stage(build_pack_stage(spec), folder.stage)
    save_scenario(scenario, folder.path / SCENARIO_FILE)
    folder.write_json(SETTINGS_FILE, asdict(settings))
    return _simulate(settings, spec, scenario, folder, progress, resume_at=None)


def resume_simulation(
    path: Path, *, progress: Callable[[SimulationProgress], None] | None = None
) -> tuple[SimulationResult, RunFolder]:
    """Go on with a simulation that was interrupted or killed, from its last checkpoint.

    Parameters
    ----------
    path : Path
        Folder of the run; pack, scenario and settings are those that lie in it.
    progress : callable, optional
        Told after every sample how far it is.

    Raises
    ------
    RecordingError
        If the folder holds no simulation, or one that has nothing left to do.
    """
    from celltwin.physics import checkpoint_time

    try:
        settings = SimulationSettings(**json.loads((path / SETTINGS_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RecordingError(
            f"there is no simulation here ({error})", where=str(path), remedy="Give the folder of a simulation"
        ) from None
    resume_at = checkpoint_time(path)
    (path / "summary.json").unlink(missing_ok=True)
    spec = load_spec(str(path / TIER_FILES["geometric"]))
    scenario = load_scenario(path / SCENARIO_FILE)
    return _simulate(settings, spec, scenario, RunFolder(path), progress, resume_at=resume_at)


def _simulate(
    settings: SimulationSettings,
    spec: PackSpec,
    scenario: Scenario,
    folder: RunFolder,
    progress: Callable[[SimulationProgress], None] | None,
    *,
    resume_at: float | None,
) -> tuple[SimulationResult, RunFolder]:
    from celltwin.physics import remove_checkpoint, simulate_scenario
    from celltwin.physics.engine import EngineOptions
    from celltwin.telemetry import HistoryWriter

    period = settings.sample_period or sample_period(scenario)
    sensors = SimulatedSensors(spec, scenario)
    history = HistoryWriter(folder.history, spec, resume_at=resume_at)
    recorder = _Recorder(folder.path, spec, history, sensors)
    try:
        with interruptible() as interrupted:
            result = simulate_scenario(
                spec,
                scenario,
                fidelity=settings.fidelity,
                options=EngineOptions(step=settings.step),
                device=settings.device or None,
                sample_period=period,
                record=recorder.record,
                progress=progress,
                cancelled=interrupted,
                begin=None if resume_at is None else recorder.restore,
                keep=recorder.keep,
            )
        if result.ended == "cancelled":
            recorder.save()
    finally:
        history.close()
    if result.ended == "finished":
        remove_checkpoint(folder.path)
    folder.write_json("summary.json", _summary(settings, scenario, result, period, sensors))
    if settings.report:
        from .report import ReportWriter

        ReportWriter(folder.path).write()
    return result, folder


def sample_period(scenario: Scenario) -> float:
    """Return a time between samples [s] that gives about a thousand of them; most of a block of jumps has none."""
    steps, time = scenario.profile, scenario.longest
    for block in scenario.jumps:
        once = sum(step.duration for step in steps[block.start : block.start + block.length])
        time -= once * max(block.count - SIMULATED_REPETITIONS, 0)
    return SHORTEST_PERIOD * max(1, math.ceil(time / MOST_SAMPLES / SHORTEST_PERIOD))


class _Recorder:
    """Keep the samples of a simulation as process images, and its checkpoints.

    What is simulated is of the kind that is predicted.
    """

    def __init__(self, folder: Path, spec: PackSpec, history: HistoryWriter, sensors: SimulatedSensors) -> None:
        self._folder, self._spec, self._history, self._sensors = folder, spec, history, sensors
        self._number = 0
        self._run: ScenarioRun | None = None
        self._saved = time.monotonic()

    def record(self, sample: ScenarioSample) -> None:
        from celltwin.physics import FURTHER_QUANTITIES

        for index, moment in enumerate(sample.terminal_time[:-1]):
            self._keep(float(moment), self._terminals(sample, index))
        readings = [
            *self._terminals(sample, -1),
            self._reading("voltage", Level.GROUP, sample.group_voltage, sample.time),
            self._reading("current", Level.CELL, sample.cell_current, sample.time),
            self._reading("temperature", Level.CELL, sample.cell_temperature, sample.time),
            self._reading("soc", Level.CELL, sample.cell_soc, sample.time),
            self._reading("coolant_temperature", Level.MODULE, sample.coolant_temperature, sample.time),
            self._reading("coolant_flow", Level.MODULE, sample.coolant_flow, sample.time),
            *(
                self._reading(name, Level.CELL, sample.extra[name], sample.time)
                for name in FURTHER_QUANTITIES
                if name in sample.extra
            ),
        ]
        self._keep(sample.time, readings)
        self._history.append(self._sensors.read(sample))

    def restore(self, run: ScenarioRun) -> None:
        from celltwin.physics import restore_checkpoint

        extra = restore_checkpoint(self._folder, run)
        self._number = int(extra["number"])
        self._sensors.restore(extra["sensors"])

    def keep(self, run: ScenarioRun) -> None:
        self._run = run
        if time.monotonic() - self._saved >= CHECKPOINT_PERIOD:
            self.save()

    def save(self) -> None:
        from celltwin.physics import save_checkpoint

        if self._run is not None:
            self._history.flush()
            save_checkpoint(self._folder, self._run, {"number": self._number, "sensors": self._sensors.state()})
        self._saved = time.monotonic()

    def _terminals(self, sample: ScenarioSample, index: int) -> list[Reading]:
        time = float(sample.terminal_time[index])
        current, voltage = sample.terminal_current[index], sample.terminal_voltage[index]
        return [
            self._reading("voltage", Level.PACK, np.array([voltage]), time),
            self._reading("current", Level.PACK, np.array([current]), time),
            self._reading("power", Level.PACK, np.array([current * voltage]), time),
        ]

    def _reading(self, quantity: str, level: Level, values: np.ndarray[Any, Any], time: float) -> Reading:
        return Reading.at(Kind.PREDICTED, quantity, level, values, time, provenance="simulation")

    def _keep(self, time: float, readings: list[Reading]) -> None:
        self._history.record(PackState(time=time, step=self._number).updated(*readings))
        self._number += 1


def _summary(
    settings: SimulationSettings,
    scenario: Scenario,
    result: SimulationResult,
    period: float,
    sensors: SimulatedSensors,
) -> dict[str, Any]:
    spec, figures = result.spec, result.figures
    return {
        "kind": "simulation",
        "celltwin": library_versions(("celltwin",))["celltwin"],
        "python": platform.python_version(),
        "libraries": library_versions(("warp-lang", "pybamm", "numpy", "usd-core")),
        "written_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "ended": result.ended,
        "failure": result.failure or None,
        "pack": {
            "name": spec.name,
            "title": spec.title,
            "file": settings.pack,
            "cells": spec.n_cells,
            "capacity_Ah": spec.capacity,
            "energy_Wh": spec.energy,
        },
        "scenario": {
            "name": scenario.name,
            "description": scenario.description,
            "source": scenario.source,
            "file": settings.scenario,
            "hash": result.scenario_hash,
            "longest_s": scenario.longest,
        },
        "model": result.provenance,
        "seed": result.seed,
        "step_s": settings.step,
        "sample_period_s": period,
        "resumed_at_s": result.start or None,
        "simulated_s": result.time,
        "wall_s": round(result.wall_seconds, 3),
        "cell_steps_per_s": round(
            spec.n_cells * (result.time - result.start) / settings.step / max(result.wall_seconds, 1e-9)
        ),
        "figures": {
            "discharged_Ah": round(figures.charge["discharged"], 4),
            "charged_Ah": round(figures.charge["charged"], 4),
            "discharged_Wh": round(figures.energy["discharged"], 3),
            "charged_Wh": round(figures.energy["charged"], 3),
            "soc_first": _number(figures.first_soc),
            "soc_last": _number(figures.last_soc),
            "widest_cell_temperature_K": round(figures.widest_temperature, 3),
            "widest_group_voltage_V": round(figures.widest_group_voltage, 4),
            **{name: float(f"{value:.6g}") for name, value in figures.further.items()},
            "extremes": {
                name: {"value": float(f"{found.value:.7g}"), "element": found.element, "time_s": found.time}
                for name, found in figures.extremes.items()
            },
        },
        "balance": result.balance,
        "events": [asdict(event) for event in result.events],
        "measured": sensors.entry(),
        "tiers": {tier: TIER_FILES[tier] for tier in ("geometric", "descriptive", "predictive")},
    }


def _number(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None
