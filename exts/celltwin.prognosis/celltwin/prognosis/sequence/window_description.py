"""A past window in few numbers: its newest cycle, averages, how they differ, and how far the cell has come."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

from ..past_windows import PastWindows
from ..scaling import InputScaling
from .window_inputs import LARGEST_INPUT

__all__ = ["DESCRIBED_WINDOW", "describe_windows"]

SHORT, DESCRIBED_WINDOW = 6, 24  # cycles of the two averages
# Cycles that make one unit of age, and what the logarithm of the cycle number is divided by.
AGE_SCALE, LOGARITHM_SCALE = 400.0, 3.0


def describe_windows(windows: PastWindows, scaling: InputScaling) -> dict[str, Array]:
    """Return blocks of numbers that describe windows of at least 24 cycles, each of shape (n, n_columns).

    ``newest`` is the newest cycle; ``short`` and ``long`` are averages over what the cell has had of the newest 6
    and 24 cycles; ``jump`` is newest - short, ``trend`` short - long, ``beginning`` the mean of the first cycles,
    ``change`` short - beginning; ``age`` the number of the cycle and its logarithm. All but the age are scaled.
    """
    values = np.clip(scaling.apply(windows.features[:, -DESCRIBED_WINDOW:]), -LARGEST_INPUT, LARGEST_INPUT)
    newest = values[:, -1]
    short, long = (_mean(values, windows, length) for length in (SHORT, DESCRIBED_WINDOW))
    beginning = np.clip(scaling.apply(windows.beginning), -LARGEST_INPUT, LARGEST_INPUT)
    return {
        "newest": newest,
        "short": short,
        "long": long,
        "jump": newest - short,
        "trend": short - long,
        "beginning": beginning,
        "change": short - beginning,
        "age": np.stack([windows.cycle / AGE_SCALE, np.log1p(windows.cycle) / LOGARITHM_SCALE], axis=1),
    }


def _mean(values: Array, windows: PastWindows, length: int) -> Array:
    weights = windows.seen[:, -length:, np.newaxis]
    mean: Array = (values[:, -length:] * weights).sum(axis=1) / weights.sum(axis=1)
    return mean
