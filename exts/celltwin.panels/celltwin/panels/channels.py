"""The figures of a pack as panels show them; SI becomes display units here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from celltwin.core import Kind, Level, PackSpec, PackState, Quality, Reading, cell_values, find_quantity

from .display_text import MISSING, QUALITY_LABELS, show_value

__all__ = ["PACK_CHANNELS", "DisplayChannel", "Shown", "count_qualities", "finest_reading", "show_quality_counts"]

# Half-width of a 95 % interval in standard uncertainties of a normal distribution.
COVERAGE_95 = 1.96
# A cell is named beside the pack's risk of runaway where its own is so many times the median cell's.
STANDS_OUT = 10.0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One figure, ready to be drawn.

    Attributes
    ----------
    text : str
        Value with its unit, or a dash.
    note : str
        What stands beside it: an element's id, an interval, or why the value is not to be trusted.
    quality : Quality or None
        How far it may be trusted; None where there is no value.
    """

    text: str
    note: str = ""
    quality: Quality | None = Quality.GOOD


# A pack's terminals carry hundreds of volts and kilowatts: other decimals than a cell's.
_PACK_FORMATS: dict[str, Callable[[float], str]] = {
    "voltage": lambda value: f"{value:.1f} V",
    "current": lambda value: f"{round(value, 1) + 0.0:.1f} A",  # never "-0.0"
    "power": lambda value: f"{round(value / 1000.0, 2) + 0.0:.2f} kW",
}

NOTHING = Shown(text=MISSING, note="no value yet", quality=None)


@dataclass(frozen=True, kw_only=True)
class DisplayChannel:
    """One displayed quantity.

    Attributes
    ----------
    key, label : str
        Name in Python, name for people.
    show : callable
        Gives the figure of a process image.
    """

    key: str
    label: str
    show: Callable[[PackState, PackSpec], Shown]


def finest_reading(state: PackState, quantity: str) -> Reading | None:
    """Return the reading of a quantity at the finest level that has a value."""
    for level in (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK):
        reading = state.best(quantity, level)
        if reading is not None:
            return reading
    return None


def count_qualities(state: PackState) -> dict[Quality, int]:
    """Return how many measured values have each quality; a value that never came counts as bad."""
    counts = dict.fromkeys(Quality, 0)
    for (kind, _, _), reading in state.readings.items():
        if kind is not Kind.MEASURED:
            continue
        quality = np.where(np.isnan(reading.values), np.uint8(Quality.BAD), reading.quality)
        for known in Quality:
            counts[known] += int(np.count_nonzero(quality == known))
    return counts


def show_quality_counts(state: PackState) -> str:
    """Return the counts of measured values by quality as one line."""
    return " · ".join(f"{count:,} {QUALITY_LABELS[known]}" for known, count in count_qualities(state).items())


def _show_pack(quantity: str) -> Callable[[PackState, PackSpec], Shown]:
    def show(state: PackState, spec: PackSpec) -> Shown:
        value, quality = _pack_value(state, spec, quantity)
        if not np.isfinite(value):
            return NOTHING
        return Shown(
            text=_PACK_FORMATS.get(quantity, partial(show_value, quantity))(value), note=_flag(quality), quality=quality
        )

    return show


def _pack_value(state: PackState, spec: PackSpec, quantity: str) -> tuple[float, Quality]:
    reading = state.best(quantity, Level.PACK)
    if reading is not None:
        return float(reading.values[0]), Quality(int(reading.quality[0]))
    if quantity == "power":
        voltage, of_voltage = _pack_value(state, spec, "voltage")
        current, of_current = _pack_value(state, spec, "current")
        return voltage * current, max(of_voltage, of_current)
    if quantity == "voltage":  # groups are in series: their voltages add up
        groups = state.best("voltage", Level.GROUP)
        if groups is not None:
            return float(groups.values.sum()), Quality(int(groups.quality.max()))
    if quantity in ("soc", "soh"):
        values, quality = cell_values(state, spec, quantity)
        trusted = np.isfinite(values) & (quality == Quality.GOOD)
        if trusted.any():
            return float(values[trusted].mean()), Quality.GOOD
        if np.isfinite(values).any():
            return float(np.nanmean(values)), Quality(int(quality.min()))
    return float("nan"), Quality.BAD


def _show_extreme(quantity: str, *, highest: bool) -> Callable[[PackState, PackSpec], Shown]:
    def show(state: PackState, spec: PackSpec) -> Shown:
        reading = finest_reading(state, quantity)
        if reading is None:
            return NOTHING
        element, quality = _find_extreme(reading, highest=highest)
        name = spec.element_ids(reading.level)[element] if reading.level is not Level.PACK else ""
        text = show_value(quantity, float(reading.values[element]))
        return Shown(text=text, note=_join(name, _flag(quality)), quality=quality)

    return show


def _find_extreme(reading: Reading, *, highest: bool) -> tuple[int, Quality]:
    """Return the element of the extreme trusted value, or of the extreme value where none is trusted."""
    trusted = reading.usable()
    chosen = trusted if trusted.any() else np.isfinite(reading.values)
    ranked = np.where(chosen, reading.values, -np.inf if highest else np.inf)
    element = int(np.argmax(ranked) if highest else np.argmin(ranked))
    return element, Quality(int(reading.quality[element]))


