"""What the pack view draws: a value and a colour for every cell, and the scale that explains them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Level, PackSpec, PackState, Quality, cell_values, find_quantity
from celltwin.stage import map_colours

__all__ = ["MAP_QUANTITIES", "ColourScale", "PackMap", "fit_scale", "group_colours", "map_pack"]

MAP_QUANTITIES = ("temperature", "voltage", "soc", "soh")

# Smallest span of a scale in display units: below it a picture would show noise as structure.
_SMALLEST_SPAN = {"temperature": 2.0, "voltage": 0.02, "soc": 2.0, "soh": 2.0}
UNTRUSTED_COLOUR = (0.36, 0.37, 0.39)
UNKNOWN_COLOUR = (0.22, 0.23, 0.25)


@dataclass(frozen=True, kw_only=True)
class ColourScale:
    """Range of a legend and its ticks.

    Attributes
    ----------
    quantity : str
        Key of the quantity.
    lowest, highest : float
        Values at the ends [SI].
    ticks : tuple of (float, str)
        Position along the scale, 0 to 1, and text in display units.
    """

    quantity: str
    lowest: float
    highest: float
    ticks: tuple[tuple[float, str], ...]

    @property
    def title(self) -> str:
        """Name and display unit of the quantity."""
        found = find_quantity(self.quantity)
        return f"{found.label} [{found.display_unit}]"


@dataclass(frozen=True, kw_only=True, eq=False)
class PackMap:
    """Values and colours of all cells for one quantity.

    Attributes
    ----------
    scale : ColourScale
        Legend.
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

    scale: ColourScale
    values: Array
    quality: NDArray[np.uint8]
    colours: NDArray[np.float32]
    alarmed: NDArray[np.int64]
    severities: NDArray[np.int64]

    @property
    def untrusted(self) -> int:
        """Number of cells drawn grey."""
        return int(np.count_nonzero(~_trusted(self.values, self.quality)))


def map_pack(state: PackState, spec: PackSpec, quantity: str, previous: ColourScale | None = None) -> PackMap:
    """Return values and colours of all cells.

    Parameters
    ----------
    state : PackState
        Process image.
    spec : PackSpec
        The pack.
    quantity : str
        Key of the quantity.
    previous : ColourScale, optional
        Scale of the last picture, kept while it still fits so that colours do not flicker.
    """
    values, quality = cell_values(state, spec, quantity)
    trusted = _trusted(values, quality)
    scale = fit_scale(values[trusted], quantity, previous)
    colours = np.empty((spec.n_cells, 3), dtype=np.float32)
    colours[:] = UNKNOWN_COLOUR
    colours[np.isfinite(values)] = UNTRUSTED_COLOUR
    if trusted.any():
        colours[trusted] = map_colours(values[trusted], scale.lowest, scale.highest)
    alarmed, severities = _alarmed_cells(state, spec)
    return PackMap(scale=scale, values=values, quality=quality, colours=colours, alarmed=alarmed, severities=severities)


def group_colours(colours: NDArray[np.float32], spec: PackSpec) -> NDArray[np.float32]:
    """Return the mean colour of the cells of each group, shape (n_groups, 3)."""
    means: NDArray[np.float32] = colours.reshape(spec.n_groups, spec.parallel, 3).mean(axis=1)
    return means


def fit_scale(values: Array, quantity: str, previous: ColourScale | None = None) -> ColourScale:
    """Return a scale over trusted values with round ends and three to seven ticks.

    The previous scale is kept while the values lie inside it and fill at least 40 % of it.
    """
    found = find_quantity(quantity)
    shown = found.display_scale * values + found.display_offset
    if shown.size == 0:
        if previous is not None and previous.quantity == quantity:
            return previous
        shown = np.array([found.to_display(found.lowest), found.to_display(found.highest)])
        if quantity in ("soc", "soh"):
            shown = np.array([0.0, 100.0])
    low, high = float(shown.min()), float(shown.max())
    if previous is not None and previous.quantity == quantity and values.size:
        inside = previous.lowest <= values.min() and values.max() <= previous.highest
        if inside and values.max() - values.min() >= 0.4 * (previous.highest - previous.lowest):
            return previous
    lacking = _SMALLEST_SPAN[quantity] - (high - low)
    if lacking > 0.0:
        low, high = low - lacking / 2.0, high + lacking / 2.0
    step = _round_step((high - low) / 4.0)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    count = round((high - low) / step)
    ticks = tuple((index / count, f"{low + index * step:.{decimals}f}") for index in range(count + 1))
    lowest, highest = ((bound - found.display_offset) / found.display_scale for bound in (low, high))
    return ColourScale(quantity=quantity, lowest=lowest, highest=highest, ticks=ticks)


def _round_step(rough: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(factor * magnitude for factor in (1.0, 2.0, 5.0, 10.0) if rough <= factor * magnitude * (1.0 + 1e-9))


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
