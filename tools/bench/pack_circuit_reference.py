"""A small pack solved independently: PyBaMM cells, Kirchhoff and heat as one differential-algebraic system.

Nothing of the engine is used here: the cells are PyBaMM's finite volumes on a fine mesh, all equations are solved at
the same time by the implicit integrator IDA with variable order and step, and no splitting in time is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import Array, CelltwinError
from celltwin.physics import CellParameters
from celltwin.physics.cell_equations import CellEquations, Mesh, discretise_cell

__all__ = [
    "CircuitReference",
    "CircuitReferenceError",
    "DutyPart",
    "ReferenceHistory",
    "ReferencePack",
    "solve_reference",
]

FINE_MESH = Mesh(electrode=16, separator=8, particle=40)
TOLERANCE = 1e-7


class CircuitReferenceError(CelltwinError):
    """The reference has no solution."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferencePack:
    """A string of parallel groups, and its heat; arrays of shape (n_groups, parallel) unless stated.

    Attributes
    ----------
    capacity_scale : ndarray
        Electrode area over that of the parameters [-].
    resistance : ndarray
        All that is ohmic between the porous electrodes and the busbar: its heat stays in the cell [ohm].
    soc, temperature : ndarray
        At the start, at rest [-, K].
    heat_capacity, ambient_conductance : ndarray
        Of each cell [J/K]; to the ambient [W/K].
    conduction : ndarray of shape (n_cells, n_cells)
        Between cells in pack order, symmetric [W/K].
    rail_resistance : ndarray of shape (n_groups,)
        Of a segment of busbar between neighbours, for each of the two rails [ohm].
    opposite_feed : bool
        Whether current enters at the first and leaves at the last position, or does both at the first.
    link_resistance : float
        Of all links between groups together [ohm].
    ambient_temperature : float
        [K].
    """

    capacity_scale: Array
    resistance: Array
    soc: Array
    temperature: Array
    heat_capacity: Array
    ambient_conductance: Array
    conduction: Array
    rail_resistance: Array
    opposite_feed: bool
    link_resistance: float
    ambient_temperature: float


@dataclass(frozen=True, kw_only=True)
class DutyPart:
    """A time of constant current, or of constant power.

    Attributes
    ----------
    name : str
        For people.
    duration : float
        [s].
    current : float
        At the terminals [A, positive on discharge].
    power : float or None
        At the terminals [W]; takes the place of the current.
    """

    name: str
    duration: float
    current: float = 0.0
    power: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceHistory:
    """The solution at sample times.

    Attributes
    ----------
    time : ndarray of shape (n_samples,)
        [s].
    part : ndarray of int, shape (n_samples,)
        Part of the duty that each sample ends.
    pack_current, pack_voltage : ndarray of shape (n_samples,)
        At the terminals [A, V].
    cell_current, cell_temperature, cell_soc : ndarray of shape (n_samples, n_cells)
        Of each cell in pack order [A, K, -].
    """

    time: Array
    part: Array
    pack_current: Array
    pack_voltage: Array
    cell_current: Array
    cell_temperature: Array
    cell_soc: Array


