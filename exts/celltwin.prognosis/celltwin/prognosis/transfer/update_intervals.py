"""Intervals to judge an update by: each cell's are calibrated on the other held-out cells."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

from ..conformal import cell_quantile
from ..past_windows import PastWindows
from .promotion import Answers

__all__ = ["leave_one_out_answers"]


def leave_one_out_answers(held_out: PastWindows, predicted: Array, digest: str, *, level: float = 0.90) -> Answers:
    """Return predictions with conformal intervals, those of a cell calibrated on all other cells.

    Parameters
    ----------
    held_out : PastWindows
        Windows of two cells at least.
    predicted : ndarray of shape (n,)
        SOH [-].
    digest : str
        SHA-256 of the model.
    level : float
        Share of the cycles of a new cell that its intervals are expected to hold.
    """
    errors = np.abs(predicted - held_out.soh)
    half_width = np.empty_like(errors)
    for name in np.unique(held_out.cell):
        own = held_out.cell == name
        half_width[own] = cell_quantile(errors[~own], held_out.cell[~own], level, unseen=0.0)
    return Answers(digest=digest, soh=predicted, half_width=half_width)
