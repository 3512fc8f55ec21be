"""One parallel group as one differential-algebraic system: cells that share a voltage and split a current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .cell_equations import CELL_INPUTS, CellEquations

if TYPE_CHECKING:
    import casadi

__all__ = ["GROUP_INPUTS", "GroupEquations", "join_cells"]

# After the inputs of the cells: the group current a + b t + c t^2 [A], then the switch to a voltage d + e t [V].
GROUP_INPUTS = ("current", "current rate", "current curvature", "hold voltage", "voltage", "voltage rate")


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupEquations:
    """The functions that IDAKLU integrates for a group of ``n`` cells.

    The states are, in this order: differential states, cell by cell; algebraic states, cell by cell; the current
    of each cell [A]; the voltage of the group [V].

    Attributes
    ----------
    n_cells, n_differential, n_algebraic : int
        Cells, and states of each.
    functions : dict of casadi.Function
        By the names of ``pybammsolvers.idaklu.create_casadi_solver_group``.
    column_starts, rows : ndarray of int
        Sparsity of the Jacobian, by columns.
    bandwidths : tuple of int
        Lower and upper bandwidth of the Jacobian.
    """

    n_cells: int
    n_differential: int
    n_algebraic: int
    functions: dict[str, casadi.Function]
    column_starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    bandwidths: tuple[int, int]


def join_cells(cell: CellEquations, n_cells: int) -> GroupEquations:
    r"""Return the equations of a parallel group.

    .. math::
        \dot y_k = f(y_k, I_k), \quad V(y_k, I_k) = V, \quad \sum_k I_k = I(t) \ \text{or}\ V = V_\mathrm{held}

    Kirchhoff's laws are algebraic equations of the same system, so the cells share the voltage and conserve the
    current at every step of the integrator.

    Parameters
    ----------
    cell : CellEquations
        One cell.
    n_cells : int
        Cells in parallel.
    """
    import casadi

    nd, na = cell.n_differential, cell.n_algebraic
    ny, inputs = nd + na, len(CELL_INPUTS)
    size = n_cells * (ny + 1) + 1
    time, y, cj = casadi.MX.sym("t"), casadi.MX.sym("y", size), casadi.MX.sym("cj")
    p, v = casadi.MX.sym("p", inputs * n_cells + len(GROUP_INPUTS)), casadi.MX.sym("v", size)
    states = casadi.vertcat(
        casadi.reshape(y[: nd * n_cells], nd, n_cells), casadi.reshape(y[nd * n_cells : ny * n_cells], na, n_cells)
    )
    currents, voltage = casadi.reshape(y[ny * n_cells : -1], 1, n_cells), y[-1]
    u = casadi.reshape(p[: inputs * n_cells], inputs, n_cells)
    a, b, c, hold, held, ramp = casadi.vertsplit(p[inputs * n_cells :])

    out = cell.residual.map(n_cells)(states, currents, u)
    balance = (1 - hold) * (casadi.sum2(currents) - (a + time * (b + time * c))) + hold * (voltage - held - time * ramp)
    residual = casadi.vertcat(casadi.vec(out[:nd, :]), casadi.vec(out[nd:ny, :]), out[ny, :].T - voltage, balance)

    symbol: Any = casadi.SX if cell.residual.is_a("SXFunction") else casadi.MX  # tables are looked up in matrices only
    one_y, one_i, one_u = symbol.sym("y", ny), symbol.sym("i"), symbol.sym("u", inputs)
    one = casadi.jacobian(cell.residual(one_y, one_i, one_u), casadi.vertcat(one_y, one_i))
    one_jacobian = casadi.Function("cell_jacobian", [one_y, one_i, one_u], [one])
    blocks = one_jacobian.map(n_cells)(states, currents, u)
    first = np.array(one.sparsity().row()), np.array(one.sparsity().get_col())

    def place(index: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        in_algebraic = nd * n_cells + k * na + (index - nd)
        return np.where(index < nd, k * nd + index, np.where(index < ny, in_algebraic, ny * n_cells + k))

    k_all = range(n_cells)
    inner = _sparse(
        size,
        np.concatenate([place(first[0], k) for k in k_all]),
        np.concatenate([place(first[1], k) for k in k_all]),
        blocks.nz[:],
    )
    currents_at = ny * n_cells + np.arange(n_cells)
    kirchhoff = _sparse(
        size,
        np.concatenate([currents_at, np.full(n_cells, size - 1), [size - 1]]),
        np.concatenate([np.full(n_cells, size - 1), currents_at, [size - 1]]),
        casadi.vertcat(casadi.MX(-np.ones(n_cells)), casadi.repmat(1 - hold, n_cells, 1), hold),
    )
    jacobian = inner + kirchhoff
    diagonal = np.arange(nd * n_cells)
    mass = _sparse(size, diagonal, diagonal, casadi.MX(np.ones(nd * n_cells)))
    with_mass = jacobian - cj * mass
    functions = {
        "rhs_alg": casadi.Function("rhs_alg", [time, y, p], [residual]),
        "jac_times_cjmass": casadi.Function("jac_times_cjmass", [time, y, p, cj], [with_mass]),
        "jac_action": casadi.Function("jac_action", [time, y, p, v], [jacobian @ v]),
        "mass_action": casadi.Function("mass_action", [v], [casadi.densify(mass @ v)]),
        "events": casadi.Function("events", [time, y, p], [casadi.MX(0, 1)]),
        "alg_res": casadi.Function("alg_res", [time, y, p], [residual[nd * n_cells :]]),
        "alg_jac": casadi.Function("alg_jac", [time, y, p], [jacobian[nd * n_cells :, nd * n_cells :]]),
        "sens": casadi.Function("sens", [], []),
    }
    sparsity = functions["jac_times_cjmass"].sparsity_out(0)
    return GroupEquations(
        n_cells=n_cells,
        n_differential=nd,
        n_algebraic=na,
        functions=functions,
        column_starts=np.array(sparsity.colind(), dtype=np.int64),
        rows=np.array(sparsity.row(), dtype=np.int64),
        bandwidths=(sparsity.bw_lower(), sparsity.bw_upper()),
    )


def _sparse(size: int, rows: NDArray[np.int64], columns: NDArray[np.int64], values: casadi.MX) -> casadi.MX:
    """Return a square sparse matrix from values in any order of their places."""
    import casadi

    sparsity = casadi.Sparsity.triplet(size, size, rows.tolist(), columns.tolist())
    return casadi.MX(sparsity, values[np.lexsort((rows, columns)).tolist()])
