"""Kernels of a cell with porous electrodes: reaction, potentials and salt resolved through the electrodes.

Every volume of an electrode has a particle of its own. ``prepare`` eliminates the particles, whose surfaces are then
linear in the reaction of their volume, and takes transport properties. ``linearise`` is one Newton step for salt flux
and ionic current through all faces at once, block by block along the cell; it leaves them, and the voltage, as linear
functions of the cell's current. ``finish`` puts the current that the circuit gave into the profiles.
"""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT

from .cell_laws import CellLawChoices, make_cell_laws, make_cell_structure
from .lanes import Lanes
from .porous_electrode_laws import make_porous_laws
from .porous_newton_kernels import make_newton_kernel
from .shared_porous_cell import make_porous_structure

__all__ = ["POROUS_ROWS", "PorousElectrodeKernels", "make_porous_kernels"]

# Rows of the array ``linear``: what a cell has once for all its volumes.
POROUS_ROWS = (
    "rate_negative",  # exchange current over g(s) sqrt(s (1 - s)) (c_e / c_e,0)^alpha [A/m^2]
    "rate_positive",
    "flux_negative",  # interfacial current density for each ampere, if the reaction were uniform [1/m^2]
    "flux_positive",
    "resistance",  # beside the electrodes and the electrolyte [ohm]
)


@dataclass(frozen=True, eq=False)
class PorousElectrodeKernels:
    """The kernels of a cell with porous electrodes."""

    prepare: Any
    linearise: Any
    finish: Any


