"""Balances of a calibrated cell: charge, capacity, electrodes, lithium and energy, each against a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from celltwin.core import SECONDS_PER_HOUR

from ..measurements.cell_description import CellDescription
from ..measurements.curve import MeasuredCurve
from .consistency_capacity import RestingLimits
from .consistency_check import CheckOutcome, ConsistencyCheck, check_number, judge
from .consistency_course import CellCourse

__all__ = ["BalanceLimits", "check_capacity", "check_course", "check_potentials", "check_slow_capacity"]

_REFERENCE = 298.15  # temperature at which open-circuit potentials are stated [K]
_WARMTH, _VOLTAGE = 0.2, 5e-3  # systematic uncertainty of temperatures [K] and voltages [V]


@dataclass(frozen=True, kw_only=True)
class BalanceLimits:
    """What balances may be off by: beyond the first number flagged, beyond the second refused.

    Attributes
    ----------
    charge : tuple of float
        Coulomb count against the change of stoichiometries [%].
    lithium : tuple of float
        Change of all lithium over a curve [%].
    capacity : tuple of float
        Capacity at rest against the described one [%].
    voltage : tuple of float
        How far the open-circuit voltage stays from the cell's limits [mV].
    negative_to_positive : tuple of float
        Ratio of the electrodes' capacities: below the first refused; up to the second passed; up to the third flagged.
    heat : tuple of float
        Heat made against heat stored and given off in the simulation [%].
    mixing : tuple of float
        Heat of mixing that the equations leave out, of the heat that they should make [%].
    measured_heat : tuple of float
        Heat that the measured voltage means against heat that the measured temperature means [%].
    slow : tuple of float
        Charge at rest beyond that of a slow complete discharge [%].
    rise : tuple of float
        How far an electrode's open-circuit potential rises with lithium [mV].
    """

    charge: tuple[float, float] = (0.3, 2.0)
    lithium: tuple[float, float] = (1e-3, 0.1)
    capacity: tuple[float, float] = (10.0, 30.0)
    voltage: tuple[float, float] = (50.0, 500.0)
    negative_to_positive: tuple[float, float, float] = (1.0, 1.45, 2.5)
    heat: tuple[float, float] = (1.0, 5.0)
    mixing: tuple[float, float] = (25.0, 60.0)
    measured_heat: tuple[float, float] = (15.0, 40.0)
    slow: tuple[float, float] = (5.0, 15.0)
    rise: tuple[float, float] = (2.0, 100.0)


def check_capacity(
    limits: RestingLimits, description: CellDescription, drawn: float, allowed: BalanceLimits
) -> tuple[ConsistencyCheck, ...]:
    """Return checks of capacity, electrodes and lithium at rest.

    Parameters
    ----------
    limits : RestingLimits
        Of the calibrated cell.
    description : CellDescription
        Its nominal capacity.
    drawn : float
        Most charge that a measured discharge drew [A.h].
    allowed : BalanceLimits
        Limits.
    """
    departure = 100.0 * (limits.capacity / description.capacity - 1.0)
    least = 100.0 * (drawn / limits.capacity - 1.0)
    ratio = limits.negative_to_positive
    low, usual, high = allowed.negative_to_positive
    outcome = CheckOutcome.PASSED
    if not low < ratio <= usual:
        outcome = CheckOutcome.FLAGGED if low < ratio <= high else CheckOutcome.REFUSED
    short = 1e3 * max(
        description.upper_voltage - limits.highest_voltage, limits.lowest_voltage - description.lower_voltage, 0.0
    )
    cyclable = 100.0 * (1.0 - limits.lithium / limits.capacity)
    return (
        ConsistencyCheck(
            name="capacity against the description",
            outcome=judge(abs(departure), *allowed.capacity),
            value=departure,
            limit=allowed.capacity[0],
            unit="%",
            message=f"{limits.capacity:.3f} A.h between {description.upper_voltage:g} and "
            f"{description.lower_voltage:g} V at rest, {description.capacity:g} A.h described",
        ),
        check_number(
            "capacity against the charge drawn",
            least,
            (2.0, 10.0),
            unit="%",
            message=f"the longest discharge drew {drawn:.3f} A.h, the cell holds {limits.capacity:.3f} A.h at rest",
        ),
        ConsistencyCheck(
            name="negative to positive capacity",
            outcome=outcome,
            value=ratio,
            limit=low if ratio <= low else usual,
            unit="-",
            message=f"the negative electrode takes {ratio:.2f} times the lithium of a full charge; cells are built "
            f"with {low:g} to {usual:g}"
            + ("" if ratio > low else ": lithium would plate, so the electrodes' balance is wrong"),
        ),
        check_number(
            "voltage limits at rest",
            short,
            allowed.voltage,
            unit="mV",
            message=f"the open-circuit voltage runs from {limits.highest_voltage:.3f} to {limits.lowest_voltage:.3f} V"
            + (
                ", where an electrode is exhausted: the cell's limits are not reached"
                if short > allowed.voltage[0]
                else ""
            ),
        ),
        ConsistencyCheck(
            name="cyclable lithium",
            outcome=judge(cyclable, 0.0, 0.0),
            value=limits.lithium,
            limit=limits.capacity,
            unit="A.h",
            message=f"{limits.lithium:.3f} A.h of lithium for {limits.capacity:.3f} A.h of capacity",
        ),
    )


def check_slow_capacity(
    curve: MeasuredCurve, resting: RestingLimits, lower_voltage: float, allowed: BalanceLimits
) -> ConsistencyCheck:
    """Return whether the cell holds at rest more than a slow complete discharge drew.

    Polarisation at C/5 and slower leaves a few percent in a cell; more means that the end of the open-circuit curve,
    which faster discharges do not show, lies elsewhere.

    Parameters
    ----------
    curve : MeasuredCurve
        Slow discharge to the lower cut-off.
    resting : RestingLimits
        Of the calibrated cell between the curve's voltage at rest and the lower cut-off.
    lower_voltage : float
        [V].
    allowed : BalanceLimits
        Limits.
    """
    begun = resting.highest_voltage
    return check_number(
        "capacity against a slow discharge",
        100.0 * (resting.capacity / curve.charge - 1.0),
        allowed.slow,
        unit="%",
        curve=curve.name,
        message=f"{curve.name} drew {curve.charge:.3f} A.h from {begun:.3f} V at rest down to {lower_voltage:g} V, and "
        f"the calibrated cell holds {resting.capacity:.3f} A.h there: what faster discharges leave in it is not known",
    )


def check_potentials(rises: Mapping[str, float], allowed: BalanceLimits) -> tuple[ConsistencyCheck, ...]:
    """Return whether each electrode's open-circuit potential falls with lithium, as of one phase it must.

    Parameters
    ----------
    rises : mapping of str to float
        All rises together by electrode [V].
    allowed : BalanceLimits
        Limits.
    """
    return tuple(
        check_number(
            f"{side.lower()} open-circuit potential",
            1e3 * rise,
            allowed.rise,
            unit="mV",
            message=f"over the whole of stoichiometry the potential rises with lithium by {1e3 * rise:.1f} mV in all; "
            "where it rises, particles would part into two phases",
        )
        for side, rise in rises.items()
    )


def check_course(
    curve: MeasuredCurve, course: CellCourse, inputs: Mapping[str, float], allowed: BalanceLimits
) -> tuple[ConsistencyCheck, ...]:
    """Return the balances of one curve.

    Parameters
    ----------
    curve : MeasuredCurve
        As measured.
    course : CellCourse
        As simulated, with what goes on inside.
    inputs : mapping of str to float
        Values of the calibrated cell.
    allowed : BalanceLimits
        Limits.
    """
    return (_charge(curve, course, allowed), _lithium(curve, course, allowed), *_energy(curve, course, inputs, allowed))


def _charge(curve: MeasuredCurve, course: CellCourse, allowed: BalanceLimits) -> ConsistencyCheck:
    until = np.asarray(curve.time) <= course.time[-1] + 1e-6
    counted = float(np.trapezoid(np.asarray(curve.current)[until], np.asarray(curve.time)[until])) / SECONDS_PER_HOUR
    moved = {
        "negative": (course.negative[0] - course.negative[-1]) * course.negative_capacity,
        "positive": (course.positive[-1] - course.positive[0]) * course.positive_capacity,
    }
    scale = max(abs(counted), 1e-12)
    side, worst = max(
        ((name, 100.0 * abs(amount - counted) / scale) for name, amount in moved.items()), key=lambda item: item[1]
    )
    return check_number(
        "charge balance",
        worst,
        allowed.charge,
        unit="%",
        curve=curve.name,
        message=f"{counted:.4f} A.h counted, {moved[side]:.4f} A.h moved in the {side} electrode"
        + (f"; the simulation {course.reason}" if course.reason else ""),
    )


def _lithium(curve: MeasuredCurve, course: CellCourse, allowed: BalanceLimits) -> ConsistencyCheck:
    total = course.particle_lithium + course.electrolyte_lithium
    change = 100.0 * float(np.ptp(total) / total[0])
    return check_number(
        "lithium inventory",
        change,
        allowed.lithium,
        unit="%",
        curve=curve.name,
        message=f"lithium in particles and electrolyte changes by {change:.1e} % over the curve",
    )


def _energy(
    curve: MeasuredCurve, course: CellCourse, inputs: Mapping[str, float], allowed: BalanceLimits
) -> tuple[ConsistencyCheck, ...]:
    made = float(np.trapezoid(course.heating, course.time))
    given_off = float(np.trapezoid(course.cooling, course.time))
    stored = course.heat_capacity * float(course.temperature[-1] - course.temperature[0])
    turned_over = float(np.trapezoid(np.abs(course.heating), course.time))
    open_circuit = course.open_circuit + (course.temperature - _REFERENCE) * course.entropic
    irreversible = course.current * (open_circuit - course.voltage)
    reversible = -course.current * course.temperature * course.entropic
    should = float(np.trapezoid(irreversible + reversible, course.time))
    size = max(turned_over, abs(should), 1e-9)
    flows = max(turned_over, abs(given_off), abs(stored)) + _WARMTH * course.heat_capacity
    open_share = 100.0 * abs(made - given_off - stored) / flows
    mixing = 100.0 * abs(should - made) / size
    checks = [
        check_number(
            "energy balance, heat against temperature",
            open_share,
            allowed.heat,
            unit="%",
            curve=curve.name,
            message=f"{made:.0f} J made, {stored:.0f} J stored, {given_off:.0f} J given off",
        ),
        check_number(
            "energy balance, heat against work",
            mixing,
            allowed.mixing,
            unit="%",
            curve=curve.name,
            message=f"{made:.0f} J of heat for {float(np.trapezoid(irreversible, course.time)):.0f} J of irreversible "
            f"and {float(np.trapezoid(reversible, course.time)):.0f} J of entropic work; the rest lies in "
            "concentration gradients (heat of mixing), which the equations "
            + ("leave out: heat transfer and entropic terms stand in for it" if mixing > 1.0 else "close"),
        ),
    ]
    measured = _measured_heat(curve, course, inputs, should - made)
    if measured is not None:
        from_voltage, from_temperature = measured
        # What voltages and temperatures are uncertain by is no contradiction: it is much at slow rates.
        duration = float(course.time[-1] - course.time[0])
        doubt = _WARMTH * course.conductance * duration + _VOLTAGE * SECONDS_PER_HOUR * abs(course.charge)
        apart = max(abs(from_voltage - from_temperature) - doubt, 0.0)
        share = 100.0 * apart / max(abs(from_voltage), abs(from_temperature), 1e-9)
        checks.append(
            check_number(
                "energy balance, measured",
                share,
                allowed.measured_heat,
                unit="%",
                curve=curve.name,
                message=f"the measured voltage means {from_voltage:.0f} J of heat, the measured temperature "
                f"{from_temperature:.0f} J, give or take {doubt:.0f} J",
            )
        )
    return tuple(checks)


def _measured_heat(
    curve: MeasuredCurve, course: CellCourse, inputs: Mapping[str, float], mixing: float
) -> tuple[float, float] | None:
    """Return heat [J] from the measured voltage, and from the measured temperature; None where either is missing."""
    if curve.temperature is None:
        return None
    time = np.asarray(curve.time)
    known = np.isfinite(np.asarray(curve.voltage)) & np.isfinite(np.asarray(curve.temperature))
    known &= time <= course.time[-1] + 1e-6
    if np.count_nonzero(known) < 10 or np.count_nonzero(known & curve.scored) < 0.8 * np.count_nonzero(known):
        return None
    time = time[known]
    voltage, temperature = np.asarray(curve.voltage)[known], np.asarray(curve.temperature)[known]
    ambient = curve.ambient[known] + inputs.get("Surroundings offset [K]", 0.0)
    current, open_circuit, entropic = (
        np.interp(time, course.time, values) for values in (course.current, course.open_circuit, course.entropic)
    )
    power = current * (open_circuit - _REFERENCE * entropic - voltage - course.lead_resistance * current)
    from_voltage = float(np.trapezoid(power, time)) - mixing
    rise = float(temperature[-1] - temperature[0])
    from_temperature = course.heat_capacity * rise + float(np.trapezoid(course.given_off(temperature, ambient), time))
    return from_voltage, from_temperature
