r"""The size of error to expect, learnt from errors on cells that were held out.

.. math:: \ln s(x) = a + \sum_i b_i\, (g_i(x) - \bar g_i) / \sigma_i

fitted by the likelihood of a Laplace distribution of that scale. Signals of doubt may only raise the scale: their
weights are held at zero or above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["ErrorScale", "cell_weights", "fit_error_scale"]

SMALLEST, LARGEST = 1e-3, 0.5  # [SOH] bounds of the scale


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorScale:
    """A fitted scale.

    Attributes
    ----------
    intercept : float
        Logarithm of the scale at the mean signals.
    centre, width : ndarray of shape (n_signals,)
        Mean and standard deviation of the signals.
    weights : ndarray of shape (n_signals,)
        Of the standardised signals.
    """

    intercept: float
    centre: Array
    width: Array
    weights: Array

    def of(self, signals: Array) -> Array:
        """Return the scale [SOH], shape (n,), of signals (n, n_signals)."""
        logarithm = self.intercept + ((signals - self.centre) / self.width) @ self.weights
        scale: Array = np.exp(np.clip(logarithm, np.log(SMALLEST), np.log(LARGEST)))
        return scale


def cell_weights(cells: NDArray[np.str_]) -> Array:
    """Return weights of rows, shape (n,), that sum to one and give every cell the same."""
    names, index, counts = np.unique(cells, return_inverse=True, return_counts=True)
    weights: Array = 1.0 / (counts[index] * names.size)
    return weights


def fit_error_scale(
    signals: Array, error: Array, weights: Array, *, doubt: NDArray[np.bool_], ridge: float = 0.02
) -> ErrorScale:
    """Return the scale that fits absolute errors best.

    Parameters
    ----------
    signals : ndarray of shape (n, n_signals)
        Signals of rows.
    error : ndarray of shape (n,)
        Absolute errors [SOH].
    weights : ndarray of shape (n,)
        Weights of rows; they sum to one.
    doubt : ndarray of bool, shape (n_signals,)
        Signals that may only raise the scale.
    ridge : float
        Penalty on the squares of weights.
    """
    from scipy.optimize import minimize

    centre = weights @ signals
    width = np.sqrt(weights @ (signals - centre) ** 2)
    width = np.where(width > 1e-9, width, 1.0)
    standard = (signals - centre) / width

    def loss(values: Array) -> tuple[float, Array]:
        logarithm = values[0] + standard @ values[1:]
        ratio = error * np.exp(-logarithm)
        slope = weights * (1.0 - ratio)
        gradient = np.append(slope.sum(), standard.T @ slope + 2.0 * ridge * values[1:])
        return float(weights @ (logarithm + ratio) + ridge * values[1:] @ values[1:]), gradient

    start = np.append(np.log(max(float(weights @ error), SMALLEST)), np.zeros(signals.shape[1]))
    bounds = [(None, None), *((0.0, None) if one else (None, None) for one in doubt)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return ErrorScale(intercept=float(found[0]), centre=centre, width=width, weights=found[1:])
