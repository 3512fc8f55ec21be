"""Largest current that data sheet, Ohm's law and present measurements allow, one limit after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Level, PackSpec, find_quantity

from .measurements import Measurements

__all__ = ["CurrentLimit", "ShieldSettings", "limit_current"]

_VOLTAGE, _TEMPERATURE, _CURRENT = (find_quantity(key) for key in ("voltage", "temperature", "current"))


@dataclass(frozen=True, kw_only=True)
class ShieldSettings:
    """What the shield adds to the data sheet.

    Attributes
    ----------
    stale_after : float
        Age beyond which a measurement counts as missing [s].
    voltage_margin : float
        Distance before the cut-off at which the voltage is held, as a constant-voltage charger does [V].
    voltage_tolerance : float
        Distance beyond the cut-off at which the current is stopped at once; up to there it is reduced step by step [V].
    resistance_factor : float
        Resistance that the holding of the voltage reckons with, as a multiple of the data sheet's. Larger than the
        true one it approaches the limit slowly and does not swing.
    deep_discharge : float
        Distance below the discharge cut-off at which a group may not be charged either [V].
    derating : float
        Distance below the highest temperature from which the current is reduced, to nothing at the limit [K].
    ramp : float
        Fastest growth of a current, as a share of the highest in one second [1/s].
    balancing_rate : float
        Largest balancing current as a C-rate of the group [1/h].
    """

    stale_after: float = 60.0
    voltage_margin: float = 0.002
    voltage_tolerance: float = 0.01
    resistance_factor: float = 2.5
    deep_discharge: float = 0.5
    derating: float = 5.0
    ramp: float = 0.1
    balancing_rate: float = 0.02


@dataclass(frozen=True, kw_only=True)
class CurrentLimit:
    """One limit on the magnitude of the pack's current.

    Attributes
    ----------
    allowed : float
        Largest magnitude [A]; zero or less stops the current.
    reason : str
        Why: element, value and limit.
    """

    allowed: float
    reason: str


def limit_current(spec: PackSpec, settings: ShieldSettings, measured: Measurements, asked: float) -> CurrentLimit:
    """Return the tightest limit on a current of the sign of ``asked`` [A], positive on discharge."""
    charging = asked < 0.0
    per_cell = spec.cell.highest_charge_current if charging else spec.cell.highest_discharge_current
    highest = per_cell * spec.cells_in_parallel
    verb = "charge" if charging else "discharge"
    limits = [
        CurrentLimit(allowed=highest, reason=f"highest {verb} current of the pack is {_CURRENT.format(highest)}"),
        *_by_voltage(spec, settings, measured, charging),
        *_by_temperature(spec, settings, measured, charging, highest),
    ]
    return min(limits, key=lambda limit: limit.allowed)


def _by_voltage(spec: PackSpec, settings: ShieldSettings, measured: Measurements, charging: bool) -> list[CurrentLimit]:
    """Hold the voltage at the cut-off, and stop beyond it.

    The voltage at another current follows from Ohm's law, ``V - r (I - I_measured)``; solved for the current that
    brings it to the margin before the cut-off. Without a measured current nothing is known to flow, so that a voltage
    at the cut-off stops it.
    """
    cell, voltage = spec.cell, measured.voltage
    ids = spec.element_ids(Level.GROUP)
    unknown = np.nonzero(~np.isfinite(voltage))[0]
    if unknown.size:
        first, others = ids[unknown[0]], f" and {unknown.size - 1} more" if unknown.size > 1 else ""
        return [CurrentLimit(allowed=0.0, reason=f"no fresh voltage of {first}{others}")]
    lowest, highest = int(voltage.argmin()), int(voltage.argmax())
    deep = cell.lowest_voltage - settings.deep_discharge
    limits = []
    if voltage[lowest] <= deep:
        where = f"{ids[lowest]} at {_VOLTAGE.format(voltage[lowest])} is deeply discharged"
        limits.append(CurrentLimit(allowed=0.0, reason=f"{where}, limit {_VOLTAGE.format(deep)}"))
    group, cut_off = (highest, cell.highest_voltage) if charging else (lowest, cell.lowest_voltage)
    value = float(voltage[group])
    room = cut_off - value if charging else value - cut_off
    where = f"{ids[group]} at {_VOLTAGE.format(value)}, limit {_VOLTAGE.format(cut_off)}"
    if room <= -settings.voltage_tolerance:
        limits.append(CurrentLimit(allowed=0.0, reason=where))
    else:
        each = settings.resistance_factor * (cell.resistance + spec.busbar.weld_resistance)
        resistance = each / spec.cells_in_parallel
        flowing = measured.current if np.isfinite(measured.current) else 0.0
        flowing = -flowing if charging else flowing
        limits.append(CurrentLimit(allowed=flowing + (room - settings.voltage_margin) / resistance, reason=where))
    return limits


def _by_temperature(
    spec: PackSpec, settings: ShieldSettings, measured: Measurements, charging: bool, highest: float
) -> list[CurrentLimit]:
    cell = spec.cell
    limits = []
    for module, hottest, coldest in zip(spec.modules, measured.hottest, measured.coldest, strict=True):
        if hottest is None or coldest is None:
            return [CurrentLimit(allowed=0.0, reason=f"no fresh temperature in {module.id}")]
        share = (cell.highest_temperature - hottest.value) / settings.derating
        if share < 1.0:
            where = f"{hottest.element_id} at {_TEMPERATURE.format(hottest.value)}"
            limit = f"limit {_TEMPERATURE.format(cell.highest_temperature)}"
            limits.append(CurrentLimit(allowed=max(share, 0.0) * highest, reason=f"{where}, {limit}"))
        lowest = cell.lowest_charge_temperature if charging else cell.lowest_temperature
        if coldest.value < lowest:
            where = f"{coldest.element_id} at {_TEMPERATURE.format(coldest.value)}"
            what = "for charging" if charging else "for discharging"
            limits.append(CurrentLimit(allowed=0.0, reason=f"{where}, lowest {what} {_TEMPERATURE.format(lowest)}"))
    return limits
