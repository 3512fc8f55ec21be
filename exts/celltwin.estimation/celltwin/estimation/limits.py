"""Limits of a pack and the alarms that follow when one is crossed.

Three levels surround every limit, as in foxBMS 2: the maximum operating limit (notice), the recommended safety limit
(warning) and the maximum safety limit (critical), each farther out than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    Alarm,
    Array,
    Kind,
    Level,
    PackSpec,
    PackState,
    Quality,
    Reading,
    Severity,
    find_quantity,
)

__all__ = ["AlarmBands", "Band", "Crossing", "check_limits", "find_crossings"]

Grades = NDArray[np.int8]
NONE = -1  # grade of an element within its limits

_LIMIT_NAMES = {
    Severity.NOTICE: "operating limit",
    Severity.WARNING: "safety limit",
    Severity.CRITICAL: "maximum safety limit",
}


@dataclass(frozen=True, kw_only=True)
class Band:
    """The three levels around one limit, and when an alarm ends.

    Attributes
    ----------
    offsets : tuple of float
        Distance of notice, warning and critical from the limit, outward positive [unit of the quantity].
    release : float
        How far inside its level a value must return before a raised alarm ends [unit of the quantity].
    """

    offsets: tuple[float, float, float]
    release: float


@dataclass(frozen=True, kw_only=True)
class AlarmBands:
    """Bands of all limits that are watched.

    The limits themselves are the cell's data sheet in the pack's specification; spreads and ages have none there,
    so their offsets count from zero.

    Attributes
    ----------
    voltage : Band
        Around charge and discharge cut-off [V]. A charge holds the cut-off itself, so that notice begins beyond what
        the sensors may be wrong by.
    temperature : Band
        Around the highest temperature, and the lowest for discharging or, while charging, for charging [K].
    current : Band
        Around the continuous charge and discharge currents, as fractions of them [-].
    voltage_spread : Band
        Highest minus lowest group voltage [V]; wide, because near empty small differences in charge look large.
    soc_spread : Band
        Highest minus lowest state of charge of the groups [-], counted where it exceeds twice its uncertainty.
    age : Band
        Time since a sensor's last value, in its expected periods [-].
    rest : float
        C-rate below which the pack does not count as charging [1/h].
    """

    voltage: Band = field(default=Band(offsets=(0.005, 0.025, 0.05), release=0.01))
    temperature: Band = field(default=Band(offsets=(-5.0, 0.0, 5.0), release=1.0))
    current: Band = field(default=Band(offsets=(0.0, 0.05, 0.1), release=0.02))
    voltage_spread: Band = field(default=Band(offsets=(0.1, 0.3, 1.0), release=0.02))
    soc_spread: Band = field(default=Band(offsets=(0.05, 0.1, 0.2), release=0.01))
    age: Band = field(default=Band(offsets=(3.0, 6.0, 12.0), release=0.0))
    rest: float = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossing:
    """How far the elements of one level have gone beyond one limit.

    Attributes
    ----------
    name : str
        Name of the limit, such as ``"high voltage"``.
    quantity, level : str, Level
        What the limit is on.
    values : ndarray of shape (n,)
        Readings [unit]; NaN where there is none.
    excess : ndarray of shape (n,)
        Distance beyond the limit, outward positive [scale of the band]; NaN where there is no reading.
    band : Band
        The three levels.
    base : float
        The limit itself [unit].
    scale : float
        Unit of the value for one unit of the band, negative for a lower limit.
    what : str
        What is said of the value, such as ``"voltage"``.
    elements : tuple of int
        Element of each value; all elements of the level in order where empty.
    unit : str
        Unit of the value where it is not the quantity's.
    """

    name: str
    quantity: str
    level: Level
    values: Array
    excess: Array
    band: Band
    base: float
    scale: float
    what: str
    elements: tuple[int, ...] = ()
    unit: str = ""

    def grades(self, held: Grades | None = None) -> Grades:
        """Return the severity that each element has reached, -1 within limits; shape (n,).

        Parameters
        ----------
        held : ndarray of shape (n,), optional
            Severities already raised: these end only once the value is back inside by the band's release.
        """
        reached = np.full(self.values.shape, NONE, dtype=np.int8)
        for severity, offset in zip(Severity, self.band.offsets, strict=True):
            crossed = self.excess > offset
            if held is not None:
                crossed |= (held >= severity) & (self.excess > offset - self.band.release)
            reached[crossed] = severity
        return reached

    def alarm(self, spec: PackSpec, time: float, place: int, severity: Severity) -> Alarm:
        """Return the alarm of one of the values."""
        element = self.elements[place] if self.elements else place
        value = float(self.values[place])
        limit = self.base + self.scale * self.band.offsets[severity]
        element_id = spec.element_ids(self.level)[element]
        side = "below" if self.scale < 0.0 else "above"
        message = (
            f"{element_id}: {self.what} {self._show(value)} {side} the {_LIMIT_NAMES[severity]} {self._show(limit)}"
        )
        return Alarm(
            time=time,
            severity=severity,
            quantity=self.quantity,
            level=self.level,
            element=element,
            element_id=element_id,
            value=value,
            limit=limit,
            message=message,
        )

    def _show(self, value: float) -> str:
        if self.unit:
            return f"{value:.0f} {self.unit}"
        quantity = find_quantity(self.quantity)
        if "spread" in self.name:
            return f"{1000.0 * value:.0f} mV" if self.quantity == "voltage" else f"{100.0 * value:.1f} %"
        return quantity.format(value)


def check_limits(spec: PackSpec, state: PackState, bands: AlarmBands | None = None) -> tuple[Alarm, ...]:
    """Return an alarm for each element beyond a limit now, most severe first.

    Measured values are used where there are any, estimated ones elsewhere; suspect and bad ones are left out.

    Parameters
    ----------
    spec : PackSpec
        The pack, whose cell's data sheet holds the limits.
    state : PackState
        Process image with measured and estimated readings.
    bands : AlarmBands, optional
        Levels around the limits.
    """
    alarms = [
        crossing.alarm(spec, state.time, int(place), Severity(int(grade)))
        for crossing in find_crossings(spec, state, bands or AlarmBands())
        for grades in (crossing.grades(),)
        for place, grade in zip(np.nonzero(grades > NONE)[0], grades[grades > NONE], strict=True)
    ]
    return tuple(sorted(alarms, key=lambda alarm: -alarm.severity))


def find_crossings(spec: PackSpec, state: PackState, bands: AlarmBands) -> tuple[Crossing, ...]:
    """Return the distance of every watched value from its limit."""
    return (
        *_voltage(spec, state, bands),
        *_temperature(spec, state, bands),
        *_current(spec, state, bands),
        *_spreads(spec, state, bands),
        *_ages(spec, state, bands),
    )


def _voltage(spec: PackSpec, state: PackState, bands: AlarmBands) -> list[Crossing]:
    values = _trusted(spec, state, "voltage", Level.GROUP)
    if values is None:
        return []
    cell = spec.cell
    return [
        _one_sided("high voltage", "voltage", Level.GROUP, values, bands.voltage, cell.highest_voltage, 1.0),
        _one_sided("low voltage", "voltage", Level.GROUP, values, bands.voltage, cell.lowest_voltage, -1.0),
    ]


def _temperature(spec: PackSpec, state: PackState, bands: AlarmBands) -> list[Crossing]:
    values = _trusted(spec, state, "temperature", Level.CELL)
    if values is None:
        return []
    cell = spec.cell
    current = _trusted(spec, state, "current", Level.PACK)
    charging = current is not None and current[0] < -bands.rest * spec.capacity
    lowest = cell.lowest_charge_temperature if charging else cell.lowest_temperature
    return [
        _one_sided(
            "high temperature", "temperature", Level.CELL, values, bands.temperature, cell.highest_temperature, 1.0
        ),
        _one_sided("low temperature", "temperature", Level.CELL, values, bands.temperature, lowest, -1.0),
    ]


def _current(spec: PackSpec, state: PackState, bands: AlarmBands) -> list[Crossing]:
    found = []
    for level, cells in ((Level.PACK, spec.cells_in_parallel), (Level.CELL, 1)):
        reading = state.get(Kind.MEASURED, "current", level)
        if reading is None or reading.values.size != spec.size(level):
            continue
        values = _plain(reading)
        discharge, charge = spec.cell.highest_discharge_current * cells, spec.cell.highest_charge_current * cells
        for name, limit, values_out in (
            ("discharge current", discharge, values),
            ("charge current", charge, -values),
        ):
            found.append(
                Crossing(
                    name=name,
                    quantity="current",
                    level=level,
                    values=np.where(values_out > 0.0, values_out, np.nan),
                    excess=values_out / limit - 1.0,
                    band=bands.current,
                    base=limit,
                    scale=limit,
                    what=name,
                )
            )
    return found


def _spreads(spec: PackSpec, state: PackState, bands: AlarmBands) -> list[Crossing]:
    found = []
    for quantity, label, band in (("voltage", "voltage", bands.voltage_spread), ("soc", "SOC", bands.soc_spread)):
        values = _trusted(spec, state, quantity, Level.GROUP)
        if values is None or np.isfinite(values).sum() < 2:
            continue
        low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
        spread = float(values[high] - values[low])
        if quantity == "soc":
            reading = state.best("soc", Level.GROUP)
            doubt = np.zeros(values.size) if reading is None else reading.standard_uncertainty
            if not spread > 2.0 * float(np.nan_to_num(np.hypot(doubt[low], doubt[high]))):
                continue
        middle = float(np.nanmedian(values))
        # The group named is the one farther from the middle: it makes the spread.
        far, near = (low, high) if middle - values[low] >= values[high] - middle else (high, low)
        ids = spec.element_ids(Level.GROUP)
        found.append(
            Crossing(
                name=f"{quantity} spread",
                quantity=quantity,
                level=Level.GROUP,
                values=np.array([spread]),
                excess=np.array([spread]),
                band=band,
                base=0.0,
                scale=1.0,
                what=f"{label} differs from that of {ids[near]} by",
                elements=(far,),
            )
        )
    return found


def _ages(spec: PackSpec, state: PackState, bands: AlarmBands) -> list[Crossing]:
    found = []
    periods = {mapping.sensor: 1.0 / mapping.rate for mapping in spec.mappings if mapping.direction == "in"}
    for sensor in spec.sensors:
        reading = state.get(Kind.MEASURED, sensor.quantity, sensor.level)
        if sensor.id not in periods or reading is None or reading.values.size != spec.size(sensor.level):
            continue
        elements = np.array(sensor.elements) if sensor.elements else np.arange(reading.values.size)
        seen = reading.time[elements]
        age = state.time - np.where(np.isfinite(seen), seen, 0.0)
        oldest = int(np.argmax(age))  # one alarm a sensor: a lost bus would raise thousands
        label = find_quantity(sensor.quantity).label.lower()
        late = int((age > bands.age.offsets[0] * periods[sensor.id]).sum())
        found.append(
            Crossing(
                name=f"age of {sensor.id}",
                quantity=sensor.quantity,
                level=sensor.level,
                values=age[oldest : oldest + 1],
                excess=age[oldest : oldest + 1] / periods[sensor.id],
                band=bands.age,
                base=0.0,
                scale=periods[sensor.id],
                what=f"{label} not renewed ({late} of {elements.size} values late), age",
                elements=(int(elements[oldest]),),
                unit="s",
            )
        )
    return found


def _one_sided(
    name: str, quantity: str, level: Level, values: Array, band: Band, limit: float, side: float
) -> Crossing:
    return Crossing(
        name=name,
        quantity=quantity,
        level=level,
        values=values,
        excess=side * (values - limit),
        band=band,
        base=limit,
        scale=side,
        what=find_quantity(quantity).label.lower(),
    )


def _trusted(spec: PackSpec, state: PackState, quantity: str, level: Level) -> Array | None:
    """Return measured values where there are any, estimated ones elsewhere; None if there are none at all."""
    merged = np.full(spec.size(level), np.nan)
    for kind in (Kind.ESTIMATED, Kind.MEASURED):
        reading = state.get(kind, quantity, level)
        if reading is not None and reading.values.size == merged.size:
            values = _plain(reading)
            merged = np.where(np.isfinite(values), values, merged)
    return merged if np.isfinite(merged).any() else None


def _plain(reading: Reading) -> Array:
    return np.where(reading.quality <= Quality.STALE, reading.values, np.nan)
