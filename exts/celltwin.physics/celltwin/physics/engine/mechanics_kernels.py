"""Kernels of mechanics: free swelling of every cell, the force balance of every stack, and what follows from both."""

# Warp reads the annotations of kernels as values: no postponed annotations here.
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .lanes import Lanes

__all__ = ["MechanicsKernels", "make_mechanics_kernels", "make_mechanics_structure"]


@dataclass(frozen=True, eq=False)
class MechanicsKernels:
    """The kernels of mechanics."""

    swell: Any
    balance_stacks: Any
    press_layers: Any
    fill_cans: Any


@lru_cache(maxsize=1)
def make_mechanics_structure() -> Any:
    """Return the Warp structure of what all cells share."""
    import warp as wp

    real = wp.float64

    @wp.struct
    class SharedMechanics:
        """Numbers and the table of a mechanics model."""

        volume_change: wp.array2d(dtype=real)
        layer_negative: real  # active material [m]
        layer_positive: real
        change_negative: real  # volume change at the reference state [-]
        change_positive: real
        thermal_expansion: real  # [m/K]
        reference_temperature: real
        film_gain: real
        new_film: real  # of the fresh cell [m]
        contact_exponent: real
        contact_share: real
        lowest_ratio: real  # of pressures [-]
        compliance: real  # layers: of one cell; can: roll and can together [m/Pa]
        assembly_pressure: real  # can [Pa]
        strain_compliance: real  # can [1/Pa]
        can_expansion: real  # can [1/K]
        radius: real  # can [m]

    return SharedMechanics


@lru_cache(maxsize=8)
def make_mechanics_kernels(lanes: Lanes) -> MechanicsKernels:
    """Return the kernels of mechanics.

    ``swell`` runs over bundles and gives the free change of thickness [m]. For layers, ``balance_stacks`` runs over
    stacks and ``press_layers`` over places of cells; for cans, ``fill_cans`` runs over bundles.
    """
    import warp as wp

    real, vector = lanes.real, lanes.vector
    exp, log, cubic = lanes.exp, lanes.log, lanes.cubic
    zero, one = real(0.0), real(1.0)
    shared_type = make_mechanics_structure()

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def swell(
        shared: shared_type,
        stoichiometry_negative: wp.array(dtype=vector),
        stoichiometry_positive: wp.array(dtype=vector),
        temperature: wp.array(dtype=vector),
        film: wp.array(dtype=vector),
        free_change: wp.array(dtype=vector),
    ):
        b = wp.tid()
        negative = cubic(shared.volume_change, 0, stoichiometry_negative[b]) - vector(shared.change_negative)
        positive = cubic(shared.volume_change, 4, stoichiometry_positive[b]) - vector(shared.change_positive)
        warmer = temperature[b] - vector(shared.reference_temperature)
        free_change[b] = (
            shared.layer_negative * negative
            + shared.layer_positive * positive
            + shared.thermal_expansion * warmer
            + shared.film_gain * (film[b] - vector(shared.new_film))
        )

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def balance_stacks(
        shared: shared_type,
        start: wp.array(dtype=int),
        places: wp.array(dtype=int),
        compliance: wp.array(dtype=real),
        preload: wp.array(dtype=real),
        free_change: wp.array(dtype=real),
        stack_pressure: wp.array(dtype=real),
        stack_contact: wp.array(dtype=real),
    ):
        # All cells of a stack carry the same force: what they would gain together is shared out by compliance.
        s = wp.tid()
        gained = real(0.0)
        for k in range(start[s], start[s + 1]):
            gained += free_change[places[k]]
        pressure = wp.max(preload[s] + gained / compliance[s], zero)
        stack_pressure[s] = pressure
        ratio = wp.max(pressure / wp.max(preload[s], real(1e-9)), shared.lowest_ratio)
        poorer = wp.exp(-shared.contact_exponent * wp.log(ratio)) - one
        stack_contact[s] = wp.where(preload[s] > zero, one + shared.contact_share * poorer, one)

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def press_layers(
        shared: shared_type,
        stack: wp.array(dtype=int),
        preload: wp.array(dtype=real),
        stack_pressure: wp.array(dtype=real),
        stack_contact: wp.array(dtype=real),
        free_change: wp.array(dtype=real),
        thickness_change: wp.array(dtype=real),
        pressure: wp.array(dtype=real),
        contact_factor: wp.array(dtype=real),
    ):
        i = wp.tid()
        s = stack[i]
        if s >= 0:
            pressure[i] = stack_pressure[s]
            contact_factor[i] = stack_contact[s]
            thickness_change[i] = free_change[i] - shared.compliance * (stack_pressure[s] - preload[s])
        else:
            pressure[i] = zero
            contact_factor[i] = one
            thickness_change[i] = free_change[i]

    @wp.kernel(module="unique", module_options=lanes.module_options)
    def fill_cans(
        shared: shared_type,
        temperature: wp.array(dtype=vector),
        free_change: wp.array(dtype=vector),
        thickness_change: wp.array(dtype=vector),
        hoop_strain: wp.array(dtype=vector),
        pressure: wp.array(dtype=vector),
        contact_factor: wp.array(dtype=vector),
    ):
        b = wp.tid()
        grown = shared.can_expansion * (temperature[b] - vector(shared.reference_temperature))
        over = (free_change[b] - shared.radius * grown) / shared.compliance
        pressed = wp.max(over + vector(shared.assembly_pressure), vector(zero))
        pressure[b] = pressed
        strain = shared.strain_compliance * (pressed - vector(shared.assembly_pressure)) + grown
        hoop_strain[b] = strain
        thickness_change[b] = real(2.0) * shared.radius * strain
        if shared.contact_share > zero and shared.assembly_pressure > zero:
            ratio = wp.max(pressed / shared.assembly_pressure, vector(shared.lowest_ratio))
            poorer = exp(-shared.contact_exponent * log(ratio)) - vector(one)
            contact_factor[b] = vector(one) + shared.contact_share * poorer
        else:
            contact_factor[b] = vector(one)

    return MechanicsKernels(swell=swell, balance_stacks=balance_stacks, press_layers=press_layers, fill_cans=fill_cans)
