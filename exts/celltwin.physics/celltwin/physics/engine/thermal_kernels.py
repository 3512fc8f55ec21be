"""Kernels of heat: coolant along its channels, and the temperatures of cores and surfaces.

The exchange between cells is explicit and symmetric, so that no heat is made or lost between them; the engine divides
a step where it would be too long for that.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .lanes import Lanes

__all__ = ["ENERGY_ROWS", "ThermalKernels", "make_thermal_kernels"]

# Rows of the array ``energy``, each a sum since the start [J]; the charges [A.s].
ENERGY_ROWS = (
    "electrical",
    "generated",
    "to_coolant",
    "to_ambient",
    "bled",
    "charge",
    "side_charge",
    "kept",
    "conducted",
)


@dataclass(frozen=True, eq=False)
class ThermalKernels:
    """The kernels of heat."""

    pass_coolant: Any
    exchange_heat: Any


@lru_cache(maxsize=8)
def make_thermal_kernels(lanes: Lanes, *, two_nodes: bool) -> ThermalKernels:
    """Return the kernels of heat, for cells with a core and a surface or of one temperature."""
    import warp as wp

    real, vector, width = lanes.real, lanes.vector, lanes.width
    one = real(1.0)

    # Every sum over a loop has a function of its own: the way back recalls functions, but no loops.

    @wp.func
    def summed(start: int, end: int, members: wp.array(dtype=int), values: wp.array(dtype=real)):
        total = real(0.0)
        for m in range(start, end):
            total += values[members[m]]
        return total

    @wp.func
    def weighed(
        start: int,
        end: int,
        members: wp.array(dtype=int),
        weights: wp.array(dtype=real),
        values: wp.array(dtype=real),
    ):
        total = real(0.0)
        for m in range(start, end):
            total += weights[members[m]] * values[members[m]]
        return total

    @wp.func
    def heat_from_neighbours(
        count: int,
        b: int,
        neighbours: wp.array2d(dtype=int),
        conductance: wp.array2d(dtype=vector),
        surface_all: wp.array(dtype=real),
        t: vector,
    ):
        total = vector()
        for k in range(count):
            beside = vector()
            for lane in range(width):
                beside[lane] = surface_all[neighbours[k, b * width + lane]]
            total += wp.cw_mul(conductance[k, b], beside - t)
        return total

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def pass_coolant(
        segment_start: wp.array(dtype=int),
        member_start: wp.array(dtype=int),
        members: wp.array(dtype=int),
        coolant_conductance: wp.array(dtype=real),
        surface: wp.array(dtype=real),
        capacity_flow: wp.array(dtype=real),  # mass flow times heat capacity [W/K]
        film: wp.array(dtype=real),  # conductance over that at the design flow [-]
        inlet: wp.array(dtype=real),
        leaving: wp.array(dtype=real),
        stream: wp.array(dtype=real),
        share: wp.array(dtype=real),
    ):
        channel = wp.tid()
        capacity = wp.max(capacity_flow[channel], real(1e-9))
        for s in range(segment_start[channel], segment_start[channel + 1]):
            entering = inlet[channel]
            if s > segment_start[channel]:
                entering = leaving[s - 1]
            total = film[channel] * summed(member_start[s], member_start[s + 1], members, coolant_conductance)
            weighted = film[channel] * weighed(
                member_start[s], member_start[s + 1], members, coolant_conductance, surface
            )
            units = total / capacity
            share[s] = film[channel]
            mean = entering
            if total > real(1e-12):
                mean = weighted / total
            remains = wp.exp(-units)
            leaving[s] = mean + (entering - mean) * remains
            # the mean stream temperature that carries off just what the stream takes up: the log-mean difference
            part = one - real(0.5) * units
            if units > real(1e-6):
                part = (one - remains) / units
            stream[s] = mean + (entering - mean) * part

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def exchange_heat(
        offset: int,
        part: int,
        step: real,
        n_neighbours: int,
        neighbours: wp.array2d(dtype=int),
        conductance: wp.array2d(dtype=vector),
        ambient_conductance: wp.array(dtype=vector),
        coolant_conductance: wp.array(dtype=vector),
        segment: wp.array(dtype=int),
        stream: wp.array(dtype=real),
        share: wp.array(dtype=real),
        ambient: wp.array(dtype=real),
        heat_capacity: wp.array(dtype=vector),
        surface_share: real,
        reference_temperature: real,
        capacity_1: real,  # of the heat capacity's factor of temperature [1/K, 1/K^2, 1/K^3]
        capacity_2: real,
        capacity_3: real,
        core_conductance: wp.array(dtype=vector),
        heat: wp.array(dtype=vector),
        extra_heat: wp.array(dtype=vector),
        branch_current: wp.array(dtype=vector),
        current: wp.array(dtype=vector),
        side_current: wp.array(dtype=vector),
        voltage: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        bleed: wp.array(dtype=vector),
        surface_all: wp.array(dtype=real),
        surface: wp.array(dtype=vector),
        core: wp.array(dtype=vector),
        energy: wp.array2d(dtype=vector),
        surface_next: wp.array(dtype=vector),
        core_next: wp.array(dtype=vector),
        temperature_next: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        t = surface[b]
        conducted = heat_from_neighbours(n_neighbours, b, neighbours, conductance, surface_all, t)
        passing = vector()
        film = vector()
        for lane in range(width):
            passing[lane] = stream[segment[b * width + lane]]
            film[lane] = share[segment[b * width + lane]]
        to_coolant = wp.cw_mul(wp.cw_mul(coolant_conductance[b], film), t - passing)
        to_ambient = wp.cw_mul(ambient_conductance[b], t - vector(ambient[0]))
        made = heat[b] + extra_heat[b]
        branch = branch_current[b]
        volts = voltage[b]
        energy[0, b] += wp.cw_mul(volts - wp.cw_mul(connection[b], branch), branch) * step
        energy[1, b] += made * step
        energy[2, b] += to_coolant * step
        energy[3, b] += to_ambient * step
        energy[4, b] += wp.cw_mul(wp.cw_mul(volts, volts), bleed[b]) * step
        energy[5, b] += current[b] * step
        energy[6, b] += side_current[b] * step
        warming = t * surface_share + core[b] * (one - surface_share) - vector(reference_temperature)
        grown = wp.cw_mul(warming * capacity_3 + vector(capacity_2), warming) + vector(capacity_1)
        capacity = wp.cw_mul(heat_capacity[b], wp.cw_mul(grown, warming) + vector(one))
        energy[7, b] += (made + conducted - to_coolant - to_ambient) * step
        energy[8, b] += conducted * step
        if wp.static(two_nodes):
            inward = wp.cw_mul(core_conductance[b], t - core[b])
            outer = capacity * surface_share
            within = capacity * (one - surface_share)
            skin = t + wp.cw_div(conducted - to_coolant - to_ambient - inward, outer) * step
            centre = core[b] + wp.cw_div(made + inward, within) * step
            surface_next[b] = skin
            core_next[b] = centre
            temperature_next[b] = skin * surface_share + centre * (one - surface_share)
        else:
            whole = t + wp.cw_div(made + conducted - to_coolant - to_ambient, capacity) * step
            surface_next[b] = whole
            core_next[b] = whole
            temperature_next[b] = whole

    return ThermalKernels(pass_coolant=pass_coolant, exchange_heat=exchange_heat)
