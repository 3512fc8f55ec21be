r"""Kernel regression on the description of past windows: the mean of a Gaussian process.

.. math:: f(z) = \mu + k(z, Z)\,(K + \lambda I)^{-1} (y - \mu), \qquad
          k = \sum_p w_p\,(1 + \gamma d_p)\,e^{-\gamma d_p}

with one distance :math:`d_p` for each part: blocks of the description, each with a weight of its own. Where more
windows are learnt from than are kept as points, the coefficients are those of the subset of regressors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..past_windows import PastWindows
from ..scaling import InputScaling, fit_scaling
from .duty import Duties, fit_duties
from .window_description import describe_windows

__all__ = ["KernelPart", "KernelRegression", "KernelSettings", "draw_rows", "fit_kernel", "matern_likeness"]

PREDICTED_AT_ONCE = 512  # windows: their likenesses fit the cache
JITTER = 1e-6  # added to the diagonal of the normal equations
DUTY_BLOCKS = frozenset({"duty", "rhythm"})


@dataclass(frozen=True, kw_only=True)
class KernelPart:
    """One term of the kernel.

    Attributes
    ----------
    blocks : dict of str to float
        Blocks of :func:`describe_windows` and what each is multiplied with before distances are taken.
    weight : float
        Share of the term.
    """

    blocks: dict[str, float]
    weight: float


@dataclass(frozen=True, kw_only=True)
class KernelSettings:
    """What the regression is made of.

    Attributes
    ----------
    parts : tuple of KernelPart
        Terms of the kernel.
    decay : float
        How fast likeness falls with the distance, gamma.
    noise : float
        Variance of the labels' noise relative to that of the process, lambda.
    points : int
        Most training windows that are kept; they are drawn at random.
    learnt : int
        Training windows that the coefficients are fitted to; the kept ones alone where it is not above ``points``.
    """

    parts: tuple[KernelPart, ...]
    decay: float
    noise: float
    points: int
    learnt: int = 0

    @property
    def knows_duty(self) -> bool:
        """Whether a prediction depends on how the cell is used."""
        return any(DUTY_BLOCKS & part.blocks.keys() for part in self.parts)

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRegression:
    """A fitted regression.

    Attributes
    ----------
    settings : KernelSettings
        What it is made of.
    scaling : InputScaling
        Scale of the features.
    points : tuple of ndarray of shape (n_points, n_columns)
        Kept training windows, for each part.
    coefficients : ndarray of shape (n_points,)
        Of the kernel at the points [SOH].
    mean : float
        SOH far from all points.
    duties : Duties, optional
        Of the training cells, where the kernel has a part that looks at them.
    """

    settings: KernelSettings
    scaling: InputScaling
    points: tuple[Array, ...]
    coefficients: Array
    mean: float
    duties: Duties | None = None

    def predict(self, windows: PastWindows) -> Array:
        """Return SOH of windows, shape (n,) [-]."""
        places = _places(windows, self.scaling, self.settings, self.duties)
        found = np.empty(windows.soh.size)
        for start in range(0, found.size, PREDICTED_AT_ONCE):
            chosen = slice(start, start + PREDICTED_AT_ONCE)
            likeness = _kernel(tuple(place[chosen] for place in places), self.points, self.settings)
            found[chosen] = self.mean + likeness @ self.coefficients
        return found


def fit_kernel(windows: PastWindows, settings: KernelSettings, *, seed: int) -> KernelRegression:
    """Return the regression fitted to training windows; the seed draws which of them are kept.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, chapters 2
       and 8.3.
    """
    from scipy.linalg import solve

    scaling = fit_scaling(windows.features[:, -1])
    duties = fit_duties(windows) if settings.knows_duty else None
    random = np.random.default_rng(seed)
    rows = draw_rows(windows.soh.size, settings.points, random)
    places = _places(windows, scaling, settings, duties)
    points = tuple(place[rows] for place in places)
    matrix = _kernel(points, points, settings)
    if settings.learnt > settings.points and windows.soh.size > settings.points:
        learnt = draw_rows(windows.soh.size, settings.learnt, random)
        mean = float(windows.soh[learnt].mean())
        cross = _kernel(points, tuple(place[learnt] for place in places), settings)
        target = cross @ (windows.soh[learnt] - mean)
        matrix = cross @ cross.T + settings.noise * matrix
        matrix[np.diag_indices_from(matrix)] += JITTER
    else:
        mean = float(windows.soh[rows].mean())
        target = windows.soh[rows] - mean
        matrix[np.diag_indices_from(matrix)] += settings.noise
    coefficients = solve(matrix, target, assume_a="pos", overwrite_a=True)
    return KernelRegression(
        settings=settings, scaling=scaling, points=points, coefficients=coefficients, mean=mean, duties=duties
    )


def draw_rows(n: int, points: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Return which of n rows are kept: one at random of each of so many stretches of equal length."""
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, points + 1)
    drawn = (edges[:-1] + random.random(points) * np.diff(edges)).astype(np.intp)
    return np.minimum(drawn, n - 1)


def _places(
    windows: PastWindows, scaling: InputScaling, settings: KernelSettings, duties: Duties | None
) -> tuple[Array, ...]:
    """Return where windows lie, for each part of the kernel, shape (n, n_columns) each."""
    described = describe_windows(windows, scaling, duties)
    return tuple(
        np.concatenate([factor * described[name] for name, factor in part.blocks.items()], axis=1)
        for part in settings.parts
    )


def _kernel(left: tuple[Array, ...], right: tuple[Array, ...], settings: KernelSettings) -> Array:
    """Return likenesses of shape (n_left, n_right)."""
    total = np.zeros((len(left[0]), len(right[0])))
    for part, a, b in zip(settings.parts, left, right, strict=True):
        total += part.weight * matern_likeness(a, b, settings.decay)
    return total


def matern_likeness(a: Array, b: Array, decay: float = 1.0) -> Array:
    """Return the Matern likenesses (3/2) of places (n_a, n_columns) and (n_b, n_columns), shape (n_a, n_b)."""
    square = (a**2).sum(axis=1)[:, np.newaxis] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    distance = decay * np.sqrt(np.maximum(square, 0.0))
    likeness: Array = (1.0 + distance) * np.exp(-distance)
    return likeness
