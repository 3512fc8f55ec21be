"""Ageing models from PyBaMM's parameter sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from celltwin.core import FARADAY, GAS_CONSTANT, ModelError

from .ageing import (
    PLATING_KINDS,
    SEI_KINDS,
    AgeingModel,
    LossModel,
    PlatingModel,
    SeiModel,
)

__all__ = ["ageing_model", "build_ageing_model"]

SETS = {"okane_2022": "OKane2022"}  # our name, PyBaMM's
_LOSS_WORDS = {"stress", "current", "reaction"}
_FIT = 1e-6  # relative error with which a set's function must follow the law [-]


@lru_cache(maxsize=16)
def ageing_model(
    name: str,
    *,
    sei: str = "solvent-diffusion limited",
    plating: str = "partially reversible",
    loss: str | tuple[str, str] = "stress-driven",
) -> AgeingModel:
    """Return the ageing model of a set that PyBaMM ships.

    Parameters
    ----------
    name : str
        ``"okane_2022"``: the degradation parameters of O'Kane et al. (2022) for graphite and NMC.
    sei, plating, loss : str
        Mechanisms, as for :func:`build_ageing_model`.

    Raises
    ------
    ModelError
        If the set is unknown.
    """
    import pybamm

    if name not in SETS:
        raise ModelError(f"no ageing parameters are called {name!r}", remedy=f"Choose one of {', '.join(SETS)}")
    return build_ageing_model(pybamm.ParameterValues(SETS[name]), name=name, sei=sei, plating=plating, loss=loss)


def build_ageing_model(
    parameter_values: Any,
    *,
    name: str = "",
    sei: str = "solvent-diffusion limited",
    plating: str = "partially reversible",
    loss: str | tuple[str, str] = "stress-driven",
    default_set: str | None = None,
) -> AgeingModel:
    """Return the ageing model of a PyBaMM parameter set.

    Parameters
    ----------
    parameter_values : pybamm.ParameterValues
        The set.
    name : str
        What to call it; empty: as its first citation.
    sei : str
        One of ``SEI_KINDS``; ``" (asymmetric)"`` behind "reaction limited" or "ec reaction limited" takes the
        transfer coefficient from the set, as in PyBaMM; it is 0.5 otherwise.
    plating : str
        One of ``PLATING_KINDS``.
    loss : str or tuple of str
        Of active material, in PyBaMM's words, for both electrodes or for the negative and the positive: ``"none"``, or
        any of stress, current and reaction, such as ``"stress-driven"`` or ``"stress and reaction-driven"``.
    default_set : str, optional
        Set such as ``"okane_2022"`` that degradation parameters come from where ``parameter_values`` has none.

    Raises
    ------
    ModelError
        If the set lacks a parameter and no default set is given; if a mechanism is unknown; if a function of the set
        does not follow the law of the mechanism.
    """
    import pybamm

    if default_set is not None and default_set not in SETS:
        raise ModelError(f"no ageing parameters are called {default_set!r}", remedy=f"Choose one of {', '.join(SETS)}")
    fallback = None if default_set is None else pybamm.ParameterValues(SETS[default_set])
    citations = parameter_values.get("citations") or ["unnamed set"]
    name = name or str(citations[0])
    source = _Source(name, parameter_values, fallback)
    sides = (loss, loss) if isinstance(loss, str) else loss
    return AgeingModel(
        name=name,
        sei=_read_sei(source, sei),
        plating=_read_plating(source, plating),
        loss_negative=_read_loss(source, "Negative", sides[0]),
        loss_positive=_read_loss(source, "Positive", sides[1]),
        reference_temperature=source.temperature,
        provenance={
            "source": f"PyBaMM parameter set {name}",
            "citations": list(citations),
            "sei": sei,
            "plating": plating,
            "loss": list(sides),
            "taken from default set": {"set": default_set, "parameters": sorted(source.missing)},
        },
    )


class _Source:
    """A parameter set, with another that steps in where it lacks something."""

    def __init__(self, name: str, values: Any, fallback: Any) -> None:
        self.name = name
        self.values = values
        self.fallback = fallback
        self.missing: set[str] = set()
        self.temperature = self.number("Reference temperature [K]")

    def holder(self, name: str) -> Any:
        """Return the set that has a parameter."""
        if name in self.values:
            return self.values
        if self.fallback is not None and name in self.fallback:
            self.missing.add(name)
            return self.fallback
        raise ModelError(
            f"it has no {name!r}, which ageing needs",
            where=f"parameter set {self.name}",
            remedy="Add it, or borrow it by default_set='okane_2022', or turn the mechanism off",
        )

    def evaluate(self, name: str, **inputs: float) -> float:
        """Return a parameter's value, of its arguments where it is a function."""
        import pybamm

        holder = self.holder(name)
        entry = holder[name]
        if isinstance(entry, (int, float)):
            return float(entry)
        symbols = [pybamm.Scalar(value) for value in inputs.values()]
        result = entry(*symbols) if callable(entry) else entry
        return float(holder.evaluate(result))

    def number(self, name: str) -> float:
        """Return a parameter that must be a number."""
        entry = self.holder(name)[name]
        if callable(entry):
            raise ModelError(
                f"{name!r} is a function; a number is needed",
                where=f"parameter set {self.name}",
                remedy="Replace it by a number",
            )
        return self.evaluate(name)

    def constant(self, name: str) -> float:
        """Return a parameter of stoichiometry and temperature that must be the same everywhere."""
        places = [(0.2, 0.0), (0.5, 15.0), (0.8, -15.0)]
        values = [self.evaluate(name, sto=s, temperature=self.temperature + dt) for s, dt in places]
        for value in values[1:]:
            self.require(name, values[0], value, "constant over stoichiometry and temperature")
        return values[0]

    def arrhenius(self, name: str, value: Callable[[float], float]) -> tuple[float, float]:
        """Return the value at the reference temperature, and the activation energy [J/mol]."""
        at = self.temperature
        reference, warm, cold = value(at), value(at + 20.0), value(at - 20.0)
        if reference == 0.0:
            self.require(name, 0.0, warm, "an Arrhenius law of temperature")
            return 0.0, 0.0
        energy = GAS_CONSTANT * math.log(warm / reference) / (1.0 / at - 1.0 / (at + 20.0))
        law = reference * math.exp(energy / GAS_CONSTANT * (1.0 / at - 1.0 / (at - 20.0)))
        self.require(name, law, cold, "an Arrhenius law of temperature")
        return reference, 0.0 if abs(energy) < 1e-6 else energy

    def require(self, name: str, expected: float, value: float, law: str) -> None:
        """Refuse a function that departs from the law of its mechanism."""
        if abs(value - expected) > _FIT * max(abs(expected), abs(value)):
            raise ModelError(
                f"{name!r} gives {value:g} where the law wants {expected:g}: it is not {law}",
                where=f"parameter set {self.name}",
                remedy="Replace it by a function that is, or turn the mechanism off",
            )


