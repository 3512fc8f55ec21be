"""All cells of a pack under commands: the pack engine behind balancing, a pump and the limits of a power converter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import (
    Array,
    Command,
    Demand,
    InitialSpec,
    Level,
    PackSpec,
    PhysicsSpec,
    PlantError,
    RestStep,
    Scenario,
    ScenarioPlayer,
    freeze,
)

from .pack_variation import PackVariation
from .parameters import CellParameters, load_cell_parameters, open_circuit_voltage
from .plant_faults import fault_effects, fault_times
from .scenario_conditions import ScenarioConditions
from .varied_pack import build_varied_engine

if TYPE_CHECKING:
    from .engine import EngineHistory

__all__ = ["PackSimulation", "PlantBlock", "rest_block"]

_INSTANT = 1e-6  # [s]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantBlock:
    """What a simulated pack did over some time; the true values, without any sensor.

    Attributes
    ----------
    time : ndarray of shape (n_steps,)
        Times [s since the start of the run].
    pack_current, pack_voltage : ndarray of shape (n_steps,)
        At the pack's terminals [A, positive on discharge; V].
    group_voltage, balancing_current : ndarray of shape (n_steps, n_groups)
        Voltage of each group [V] and current bled from it [A].
    cell_current, cell_temperature, cell_soc : ndarray of shape (n_steps, n_cells)
        Of each cell [A, K, -].
    coolant_temperature, coolant_flow : ndarray of shape (n_steps, n_modules)
        Coolant at the outlet of each module [K] and its flow [kg/s].
    limited : tuple of str
        Why the current was less than asked for; empty where it was not.
    """

    time: Array
    pack_current: Array
    pack_voltage: Array
    group_voltage: Array
    balancing_current: Array
    cell_current: Array
    cell_temperature: Array
    cell_soc: Array
    coolant_temperature: Array
    coolant_flow: Array
    limited: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, freeze(value))


def rest_block(
    spec: PackSpec, parameters: CellParameters, variation: PackVariation, scenario: Scenario | None = None
) -> PlantBlock:
    """Return the one sample of a pack at rest before the run: open-circuit voltages, no current."""
    soc = np.repeat(variation.initial_soc, spec.parallel)
    voltage = open_circuit_voltage(parameters, variation.initial_soc)
    inlet, temperature = _start_temperatures(ScenarioPlayer(scenario or _design_scenario(), spec))
    return PlantBlock(
        time=np.zeros(1),
        pack_current=np.zeros(1),
        pack_voltage=np.array([voltage.sum() / spec.strings]),
        group_voltage=voltage[np.newaxis],
        balancing_current=np.zeros((1, spec.n_groups)),
        cell_current=np.zeros((1, spec.n_cells)),
        cell_temperature=np.full((1, spec.n_cells), temperature),
        cell_soc=soc[np.newaxis],
        coolant_temperature=np.full((1, spec.n_modules), inlet),
        coolant_flow=np.full((1, spec.n_modules), spec.cooling.flow),
    )


class PackSimulation:
    """A pack whose every cell is a model of its own, stepped by the pack engine under commands.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    variation : PackVariation
        The differences between its cells.
    fidelity : {"SPMe", "DFN", "ECM"}
        Model of a cell.
    step : float
        Time step [s].
    scenario : Scenario, optional
        Gives the temperature at the start, the surroundings, the faults, and whether cells can run away; what the
        pack is designed for where absent.

    Raises
    ------
    ModelError, SettingsError, SpecError
        If the cell's parameters, the fidelity or the busbar's material are unknown, or the scenario does not fit.
    """

    def __init__(
        self,
        spec: PackSpec,
        variation: PackVariation,
        *,
        fidelity: str = "SPMe",
        step: float = 1.0,
        scenario: Scenario | None = None,
    ) -> None:
        from .engine import EngineOptions
        from .scenario_engine import with_physics

        self.spec = spec
        self.variation = variation
        self.fidelity = fidelity
        self.parameters = load_cell_parameters(spec.cell.parameter_set)
        self._player = ScenarioPlayer(scenario or _design_scenario(), spec)
        runaway = PhysicsSpec(abuse=self._player.scenario.physics.abuse)
        self.engine = build_varied_engine(
            spec,
            variation,
            fidelity=fidelity,
            temperature=_start_temperatures(self._player)[1],
            options=with_physics(EngineOptions(step=step), runaway, spec),
            device="cpu",
        )
        self._conditions = ScenarioConditions(self.engine, self._player)

    @property
    def time(self) -> float:
        """Time since the start [s]."""
        return self.engine.time

    def advance(self, command: Command, duration: float, sample_period: float = 10.0) -> PlantBlock:
        """Simulate the time that comes next under one command.

        The current is reduced where a group would leave its voltage limits: on charge to hold the highest group at
        its highest voltage, on discharge the lowest at its lowest.

        Parameters
        ----------
        command : Command
            Set-points; coolant flow outside what the pump can give is cut to it.
        duration : float
            Time to simulate [s].
        sample_period : float
            Time between samples [s]; the duration should be a multiple.

        Returns
        -------
        PlantBlock
            Samples after the present time, up to and including the end of the duration.

        Raises
        ------
        PlantError
            If the command does not fit the pack, or a cell leaves what its model can describe.
        """
        flow, bleed = self._set_points(command)
        self.engine.set_groups("balancing_current", bleed)
        begin, count = self.time, max(1, round(duration / sample_period))
        samples: list[EngineHistory] = []
        flows, outlets = [], []
        limited: dict[str, None] = {}
        for end in begin + duration * np.arange(1, count + 1) / count:
            for until in (*fault_times(self._player.scenario.faults, self.time, float(end)), float(end)):
                history, reason = self._run(command.pack_current, flow, until - self.time)
                limited |= {reason: None} if reason else {}
            samples.append(history)
            flows.append(self._flowing(flow))
            outlets.append(self._outlets(history, flows[-1]))
        return PlantBlock(
            time=np.concatenate([sample.time for sample in samples]),
            pack_current=np.concatenate([sample.pack_current[:, 0] for sample in samples]),
            pack_voltage=np.concatenate([sample.pack_voltage[:, 0] for sample in samples]),
            group_voltage=np.concatenate([sample.group_voltage for sample in samples]),
            balancing_current=np.tile(bleed, (count, 1)),
            cell_current=np.concatenate([sample.cell_current for sample in samples]),
            cell_temperature=np.concatenate([sample.cell_temperature for sample in samples]),
            cell_soc=np.concatenate([sample.cell_soc for sample in samples]),
            coolant_temperature=np.stack(outlets),
            coolant_flow=np.stack(flows),
            limited=tuple(limited),
        )

    def _set_points(self, command: Command) -> tuple[Array, Array]:
        spec = self.spec
        flow = np.asarray(command.coolant_flow, dtype=np.float64)
        bleed = np.asarray(command.balancing_current, dtype=np.float64)
        if flow.shape != (spec.n_modules,) or bleed.shape != (spec.n_groups,):
            raise PlantError(
                f"the command has {flow.size} coolant flows and {bleed.size} balancing currents; the pack has "
                f"{spec.n_modules} modules and {spec.n_groups} groups",
                remedy="Give one flow a module and one balancing current a group",
            )
        if not (np.isfinite(command.pack_current) and np.isfinite(flow).all() and np.isfinite(bleed).all()):
            raise PlantError("the command holds a value that is not finite", remedy="Check the set-points")
        return np.clip(flow, 0.0, spec.cooling.highest_flow), np.maximum(bleed, 0.0)

    def _run(self, asked: float, flow: Array, length: float) -> tuple[EngineHistory, str]:
        """Simulate under one current and unchanging surroundings; return also why the current was held back."""
        from .engine import Drive

        closed = fault_effects(self.spec, self._player.scenario.faults, self.time + _INSTANT).closable
        blocked = not closed.any()
        demand = Demand(kind="current", values=np.array([0.0 if blocked else asked]), connected=closed)
        self._conditions.apply(self.time + 0.5 * length, demand, flow=flow)
        drive = Drive(
            values=demand.value,
            lowest_voltage=self.spec.cell.lowest_voltage if asked > 0.0 else None,
            highest_voltage=self.spec.cell.highest_voltage if asked < 0.0 else None,
        )
        if self.engine.options.abuse is None:
            history = self.engine.advance(drive, length)
        else:
            whole = self.engine.advance(drive, length, sample_period=self.engine.options.step)
            self._open_burning(whole)
            history = _last(whole)
        return history, self._reason(history, asked, blocked)

    def _open_burning(self, history: EngineHistory) -> None:
        """Let cells that run away lose their connection, where the scenario says so."""
        from .engine.runaway_oven import ONSET_RATE

        warming = history.extra["abuse_heat"].max(axis=0) / self.engine.network.heat_capacity
        if self._player.scenario.physics.open_on_runaway:
            self._conditions.lost |= warming >= ONSET_RATE

    def _flowing(self, flow: Array) -> Array:
        """Return the coolant that flows through each module in truth [kg/s]."""
        told = flow * self._player.surroundings(self.time).flow_share
        channels = self._conditions.module_channel
        return self._conditions.channel_flow(told)[channels] if channels.size else told

    def _outlets(self, history: EngineHistory, flow: Array) -> Array:
        """Return the temperature of the coolant that leaves each module [K]."""
        if self.spec.cooling.supply == "parallel":
            return np.asarray(history.coolant_temperature[-1])
        from .engine.heat_paths import exchange_heat

        inlet = np.array([self._player.surroundings(self.time).inlet_temperature])
        surface = history.cell_surface_temperature[-1]
        found = exchange_heat(self.engine.network.heat, surface, flow[:1], inlet_temperature=inlet)
        return found.segment_outlet.reshape(self.spec.n_modules, -1)[:, -1]

    def _reason(self, history: EngineHistory, asked: float, blocked: bool) -> str:
        if blocked:
            return f"{self.spec.name} cannot carry current: its contactors are stuck open" if asked else ""
        group = int(history.limited[-1, 0]) - 1
        if group < 0:
            return ""
        limit = self.spec.cell.highest_voltage if asked < 0.0 else self.spec.cell.lowest_voltage
        what = "charge" if asked < 0.0 else "discharge"
        stopped = abs(float(history.pack_current[-1, 0])) < 1e-9
        manner = f"no {what} current is possible" if stopped else f"{what} current reduced"
        return f"{self.spec.element_ids(Level.GROUP)[group]} is at its limit of {limit:.3f} V: {manner}"


def _start_temperatures(player: ScenarioPlayer) -> tuple[float, float]:
    """Return the temperature of the coolant at the inlet and of the cells at the start [K]."""
    inlet, initial = player.surroundings(0.0).inlet_temperature, player.scenario.initial.temperature
    return inlet, inlet if initial is None else initial


def _design_scenario() -> Scenario:
    """Return a scenario of nothing but the surroundings that the pack is designed for."""
    return Scenario(name="design", initial=InitialSpec(soc=0.5), steps=(RestStep(longest=1.0),))


def _last(history: EngineHistory) -> EngineHistory:
    """Return the last sample of a history."""
    rows = {name: values[-1:] for name, values in vars(history).items() if name != "extra"}
    return replace(history, **rows, extra={name: values[-1:] for name, values in history.extra.items()})
