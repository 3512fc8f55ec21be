"""What a regression on centres says of each cell from all others, without fitting it anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["JITTER", "LeaveOut", "first_rows"]

JITTER = 1e-3  # added to the likeness of centres with themselves


def first_rows(cell: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the first row of each cell, of cells (n,) whose rows lie together."""
    return np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])


class LeaveOut:
    r"""What the regression says of each cell without it, about the mean of all.

    .. math:: y_c - (I - H_{cc})^{-1} (y_c - \hat y_c), \qquad H = K_{XC} A K_{XC}^T

    with A the inverse.

    Parameters
    ----------
    starts : ndarray of int, shape (n_cells,)
        First row of each cell; the rows of a cell lie together.
    likeness : ndarray of shape (n, n_centres)
        Of all rows with the centres.
    inverse : ndarray of shape (n_centres, n_centres)
        A.
    """

    def __init__(self, starts: NDArray[np.intp], likeness: Array, inverse: Array) -> None:
        self._likeness, self._inverse = likeness, inverse
        stops = np.r_[starts[1:], len(likeness)]
        self._cells = [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]
        self._factors = [
            np.linalg.inv(np.eye(some.stop - some.start) - likeness[some] @ inverse @ likeness[some].T)
            for some in self._cells
        ]

    def __call__(self, targets: Array) -> Array:
        """Return what is said of targets of shape (n, n_targets)."""
        mean = targets.mean(axis=0)
        error = targets - mean - self._likeness @ (self._inverse @ (self._likeness.T @ (targets - mean)))
        left_out = np.empty_like(targets)
        for some, factor in zip(self._cells, self._factors, strict=True):
            left_out[some] = targets[some] - factor @ error[some]
        return left_out
