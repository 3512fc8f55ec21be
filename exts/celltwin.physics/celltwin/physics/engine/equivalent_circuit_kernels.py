"""Kernels of a cell as a voltage source, a resistance, and two resistors with capacitors."""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .branch_laws import make_branch_laws
from .lanes import Lanes

__all__ = ["CIRCUIT_ROWS", "EquivalentCircuitKernels", "make_equivalent_circuit_kernels"]

# Rows of the array ``linear``.
CIRCUIT_ROWS = (
    "charge",  # state of charge at the end of the step without current [-]
    "charge_slope",  # and for each ampere [1/A]
    "first",  # voltages of the pairs at the end of the step without current [V]
    "first_slope",  # and for each ampere [ohm]
    "second",
    "second_slope",
    "resistance",  # ohmic [ohm]
)
_LAST_CHARGE = 1e-3  # over it an empty cell's voltage falls: state of charge [-]


@dataclass(frozen=True, eq=False)
class EquivalentCircuitKernels:
    """The kernels of the equivalent circuit."""

    prepare: Any
    linearise: Any
    finish: Any


@lru_cache(maxsize=4)
def make_equivalent_circuit_kernels(lanes: Lanes) -> EquivalentCircuitKernels:
    """Return the kernels of the equivalent circuit."""
    import warp as wp

    real, vector, width, exp = lanes.real, lanes.vector, lanes.width, lanes.exp
    clip, cubic = lanes.clip, lanes.cubic
    one = real(1.0)
    branch = make_branch_laws(lanes)
    exhausted, draw_tangent, inverse_charge = branch.exhausted, branch.draw_tangent, real(1.0 / _LAST_CHARGE)

    @wp.func
    def potential(table: wp.array2d(dtype=real), charge: vector, warming: vector):
        # value, slope with charge, and derivative with temperature; straight on beyond [0, 1]
        value = vector()
        slope = vector()
        entropy = vector()
        count = table.shape[0]
        for lane in range(width):
            s = charge[lane]
            held = wp.clamp(s, real(0.0), one)
            place = held * real(count)
            k = wp.clamp(int(place), 0, count - 1)
            z = place - real(k)
            u = ((table[k, 3] * z + table[k, 2]) * z + table[k, 1]) * z + table[k, 0]
            du = real(count) * ((real(3.0) * table[k, 3] * z + real(2.0) * table[k, 2]) * z + table[k, 1])
            e = ((table[k, 7] * z + table[k, 6]) * z + table[k, 5]) * z + table[k, 4]
            value[lane] = u + warming[lane] * e + du * (s - held)
            slope[lane] = du
            entropy[lane] = e
        return value, slope, entropy

    @wp.func
    def settle(
        b: int,
        table: wp.array2d(dtype=real),
        linear: wp.array2d(dtype=vector),
        warming: vector,
        current: vector,
        shunt: vector,
        connection: vector,
        connected: vector,
        source: wp.array(dtype=vector),
        inner: wp.array(dtype=vector),
        conductance: wp.array(dtype=vector),
    ):
        charge = linear[0, b] + wp.cw_mul(linear[1, b], current)
        value, slope, entropy = potential(table, charge, warming)
        ohmic = linear[3, b] + linear[5, b] + linear[6, b]
        voltage = value - linear[2, b] - linear[4, b] - wp.cw_mul(ohmic, current)
        slope = wp.cw_mul(slope, linear[1, b]) - ohmic
        loss, steep_loss = exhausted(charge, inverse_charge)
        voltage = voltage - loss
        slope = slope + wp.cw_mul(steep_loss, linear[1, b])
        draw_tangent(b, voltage, slope, current, shunt, connection, connected, source, inner, conductance)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def prepare(
        offset: int,
        part: int,
        potentials: wp.array2d(dtype=real),
        resistances: wp.array2d(dtype=real),
        temperature_factor: wp.array(dtype=real),
        reference_temperature: real,
        step: real,
        capacity: real,  # [A.s]
        remains_first: real,  # exp(-step / time constant) [-]
        remains_second: real,
        charge: wp.array(dtype=vector),
        first: wp.array(dtype=vector),
        second: wp.array(dtype=vector),
        temperature: wp.array(dtype=vector),
        guess: wp.array(dtype=vector),
        capacity_scale: wp.array(dtype=vector),
        resistance: wp.array(dtype=vector),
        contact_factor: wp.array(dtype=vector),
        shunt: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        connected: wp.array(dtype=vector),
        linear: wp.array2d(dtype=vector),
        source: wp.array(dtype=vector),
        inner: wp.array(dtype=vector),
        conductance: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        t = temperature[b]
        theta = vector(real(1000.0) / reference_temperature) - wp.cw_div(vector(real(1000.0)), t)
        grown = wp.cw_mul(theta * temperature_factor[2] + vector(temperature_factor[1]), theta)
        factor = wp.cw_div(exp(wp.cw_mul(grown + vector(temperature_factor[0]), theta)), capacity_scale[b])
        held = clip(charge[b], real(0.0), one)
        ohmic = wp.cw_mul(cubic(resistances, 0, held), factor)
        slow_first = wp.cw_mul(cubic(resistances, 4, held), factor)
        slow_second = wp.cw_mul(cubic(resistances, 8, held), factor)
        linear[0, b] = charge[b]
        linear[1, b] = wp.cw_div(vector(-step / capacity), capacity_scale[b])
        linear[2, b] = first[b] * remains_first
        linear[3, b] = slow_first * (one - remains_first)
        linear[4, b] = second[b] * remains_second
        linear[5, b] = slow_second * (one - remains_second)
        linear[6, b] = ohmic + wp.cw_mul(resistance[b], contact_factor[b])
        settle(
            b,
            potentials,
            linear,
            t - vector(reference_temperature),
            guess[b],
            shunt[b],
            connection[b],
            connected[b],
            source,
            inner,
            conductance,
        )

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def linearise(
        offset: int,
        part: int,
        potentials: wp.array2d(dtype=real),
        reference_temperature: real,
        temperature: wp.array(dtype=vector),
        guess: wp.array(dtype=vector),
        shunt: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        connected: wp.array(dtype=vector),
        linear: wp.array2d(dtype=vector),
        source: wp.array(dtype=vector),
        inner: wp.array(dtype=vector),
        conductance: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        warming = temperature[b] - vector(reference_temperature)
        settle(
            b,
            potentials,
            linear,
            warming,
            guess[b],
            shunt[b],
            connection[b],
            connected[b],
            source,
            inner,
            conductance,
        )

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def finish(
        offset: int,
        part: int,
        potentials: wp.array2d(dtype=real),
        reference_temperature: real,
        linear: wp.array2d(dtype=vector),
        temperature: wp.array(dtype=vector),
        internal_short: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        current: wp.array(dtype=vector),
        branch_current: wp.array(dtype=vector),
        voltage: wp.array(dtype=vector),
        charge: wp.array(dtype=vector),
        first: wp.array(dtype=vector),
        second: wp.array(dtype=vector),
        soc: wp.array(dtype=vector),
        heat: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        amperes = current[b]
        t = temperature[b]
        volts = voltage[b]
        now = linear[0, b] + wp.cw_mul(linear[1, b], amperes)
        charge[b] = now
        soc[b] = now
        first[b] = linear[2, b] + wp.cw_mul(linear[3, b], amperes)
        second[b] = linear[4, b] + wp.cw_mul(linear[5, b], amperes)
        value, slope, entropy = potential(potentials, now, t - vector(reference_temperature))
        heat[b] = (
            wp.cw_mul(amperes, value - volts - wp.cw_mul(t, entropy))
            + wp.cw_mul(wp.cw_mul(volts, volts), internal_short[b])
            + wp.cw_mul(wp.cw_mul(branch_current[b], branch_current[b]), connection[b])
        )

    return EquivalentCircuitKernels(prepare=prepare, linearise=linearise, finish=finish)