def _read_sei(source: _Source, kind: str) -> SeiModel:
    base, asymmetric = kind.removesuffix(" (asymmetric)"), kind.endswith(" (asymmetric)")
    if base not in SEI_KINDS or (asymmetric and not base.endswith("reaction limited")):
        raise ModelError(f"sei = {kind!r} is unknown", remedy=f"Choose one of {', '.join(SEI_KINDS)}")
    if base == "none":
        return SeiModel()
    number = source.number
    constants: dict[str, float] = {}
    if base == "solvent-diffusion limited":
        constants["diffusivity"] = number("SEI solvent diffusivity [m2.s-1]")
        constants["concentration"] = number("Bulk solvent concentration [mol.m-3]")
    elif base == "interstitial-diffusion limited":
        constants["diffusivity"] = number("SEI lithium interstitial diffusivity [m2.s-1]")
        constants["concentration"] = number("Lithium interstitial reference concentration [mol.m-3]")
    elif base == "ec reaction limited":
        constants["diffusivity"] = number("EC diffusivity [m2.s-1]")
        constants["concentration"] = number("EC initial concentration in electrolyte [mol.m-3]")
        constants["rate_constant"] = number("SEI kinetic rate constant [m.s-1]")
    elif base == "electron-migration limited":
        constants["electron_conductivity"] = number("SEI electron conductivity [S.m-1]")
    else:
        constants["exchange_current"] = number("SEI reaction exchange current density [A.m-2]")
    if base in ("reaction limited", "ec reaction limited", "electron-migration limited"):
        constants["open_circuit_potential"] = number("SEI open-circuit potential [V]")
    if asymmetric:
        constants["transfer_coefficient"] = number("SEI growth transfer coefficient")
    return SeiModel(
        kind=base,
        partial_molar_volume=number("SEI partial molar volume [m3.mol-1]"),
        lithium_ratio=number("Ratio of lithium moles to SEI moles"),
        resistivity=number("SEI resistivity [Ohm.m]"),
        initial_thickness=number("Initial SEI thickness [m]"),
        activation_energy=number("SEI growth activation energy [J.mol-1]"),
        **constants,
    )