def _show_weakest(state: PackState, spec: PackSpec) -> Shown:
    """Return the cell of the lowest SOH; where none is predicted yet, the group of the lowest voltage."""
    for quantity in ("soh", "voltage"):
        reading = finest_reading(state, quantity)
        if reading is not None and reading.level is not Level.PACK:
            element, quality = _find_extreme(reading, highest=False)
            name = spec.element_ids(reading.level)[element]
            value = f"{find_quantity(quantity).label} {show_value(quantity, float(reading.values[element]))}"
            return Shown(text=name, note=_join(value, _flag(quality)), quality=quality)
    return NOTHING


def _show_soh(state: PackState, _spec: PackSpec) -> Shown:
    """Return the pack's SOH with a 95 % interval.

    The errors of one model are common to all cells, so a mean over cells keeps their mean uncertainty.
    """
    reading = state.best("soh", Level.PACK) or finest_reading(state, "soh")
    if reading is None:
        return Shown(text=MISSING, note="not predicted yet", quality=None)
    trusted = reading.usable()
    chosen = trusted if trusted.any() else np.isfinite(reading.values)
    value = float(reading.values[chosen].mean())
    quality = Quality.GOOD if trusted.any() else Quality(int(reading.quality[chosen].min()))
    known = reading.standard_uncertainty[chosen]
    half = COVERAGE_95 * float(known[np.isfinite(known)].mean()) if np.isfinite(known).any() else float("nan")
    note = _flag(quality)
    if np.isfinite(half):
        low, high = (show_value("soh", bound, unit=False) for bound in (max(value - half, 0.0), value + half))
        note = _join(f"{low} to {high} %", note)
    return Shown(text=show_value("soh", value), note=note, quality=quality)


def _show_life(quantity: str) -> Callable[[PackState, PackSpec], Shown]:
    """Return what shows the remaining life of the pack with its 95 % interval, in charges or in time."""

    def show(state: PackState, _spec: PackSpec) -> Shown:
        pack = state.get(Kind.PREDICTED, quantity, Level.PACK)
        if pack is None or not np.isfinite(pack.values[0]):
            return Shown(text=MISSING, note="not predicted yet" if pack is None else "cannot be told", quality=None)
        value, half = float(pack.values[0]), COVERAGE_95 * float(pack.standard_uncertainty[0])
        quality = Quality(int(pack.quality[0]))
        bounds = (show_value(quantity, bound, unit=False) for bound in (max(value - half, 0.0), value + half))
        interval = " to ".join(bounds) if np.isfinite(half) else ""
        return Shown(text=show_value(quantity, value), note=_join(interval, _flag(quality)), quality=quality)

    return show


def _show_risk(state: PackState, spec: PackSpec) -> Shown:
    """Return the probability that any cell runs away, its horizon, and the cell of the highest risk where one shows."""
    pack, cells = (state.get(Kind.PREDICTED, "runaway_risk", level) for level in (Level.PACK, Level.CELL))
    if pack is None or cells is None or not np.isfinite(pack.values[0]):
        return Shown(text=MISSING, note="not predicted yet" if pack is None else "cannot be told", quality=None)
    horizon = pack.reason.partition(",")[0].lower()  # such as "within 30 min"
    element, _ = _find_extreme(cells, highest=True)
    shows = float(cells.values[element]) > STANDS_OUT * float(np.nanmedian(cells.values))
    name = spec.element_ids(Level.CELL)[element] if shows else ""
    quality = Quality(int(pack.quality[0]))
    text = show_value("runaway_risk", float(pack.values[0]))
    return Shown(text=text, note=_join(horizon, name, _flag(quality)), quality=quality)


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _flag(quality: Quality) -> str:
    return "" if quality is Quality.GOOD else QUALITY_LABELS[quality]


PACK_CHANNELS: tuple[DisplayChannel, ...] = (
    DisplayChannel(key="voltage", label="Voltage", show=_show_pack("voltage")),
    DisplayChannel(key="current", label="Current", show=_show_pack("current")),
    DisplayChannel(key="power", label="Power", show=_show_pack("power")),
    DisplayChannel(key="soc", label="SOC", show=_show_pack("soc")),
    DisplayChannel(key="soh", label="SOH (95 %)", show=_show_soh),
    DisplayChannel(key="rul", label="Life left (95 %)", show=_show_life("rul")),
    DisplayChannel(key="rul_time", label="At present use", show=_show_life("rul_time")),
    DisplayChannel(key="runaway_risk", label="Runaway risk", show=_show_risk),
    DisplayChannel(key="hottest", label="Hottest cell", show=_show_extreme("temperature", highest=True)),
    DisplayChannel(key="lowest_voltage", label="Lowest voltage", show=_show_extreme("voltage", highest=False)),
    DisplayChannel(key="weakest", label="Weakest cell", show=_show_weakest),
)