class CircuitReference:
    """The system of equations of a pack, ready for IDA.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    pack : ReferencePack
        The pack.
    fidelity : {"SPMe", "DFN", "SPM"}
        PyBaMM's model.
    mesh : Mesh
        Finite volumes of a cell.
    """

    def __init__(
        self, parameters: CellParameters, pack: ReferencePack, *, fidelity: str = "SPMe", mesh: Mesh = FINE_MESH
    ) -> None:
        self.parameters, self.pack = parameters, pack
        self.cell = discretise_cell(parameters, fidelity, mesh, exact_tables=True)
        self.n_groups, self.parallel = pack.capacity_scale.shape
        self.n_cells = self.n_groups * self.parallel
        self._functions, self._read = self._equations()
        self._solver = _create_solver(self._functions, self.cell, self.n_cells, self.n_groups)

    def rest(self) -> Array:
        """Return the states of cells at rest, with guesses for what the circuit adds, of shape (n_states,)."""
        p, e = self.parameters, self.cell
        soc = self.pack.soc.reshape(-1)
        starts = np.stack(
            [
                p.negative_empty + soc * (p.negative_full - p.negative_empty),
                p.positive_empty + soc * (p.positive_full - p.positive_empty),
                self.pack.temperature.reshape(-1),
            ]
        )
        inputs = np.stack(
            [
                self.pack.capacity_scale.reshape(-1),
                self.pack.resistance.reshape(-1),
                np.full(self.n_cells, self.pack.ambient_temperature),
                np.ones(self.n_cells),
                self.pack.heat_capacity.reshape(-1),
            ]
        )
        cells = np.asarray(e.initial.map(self.n_cells)(inputs, starts).full(), dtype=np.float64).T
        voltage = np.interp(self.pack.soc, p.soc, p.voltage).mean(axis=1)
        return np.concatenate(
            [
                cells[:, : e.n_differential].reshape(-1),
                cells[:, e.n_differential :].reshape(-1),
                np.zeros(self.n_cells),
                voltage,
                [0.0],
            ]
        )

    def integrate(self, state: Array, part: DutyPart, times: Array) -> Array:
        """Return the states at times from the start of a part, of shape (n_times, n_states).

        Raises
        ------
        CircuitReferenceError
            If IDA finds no solution.
        """
        asked = np.array([[part.current if part.power is None else part.power, float(part.power is not None)]])
        try:
            found = self._solver.solve(
                np.array([times[0], times[-1]]),
                np.ascontiguousarray(times),
                np.ascontiguousarray(state[np.newaxis]),
                np.zeros((1, state.size)),
                asked,
            )[0]
        except ValueError as error:
            raise CircuitReferenceError(f"the reference has no solution in '{part.name}': {error}") from error
        states = np.asarray(found.y, dtype=np.float64).reshape(-1, state.size)
        if states.shape[0] < times.size or not np.isfinite(states).all():
            raise CircuitReferenceError(f"the reference stops in '{part.name}' at {float(found.t[-1]):.1f} s")
        return states[: times.size]

    def read(self, states: Array) -> dict[str, Array]:
        """Return what states of shape (n_samples, n_states) mean, by the names of :class:`ReferenceHistory`."""
        e, p = self.cell, self.parameters
        n_samples = states.shape[0]
        cells = states[:, : self.n_cells * e.n_differential].reshape(n_samples, self.n_cells, e.n_differential)
        stoichiometry = cells @ e.stoichiometry_row + e.stoichiometry_offset
        first = states.shape[1] - 1 - self.n_groups - self.n_cells
        return {
            "pack_current": states[:, -1],
            "pack_voltage": np.array([float(self._read(row)) for row in states]),
            "cell_current": states[:, first : first + self.n_cells],
            "cell_temperature": cells @ e.temperature_row + e.temperature_offset,
            "cell_soc": (stoichiometry - p.negative_empty) / (p.negative_full - p.negative_empty),
        }

    def _equations(self) -> tuple[dict[str, Any], Any]:
        import casadi

        pack, e = self.pack, self.cell
        nd, na, n = e.n_differential, e.n_algebraic, self.n_cells
        size = n * (nd + na + 1) + self.n_groups + 1
        time, y, p = casadi.SX.sym("t"), casadi.SX.sym("y", size), casadi.SX.sym("p", 2)
        cj, v = casadi.SX.sym("cj"), casadi.SX.sym("v", size)
        inner = [y[k * nd : (k + 1) * nd] for k in range(n)]
        outer = [y[n * nd + k * na : n * nd + (k + 1) * na] for k in range(n)]
        at = n * (nd + na)
        currents, between, through = y[at : at + n], y[at + n : at + n + self.n_groups], y[-1]
        temperature = [casadi.dot(casadi.DM(e.temperature_row), part) + e.temperature_offset for part in inner]
        rates, algebraic, kirchhoff, sums = [], [], [], []
        whole = -pack.link_resistance * through
        for group in range(self.n_groups):
            rail = float(pack.rail_resistance[group])
            drawn = casadi.SX(0)  # by the cells up to a position
            place = between[group]
            ends = between[group]
            for position in range(self.parallel):
                k = group * self.parallel + position
                out = e.residual(casadi.vertcat(inner[k], outer[k]), currents[k], self._inputs(k, temperature))
                rates.append(out[:nd])
                algebraic.append(out[nd : nd + na])
                kirchhoff.append(out[nd + na] - place)
                drawn = drawn + currents[k]
                if position < self.parallel - 1:
                    # Ohm's law along the positive rail, then along the negative one
                    if pack.opposite_feed:
                        place = place - rail * drawn + rail * (through - drawn)
                        ends = ends - rail * drawn
                    else:
                        place = place + 2.0 * rail * (through - drawn)
            sums.append(drawn - through)
            whole = whole + ends
        drive = casadi.if_else(p[1] > 0.5, through * whole - p[0], through - p[0])
        residual = casadi.vertcat(*rates, *algebraic, *kirchhoff, *sums, drive)
        jacobian = casadi.jacobian(residual, y)
        mass = casadi.diag(casadi.DM(np.concatenate([np.ones(n * nd), np.zeros(size - n * nd)])))
        mass = casadi.sparsify(mass)
        functions = {
            "rhs_alg": casadi.Function("rhs_alg", [time, y, p], [residual]),
            "jac_times_cjmass": casadi.Function("jac_times_cjmass", [time, y, p, cj], [jacobian - cj * mass]),
            "jac_action": casadi.Function("jac_action", [time, y, p, v], [jacobian @ v]),
            "mass_action": casadi.Function("mass_action", [v], [casadi.densify(mass @ v)]),
            "events": casadi.Function("events", [time, y, p], [casadi.SX(0, 1)]),
            "alg_res": casadi.Function("alg_res", [time, y, p], [residual[n * nd :]]),
            "alg_jac": casadi.Function("alg_jac", [time, y, p], [jacobian[n * nd :, n * nd :]]),
            "sens": casadi.Function("sens", [], []),
        }
        return functions, casadi.Function("read", [y], [whole])

    def _inputs(self, cell: int, temperature: Sequence[Any]) -> Any:
        """Return a cell's inputs; its surroundings are the mean of ambient and neighbours, by conductance."""
        import casadi

        pack = self.pack
        ambient = float(pack.ambient_conductance.reshape(-1)[cell])
        total, weighted = ambient, casadi.SX(ambient * pack.ambient_temperature)
        for other in np.flatnonzero(pack.conduction[cell]):
            conductance = float(pack.conduction[cell, other])
            total += conductance
            weighted = weighted + conductance * temperature[int(other)]
        return casadi.vertcat(
            float(pack.capacity_scale.reshape(-1)[cell]),
            float(pack.resistance.reshape(-1)[cell]),
            weighted / total if total > 0.0 else pack.ambient_temperature,
            total,
            float(pack.heat_capacity.reshape(-1)[cell]),
        )


