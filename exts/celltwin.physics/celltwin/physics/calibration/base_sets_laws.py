"""The laws of a calibrated cell: a published set's functions, made to depend on inputs of the solver.

Every number that a calibration may change is an input, so that one discretised model serves every candidate, every
discharge at constant current and every cell of one chemistry.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import FARADAY, GAS_CONSTANT

if TYPE_CHECKING:
    import pybamm

__all__ = [
    "CHARGE_MISSING",
    "DIRECT_INPUTS",
    "EVALUATED_AT",
    "LAW_INPUTS",
    "ShapeCorrections",
    "published_values",
    "with_laws",
]

REFERENCE_TEMPERATURE = 298.15  # [K]
REFERENCE_SALT = 1000.0  # [mol.m-3]
CHARGE_MISSING = "Charge missing at start [C]"  # an input of each curve, not of a candidate
EVALUATED_AT = 0.5  # stoichiometry at which diffusivity and exchange-current density are stated

DIRECT_INPUTS = (
    "Electrode width [m]",
    "Negative electrode active material volume fraction",
    "Positive electrode active material volume fraction",
    "Negative electrode porosity",
    "Separator porosity",
    "Positive electrode porosity",
    "Negative electrode conductivity [S.m-1]",
    "Positive electrode conductivity [S.m-1]",
    "Contact resistance [Ohm]",
    "Total heat transfer coefficient [W.m-2.K-1]",
    "Heat transfer growth [K-1]",
    "Cell heat capacity [J.K-1.m-3]",
    "Cation transference number",
    "Initial concentration in electrolyte [mol.m-3]",
)
"""Parameters of the equations that are plain numbers: PyBaMM's, and the growth of its heat transfer."""

LAW_INPUTS = (
    "Negative electrode initial stoichiometry",
    "Positive electrode initial stoichiometry",
    "Negative particle diffusivity [m2.s-1]",
    "Positive particle diffusivity [m2.s-1]",
    "Negative particle diffusivity activation energy [J.mol-1]",
    "Positive particle diffusivity activation energy [J.mol-1]",
    "Negative electrode exchange-current density [A.m-2]",
    "Positive electrode exchange-current density [A.m-2]",
    "Negative electrode reaction activation energy [J.mol-1]",
    "Positive electrode reaction activation energy [J.mol-1]",
    "Electrolyte conductivity factor",
    "Electrolyte diffusivity factor",
    "Electrolyte transport activation energy [J.mol-1]",
    "Negative electrode entropic change factor",
    "Positive electrode entropic change factor",
    "Positive electrode entropic change offset [V.K-1]",
    "Surroundings offset [K]",
)
"""Numbers in the laws below: diffusivities and exchange-current densities at half stoichiometry, 25 degC, 1 mol/l."""


