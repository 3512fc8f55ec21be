"""A bounded memory of labelled windows: a uniform draw from all that were ever offered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..past_windows import PastWindows
from ..trust.cell_bags import choose_windows

__all__ = ["ReplayMemory", "join_windows"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplayMemory:
    """A reservoir of labelled windows.

    Every window has a random key that follows from the seed, its cell and its cycle; the windows with the smallest
    keys are kept. What is kept is therefore a uniform draw without replacement from all windows that were offered,
    and does not depend on the order or the portions in which they came.

    Attributes
    ----------
    capacity : int
        Most windows that are kept.
    seed : int
        Seed of the keys.
    windows : PastWindows or None
        What is kept; None at first.

    References
    ----------
    .. [1] J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11 (1985); the
       form with one key for each element is that of bottom-k sampling.
    """

    capacity: int
    seed: int
    windows: PastWindows | None = None

    @property
    def size(self) -> int:
        """Windows that are kept."""
        return 0 if self.windows is None else int(self.windows.soh.size)

    def offer(self, windows: PastWindows) -> ReplayMemory:
        """Return the memory after more windows; one that is known already takes the new label."""
        if self.capacity < 1:
            return self
        joined = windows if self.windows is None else join_windows(windows, self.windows)
        keys = _keys(joined, self.seed)
        _, first = np.unique(keys, return_index=True)  # the newer of two that are the same comes first
        kept = np.sort(first[: self.capacity])
        return replace(self, windows=choose_windows(joined, kept))


def join_windows(*parts: PastWindows) -> PastWindows:
    """Return the windows of several parts as one."""
    return replace(
        parts[0],
        **{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(PastWindows)},
    )


def _keys(windows: PastWindows, seed: int) -> Array:
    """Return a number in [0, 1) for each window, the same whenever the same cycle of the same cell is seen."""
    keys = np.empty(windows.soh.size)
    place: NDArray[np.intp] = windows.cycle.astype(np.intp)
    for name in np.unique(windows.cell):
        rows = windows.cell == name
        own = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big")
        keys[rows] = np.random.default_rng((seed, own)).random(place[rows].max() + 1)[place[rows]]
    return keys
