"""Diffusion in a sphere as exponential filters: eigenvalues, and one last pole for all faster modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from celltwin.core import Array

__all__ = ["SphereModes", "eigenvalues", "mode_shapes"]


@dataclass(frozen=True, eq=False)
class SphereModes:
    r"""Poles by which the surface of a sphere leaves its mean.

    With diffusivity over squared radius :math:`\kappa` and a mean that changes at the rate :math:`m`,

    .. math:: \dot z_i = -\lambda_i^2 \kappa z_i + w_i \lambda_i^2 m / 3, \quad x_s - \bar x = \sum_i z_i

    Attributes
    ----------
    rates : ndarray of shape (n_poles,)
        :math:`\lambda_i^2`: exact but for the last, which stands for all faster modes.
    shares : ndarray of shape (n_poles,)
        :math:`w_i`; they sum to 1/5, the steady value.

    References
    ----------
    .. [1] J. Crank, The Mathematics of Diffusion, 2nd ed., Oxford, 1975, section 6.3.3.
    """

    rates: Array
    shares: Array

    @classmethod
    def first(cls, n_poles: int) -> SphereModes:
        """Return the slowest ``n_poles - 1`` modes and a pole with weight and first moment of the others."""
        exact = eigenvalues(n_poles - 1) ** 2
        weight = 0.2 - np.sum(2.0 / exact)
        moment = 1.0 / 175.0 - np.sum(2.0 / exact**2)
        return cls(np.append(exact, weight / moment), np.append(2.0 / exact, weight))


def eigenvalues(count: int) -> Array:
    """Return the first positive solutions of ``tan(x) = x``, shape (count,)."""
    return np.array(
        [
            brentq(lambda x: np.sin(x) - x * np.cos(x), k * np.pi, (k + 0.5) * np.pi, xtol=1e-14)
            for k in range(1, count + 1)
        ]
    )


def mode_shapes(count: int, radius: Array) -> tuple[Array, Array]:
    """Return the first modes, 1 at the surface, and their slopes, each (count, n_points).

    Parameters
    ----------
    count : int
        Number of modes.
    radius : ndarray of shape (n_points,)
        Radii over that of the particle, above 0.
    """
    number = eigenvalues(count)[:, np.newaxis]
    inside = number * radius
    shapes = np.sin(inside) / (radius * np.sin(number))
    slopes = (inside * np.cos(inside) - np.sin(inside)) / (radius**2 * np.sin(number))
    return shapes, slopes