@dataclass(frozen=True)
class ShapeCorrections:
    """Smooth corrections of a set's laws over stoichiometry.

    Open-circuit potentials and entropic changes get sums of Gaussians whose width is 0.6 of the distance between
    centres, so that coefficients of one sign give a nearly straight line. The logarithm of a diffusivity gets Legendre
    polynomials from the first order up, over the whole of stoichiometry.

    Attributes
    ----------
    open_circuit_negative, open_circuit_positive : tuple of float
        Centres of bumps of the open-circuit potential; coefficients in V.
    entropic_negative, entropic_positive : tuple of float
        Centres of bumps of the entropic change; coefficients in V/K.
    diffusivity_negative, diffusivity_positive : int
        Highest order of the polynomials of the natural logarithm of the diffusivity, up to 4; 0 for none.
    """

    open_circuit_negative: tuple[float, ...] = ()
    open_circuit_positive: tuple[float, ...] = ()
    entropic_negative: tuple[float, ...] = ()
    entropic_positive: tuple[float, ...] = ()
    diffusivity_negative: int = 0
    diffusivity_positive: int = 0

    def input_names(self) -> tuple[str, ...]:
        """Return the names of all coefficients."""
        return tuple(name for field in _SHAPES for name in self.names(field))

    def names(self, field: str) -> tuple[str, ...]:
        """Return the names of one correction's coefficients, such as ``"Positive OCP correction 3 [V]"``."""
        title, unit = _SHAPES[field]
        shape = getattr(self, field)
        count = shape if isinstance(shape, int) else len(shape)
        return tuple(f"{title} correction {index + 1}{unit}" for index in range(count))

    def sum(self, field: str, stoichiometry: Any, coefficients: Mapping[str, Any]) -> Any:
        """Return the correction at a stoichiometry; numbers, arrays and PyBaMM's symbols all serve."""
        shape = getattr(self, field)
        total: Any = 0.0
        if isinstance(shape, int):
            at = 2.0 * stoichiometry - 1.0
            for name, polynomial in zip(self.names(field), _LEGENDRE, strict=False):
                total = total + coefficients[name] * polynomial(at)
            return total
        widths = 0.6 * np.gradient(np.array(shape)) if len(shape) > 1 else np.full(len(shape), 0.15)
        for name, centre, width in zip(self.names(field), shape, widths.tolist(), strict=True):
            total = total + coefficients[name] * np.exp(-(((stoichiometry - centre) / width) ** 2))
        return total


_LEGENDRE: tuple[Callable[[Any], Any], ...] = (
    lambda at: at,
    lambda at: 1.5 * at**2 - 0.5,
    lambda at: at * (2.5 * at**2 - 1.5),
    lambda at: (35.0 * at**4 - 30.0 * at**2 + 3.0) / 8.0,
)
_SHAPES = {
    "open_circuit_negative": ("Negative OCP", " [V]"),
    "open_circuit_positive": ("Positive OCP", " [V]"),
    "diffusivity_negative": ("Negative diffusivity", ""),
    "diffusivity_positive": ("Positive diffusivity", ""),
    "entropic_negative": ("Negative entropic change", " [V.K-1]"),
    "entropic_positive": ("Positive entropic change", " [V.K-1]"),
}


def published_values(values: pybamm.ParameterValues) -> dict[str, float]:
    """Return the numbers that make :func:`with_laws` reproduce a published set at 25 degC.

    Activation energies are read from the set's functions between 15 and 35 degC.

    Parameters
    ----------
    values : pybamm.ParameterValues
        The set.
    """
    found = {name: _number(values, name) for name in DIRECT_INPUTS if name in values and not callable(values[name])}
    found.setdefault("Contact resistance [Ohm]", 0.0)
    found.setdefault("Heat transfer growth [K-1]", 0.0)
    transference = values["Cation transference number"]
    if callable(transference):
        found["Cation transference number"] = _evaluate(values, transference(REFERENCE_SALT, REFERENCE_TEMPERATURE))
    for domain in ("Negative", "Positive"):
        highest = _number(values, f"Maximum concentration in {domain.lower()} electrode [mol.m-3]")
        initial = _number(values, f"Initial concentration in {domain.lower()} electrode [mol.m-3]")
        found[f"{domain} electrode initial stoichiometry"] = initial / highest
        conductivity = values[f"{domain} electrode conductivity [S.m-1]"]
        found[f"{domain} electrode conductivity [S.m-1]"] = _at(values, conductivity, REFERENCE_TEMPERATURE)
        diffusivity, exchange = _base_laws(values, domain)
        found[f"{domain} particle diffusivity [m2.s-1]"] = _evaluate(
            values, diffusivity(EVALUATED_AT, REFERENCE_TEMPERATURE)
        )
        found[f"{domain} electrode exchange-current density [A.m-2]"] = _evaluate(
            values, exchange(REFERENCE_SALT, EVALUATED_AT * highest, highest, REFERENCE_TEMPERATURE)
        )
        found[f"{domain} particle diffusivity activation energy [J.mol-1]"] = _activation_energy(
            values, partial(diffusivity, EVALUATED_AT)
        )
        found[f"{domain} electrode reaction activation energy [J.mol-1]"] = _activation_energy(
            values, partial(exchange, REFERENCE_SALT, EVALUATED_AT * highest, highest)
        )
        found[f"{domain} electrode entropic change factor"] = 1.0
    found["Positive electrode entropic change offset [V.K-1]"] = 0.0
    found["Surroundings offset [K]"] = 0.0
    conductivity = _function(values["Electrolyte conductivity [S.m-1]"])
    found["Electrolyte conductivity factor"] = 1.0
    found["Electrolyte diffusivity factor"] = 1.0
    found["Electrolyte transport activation energy [J.mol-1]"] = _activation_energy(
        values, partial(conductivity, REFERENCE_SALT)
    )
    return found


