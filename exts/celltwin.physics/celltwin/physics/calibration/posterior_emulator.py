"""A stand-in for simulations: Gaussian processes on the principal components of what a linear model misses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, ModelError

__all__ = ["Emulator", "train_emulator"]

KEPT = 0.9995  # share of the variance that the components keep
MOST_COMPONENTS = 12
FEWEST_SAMPLES = 12


@dataclass(frozen=True, eq=False)
class _Component:
    """One component's process: its kernel's numbers, and the weights of the samples."""

    kernel: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class Emulator:
    """Weighted departures as a function of whitened parameters, linear part included.

    The vectors that it gives are rotated and cut to what can differ; their lengths are those of the full vectors.

    Attributes
    ----------
    samples : ndarray of shape (n, d)
        Whitened parameters that it was trained on.
    constant : ndarray of shape (m,)
        Departures at the origin, rotated.
    slopes : ndarray of shape (m, d)
        The linear part, rotated.
    directions : ndarray of shape (m, k)
        Principal components of the rest, rotated.
    components : tuple
        One process for each.
    accuracy : ndarray of shape (k,)
        Share of each component's variance that samples left out one at a time confirm (1 is exact).
    cost_error : float
        Root mean square error of half the sum of squares, over samples left out one at a time, as far as they are
        no less likely than a posterior's are.
    """

    samples: Array
    constant: Array
    slopes: Array
    directions: Array
    components: tuple[_Component, ...]
    accuracy: Array
    cost_error: float

    def predict(self, positions: Array) -> Array:
        """Return rotated departures of whitened parameters, shape (n_positions, m).

        Parameters
        ----------
        positions : ndarray of shape (n_positions, d)
            Whitened parameters.
        """
        found = self.constant + positions @ self.slopes.T
        if not self.components:
            return np.asarray(found)
        products, distances = _similarity(positions, self.samples)
        scores = np.column_stack([_kernel(products, distances, part.kernel) @ part.weights for part in self.components])
        return np.asarray(found + scores @ self.directions.T)


def train_emulator(samples: Array, departures: Array, constant: Array, slopes: Array) -> Emulator:
    r"""Train processes on simulations around an optimum.

    Each principal component of what the linear model misses is a Gaussian process with kernel

    .. math:: k(u, u') = a_1\, u \cdot u' + a_2 (u \cdot u')^2 + a_3 e^{-|u - u'|^2 / (2 b^2)} + a_4 \delta_{uu'}

    whose numbers make the samples most likely.

    Parameters
    ----------
    samples : ndarray of shape (n, d)
        Whitened parameters: origin at the optimum, about one standard deviation long in each direction.
    departures : ndarray of shape (n, m)
        Weighted departures there.
    constant : ndarray of shape (m,)
        Departures at the origin.
    slopes : ndarray of shape (m, d)
        Their derivative there.

    Raises
    ------
    ModelError
        If there are too few samples.

    References
    ----------
    .. [1] D. Higdon et al., J. Am. Stat. Assoc. 103 (2008) 570 (components of high-dimensional output).
    .. [2] C. E. Rasmussen and C. K. I. Williams, *Gaussian Processes for Machine Learning*, MIT Press, 2006, ch. 5.
    """
    if len(samples) < FEWEST_SAMPLES:
        raise ModelError(
            f"{len(samples)} simulations near the optimum came to their end; an emulator needs {FEWEST_SAMPLES}",
            remedy="Ask for more training simulations, or take the Laplace posterior",
        )
    missed = departures - constant - samples @ slopes.T
    left, strengths, right = np.linalg.svd(missed, full_matrices=False)
    shares = np.cumsum(strengths**2) / max(float(np.sum(strengths**2)), 1e-300)
    # A miss of a hundredth of a standard deviation in a sample moves no posterior.
    worthwhile = int(np.count_nonzero(strengths > 1e-2 * np.sqrt(len(samples))))
    count = min(int(np.searchsorted(shares, KEPT)) + 1, MOST_COMPONENTS, worthwhile)
    products, distances = _similarity(samples, samples)
    components, accuracy, left_out = [], [], np.zeros((len(samples), count))
    for index in range(count):
        scores = left[:, index] * strengths[index]
        component, without = _fit(products, distances, scores)
        components.append(component)
        left_out[:, index] = without
        accuracy.append(1.0 - float(np.sum((scores - without) ** 2) / np.sum(scores**2)))
    directions = right[:count].T
    true = 0.5 * np.sum(departures**2, axis=1)
    found = constant + samples @ slopes.T + left_out @ directions.T
    emulated = 0.5 * np.sum(found**2, axis=1)
    size = samples.shape[1]
    near = true - 0.5 * float(constant @ constant) < 0.5 * size + 3.0 * np.sqrt(0.5 * size) + 3.0
    judged = near if np.count_nonzero(near) >= FEWEST_SAMPLES else np.ones(near.size, dtype=bool)
    basis = np.linalg.qr(np.column_stack([constant, slopes, directions]))[0]
    return Emulator(
        samples=samples,
        constant=basis.T @ constant,
        slopes=basis.T @ slopes,
        directions=basis.T @ directions,
        components=tuple(components),
        accuracy=np.array(accuracy),
        cost_error=float(np.sqrt(np.mean((true - emulated)[judged] ** 2))),
    )


def _similarity(left: Array, right: Array) -> tuple[Array, Array]:
    """Return scalar products and squared distances, each per dimension, shape (n_left, n_right)."""
    size = left.shape[1]
    products = left @ right.T / size
    own, other = np.sum(left**2, axis=1) / size, np.sum(right**2, axis=1) / size
    return np.asarray(products), np.asarray(np.maximum(own[:, np.newaxis] + other - 2.0 * products, 0.0))


def _kernel(products: Array, distances: Array, numbers: Array) -> Array:
    return np.asarray(
        numbers[0] * products + numbers[1] * products**2 + numbers[2] * np.exp(-0.5 * distances / numbers[3] ** 2)
    )


def _fit(products: Array, distances: Array, scores: Array) -> tuple[_Component, Array]:
    """Return a component's process, and each sample's score as predicted from the others."""
    from scipy.optimize import minimize

    size = float(np.sqrt(np.mean(scores**2)))
    scaled = scores / size

    def covariance(logs: Array) -> Array:
        numbers = np.exp(logs)
        return np.asarray(_kernel(products, distances, numbers[:4]) + (numbers[4] + 1e-8) * np.eye(scaled.size))

    def surprise(logs: Array) -> float:
        try:
            factor = np.linalg.cholesky(covariance(logs))
        except np.linalg.LinAlgError:
            return 1e10
        solved = np.linalg.solve(factor, scaled)
        return float(0.5 * solved @ solved + np.sum(np.log(np.diag(factor))))

    start = np.log([0.1, 1.0, 0.3, 2.0, 1e-2])
    bounds = [(-14.0, 5.0), (-14.0, 5.0), (-14.0, 5.0), (np.log(0.5), np.log(10.0)), (-14.0, 1.0)]
    best = minimize(surprise, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 25})
    inverse = np.linalg.inv(covariance(np.asarray(best.x)))
    weights = inverse @ scaled
    without = scaled - weights / np.diag(inverse)
    return _Component(np.exp(best.x)[:4], weights * size), without * size
