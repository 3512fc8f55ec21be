"""Ageing constants of one cell type as the kernels read them: an ageing model for each area, times a geometry."""

# Warp reads the annotations of structures as values: no postponed annotations here.
from functools import lru_cache
from typing import Any

import numpy as np

from celltwin.core import FARADAY, GAS_CONSTANT, SECONDS_PER_HOUR

from .ageing import AgeingModel, LossModel
from .cell_model import CellModel, ElectrodeModel

__all__ = ["make_ageing_structure", "share_ageing"]


@lru_cache(maxsize=1)
def make_ageing_structure() -> Any:
    """Return the Warp structure of what all cells share."""
    import warp as wp

    @wp.struct
    class SharedAgeing:
        """Constants of the ageing model for one cell type."""

        inverse_reference: wp.float64  # 1 / T_ref [1/K]
        sei_energy: wp.float64  # E / R [K], and so on below
        plating_energy: wp.float64
        stress_energy_negative: wp.float64
        stress_energy_positive: wp.float64
        current_energy_negative: wp.float64
        current_energy_positive: wp.float64
        sei_rate: wp.float64  # [A/m^2] or [A/m]
        sei_drag: wp.float64  # k / D [1/m] of the rate's exponential, for the reaction of ethylene carbonate
        sei_potential: wp.float64  # U_SEI [V]
        sei_transfer: wp.float64  # alpha [-]
        sei_growth: wp.float64  # V / (F z): thickness for charge [m^3/C]
        sei_resistivity: wp.float64  # [ohm.m]
        surface: wp.float64  # particles' surface in the new cell's negative electrode [m^2]
        inverse_area: wp.float64  # 1 / electrode area [1/m^2]
        salt_drop: wp.float64  # F c_e,0 D / ((1 - t+) kappa): ohmic drop along a gradient of relative salt [V]
        salt_factor: wp.float64  # 2 (1 - t+) times the thermodynamic factor [-]
        plating_current: wp.float64  # F k_p c_e,0 [A/m^2]
        plating_transfer: wp.float64  # alpha [-]
        stripping: wp.float64  # k_s a [1/s]
        decay_rate: wp.float64  # [1/s]
        decay_speed: wp.float64  # [m/s]
        stress_negative: wp.float64  # stress over the critical one, for a difference of stoichiometry [-]
        stress_positive: wp.float64
        stress_rate_negative: wp.float64  # of active material over that of the new cell [1/s]
        stress_rate_positive: wp.float64
        exponent_negative: wp.float64  # m [-]
        exponent_positive: wp.float64
        current_rate_negative: wp.float64  # the same for each ampere of a cell of capacity scale 1 [1/(A.s)]
        current_rate_positive: wp.float64
        reaction_rate: wp.float64  # the same for each A/m^2 of film current, times active material [m^2/(A.s)]
        host_negative: wp.float64  # lithium in the full electrode of the new cell [A.h]
        host_positive: wp.float64
        contact_growth: wp.float64  # for each ampere-hour that side reactions took [ohm/(A.h)]
        initial_charge: wp.float64  # lithium in the film and plated on the new cell [A.h]
        sei_charge: wp.float64  # lithium in the film for each metre of it [A.h/m]

    return SharedAgeing


def share_ageing(model: AgeingModel, cell: CellModel) -> Any:
    """Return the Warp structure of an ageing model for a cell.

    Parameters
    ----------
    model : AgeingModel
        Constants for each area and volume.
    cell : CellModel
        Geometry, salt and maximum concentrations.
    """
    shared = make_ageing_structure()()
    sei, plating, negative, positive = model.sei, model.plating, cell.negative, cell.positive
    shared.inverse_reference = 1.0 / model.reference_temperature
    shared.sei_energy = sei.activation_energy / GAS_CONSTANT
    shared.plating_energy = plating.activation_energy / GAS_CONSTANT
    carried = FARADAY * sei.concentration
    shared.sei_rate = {
        "none": 0.0,
        "reaction limited": sei.exchange_current,
        "solvent-diffusion limited": carried * sei.diffusivity,
        "interstitial-diffusion limited": carried * sei.diffusivity,
        "electron-migration limited": sei.electron_conductivity,
        "ec reaction limited": carried * sei.rate_constant,
    }[sei.kind]
    shared.sei_drag = sei.rate_constant / sei.diffusivity if sei.kind == "ec reaction limited" else 0.0
    shared.sei_potential = sei.open_circuit_potential
    shared.sei_transfer = sei.transfer_coefficient
    shared.sei_growth = sei.partial_molar_volume / (FARADAY * sei.lithium_ratio)
    shared.sei_resistivity = sei.resistivity
    shared.surface = negative.interface_area * negative.thickness * cell.electrode_area
    shared.inverse_area = 1.0 / cell.electrode_area
    shared.salt_factor = float(cell.concentration_factor[0, 0])
    diffusivity, conductivity = (
        float(np.exp(table[0, 0])) for table in (cell.electrolyte_diffusivity, cell.electrolyte_conductivity)
    )
    resting = (1.0 - float(cell.transference[0, 0])) * conductivity
    shared.salt_drop = FARADAY * cell.electrolyte_concentration * diffusivity / resting
    shared.plating_current = FARADAY * plating.plating_rate * cell.electrolyte_concentration
    shared.plating_transfer = plating.transfer_coefficient
    shared.stripping = plating.stripping_rate * negative.interface_area
    shared.decay_rate, shared.decay_speed = plating.decay_rate, plating.decay_speed
    for side, electrode, loss in (
        ("negative", negative, model.loss_negative),
        ("positive", positive, model.loss_positive),
    ):
        for name, value in _share_loss(electrode, loss, cell.electrode_area).items():
            setattr(shared, f"{name}_{side}", value)
    shared.reaction_rate = model.loss_negative.reaction_factor * 3.0 / (negative.particle_radius * FARADAY)
    shared.sei_charge = shared.surface / (shared.sei_growth * SECONDS_PER_HOUR)
    plated = plating.initial_concentration * FARADAY / SECONDS_PER_HOUR * negative.thickness * cell.electrode_area
    shared.initial_charge = shared.sei_charge * sei.initial_thickness + plated
    shared.contact_growth = model.contact_growth / (cell.electrode_area * shared.host_negative)
    return shared


def _share_loss(electrode: ElectrodeModel, loss: LossModel, area: float) -> dict[str, float]:
    fraction = electrode.active_fraction
    volume = electrode.thickness * area
    return {
        "stress_energy": loss.stress_activation_energy / GAS_CONSTANT,
        "current_energy": loss.current_activation_energy / GAS_CONSTANT,
        "stress": loss.stress_coefficient * electrode.maximum_concentration,
        "stress_rate": loss.stress_rate / fraction,
        "exponent": loss.stress_exponent,
        "current_rate": loss.current_rate / (area * fraction),
        "host": fraction * volume * electrode.maximum_concentration * FARADAY / SECONDS_PER_HOUR,
    }
