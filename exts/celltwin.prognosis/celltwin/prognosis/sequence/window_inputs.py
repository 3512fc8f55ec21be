"""From past windows to what a network takes in: scaled features, how they changed, the age, what was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..past_windows import PastWindows
from ..scaling import InputScaling, fit_scaling

__all__ = ["EXTRA_CHANNELS", "LARGEST_INPUT", "WindowInputs", "fit_window_inputs"]

# A scaled feature is held within so many spreads: one broken cycle must not carry a network away.
LARGEST_INPUT = 6.0
# Cycles that make one unit of age, and what the logarithm of the cycle number is divided by.
AGE_SCALE, LOGARITHM_SCALE = 100.0, 0.75
# How strongly the change since the beginning is shown, and cycles that the newest side of it is averaged over.
CHANGE_SCALE, CHANGE_LENGTH = 0.5, 6
# Channels behind features and changes: age, logarithm of the cycle number, whether the cycle was seen.
EXTRA_CHANNELS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowInputs:
    """Scale of inputs and target, from training cells only.

    Attributes
    ----------
    scaling : InputScaling
        Of the features.
    target : tuple of float
        Mean and spread of SOH.
    """

    scaling: InputScaling
    target: tuple[float, float]

    def channels(self, windows: PastWindows) -> NDArray[np.float32]:
        """Return inputs of shape (n, window, 2 n_inputs + 3).

        For each cycle of the window its features; then, the same for all, how far the mean of the newest cycles is
        from the cell's beginning, the age and its logarithm; at last, whether the cycle was seen.
        """
        n, window, n_inputs = windows.features.shape
        made = np.empty((n, window, 2 * n_inputs + EXTRA_CHANNELS), dtype=np.float32)
        values = np.clip(self.scaling.apply(windows.features), -LARGEST_INPUT, LARGEST_INPUT)
        made[..., :n_inputs] = values
        weights = windows.seen[:, -CHANGE_LENGTH:, np.newaxis]
        newest = (values[:, -CHANGE_LENGTH:] * weights).sum(axis=1) / weights.sum(axis=1)
        change = newest - np.clip(self.scaling.apply(windows.beginning), -LARGEST_INPUT, LARGEST_INPUT)
        made[..., n_inputs : 2 * n_inputs] = CHANGE_SCALE * change[:, np.newaxis]
        made[..., 2 * n_inputs] = (windows.cycle / AGE_SCALE)[:, np.newaxis]
        made[..., 2 * n_inputs + 1] = (np.log1p(windows.cycle) / LOGARITHM_SCALE)[:, np.newaxis]
        made[..., 2 * n_inputs + 2] = windows.seen
        return made

    def scaled_soh(self, windows: PastWindows) -> NDArray[np.float32]:
        """Return the labels in spreads from their mean, shape (n,)."""
        return ((windows.soh - self.target[0]) / self.target[1]).astype(np.float32)

    def soh(self, scaled: NDArray[np.float32]) -> Array:
        """Return SOH [-] of scaled predictions of any shape."""
        found: Array = scaled.astype(np.float64) * self.target[1] + self.target[0]
        return found


def fit_window_inputs(windows: PastWindows) -> WindowInputs:
    """Return the scale of training windows; each cycle counts once, as the newest of its window."""
    return WindowInputs(
        scaling=fit_scaling(windows.features[:, -1]), target=(float(windows.soh.mean()), float(windows.soh.std()))
    )
