"""The free parameters of a lithium-ion cell: physical bounds, priors, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from celltwin.core import ModelError

from .base_sets import BaseSet
from .base_sets_laws import ShapeCorrections
from .cell_simulation import LEAD_RESISTANCE, SURFACE_GAP, SURFACE_LAG
from .parameter_space import FreeParameter, ParameterSpace

__all__ = ["PhysicalRange", "cell_parameter_space", "cell_shapes", "physical_ranges", "shape_parameter_space"]

Model = Literal["SPM", "SPMe", "DFN"]

_LITERATURE = "range over the sets that PyBaMM publishes and Wang et al., Prog. Energy 4 (2022) 032004"
_KINETICS = "Wang et al., Prog. Energy 4 (2022) 032004: 20 to 80 kJ/mol reported"
_SOLID = "Wang et al., Prog. Energy 4 (2022) 032004: 5 to 60 kJ/mol reported"
_ELECTROLYTE = "Landesfeind and Gasteiger, J. Electrochem. Soc. 166 (2019) A3079"
_FRACTION = "volume fractions of commercial electrodes, Chen et al., J. Electrochem. Soc. 167 (2020) 080534"
_BALANCE = "from the voltage at rest and the charge drawn; ±25 %"
_ENTROPY = "O'Regan et al., Electrochim. Acta 425 (2022) 140700; Viswanathan et al., J. Power Sources 195 (2010) 3720"
_FREE_AIR = "free convection and radiation around a cylinder of 18 mm, 5 to 40 K above the air; 0 with a fan; Incropera"
_LEADS = "0 to 60 mohm.A.h between cell and voltmeter: no wires of their own for sensing, tabs, clamps; supposed"
_WINDING = "h R / (4 k) of a winding of 0.15 to 1.5 W/(m.K) across: Drake et al., J. Power Sources 252 (2014) 298"


@dataclass(frozen=True)
class PhysicalRange:
    """Bounds and prior of one parameter, before the cell is known.

    Attributes
    ----------
    unit : str
        Of the numbers below.
    low, high : float
        Bounds; factors on the start where ``relative``.
    spread : float
        Standard deviation of the prior: decades where ``scale`` is ``"log"``, else like the bounds.
    scale : {"log", "linear"}
        Scale of the search.
    relative : bool
        Whether bounds are factors on the start.
    source : str
        Where they come from.
    start : float, optional
        In place of the base set's.
    models : str
        Models that depend on it: letters P (SPM), E (SPMe) and D (DFN).
    """

    unit: str
    low: float
    high: float
    spread: float
    scale: Literal["log", "linear"]
    relative: bool
    source: str
    start: float | None = None
    models: str = "PED"


_RANGES: dict[str, PhysicalRange] = {
    "Electrode width [m]": PhysicalRange("m", 0.6, 1.6, 0.08, "log", True, _BALANCE),
    "Negative electrode active material volume fraction": PhysicalRange(
        "-", 0.35, 0.85, 0.06, "linear", False, _FRACTION
    ),
    "Positive electrode active material volume fraction": PhysicalRange(
        "-", 0.35, 0.85, 0.06, "linear", False, _FRACTION
    ),
    "Negative electrode initial stoichiometry": PhysicalRange("-", 0.40, 0.99, 0.08, "linear", False, _BALANCE),
    "Positive electrode initial stoichiometry": PhysicalRange("-", 0.005, 0.6, 0.06, "linear", False, _BALANCE),
    "Negative particle diffusivity [m2.s-1]": PhysicalRange("m2/s", 1e-16, 1e-12, 0.5, "log", False, _LITERATURE),
    "Positive particle diffusivity [m2.s-1]": PhysicalRange("m2/s", 1e-17, 1e-12, 0.5, "log", False, _LITERATURE),
    "Negative electrode exchange-current density [A.m-2]": PhysicalRange(
        "A/m2", 0.03, 100.0, 0.8, "log", False, _LITERATURE
    ),
    "Positive electrode exchange-current density [A.m-2]": PhysicalRange(
        "A/m2", 0.03, 100.0, 0.8, "log", False, _LITERATURE
    ),
    "Negative particle diffusivity activation energy [J.mol-1]": PhysicalRange(
        "J/mol", 5e3, 8e4, 1e4, "linear", False, _SOLID, 3e4
    ),
    "Positive particle diffusivity activation energy [J.mol-1]": PhysicalRange(
        "J/mol", 5e3, 8e4, 1e4, "linear", False, _SOLID, 3e4
    ),
    "Negative electrode reaction activation energy [J.mol-1]": PhysicalRange(
        "J/mol", 1e4, 9e4, 1e4, "linear", False, _KINETICS, 4e4
    ),
    "Positive electrode reaction activation energy [J.mol-1]": PhysicalRange(
        "J/mol", 1e4, 9e4, 1e4, "linear", False, _KINETICS, 4e4
    ),
    "Electrolyte conductivity factor": PhysicalRange("-", 0.2, 4.0, 0.15, "log", False, _ELECTROLYTE, models="ED"),
    "Electrolyte diffusivity factor": PhysicalRange("-", 0.1, 6.0, 0.25, "log", False, _ELECTROLYTE, models="ED"),
    "Electrolyte transport activation energy [J.mol-1]": PhysicalRange(
        "J/mol", 5e3, 4e4, 5e3, "linear", False, _ELECTROLYTE, 1.7e4, models="ED"
    ),
    "Cation transference number": PhysicalRange("-", 0.15, 0.5, 0.06, "linear", False, _ELECTROLYTE, models="ED"),
    "Negative electrode porosity": PhysicalRange("-", 0.12, 0.5, 0.05, "linear", False, _FRACTION, models="ED"),
    "Separator porosity": PhysicalRange("-", 0.3, 0.7, 0.06, "linear", False, _FRACTION, models="ED"),
    "Positive electrode porosity": PhysicalRange("-", 0.12, 0.5, 0.05, "linear", False, _FRACTION, models="ED"),
    "Positive electrode conductivity [S.m-1]": PhysicalRange("S/m", 0.01, 100.0, 0.5, "log", False, _LITERATURE),
    "Contact resistance [Ohm]": PhysicalRange(
        "ohm", 0.02, 6.0, 0.5, "log", True, "0.5 to 120 mohm.A.h: tabs, foils and clamps of small and large cells"
    ),
    "Total heat transfer coefficient [W.m-2.K-1]": PhysicalRange(
        "W/(m2.K)", 3.0, 80.0, 0.35, "log", False, "still air 5, fans 50; Incropera, Heat and Mass Transfer"
    ),
    "Heat transfer growth [K-1]": PhysicalRange("1/K", 0.0, 0.03, 0.006, "linear", False, _FREE_AIR, 0.012),
    LEAD_RESISTANCE: PhysicalRange("ohm", 0.0, 10.0, 2.5, "linear", True, _LEADS),
    "Cell heat capacity [J.K-1.m-3]": PhysicalRange(
        "J/(K.m3)", 0.85, 1.18, 0.02, "log", True, "830 to 1,040 J/(kg.K), Steinhardt et al., Energy AI 2022; tight"
    ),
    SURFACE_GAP: PhysicalRange("-", 0.0, 0.2, 0.05, "linear", False, _WINDING, 0.06),
    SURFACE_LAG: PhysicalRange("s", 2.0, 120.0, 0.4, "log", False, _WINDING, 15.0),
    "Surroundings offset [K]": PhysicalRange(
        "K", -4.0, 4.0, 1.0, "linear", False, "surroundings that were supposed, not measured"
    ),
    "Negative electrode entropic change factor": PhysicalRange("-", -1.0, 3.0, 0.4, "linear", False, _ENTROPY),
    "Positive electrode entropic change factor": PhysicalRange("-", -1.0, 3.0, 0.4, "linear", False, _ENTROPY),
    "Positive electrode entropic change offset [V.K-1]": PhysicalRange(
        "V/K", -4e-4, 4e-4, 8e-5, "linear", False, _ENTROPY
    ),
}

_STANDARD_FIXED = (
    "Surroundings offset [K]",
    "Negative electrode reaction activation energy [J.mol-1]",
    "Separator porosity",
    "Positive electrode conductivity [S.m-1]",
    "Positive electrode porosity",
    "Negative electrode porosity",
    "Positive particle diffusivity activation energy [J.mol-1]",
    "Cation transference number",
)
"""What 24 free parameters leave out: of all, these change the curves least beside the others."""


def cell_shapes(base: BaseSet) -> ShapeCorrections:
    """Return the corrections for a cell: bumps 0.05 apart over the positive electrode's way, denser at the knee.

    Parameters
    ----------
    base : BaseSet
        Its balance says where the positive electrode's way begins.
    """
    begin = 0.05 * np.floor(base.numbers["Positive electrode initial stoichiometry"] / 0.05)
    centres = tuple(round(float(at), 3) for at in np.arange(max(begin, 0.0), 1.01, 0.05))
    return ShapeCorrections(
        open_circuit_negative=(0.02, 0.08, 0.14, 0.20, 0.26, 0.32, 0.40, 0.48, 0.56, 0.64, 0.72, 0.80),
        open_circuit_positive=centres,
        entropic_positive=tuple(round(float(at), 3) for at in np.arange(max(begin, 0.0), 1.07, 0.12)),
        entropic_negative=(0.05, 0.20, 0.35, 0.50, 0.65, 0.80),
        diffusivity_negative=3,
        diffusivity_positive=4,
    )


_SHAPE_SPREADS = {
    "open_circuit_negative": ("V", 0.03, 0.12),
    "open_circuit_positive": ("V", 0.025, 0.12),
    "diffusivity_negative": ("-", 1.0, 4.0),
    "diffusivity_positive": ("-", 1.0, 4.0),
    "entropic_negative": ("V/K", 2.5e-4, 8e-4),
    "entropic_positive": ("V/K", 2.5e-4, 8e-4),
}


def physical_ranges() -> dict[str, PhysicalRange]:
    """Return bounds and priors of everything that can be free, by name."""
    return dict(_RANGES)


def cell_parameter_space(
    base: BaseSet, *, model: Model = "DFN", names: tuple[str, ...] | None = None
) -> ParameterSpace:
    """Return the free parameters of a cell: 24 for the DFN, fewer for the simpler models.

    Parameters
    ----------
    base : BaseSet
        Gives the starts.
    model : {"SPM", "SPMe", "DFN"}
        Parameters that it does not depend on are left out.
    names : tuple of str, optional
        Which are free, in place of the 24.

    Raises
    ------
    ModelError
        If a name has no physical range.
    """
    letter = {"SPM": "P", "SPMe": "E", "DFN": "D"}[model]
    chosen = names or tuple(name for name in _RANGES if name not in _STANDARD_FIXED)
    unknown = [name for name in chosen if name not in _RANGES]
    if unknown:
        raise ModelError(
            f"{', '.join(unknown)}: no physical range is known", remedy=f"Choose among {', '.join(_RANGES)}"
        )
    return ParameterSpace(tuple(_free(name, _RANGES[name], base) for name in chosen if letter in _RANGES[name].models))


def shape_parameter_space(shapes: ShapeCorrections) -> tuple[FreeParameter, ...]:
    """Return the coefficients of shape corrections as free parameters, held to 0 by their priors."""
    return tuple(
        FreeParameter(
            name=name,
            unit=unit,
            low=-bound,
            high=bound,
            start=0.0,
            spread=spread,
            source="regularised: a correction is as small as the data allow",
        )
        for field, (unit, spread, bound) in _SHAPE_SPREADS.items()
        for name in shapes.names(field)
    )


def _free(name: str, bounds: PhysicalRange, base: BaseSet) -> FreeParameter:
    start = base.numbers[name] if bounds.start is None else bounds.start
    unit = abs(start) if bounds.relative else 1.0
    low, high = bounds.low * unit, bounds.high * unit
    return FreeParameter(
        name=name,
        unit=bounds.unit,
        low=low,
        high=high,
        start=min(max(start, low), high),
        scale=bounds.scale,
        spread=bounds.spread * (unit if bounds.scale == "linear" else 1.0),
        source=bounds.source,
    )
