"""How fleets of another capacity, chemistry and charge protocol are seen alike: views of past windows, and scales.

Nothing here looks ahead: a cell's beginning is the mean of what lies in its past, and scales come from cells and cycles
that may be learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from celltwin.core import freeze

from ..features import feature_columns
from ..past_windows import PastWindows
from ..sequence.window_description import RATIOS, SMALLEST
from ..sequence.window_inputs import WindowInputs, fit_window_inputs

__all__ = ["FLEET_VIEWS", "FleetView"]


@dataclass(frozen=True, kw_only=True)
class FleetView:
    """What a network sees of a fleet, and in which units.

    Attributes
    ----------
    name : str
        Name of the view.
    age : bool
        Whether the number of the cycle is shown: it means something else in another fleet.
    ratio : bool
        Whether cycles are shown as logarithms of their ratio to the cell's own beginning, for the nine features whose
        ratio means the same at any size of cell.
    shared : bool
        Whether the source's scale of features holds for the other fleet too; otherwise each fleet has its own.
    """

    name: str
    age: bool = False
    ratio: bool = False
    shared: bool = False

    def show(self, windows: PastWindows) -> PastWindows:
        """Return windows as the view shows them; labels stay."""
        shown = windows if self.age else replace(windows, cycle=np.ones_like(windows.cycle))
        if not self.ratio:
            return shown
        columns = feature_columns(tuple(RATIOS))
        with np.errstate(invalid="ignore"):
            values = np.log(np.maximum(np.abs(windows.features[..., columns]), SMALLEST))
            beginning = np.log(np.maximum(np.abs(windows.beginning[:, columns]), SMALLEST))
        return replace(
            shown,
            features=freeze(values - beginning[:, np.newaxis]),
            beginning=freeze(np.zeros((windows.soh.size, columns.size))),
        )

    def carry(self, source: WindowInputs, few: PastWindows) -> WindowInputs:
        """Return the scale that source networks see another fleet with.

        Parameters
        ----------
        source : WindowInputs
            Scale of the source's training windows; its target stays, since SOH is a fraction everywhere.
        few : PastWindows
            Windows of the other fleet that may be learnt from, as the view shows them.
        """
        if self.shared:
            return source
        return WindowInputs(scaling=fit_window_inputs(few).scaling, target=source.target)


FLEET_VIEWS: Mapping[str, FleetView] = MappingProxyType(
    {
        view.name: view
        for view in (
            FleetView(name="fleet scale and age", age=True),
            FleetView(name="source scale and age", age=True, shared=True),
            FleetView(name="own beginning", ratio=True, shared=True),
        )
    }
)
