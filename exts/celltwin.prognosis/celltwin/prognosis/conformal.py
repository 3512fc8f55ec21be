"""Conformal quantiles of scores that come in cells: cycles of one cell are not independent, cells are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["cell_quantile"]


def cell_quantile(scores: Array, cells: NDArray[np.str_], level: float, *, unseen: float = 1.0) -> float:
    """Return the score that a share of the cycles of a new cell stays below.

    Every cell weighs the same however long it lived, and the unseen cell counts as one more with scores above
    all others, so that few calibration cells give a wide interval.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Conformity scores of calibration cycles.
    cells : ndarray of str, shape (n,)
        Cell of each.
    level : float
        Share wanted, in (0, 1).
    unseen : float
        How many cells the unseen one counts as. With 1 the level is guaranteed to be reached; with 0 it is what
        is expected, neither more nor less.

    Returns
    -------
    float
        The quantile; infinite if the cells are too few for the level.

    References
    ----------
    .. [1] R. Dunn, L. Wasserman, A. Ramdas, "Distribution-free prediction sets for two-layer hierarchical models",
       Journal of the American Statistical Association 118 (2023).
    """
    names, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
    weights = 1.0 / (counts[index] * (names.size + unseen))
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) >= level - 1e-12
    return float(scores[order][np.argmax(reached)]) if reached.any() else float("inf")
