"""What the engine knows of a cell type's thermal runaway: reactions, separator and vent, as numbers.

Four exothermic reactions follow one another as a cell heats: the film on the negative electrode decomposes, the
lithium beneath reacts with the solvent and builds a new film, the oxide of the positive electrode gives oxygen to the
solvent, the electrolyte decomposes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .physical_ranges import require_ranges

__all__ = ["NO_REACTION", "AbuseModel", "AbuseReaction", "SeparatorModel", "VentModel"]

_REMEDY = "Correct the abuse parameters"


@dataclass(frozen=True, kw_only=True)
class AbuseReaction:
    r"""One Arrhenius reaction.

    .. math:: k(T) = A\, e^{-E / (R T)}

    Attributes
    ----------
    frequency : float
        A [1/s]; 0: the reaction does not happen.
    activation_energy : float
        E [J/mol].
    heat : float
        Released for each kilogram of material and unit of the reaction's state [J/kg].
    initial : float
        State of the fresh, fully charged cell [-].
    lowest_temperature : float
        Below it the reaction stands still [K]; 0: nowhere.
    """

    frequency: float
    activation_energy: float
    heat: float
    initial: float
    lowest_temperature: float = 0.0

    def __post_init__(self) -> None:
        """Check that the constants are physical."""
        require_ranges(
            self,
            "AbuseReaction",
            at_least_zero=("frequency", "activation_energy", "heat", "lowest_temperature"),
            fraction=("initial",),
            remedy=_REMEDY,
        )


NO_REACTION = AbuseReaction(frequency=0.0, activation_energy=0.0, heat=0.0, initial=0.0)


@dataclass(frozen=True, kw_only=True)
class SeparatorModel:
    r"""A separator that melts and lets the electrodes touch.

    .. math:: G = G_\mathrm{s}\,\max_t \min(\max((T - T_\mathrm{m}) / \Delta T, 0), 1)

    What has molten stays molten. The current through it discharges the cell, so that the energy it can release is
    the charge that is left.

    Attributes
    ----------
    melting_temperature : float
        Where the first of it has shrunk [K].
    melting_range : float
        Temperature over which the rest follows [K].
    conductance : float
        Between the electrodes when all of it is gone [S].
    """

    melting_temperature: float = 408.15
    melting_range: float = 10.0
    conductance: float = 1.0

    def __post_init__(self) -> None:
        """Check that the numbers are physical."""
        require_ranges(
            self,
            "SeparatorModel",
            above_zero=("melting_temperature", "melting_range"),
            at_least_zero=("conductance",),
            remedy=_REMEDY,
        )


@dataclass(frozen=True, kw_only=True)
class VentModel:
    r"""A vent that opens under pressure, and what leaves through it.

    The pressure is that of the solvent's vapour and of the gas that the reactions have made,

    .. math::
        p = p_0\, e^{-\frac{M L}{R} (1/T - 1/T_\mathrm{b})} + \frac{n_\mathrm{gas} R T}{V_\mathrm{free}}\, \xi,

    with the share :math:`\xi` of all reaction heat released so far. Once open it stays open. Electrolyte above its
    boiling point then leaves as :math:`\dot c_e = -c_e / \tau`: it takes its heat of evaporation along, and can no
    longer decompose. A share of the heat that the reactions release after that goes with the material they eject.

    Attributes
    ----------
    opening_pressure : float
        Absolute pressure [Pa].
    free_volume : float
        Of gas inside the closed cell [m^3].
    gas : float
        Made by complete reaction of one cell [mol].
    boiling_temperature : float
        Of the solvent at 101,325 Pa, T_b [K].
    evaporation_heat : float
        L [J/kg].
    molar_mass : float
        Of the solvent, M [kg/mol].
    evaporation_time : float
        tau [s].
    ejected_share : float
        Share of the reaction heat that leaves with ejected material while the vent is open [-].
    """

    opening_pressure: float = 2.0e6
    free_volume: float = 1.0e-6
    gas: float = 0.0
    boiling_temperature: float = 363.4
    evaporation_heat: float = 3.7e5
    molar_mass: float = 0.09008
    evaporation_time: float = 20.0
    ejected_share: float = 0.0

    def __post_init__(self) -> None:
        """Check that the numbers are physical."""
        require_ranges(
            self,
            "VentModel",
            above_zero=("opening_pressure", "free_volume", "boiling_temperature", "molar_mass", "evaporation_time"),
            at_least_zero=("gas", "evaporation_heat"),
            fraction=("ejected_share",),
            remedy=_REMEDY,
        )


@dataclass(frozen=True, kw_only=True)
class AbuseModel:
    r"""How a cell type runs away.

    With :math:`k_i` of each reaction, the states change as

    ======================  ========================================================================
    film on the negative    :math:`\dot c_\mathrm{sei} = -k_\mathrm{sei}\, c_\mathrm{sei}`
    negative and solvent    :math:`\dot n = k_n\, e^{-(z_0 + n)/z_r}\, (x\, c_{n,0} - n)`
    positive and solvent    :math:`\dot\alpha = k_p\, \alpha\, (1 - \alpha)`, once or in two stages
    electrolyte             :math:`\dot c_e = -k_e\, c_e`
    ======================  ========================================================================

    and release the power :math:`m_n (h_\mathrm{sei} |\dot c_\mathrm{sei}| + h_n \dot n) + m_p h_p \dot\alpha + m_e h_e
    |\dot c_e|`. Here n is the lithium that has reacted, and x the lithium in the negative electrode over that of the
    full cell: a cell that is discharged, or discharges through a short, has less to burn.

    Attributes
    ----------
    name : str
        Of the parameter set.
    sei, negative, positive, positive_second, electrolyte : AbuseReaction
        The reactions.
    film_initial, film_reference : float
        z_0 and z_r: thickness of the film, dimensionless [-].
    negative_mass, positive_mass, electrolyte_mass : float
        Carbon, oxide and electrolyte in one cell [kg].
    quiet_temperature : float
        Below it no reaction is computed [K].
    vent : VentModel or None
        The vent; None: nothing leaves the cell.
    separator : SeparatorModel or None
        The separator; None: it holds.
    provenance : dict
        Source and citations.
    """

    name: str
    sei: AbuseReaction
    negative: AbuseReaction
    positive: AbuseReaction
    electrolyte: AbuseReaction
    film_initial: float
    film_reference: float
    negative_mass: float
    positive_mass: float
    electrolyte_mass: float
    positive_second: AbuseReaction = NO_REACTION
    quiet_temperature: float = 323.15
    vent: VentModel | None = None
    separator: SeparatorModel | None = None
    provenance: dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Check that the constants are physical."""
        require_ranges(
            self,
            "AbuseModel",
            above_zero=("film_reference", "quiet_temperature"),
            at_least_zero=("film_initial", "negative_mass", "positive_mass", "electrolyte_mass"),
            remedy=_REMEDY,
        )

    @property
    def reactions(self) -> dict[str, AbuseReaction]:
        """The reactions by name, in the order of the kernels."""
        return {
            "sei": self.sei,
            "negative": self.negative,
            "positive": self.positive,
            "positive_second": self.positive_second,
            "electrolyte": self.electrolyte,
        }

    @property
    def heats(self) -> dict[str, float]:
        """Heat of each reaction for one unit of its state [J]."""
        mass = {
            "sei": self.negative_mass,
            "negative": self.negative_mass,
            "positive": self.positive_mass,
            "positive_second": self.positive_mass,
            "electrolyte": self.electrolyte_mass,
        }
        return {name: mass[name] * reaction.heat for name, reaction in self.reactions.items()}

    @property
    def energies(self) -> dict[str, float]:
        """Heat that each reaction releases when it completes in a fresh, full cell [J]."""
        grows = ("positive", "positive_second")
        return {
            name: heat * (1.0 - self.reactions[name].initial if name in grows else self.reactions[name].initial)
            for name, heat in self.heats.items()
        }

    @property
    def energy(self) -> float:
        """Heat that all reactions release together [J]."""
        return float(sum(self.energies.values()))
