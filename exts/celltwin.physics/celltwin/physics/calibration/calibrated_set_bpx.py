"""The BPX part of a calibrated set: numbers and tables under the standard's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import FARADAY, ModelError

from .base_sets_laws import REFERENCE_SALT, REFERENCE_TEMPERATURE
from .calibrated_set_tables import LawTable, cell_tables, exchange_current
from .consistency_capacity import RestingLimits

if TYPE_CHECKING:
    from ..measurements.cell_description import CellDescription

__all__ = ["build_bpx_sections"]

VERSION = "1.1.0"
_SQUARE_ROOT = 0.02  # departure of an exchange-current density from BPX's law


def build_bpx_sections(
    laws: Any,
    inputs: Mapping[str, float],
    description: CellDescription,
    resting: RestingLimits,
    header: Mapping[str, str],
) -> dict[str, Any]:
    """Return a BPX document without extensions.

    Parameters
    ----------
    laws : pybamm.ParameterValues
        The set with its laws.
    inputs : mapping of str to float
        Values of inputs in it.
    description : CellDescription
        The cell.
    resting : RestingLimits
        Stoichiometries at its voltage limits.
    header : mapping of str to str
        ``Title``, ``Description``, ``References`` and ``Model``.

    Raises
    ------
    ModelError
        If the exchange-current density is not of the form that the standard has.

    References
    ----------
    .. [1] Battery Parameter eXchange (BPX), the Faraday Institution, https://bpxstandard.com.
    """
    tables = cell_tables(laws, inputs)
    volume = float(laws["Cell volume [m3]"])
    density = description.likely_mass / volume
    salt = inputs["Initial concentration in electrolyte [mol.m-3]"]
    electrolyte_energy = inputs["Electrolyte transport activation energy [J.mol-1]"]
    sections = {
        "Cell": {
            "Electrode area [m2]": inputs["Electrode width [m]"] * float(laws["Electrode height [m]"]),
            "External surface area [m2]": float(laws["Cell cooling surface area [m2]"]),
            "Volume [m3]": volume,
            "Number of electrode pairs connected in parallel to make a cell": 1,
            "Lower voltage cut-off [V]": description.lower_voltage,
            "Upper voltage cut-off [V]": description.upper_voltage,
            "Nominal cell capacity [A.h]": description.capacity,
            "Reference temperature [K]": REFERENCE_TEMPERATURE,
            "Density [kg.m-3]": density,
            "Specific heat capacity [J.K-1.kg-1]": inputs["Cell heat capacity [J.K-1.m-3]"] / density,
        },
        "Electrolyte": {
            "Cation transference number": inputs["Cation transference number"],
            "Diffusivity [m2.s-1]": _entry(tables["Electrolyte diffusivity [m2.s-1]"], floor=True),
            "Diffusivity activation energy [J.mol-1]": electrolyte_energy,
            "Conductivity [S.m-1]": _entry(tables["Electrolyte conductivity [S.m-1]"], floor=True),
            "Conductivity activation energy [J.mol-1]": electrolyte_energy,
        },
        "Negative electrode": _electrode(
            laws, inputs, tables, "Negative", salt, (resting.negative_empty, resting.negative_full)
        ),
        "Positive electrode": _electrode(
            laws, inputs, tables, "Positive", salt, (resting.positive_full, resting.positive_empty)
        ),
        "Separator": {
            "Thickness [m]": float(laws["Separator thickness [m]"]),
            "Porosity": inputs["Separator porosity"],
            "Transport efficiency": _efficiency(laws, inputs, "Separator"),
        },
        "User-defined": {
            "Contact resistance [Ohm]": inputs["Contact resistance [Ohm]"],
            "Cell heat capacity [J.K-1.m-3]": inputs["Cell heat capacity [J.K-1.m-3]"],
            "Open-circuit voltage at 0% SOC [V]": description.lower_voltage,
            "Open-circuit voltage at 100% SOC [V]": description.upper_voltage,
            "Thermodynamic factor": _thermodynamic_factor(laws, inputs, salt),
        },
    }
    return {
        "Header": {"BPX": VERSION, **header},
        "Parameterisation": sections,
        "State": {
            "Initial conditions": {
                "Initial temperature [K]": REFERENCE_TEMPERATURE,
                "Initial electrolyte concentration [mol.m-3]": salt,
            },
            "Thermal environment": {
                "Ambient temperature [K]": REFERENCE_TEMPERATURE,
                "Heat transfer coefficient [W.m-2.K-1]": inputs["Total heat transfer coefficient [W.m-2.K-1]"],
            },
        },
    }


def _electrode(
    laws: Any,
    inputs: Mapping[str, float],
    tables: Mapping[str, LawTable],
    side: str,
    salt: float,
    stoichiometries: tuple[float, float],
) -> dict[str, Any]:
    layer = f"{side} electrode"
    exchange, departure = exchange_current(laws, inputs, side)
    if departure > _SQUARE_ROOT:
        raise ModelError(
            f"the {layer.lower()}'s exchange-current density departs from c_e^0.5 (x (1 - x))^0.5 by "
            f"{100.0 * departure:.0f} %, which BPX cannot hold (at most {100.0 * _SQUARE_ROOT:.0f} %)",
            remedy="Begin with another base set",
        )
    radius = float(laws[f"{side} particle radius [m]"])
    porosity = inputs[f"{layer} porosity"]
    solid = float(laws[f"{layer} Bruggeman coefficient (electrode)"])
    return {
        "Thickness [m]": float(laws[f"{layer} thickness [m]"]),
        "Porosity": porosity,
        "Transport efficiency": _efficiency(laws, inputs, layer),
        "Conductivity [S.m-1]": inputs[f"{layer} conductivity [S.m-1]"] * (1.0 - porosity) ** solid,
        "Minimum stoichiometry": min(stoichiometries),
        "Maximum stoichiometry": max(stoichiometries),
        "Maximum concentration [mol.m-3]": float(laws[f"Maximum concentration in {layer.lower()} [mol.m-3]"]),
        "Particle radius [m]": radius,
        "Surface area per unit volume [m-1]": 3.0 * inputs[f"{layer} active material volume fraction"] / radius,
        "Diffusivity [m2.s-1]": _entry(tables[f"{side} particle diffusivity [m2.s-1]"]),
        "Diffusivity activation energy [J.mol-1]": inputs[f"{side} particle diffusivity activation energy [J.mol-1]"],
        "OCP [V]": tables[f"{layer} OCP [V]"].content(),
        "Entropic change coefficient [V.K-1]": _entry(tables[f"{layer} OCP entropic change [V.K-1]"]),
        # The law is stated at 1 mol/l and half stoichiometry; BPX's at the salt's own concentration and x = 1 - x = 1.
        "Reaction rate constant [mol.m-2.s-1]": 2.0 * exchange * np.sqrt(salt / REFERENCE_SALT) / FARADAY,
        "Reaction rate constant activation energy [J.mol-1]": inputs[f"{layer} reaction activation energy [J.mol-1]"],
    }


def _entry(table: LawTable, *, floor: bool = False) -> float | dict[str, list[float]]:
    """Return a table, or one number where the function is constant; a floor keeps polynomials' ends above 0."""
    top = float(np.max(np.abs(table.y)))
    if float(np.ptp(table.y)) <= 1e-9 * top:
        return float(table.y[0])
    return (LawTable(table.x, np.maximum(table.y, 0.005 * top)) if floor else table).content()


def _efficiency(laws: Any, inputs: Mapping[str, float], layer: str) -> float:
    return float(inputs[f"{layer} porosity"] ** float(laws[f"{layer} Bruggeman coefficient (electrolyte)"]))


def _thermodynamic_factor(laws: Any, inputs: Mapping[str, float], salt: float) -> float:
    entry = laws.get("Thermodynamic factor", 1.0)
    if not callable(entry):
        return float(entry)
    import pybamm

    result = entry(pybamm.Scalar(salt), pybamm.Scalar(REFERENCE_TEMPERATURE))
    if isinstance(result, pybamm.Symbol):  # Ai2020's depends on the transference number, which is an input here
        result = laws.evaluate(result, inputs=dict(inputs))
    return float(np.asarray(result).reshape(-1)[0])
