"""What the shield goes by: measured voltages and temperatures that are fresh, and nothing estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Quality, Reading

__all__ = ["Measurements", "measure_pack"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Extreme:
    """A reading that stands out, and whose it is.

    Attributes
    ----------
    value : float
        The reading [SI].
    element_id : str
        Id of the element.
    """

    value: float
    element_id: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurements:
    """Fresh measurements of a pack.

    Attributes
    ----------
    voltage : ndarray of shape (n_groups,)
        Group voltages [V]; NaN where there is no fresh good one.
    hottest, coldest : tuple of Extreme or None
        Extreme temperature of each module [K]; None where the module has no fresh good one.
    current : float
        Pack current [A], positive on discharge; NaN if there is no fresh good one.
    """

    voltage: Array
    hottest: tuple[Extreme | None, ...]
    coldest: tuple[Extreme | None, ...]
    current: float


def measure_pack(spec: PackSpec, state: PackState, stale_after: float) -> Measurements:
    """Return what is measured and fresh; readings of a wrong size or from the future count as missing.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    state : PackState
        Process image.
    stale_after : float
        Age beyond which a value counts as missing [s].
    """
    voltage = _fresh(spec, state, "voltage", Level.GROUP, stale_after)
    current = _fresh(spec, state, "current", Level.PACK, stale_after)
    hottest: list[Extreme | None] = [None] * spec.n_modules
    coldest: list[Extreme | None] = [None] * spec.n_modules
    for level in (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK):
        values = _fresh(spec, state, "temperature", level, stale_after)
        if values is None or not np.isfinite(values).any():
            continue
        ids = spec.element_ids(level)
        rows = values.reshape(1 if level is Level.PACK else spec.n_modules, -1)
        for module in range(spec.n_modules):
            place = 0 if level is Level.PACK else module
            row = rows[place]
            if not np.isfinite(row).any():
                continue
            high, low = int(np.nanargmax(row)), int(np.nanargmin(row))
            first = place * row.size
            best, least = hottest[module], coldest[module]
            if best is None or row[high] > best.value:
                hottest[module] = Extreme(value=float(row[high]), element_id=ids[first + high])
            if least is None or row[low] < least.value:
                coldest[module] = Extreme(value=float(row[low]), element_id=ids[first + low])
    return Measurements(
        voltage=np.full(spec.n_groups, np.nan) if voltage is None else voltage,
        hottest=tuple(hottest),
        coldest=tuple(coldest),
        current=float("nan") if current is None else float(current[0]),
    )


def _fresh(spec: PackSpec, state: PackState, quantity: str, level: Level, stale_after: float) -> Array | None:
    reading: Reading | None = state.get(Kind.MEASURED, quantity, level)
    if reading is None or reading.values.size != spec.size(level):
        return None
    age = state.time - reading.time
    good = (
        (reading.quality == Quality.GOOD) & np.isfinite(reading.values) & (age <= stale_after) & (age >= -stale_after)
    )
    return np.where(good, reading.values, np.nan)
