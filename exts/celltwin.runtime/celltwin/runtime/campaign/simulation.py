"""One run: a scenario on the pack engine, reduced to its figures and, where asked for, its history."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import SIMULATED_QUANTITIES, PlantError, SettingsError

from .batch import RunResult
from .campaign import RunRequest

if TYPE_CHECKING:
    from celltwin.core import Scenario
    from celltwin.physics import ScenarioSample, SimulationResult

__all__ = ["engine_arguments", "simulate_run"]

# More different steps than this have no durations of their own among the figures.
MOST_STEPS = 20
# Endings of figures' names, as in summary.json.
UNITS = {
    "Ah": "A.h", "Wh": "W.h", "V": "V", "A": "A", "K": "K", "s": "s", "m": "m", "Pa": "Pa", "W": "W", "ohm": "ohm"
}  # fmt: skip
# What a campaign may say of the engine beside its options.
FIDELITY, DEVICE = "SPMe", "cpu"


def simulate_run(request: RunRequest) -> RunResult:
    """Simulate one run of a campaign.

    Raises
    ------
    PlantError
        If a cell leaves what its model can describe.
    CelltwinError
        If scenario, pack and options do not fit.
    """
    import warp

    from celltwin.physics import simulate_scenario

    warp.config.log_level = warp.LOG_WARNING  # the terminal belongs to the campaign's progress
    recorder = _Recorder(request)
    result = simulate_scenario(
        request.pack,
        request.scenario,
        sample_period=request.outputs.sample_period,
        record=recorder.record,
        **engine_arguments(request.engine),
    )
    if result.ended == "failed":
        raise PlantError(result.failure)
    figures = _figures(result) | recorder.durations()
    history = recorder.history()
    return RunResult(figures=figures, units=_units(figures) | HISTORY_UNITS, history=history)


def engine_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``simulate_scenario`` for the engine's fields of a campaign.

    Raises
    ------
    SettingsError
        If a field is unknown or of the wrong kind, or its value is refused.
    """
    from celltwin.physics.engine import EngineOptions

    known = {item.name: item.default for item in fields(EngineOptions) if item.default is not None}
    options: dict[str, Any] = {}
    others: dict[str, Any] = {"fidelity": FIDELITY, "device": DEVICE}
    for name, value in values.items():
        if name in others:
            others[name] = value
        elif name in known:
            options[name] = _converted(name, value, known[name])
        else:
            raise SettingsError(
                f"engine.{name} is unknown",
                remedy=f"Use one of {', '.join(f'engine.{key}' for key in (*others, *known))}",
            )
    return {"options": EngineOptions(**options), **others}


