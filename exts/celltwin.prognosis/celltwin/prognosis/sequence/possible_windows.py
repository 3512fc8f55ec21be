"""Windows of cells that might be: drawn between and around the described windows of training cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

__all__ = ["DRAWN_BLOCKS", "PossibleWindows"]

# What is drawn, and what follows from it. The ratio of describe_windows is not linear in the features.
COURSE = ("short", "jump", "trend", "age", "rhythm")
DRAWN_BLOCKS = frozenset({*COURSE, "newest", "long", "beginning", "change", "duty"})
# Shares of the draws: as measured; between two windows. All others are one window and the difference of two.
MEASURED, BETWEEN = 0.15, 0.25
# How far off in age others may be, in shares of the windows of a duty.
MATE_SPREAD, DIFFERENCE_SPREAD, BEGINNING_SPREAD = 0.1, 0.05, 0.3
SHAKEN = ("short", "trend", "beginning")
SHAKEN_SHARE, WEAKEST, STRONGEST = 0.6, 0.025, 0.5  # of the draws; standard deviations, in those of the block
HIDDEN_SHARE, HIDDEN_FEATURES = 0.1, 0.2  # draws in which features are unknown, and how many of them


class PossibleWindows:
    """A source of described windows.

    What makes cells differ is common to a cell's whole life and acts on its beginning too. So most drawn windows are a
    measured one, moved as two others of its duty and age differ; their beginnings are moved as those of two more cells
    differ; and noise of random strength is added to both.

    Parameters
    ----------
    described : mapping of str to ndarray of shape (n, n_columns)
        Training windows; see :func:`describe_windows`.
    protocol : ndarray of str, shape (n,)
        How the cells were cycled.
    stand_in : ndarray of shape (n_inputs,)
        Scaled features where nothing is known.
    """

    def __init__(self, described: Mapping[str, Array], protocol: NDArray[np.str_], stand_in: Array) -> None:
        self._described, self._stand_in = described, stand_in
        self._spread = {name: described[name].std(axis=0) for name in SHAKEN}
        _, duty, counts = np.unique(protocol, return_inverse=True, return_counts=True)
        self._by_age = np.lexsort((described["age"][:, 0], duty))  # duty after duty
        self._count = counts[duty]
        self._first = (np.cumsum(counts) - counts)[duty]
        self._rank = np.empty(duty.size, dtype=np.intp)
        self._rank[self._by_age] = np.arange(duty.size)
        self._rank -= self._first

    def draw(self, n: int, random: np.random.Generator) -> dict[str, Array]:
        """Return n described windows, each block of shape (n, n_columns)."""
        rows = random.integers(0, self._rank.size, n)
        mate, one, two, first, second = (
            self._near(rows, spread, random)
            for spread in (MATE_SPREAD, *[DIFFERENCE_SPREAD] * 2, *[BEGINNING_SPREAD] * 2)
        )
        kind, share, other_share = random.random((3, n, 1))

        def move(values: Array, a: NDArray[np.intp], b: NDArray[np.intp], far: Array) -> Array:
            between = (1.0 - share) * values[rows] + share * values[mate]
            around = values[mate] + far * (values[a] - values[b])
            moved: Array = np.where(kind < MEASURED + BETWEEN, between, around)
            return np.where(kind < MEASURED, values[rows], moved)

        known = self._described
        drawn = {name: move(known[name], one, two, share) for name in COURSE if name in known}
        drawn["beginning"] = move(known["beginning"], first, second, other_share)
        for name, spread in self._spread.items():
            strength = np.exp(random.uniform(np.log(WEAKEST), np.log(STRONGEST), (n, 1)))
            shaken = random.random((n, 1)) < SHAKEN_SHARE
            drawn[name] = drawn[name] + shaken * strength * spread * random.normal(size=drawn[name].shape)
        drawn |= {"newest": drawn["short"] + drawn["jump"], "long": drawn["short"] - drawn["trend"]}
        hidden = (random.random((n, 1)) < HIDDEN_SHARE) & (random.random((n, self._stand_in.size)) < HIDDEN_FEATURES)
        for name in ("newest", "short", "long", "beginning"):
            drawn[name] = np.where(hidden, self._stand_in, drawn[name])
        drawn["jump"] = drawn["newest"] - drawn["short"]
        drawn["trend"] = drawn["short"] - drawn["long"]
        drawn["change"] = drawn["short"] - drawn["beginning"]
        if "duty" in known:
            drawn["duty"] = known["duty"][rows]
        return drawn

    def _near(self, rows: NDArray[np.intp], spread: float, random: np.random.Generator) -> NDArray[np.intp]:
        """Return for each row another of its duty, of an age that is so far off."""
        count = self._count[rows]
        rank = self._rank[rows] + np.rint(spread * count * random.normal(size=rows.size)).astype(np.intp)
        found: NDArray[np.intp] = self._by_age[self._first[rows] + np.clip(rank, 0, count - 1)]
        return found
