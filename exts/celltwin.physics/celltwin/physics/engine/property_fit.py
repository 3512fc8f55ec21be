"""Functions of a cell as polynomials and tables: least squares, and piecewise cubics with continuous slope.

Everything here is plain NumPy on samples and callables; nothing knows where a function comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array

__all__ = [
    "CubicTable",
    "PropertyScale",
    "build_cubic_table",
    "evaluate_cubic_table",
    "evaluate_property",
    "evaluate_temperature_factor",
    "extend_falling",
    "fit_power_law",
    "fit_property",
    "fit_temperature_factor",
    "refine_cubic_table",
]

CONCENTRATION_TERMS, TEMPERATURE_TERMS = 8, 4
_LAWSON_STEPS = 30  # of reweighting towards the smallest worst error
_SLOPE_STEP = 1e-6  # of the difference that gives slopes at nodes
_CHECKS = 4  # places within an interval where a table is compared with its function


@dataclass(frozen=True, kw_only=True)
class PropertyScale:
    r"""The scaled variables of a property: :math:`\xi = c / c_0 - 1`, :math:`\theta = 1000 (1/T_0 - 1/T)`.

    Attributes
    ----------
    concentration : float
        c_0 [mol/m^3].
    temperature : float
        T_0 [K].
    """

    concentration: float
    temperature: float

    def scaled_concentration(self, concentration: Array | float) -> Array:
        """Return xi [-] of a concentration [mol/m^3]."""
        return np.asarray(concentration, dtype=np.float64) / self.concentration - 1.0

    def scaled_temperature(self, temperature: Array | float) -> Array:
        """Return theta [1000/K] of a temperature [K]."""
        return 1000.0 / self.temperature - 1000.0 / np.asarray(temperature, dtype=np.float64)


def fit_property(
    scale: PropertyScale,
    concentration: Array,
    temperature: Array,
    values: Array,
    *,
    importance: Array | float = 1.0,
) -> tuple[Array, Array]:
    r"""Fit :math:`\sum_{ij} a_{ij} \xi^i \theta^j` with a small worst error.

    Least squares are reweighted by the errors they leave (Lawson's iteration), which tends to the polynomial of the
    smallest worst error; the best coefficients on the way are kept.

    Parameters
    ----------
    scale : PropertyScale
        The scaled variables.
    concentration, temperature : ndarray of shape (n_samples,)
        Where the samples lie [mol/m^3, K].
    values : ndarray of shape (n_samples,)
        The samples.
    importance : ndarray of shape (n_samples,) or float
        What an error is multiplied by before it counts.

    Returns
    -------
    coefficients : ndarray of shape (8, 4)
        a_ij.
    errors : ndarray of shape (n_samples,)
        What the polynomial misses of each sample.

    References
    ----------
    .. [1] J. R. Rice, K. H. Usow, The Lawson algorithm and extensions, Math. Comp. 22 (1968) 118.
    """
    xi, theta = scale.scaled_concentration(concentration), scale.scaled_temperature(temperature)
    basis = np.stack([xi**i * theta**j for i in range(CONCENTRATION_TERMS) for j in range(TEMPERATURE_TERMS)], axis=1)
    weight = np.full(values.size, 1.0 / values.size)
    best, best_error = np.zeros(basis.shape[1]), np.inf
    for _ in range(_LAWSON_STEPS):
        factor = np.sqrt(weight) * importance
        solution = np.linalg.lstsq(basis * factor[:, np.newaxis], values * factor, rcond=1e-13)[0]
        error = np.abs(basis @ solution - values) * importance
        if error.max() < best_error:
            best, best_error = solution, float(error.max())
        if error.max() < 1e-12:
            break
        # A floor keeps every sample in play when errors vanish somewhere.
        weight = weight * (error + 1e-3 * error.max())
        weight /= weight.sum()
    return best.reshape(CONCENTRATION_TERMS, TEMPERATURE_TERMS), basis @ best - values


def evaluate_property(
    coefficients: Array, scale: PropertyScale, concentration: Array | float, temperature: Array | float
) -> Array:
    """Return the polynomial of :func:`fit_property` at concentrations [mol/m^3] and temperatures [K]."""
    xi, theta = scale.scaled_concentration(concentration), scale.scaled_temperature(temperature)
    xi, theta = np.broadcast_arrays(xi, theta)
    return np.asarray(np.polynomial.polynomial.polyval2d(xi, theta, coefficients), dtype=np.float64)


def fit_temperature_factor(scale: PropertyScale, temperature: Array, values: Array) -> tuple[Array, float]:
    r"""Fit :math:`\ln f = a_1 \theta + a_2 \theta^2 + a_3 \theta^3` to factors that are common to several samples.

    Parameters
    ----------
    scale : PropertyScale
        The scaled variables.
    temperature : ndarray of shape (n_temperatures,)
        [K].
    values : ndarray of shape (n_temperatures, n_samples)
        Factors over the value at the reference temperature, positive; one column a sample.

    Returns
    -------
    coefficients : ndarray of shape (3,)
        a_1, a_2, a_3.
    worst : float
        Largest relative error over all samples: of the fit, and of taking the factor as common.
    """
    theta = scale.scaled_temperature(temperature)
    logarithm = np.log(values)
    middle = 0.5 * (logarithm.max(axis=1) + logarithm.min(axis=1))
    basis = np.stack([theta, theta**2, theta**3], axis=1)
    coefficients = np.linalg.lstsq(basis, middle, rcond=None)[0]
    coefficients[np.abs(coefficients) < 1e-12] = 0.0
    worst = np.abs(np.expm1(basis @ coefficients - logarithm.T)).max()
    return coefficients, float(worst)


def evaluate_temperature_factor(coefficients: Array, scale: PropertyScale, temperature: Array | float) -> Array:
    """Return the factor of :func:`fit_temperature_factor` at temperatures [K]."""
    theta = scale.scaled_temperature(temperature)
    exponent = ((coefficients[2] * theta + coefficients[1]) * theta + coefficients[0]) * theta
    return np.asarray(np.exp(exponent), dtype=np.float64)


def fit_power_law(argument: Array, values: Array) -> tuple[float, float]:
    r"""Fit :math:`y = y_0 x^\alpha` and return exponent, to four digits, and largest relative error.

    Parameters
    ----------
    argument, values : ndarray of shape (n_samples,)
        x and y, positive.
    """
    exponent, constant = np.polyfit(np.log(argument), np.log(values), 1)
    worst = np.abs(np.expm1(exponent * np.log(argument) + constant - np.log(values))).max()
    return round(float(exponent), 4) + 0.0, float(worst)


@dataclass(frozen=True, kw_only=True, eq=False)
class CubicTable:
    """A piecewise cubic over [0, 1] and how near it is to its function.

    Attributes
    ----------
    coefficients : ndarray of shape (n_intervals, 4)
        In powers of the place within the interval, from 0 to 1.
    worst, worst_outside : float
        Largest error inside and outside the window that is reported; relative where a size was given.
    """

    coefficients: Array
    worst: float
    worst_outside: float


def build_cubic_table(function: Callable[[Array], Array], n_intervals: int, *, monotone: bool = False) -> Array:
    """Return the coefficients of a piecewise cubic with values and slopes of a function at evenly spaced nodes.

    Where the function rises or falls faster than an interval can follow, slopes are limited so that the cubic rises or
    falls throughout the interval too (Fritsch and Carlson). With ``monotone``, the first and the last cubic also go on
    rising or falling outside [0, 1].

    Parameters
    ----------
    function : callable
        Takes and gives arrays of shape (n,), for arguments in [0, 1].
    n_intervals : int
        Intervals.
    monotone : bool
        Whether the ends must go on as they go.

    Returns
    -------
    ndarray of shape (n_intervals, 4)
        Coefficients.

    References
    ----------
    .. [1] F. N. Fritsch, R. E. Carlson, Monotone piecewise cubic interpolation, SIAM J. Numer. Anal. 17 (1980) 238.
    """
    nodes = np.linspace(0.0, 1.0, n_intervals + 1)
    values = np.asarray(function(nodes), dtype=np.float64)
    slopes = _slopes(function, nodes) / n_intervals
    rise = np.diff(values)
    for side in (slopes[:-1], slopes[1:]):  # views: both ends of every interval
        limited = (np.sign(slopes[:-1]) == np.sign(rise)) & (np.sign(slopes[1:]) == np.sign(rise))
        np.copyto(side, np.sign(rise) * np.minimum(np.abs(side), 3.0 * np.abs(rise)), where=limited & (rise != 0.0))
    start, end = slopes[:-1].copy(), slopes[1:].copy()
    if monotone:
        start[0], end[0] = _going_on(rise[0], start[0], end[0])
        end[-1], start[-1] = _going_on(rise[-1], end[-1], start[-1])
    return np.stack([values[:-1], start, 3.0 * rise - 2.0 * start - end, start + end - 2.0 * rise], axis=1)


def evaluate_cubic_table(coefficients: Array, place: Array | float) -> Array:
    """Return the piecewise cubic at places; outside [0, 1] its first and last cubic go on."""
    scaled = np.asarray(place, dtype=np.float64) * coefficients.shape[0]
    interval = np.clip(np.floor(scaled).astype(np.int64), 0, coefficients.shape[0] - 1)
    z = scaled - interval
    row = coefficients[interval]
    return np.asarray(((row[..., 3] * z + row[..., 2]) * z + row[..., 1]) * z + row[..., 0])


def refine_cubic_table(
    function: Callable[[Array], Array],
    *,
    tolerance: float,
    window: tuple[float, float],
    reported: tuple[float, float] | None = None,
    size: Callable[[Array], Array] | None = None,
    sizes: tuple[int, ...] = (512, 1024, 2048),
    monotone: bool = False,
) -> CubicTable:
    """Return the smallest table whose error within a window keeps a tolerance, or the largest one allowed.

    Parameters
    ----------
    function : callable
        Takes and gives arrays of shape (n,), for arguments in [0, 1].
    tolerance : float
        Largest error wanted, in the function's unit, or relative with ``size``.
    window : tuple of float
        Where it is wanted.
    reported : tuple of float, optional
        Window of the errors in the answer; the same by default.
    size : callable, optional
        What errors are divided by, from the function's values.
    sizes : tuple of int
        Numbers of intervals to try, rising.
    monotone : bool
        As in :func:`build_cubic_table`.
    """
    found = None
    for n_intervals in sizes:
        coefficients = build_cubic_table(function, n_intervals, monotone=monotone)
        steps = (np.arange(_CHECKS) + 0.5) / _CHECKS
        place = ((np.arange(n_intervals)[:, np.newaxis] + steps) / n_intervals).reshape(-1)
        exact = np.asarray(function(place), dtype=np.float64)
        error = np.abs(evaluate_cubic_table(coefficients, place) - exact)
        if size is not None:
            error = error / size(exact)
        low, high = window if reported is None else reported
        inside = (place >= low) & (place <= high)
        found = CubicTable(
            coefficients=coefficients,
            worst=float(error[inside].max(initial=0.0)),
            worst_outside=float(error[~inside].max(initial=0.0)),
        )
        if error[(place >= window[0]) & (place <= window[1])].max(initial=0.0) <= tolerance:
            return found
    assert found is not None  # sizes is not empty
    return found


def extend_falling(
    function: Callable[[Array], Array], window: tuple[float, float], *, reach: float = 5.0
) -> tuple[Callable[[Array], Array], tuple[float, float]]:
    """Return a function that goes on falling, in a straight line, where the given one stops to outside a window.

    Fits of open-circuit potentials hold where they were measured. Beyond it some turn round, or have a pole.

    Parameters
    ----------
    function : callable
        Takes and gives arrays of shape (n,), for arguments in [0, 1].
    window : tuple of float
        Where the function is left as it is.
    reach : float
        How far from its value at the window's edge it may go [its unit].

    Returns
    -------
    extended : callable
        The function.
    kept : tuple of float
        Between which places the given function was kept; (0, 1) where nothing was wrong.
    """
    steps = 2000
    kept, slopes, edges = [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]
    for side, (edge, end) in enumerate(((window[0], 0.0), (window[1], 1.0))):
        place = edge + (end - edge) * np.linspace(0.0, 1.0, steps + 1)
        values = np.asarray(function(place), dtype=np.float64)
        gain = np.diff(values) * (1.0 if side == 0 else -1.0)  # towards the end; must not be negative
        wrong = (gain < -1e-9) | (np.abs(values[1:] - values[0]) > reach)
        if wrong.any():
            last = int(np.argmax(wrong))
            kept[side] = float(place[last])
            edges[side] = float(values[last])
            span = abs(end - edge) / steps
            slopes[side] = -float(np.clip(gain[last - 1] / span if last else 0.0, 0.1, 1e4))
    low, high = kept

    def extended(place: Array) -> Array:
        inside = np.asarray(function(np.clip(place, low, high)), dtype=np.float64)
        before = np.where(place < low, edges[0] + slopes[0] * (place - low), inside)
        return np.where(place > high, edges[1] + slopes[1] * (place - high), before)

    return extended, (low, high)


def _slopes(function: Callable[[Array], Array], nodes: Array) -> Array:
    """Return slopes by central differences, by one-sided ones of second order at the ends."""
    step = _SLOPE_STEP
    inner = nodes[1:-1]
    slopes = np.empty(nodes.size)
    slopes[1:-1] = (np.asarray(function(inner + step)) - np.asarray(function(inner - step))) / (2.0 * step)
    for index, direction in ((0, step), (nodes.size - 1, -step)):
        at, near, far = function(nodes[index] + direction * np.arange(3.0))
        slopes[index] = (-3.0 * at + 4.0 * near - far) / (2.0 * direction)
    return slopes


def _going_on(rise: float, outer: float, inner: float) -> tuple[float, float]:
    """Return outer and inner slope of an end interval with which its cubic goes on as it goes beyond the end."""
    sign = np.sign(rise) if rise != 0.0 else 1.0
    for slope in (outer, 2.0 * rise - inner):  # as it is, or without a third power
        second, third = 3.0 * rise - 2.0 * slope - inner, slope + inner - 2.0 * rise
        if slope * sign >= 0.0 and second * sign <= 0.0 and third * sign >= -1e-12 * abs(rise):
            return slope, inner
    return rise, rise  # a straight line, with a bend at its inner node
