"""A model of health with its spread: how far models disagree that have learnt from different cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError

from ..past_windows import PastWindows
from ..sequence.kinds import FittedModel, SohModelKind

__all__ = ["BaggedModel", "SohWithSpread", "choose_windows", "fit_bagged_model"]

FEWEST_CELLS = 4


class SohWithSpread(Protocol):
    """What trust is built on: a prediction, and how sure the model itself is."""

    def predict(self, windows: PastWindows) -> tuple[Array, Array]:
        """Return SOH and spread of it, each of shape (n,) [-]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaggedModel:
    """One model of all training cells, and some of half of them each.

    Attributes
    ----------
    whole : FittedModel
        Gives the prediction.
    bags : tuple of FittedModel
        Give the spread: cells differ more than the draws of one network's weights do.
    """

    whole: FittedModel
    bags: tuple[FittedModel, ...]

    def predict(self, windows: PastWindows) -> tuple[Array, Array]:
        """Return SOH and the standard deviation between the bags, each of shape (n,) [-]."""
        answers = np.stack([bag.predict(windows).mean(axis=0) for bag in self.bags])
        return self.whole.predict(windows).mean(axis=0), answers.std(axis=0, ddof=1)


def fit_bagged_model(
    windows: PastWindows,
    kind: SohModelKind,
    *,
    seed: int,
    bag: SohModelKind | None = None,
    bags: int = 6,
    on_fit: Callable[[int, int], None] | None = None,
) -> BaggedModel:
    """Fit a model of all cells and ``bags`` of a random half of them each.

    Parameters
    ----------
    windows : PastWindows
        Of training cells.
    kind, bag : SohModelKind
        The model, and the one that the bags are made with (``kind`` too, where absent).
    seed : int
        Seed of the models and of the draws of cells.
    bags : int
        How many.
    on_fit : callable, optional
        Called with the number of finished fits and of all.

    Raises
    ------
    SettingsError
        If there are fewer than 4 cells or 2 bags.
    """
    names = np.unique(windows.cell)
    if names.size < FEWEST_CELLS or bags < 2:
        raise SettingsError(
            f"{names.size} cells and {bags} bags give no spread between cells",
            remedy=f"Give at least {FEWEST_CELLS} training cells and two bags",
        )
    whole = kind.fit(windows, seed=seed)
    fitted = []
    for number in range(bags):
        if on_fit:
            on_fit(number + 1, bags + 1)
        drawn = np.random.default_rng((seed, number)).permutation(names)[: names.size // 2]
        half = choose_windows(windows, np.isin(windows.cell, drawn))
        fitted.append((bag or kind).fit(half, seed=seed * 100 + number))
    if on_fit:
        on_fit(bags + 1, bags + 1)
    return BaggedModel(whole=whole, bags=tuple(fitted))


def choose_windows(windows: PastWindows, rows: NDArray[np.bool_] | NDArray[np.intp]) -> PastWindows:
    """Return some of the windows, by a mask or by their numbers."""
    return replace(windows, **{item.name: getattr(windows, item.name)[rows] for item in fields(windows)})
