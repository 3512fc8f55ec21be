"""Laws of one electrode of a cell with porous electrodes, as Warp functions: its particles, its potential, its heat."""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT

from .cell_laws import LAST_LITHIUM, CellLaws, make_cell_structure
from .lanes import Lanes
from .shared_porous_cell import make_porous_structure

__all__ = ["LEAST_SALT", "PorousLaws", "make_porous_laws"]

LEAST_SALT = 1e-6  # that kinetics and potentials see, over c_e,0 [-]


@dataclass(frozen=True, eq=False)
class PorousLaws:
    """Warp functions of one electrode.

    Attributes
    ----------
    eliminate_particles : function
        Leaves every particle's surface as a linear function of the reaction of its volume.
    relate_potential : function
        Potential between solid and electrolyte of a volume, and its derivatives with reaction and salt.
    settle_electrode : function
        Puts reactions into particles, and sums up what the electrode is.
    """

    eliminate_particles: Any
    relate_potential: Any
    settle_electrode: Any


@lru_cache(maxsize=16)
def make_porous_laws(lanes: Lanes, laws: CellLaws, *, shells: int) -> PorousLaws:
    """Return the laws of an electrode, with those of its cell type; ``shells`` are those of each particle."""
    import warp as wp

    real, vector = lanes.real, lanes.vector
    sqrt = lanes.sqrt
    one, half = real(1.0), real(0.5)
    last = shells - 1
    shared_type, porous_type = make_cell_structure(), make_porous_structure()
    potential, inverse_sinh = laws.potential, laws.inverse_sinh
    exchange_n, exchange_p = laws.exchange_negative, laws.exchange_positive
    kinetic_power = laws.kinetic_power
    diffusivity_n, diffusivity_p = laws.diffusivity_negative, laws.diffusivity_positive
    twice_thermal_voltage = real(2.0 * GAS_CONSTANT / FARADAY)
    least_salt = real(LEAST_SALT)
    exhausted, released, inverse_last = laws.exhausted, laws.released, real(1.0 / LAST_LITHIUM)

    @wp.func
    def diffusivity(shared: shared_type, positive: int, factor: vector, here: vector, there: vector):
        if positive == 0:
            return diffusivity_n(shared.diffusivity_negative, factor, here, there)
        return diffusivity_p(shared.diffusivity_positive, factor, here, there)

    @wp.func
    def eliminate_particles(
        shared: shared_type,
        positive: int,
        volumes: int,
        b: int,
        slot: int,
        reach: real,  # step / radius^2
        factor: vector,
        gradient: vector,  # of stoichiometry at the surface times diffusivity, for each ampere
        side: vector,
        profile: wp.array2d(dtype=vector),
        smoothed: wp.array2d(dtype=vector),
        face: wp.array2d(dtype=vector),
        upper: wp.array2d(dtype=vector),
        rest: wp.array2d(dtype=vector),
        still: wp.array2d(dtype=vector),
        slope: wp.array2d(dtype=vector),
    ):
        for v in range(volumes):
            row = v * shells
            for k in range(last):
                face[k, slot] = reach * diffusivity(
                    shared, positive, factor, profile[row + k, b], profile[row + k + 1, b]
                )
            for k in range(shells):
                above = vector()
                low = vector()
                before = vector()
                kept = vector()
                if k < last:
                    above = face[k, slot] * shared.outward[k]
                if k > 0:
                    low = face[k - 1, slot] * shared.inward[k]
                    before = upper[row + k - 1, b]
                    kept = rest[row + k - 1, b]
                pivot = wp.cw_div(vector(one), vector(one) + above + wp.cw_mul(low, vector(one) - before))
                held = profile[row + k, b] + wp.cw_mul(low, kept)
                if k < last:
                    upper[row + k, b] = wp.cw_mul(above, pivot)
                    rest[row + k, b] = wp.cw_mul(held, pivot)
                else:
                    # the outermost shell: its stoichiometry is rest + upper * reaction
                    out = gradient * (reach * shared.edge)
                    upper[row + k, b] = wp.cw_mul(out, pivot)
                    rest[row + k, b] = wp.cw_mul(held + wp.cw_mul(out, side), pivot)
            edge = wp.cw_div(
                gradient * shared.surface_gap,
                diffusivity(shared, positive, factor, profile[row + last, b], smoothed[v, b]),
            )
            still[v, b] = rest[row + last, b] + wp.cw_mul(edge, side)
            slope[v, b] = upper[row + last, b] + edge

    @wp.func
    def relate_potential(
        shared: shared_type,
        positive: int,
        potentials: wp.array2d(dtype=real),
        exponent: real,
        sign: real,  # 1: reaction leaves the particles on discharge, -1: it enters them
        still: vector,
        slope: vector,
        reaction: vector,  # [A], if the whole electrode reacted so
        side: vector,
        flux: vector,
        rate: vector,
        film: vector,
        salt: vector,
        thermal: vector,
        warming: vector,
    ):
        s = still + wp.cw_mul(slope, reaction)
        u, du, entropy = potential(potentials, s, warming)
        j0 = vector()
        dj0 = vector()
        if positive == 0:
            j0, dj0 = exchange_n(shared.exchange_negative, s)
        else:
            j0, dj0 = exchange_p(shared.exchange_positive, s)
        density = wp.cw_mul(wp.cw_mul(j0, rate), kinetic_power(salt, exponent))
        per = wp.cw_div(flux, density) * half
        x = wp.cw_mul(reaction + side, per)
        eta = wp.cw_mul(thermal, inverse_sinh(shared.inverse_sinh, x))
        steep = wp.cw_div(thermal, sqrt(wp.cw_mul(x, x) + vector(one)))
        by_reaction = wp.cw_mul(steep, per - wp.cw_mul(wp.cw_mul(x, dj0), slope))
        by_salt = wp.cw_div(wp.cw_mul(steep, x), salt) * (-exponent * sign)
        empty, empty_slope = exhausted(s, inverse_last)
        full, full_slope = exhausted(vector(one) - s, inverse_last)
        value = u + empty - full + eta * sign + wp.cw_mul(film, reaction)
        steepness = wp.cw_mul(du - empty_slope - full_slope, slope)
        return value, steepness + by_reaction * sign + film, by_salt, u, entropy

    @wp.func
    def settle_electrode(
        shared: shared_type,
        porous: porous_type,
        positive: int,
        b: int,
        first: int,
        volumes: int,
        sign: real,
        potentials: wp.array2d(dtype=real),
        exponent: real,
        flux: vector,
        rate: vector,
        side: vector,
        temperature: vector,
        entering: vector,  # ionic current through the left end [A]
        salt: wp.array2d(dtype=vector),
        ionic: wp.array2d(dtype=vector),
        still: wp.array2d(dtype=vector),
        slope: wp.array2d(dtype=vector),
        upper: wp.array2d(dtype=vector),
        rest: wp.array2d(dtype=vector),
        before: wp.array2d(dtype=vector),
        profile: wp.array2d(dtype=vector),
        surfaces: wp.array2d(dtype=vector),
        smoothed: wp.array2d(dtype=vector),
    ):
        warming = temperature - vector(shared.reference_temperature)
        thermal = temperature * twice_thermal_voltage
        mean = vector()
        surface = vector()
        phi = vector()
        power = vector()
        resting = vector()  # enthalpy at the surfaces, mean over the electrode [V]
        relaxed = vector()  # enthalpy that leaves the particles, mean over the electrode [V]
        left = entering
        for v in range(volumes):
            k = first + v
            share = one / porous.inverse_share[k]
            right = vector()
            if k < porous.inverse_share.shape[0] - 1:
                right = ionic[k, b]
            reaction = (right - left) * (sign * porous.inverse_share[k])
            left = right
            row = v * shells
            total = vector()
            changed = vector()
            for back in range(shells):
                shell = last - back
                old = before[row + shell, b]
                beyond = reaction
                if back > 0:
                    beyond = profile[row + shell + 1, b]
                new = rest[row + shell, b] + wp.cw_mul(upper[row + shell, b], beyond)
                profile[row + shell, b] = new
                total += new * shared.volumes[shell]
                changed += released(potentials, old, new, temperature, warming) * shared.volumes[shell]
            s = still[v, b] + wp.cw_mul(slope[v, b], reaction)
            surfaces[v, b] = s
            # a diffusivity that falls steeply, taken at the last surface alone, would swing from step to step
            smoothed[v, b] = (smoothed[v, b] + s) * half
            value, by_reaction, by_salt, u, entropy = relate_potential(
                shared,
                positive,
                potentials,
                exponent,
                sign,
                s,
                vector(),
                reaction,
                side,
                flux,
                rate,
                vector(),
                wp.max(salt[k, b], vector(least_salt)),
                thermal,
                warming,
            )
            enthalpy = u - wp.cw_mul(temperature, entropy)
            mean += total * share
            surface += s * share
            phi += value * share
            power += wp.cw_mul(enthalpy, reaction) * share
            resting += enthalpy * share
            relaxed += changed * share
        return mean, surface, phi, power, resting, relaxed

    return PorousLaws(
        eliminate_particles=eliminate_particles,
        relate_potential=relate_potential,
        settle_electrode=settle_electrode,
    )