def _converted(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if type(value) is not type(default):
        raise SettingsError(
            f"engine.{name} = {value!r} is not of the kind of its default {default!r}", remedy="Give such a value"
        )
    return value


class _Recorder:
    """Keeps of each sample what the run is to leave."""

    def __init__(self, request: RunRequest) -> None:
        self._scenario, self._outputs = request.scenario, request.outputs
        self._ends: dict[int, float] = {}  # last time of each step of the profile [s]
        self._rows: defaultdict[str, list[Any]] = defaultdict(list)

    def record(self, sample: ScenarioSample) -> None:
        """Take a sample."""
        self._ends[sample.step] = sample.time
        if self._outputs.history:
            row = _row(sample) | (_cells(sample) if self._outputs.cells else {})
            for name, value in row.items():
                self._rows[name].append(value)

    def durations(self) -> dict[str, float]:
        """Return how long each kind of step took in all [s], by its title."""
        titles = _titles(self._scenario)
        if len(set(titles)) > MOST_STEPS:
            return {}
        found: dict[str, float] = {}
        before = 0.0
        for step, end in sorted(self._ends.items()):
            name = f"duration_{titles[step]}_s"
            found[name] = found.get(name, 0.0) + end - before
            before = end
        return found

    def history(self) -> dict[str, Any] | None:
        """Return the samples as columns, or None where none are to be kept."""
        if not self._outputs.history:
            return None
        return {name: np.array(values) for name, values in self._rows.items()}


HISTORY_UNITS = {
    "time": "s",
    "pack_current": "A",
    "pack_voltage": "V",
    "lowest_group_voltage": "V",
    "highest_group_voltage": "V",
    "lowest_cell_temperature": "K",
    "mean_cell_temperature": "K",
    "highest_cell_temperature": "K",
    "lowest_cell_soc": "1",
    "mean_cell_soc": "1",
    "highest_cell_soc": "1",
    "coolant_temperature": "K",
    "ambient_temperature": "K",
    "group_voltage": "V",
    "cell_current": "A",
    "cell_voltage": "V",
    "cell_temperature": "K",
    "cell_soc": "1",
    **{f"cell_{name}": quantity.unit for name, quantity in SIMULATED_QUANTITIES.items()},
    "cell_soh": "1",
    "lowest_cell_soh": "1",
    "mean_cell_soh": "1",
    "highest_cell_soh": "1",
    "highest_pressure": "Pa",
    "reaction_heat": "W",
}


def _row(sample: ScenarioSample) -> dict[str, Any]:
    return {
        "time": sample.time,
        "step": sample.step,
        "pack_current": sample.current,
        "pack_voltage": sample.voltage,
        "lowest_group_voltage": sample.group_voltage.min(),
        "highest_group_voltage": sample.group_voltage.max(),
        "lowest_cell_temperature": sample.cell_temperature.min(),
        "mean_cell_temperature": sample.cell_temperature.mean(),
        "highest_cell_temperature": sample.cell_temperature.max(),
        "lowest_cell_soc": sample.cell_soc.min(),
        "mean_cell_soc": sample.cell_soc.mean(),
        "highest_cell_soc": sample.cell_soc.max(),
        "coolant_temperature": sample.coolant_temperature.max(),
        "ambient_temperature": sample.ambient_temperature,
    } | _further_row(sample.extra)


def _further_row(extra: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "soh" in extra:
        soh = extra["soh"]
        found |= {"lowest_cell_soh": soh.min(), "mean_cell_soh": soh.mean(), "highest_cell_soh": soh.max()}
    if "pressure" in extra:
        found["highest_pressure"] = extra["pressure"].max()
    if "reaction_heat" in extra:
        found["reaction_heat"] = extra["reaction_heat"].sum()
    return found


def _cells(sample: ScenarioSample) -> dict[str, Any]:
    arrays = {
        name: getattr(sample, name)
        for name in ("group_voltage", "cell_current", "cell_voltage", "cell_temperature", "cell_soc")
    }
    from celltwin.physics import FURTHER_QUANTITIES

    further = {f"cell_{name}": sample.extra[name] for name in FURTHER_QUANTITIES if name in sample.extra}
    return {name: np.array(values) for name, values in (arrays | further).items()}


def _figures(result: SimulationResult) -> dict[str, Any]:
    """Return the figures of a run under the names that ``summary.json`` gives them."""
    found = result.figures
    figures: dict[str, Any] = {
        "simulated_s": result.time,
        "discharged_Ah": found.charge["discharged"],
        "charged_Ah": found.charge["charged"],
        "discharged_Wh": found.energy["discharged"],
        "charged_Wh": found.energy["charged"],
        "soc_first": found.first_soc,
        "soc_last": found.last_soc,
        "widest_cell_temperature_K": found.widest_temperature,
        "widest_group_voltage_V": found.widest_group_voltage,
    }
    figures |= found.further
    for name, extreme in found.extremes.items():
        stem, _, unit = name.rpartition("_")
        stem = stem if unit in UNITS else name
        figures |= {name: extreme.value, f"{stem}_element": extreme.element, f"{stem}_time_s": extreme.time}
    figures |= {f"balance_{name}": value for name, value in result.balance.items()}
    figures["limits"] = sum(event.kind == "limit" for event in result.events)
    figures["model"] = result.provenance
    return figures


def _units(figures: Mapping[str, Any]) -> dict[str, str]:
    numbers = (name for name, value in figures.items() if not isinstance(value, str))
    return {name: UNITS.get(name.rpartition("_")[2], "1") for name in numbers}


def _titles(scenario: Scenario) -> list[str]:
    return [re.sub(r"[^a-z0-9]+", "_", step.title.lower()).strip("_") for step in scenario.profile]
