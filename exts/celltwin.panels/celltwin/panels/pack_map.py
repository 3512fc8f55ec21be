"""What the pack view draws: a value and a colour for every cell, and the legend that explains them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Level, PackSpec, PackState, Quality, cell_values
from celltwin.stage import Legend, map_colours
from celltwin.stage.heat_map import UNTRUSTED_COLOUR, build_legend, fit_range

__all__ = ["MAP_QUANTITIES", "PackMap", "fit_legend", "group_colours", "map_pack"]

MAP_QUANTITIES = ("temperature", "voltage", "soc", "soh", "rul")

# Part of a legend that the values must fill for it to stay.
WORTH_KEEPING = 0.4
UNKNOWN_COLOUR = (0.25, 0.26, 0.28)  # a cell of which nothing is known at all


@dataclass(frozen=True, kw_only=True, eq=False)
class PackMap:
    """Values and colours of all cells for one quantity.

    Attributes
    ----------
    legend : Legend
        What the colours mean.
    values : ndarray of shape (n_cells,)
        Values [SI]; NaN where nothing is known.
    quality : ndarray of shape (n_cells,)
        :class:`Quality` of each.
    colours : ndarray of shape (n_cells, 3)
        Red, green, blue, 0 to 1; grey where the value is not to be trusted.
    alarmed : ndarray of int, shape (n_alarmed,)
        Cells with an alarm, of any quantity, in pack order.
    severities : ndarray of int, shape (n_alarmed,)
        The most urgent :class:`celltwin.core.Severity` of each.
    """

    legend: Legend
    values: Array
    quality: NDArray[np.uint8]
    colours: NDArray[np.float32]
    alarmed: NDArray[np.int64]
    severities: NDArray[np.int64]

    @property
    def untrusted(self) -> int:
        """Number of cells drawn grey."""
        return int(np.count_nonzero(~_trusted(self.values, self.quality)))


def map_pack(state: PackState, spec: PackSpec, quantity: str, previous: Legend | None = None) -> PackMap:
    """Return values and colours of all cells.

    Parameters
    ----------
    state : PackState
        Process image.
    spec : PackSpec
        The pack.
    quantity : str
        Key of the quantity.
    previous : Legend, optional
        Legend of the last picture, kept while it still fits so that colours do not flicker.
    """
    values, quality = cell_values(state, spec, quantity)
    trusted = _trusted(values, quality)
    legend = fit_legend(values[trusted], quantity, previous)
    colours = np.empty((spec.n_cells, 3), dtype=np.float32)
    colours[:] = UNKNOWN_COLOUR
    colours[np.isfinite(values)] = UNTRUSTED_COLOUR
    if trusted.any():
        colours[trusted] = map_colours(values[trusted], legend.lowest, legend.highest, quantity=quantity)
    alarmed, severities = _alarmed_cells(state, spec)
    return PackMap(
        legend=legend, values=values, quality=quality, colours=colours, alarmed=alarmed, severities=severities
    )


def group_colours(colours: NDArray[np.float32], spec: PackSpec) -> NDArray[np.float32]:
    """Return the mean colour of the cells of each group, shape (n_groups, 3)."""
    means: NDArray[np.float32] = colours.reshape(spec.n_groups, spec.parallel, 3).mean(axis=1)
    return means


def fit_legend(values: Array, quantity: str, previous: Legend | None = None) -> Legend:
    """Return a legend whose ends hold all values [SI].

    The previous one is kept while the values lie inside it and fill at least 40 % of it: colours keep their meaning
    from step to step, and still tell cells apart after the pack has moved on.
    """
    if previous is not None and previous.quantity == quantity:
        if values.size == 0:
            return previous
        inside = previous.lowest <= values.min() and values.max() <= previous.highest
        if inside and np.ptp(values) >= WORTH_KEEPING * (previous.highest - previous.lowest):
            return previous
    lowest, highest = fit_range(values, quantity)
    if previous is not None and (previous.quantity, previous.lowest, previous.highest) == (quantity, lowest, highest):
        return previous
    return build_legend(quantity, lowest, highest)


def _trusted(values: Array, quality: NDArray[np.uint8]) -> NDArray[np.bool_]:
    trusted: NDArray[np.bool_] = np.isfinite(values) & (quality == Quality.GOOD)
    return trusted


def _alarmed_cells(state: PackState, spec: PackSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    urgency = np.full(spec.n_cells, -1, dtype=np.int64)
    for alarm in state.alarms:
        if alarm.level is Level.PACK:
            continue  # the panel's list tells it; marking every cell would hide the others
        each = spec.n_cells // spec.size(alarm.level)
        cells = slice(alarm.element * each, (alarm.element + 1) * each)
        urgency[cells] = np.maximum(urgency[cells], int(alarm.severity))
    alarmed = np.flatnonzero(urgency >= 0)
    return alarmed, urgency[alarmed]
