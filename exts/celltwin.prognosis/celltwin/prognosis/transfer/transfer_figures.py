"""Figures of a transfer: errors of every method, and what each gains over training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["MethodFigures", "cell_errors", "score_methods"]

RESAMPLES = 2000
INTERVAL = (5.0, 95.0)  # percentiles of the resampled figures


@dataclass(frozen=True, kw_only=True)
class MethodFigures:
    """Figures of one method; every cell weighs alike.

    Attributes
    ----------
    method : str
        Which.
    mape : float
        Mean absolute percentage error of SOH, mean over cells and seeds [%].
    low, high : float
        90 % interval of it when cells and seeds are drawn anew [%].
    scatter : float
        Standard deviation between seeds, each with cells and networks of its own [%]; NaN of one seed.
    gain, gain_low, gain_high : float
        Error of training from scratch less its own, and the 90 % interval of it, cells and seeds paired [%].
    """

    method: str
    mape: float
    low: float
    high: float
    scatter: float
    gain: float
    gain_low: float
    gain_high: float

    def as_dict(self) -> dict[str, object]:
        """Return the figures as JSON takes them."""
        return asdict(self)


def cell_errors(predicted: Array, soh: Array, cell: NDArray[np.str_]) -> Array:
    """Return the mean absolute percentage error of each cell, in the order of their names.

    Parameters
    ----------
    predicted : ndarray of shape (n_seeds, n)
        SOH of each seed [-].
    soh, cell : ndarray of shape (n,)
        Labels [-] and names of the cells.

    Returns
    -------
    ndarray of shape (n_seeds, n_cells)
        Errors [%].
    """
    names, index, counts = np.unique(cell, return_inverse=True, return_counts=True)
    errors = 100.0 * np.abs(predicted - soh) / soh
    return np.stack([np.bincount(index, weights=row, minlength=names.size) / counts for row in errors])


def score_methods(
    predicted: Mapping[str, Array], soh: Array, cell: NDArray[np.str_], *, against: str = "scratch", seed: int = 0
) -> dict[str, MethodFigures]:
    """Return the figures of methods by name.

    Parameters
    ----------
    predicted : mapping of str to ndarray of shape (n_seeds, n)
        SOH by method [-].
    soh, cell : ndarray of shape (n,)
        Labels [-] and names of the cells.
    against : str
        Method that gains are counted from.
    seed : int
        Seed of the resampling.
    """
    errors = {method: cell_errors(found, soh, cell) for method, found in predicted.items()}
    n_seeds, n_cells = errors[against].shape
    random = np.random.default_rng(seed)
    seeds = random.integers(0, n_seeds, (RESAMPLES, n_seeds))
    cells = random.integers(0, n_cells, (RESAMPLES, n_cells))

    def again(values: Array) -> Array:
        drawn: Array = values[seeds[:, :, np.newaxis], cells[:, np.newaxis, :]].mean(axis=(1, 2))
        return drawn

    figures = {}
    for method, found in errors.items():
        gain = errors[against] - found
        low, high = np.percentile(again(found), INTERVAL)
        gain_low, gain_high = np.percentile(again(gain), INTERVAL)
        figures[method] = MethodFigures(
            method=method,
            mape=float(found.mean()),
            low=float(low),
            high=float(high),
            scatter=float(found.mean(axis=1).std(ddof=1)) if n_seeds > 1 else float("nan"),
            gain=float(gain.mean()),
            gain_low=float(gain_low),
            gain_high=float(gain_high),
        )
    return figures