def _read_plating(source: _Source, kind: str) -> PlatingModel:
    if kind not in PLATING_KINDS:
        raise ModelError(f"plating = {kind!r} is unknown", remedy=f"Choose one of {', '.join(PLATING_KINDS)}")
    if kind == "none":
        return PlatingModel()
    name = "Exchange-current density for plating [A.m-2]"
    salt = source.number("Initial concentration in electrolyte [mol.m-3]")

    def plating(temperature: float, c_e: float = salt, c_li: float = 10.0) -> float:
        return source.evaluate(name, c_e=c_e, c_li=c_li, temperature=temperature) / (FARADAY * c_e)

    rate, energy = source.arrhenius(name, plating)
    for c_e, c_li in ((0.7 * salt, 10.0), (salt, 50.0)):
        source.require(name, rate, plating(source.temperature, c_e, c_li), "proportional to the salt's concentration")
    constants = {"plating_rate": rate, "activation_energy": energy}
    constants["transfer_coefficient"] = source.number("Lithium plating transfer coefficient")
    constants["initial_concentration"] = source.number("Initial plated lithium concentration [mol.m-3]")
    if kind != "irreversible":
        constants["stripping_rate"] = _read_stripping(source, salt, energy)
    if kind == "partially reversible":
        name = "Dead lithium decay rate [s-1]"
        thickness = source.number("Initial SEI thickness [m]")
        thin, thick = (source.evaluate(name, thickness=factor * thickness) for factor in (1.0, 2.0))
        speed, rest = 2.0 * (thin - thick) * thickness, 2.0 * thick - thin
        law = rest + speed / (4.0 * thickness)
        source.require(name, law, source.evaluate(name, thickness=4.0 * thickness), "a + b / thickness")
        constants |= {"decay_speed": max(speed, 0.0), "decay_rate": rest if rest > 1e-9 * thin else 0.0}
    return PlatingModel(kind=kind, **constants)


def _read_stripping(source: _Source, salt: float, energy: float) -> float:
    name = "Exchange-current density for stripping [A.m-2]"

    def stripping(temperature: float, c_e: float = salt, c_li: float = 10.0) -> float:
        return source.evaluate(name, c_e=c_e, c_li=c_li, temperature=temperature) / (FARADAY * c_li)

    rate, own_energy = source.arrhenius(name, stripping)
    source.require(name, energy, own_energy, "of the same activation energy as plating")
    for c_e, c_li in ((0.7 * salt, 10.0), (salt, 50.0)):
        law = "proportional to the concentration of plated lithium"
        source.require(name, rate, stripping(source.temperature, c_e, c_li), law)
    return rate


def _read_loss(source: _Source, side: str, kind: str) -> LossModel:
    words = set() if kind == "none" else set(kind.removesuffix("-driven").split(" and "))
    if not words <= _LOSS_WORDS or (kind != "none" and not kind.endswith("-driven")):
        raise ModelError(
            f"loss of active material = {kind!r} is unknown",
            remedy="Choose none, or stress, current or reaction joined by ' and ' with '-driven' behind",
        )
    prefix = f"{side} electrode"
    constants: dict[str, float] = {}
    if "stress" in words:
        name = f"{prefix} LAM constant proportional term [s-1]"
        rate, energy = source.arrhenius(name, lambda t: source.evaluate(name, temperature=t))
        constants |= {
            "stress_rate": rate,
            "stress_activation_energy": energy,
            "stress_exponent": source.number(f"{prefix} LAM constant exponential term"),
            "critical_stress": source.number(f"{prefix} critical stress [Pa]"),
            "partial_molar_volume": source.constant(f"{prefix} partial molar volume [m3.mol-1]"),
            "young_modulus": source.constant(f"{prefix} Young's modulus [Pa]"),
            "poisson_ratio": source.number(f"{prefix} Poisson's ratio"),
            "unstressed_concentration": source.number(
                f"{prefix} reference concentration for free of deformation [mol.m-3]"
            ),
        }
    if "current" in words:
        rate_name = f"{prefix} current-driven LAM rate"

        def current(temperature: float, density: float = 10.0) -> float:
            return -source.evaluate(rate_name, density=density, temperature=temperature) / abs(density)

        rate, energy = source.arrhenius(rate_name, current)
        for density in (-10.0, 30.0):
            law = "proportional to the magnitude of the current density"
            source.require(rate_name, rate, current(source.temperature, density), law)
        constants |= {"current_rate": rate, "current_activation_energy": energy}
    if "reaction" in words and side == "Negative":
        constants["reaction_factor"] = source.number(f"{prefix} reaction-driven LAM factor [m3.mol-1]")
    return LossModel(**constants)
