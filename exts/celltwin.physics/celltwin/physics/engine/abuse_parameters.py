"""Published constants of thermal runaway, and how much of each material a cell holds."""

from __future__ import annotations

import numpy as np

from celltwin.core import ModelError

from .abuse_model import NO_REACTION, AbuseModel, AbuseReaction, SeparatorModel, VentModel
from .cell_model import CellModel

__all__ = ["ABUSE_MODELS", "abuse_model"]

# Kim et al. 2007, after Hatchard et al. 2001, MacNeil and Dahn 2001, Richard and Dahn 1999.
_SEI = AbuseReaction(frequency=1.667e15, activation_energy=1.3508e5, heat=2.57e5, initial=0.15)
_NEGATIVE = AbuseReaction(frequency=2.5e13, activation_energy=1.3508e5, heat=1.714e6, initial=0.75)
_POSITIVE_LCO = AbuseReaction(frequency=6.667e13, activation_energy=1.396e5, heat=3.14e5, initial=0.04)
_ELECTROLYTE = AbuseReaction(frequency=5.14e25, activation_energy=2.74e5, heat=1.55e5, initial=1.0)
# Hu et al. 2020: lithium nickel manganese cobalt oxide reacts in two stages, from 120 degC on.
_POSITIVE_NMC = AbuseReaction(
    frequency=1.75e9, activation_energy=1.1495e5, heat=7.7e4, initial=0.04, lowest_temperature=393.15
)
_SECOND_NMC = AbuseReaction(
    frequency=1.077e12, activation_energy=1.5888e5, heat=8.4e4, initial=0.04, lowest_temperature=393.15
)
# Lithium iron phosphate gives little heat, and late.
_POSITIVE_LFP = AbuseReaction(frequency=2.0e8, activation_energy=1.03e5, heat=1.947e5, initial=0.04)
_CONTENT = {"negative": 610.4, "positive": 1221.0, "electrolyte": 406.9}  # [kg for each m^3 of jelly roll]
_GRAPHITE_DENSITY, _ELECTROLYTE_DENSITY = 2260.0, 1200.0  # [kg/m^3]

_KIM = (
    "G.-H. Kim, A. Pesaran, R. Spotnitz, J. Power Sources 170 (2007) 476-489, table 1; after T. D. Hatchard, "
    "D. D. MacNeil, A. Basu, J. R. Dahn, J. Electrochem. Soc. 148 (2001) A755-A761, and R. Spotnitz, J. Franklin, "
    "J. Power Sources 113 (2003) 81-100"
)
_HU = "J. Hu et al., ACS Omega (2020), doi:10.1021/acsomega.0c01862"
_LFP = (
    "table of a lumped four-reaction model of a 50 A.h LiFePO4 cell, retold without its source at "
    "www.voltcoffer.com/?p=12770; its conversion at first is not given there: that of the other sets"
)
_SECOND_HAND = "Read from public transcriptions of the tables that agree with one another, not from the papers"
_SINGLE = "The positive electrode's line was read from one public text only, and could not be held against its paper"

# Name: (first and second reaction of the positive electrode, density of its oxide [kg/m^3], citation).
_SETS: dict[str, tuple[AbuseReaction, AbuseReaction, float, str]] = {
    "kim_2007_lco": (_POSITIVE_LCO, NO_REACTION, 5050.0, _KIM),
    "hu_2020_nmc": (_POSITIVE_NMC, _SECOND_NMC, 4770.0, f"positive electrode: {_HU}; the other reactions: {_KIM}"),
    "lfp": (_POSITIVE_LFP, NO_REACTION, 3600.0, f"positive electrode: {_LFP}; the other reactions: {_KIM}"),
}

ABUSE_MODELS = tuple(_SETS)


def abuse_model(
    name: str,
    *,
    volume: float | None = None,
    cell: CellModel | None = None,
    vent: VentModel | None = None,
    separator: SeparatorModel | None = None,
) -> AbuseModel:
    r"""Return published constants, scaled to a cell.

    Give the volume of the jelly roll for the published contents of 610.4 kg of carbon, 1,221 kg of oxide and 406.9 kg
    of electrolyte for each cubic metre. Give a cell model for the masses that its electrodes hold,
    :math:`m = \varepsilon\, A\, L\, \rho`, and the electrolyte in its pores.

    Parameters
    ----------
    name : str
        One of ``ABUSE_MODELS``.
    volume : float, optional
        Of the jelly roll [m^3].
    cell : CellModel, optional
        The cell.
    vent : VentModel, optional
        Its vent; by default nothing leaves the cell, as in the publications.
    separator : SeparatorModel, optional
        Its separator; by default it holds, as in the publications.

    Raises
    ------
    ModelError
        If the name is unknown, if the volume is not positive, or unless exactly one of ``volume`` and ``cell`` is
        given.

    References
    ----------
    .. [1] G.-H. Kim, A. Pesaran, R. Spotnitz, J. Power Sources 170 (2007) 476-489.
    .. [2] T. D. Hatchard, D. D. MacNeil, A. Basu, J. R. Dahn, J. Electrochem. Soc. 148 (2001) A755-A761.
    .. [3] J. Hu et al., ACS Omega (2020), doi:10.1021/acsomega.0c01862.
    """
    if name not in _SETS:
        raise ModelError(f"the abuse model {name!r} is unknown", remedy=f"Choose one of {', '.join(ABUSE_MODELS)}")
    if (volume is None) == (cell is None):
        raise ModelError(
            f"the abuse model {name!r} needs the size of its cell once", remedy="Give either volume or cell"
        )
    positive, second, density, citation = _SETS[name]
    negative_mass, positive_mass, electrolyte_mass = (
        _published_masses(volume) if volume is not None else _masses(cell, density)  # type: ignore[arg-type]
    )
    return AbuseModel(
        name=name,
        sei=_SEI,
        negative=_NEGATIVE,
        positive=positive,
        positive_second=second,
        electrolyte=_ELECTROLYTE,
        film_initial=0.033,
        film_reference=0.033,
        negative_mass=negative_mass,
        positive_mass=positive_mass,
        electrolyte_mass=electrolyte_mass,
        vent=vent,
        separator=separator,
        provenance={"citation": citation, "read": _SINGLE if name == "lfp" else _SECOND_HAND},
    )


def _published_masses(volume: float) -> tuple[float, float, float]:
    if not (np.isfinite(volume) and volume > 0.0):
        raise ModelError(
            f"volume = {volume:g} m^3 is not physical: it must be greater than 0",
            remedy="Give the volume of the jelly roll; that of an 18650 is about 1.65e-5 m^3",
        )
    return _CONTENT["negative"] * volume, _CONTENT["positive"] * volume, _CONTENT["electrolyte"] * volume


def _masses(cell: CellModel, oxide_density: float) -> tuple[float, float, float]:
    negative, positive = cell.negative, cell.positive
    pores = (
        negative.porosity * negative.thickness
        + cell.separator_porosity * cell.separator_thickness
        + positive.porosity * positive.thickness
    )
    return (
        negative.active_fraction * negative.thickness * cell.electrode_area * _GRAPHITE_DENSITY,
        positive.active_fraction * positive.thickness * cell.electrode_area * oxide_density,
        pores * cell.electrode_area * _ELECTROLYTE_DENSITY,
    )
