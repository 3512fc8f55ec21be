"""IDAKLU over many independent parallel groups at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, require_shape

from .cell_equations import CELL_INPUTS
from .equation_cache import PreparedEquations
from .group_equations import GROUP_INPUTS
from .parameters import CellParameters

__all__ = ["CellConditions", "Demand", "GroupHistory", "GroupSolver"]

_logger = logging.getLogger(__name__)

# The integrator restarts at every change of the inputs; where nothing jumped, a bold first step halves the work.
_FIRST_STEP = 5.0  # [s]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellConditions:
    """What differs between cells; arrays of shape (n_groups, n_cells).

    Attributes
    ----------
    capacity_scale : ndarray
        Electrode area over that of the parameters [-].
    resistance : ndarray
        Series resistance in all: the cell's own beside its electrodes, and what leads to it [ohm].
    surroundings_temperature : ndarray
        Temperature that the cell exchanges heat with [K].
    surroundings_conductance : ndarray
        Thermal conductance to it [W/K].
    heat_capacity : ndarray
        Heat capacity of the cell [J/K].
    """

    capacity_scale: Array
    resistance: Array
    surroundings_temperature: Array
    surroundings_conductance: Array
    heat_capacity: Array

    def stacked(self) -> Array:
        """Return the inputs of the equations, shape (n_groups, n_cells, n_inputs)."""
        return np.stack(
            [
                self.capacity_scale,
                self.resistance,
                self.surroundings_temperature,
                self.surroundings_conductance,
                self.heat_capacity,
            ],
            axis=-1,
        )

    def rows(self, index: NDArray[np.int64]) -> CellConditions:
        """Return the conditions of some groups."""
        return replace(self, **{name: value[index] for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """What each group is asked for; arrays of shape (n_groups,).

    Attributes
    ----------
    current, rate, curvature : ndarray
        Group current ``current + rate t + curvature t^2`` [A, A/s, A/s^2], ``t`` from the start of the solve.
    hold : ndarray of bool
        Where the voltage is held instead.
    voltage, voltage_rate : ndarray
        Voltage to hold, ``voltage + voltage_rate t`` [V, V/s].
    """

    current: Array
    rate: Array
    curvature: Array
    hold: Array
    voltage: Array
    voltage_rate: Array

    @classmethod
    def of_current(cls, current: Array, rate: Array | float = 0.0, curvature: Array | float = 0.0) -> Demand:
        """Return a demand for current [A]."""
        current = np.asarray(current, dtype=np.float64)
        zero = np.zeros(current.shape)
        return cls(
            current=current, rate=zero + rate, curvature=zero + curvature, hold=zero, voltage=zero, voltage_rate=zero
        )

    @classmethod
    def of_voltage(cls, voltage: Array, rate: Array | float = 0.0) -> Demand:
        """Return a demand for a voltage [V] that is held, or changes at a rate [V/s]."""
        voltage = np.asarray(voltage, dtype=np.float64)
        zero = np.zeros(voltage.shape)
        return cls(current=zero, rate=zero, curvature=zero, hold=zero + 1.0, voltage=voltage, voltage_rate=zero + rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupHistory:
    """What a solve gives, at ``n_times`` times.

    Attributes
    ----------
    time : ndarray of shape (n_times,)
        Times since the start of the solve [s].
    states : ndarray of shape (n_groups, n_times, n_states)
        States of the equations.
    voltage : ndarray of shape (n_groups, n_times)
        Group voltage [V].
    current, temperature, soc : ndarray of shape (n_groups, n_times, n_cells)
        Of each cell [A, K, -].
    """

    time: Array
    states: Array
    voltage: Array
    current: Array
    temperature: Array
    soc: Array


class GroupSolver:
    """Integrate parallel groups of the same number of cells with IDAKLU.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    equations : PreparedEquations
        Its equations for a group.
    relative_tolerance : float
        Of the integrator.
    threads : int
        Groups solved at the same time.
    """

    def __init__(
        self,
        parameters: CellParameters,
        equations: PreparedEquations,
        *,
        relative_tolerance: float = 2e-5,
        threads: int = 1,
    ) -> None:
        import casadi
        from pybammsolvers import idaklu  # type: ignore[import-untyped]

        self.parameters = parameters
        self.equations = equations
        self._initial = casadi.Function.deserialize(equations.initial)
        self._observe = casadi.Function.deserialize(equations.observe)
        self._solver = _create_solver(idaklu, equations, relative_tolerance, threads, parameters.capacity)

    @property
    def n_cells(self) -> int:
        """Cells of one group."""
        return self.equations.n_cells

    def rest(self, soc: Array, temperature: Array, conditions: CellConditions) -> Array:
        """Return states of groups whose cells are at rest.

        Parameters
        ----------
        soc, temperature : ndarray of shape (n_groups, n_cells)
            State of charge [-] and temperature [K].
        conditions : CellConditions
            Of the cells.

        Returns
        -------
        ndarray of shape (n_groups, n_states)
            States; the first solve makes voltage and currents agree with them.
        """
        p, e = self.parameters, self.equations
        n_groups = soc.shape[0]
        require_shape("soc", soc, (n_groups, e.n_cells))
        negative = p.negative_empty + soc * (p.negative_full - p.negative_empty)
        positive = p.positive_empty + soc * (p.positive_full - p.positive_empty)
        starts = np.stack([negative, positive, temperature], axis=-1).reshape(-1, 3)
        inputs = conditions.stacked().reshape(-1, len(CELL_INPUTS))
        cells = np.asarray(self._initial.map(starts.shape[0])(inputs.T, starts.T).full(), dtype=np.float64).T
        cells = cells.reshape(n_groups, e.n_cells, -1)
        split = e.n_differential
        voltage = np.interp(soc, p.soc, p.voltage).mean(axis=1)
        return np.concatenate(
            [
                cells[..., :split].reshape(n_groups, -1),
                cells[..., split:].reshape(n_groups, -1),
                np.zeros((n_groups, e.n_cells)),
                voltage[:, np.newaxis],
            ],
            axis=1,
        )

    def solve(self, states: Array, conditions: CellConditions, demand: Demand, times: Array) -> GroupHistory:
        """Integrate all groups over one interval, as far as each can go.

        Parameters
        ----------
        states : ndarray of shape (n_groups, n_states)
            States at the start.
        conditions : CellConditions
            Of the cells, constant over the interval.
        demand : Demand
            Of the groups.
        times : ndarray of shape (n_times,)
            Times to report [s], increasing from 0.

        Returns
        -------
        GroupHistory
            NaN from where a group's electrodes are empty or full and its equations have no solution.
        """
        e = self.equations
        n_groups = states.shape[0]
        asked = [demand.current, demand.rate, demand.curvature, demand.hold, demand.voltage, demand.voltage_rate]
        inputs = np.concatenate(
            [conditions.stacked().reshape(n_groups, -1), np.stack(asked, axis=-1)], axis=1, dtype=np.float64
        )
        found = np.full((n_groups, times.size, e.n_states), np.nan)
        self._integrate(found, np.asarray(times, dtype=np.float64), states, inputs)
        return self.read(np.asarray(times, dtype=np.float64), found)

    def _integrate(self, found: Array, times: Array, states: Array, inputs: Array) -> None:
        """Write the states at the times into ``found``; what cannot be integrated stays NaN."""
        try:
            solutions = self._solver.solve(
                np.array([times[0], times[-1]]), times, np.ascontiguousarray(states), np.zeros_like(states), inputs
            )
        except ValueError as error:  # one group without a solution fails the whole call
            if states.shape[0] == 1:
                _logger.debug("no solution: %s", error)
                return
            for row in range(states.shape[0]):
                one = slice(row, row + 1)
                self._integrate(found[one], times, states[one], inputs[one])
            return
        for row, solution in zip(found, solutions, strict=True):
            reached = np.asarray(solution.y).reshape(-1, row.shape[1])[: times.size]
            known = np.isclose(np.asarray(solution.t)[: reached.shape[0]], times[: reached.shape[0]])
            row[: reached.shape[0]][known] = reached[known]

    def read(self, times: Array, states: Array) -> GroupHistory:
        """Return what states of shape (n_groups, n_times, n_states) mean."""
        e, p = self.equations, self.parameters
        n_groups, n_times = states.shape[:2]
        cells = states[..., : e.n_cells * e.n_differential].reshape(n_groups, n_times, e.n_cells, e.n_differential)
        stoichiometry = cells @ e.stoichiometry_row + e.stoichiometry_offset
        return GroupHistory(
            time=times,
            states=states,
            voltage=states[..., -1],
            current=states[..., -1 - e.n_cells : -1],
            temperature=cells @ e.temperature_row + e.temperature_offset,
            soc=(stoichiometry - p.negative_empty) / (p.negative_full - p.negative_empty),
        )

    def anode_potential(self, history: GroupHistory, conditions: CellConditions) -> Array:
        """Return the anode's potential against lithium at the separator [V]: below 0, lithium plates.

        Returns
        -------
        ndarray of shape (n_groups, n_times, n_cells)
        """
        e = self.equations
        n_groups, n_times = history.voltage.shape
        split = e.n_cells * e.n_differential
        last = split + e.n_cells * e.n_algebraic
        shape = (n_groups, n_times, e.n_cells, -1)
        cells = np.concatenate(
            [history.states[..., :split].reshape(shape), history.states[..., split:last].reshape(shape)]
            if e.n_algebraic
            else [history.states[..., :split].reshape(shape)],
            axis=-1,
        ).reshape(n_groups * n_times * e.n_cells, -1)
        inputs = np.broadcast_to(
            conditions.stacked()[:, np.newaxis], (n_groups, n_times, e.n_cells, len(CELL_INPUTS))
        ).reshape(-1, len(CELL_INPUTS))
        current = history.current.reshape(1, -1)
        found = np.asarray(self._observe.map(cells.shape[0])(cells.T, current, inputs.T).full(), dtype=np.float64)
        potential: Array = found[3].reshape(n_groups, n_times, e.n_cells)
        return potential


def _create_solver(
    idaklu: Any, equations: PreparedEquations, relative_tolerance: float, threads: int, capacity: float
) -> Any:
    e = equations
    n_differential = e.n_cells * e.n_differential
    identity = np.concatenate([np.ones(n_differential), np.zeros(e.n_states - n_differential)]).astype(np.int64)
    # PyBaMM's states are of order one, but for temperature over its reference, where 1e-5 is 3 mK.
    cell_tolerance = np.where(e.temperature_row != 0.0, 0.01, 0.1) * relative_tolerance
    absolute = np.concatenate(
        [
            np.tile(cell_tolerance, e.n_cells),
            np.full(e.n_cells * e.n_algebraic, 0.1 * relative_tolerance),
            np.full(e.n_cells, relative_tolerance * capacity),
            [0.1 * relative_tolerance],
        ]
    )
    options = dict(e.solver_options) | {"num_threads": threads, "num_solvers": threads}
    # An electrode that runs empty ends in ever smaller steps: give up soon, the caller stays within the limits.
    options |= {
        "max_num_steps": 2000,
        "num_steps_no_progress": 60,
        "t_no_progress": 0.5,
        "silence_sundials_errors": True,
        "dt_init": _FIRST_STEP,
    }
    functions = {name: idaklu.generate_function(text) for name, text in e.functions.items()}
    return idaklu.create_casadi_solver_group(
        number_of_states=e.n_states,
        number_of_parameters=0,
        rhs_alg=functions["rhs_alg"],
        jac_times_cjmass=functions["jac_times_cjmass"],
        jac_times_cjmass_colptrs=e.column_starts,
        jac_times_cjmass_rowvals=e.rows,
        jac_times_cjmass_nnz=e.rows.size,
        jac_bandwidth_lower=e.bandwidths[0],
        jac_bandwidth_upper=e.bandwidths[1],
        jac_action=functions["jac_action"],
        mass_action=functions["mass_action"],
        sens=functions["sens"],
        events=functions["events"],
        number_of_events=0,
        rhs_alg_id=identity,
        atol=absolute,
        rtol=relative_tolerance,
        inputs=e.n_cells * len(CELL_INPUTS) + len(GROUP_INPUTS),
        var_fcns=[],
        dvar_dy_fcns=[],
        dvar_dp_fcns=[],
        options=options,
        alg_res=functions["alg_res"],
        alg_jac=functions["alg_jac"],
    )
