"""The sixteen charging features of Wang et al., what they mean, and which of them a network may use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["FEATURE_NAMES", "REFERENCE_WINDOW", "SAMPLING_DEPENDENT", "ChargeWindow", "feature_columns"]

FEATURE_NAMES = (
    "voltage mean",
    "voltage std",
    "voltage kurtosis",
    "voltage skewness",
    "CC Q",
    "CC charge time",
    "voltage slope",
    "voltage entropy",
    "current mean",
    "current std",
    "current kurtosis",
    "current skewness",
    "CV Q",
    "CV charge time",
    "current slope",
    "current entropy",
)

# A histogram with one bin a sample: the entropy is that of the logger's clock and resolution, not of the cell.
SAMPLING_DEPENDENT = ("voltage entropy", "current entropy")


@dataclass(frozen=True, kw_only=True)
class ChargeWindow:
    """The two stretches of a charge that the features describe.

    The bounds were recovered from the published features themselves (means, spreads and times of cells of every
    protocol fit no others to a millivolt and a milliampere), since the publication gives them rounded.

    Attributes
    ----------
    lowest_voltage, highest_voltage : float
        Bounds of the constant-current window [V].
    slope_voltage : float
        The voltage slope is that of the chord from here to ``highest_voltage`` [V].
    highest_current, lowest_current : float
        Bounds of the constant-voltage window [A], as magnitudes, of a cell of ``capacity``.
    slope_current : float
        The current slope is that of the chord from ``highest_current`` to here [A].
    capacity : float
        Nominal capacity of the cells that the currents belong to [A.h].
    sample_period : float
        Time between the samples of the training data [s]: a stretch of n samples is n - 1 periods long, so that
        the published times and charges fall short of the true ones by one period.

    References
    ----------
    .. [1] F. Wang et al., "Physics-informed neural network for lithium-ion battery degradation stable modeling and
       prognosis", Nature Communications 15, 4332 (2024).
    """

    lowest_voltage: float = 4.0
    highest_voltage: float = 4.195
    slope_voltage: float = 4.095
    highest_current: float = 0.5
    lowest_current: float = 0.1
    slope_current: float = 0.4
    capacity: float = 2.0
    sample_period: float = 1.0286


REFERENCE_WINDOW = ChargeWindow()


def feature_columns(names: tuple[str, ...]) -> NDArray[np.intp]:
    """Return where each named feature stands in :data:`FEATURE_NAMES`; ValueError if there is none of a name."""
    return np.array([FEATURE_NAMES.index(name) for name in names], dtype=np.intp)


def shape_features(moments: Array, duration: Array) -> tuple[Array, Array, Array, Array]:
    """Return mean, standard deviation, excess kurtosis and skewness from time integrals.

    Parameters
    ----------
    moments : ndarray of shape (4, n)
        Integrals over time of the first four powers of a signal.
    duration : ndarray of shape (n,)
        Length of the stretch [s].

    Returns
    -------
    tuple of ndarray of shape (n,)
        Mean, standard deviation, excess kurtosis, skewness, each weighted by time.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, second, third, fourth = moments / duration
        variance = np.maximum(second - mean**2, 0.0)
        spread = np.sqrt(variance)
        skewness = (third - 3.0 * mean * second + 2.0 * mean**3) / spread**3
        kurtosis = (fourth - 4.0 * mean * third + 6.0 * mean**2 * second - 3.0 * mean**4) / variance**2 - 3.0
    return mean, spread, kurtosis, skewness
