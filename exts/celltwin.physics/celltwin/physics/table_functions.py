"""Tables of parameters as closed forms: straight pieces that compile to few scalar operations.

A look-up keeps casadi from breaking equations down into scalar operations; compiled as matrices, their Jacobian takes a
minute and a half. A sum of absolute values gives the same straight pieces.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

if TYPE_CHECKING:
    import pybamm

__all__ = ["StraightPieces", "replace_tables", "thin_table"]

# Largest difference from a table, by the unit of its values; of other units, this share of the value.
TOLERANCES = {"[V]": 3e-4, "[V.K-1]": 2e-6}
TOLERANCE = 0.01


class StraightPieces:
    """A function of straight pieces, ``level + slope x + sum(bends |x - knots|)``; the outer pieces go on for ever.

    Parameters
    ----------
    x, y : ndarray of shape (n_knots,)
        Knots, rising, and values.
    """

    def __init__(self, x: Array, y: Array) -> None:
        slopes = np.diff(y) / np.diff(x)
        self.knots = x[1:-1]
        self.bends = 0.5 * np.diff(slopes)
        self.slope = float(0.5 * (slopes[0] + slopes[-1]))
        self.level = float(y[0] - self.slope * x[0] - self.bends @ np.abs(x[0] - self.knots))

    def __call__(self, x: Any) -> Any:
        """Return values at numbers, or at a column of casadi symbols."""
        if hasattr(x, "is_symbolic"):
            import casadi

            n_values, n_knots = x.numel(), self.knots.size
            column = casadi.reshape(x, n_values, 1)
            apart = casadi.repmat(column, 1, n_knots) - casadi.repmat(casadi.DM(self.knots).T, n_values, 1)
            return self.level + self.slope * column + casadi.mtimes(casadi.fabs(apart), casadi.DM(self.bends))
        numbers = np.asarray(x, dtype=np.float64)
        return self.level + self.slope * numbers + np.abs(numbers[..., None] - self.knots) @ self.bends


def thin_table(x: Array, y: Array, tolerance: Array | float) -> tuple[Array, Array]:
    """Return the knots of a table that straight pieces need to stay within a tolerance of all others [1]_.

    Parameters
    ----------
    x, y : ndarray of shape (n_knots,)
        Knots, rising, and values.
    tolerance : float or ndarray of shape (n_knots,)
        Largest difference, in the unit of the values.

    References
    ----------
    .. [1] D. H. Douglas, T. K. Peucker, Algorithms for the reduction of the number of points required to represent a
       digitized line, Cartographica 10 (1973) 112.
    """
    kept = np.zeros(x.size, dtype=bool)
    kept[[0, -1]] = True
    open_pieces = [(0, x.size - 1)]
    while open_pieces:
        first, last = open_pieces.pop()
        inner = slice(first + 1, last)
        straight = np.interp(x[inner], x[[first, last]], y[[first, last]])
        excess = np.abs(y[inner] - straight) / np.broadcast_to(tolerance, x.shape)[inner]
        if excess.size and excess.max() > 1.0:
            middle = first + 1 + int(excess.argmax())
            kept[middle] = True
            open_pieces += [(first, middle), (middle, last)]
    return x[kept], y[kept]


def replace_tables(values: pybamm.ParameterValues, *, thinned: bool = True) -> None:
    """Make the tables of one variable among parameter values closed forms.

    Parameters
    ----------
    values : pybamm.ParameterValues
        Changed in place.
    thinned : bool
        Leave out knots within :data:`TOLERANCES`.
    """
    for name in list(values.keys()):
        if callable(values[name]) and not isinstance(values[name], (int, float)):
            values.update({name: _closed(values[name], name, thinned)}, check_already_exists=False)


def _closed(function: Any, name: str, thinned: bool) -> Any:
    def closed(*arguments: Any) -> Any:
        return _without_tables(function(*arguments), name, thinned)

    closed.__name__ = name
    return closed


def _without_tables(symbol: Any, name: str, thinned: bool) -> Any:
    import pybamm

    if not isinstance(symbol, pybamm.Symbol):
        return symbol
    children = [_without_tables(child, name, thinned) for child in symbol.children]
    if isinstance(symbol, pybamm.Interpolant) and len(symbol.x) == 1 and symbol.interpolator == "linear":
        x, y = (np.asarray(part, dtype=np.float64) for part in (symbol.x[0], symbol.y))
        if thinned:
            absolute = next((limit for unit, limit in TOLERANCES.items() if name.endswith(unit)), None)
            tolerance = TOLERANCE * np.abs(y) if absolute is None else np.full(y.shape, absolute)
            x, y = thin_table(x, y, np.maximum(tolerance, 1e-12 * np.abs(y).max()))
        # PyBaMM takes functions of one name and argument for one and the same.
        digest = hashlib.sha256(np.concatenate([x, y]).tobytes()).hexdigest()[:16]
        return pybamm.Function(StraightPieces(x, y), children[0], name=f"straight_pieces_{digest}")
    return symbol.create_copy(new_children=children) if children else symbol