@lru_cache(maxsize=16)
def make_porous_kernels(lanes: Lanes, choices: CellLawChoices, *, shells: int) -> PorousElectrodeKernels:
    """Return the kernels of a cell with porous electrodes.

    Parameters
    ----------
    lanes, choices, shells
        As for the single-particle model.
    """
    import warp as wp

    real, vector = lanes.real, lanes.vector
    exp, clip = lanes.exp, lanes.clip
    shared_type, porous_type = make_cell_structure(), make_porous_structure()
    one, half = real(1.0), real(0.5)
    thermal_voltage = real(GAS_CONSTANT / FARADAY)
    faraday = real(FARADAY)
    laws = make_cell_laws(lanes, choices)
    warmth, temperature_factor, coefficients = laws.warmth, laws.temperature_factor, laws.coefficients
    polynomial, property_at = laws.polynomial, laws.property_at
    transference, chemical_power, heat_within = laws.transference, laws.chemical_power, laws.heat_within
    porous_laws = make_porous_laws(lanes, laws, shells=shells)
    eliminate, settle = porous_laws.eliminate_particles, porous_laws.settle_electrode

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def prepare(
        offset: int,
        part: int,
        shared: shared_type,
        porous: porous_type,
        step: real,
        keep: int,  # 1: scratch for each bundle, 0: one for all of a part, where bundles come one after the other
        shells_negative: wp.array2d(dtype=vector),
        shells_positive: wp.array2d(dtype=vector),
        salt: wp.array2d(dtype=vector),
        ionic: wp.array2d(dtype=vector),
        smoothed_negative: wp.array2d(dtype=vector),
        smoothed_positive: wp.array2d(dtype=vector),
        temperature: wp.array(dtype=vector),
        capacity_scale: wp.array(dtype=vector),
        diffusivity_scale: wp.array(dtype=vector),
        resistance: wp.array(dtype=vector),
        contact_factor: wp.array(dtype=vector),
        active_negative: wp.array(dtype=vector),
        active_positive: wp.array(dtype=vector),
        side_current: wp.array(dtype=vector),
        point: wp.array2d(dtype=vector),
        face: wp.array2d(dtype=vector),
        upper_negative: wp.array2d(dtype=vector),
        rest_negative: wp.array2d(dtype=vector),
        upper_positive: wp.array2d(dtype=vector),
        rest_positive: wp.array2d(dtype=vector),
        still_negative: wp.array2d(dtype=vector),
        slope_negative: wp.array2d(dtype=vector),
        still_positive: wp.array2d(dtype=vector),
        slope_positive: wp.array2d(dtype=vector),
        hindrance: wp.array2d(dtype=vector),
        ionic_resistance: wp.array2d(dtype=vector),
        solid_resistance: wp.array2d(dtype=vector),
        carried: wp.array2d(dtype=vector),
        salt_voltage: wp.array2d(dtype=vector),
        ionic_still: wp.array2d(dtype=vector),
        ionic_slope: wp.array2d(dtype=vector),
        salt_held: wp.array2d(dtype=vector),
        salt_still: wp.array2d(dtype=vector),
        salt_slope: wp.array2d(dtype=vector),
        linear: wp.array2d(dtype=vector),
    ):
        b = wp.tid() + offset
        slot = b * keep + part
        n_n = porous.negative
        n_p = porous.positive
        first_p = n_n + porous.separator
        n_all = first_p + n_p
        n_faces = n_all - 1
        t = temperature[b]
        theta = warmth(shared, t)
        inverse_area = wp.cw_div(vector(one / shared.area), capacity_scale[b])
        flux_n = wp.cw_div(inverse_area * shared.reaction_negative, active_negative[b])
        flux_p = wp.cw_div(inverse_area * shared.reaction_positive, active_positive[b])
        factor_n = wp.cw_mul(temperature_factor(shared.temperature_factors, 0, theta), diffusivity_scale[b])
        factor_p = wp.cw_mul(temperature_factor(shared.temperature_factors, 1, theta), diffusivity_scale[b])
        eliminate(
            shared,
            0,
            n_n,
            b,
            slot,
            step * shared.inverse_time_negative,
            factor_n,
            flux_n * (-shared.gradient_negative),
            side_current[b],
            shells_negative,
            smoothed_negative,
            face,
            upper_negative,
            rest_negative,
            still_negative,
            slope_negative,
        )
        eliminate(
            shared,
            1,
            n_p,
            b,
            slot,
            step * shared.inverse_time_positive,
            factor_p,
            flux_p * shared.gradient_positive,
            vector(),
            shells_positive,
            smoothed_positive,
            face,
            upper_positive,
            rest_positive,
            still_positive,
            slope_positive,
        )
        d0, d1, d2, d3, d4, d5, d6, d7 = coefficients(shared.electrolyte_diffusivity, theta)
        k0, k1, k2, k3, k4, k5, k6, k7 = coefficients(shared.electrolyte_conductivity, theta)
        solid_n = wp.cw_div(inverse_area, temperature_factor(shared.temperature_factors, 4, theta))
        solid_p = wp.cw_div(inverse_area, temperature_factor(shared.temperature_factors, 5, theta))
        per_ampere = inverse_area * (step / (faraday * shared.salt_reference))
        for k in range(n_all):
            here = salt[k, b]
            if k < n_n:
                solid_resistance[k, b] = solid_n * porous.path_solid[k]
            else:
                solid_resistance[k, b] = solid_p * porous.path_solid[k]
            at_ends = clip(here, shared.salt_lowest, shared.salt_highest) - vector(one)
            point[k, slot] = exp(polynomial(d0, d1, d2, d3, d4, d5, d6, d7, at_ends))
            salt_held[k, b] = here
            salt_still[k, b] = here
            salt_slope[k, b] = vector()
        for k in range(n_faces):
            between = (salt[k, b] + salt[k + 1, b]) * half
            between_held = clip(between, shared.salt_lowest, shared.salt_highest)
            carried[k, b] = wp.cw_mul(vector(one) - transference(shared, between, theta), per_ampere)
            held = between_held - vector(one)
            # diffusivity between two volumes by Simpson's rule: it may fall tenfold from one to the next
            diffusivity = exp(polynomial(d0, d1, d2, d3, d4, d5, d6, d7, held)) * real(4.0)
            diffusivity += point[k, slot] + point[k + 1, slot]
            hindrance[k, b] = wp.cw_div(vector(real(6.0) / step), diffusivity)
            ionic_resistance[k, b] = wp.cw_mul(exp(-polynomial(k0, k1, k2, k3, k4, k5, k6, k7, held)), inverse_area)
            factor = property_at(shared.concentration_factor, between_held, theta)
            salt_voltage[k, b] = wp.cw_mul(factor, t) * thermal_voltage
            ionic_still[k, b] = ionic[k, b]
            ionic_slope[k, b] = vector()
        linear[0, b] = temperature_factor(shared.temperature_factors, 2, theta)
        linear[1, b] = temperature_factor(shared.temperature_factors, 3, theta)
        linear[2, b] = flux_n
        linear[3, b] = flux_p
        linear[4, b] = wp.cw_mul(resistance[b] + vector(shared.contact_resistance), contact_factor[b])

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def finish(
        offset: int,
        part: int,
        shared: shared_type,
        porous: porous_type,
        step: real,
        linear: wp.array2d(dtype=vector),
        upper_negative: wp.array2d(dtype=vector),
        rest_negative: wp.array2d(dtype=vector),
        upper_positive: wp.array2d(dtype=vector),
        rest_positive: wp.array2d(dtype=vector),
        still_negative: wp.array2d(dtype=vector),
        slope_negative: wp.array2d(dtype=vector),
        still_positive: wp.array2d(dtype=vector),
        slope_positive: wp.array2d(dtype=vector),
        ionic_still: wp.array2d(dtype=vector),
        ionic_slope: wp.array2d(dtype=vector),
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
        ionic: wp.array2d(dtype=vector),
        surfaces_negative: wp.array2d(dtype=vector),
        surfaces_positive: wp.array2d(dtype=vector),
        smoothed_negative: wp.array2d(dtype=vector),
        smoothed_positive: wp.array2d(dtype=vector),
        surface_negative: wp.array(dtype=vector),
        surface_positive: wp.array(dtype=vector),
        mean_negative: wp.array(dtype=vector),
        mean_positive: wp.array(dtype=vector),
        potential_negative: wp.array(dtype=vector),
        soc: wp.array(dtype=vector),
        heat: wp.array(dtype=vector),
    ):
        b = wp.tid() + offset
        n_n = porous.negative
        n_p = porous.positive
        first_p = n_n + porous.separator
        n_all = first_p + n_p
        n_faces = n_all - 1
        amperes = current[b]
        t = temperature[b]
        side = side_current[b]
        for k in range(n_all):
            salt[k, b] = salt_still[k, b] + wp.cw_mul(salt_slope[k, b], amperes)
        for k in range(n_faces):
            ionic[k, b] = ionic_still[k, b] + wp.cw_mul(ionic_slope[k, b], amperes)
        mean_n, surface_n, phi_n, power_n, resting_n, released_n = settle(
            shared,
            porous,
            0,
            b,
            0,
            n_n,
            one,
            shared.potential_negative,
            shared.exponent_negative,
            linear[2, b],
            linear[0, b],
            side,
            t,
            vector(),
            salt,
            ionic,
            still_negative,
            slope_negative,
            upper_negative,
            rest_negative,
            before_negative,
            shells_negative,
            surfaces_negative,
            smoothed_negative,
        )
        mean_p, surface_p, phi_p, power_p, resting_p, released_p = settle(
            shared,
            porous,
            1,
            b,
            first_p,
            n_p,
            -one,
            shared.potential_positive,
            shared.exponent_positive,
            linear[3, b],
            linear[1, b],
            vector(),
            t,
            amperes,
            salt,
            ionic,
            still_positive,
            slope_positive,
            upper_positive,
            rest_positive,
            before_positive,
            shells_positive,
            surfaces_positive,
            smoothed_positive,
        )
        power = chemical_power(
            shared, step, side, power_p - power_n, resting_n, released_n, released_p, linear[2, b], linear[3, b]
        )
        volts = voltage[b]
        surface_negative[b] = surface_n
        surface_positive[b] = surface_p
        mean_negative[b] = mean_n
        mean_positive[b] = mean_p
        potential_negative[b] = phi_n
        soc[b] = (mean_n - vector(shared.empty_negative)) * (one / (shared.full_negative - shared.empty_negative))
        heat[b] = heat_within(power, amperes, volts, internal_short[b], branch_current[b], connection[b])

    newton = make_newton_kernel(lanes, laws, porous_laws)
    return PorousElectrodeKernels(prepare=prepare, linearise=newton, finish=finish)
