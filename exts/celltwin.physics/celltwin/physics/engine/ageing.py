"""What the engine knows of the ageing of a cell type: constants for each area and volume, whatever the cell's size.

The laws are those of PyBaMM's submodels (SEI growth, lithium plating, loss of active material), averaged over the
thickness of the electrode as its single-particle models take them. The cell's geometry comes from its
:class:`~celltwin.physics.engine.cell_model.CellModel`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from celltwin.core import GAS_CONSTANT, ModelError

from .physical_ranges import require_ranges

__all__ = [
    "PLATING_KINDS",
    "SEI_KINDS",
    "AgeingModel",
    "LossModel",
    "PlatingModel",
    "SeiModel",
]

_REMEDY = "Correct the ageing parameters"
SEI_KINDS = (
    "none",
    "reaction limited",
    "solvent-diffusion limited",
    "interstitial-diffusion limited",
    "electron-migration limited",
    "ec reaction limited",
)
PLATING_KINDS = ("none", "reversible", "partially reversible", "irreversible")

_SEI_NEEDS = {
    "none": (),
    "reaction limited": ("exchange_current",),
    "solvent-diffusion limited": ("diffusivity", "concentration"),
    "interstitial-diffusion limited": ("diffusivity", "concentration"),
    "electron-migration limited": ("electron_conductivity",),
    "ec reaction limited": ("diffusivity", "concentration", "rate_constant"),
}


@dataclass(frozen=True, kw_only=True)
class SeiModel:
    r"""Growth of the film on the particles of the negative electrode.

    The film's current density is, with :math:`w = U_n + \eta_n` the electrode's potential against the electrolyte
    less the film's drop, :math:`\Delta\phi = w + j L \rho` with it, and :math:`f = F/(RT)`,

    ========================  ==============================================================================
    reaction limited          :math:`j_0\, e^{-\alpha f (w - U_\mathrm{SEI})}`
    solvent-diffusion         :math:`D c F / L`
    interstitial-diffusion    :math:`(D c F / L)\, e^{-f \Delta\phi}`
    electron-migration        :math:`\kappa \max(U_\mathrm{SEI} - \Delta\phi, 0) / L`
    ec reaction limited       :math:`F c k' / (1 + L k' / D)`, :math:`k' = k\, e^{-\alpha f (w - U_\mathrm{SEI})}`
    ========================  ==============================================================================

    times :math:`\exp(E/R\,(1/T_\mathrm{ref} - 1/T))`.

    Attributes
    ----------
    kind : str
        One of ``SEI_KINDS``.
    partial_molar_volume : float
        Of the film [m^3/mol].
    lithium_ratio : float
        Moles of lithium in a mole of film [-].
    resistivity : float
        Of the film [ohm.m]; 0: the film has no resistance.
    initial_thickness : float
        [m].
    activation_energy : float
        E [J/mol].
    open_circuit_potential : float
        U_SEI [V].
    transfer_coefficient : float
        alpha [-].
    exchange_current : float
        j_0 [A/m^2].
    diffusivity : float
        Of what crosses the film, solvent, ethylene carbonate or lithium interstitials: D [m^2/s].
    concentration : float
        Of the same where it enters the film: c [mol/m^3].
    electron_conductivity : float
        kappa [S/m].
    rate_constant : float
        k [m/s].

    References
    ----------
    .. [1] S. G. Marquis, *Long-term degradation of lithium-ion batteries*, DPhil thesis, Oxford, 2020, section 5.6.4.
    .. [2] X. G. Yang et al., J. Power Sources 360 (2017) 28-40 (ec reaction limited).
    """

    kind: str = "none"
    partial_molar_volume: float = 9.585e-5
    lithium_ratio: float = 1.0
    resistivity: float = 0.0
    initial_thickness: float = 5e-9
    activation_energy: float = 0.0
    open_circuit_potential: float = 0.4
    transfer_coefficient: float = 0.5
    exchange_current: float = 0.0
    diffusivity: float = 0.0
    concentration: float = 0.0
    electron_conductivity: float = 0.0
    rate_constant: float = 0.0

    def __post_init__(self) -> None:
        """Check that the kind is known and has the constants that it needs."""
        _require_kind("sei.kind", self.kind, SEI_KINDS)
        require_ranges(
            self,
            "sei",
            finite=("open_circuit_potential",),
            above_zero=("partial_molar_volume", "lithium_ratio", "initial_thickness", *_SEI_NEEDS[self.kind]),
            at_least_zero=("resistivity", "activation_energy"),
            fraction=("transfer_coefficient",),
            remedy=_REMEDY,
        )


@dataclass(frozen=True, kw_only=True)
class PlatingModel:
    r"""Lithium plated on, and stripped from, the particles of the negative electrode.

    .. math::
        j_\mathrm{plating} = F k_p c_e\, e^{-\alpha f w} - F k_s c_\mathrm{Li}\, e^{(1 - \alpha) f w}, \qquad
        \dot c_\mathrm{dead} = (\gamma_0 + \gamma_1 / L)\, c_\mathrm{Li}

    with :math:`w = U_n + \eta_n`. Reversible plating leaves no dead lithium; irreversible plating strips nothing, and
    all of it is dead.

    Attributes
    ----------
    kind : str
        One of ``PLATING_KINDS``.
    plating_rate, stripping_rate : float
        k_p and k_s [m/s].
    transfer_coefficient : float
        alpha, of plating [-].
    activation_energy : float
        Of both rates [J/mol].
    decay_rate : float
        gamma_0 [1/s].
    decay_speed : float
        gamma_1, for a film of thickness L [m/s].
    initial_concentration : float
        Plated lithium for each volume of electrode [mol/m^3].

    References
    ----------
    .. [1] S. E. J. O'Kane et al., J. Electrochem. Soc. 167 (2020) 090540.
    .. [2] S. E. J. O'Kane et al., Phys. Chem. Chem. Phys. 24 (2022) 7909-7922.
    """

    kind: str = "none"
    plating_rate: float = 0.0
    stripping_rate: float = 0.0
    transfer_coefficient: float = 0.5
    activation_energy: float = 0.0
    decay_rate: float = 0.0
    decay_speed: float = 0.0
    initial_concentration: float = 0.0

    def __post_init__(self) -> None:
        """Check that the kind is known and has the constants that it needs."""
        _require_kind("plating.kind", self.kind, PLATING_KINDS)
        if self.kind != "none":
            require_ranges(self, "plating", above_zero=("plating_rate",), remedy=_REMEDY)
        if self.kind in ("reversible", "partially reversible"):
            require_ranges(self, "plating", above_zero=("stripping_rate",), remedy=_REMEDY)
        names = ("stripping_rate", "activation_energy", "decay_rate", "decay_speed", "initial_concentration")
        require_ranges(self, "plating", at_least_zero=names, fraction=("transfer_coefficient",), remedy=_REMEDY)


@dataclass(frozen=True, kw_only=True)
class LossModel:
    r"""Loss of active material of one electrode.

    .. math::
        -\dot\varepsilon = \beta \Big(\frac{\max(\sigma_h, 0)}{\sigma_c}\Big)^m + k_i\,|i|
        + \beta_r \frac{a\,j_\mathrm{SEI}}{F}, \qquad
        \sigma_h = \frac{2\,\Omega E}{9\,(1 - \nu)} (\bar c - c_\mathrm{surface})

    with the hydrostatic stress at the particle's surface and the current of the cell for each area of electrode; the
    first two rates follow Arrhenius laws. A rate of 0 turns its term off.

    Attributes
    ----------
    stress_rate : float
        beta [1/s].
    stress_exponent : float
        m [-].
    critical_stress : float
        sigma_c [Pa].
    stress_activation_energy : float
        Of beta [J/mol].
    partial_molar_volume : float
        Omega, of lithium in the particles [m^3/mol].
    young_modulus : float
        E [Pa].
    poisson_ratio : float
        nu [-].
    unstressed_concentration : float
        Of lithium, at which particles are free of stress [mol/m^3].
    current_rate : float
        k_i [m^2/(A.s)].
    current_activation_energy : float
        Of k_i [J/mol].
    reaction_factor : float
        beta_r [m^3/mol]; of the negative electrode only.

    References
    ----------
    .. [1] W. Ai et al., J. Electrochem. Soc. 167 (2020) 013512 (stress).
    .. [2] J. M. Reniers, G. Mulder, D. A. Howey, J. Electrochem. Soc. 166 (2019) A3189-A3200 (loss).
    """

    stress_rate: float = 0.0
    stress_exponent: float = 2.0
    critical_stress: float = 1.0
    stress_activation_energy: float = 0.0
    partial_molar_volume: float = 0.0
    young_modulus: float = 0.0
    poisson_ratio: float = 0.0
    unstressed_concentration: float = 0.0
    current_rate: float = 0.0
    current_activation_energy: float = 0.0
    reaction_factor: float = 0.0

    def __post_init__(self) -> None:
        """Check that the constants are physical."""
        require_ranges(
            self,
            "loss",
            finite=("partial_molar_volume", "unstressed_concentration"),
            above_zero=("stress_exponent", "critical_stress"),
            at_least_zero=(
                "stress_rate",
                "young_modulus",
                "current_rate",
                "reaction_factor",
                "stress_activation_energy",
                "current_activation_energy",
            ),
            remedy=_REMEDY,
        )
        if not 0.0 <= self.poisson_ratio < 0.5:
            raise ModelError(
                f"loss.poisson_ratio = {self.poisson_ratio:g} is not physical: it must be in [0, 0.5)",
                remedy=_REMEDY,
            )

    @property
    def diffusion_coefficient(self) -> float:
        """Gain of diffusivity by stress for a concentration, times temperature [K.m^3/mol]."""
        modulus = 2.0 * self.partial_molar_volume * self.young_modulus / (9.0 * (1.0 - self.poisson_ratio))
        return self.partial_molar_volume * modulus / GAS_CONSTANT

    @property
    def stress_coefficient(self) -> float:
        """Hydrostatic stress at the surface for a difference of concentration, over the critical one [m^3/mol]."""
        tangential = self.partial_molar_volume * self.young_modulus / (3.0 * (1.0 - self.poisson_ratio))
        return 2.0 / 3.0 * tangential / self.critical_stress


@dataclass(frozen=True, kw_only=True)
class AgeingModel:
    """How a cell type ages.

    Attributes
    ----------
    name : str
        Of the parameter set.
    sei : SeiModel
        Film growth.
    plating : PlatingModel
        Plating and stripping of lithium.
    loss_negative, loss_positive : LossModel
        Loss of active material.
    contact_growth : float
        Growth of the cell's ohmic resistance beside the film's, times electrode area, for each unit of lithium that
        side reactions took over the lithium that the negative electrode of the new cell can hold [ohm.m^2].
    stress_diffusion : bool
        Whether stress within the particles drives diffusion, as it must where the constants of stress-driven loss
        were found with it; see :func:`~celltwin.physics.engine.ageing_diffusion.couple_diffusion`.
    reference_temperature : float
        T_ref of all Arrhenius laws [K].
    provenance : dict
        Source and citations.
    """

    name: str
    sei: SeiModel = field(default_factory=SeiModel)
    plating: PlatingModel = field(default_factory=PlatingModel)
    loss_negative: LossModel = field(default_factory=LossModel)
    loss_positive: LossModel = field(default_factory=LossModel)
    contact_growth: float = 0.0
    stress_diffusion: bool = True
    reference_temperature: float = 298.15
    provenance: dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Check that the constants are physical."""
        require_ranges(
            self,
            "ageing",
            above_zero=("reference_temperature",),
            at_least_zero=("contact_growth",),
            remedy=_REMEDY,
        )
        if self.loss_positive.reaction_factor:
            raise ModelError(
                "loss_positive.reaction_factor is set, and no film grows on the positive electrode",
                remedy="Set it to 0",
            )


def _require_kind(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelError(f"{name} = {value!r} is unknown", remedy=f"Choose one of {', '.join(known)}")
