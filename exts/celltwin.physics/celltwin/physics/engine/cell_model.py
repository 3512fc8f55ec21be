r"""What the engine knows of a cell type: numbers, polynomials and tables, and no functions of anybody's.

Smooth properties of temperature and electrolyte are polynomials in two scaled variables,

.. math:: \theta = 1000\,(1/T_\mathrm{ref} - 1/T), \qquad \xi = c_e / c_{e,0} - 1,

so that an Arrhenius law is one exact term. Properties of stoichiometry are piecewise cubics over [0, 1], continuous
with their slope: row k holds the four coefficients of interval k, in powers of the place within it (from 0 to 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError, freeze

__all__ = ["CellModel", "ElectrodeModel", "EquivalentCircuitModel", "ThermalModel"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ElectrodeModel:
    r"""A porous electrode of spherical particles.

    Attributes
    ----------
    thickness, particle_radius : float
        [m].
    active_fraction, porosity : float
        Volume fractions of active material and of electrolyte [-].
    transport_efficiency : float
        Effective over bulk transport in the electrolyte, porosity over tortuosity [-].
    conductivity : float
        Effective electronic conductivity at the reference temperature [S/m].
    conductivity_temperature : ndarray of shape (3,)
        As for the diffusivity.
    maximum_concentration : float
        Lithium in the full particle [mol/m^3].
    stoichiometry_empty, stoichiometry_full : float
        Stoichiometry of the electrode at 0 and 100 % state of charge of the cell [-].
    potential : ndarray of shape (n_intervals, 8)
        Cubic coefficients over stoichiometry: four of the open-circuit potential at the reference temperature [V],
        four of its derivative with temperature [V/K].
    diffusivity : ndarray of shape (n_intervals, 4)
        Of the diffusivity in the particle at the reference temperature [m^2/s].
    constant_diffusivity : bool
        Whether it is the same for every stoichiometry; the table then has one interval.
    diffusivity_temperature : ndarray of shape (3,)
        ``ln`` of the factor of temperature: coefficients of theta, theta^2, theta^3.
    exchange_current : ndarray of shape (n_intervals, 4)
        Of :math:`g(s) = j_0 / (\sqrt{s (1 - s)}\,(c_e / c_{e,0})^{\alpha})` at the reference temperature [A/m^2].
    exchange_current_exponent : float
        :math:`\alpha` [-].
    exchange_current_temperature : ndarray of shape (3,)
        As for the diffusivity.
    """

    thickness: float
    particle_radius: float
    active_fraction: float
    porosity: float
    transport_efficiency: float
    conductivity: float
    maximum_concentration: float
    stoichiometry_empty: float
    stoichiometry_full: float
    potential: Array
    diffusivity: Array
    constant_diffusivity: bool
    diffusivity_temperature: Array
    exchange_current: Array
    exchange_current_exponent: float
    exchange_current_temperature: Array
    conductivity_temperature: Array = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self) -> None:
        """Check that everything is physical and make the tables read-only."""
        for name in ("thickness", "particle_radius", "conductivity", "maximum_concentration", "transport_efficiency"):
            _require(name, getattr(self, name), above=0.0)
        for name in ("active_fraction", "porosity", "stoichiometry_empty", "stoichiometry_full"):
            _require(name, getattr(self, name), above=0.0, below=1.0)
        _freeze(self, potential=8, diffusivity=4, exchange_current=4)

    @property
    def interface_area(self) -> float:
        """Surface of the particles for each volume of electrode [1/m]."""
        return 3.0 * self.active_fraction / self.particle_radius

    def stoichiometry(self, soc: Array | float) -> Array:
        """Return the stoichiometry at rest at a state of charge of the cell [-]."""
        return self.stoichiometry_empty + np.asarray(soc) * (self.stoichiometry_full - self.stoichiometry_empty)

    @property
    def exchange_current_scale(self) -> float | None:
        """The one value of g(s) [A/m^2]; None where it differs between 5 and 95 % by more than a thousandth."""
        margin = len(self.exchange_current) // 20
        if not margin:
            return None
        inner = self.exchange_current[margin : len(self.exchange_current) - margin, 0]
        middle = float(np.median(inner))
        return middle if np.abs(inner / middle - 1.0).max() < 1e-3 else None


@dataclass(frozen=True, kw_only=True, eq=False)
class ThermalModel:
    """The heat of one cell by itself.

    Attributes
    ----------
    heat_capacity : float
        Of the whole cell at the reference temperature [J/K].
    heat_capacity_temperature : tuple of float
        a, b and c of the factor 1 + a (T - T_ref) + b (T - T_ref)^2 + c (T - T_ref)^3 on it [1/K, 1/K^2, 1/K^3].
    surface_share : float
        Share of the heat capacity that the surface node has [-]; 0 for a cell of one temperature.
    core_conductance : float
        Conductance from the core node to the surface node [W/K]; 0 for a cell of one temperature.
    heat_transfer : float
        Conductance from the surface to the surroundings of a cell alone [W/K].
    """

    heat_capacity: float
    surface_share: float = 0.0
    core_conductance: float = 0.0
    heat_transfer: float = 0.0
    heat_capacity_temperature: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check that everything is physical."""
        _require("heat_capacity", self.heat_capacity, above=0.0)
        _require("surface_share", self.surface_share, at_least=0.0, below=1.0)
        for name in ("core_conductance", "heat_transfer"):
            _require(name, getattr(self, name), at_least=0.0)
        if (self.surface_share > 0.0) != (self.core_conductance > 0.0):
            raise ModelError(
                f"surface_share = {self.surface_share:g} and core_conductance = {self.core_conductance:g} W/K: "
                "two nodes need both",
                remedy="Give both, or neither for a cell of one temperature",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class CellModel:
    """A cell for the single-particle model with electrolyte.

    Attributes
    ----------
    name : str
        Of the parameter set.
    negative, positive : ElectrodeModel
        The electrodes.
    thermal : ThermalModel
        Its heat.
    electrode_area : float
        Area of all electrode pairs together [m^2].
    separator_thickness, separator_porosity, separator_transport_efficiency : float
        [m, -, -].
    electrolyte_concentration : float
        Mean concentration of salt, c_e,0 [mol/m^3].
    electrolyte_diffusivity, electrolyte_conductivity : ndarray of shape (8, 4)
        ``ln`` of the bulk diffusivity [m^2/s] and conductivity [S/m]: coefficient of xi^i theta^j at [i, j].
    transference, concentration_factor : ndarray of shape (8, 4)
        Cation transference number [-], and 2 (1 - t+) times the thermodynamic factor [-], alike.
    electrolyte_range, temperature_range : tuple of float
        Concentrations [mol/m^3] and temperatures [K] between which the polynomials hold; outside they are held.
    reference_temperature : float
        T_ref [K].
    contact_resistance : float
        Ohmic resistance inside the cell beside the electrodes and the electrolyte [ohm].
    lowest_voltage, highest_voltage : float
        Cut-off voltages [V].
    capacity : float
        Between the stoichiometries at 0 and 100 % state of charge [A.h].
    provenance : dict
        Source, citation, what was fitted and how well.
    hash : str
        First 12 hexadecimal digits of the SHA-256 of the parameters.
    """

    name: str
    negative: ElectrodeModel
    positive: ElectrodeModel
    thermal: ThermalModel
    electrode_area: float
    separator_thickness: float
    separator_porosity: float
    separator_transport_efficiency: float
    electrolyte_concentration: float
    electrolyte_diffusivity: Array
    electrolyte_conductivity: Array
    transference: Array
    concentration_factor: Array
    electrolyte_range: tuple[float, float]
    temperature_range: tuple[float, float]
    reference_temperature: float
    contact_resistance: float
    lowest_voltage: float
    highest_voltage: float
    capacity: float
    provenance: dict[str, Any] = field(default_factory=dict)
    hash: str = ""

    def __post_init__(self) -> None:
        """Check that everything is physical and make the tables read-only."""
        for name in (
            "electrode_area",
            "separator_thickness",
            "separator_porosity",
            "separator_transport_efficiency",
            "electrolyte_concentration",
            "reference_temperature",
            "lowest_voltage",
            "capacity",
        ):
            _require(name, getattr(self, name), above=0.0)
        _require("contact_resistance", self.contact_resistance, at_least=0.0)
        _require("highest_voltage", self.highest_voltage, above=self.lowest_voltage)
        _freeze(self, electrolyte_diffusivity=4, electrolyte_conductivity=4, transference=4, concentration_factor=4)

    def stoichiometries(self, soc: Array | float) -> tuple[Array, Array]:
        """Return the stoichiometries of negative and positive electrode at rest at a state of charge [-]."""
        return self.negative.stoichiometry(soc), self.positive.stoichiometry(soc)

    @property
    def charge_range(self) -> tuple[float, float]:
        """Mean stoichiometry of the negative electrode in a full and in an empty cell [-]."""
        return self.negative.stoichiometry_full, self.negative.stoichiometry_empty

    @property
    def constant_transference(self) -> bool:
        """Whether the transference number depends on nothing."""
        return bool(np.abs(self.transference.reshape(-1)[1:]).max() < 1e-9)


@dataclass(frozen=True, kw_only=True, eq=False)
class EquivalentCircuitModel:
    """A cell as a voltage source, a resistance, and two resistors with capacitors.

    Attributes
    ----------
    name : str
        Of the parameter set.
    thermal : ThermalModel
        Its heat.
    capacity : float
        [A.h].
    potential : ndarray of shape (n_intervals, 8)
        Cubic coefficients over state of charge: four of the open-circuit voltage [V], four of its derivative with
        temperature [V/K].
    resistance : ndarray of shape (n_intervals, 12)
        Over state of charge: four of the ohmic resistance, four of the first and four of the second
        resistor-capacitor pair's resistance, at the reference temperature [ohm].
    resistance_temperature : ndarray of shape (3,)
        ``ln`` of the factor of temperature on all resistances: coefficients of theta, theta^2, theta^3.
    time_constants : tuple of float
        Of the two pairs [s].
    reference_temperature : float
        [K].
    lowest_voltage, highest_voltage : float
        Cut-off voltages [V].
    provenance : dict
        Source, citation, what was fitted and how well.
    hash : str
        First 12 hexadecimal digits of the SHA-256 of the parameters.
    """

    name: str
    thermal: ThermalModel
    capacity: float
    potential: Array
    resistance: Array
    resistance_temperature: Array
    time_constants: tuple[float, float]
    reference_temperature: float
    lowest_voltage: float
    highest_voltage: float
    provenance: dict[str, Any] = field(default_factory=dict)
    hash: str = ""

    def __post_init__(self) -> None:
        """Check that everything is physical and make the tables read-only."""
        for name in ("capacity", "reference_temperature", "lowest_voltage"):
            _require(name, getattr(self, name), above=0.0)
        for value in self.time_constants:
            _require("time_constants", value, above=0.0)
        _require("highest_voltage", self.highest_voltage, above=self.lowest_voltage)
        _freeze(self, potential=8, resistance=12)

    @property
    def charge_range(self) -> tuple[float, float]:
        """State of charge of a full and of an empty cell [-]."""
        return 1.0, 0.0


def _require(
    name: str, value: float, *, above: float | None = None, at_least: float | None = None, below: float | None = None
) -> None:
    fine = np.isfinite(value)
    limits: list[str] = []
    if above is not None:
        fine, limits = fine and value > above, [*limits, f"greater than {above:g}"]
    if at_least is not None:
        fine, limits = fine and value >= at_least, [*limits, f"at least {at_least:g}"]
    if below is not None:
        fine, limits = fine and value < below, [*limits, f"less than {below:g}"]
    if not fine:
        raise ModelError(
            f"{name} = {value:g} is not physical: it must be {' and '.join(limits)}",
            remedy="Correct the parameter set",
        )


def _freeze(model: object, **columns: int) -> None:
    for name, count in columns.items():
        table = np.ascontiguousarray(getattr(model, name), dtype=np.float64)
        if table.ndim != 2 or table.shape[1] != count or not np.isfinite(table).all():
            raise ModelError(
                f"{name} has the shape {table.shape} or values that are not finite; expected (n, {count})",
                remedy="Build the model with celltwin.physics.engine.build_cell_model",
            )
        object.__setattr__(model, name, freeze(table))
