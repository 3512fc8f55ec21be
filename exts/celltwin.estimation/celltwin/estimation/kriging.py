r"""Ordinary kriging with a Matérn covariance.

The field is a constant nobody knows plus a smooth random field; the estimate at a point is the weighted sum of
sensor readings that is unbiased and has the least variance:

.. math::
    \begin{pmatrix} C + N & 1 \\ 1^T & 0 \end{pmatrix}
    \begin{pmatrix} w \\ \mu \end{pmatrix} = \begin{pmatrix} c \\ 1 \end{pmatrix}, \qquad
    \sigma^2 = C(0) - w^T c - \mu

The weights depend on where the sensors stand, not on what they read.

References
----------
.. [1] N. Cressie, *Statistics for Spatial Data*, Wiley, 1993, ch. 3.
"""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

__all__ = ["matern_covariance", "solve_weights"]


def matern_covariance(distance: Array, spread: float, length: float) -> Array:
    """Return the covariance (smoothness 3/2) of two points of the field a distance apart.

    Parameters
    ----------
    distance : ndarray
        Distances [m].
    spread : float
        Standard deviation of the field [unit of the field].
    length : float
        Correlation length [m].
    """
    scaled = np.sqrt(3.0) * distance / length
    covariance: Array = spread**2 * (1.0 + scaled) * np.exp(-scaled)
    return covariance


def solve_weights(
    targets: Array, sensors: Array, uncertainty: Array, spread: float, length: float
) -> tuple[Array, Array]:
    """Return the weight of each sensor for each target, and the variance of the estimate.

    Parameters
    ----------
    targets : ndarray of shape (n, 3)
        Where the field is wanted [m].
    sensors : ndarray of shape (n, k, 3)
        Places of the sensors that each target uses [m].
    uncertainty : ndarray of shape (n, k)
        Standard uncertainty of their readings.
    spread, length : float
        Standard deviation [unit of the field] and correlation length [m] of the field.

    Returns
    -------
    weights : ndarray of shape (n, k)
        Weights; those of a target sum to one.
    variance : ndarray of shape (n,)
        Variance of the estimate.
    """
    n, k = uncertainty.shape
    apart = np.linalg.norm(sensors[:, :, np.newaxis] - sensors[:, np.newaxis], axis=3)
    away = np.linalg.norm(sensors - targets[:, np.newaxis], axis=2)
    system = np.ones((n, k + 1, k + 1))
    system[:, :k, :k] = matern_covariance(apart, spread, length)
    diagonal = np.arange(k)
    # Two sensors at one place must not make the system singular.
    system[:, diagonal, diagonal] += np.maximum(uncertainty, 1e-4 * spread) ** 2
    system[:, k, k] = 0.0
    wanted = np.ones((n, k + 1))
    wanted[:, :k] = matern_covariance(away, spread, length)
    solution = np.linalg.solve(system, wanted[:, :, np.newaxis])[:, :, 0]
    variance = spread**2 - np.einsum("nk,nk->n", solution, wanted)
    return solution[:, :k], np.maximum(variance, 0.0)