def with_laws(values: pybamm.ParameterValues, shapes: ShapeCorrections) -> pybamm.ParameterValues:
    """Return a set in which every number of :func:`published_values`, and every coefficient, is an input.

    Parameters
    ----------
    values : pybamm.ParameterValues
        Published set; it must hold entropic changes of both electrodes.
    shapes : ShapeCorrections
        Corrections of its laws.
    """
    import pybamm

    result = values.copy()
    inputs = {name: pybamm.InputParameter(name) for name in (*DIRECT_INPUTS, *LAW_INPUTS, *shapes.input_names())}
    changes: dict[str, Any] = {name: inputs[name] for name in DIRECT_INPUTS}
    for domain in ("Negative", "Positive"):
        changes.update(_electrode_laws(values, domain, inputs, shapes))
    changes.update(_electrolyte_laws(values, inputs))
    result.update(changes, check_already_exists=False)
    return result


def _electrode_laws(
    values: pybamm.ParameterValues, domain: str, inputs: Mapping[str, Any], shapes: ShapeCorrections
) -> dict[str, Any]:
    import pybamm

    low = domain.lower()
    highest = _number(values, f"Maximum concentration in {low} electrode [mol.m-3]")
    base_diffusivity, base_exchange = _base_laws(values, domain)
    base_potential = values[f"{domain} electrode OCP [V]"]
    base_entropic = _function(values[f"{domain} electrode OCP entropic change [V.K-1]"])
    middle_diffusivity = _evaluate(values, base_diffusivity(EVALUATED_AT, REFERENCE_TEMPERATURE))
    middle_exchange = _evaluate(
        values, base_exchange(REFERENCE_SALT, EVALUATED_AT * highest, highest, REFERENCE_TEMPERATURE)
    )

    def diffusivity(stoichiometry: Any, temperature: Any) -> Any:
        shape = base_diffusivity(stoichiometry, REFERENCE_TEMPERATURE) / middle_diffusivity
        correction = shapes.sum(f"diffusivity_{low}", stoichiometry, inputs)
        exponent = correction + _arrhenius(
            inputs[f"{domain} particle diffusivity activation energy [J.mol-1]"], temperature
        )
        return inputs[f"{domain} particle diffusivity [m2.s-1]"] * shape * pybamm.exp(exponent)

    def exchange(salt: Any, surface: Any, top: Any, temperature: Any) -> Any:
        shape = base_exchange(salt, surface, top, REFERENCE_TEMPERATURE) / middle_exchange
        exponent = _arrhenius(inputs[f"{domain} electrode reaction activation energy [J.mol-1]"], temperature)
        return inputs[f"{domain} electrode exchange-current density [A.m-2]"] * shape * pybamm.exp(exponent)

    def potential(stoichiometry: Any) -> Any:
        return base_potential(stoichiometry) + shapes.sum(f"open_circuit_{low}", stoichiometry, inputs)

    def entropic(stoichiometry: Any) -> Any:
        change = inputs[f"{domain} electrode entropic change factor"] * base_entropic(stoichiometry)
        if domain == "Positive":
            change = change + inputs["Positive electrode entropic change offset [V.K-1]"]
        return change + shapes.sum(f"entropic_{low}", stoichiometry, inputs)

    lattice = FARADAY * highest * _number(values, f"{domain} electrode thickness [m]")
    lattice = lattice * inputs["Electrode width [m]"] * _number(values, "Electrode height [m]")
    held = lattice * inputs[f"{domain} electrode active material volume fraction"]
    missing = (1.0 if domain == "Positive" else -1.0) * pybamm.InputParameter(CHARGE_MISSING) / held

    return {
        f"{domain} particle diffusivity [m2.s-1]": diffusivity,
        f"{domain} electrode exchange-current density [A.m-2]": exchange,
        f"{domain} electrode OCP [V]": potential,
        f"{domain} electrode OCP entropic change [V.K-1]": entropic,
        f"Initial concentration in {low} electrode [mol.m-3]": highest
        * (inputs[f"{domain} electrode initial stoichiometry"] + missing),
    }