def solve_reference(
    parameters: CellParameters,
    pack: ReferencePack,
    duty: Sequence[DutyPart],
    *,
    period: float = 1.0,
    fidelity: str = "SPMe",
    mesh: Mesh = FINE_MESH,
) -> ReferenceHistory:
    """Solve a pack through a duty.

    Parameters
    ----------
    parameters : CellParameters
        The cell.
    pack : ReferencePack
        The pack.
    duty : sequence of DutyPart
        What is asked of it.
    period : float
        Time between samples [s]; each duration must be a multiple of it.
    fidelity : {"SPMe", "DFN", "SPM"}
        PyBaMM's model.
    mesh : Mesh
        Finite volumes of a cell.

    Raises
    ------
    CircuitReferenceError
        If there is no solution.

    References
    ----------
    .. [1] A. C. Hindmarsh et al., SUNDIALS: suite of nonlinear and differential/algebraic equation solvers, ACM
       Trans. Math. Software 31 (2005) 363.
    """
    reference = CircuitReference(parameters, pack, fidelity=fidelity, mesh=mesh)
    state, begun = reference.rest(), 0.0
    found: list[dict[str, Array]] = []
    for number, part in enumerate(duty):
        count = round(part.duration / period)
        times = np.concatenate([[0.0], period * np.arange(1, count + 1)])
        states = reference.integrate(state, part, times)
        state = states[-1]
        samples = reference.read(states[1:])
        found.append({"time": begun + times[1:], "part": np.full(count, number), **samples})
        begun += part.duration
    return ReferenceHistory(**{name: np.concatenate([entry[name] for entry in found]) for name in found[0]})


def _create_solver(functions: dict[str, Any], cell: CellEquations, n_cells: int, n_groups: int) -> Any:
    import pybamm
    from pybammsolvers import idaklu  # type: ignore[import-untyped]

    nd = cell.n_differential
    size = n_cells * (nd + cell.n_algebraic + 1) + n_groups + 1
    sparsity = functions["jac_times_cjmass"].sparsity_out(0)
    # PyBaMM's states are of order one; temperature over its reference needs two digits more.
    own = np.where(cell.temperature_row != 0.0, 0.01, 0.1) * TOLERANCE
    absolute = np.concatenate([np.tile(own, n_cells), np.full(size - n_cells * nd, 0.1 * TOLERANCE)])
    options = dict(pybamm.IDAKLUSolver(options={"hermite_interpolation": False}).options)
    options |= {"num_threads": 1, "num_solvers": 1, "max_num_steps": 100000, "silence_sundials_errors": True}
    made = {name: idaklu.generate_function(function.serialize()) for name, function in functions.items()}
    return idaklu.create_casadi_solver_group(
        number_of_states=size,
        number_of_parameters=0,
        rhs_alg=made["rhs_alg"],
        jac_times_cjmass=made["jac_times_cjmass"],
        jac_times_cjmass_colptrs=np.array(sparsity.colind(), dtype=np.int64),
        jac_times_cjmass_rowvals=np.array(sparsity.row(), dtype=np.int64),
        jac_times_cjmass_nnz=sparsity.nnz(),
        jac_bandwidth_lower=sparsity.bw_lower(),
        jac_bandwidth_upper=sparsity.bw_upper(),
        jac_action=made["jac_action"],
        mass_action=made["mass_action"],
        sens=made["sens"],
        events=made["events"],
        number_of_events=0,
        rhs_alg_id=np.concatenate([np.ones(n_cells * nd), np.zeros(size - n_cells * nd)]).astype(np.int64),
        atol=absolute,
        rtol=TOLERANCE,
        inputs=2,
        var_fcns=[],
        dvar_dy_fcns=[],
        dvar_dp_fcns=[],
        options=options,
        alg_res=made["alg_res"],
        alg_jac=made["alg_jac"],
    )
