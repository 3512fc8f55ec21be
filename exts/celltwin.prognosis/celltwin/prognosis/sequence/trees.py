"""The fair baseline: extremely randomised trees on the description of a past window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..past_windows import PastWindows
from ..scaling import InputScaling, fit_scaling
from .window_description import describe_windows

__all__ = ["fit_trees", "tree_inputs"]

TREES, LEAF, SHARE, THIN = 100, 3, 0.4, 2
BLOCKS = ("newest", "short", "trend", "change", "age")


def tree_inputs(windows: PastWindows, scaling: InputScaling) -> NDArray[np.float32]:
    """Return what the trees take in, shape (n, n_columns)."""
    described = describe_windows(windows, scaling)
    return np.concatenate([described[name] for name in BLOCKS], axis=1).astype(np.float32)


def fit_trees(windows: PastWindows, seed: int) -> tuple[Any, InputScaling]:
    """Return trees fitted to every second training window, and the scaling of their inputs.

    References
    ----------
    .. [1] P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine Learning 63 (2006).
    """
    from sklearn.ensemble import ExtraTreesRegressor

    scaling = fit_scaling(windows.features[:, -1])
    trees = ExtraTreesRegressor(n_estimators=TREES, min_samples_leaf=LEAF, max_features=SHARE, random_state=seed)
    return trees.fit(tree_inputs(windows, scaling)[::THIN], windows.soh[::THIN]), scaling
