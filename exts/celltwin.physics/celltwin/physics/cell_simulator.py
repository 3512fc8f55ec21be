"""Single cells, many at once: current profiles and charging with constant current, then constant voltage."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError, require_shape

from .cell_equations import Mesh
from .equation_cache import prepare_equations
from .group_solver import CellConditions, Demand, GroupHistory, GroupSolver
from .parameters import CellParameters, load_cell_parameters

__all__ = ["CellBatch", "CellHistory", "CellSimulator"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellBatch:
    """Cells, or candidates for one cell, to simulate side by side; arrays of shape (n_cells,).

    Attributes
    ----------
    initial_soc : ndarray
        State of charge at the start [-].
    initial_temperature : ndarray
        Temperature at the start [K].
    ambient_temperature : ndarray
        Temperature of the surroundings [K].
    heat_transfer : ndarray
        Heat transfer coefficient over the parameters' surface [W/(m^2.K)].
    capacity_scale : ndarray
        Capacity over that of the parameters [-].
    added_resistance : ndarray
        Series resistance beyond that of the parameters [ohm].
    """

    initial_soc: Array
    initial_temperature: Array
    ambient_temperature: Array
    heat_transfer: Array
    capacity_scale: Array
    added_resistance: Array

    @classmethod
    def of(
        cls,
        parameters: CellParameters,
        *,
        initial_soc: Array | float,
        initial_temperature: Array | float = 298.15,
        ambient_temperature: Array | float | None = None,
        heat_transfer: Array | float | None = None,
        capacity_scale: Array | float = 1.0,
        added_resistance: Array | float = 0.0,
    ) -> CellBatch:
        """Return a batch from arrays or numbers; what is left out follows the parameters and the start."""
        arrays = np.broadcast_arrays(
            *np.atleast_1d(
                initial_soc,
                initial_temperature,
                initial_temperature if ambient_temperature is None else ambient_temperature,
                parameters.heat_transfer if heat_transfer is None else heat_transfer,
                capacity_scale,
                added_resistance,
            )
        )
        soc, temperature, ambient, transfer, scale, added = (np.array(a, dtype=np.float64) for a in arrays)
        return cls(
            initial_soc=soc,
            initial_temperature=temperature,
            ambient_temperature=ambient,
            heat_transfer=transfer,
            capacity_scale=scale,
            added_resistance=added,
        )

    def __post_init__(self) -> None:
        """Check shapes and values."""
        for name, array in vars(self).items():
            require_shape(f"CellBatch.{name}", array, (self.initial_soc.size,))
        if not np.all((self.initial_soc >= 0.0) & (self.initial_soc <= 1.0)):
            raise SettingsError("initial_soc must lie between 0 and 1", remedy="Give fractions, not percent")
        if not np.all(self.capacity_scale > 0.0):
            raise SettingsError("capacity_scale must be greater than 0", remedy="Give 1 for a cell as published")

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.initial_soc.size


@dataclass(frozen=True, kw_only=True, eq=False)
class CellHistory:
    """What cells did; arrays of shape (n_steps, n_cells), NaN where a cell could not go on.

    Attributes
    ----------
    time : ndarray of shape (n_steps,)
        Time since the start [s].
    voltage, current, temperature, soc : ndarray
        Terminal voltage [V], current [A, positive on discharge], temperature [K], state of charge [-].
    anode_potential : ndarray
        Anode against lithium at the separator [V]: the margin to lithium plating.
    """

    time: Array
    voltage: Array
    current: Array
    temperature: Array
    soc: Array
    anode_potential: Array


class CellSimulator:
    """PyBaMM's cell model, built once and reused; every cell is a solution of its own by IDAKLU.

    Parameters
    ----------
    parameters : CellParameters or str
        The cell, or the name to load it by.
    fidelity : {"SPMe", "DFN", "SPM"}
        PyBaMM's model, with a lumped temperature.
    mesh : Mesh, optional
        Finite volumes.
    threads : int
        Cells solved at the same time.
    compiled : bool
        Compile the equations, see :func:`prepare_equations`.

    Raises
    ------
    ModelError, SettingsError
        If the parameters or the fidelity are unknown.
    """

    def __init__(
        self,
        parameters: CellParameters | str,
        fidelity: str = "SPMe",
        *,
        mesh: Mesh | None = None,
        threads: int = 1,
        compiled: bool = True,
    ) -> None:
        self.parameters = load_cell_parameters(parameters) if isinstance(parameters, str) else parameters
        self.fidelity = fidelity
        equations = prepare_equations(self.parameters, fidelity, 1, mesh or Mesh(), compiled=compiled)
        self._solver = GroupSolver(self.parameters, equations, threads=threads)

    @property
    def provenance(self) -> str:
        """Model and parameter hash, for readings and reports."""
        return f"{self.fidelity} {self.parameters.name}@{self.parameters.hash}"

    def simulate(
        self, batch: CellBatch, current: Array | float, *, interval: float, sample_period: float = 10.0
    ) -> CellHistory:
        """Simulate cells under a current that is constant within intervals.

        Parameters
        ----------
        batch : CellBatch
            The cells.
        current : ndarray of shape (n_intervals, n_cells) or broadcastable to it
            Current [A], positive on discharge.
        interval : float
            Length of one interval [s].
        sample_period : float
            Time between reported samples [s].

        Returns
        -------
        CellHistory
            From the first moment of the current on; a cell whose electrodes run empty is NaN from there.
        """
        current = np.asarray(current, dtype=np.float64)
        current = current.reshape(-1, 1) if current.ndim < 2 else current
        profile = np.broadcast_to(current, (current.shape[0], batch.n_cells))
        run = _Run(self._solver, batch)
        for row in profile:
            run.append(run.solve_current(row, _grid(interval, sample_period)))
        return run.history()

    def charge(
        self,
        batch: CellBatch,
        current: Array | float,
        *,
        voltage: Array | float | None = None,
        cut_current: Array | float = 0.0,
        longest: float = 7200.0,
        interval: float = 60.0,
        sample_period: float = 10.0,
    ) -> CellHistory:
        """Charge cells with constant current up to a voltage, then hold it until the current has fallen.

        Parameters
        ----------
        batch : CellBatch
            The cells.
        current : ndarray of shape (n_cells,) or float
            Charge current as a magnitude [A].
        voltage : ndarray of shape (n_cells,) or float, optional
            Voltage to hold [V]; the parameters' highest where absent.
        cut_current : ndarray of shape (n_cells,) or float
            Magnitude at which the charge ends [A]; the cell rests afterwards.
        longest : float
            Longest time to simulate [s].
        interval, sample_period : float
            Time between restarts of the integrator, and between reported samples [s].

        Returns
        -------
        CellHistory
            Until every charge has ended, or ``longest``.
        """
        shape = (batch.n_cells,)
        ask = -np.abs(np.broadcast_to(np.asarray(current, dtype=np.float64), shape))
        limit = self.parameters.highest_voltage if voltage is None else voltage
        limit = np.array(np.broadcast_to(np.asarray(limit, dtype=np.float64), shape))
        cut = np.broadcast_to(np.asarray(cut_current, dtype=np.float64), shape)
        holds, ended = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        run = _Run(self._solver, batch)
        while run.elapsed < longest and not ended.all():
            times = _grid(min(interval, longest - run.elapsed), sample_period)
            part = run.solve_current(np.where(ended | holds, 0.0, ask), times)
            part = run.replaced(part, holds & ~ended, Demand.of_voltage(limit), times)
            reached = ~(holds | ended) & np.any(part.voltage >= limit[:, np.newaxis], axis=1)
            for cell in np.flatnonzero(reached):
                part = run.held_from_crossing(part, int(cell), float(ask[cell]), float(limit[cell]), times)
            holds |= reached
            run.append(part)
            fallen = holds & (np.abs(part.current[:, -1, 0]) <= cut)
            ended |= fallen | np.isnan(part.voltage[:, -1])
        return run.history()


class _Run:
    """States and collected history of one simulation."""

    def __init__(self, solver: GroupSolver, batch: CellBatch) -> None:
        p = solver.parameters
        self.solver = solver
        self.conditions = CellConditions(
            capacity_scale=batch.capacity_scale[:, np.newaxis],
            resistance=p.resistance + batch.added_resistance[:, np.newaxis],
            surroundings_temperature=batch.ambient_temperature[:, np.newaxis],
            surroundings_conductance=p.surface * batch.heat_transfer[:, np.newaxis],
            heat_capacity=np.full((batch.n_cells, 1), p.heat_capacity),
        )
        self.states = solver.rest(
            batch.initial_soc[:, np.newaxis], batch.initial_temperature[:, np.newaxis], self.conditions
        )
        self.elapsed = 0.0
        self._parts: list[tuple[Array, GroupHistory]] = []

    def solve_current(self, current: Array, times: Array) -> GroupHistory:
        """Solve the next interval of all cells that have not failed."""
        alive = np.flatnonzero(np.isfinite(self.states[:, 0])).astype(np.int64)
        states = np.full((self.states.shape[0], times.size, self.states.shape[1]), np.nan)
        if alive.size:
            found = self.solver.solve(
                self.states[alive], self.conditions.rows(alive), Demand.of_current(current[alive]), times
            )
            states[alive] = found.states
        return self.solver.read(times, states)

    def replaced(self, part: GroupHistory, where: NDArray[np.bool_], demand: Demand, times: Array) -> GroupHistory:
        """Return the interval with some cells solved under another demand."""
        index = np.flatnonzero(where).astype(np.int64)
        if index.size == 0:
            return part
        asked = replace(demand, **{name: value[index] for name, value in vars(demand).items()})
        found = self.solver.solve(self.states[index], self.conditions.rows(index), asked, times)
        states = part.states.copy()
        states[index] = found.states
        return self.solver.read(times, states)

    def held_from_crossing(
        self, part: GroupHistory, cell: int, current: float, voltage: float, times: Array
    ) -> GroupHistory:
        """Return the interval with one cell under current until it meets the voltage, and held there from then on."""
        one = np.array([cell], dtype=np.int64)
        before = part.voltage[cell]
        first = int(np.argmax(before >= voltage))
        crossing = float(times[0])
        start = self.states[one]
        states = part.states.copy()
        if first > 0:
            share = (voltage - before[first - 1]) / (before[first] - before[first - 1])
            crossing = float(times[first - 1] + share * (times[first] - times[first - 1]))
            lead = np.unique([0.0, crossing])
            if lead.size > 1:
                led = self.solver.solve(start, self.conditions.rows(one), Demand.of_current(np.array([current])), lead)
                start = led.states[:, -1]
        rest = np.concatenate([[0.0], times[first:] - crossing])
        rest = rest[1:] if times[first] == crossing else rest
        held = self.solver.solve(start, self.conditions.rows(one), Demand.of_voltage(np.array([voltage])), rest)
        states[cell, first:] = held.states[0, -(times.size - first) :]
        return self.solver.read(times, states)

    def append(self, part: GroupHistory) -> None:
        """Take an interval into the history and go on from its end."""
        self._parts.append((self.elapsed + part.time, part))
        self.elapsed += float(part.time[-1])
        self.states = part.states[:, -1]

    def history(self) -> CellHistory:
        """Return all intervals as one history; a step of the current shows its later value."""

        def joined(arrays: list[Array]) -> Array:
            whole = [array[:, :-1] for array in arrays[:-1]] + arrays[-1:]
            return np.concatenate(whole, axis=1).T

        times = [time for time, _ in self._parts]
        parts = [part for _, part in self._parts]
        return CellHistory(
            time=np.concatenate([time[:-1] for time in times[:-1]] + times[-1:]),
            voltage=joined([part.voltage for part in parts]),
            current=joined([part.current[..., 0] for part in parts]),
            temperature=joined([part.temperature[..., 0] for part in parts]),
            soc=joined([part.soc[..., 0] for part in parts]),
            anode_potential=joined([self.solver.anode_potential(part, self.conditions)[..., 0] for part in parts]),
        )


def _grid(interval: float, sample_period: float) -> Array:
    count = max(1, round(interval / sample_period))
    return np.linspace(0.0, interval, count + 1)