def _electrolyte_laws(values: pybamm.ParameterValues, inputs: Mapping[str, Any]) -> dict[str, Any]:
    import pybamm

    base_conductivity = _function(values["Electrolyte conductivity [S.m-1]"])
    base_diffusivity = _function(values["Electrolyte diffusivity [m2.s-1]"])

    def warmed(temperature: Any) -> Any:
        return pybamm.exp(_arrhenius(inputs["Electrolyte transport activation energy [J.mol-1]"], temperature))

    def conductivity(salt: Any, temperature: Any) -> Any:
        base = base_conductivity(salt, REFERENCE_TEMPERATURE)
        return inputs["Electrolyte conductivity factor"] * base * warmed(temperature)

    def diffusivity(salt: Any, temperature: Any) -> Any:
        base = base_diffusivity(salt, REFERENCE_TEMPERATURE)
        return inputs["Electrolyte diffusivity factor"] * base * warmed(temperature)

    return {"Electrolyte conductivity [S.m-1]": conductivity, "Electrolyte diffusivity [m2.s-1]": diffusivity}


def _base_laws(values: pybamm.ParameterValues, domain: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    diffusivity = _function(values[f"{domain} particle diffusivity [m2.s-1]"])
    return diffusivity, _function(values[f"{domain} electrode exchange-current density [A.m-2]"])


def _function(entry: Any) -> Callable[..., Any]:
    if callable(entry):
        return entry  # type: ignore[no-any-return]
    return lambda *_: entry


def _arrhenius(energy: Any, temperature: Any) -> Any:
    return energy / GAS_CONSTANT * (1.0 / REFERENCE_TEMPERATURE - 1.0 / temperature)


def _activation_energy(values: pybamm.ParameterValues, law: Callable[[float], Any]) -> float:
    cold, warm = REFERENCE_TEMPERATURE - 10.0, REFERENCE_TEMPERATURE + 10.0
    ratio = _evaluate(values, law(warm)) / _evaluate(values, law(cold))
    return float(GAS_CONSTANT * np.log(ratio) / (1.0 / cold - 1.0 / warm))


def _number(values: pybamm.ParameterValues, name: str) -> float:
    return float(values[name])


def _at(values: pybamm.ParameterValues, entry: Any, temperature: float) -> float:
    if not callable(entry):
        return float(entry)
    wanted = len(inspect.signature(entry).parameters)  # of temperature, or of stoichiometry and temperature
    return _evaluate(values, entry(*(EVALUATED_AT, temperature)[2 - wanted :]))


def _evaluate(values: pybamm.ParameterValues, result: Any) -> float:
    import pybamm

    number = values.evaluate(result) if isinstance(result, pybamm.Symbol) else result
    return float(np.asarray(number, dtype=np.float64).reshape(-1)[0])
