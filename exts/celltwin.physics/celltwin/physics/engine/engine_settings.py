"""What may be set on cells and groups of a running engine, and what may be read from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError

__all__ = ["CELL_SETTINGS", "GROUP_SETTINGS", "TEMPERATURE_RANGE", "Setting", "check_places", "check_values"]

TEMPERATURE_RANGE = (150.0, 2000.0)  # [K]


@dataclass(frozen=True)
class Setting:
    """The field that a setting fills, and the values that it takes."""

    field: str
    lowest: float
    highest: float


CELL_SETTINGS = {
    "connected": Setting("connected", 0.0, 1.0),
    "internal_short_conductance": Setting("short", 0.0, np.inf),
    "bleed_conductance": Setting("bleed", 0.0, np.inf),
    "connection_resistance": Setting("connection", 0.0, np.inf),
    "resistance": Setting("resistance", 0.0, np.inf),
    "capacity_scale": Setting("capacity_scale", 1e-6, np.inf),
    "diffusivity_scale": Setting("diffusivity_scale", 1e-6, np.inf),
}
GROUP_SETTINGS = {
    "balancing_current": Setting("balancing", -np.inf, np.inf),
    "bypass_conductance": Setting("bypass", 0.0, np.inf),
}


def check_places(what: str, places: NDArray[np.int64] | None, size: int) -> NDArray[np.int64] | None:
    """Return places as an array of whole numbers between 0 and ``size``, or None for all.

    Raises
    ------
    SettingsError
        Naming the first that does not exist.
    """
    if places is None:
        return None
    given = np.atleast_1d(np.asarray(places, dtype=np.int64))
    wrong = given[(given < 0) | (given >= size)]
    if wrong.size:
        raise SettingsError(f"there is no {what} {int(wrong[0])}", remedy=f"They go from 0 to {size - 1} in pack order")
    return given


def check_values(
    name: str,
    values: Array | float,
    lowest: float,
    highest: float,
    identify: Callable[[int], str],
    places: NDArray[np.int64] | None = None,
) -> Array:
    """Return values as an array, all of them finite and within limits.

    Raises
    ------
    SettingsError
        Naming the first that is not, by ``identify`` of its place.
    """
    given = np.asarray(values, dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(given) & (given >= lowest) & (given <= highest)))
    if not wrong.size:
        return given
    first = int(wrong[0])
    where = first if places is None else int(places[min(first, places.size - 1)])
    whose = identify(where) if given.ndim else "all"
    raise SettingsError(
        f"{name} = {given.reshape(-1)[first]:g} of {whose} is not between {lowest:g} and {highest:g}",
        remedy="Correct the value",
    )
