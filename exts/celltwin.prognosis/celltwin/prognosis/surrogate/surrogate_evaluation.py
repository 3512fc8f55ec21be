"""A surrogate against the DFN: errors of every run, and figures with intervals over profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .campaign import CampaignSet
from .surrogate_module import cell_tensors

__all__ = ["QUANTITIES", "RunErrors", "score_surrogate"]

QUANTITIES = ("voltage", "temperature", "anode_potential", "negative_surface", "positive_surface")
RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class RunErrors:
    """Errors over the rows of each run that lie between the voltage limits, trusted or not.

    Attributes
    ----------
    kinds : tuple of str
        Kind of each run's profile.
    rows : ndarray of int of shape (n_runs,)
        Rows that count.
    squares : dict of str to ndarray of shape (n_runs,)
        Sum of squared errors of each quantity.
    largest : dict of str to ndarray of shape (n_runs,)
        Largest error of each quantity.
    flagged : ndarray of shape (n_runs,)
        Share of the rows that the surrogate does not trust itself on.
    """

    kinds: tuple[str, ...]
    rows: NDArray[np.int64]
    squares: dict[str, Array]
    largest: dict[str, Array]
    flagged: Array

    def of_kind(self, kind: str) -> NDArray[np.int64]:
        """Return the runs of a kind; all where it is empty."""
        return np.array([index for index, own in enumerate(self.kinds) if kind in ("", own)], dtype=np.int64)

    def rmse(self, quantity: str, kind: str = "") -> float:
        """Return the root of the mean squared error over all rows of a kind."""
        chosen = self.of_kind(kind)
        return float(np.sqrt(self.squares[quantity][chosen].sum() / self.rows[chosen].sum()))

    def interval(self, quantity: str, kind: str = "", *, seed: int = 0) -> tuple[float, float]:
        """Return the 95 % interval of :meth:`rmse`, by drawing profiles anew."""
        chosen = self.of_kind(kind)
        drawn = np.random.default_rng(seed).choice(chosen, (RESAMPLES, chosen.size))
        means = self.squares[quantity][drawn].sum(1) / self.rows[drawn].sum(1)
        low, high = np.sqrt(np.percentile(means, [2.5, 97.5]))
        return float(low), float(high)


def score_surrogate(surrogate: Any, data: CampaignSet) -> RunErrors:
    """Return the errors of whole courses: temperatures are the surrogate's own, never the DFN's.

    Parameters
    ----------
    surrogate : torch.nn.Module
        See :func:`build_surrogate`.
    data : CampaignSet
        Simulations to compare with.
    """
    import torch

    with torch.inference_mode():
        found, _ = surrogate(
            cell_tensors(data.inputs),
            torch.as_tensor(data.current, dtype=torch.float32),
            torch.as_tensor(data.current_end, dtype=torch.float32),
        )
    voltage = data.values["voltage"]
    inside = (voltage >= surrogate.laws.lowest_voltage) & (voltage <= surrogate.laws.highest_voltage)
    squares, largest = {}, {}
    for name in QUANTITIES:
        error = np.where(inside, getattr(found, name).numpy() - data.values[name], 0.0)
        squares[name] = (error**2).sum(axis=0)
        largest[name] = np.abs(error).max(axis=0)
    rows = inside.sum(axis=0)
    flagged = (inside & ~found.trusted.numpy()).sum(axis=0) / np.maximum(rows, 1)
    return RunErrors(kinds=data.kinds, rows=rows, squares=squares, largest=largest, flagged=flagged)
