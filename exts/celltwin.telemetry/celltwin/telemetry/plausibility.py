"""What a reading can be, and what looks wrong about one that can."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Channel, Level, PackSpec, find_quantity

__all__ = ["FASTEST_TEMPERATURE_CHANGE", "FrozenSensors", "possible_range", "too_fast"]

# A cell in thermal runaway heats by some ten kelvin a second on its surface; no sensor body follows this.
FASTEST_TEMPERATURE_CHANGE = 150.0  # [K/s]
FROZEN_FEWEST_SAMPLES = 30
FROZEN_FEWEST_ELEMENTS = 3
FROZEN_MOVEMENT = 20.0  # standard uncertainties that the others have moved


def possible_range(spec: PackSpec, channel: Channel) -> tuple[float, float]:
    """Return the lowest and highest value [SI] that a channel can send.

    A quantity's bounds are those of one cell: voltages add up along series groups, currents over parallel cells.
    """
    quantity = find_quantity(channel.quantity)
    factor = 1.0
    if channel.quantity == "voltage":
        factor = {Level.PACK: float(spec.n_series), Level.MODULE: float(spec.series)}.get(channel.level, 1.0)
    elif channel.quantity == "current" and channel.level is not Level.CELL:
        factor = float(spec.cells_in_parallel if channel.level is Level.PACK else spec.parallel)
    return quantity.lowest * factor, quantity.highest * factor


def too_fast(
    quantity_is_temperature: NDArray[np.bool_], before: Array, before_time: Array, after: Array, after_time: Array
) -> NDArray[np.bool_]:
    """Return which temperatures changed faster than a sensor can follow; all of shape (n,), NaN for no value."""
    with np.errstate(invalid="ignore"):
        change = np.abs(after - before)
        fast: NDArray[np.bool_] = quantity_is_temperature & (
            change > FASTEST_TEMPERATURE_CHANGE * np.maximum(after_time - before_time, 0.1)
        )
    return fast


class FrozenSensors:
    """Find sensors that repeat one value to the last bit while their neighbours move.

    Parameters
    ----------
    groups : sequence of ndarray of int
        Channels that measure the same quantity on the same level.
    uncertainty : ndarray of shape (n_channels,)
        Standard uncertainty of each channel [SI].
    """

    def __init__(self, groups: Sequence[NDArray[np.int64]], uncertainty: Array) -> None:
        self._groups = [group for group in groups if group.size >= FROZEN_FEWEST_ELEMENTS]
        self._threshold = FROZEN_MOVEMENT * np.maximum(uncertainty, 1e-12)
        self._anchor = np.full(uncertainty.size, np.nan)
        self._repeats = np.zeros(uncertainty.size, dtype=np.int64)
        self._reference = np.full(uncertainty.size, np.nan)

    def update(self, newest: Array, sent: NDArray[np.int64], moved: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Take the newest values and return which channels look frozen.

        Parameters
        ----------
        newest : ndarray of shape (n_channels,)
            Newest accepted value of each channel [SI]; NaN before the first.
        sent : ndarray of int, shape (n_channels,)
            Values accepted of each channel since the last call.
        moved : ndarray of bool, shape (n_channels,)
            Whether any of them differed from the channel's newest value before.

        Returns
        -------
        ndarray of bool, shape (n_channels,)
        """
        changed = (moved | (newest != self._anchor)) & (sent > 0)
        frozen = np.zeros(newest.size, dtype=np.bool_)
        np.copyto(self._anchor, newest, where=changed)
        self._repeats = np.where(changed, 0, self._repeats + sent)
        for group in self._groups:
            values = newest[group]
            missing = np.isnan(values)
            known = values[~missing] if missing.any() else values
            if known.size < FROZEN_FEWEST_ELEMENTS:
                continue
            middle = float(np.partition(known, known.size // 2)[known.size // 2])
            reference, repeats = self._reference[group], self._repeats[group]
            reference[changed[group] | np.isnan(reference)] = middle
            self._reference[group] = reference
            if int(repeats.max()) >= FROZEN_FEWEST_SAMPLES:
                frozen[group] = (repeats >= FROZEN_FEWEST_SAMPLES) & (
                    np.abs(middle - reference) > self._threshold[group]
                )
        return frozen
