"""What an advice aims at and what it keeps away from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PrescriptionSettings"]


@dataclass(frozen=True, kw_only=True)
class PrescriptionSettings:
    """Aims, margins and candidates of an advice.

    Attributes
    ----------
    target_soc, full_soc : float
        State of charge to be reached fast [-]; above it, the one that counts as full.
    horizon : float
        Time for which a charge current must keep all limits, unless the target is reached before [s]. It covers the
        time until the next advice.
    rates : tuple of float
        Candidate charge currents as C-rates [1/h], rising; those beyond the cell's limit are left out.
    flows : tuple of float
        Candidate coolant flows as shares of the pump's highest [-], rising.
    temperature_margin : float
        Distance kept from the cell's highest temperature [K].
    voltage_margin : float
        Distance from the cell's charge cut-off at which the voltage is held and the current tapers [V].
    plating_margin : float
        Least potential of the anode against lithium [V].
    coverage : float
        Standard uncertainties by which estimates are taken for worse than they are.
    bleed_rate : float
        Balancing current as a C-rate of the group [1/h].
    """

    target_soc: float = 0.8
    full_soc: float = 0.97
    horizon: float = 900.0
    rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
    flows: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    temperature_margin: float = 5.0
    voltage_margin: float = 0.01
    plating_margin: float = 0.01
    coverage: float = 1.0
    bleed_rate: float = 0.005
