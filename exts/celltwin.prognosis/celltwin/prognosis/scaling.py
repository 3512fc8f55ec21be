"""What is learnt about the inputs themselves, from training cells only: their scale and their territory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["InputScaling", "Territory", "fit_scaling", "fit_territory"]

# Added to the covariance of scaled inputs: nearly collinear inputs must not make everything look far away.
SHRINKAGE = 1e-2
SCALES = ("mean", "spread", "stand_in")


@dataclass(frozen=True, kw_only=True, eq=False)
class InputScaling:
    """Mean, spread and stand-in of each input.

    Attributes
    ----------
    mean, spread : ndarray of shape (n_inputs,)
        Of the finite values of training cells.
    stand_in : ndarray of shape (n_inputs,)
        Median of the finite values of training cells; takes the place of a value that is not finite.
    """

    mean: Array
    spread: Array
    stand_in: Array

    def as_dict(self) -> dict[str, list[float]]:
        """Return it as JSON takes it."""
        return {name: getattr(self, name).tolist() for name in SCALES}

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> InputScaling:
        """Return what :meth:`as_dict` gave; KeyError, TypeError or ValueError where it is damaged."""
        return InputScaling(**{name: np.array(content[name], dtype=np.float64) for name in SCALES})

    def apply(self, values: Array) -> Array:
        """Return inputs of shape (..., n_inputs) scaled in their own precision, values that are not finite replaced."""
        mean, spread, stand_in = (each.astype(values.dtype) for each in (self.mean, self.spread, self.stand_in))
        finite = np.isfinite(values)
        scaled: Array = (values if finite.all() else np.where(finite, values, stand_in)) - mean
        scaled /= spread
        return scaled


@dataclass(frozen=True, kw_only=True, eq=False)
class Territory:
    """Where the training data lie: one normal distribution for each protocol, in scaled inputs.

    Attributes
    ----------
    centres : ndarray of shape (n_protocols, n_inputs)
        Means.
    whitening : ndarray of shape (n_protocols, n_inputs, n_inputs)
        Inverse Cholesky factors of the covariances.
    threshold : float
        Distance that 95 % of the cycles of a cell that was left out stay below, by conformal calibration.

    References
    ----------
    .. [1] K. Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial
       attacks", NeurIPS 2018.
    """

    centres: Array
    whitening: Array
    threshold: float

    def distance(self, scaled: Array) -> Array:
        """Return the Mahalanobis distance to the nearest protocol, shape (n,), of scaled inputs (n, n_inputs)."""
        white = self.whitening.reshape(-1, scaled.shape[1]) @ scaled.T
        white = (
            white.reshape(*self.centres.shape, len(scaled))
            - np.einsum("pij,pj->pi", self.whitening, self.centres)[..., np.newaxis]
        )
        distance: Array = np.sqrt((white**2).sum(axis=1).min(axis=0))
        return distance


def fit_scaling(values: Array) -> InputScaling:
    """Return the scaling of training inputs of shape (n, n_inputs)."""
    finite = np.where(np.isfinite(values), values, np.nan)
    spread = np.nanstd(finite, axis=0)
    return InputScaling(
        mean=np.nanmean(finite, axis=0),
        spread=np.where(spread > 0.0, spread, 1.0),
        stand_in=np.nanmedian(finite, axis=0),
    )


def fit_territory(scaled: Array, protocols: NDArray[np.str_], threshold: float = np.inf) -> Territory:
    """Return the territory of scaled training inputs (n, n_inputs) of known protocols (n,)."""
    centres, whitening = [], []
    identity = np.eye(scaled.shape[1])
    for protocol in np.unique(protocols):
        members = scaled[protocols == protocol]
        centres.append(members.mean(axis=0))
        covariance = np.cov(members, rowvar=False).reshape(identity.shape) + SHRINKAGE * identity
        whitening.append(np.linalg.inv(np.linalg.cholesky(covariance)))
    return Territory(centres=np.array(centres), whitening=np.array(whitening), threshold=threshold)
