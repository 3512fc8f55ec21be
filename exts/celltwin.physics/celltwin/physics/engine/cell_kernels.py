"""Kernels of one cell: the single-particle model with electrolyte, one backward Euler step at a time.

A step has three parts, because the current of a cell is known only when its whole pack has been solved. ``prepare``
eliminates the unknown profiles: it leaves the surface stoichiometries and the mean electrolyte concentrations at the
end of the step as linear functions of the current, and the voltage as a tangent. The circuit is solved with the
tangents; ``linearise`` draws new ones where the currents have moved. ``finish`` puts the currents into the profiles.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT

from .cell_laws import CellLawChoices, make_cell_laws, make_cell_structure
from .lanes import Lanes
from .single_particle_laws import make_single_particle_laws

__all__ = ["CellKernels", "make_cell_kernels"]

_LEAST_SHAPE = -4.0  # of salt_shape, for currents that no cell can carry


@dataclass(frozen=True, eq=False)
class CellKernels:
    """The kernels of the single-particle model with electrolyte."""

    prepare: Any
    linearise: Any
    finish: Any


@lru_cache(maxsize=16)
def make_cell_kernels(
    lanes: Lanes, choices: CellLawChoices, *, shells: int, salt_nodes: tuple[int, int, int]
) -> CellKernels:
    """Return the kernels of a cell.

    Parameters
    ----------
    lanes : Lanes
        Vector type and its functions.
    choices : CellLawChoices
        Laws of the cell type.
    shells : int
        Shells of each particle.
    salt_nodes : tuple of int
        Finite volumes of the electrolyte in negative electrode, separator and positive electrode.
    """
    import warp as wp

    real, vector = lanes.real, lanes.vector
    exp, clip = lanes.exp, lanes.clip
    n_n, n_s, n_p = salt_nodes
    n_salt = n_n + n_s + n_p
    shared_type = make_cell_structure()
    one = real(1.0)
    last = shells - 1
    half = real(0.5)
    share_negative, share_positive = real(1.0 / n_n), real(1.0 / n_p)
    thermal_voltage = real(GAS_CONSTANT / FARADAY)
    faraday = real(FARADAY)
    least_shape = real(_LEAST_SHAPE)
    laws = make_cell_laws(lanes, choices)
    warmth, temperature_factor, coefficients = laws.warmth, laws.temperature_factor, laws.coefficients
    polynomial, property_at, potential = laws.polynomial, laws.property_at, laws.potential
    exchange_n, inverse_sinh, kinetic_power = laws.exchange_negative, laws.inverse_sinh, laws.kinetic_power
    diffusivity_n, diffusivity_p = laws.diffusivity_negative, laws.diffusivity_positive
    transference, draw_tangent = laws.transference, laws.draw_tangent
    released, chemical_power, heat_within = laws.released, laws.chemical_power, laws.heat_within
    cell = make_single_particle_laws(lanes, laws, n_salt=n_salt)
    voltage_tangent, salt_shape = cell.voltage_tangent, cell.salt_shape
    mean_salt, weighted_salt = cell.mean_salt, cell.weighted_salt

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def prepare(
        offset: int,
        part: int,
        shared: shared_type,
        step: real,
        keep: int,  # 1: scratch for each bundle, 0: one for all of a part, where bundles come one after the other
        shells_negative: wp.array2d(dtype=vector),
        shells_positive: wp.array2d(dtype=vector),
        salt: wp.array2d(dtype=vector),
        surface_negative: wp.array(dtype=vector),
        surface_positive: wp.array(dtype=vector),
        temperature: wp.array(dtype=vector),
        guess: wp.array(dtype=vector),
        capacity_scale: wp.array(dtype=vector),
        diffusivity_scale: wp.array(dtype=vector),
        resistance: wp.array(dtype=vector),
        film_resistance: wp.array(dtype=vector),
        contact_factor: wp.array(dtype=vector),
        active_negative: wp.array(dtype=vector),
        active_positive: wp.array(dtype=vector),
        side_current: wp.array(dtype=vector),
        shunt: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        connected: wp.array(dtype=vector),
        upper_negative: wp.array2d(dtype=vector),
        rest_negative: wp.array2d(dtype=vector),
        upper_positive: wp.array2d(dtype=vector),
        rest_positive: wp.array2d(dtype=vector),
        face_negative: wp.array2d(dtype=vector),
        face_positive: wp.array2d(dtype=vector),
        salt_face: wp.array2d(dtype=vector),
        salt_carried: wp.array2d(dtype=vector),
        salt_upper: wp.array2d(dtype=vector),
        salt_rest: wp.array2d(dtype=vector),
        salt_gain: wp.array2d(dtype=vector),
        salt_still: wp.array2d(dtype=vector),
        salt_slope: wp.array2d(dtype=vector),
        linear: wp.array2d(dtype=vector),
        source: wp.array(dtype=vector),
        inner: wp.array(dtype=vector),
        conductance: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        slot = b * keep + part
        t = temperature[b]
        theta = warmth(shared, t)
        scale_d = diffusivity_scale[b]
        factor_n = wp.cw_mul(temperature_factor(shared.temperature_factors, 0, theta), scale_d)
        factor_p = wp.cw_mul(temperature_factor(shared.temperature_factors, 1, theta), scale_d)
        inverse_area = wp.cw_div(vector(one / shared.area), capacity_scale[b])
        flux_n = wp.cw_div(inverse_area * shared.reaction_negative, active_negative[b])
        flux_p = wp.cw_div(inverse_area * shared.reaction_positive, active_positive[b])
        side = side_current[b]

        # particles: eliminate from the centre outwards; both electrodes side by side
        reach_n = step * shared.inverse_time_negative
        reach_p = step * shared.inverse_time_positive
        for k in range(last):
            face_negative[k, slot] = reach_n * diffusivity_n(
                shared.diffusivity_negative, factor_n, shells_negative[k, b], shells_negative[k + 1, b]
            )
            face_positive[k, slot] = reach_p * diffusivity_p(
                shared.diffusivity_positive, factor_p, shells_positive[k, b], shells_positive[k + 1, b]
            )
        for k in range(shells):
            above_n = vector()
            above_p = vector()
            if k < last:
                above_n = face_negative[k, slot] * shared.outward[k]
                above_p = face_positive[k, slot] * shared.outward[k]
            low_n = vector()
            low_p = vector()
            before_n = vector()
            before_p = vector()
            kept_n = vector()
            kept_p = vector()
            if k > 0:
                low_n = face_negative[k - 1, slot] * shared.inward[k]
                low_p = face_positive[k - 1, slot] * shared.inward[k]
                before_n = upper_negative[k - 1, b]
                before_p = upper_positive[k - 1, b]
                kept_n = rest_negative[k - 1, b]
                kept_p = rest_positive[k - 1, b]
            pivot_n = wp.cw_div(vector(one), vector(one) + above_n + wp.cw_mul(low_n, vector(one) - before_n))
            pivot_p = wp.cw_div(vector(one), vector(one) + above_p + wp.cw_mul(low_p, vector(one) - before_p))
            if k < last:
                upper_negative[k, b] = wp.cw_mul(above_n, pivot_n)
                upper_positive[k, b] = wp.cw_mul(above_p, pivot_p)
                rest_negative[k, b] = wp.cw_mul(shells_negative[k, b] + wp.cw_mul(low_n, kept_n), pivot_n)
                rest_positive[k, b] = wp.cw_mul(shells_positive[k, b] + wp.cw_mul(low_p, kept_p), pivot_p)
            else:
                # the outermost shell: its stoichiometry is rest + upper * current
                out_n = flux_n * (-step * shared.gradient_negative * shared.inverse_time_negative * shared.edge)
                out_p = flux_p * (step * shared.gradient_positive * shared.inverse_time_positive * shared.edge)
                upper_negative[k, b] = wp.cw_mul(out_n, pivot_n)
                upper_positive[k, b] = wp.cw_mul(out_p, pivot_p)
                rest_negative[k, b] = wp.cw_mul(
                    shells_negative[k, b] + wp.cw_mul(low_n, kept_n) + wp.cw_mul(out_n, side), pivot_n
                )
                rest_positive[k, b] = wp.cw_mul(shells_positive[k, b] + wp.cw_mul(low_p, kept_p), pivot_p)
        edge_n = wp.cw_div(
            flux_n * (-shared.gradient_negative * shared.surface_gap),
            diffusivity_n(shared.diffusivity_negative, factor_n, shells_negative[last, b], surface_negative[b]),
        )
        edge_p = wp.cw_div(
            flux_p * (shared.gradient_positive * shared.surface_gap),
            diffusivity_p(shared.diffusivity_positive, factor_p, shells_positive[last, b], surface_positive[b]),
        )
        linear[0, b] = rest_negative[last, b] + wp.cw_mul(edge_n, side)
        linear[1, b] = upper_negative[last, b] + edge_n
        linear[2, b] = rest_positive[last, b]
        linear[3, b] = upper_positive[last, b] + edge_p

        # electrolyte: one matrix, two right sides: without current, and for each ampere
        d0, d1, d2, d3, d4, d5, d6, d7 = coefficients(shared.electrolyte_diffusivity, theta)
        per_ampere = inverse_area * (step / (faraday * shared.salt_reference))
        for k in range(n_salt - 1):
            between = (salt[k, b] + salt[k + 1, b]) * half
            held = clip(between, shared.salt_lowest, shared.salt_highest) - vector(one)
            salt_face[k, slot] = exp(polynomial(d0, d1, d2, d3, d4, d5, d6, d7, held)) * (
                step / shared.salt_distance[k]
            )
            salt_carried[k, slot] = transference(shared, between, theta) * shared.salt_share[k]
        for k in range(n_salt):
            above = vector()
            drive = vector(shared.salt_source[k])
            if k < n_salt - 1:
                above = salt_face[k, slot]
                drive = drive - salt_carried[k, slot]
            room = shared.salt_capacity[k]
            if k == 0:
                pivot = wp.cw_div(vector(one), vector(room) + above)
                salt_upper[k, slot] = wp.cw_mul(above, pivot)
                salt_rest[k, slot] = wp.cw_mul(salt[k, b] * room, pivot)
                salt_gain[k, slot] = wp.cw_mul(wp.cw_mul(drive, per_ampere), pivot)
            else:
                low = salt_face[k - 1, slot]
                drive = drive + salt_carried[k - 1, slot]
                pivot = wp.cw_div(
                    vector(one), vector(room) + above + wp.cw_mul(low, vector(one) - salt_upper[k - 1, slot])
                )
                salt_upper[k, slot] = wp.cw_mul(above, pivot)
                salt_rest[k, slot] = wp.cw_mul(salt[k, b] * room + wp.cw_mul(low, salt_rest[k - 1, slot]), pivot)
                salt_gain[k, slot] = wp.cw_mul(
                    wp.cw_mul(drive, per_ampere) + wp.cw_mul(low, salt_gain[k - 1, slot]), pivot
                )
        for back in range(n_salt):
            k = n_salt - 1 - back
            if back == 0:
                salt_still[k, b] = salt_rest[k, slot]
                salt_slope[k, b] = salt_gain[k, slot]
            else:
                salt_still[k, b] = salt_rest[k, slot] + wp.cw_mul(salt_upper[k, slot], salt_still[k + 1, b])
                salt_slope[k, b] = salt_gain[k, slot] + wp.cw_mul(salt_upper[k, slot], salt_slope[k + 1, b])
        current = guess[b]
        still_n = mean_salt(salt_still, b, 0, n_n, share_negative)
        slope_n = mean_salt(salt_slope, b, 0, n_n, share_negative)
        still_p = mean_salt(salt_still, b, n_n + n_s, n_p, share_positive)
        slope_p = mean_salt(salt_slope, b, n_n + n_s, n_p, share_positive)
        mean = weighted_salt(shared, salt_still, salt_slope, b, current)
        salt_n = wp.max(still_n + wp.cw_mul(slope_n, current), vector(real(1e-3)))
        salt_p = wp.max(still_p + wp.cw_mul(slope_p, current), vector(real(1e-3)))
        per_n = wp.cw_div(vector(one), salt_n)
        per_p = wp.cw_div(vector(one), salt_p)
        shape_n = salt_shape(salt_still, salt_slope, b, 0, n_n, share_negative, current, per_n)
        shape_p = salt_shape(salt_still, salt_slope, b, n_n + n_s, n_p, share_positive, current, per_p)
        shape_n = wp.max(shape_n, vector(least_shape))
        shape_p = wp.max(shape_p, vector(least_shape))
        mean_held = clip(mean, shared.salt_lowest, shared.salt_highest)
        linear[4, b] = still_n
        linear[5, b] = slope_n
        linear[6, b] = still_p
        linear[7, b] = slope_p
        linear[8, b] = wp.cw_mul(property_at(shared.concentration_factor, mean_held, theta), t) * thermal_voltage
        linear[9, b] = shape_p - shape_n
        a_n, a_p = shared.exponent_negative, shared.exponent_positive
        # kinetics take the geometric mean of the salt, which resists a few starved places as the sum of them does
        rate_n = wp.cw_mul(kinetic_power(salt_n, a_n), exp(shape_n * a_n))
        rate_p = wp.cw_mul(kinetic_power(salt_p, a_p), exp(shape_p * a_p))
        linear[10, b] = wp.cw_mul(temperature_factor(shared.temperature_factors, 2, theta), rate_n)
        linear[11, b] = wp.cw_mul(temperature_factor(shared.temperature_factors, 3, theta), rate_p)
        linear[12, b] = flux_n
        linear[15, b] = salt_still[n_salt - 1, b]
        linear[16, b] = salt_slope[n_salt - 1, b]
        linear[13, b] = flux_p
        conductivity = exp(property_at(shared.electrolyte_conductivity, mean_held, theta))
        porous = (
            wp.cw_div(vector(shared.path_ionic), conductivity)
            + wp.cw_div(vector(shared.path_negative), temperature_factor(shared.temperature_factors, 4, theta))
            + wp.cw_div(vector(shared.path_positive), temperature_factor(shared.temperature_factors, 5, theta))
        )
        linear[14, b] = (
            wp.cw_mul(porous, inverse_area)
            + wp.cw_mul(resistance[b] + vector(shared.contact_resistance), contact_factor[b])
            + film_resistance[b]
        )
        voltage, slope = voltage_tangent(shared, linear, b, t, side, current)
        draw_tangent(b, voltage, slope, current, shunt[b], connection[b], connected[b], source, inner, conductance)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def linearise(
        offset: int,
        part: int,
        shared: shared_type,
        temperature: wp.array(dtype=vector),
        side_current: wp.array(dtype=vector),
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
        current = guess[b]
        voltage, slope = voltage_tangent(shared, linear, b, temperature[b], side_current[b], current)
        draw_tangent(b, voltage, slope, current, shunt[b], connection[b], connected[b], source, inner, conductance)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def finish(
        offset: int,
        part: int,
        shared: shared_type,
        step: real,
        linear: wp.array2d(dtype=vector),
        upper_negative: wp.array2d(dtype=vector),
        rest_negative: wp.array2d(dtype=vector),
        upper_positive: wp.array2d(dtype=vector),
        rest_positive: wp.array2d(dtype=vector),
        salt_still: wp.array2d(dtype=vector),
        salt_slope: wp.array2d(dtype=vector),
        temperature: wp.array(dtype=vector),
        side_current: wp.array(dtype=vector),
        internal_short: wp.array(dtype=vector),
        connection: wp.array(dtype=vector),
        current: wp.array(dtype=vector),
        branch_current: wp.array(dtype=vector),
        voltage: wp.array(dtype=vector),
        before_negative: wp.array2d(dtype=vector),
        before_positive: wp.array2d(dtype=vector),
        shells_negative: wp.array2d(dtype=vector),
        shells_positive: wp.array2d(dtype=vector),
        salt: wp.array2d(dtype=vector),
        surface_negative: wp.array(dtype=vector),
        surface_positive: wp.array(dtype=vector),
        mean_negative: wp.array(dtype=vector),
        mean_positive: wp.array(dtype=vector),
        potential_negative: wp.array(dtype=vector),
        soc: wp.array(dtype=vector),
        heat: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        amperes = current[b]
        t = temperature[b]
        side = side_current[b]
        warming = t - vector(shared.reference_temperature)
        total_n = vector()
        total_p = vector()
        released_n = vector()  # enthalpy that leaves the particles, mean over the shells [V]
        released_p = vector()
        for back in range(shells):
            k = last - back
            old_n = before_negative[k, b]
            old_p = before_positive[k, b]
            beyond_n = amperes
            beyond_p = amperes
            if back > 0:
                beyond_n = shells_negative[k + 1, b]
                beyond_p = shells_positive[k + 1, b]
            new_n = rest_negative[k, b] + wp.cw_mul(upper_negative[k, b], beyond_n)
            new_p = rest_positive[k, b] + wp.cw_mul(upper_positive[k, b], beyond_p)
            shells_negative[k, b] = new_n
            shells_positive[k, b] = new_p
            total_n += new_n * shared.volumes[k]
            total_p += new_p * shared.volumes[k]
            released_n += released(shared.potential_negative, old_n, new_n, t, warming) * shared.volumes[k]
            released_p += released(shared.potential_positive, old_p, new_p, t, warming) * shared.volumes[k]
        for k in range(n_salt):
            salt[k, b] = salt_still[k, b] + wp.cw_mul(salt_slope[k, b], amperes)
        s_n = linear[0, b] + wp.cw_mul(linear[1, b], amperes)
        s_p = linear[2, b] + wp.cw_mul(linear[3, b], amperes)
        u_n, du_n, entropy_n = potential(shared.potential_negative, s_n, warming)
        u_p, du_p, entropy_p = potential(shared.potential_positive, s_p, warming)
        j0_n, dj0_n = exchange_n(shared.exchange_negative, s_n)
        x_n = wp.cw_div(wp.cw_mul(amperes + side, linear[12, b]), wp.cw_mul(j0_n, linear[10, b]) * real(2.0))
        eta_n = wp.cw_mul(t * (real(2.0) * thermal_voltage), inverse_sinh(shared.inverse_sinh, x_n))
        volts = voltage[b]
        enthalpy_n = u_n - wp.cw_mul(t, entropy_n)
        at_surfaces = wp.cw_mul(amperes, u_p - wp.cw_mul(t, entropy_p) - enthalpy_n)
        power = chemical_power(
            shared, step, side, at_surfaces, enthalpy_n, released_n, released_p, linear[12, b], linear[13, b]
        )
        surface_negative[b] = s_n
        surface_positive[b] = s_p
        mean_negative[b] = total_n
        mean_positive[b] = total_p
        potential_negative[b] = u_n + eta_n
        soc[b] = (total_n - vector(shared.empty_negative)) * (one / (shared.full_negative - shared.empty_negative))
        heat[b] = heat_within(power, amperes, volts, internal_short[b], branch_current[b], connection[b])

    return CellKernels(prepare=prepare, linearise=linearise, finish=finish)
