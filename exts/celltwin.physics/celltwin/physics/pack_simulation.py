"""All cells of a pack: electrochemistry, current sharing, heat, balancing, and the limits of a power converter."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, Command, Level, PackSpec, PlantError, freeze

from .cell_equations import Mesh
from .current_limiter import CurrentLimiter, LimitedStep
from .equation_cache import prepare_equations
from .group_solver import CellConditions, GroupSolver
from .pack_variation import PackVariation
from .parameters import CellParameters, load_cell_parameters, open_circuit_voltage
from .thermal_network import ThermalNetwork

__all__ = ["PackSimulation", "PlantBlock", "rest_block"]


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


def rest_block(spec: PackSpec, parameters: CellParameters, variation: PackVariation) -> PlantBlock:
    """Return the one sample of a pack at rest before the run: open-circuit voltages, inlet temperature, no current."""
    soc = np.repeat(variation.initial_soc, spec.parallel)
    voltage = open_circuit_voltage(parameters, variation.initial_soc)
    inlet = spec.cooling.inlet_temperature
    return PlantBlock(
        time=np.zeros(1),
        pack_current=np.zeros(1),
        pack_voltage=np.array([voltage.sum()]),
        group_voltage=voltage[np.newaxis],
        balancing_current=np.zeros((1, spec.n_groups)),
        cell_current=np.zeros((1, spec.n_cells)),
        cell_temperature=np.full((1, spec.n_cells), inlet),
        cell_soc=soc[np.newaxis],
        coolant_temperature=np.full((1, spec.n_modules), inlet),
        coolant_flow=np.full((1, spec.n_modules), spec.cooling.flow),
    )


class PackSimulation:
    r"""A pack whose every cell is a PyBaMM model of its own, integrated by IDAKLU.

    Each parallel group is one differential-algebraic system, in which the cells share the voltage and the currents
    add up; all groups are integrated together. Temperatures of coolant and neighbours are constant within one
    macro step. The pack's terminals see the groups, the links between them and nothing else:

    .. math:: V = \sum_g V_g - (n_g - 1)\, R_\mathrm{link}\, I

    Parameters
    ----------
    spec : PackSpec
        The pack.
    variation : PackVariation
        The differences between its cells.
    fidelity : {"SPMe", "DFN", "SPM"}
        PyBaMM's model, with a lumped temperature.
    macro_step : float
        Longest time between restarts of the integrator [s].
    threads : int, optional
        Groups solved at the same time; the processors of the machine, at most four, where absent.
    mesh : Mesh, optional
        Finite volumes of a cell.
    compiled : bool
        Compile the equations, see :func:`prepare_equations`.

    Raises
    ------
    ModelError, SettingsError
        If the cell's parameters or the fidelity are unknown.
    """

    def __init__(
        self,
        spec: PackSpec,
        variation: PackVariation,
        *,
        fidelity: str = "SPMe",
        macro_step: float = 60.0,
        threads: int | None = None,
        mesh: Mesh | None = None,
        compiled: bool = True,
    ) -> None:
        self.spec = spec
        self.variation = variation
        self.parameters = load_cell_parameters(spec.cell.parameter_set)
        self.fidelity = fidelity
        self.time = 0.0
        self._macro_step = macro_step
        equations = prepare_equations(self.parameters, fidelity, spec.parallel, mesh or Mesh(), compiled=compiled)
        self._solver = GroupSolver(self.parameters, equations, threads=threads or min(4, os.cpu_count() or 1))
        self._limiter = CurrentLimiter(self._solver, spec.cell.lowest_voltage, spec.cell.highest_voltage)
        self._network = ThermalNetwork(spec, _surface(spec))
        self._shape = (spec.n_groups, spec.parallel)
        self._temperature = np.full(spec.n_cells, spec.cooling.inlet_temperature)
        soc = np.repeat(variation.initial_soc[:, np.newaxis], spec.parallel, axis=1)
        conditions = self._conditions(np.full(spec.n_modules, spec.cooling.flow))
        self._states = self._solver.rest(soc, self._temperature.reshape(self._shape), conditions)

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
            If the command does not fit the pack, or the model has no solution.
        """
        flow, bleed = self._set_points(command)
        end, samples = self.time + duration, []
        limited: dict[str, None] = {}
        while self.time < end - 1e-6:
            length = min(self._macro_step, end - self.time)
            times = np.linspace(0.0, length, max(1, round(length / sample_period)) + 1)
            conditions = self._conditions(flow)
            step = self._limiter.step(self._states, conditions, command.pack_current, bleed, times)
            self._check(step)
            samples.append(self._sample(step, flow, bleed))
            if step.group >= 0:
                limited[self._reason(step, command.pack_current)] = None
            self._states = step.history.states[:, -1]
            self._temperature = step.history.temperature[:, -1].reshape(-1)
            self.time += float(step.history.time[-1])
        joined = {name: np.concatenate([getattr(part, name) for part in samples]) for name in _ARRAYS}
        return PlantBlock(**joined, limited=tuple(limited))

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

    def _conditions(self, flow: Array) -> CellConditions:
        spec, variation, shape = self.spec, self.variation, self._shape
        around = self._network.surroundings(self._temperature, flow)
        return CellConditions(
            capacity_scale=variation.capacity_scale.reshape(shape),
            resistance=(variation.resistance + spec.busbar.weld_resistance).reshape(shape),
            surroundings_temperature=around.temperature.reshape(shape),
            surroundings_conductance=around.conductance.reshape(shape),
            heat_capacity=np.full(shape, spec.cell.mass * spec.cell.heat_capacity),
        )

    def _check(self, step: LimitedStep) -> None:
        lost = np.flatnonzero(np.isnan(step.history.voltage).any(axis=1))
        if lost.size:
            raise PlantError(
                f"the cell model of {self._group_id(int(lost[0]))} has no solution at {self.time:.0f} s",
                remedy="Start from a state of charge between 0.05 and 1, or ask for less current",
            )

    def _sample(self, step: LimitedStep, flow: Array, bleed: Array) -> PlantBlock:
        spec, history = self.spec, step.history
        count = history.time.size - 1
        temperature = history.temperature[:, 1:].transpose(1, 0, 2).reshape(count, -1)
        voltage, current = history.voltage[:, 1:].T, step.current[1:]
        # Between the integrator's own steps the sum is met to its tolerance only; the rest is shared equally.
        cells = history.current[:, 1:].transpose(1, 0, 2)
        missing = current[:, np.newaxis] + bleed - cells.sum(axis=2)
        cells = cells + missing[..., np.newaxis] / spec.parallel
        links = (spec.n_groups - 1) * spec.busbar.link_resistance
        return PlantBlock(
            time=self.time + history.time[1:],
            pack_current=current,
            pack_voltage=voltage.sum(axis=1) - links * current,
            group_voltage=voltage,
            balancing_current=np.tile(bleed, (count, 1)),
            cell_current=cells.reshape(count, -1),
            cell_temperature=temperature,
            cell_soc=history.soc[:, 1:].transpose(1, 0, 2).reshape(count, -1),
            coolant_temperature=np.stack([self._network.coolant_outlet(row, flow) for row in temperature]),
            coolant_flow=np.tile(flow, (count, 1)),
        )

    def _reason(self, step: LimitedStep, asked: float) -> str:
        limit = self.spec.cell.highest_voltage if asked < 0.0 else self.spec.cell.lowest_voltage
        what = "charge" if asked < 0.0 else "discharge"
        group = self._group_id(step.group)
        manner = f"no {what} current is possible" if step.blocked else f"{what} current reduced"
        return f"{group} is at its limit of {limit:.3f} V: {manner}"

    def _group_id(self, group: int) -> str:
        return self.spec.element_ids(Level.GROUP)[group]


_ARRAYS = (
    "time",
    "pack_current",
    "pack_voltage",
    "group_voltage",
    "balancing_current",
    "cell_current",
    "cell_temperature",
    "cell_soc",
    "coolant_temperature",
    "coolant_flow",
)


def _surface(spec: PackSpec) -> float:
    """Return the outer surface of a cell [m^2]."""
    cell = spec.cell
    if cell.format == "cylindrical":
        return float(np.pi * cell.diameter * (cell.height + 0.5 * cell.diameter))
    return 2.0 * (cell.length * cell.width + cell.length * cell.height + cell.width * cell.height)
