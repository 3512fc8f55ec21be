"""Past windows made worse on purpose: noise of a stated strength, and features that are missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from celltwin.core import freeze

from ..past_windows import PastWindows
from ..scaling import InputScaling

__all__ = ["add_noise", "hide_features"]


def add_noise(windows: PastWindows, scaling: InputScaling, level: float, *, seed: int) -> PastWindows:
    """Return windows with noise on every feature; half of its variance is common to the cycles of a window.

    The common half is what an instrument that drifts adds, the other what it adds anew to every charge. The memory
    of the cell's beginning stays as it was, and so does a feature that is the same in all windows: nobody measures it.

    Parameters
    ----------
    windows : PastWindows
        The windows.
    scaling : InputScaling
        Of the training cells: ``level`` is in its spreads.
    level : float
        Standard deviation of the noise, in training spreads of each feature.
    seed : int
        Seed of the noise.
    """
    n, length, n_inputs = windows.features.shape
    random = np.random.default_rng(seed)
    common, own = random.normal(size=(n, 1, n_inputs)), random.normal(size=(n, length, n_inputs))
    rows = windows.features.reshape(-1, n_inputs)
    measured = np.fmin.reduce(rows) < np.fmax.reduce(rows)
    noise = level * scaling.spread * measured * np.sqrt(0.5) * (common + own)
    return replace(windows, features=freeze(windows.features + noise))


def hide_features(windows: PastWindows, share: float, *, seed: int) -> PastWindows:
    """Return windows in which a random share of the features is missing (NaN) in all cycles of the window."""
    n, _, n_inputs = windows.features.shape
    hidden = np.random.default_rng(seed).random((n, 1, n_inputs)) < share
    return replace(windows, features=freeze(np.where(hidden, np.nan, windows.features)))
