"""A past window in few numbers: its newest cycle, averages, how they differ, and how far the cell has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..features import feature_columns
from ..past_windows import PastWindows
from ..scaling import InputScaling
from ..window_means import bounded_means
from .duty import Duties
from .window_inputs import LARGEST_INPUT

__all__ = [
    "AGE_SCALE",
    "DESCRIBED_WINDOW",
    "LOGARITHM_SCALE",
    "RATIOS",
    "SHORT",
    "SMALLEST",
    "WindowDescription",
    "describe_windows",
]

SHORT, DESCRIBED_WINDOW = 6, 24  # cycles of the two averages
SMALLEST = 1e-9  # of a feature whose logarithm is taken
# Cycles that make one unit of age, and what the logarithm of the cycle number is divided by.
AGE_SCALE, LOGARITHM_SCALE = 400.0, 3.0
# Positive features whose ratio to the beginning means the same at any rate of charge, and how much its logarithm
# varies over the training cells of XJTU.
RATIOS = {
    "voltage std": 0.004,
    "CC Q": 0.026,
    "CC charge time": 0.036,
    "voltage slope": 0.038,
    "current mean": 0.012,
    "current std": 0.011,
    "CV Q": 0.161,
    "CV charge time": 0.162,
    "current slope": 0.151,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowDescription:
    """What a network of described windows must be shown.

    Attributes
    ----------
    scaling : InputScaling
        Of the features.
    duties : Duties, optional
        Of the training cells.
    blocks : tuple of str
        Blocks of :func:`describe_windows`, in the order of the network's inputs.
    """

    scaling: InputScaling
    duties: Duties | None
    blocks: tuple[str, ...]

    def rows(self, windows: PastWindows) -> NDArray[np.float32]:
        """Return the blocks of windows side by side, shape (n, n_columns)."""
        described = describe_windows(windows, self.scaling, self.duties, blocks=self.blocks)
        return np.concatenate([described[name] for name in self.blocks], axis=1, dtype=np.float32)

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        return {
            "blocks": list(self.blocks),
            "scaling": self.scaling.as_dict(),
            "duties": None if self.duties is None else asdict(self.duties),
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> WindowDescription:
        """Return what :meth:`as_dict` gave; KeyError, TypeError or ValueError where it is damaged."""
        duties = content["duties"]
        return WindowDescription(
            scaling=InputScaling.from_dict(content["scaling"]),
            duties=None if duties is None else Duties(**{**duties, "names": tuple(duties["names"])}),
            blocks=tuple(content["blocks"]),
        )


def describe_windows(
    windows: PastWindows,
    scaling: InputScaling,
    duties: Duties | None = None,
    *,
    blocks: tuple[str, ...] | None = None,
) -> dict[str, Array]:
    """Return blocks of numbers that describe windows of at least 24 cycles, each of shape (n, n_columns).

    ``newest`` is the newest cycle; ``short`` and ``long`` are averages over what the cell has had of the newest 6
    and 24 cycles; ``jump`` is newest - short, ``trend`` short - long, ``beginning`` the mean of the first cycles,
    ``change`` short - beginning; ``ratio`` the logarithm of short over beginning of :data:`RATIOS`; ``age`` the
    number of the cycle and its logarithm. All but the age are scaled. The windows must hold all sixteen features.
    With the duties of the training cells there are also ``duty``, 1 for the one that the cell has, and ``rhythm``.

    Parameters
    ----------
    windows : PastWindows
        The windows.
    scaling : InputScaling
        Of the features.
    duties : Duties, optional
        Of the training cells.
    blocks : tuple of str, optional
        The blocks that are wanted; all where absent.
    """
    newest, short, long = bounded_means(windows, scaling, (SHORT, DESCRIBED_WINDOW), reach=LARGEST_INPUT)
    beginning = np.clip(scaling.apply(windows.beginning), -LARGEST_INPUT, LARGEST_INPUT)
    described = {
        "newest": newest,
        "short": short,
        "long": long,
        "jump": newest - short,
        "trend": short - long,
        "beginning": beginning,
        "change": short - beginning,
        "age": np.stack([windows.cycle / AGE_SCALE, np.log1p(windows.cycle) / LOGARITHM_SCALE], axis=1),
    }
    if blocks is None or "ratio" in blocks:
        described["ratio"] = _ratio(windows, scaling)
    if duties is not None:
        described |= {"duty": duties.membership(windows), "rhythm": duties.rhythm(windows)}
    return described if blocks is None else {name: described[name] for name in blocks}


def _ratio(windows: PastWindows, scaling: InputScaling) -> Array:
    columns = feature_columns(tuple(RATIOS))
    raw = windows.features[:, -SHORT:, columns]
    stand_in = scaling.stand_in[columns]
    short = np.abs(_mean(np.where(np.isfinite(raw), raw, stand_in), windows, SHORT))
    beginning = windows.beginning[:, columns]
    beginning = np.abs(np.where(np.isfinite(beginning), beginning, stand_in))
    logarithm = np.log(np.maximum(short, SMALLEST)) - np.log(np.maximum(beginning, SMALLEST))
    ratio: Array = np.clip(logarithm / np.array(list(RATIOS.values())), -LARGEST_INPUT, LARGEST_INPUT)
    return ratio


def _mean(values: Array, windows: PastWindows, length: int) -> Array:
    weights = windows.seen[:, -length:, np.newaxis]
    mean: Array = (values[:, -length:] * weights).sum(axis=1) / weights.sum(axis=1)
    return mean
