"""Numbers and samples out of a PyBaMM parameter set: the adapter that knows PyBaMM's names.

Symbols are evaluated as PyBaMM's own models see them: limited, regularised near empty and full particles, with the
asymptotes that PyBaMM adds to open-circuit potentials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, ModelError

if TYPE_CHECKING:
    import pybamm

__all__ = ["ElectrodeProperties", "PybammProperties", "read_properties"]

_DEFAULT_HEAT_TRANSFER = 10.0  # [W/(m^2.K)], still air; for sets that state none
_DEFAULT_HEAT_CAPACITY = 2.5e6  # [J/(m^3.K)], the middle of published whole-cell figures


@dataclass(frozen=True, eq=False)
class ElectrodeProperties:
    """One electrode of a PyBaMM set: functions of arrays, and numbers by name.

    Attributes
    ----------
    domain : {"negative", "positive"}
        Which one.
    source : PybammProperties
        The set.
    """

    domain: str
    source: PybammProperties

    @property
    def _symbols(self) -> Any:
        return getattr(self.source.symbols, self.domain[0])

    def number(self, name: str) -> float:
        """Return the value of ``"<Negative|Positive> <name>"``."""
        return self.source.number(f"{self.domain.capitalize()} {name}")

    def potential(self, stoichiometry: Array, temperature: Array | float) -> Array:
        """Return the open-circuit potential [V]."""
        return self.source.sample(self._symbols.prim.U, stoichiometry, temperature)

    def entropic_change(self, stoichiometry: Array) -> Array:
        """Return the derivative of the open-circuit potential with temperature [V/K], as the potential has it."""
        # The stoichiometry is held off its ends as in PyBaMM's potential, not as in its bare function.
        return self.source.sample(self._symbols.prim.dUdT, np.clip(stoichiometry, 1e-10, 1.0 - 1e-10))

    def diffusivity(self, stoichiometry: Array, temperature: Array | float) -> Array:
        """Return the diffusivity in the particle [m^2/s]."""
        full = self.maximum_concentration()
        return self.source.sample(
            lambda place, degree: self._symbols.prim.D(place * full, degree), stoichiometry, temperature
        )

    def exchange_current(
        self, concentration: Array | float, stoichiometry: Array | float, temperature: Array | float
    ) -> Array:
        """Return the exchange-current density [A/m^2]."""
        full = self.maximum_concentration()
        return self.source.sample(
            lambda salt, place, degree: self._symbols.prim.j0(salt, place * full, degree),
            concentration,
            stoichiometry,
            temperature,
        )

    def conductivity(self, stoichiometry: Array | float, temperature: Array | float) -> Array:
        """Return the bulk electronic conductivity [S/m]."""
        return self.source.sample(self._symbols.sigma, stoichiometry, temperature)

    def maximum_concentration(self) -> float:
        """Return the concentration of lithium in the full particle [mol/m^3]."""
        return self.source.number(f"Maximum concentration in {self.domain} electrode [mol.m-3]")


class PybammProperties:
    """A PyBaMM set with its symbols.

    Parameters
    ----------
    values : pybamm.ParameterValues
        The set.
    where : str
        Where it comes from, for errors.
    """

    def __init__(self, values: pybamm.ParameterValues, where: str) -> None:
        import pybamm

        self.values = values
        self.where = where
        self.symbols = pybamm.LithiumIonParameters()
        self.negative = ElectrodeProperties("negative", self)
        self.positive = ElectrodeProperties("positive", self)
        self.notes: list[str] = []

    def has(self, name: str) -> bool:
        """Whether the set has a parameter."""
        return name in self.values

    def number(self, name: str) -> float:
        """Return a parameter that must be one number.

        Raises
        ------
        ModelError
            If it is missing, or a function or an input.
        """
        if name not in self.values:
            raise ModelError(
                f"the parameter {name!r} is missing",
                where=self.where,
                remedy="Use a set for the full cell with spherical particles, or add the parameter",
            )
        if callable(self.values[name]):
            raise ModelError(
                f"the parameter {name!r} is a function; the engine takes one number for the whole electrode",
                where=self.where,
                remedy="Replace it by its mean",
            )
        import pybamm

        return self.evaluate(pybamm.Parameter(name))

    def evaluate(self, symbol: Any) -> float:
        """Return the value of a symbol without variables.

        Raises
        ------
        ModelError
            If it cannot be evaluated to a finite number.
        """
        try:
            value = float(np.asarray(self.values.evaluate(symbol)).reshape(-1)[0])
        except (KeyError, ValueError, TypeError, NotImplementedError, IndexError) as error:
            raise ModelError(
                f"{symbol} cannot be evaluated ({error})",
                where=self.where,
                remedy="Give the set a number for it; inputs must be filled in first",
            ) from None
        return float(self._finite(str(symbol), np.array([value]))[0])

    def sample(self, function: Any, *arguments: Array | float) -> Array:
        """Return one of PyBaMM's functions at arrays of arguments, broadcast against each other.

        Raises
        ------
        ModelError
            If it lacks a parameter, or gives what is not finite.
        """
        import pybamm

        arrays = np.broadcast_arrays(*(np.asarray(argument, dtype=np.float64) for argument in arguments))
        shape, size = arrays[0].shape, arrays[0].size
        # State vectors, not constants: PyBaMM regularises powers of what varies.
        places = [pybamm.StateVector(slice(k * size, (k + 1) * size)) for k in range(len(arrays))]
        name = getattr(function, "__qualname__", "a function")
        try:
            symbol = function(*places)
            with np.errstate(all="ignore"):
                result = self.values.process_symbol(symbol).evaluate(
                    t=0.0, y=np.concatenate([array.reshape(-1) for array in arrays])
                )
        except (KeyError, ValueError, TypeError, NotImplementedError) as error:
            raise ModelError(
                f"{name} cannot be evaluated ({error})",
                where=self.where,
                remedy="Use a set for the full cell with one material in each electrode",
            ) from None
        flat = np.broadcast_to(np.asarray(result, dtype=np.float64).reshape(-1), (size,))
        return self._finite(name, flat).reshape(shape)

    def electrolyte(self, name: str, concentration: Array, temperature: Array) -> Array:
        """Return ``"D_e"`` [m^2/s], ``"kappa_e"`` [S/m], ``"t_plus"`` or ``"chi"`` [-]."""
        return self.sample(getattr(self.symbols, name), concentration, temperature)

    def transport_efficiency(self, layer: str, phase: str) -> float:
        """Return effective over bulk transport of a layer: Bruggeman's law, or a tortuosity factor.

        Parameters
        ----------
        layer : str
            ``"Negative electrode"``, ``"Separator"`` or ``"Positive electrode"``.
        phase : {"electrolyte", "electrode"}
            In the pores, or in the solid.
        """
        porosity = self.number(f"{layer} porosity")
        fraction = porosity if phase == "electrolyte" else 1.0 - porosity
        bruggeman, tortuosity = (f"{layer} {law} ({phase})" for law in ("Bruggeman coefficient", "tortuosity factor"))
        if not self.has(bruggeman) and self.has(tortuosity):
            return fraction / self.number(tortuosity)
        return float(fraction ** self.number(bruggeman))

    def stoichiometry_limits(self) -> dict[str, tuple[float, float]]:
        """Return (empty, full) stoichiometries of both electrodes at the open-circuit voltage limits.

        Raises
        ------
        ModelError
            If PyBaMM finds no such state.
        """
        import pybamm

        try:
            x0, x100, y100, y0 = pybamm.lithium_ion.get_min_max_stoichiometries(self.values, param=self.symbols)
        except (KeyError, ValueError, pybamm.SolverError) as error:
            raise ModelError(
                f"no stoichiometries give the voltage limits ({error})",
                where=self.where,
                remedy="Correct the voltage cut-offs, the initial concentrations or the electrodes' capacities",
            ) from None
        return {"negative": (float(x0), float(x100)), "positive": (float(y0), float(y100))}

    def volume(self) -> float:
        """Return the volume of the cell [m^3]; of its layers where the set does not state it."""
        if self.has("Cell volume [m3]"):
            return self.number("Cell volume [m3]")
        self.notes.append("cell volume: that of the layers, the set states none")
        return self.evaluate(self.symbols.L_x * self.symbols.A_cc)

    def heat_capacity(self, temperature: Array) -> Array:
        """Return the heat capacity of the whole cell [J/K]."""
        try:
            density = self.sample(self.symbols.rho_c_p_eff, temperature)
        except ModelError:
            self.notes.append(f"heat capacity: {_DEFAULT_HEAT_CAPACITY:g} J/(m3.K) assumed, the set states none")
            density = np.full(temperature.shape, _DEFAULT_HEAT_CAPACITY)
        return density * self.volume()

    def heat_transfer(self) -> float:
        """Return the conductance from the cell to its surroundings [W/K]."""
        coefficient, surface = "Total heat transfer coefficient [W.m-2.K-1]", "Cell cooling surface area [m2]"
        if self.has(coefficient) and self.has(surface):
            return self.number(coefficient) * self.number(surface)
        area = self.number(surface) if self.has(surface) else 6.0 * self.volume() ** (2.0 / 3.0)
        self.notes.append(f"heat transfer: {_DEFAULT_HEAT_TRANSFER:g} W/(m2.K) assumed, the set states none")
        return _DEFAULT_HEAT_TRANSFER * area

    def contact_resistance(self, temperature: float) -> float:
        """Return the contact resistance [ohm]; 0 where the set states none."""
        if not self.has("Contact resistance [Ohm]"):
            return 0.0
        return float(self.sample(self.symbols.R_contact, np.array([temperature]))[0])

    def _finite(self, name: str, values: Array) -> Array:
        if not np.isfinite(values).all():
            raise ModelError(
                f"{name} is not finite at {int((~np.isfinite(values)).sum())} of {values.size} samples",
                where=self.where,
                remedy="Correct the function in the parameter set",
            )
        return values


def read_properties(values: pybamm.ParameterValues, where: str) -> PybammProperties:
    """Return the properties of a set that the engine can take.

    Raises
    ------
    ModelError
        If the set is of a half-cell, of several materials in one electrode, of an equivalent circuit or of lead-acid.
    """
    names = list(values.keys())
    several = [name for name in names if name.startswith(("Primary: ", "Secondary: "))]
    if several:
        raise ModelError(
            f"an electrode has several materials ({several[0]!r})",
            where=where,
            remedy="Use a set with one material in each electrode; composite electrodes are not in the engine",
        )
    for electrode in ("Negative", "Positive"):
        needed = [
            f"{electrode} electrode OCP [V]",
            f"{electrode} particle diffusivity [m2.s-1]",
            f"{electrode} electrode exchange-current density [A.m-2]",
            f"{electrode} particle radius [m]",
        ]
        missing = [name for name in needed if name not in values]
        if missing:
            raise ModelError(
                f"the parameter {missing[0]!r} is missing: this is no set for a full lithium-ion cell",
                where=where,
                remedy="Use a full-cell set: no half-cell, MSMR, equivalent circuit or lead-acid",
            )
    return PybammProperties(values, where)
