"""What is known of a cell without training: potentials, diffusion, reaction and heat, as tables and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from celltwin.core import GAS_CONSTANT, Array
from celltwin.physics import CellParameters, load_cell_parameters
from celltwin.physics.parameter_sets import parameter_values

__all__ = ["CellLaws", "ElectrodeLaws", "derive_laws"]


POINTS = 1025  # of a table over stoichiometry
ELECTROLYTE_MODES = 1  # the slowest: 98.6 % of the difference in the cell of data/models/surrogate_1
_VOLUMES = 60  # across the cell, for the electrolyte's modes


@dataclass(frozen=True, kw_only=True, eq=False)
class ElectrodeLaws:
    """One electrode; tables are over stoichiometry, evenly from 0 to 1, at the reference temperature.

    Attributes
    ----------
    potential : ndarray of shape (n_points,)
        Open-circuit potential [V].
    entropic : ndarray of shape (n_points,)
        Its derivative with temperature [V/K].
    diffusion : ndarray of shape (n_points,)
        Diffusivity over the square of the particle radius [1/s].
    exchange : ndarray of shape (n_points,)
        Exchange-current density over the current density that 1 A through the cell makes at the particles [A].
    diffusion_energy, exchange_energy : float
        Activation energies [J/mol].
    empty, full : float
        Stoichiometries at 0 and 100 % state of charge [-].
    """

    potential: Array
    entropic: Array
    diffusion: Array
    exchange: Array
    diffusion_energy: float
    exchange_energy: float
    empty: float
    full: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CellLaws:
    """A cell.

    Attributes
    ----------
    name, parameters_hash : str
        Cell parameters that this follows from.
    negative, positive : ElectrodeLaws
        The electrodes.
    capacity : float
        Between the voltage limits at rest [A.h].
    resistance : float
        Series resistance beside the porous electrodes [ohm].
    heat_capacity, conductance : float
        Of the cell [J/K]; to the air of the test [W/K].
    reference_temperature : float
        [K].
    lowest_voltage, highest_voltage : float
        Limits [V].
    electrolyte_rates, electrolyte_shares : ndarray of shape (n_modes,)
        Rates at which concentration differences between the electrodes decay at the reference temperature [1/s],
        slowest first, and the share of each in the difference at a steady current [-].
    electrolyte_energy : float
        Activation energy of these rates [J/mol].
    """

    name: str
    parameters_hash: str
    negative: ElectrodeLaws
    positive: ElectrodeLaws
    capacity: float
    resistance: float
    heat_capacity: float
    conductance: float
    reference_temperature: float
    lowest_voltage: float
    highest_voltage: float
    electrolyte_rates: Array
    electrolyte_shares: Array
    electrolyte_energy: float

    def arrays(self) -> dict[str, Array]:
        """Return everything that a file must hold, flat."""
        found: dict[str, Array] = {}
        for name, value in vars(self).items():
            if isinstance(value, ElectrodeLaws):
                found |= {f"{name}.{key}": np.asarray(part) for key, part in vars(value).items()}
            else:
                found[name] = np.asarray(value)
        return found

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> CellLaws:
        """Return what :meth:`arrays` gave."""
        fields: dict[str, Any] = {}
        electrodes: dict[str, dict[str, Any]] = {"negative": {}, "positive": {}}
        for name, value in arrays.items():
            plain = value.item() if value.ndim == 0 else np.asarray(value, dtype=np.float64)
            electrode, dot, key = name.partition(".")
            if dot:
                electrodes[electrode][key] = plain
            else:
                fields[name] = plain
        fields |= {name: ElectrodeLaws(**parts) for name, parts in electrodes.items()}
        return cls(**fields)


def derive_laws(name: str) -> CellLaws:
    """Return the laws of a cell from its parameters.

    Parameters
    ----------
    name : str
        Cell parameters, as :func:`celltwin.physics.load_cell_parameters` takes them.
    """
    import pybamm

    parameters = load_cell_parameters(name)
    values = parameter_values(parameters.base_set, parameters.overrides)
    symbols = pybamm.LithiumIonParameters()
    rates, shares = _electrolyte_modes(values, symbols)
    return CellLaws(
        name=name,
        parameters_hash=parameters.hash,
        negative=_electrode(values, symbols, "negative", parameters),
        positive=_electrode(values, symbols, "positive", parameters),
        capacity=parameters.capacity,
        resistance=parameters.resistance,
        heat_capacity=parameters.heat_capacity,
        conductance=parameters.heat_transfer * parameters.surface,
        reference_temperature=float(values["Reference temperature [K]"]),
        lowest_voltage=parameters.lowest_voltage,
        highest_voltage=parameters.highest_voltage,
        electrolyte_rates=rates,
        electrolyte_shares=shares,
        electrolyte_energy=_energy(lambda at: _number(values, symbols.D_e(symbols.c_e_init, at)), values),
    )


def _electrode(values: Any, symbols: Any, side: str, parameters: CellParameters) -> ElectrodeLaws:
    import pybamm

    domain = symbols.n if side == "negative" else symbols.p
    phase = domain.prim
    reference = pybamm.Scalar(float(values["Reference temperature [K]"]))
    inner = np.clip(np.linspace(0.0, 1.0, POINTS), 1e-4, 1.0 - 1e-4)
    at = pybamm.Vector(inner)
    most = float(values.evaluate(phase.c_max))
    radius = _number(values, phase.R_typ)
    area = _number(values, phase.a_typ) * _number(values, domain.L) * _number(values, symbols.A_cc)

    def table(symbol: Any) -> Array:
        found = np.asarray(values.evaluate(symbol), dtype=np.float64).reshape(-1)
        return np.full(POINTS, found[0]) if found.size == 1 else found

    def diffusion(temperature: Any) -> Any:
        return phase.D(at * most, temperature)

    def exchange(temperature: Any) -> Any:
        return phase.j0(pybamm.Scalar(1.0) * symbols.c_e_init, at * most, temperature)

    return ElectrodeLaws(
        potential=table(phase.U(at, reference)),
        entropic=table(phase.dUdT(at)),
        diffusion=table(diffusion(reference)) / radius**2,
        exchange=table(exchange(reference)) * area,
        diffusion_energy=_energy(lambda warm: float(table(diffusion(warm))[POINTS // 2]), values),
        exchange_energy=_energy(lambda warm: float(table(exchange(warm))[POINTS // 2]), values),
        empty=parameters.negative_empty if side == "negative" else parameters.positive_empty,
        full=parameters.negative_full if side == "negative" else parameters.positive_full,
    )


def _energy(law: Any, values: Any) -> float:
    """Return the activation energy of a law of temperature [J/mol]."""
    import pybamm

    low = float(values["Reference temperature [K]"])
    high = low + 10.0
    ratio = law(pybamm.Scalar(high)) / law(pybamm.Scalar(low))
    return float(GAS_CONSTANT * np.log(ratio) / (1.0 / low - 1.0 / high))


def _number(values: Any, symbol: Any) -> float:
    return float(np.asarray(values.evaluate(symbol)).reshape(-1)[0])


def _electrolyte_modes(values: Any, symbols: Any) -> tuple[Array, Array]:
    """Return rates and shares of the modes by which a concentration difference answers a current, spread evenly."""
    layers = (symbols.n, symbols.s, symbols.p)
    lengths = np.array([_number(values, layer.L) for layer in layers])
    porosity = np.array([float(values[f"{layer} porosity"]) for layer in _LAYERS])
    exponent = [float(values[f"{layer} Bruggeman coefficient (electrolyte)"]) for layer in _LAYERS]
    import pybamm

    free = _number(values, symbols.D_e(symbols.c_e_init, pybamm.Scalar(float(values["Reference temperature [K]"]))))
    counts = np.maximum(4, np.round(_VOLUMES * lengths / lengths.sum())).astype(int)
    width = np.repeat(lengths / counts, counts)
    pores = np.repeat(porosity, counts)
    through = np.repeat(free * porosity ** np.array(exponent), counts)
    resistance = 0.5 * width / through
    between = 1.0 / (resistance[1:] + resistance[:-1])
    matrix = np.diag(np.append(-between, 0.0) + np.append(0.0, -between)) + np.diag(between, 1) + np.diag(between, -1)
    store = np.sqrt(pores * width)
    decay, vectors = np.linalg.eigh(matrix / np.outer(store, store))
    source = np.repeat([1.0 / lengths[0], 0.0, -1.0 / lengths[2]], counts) * width
    weight = np.repeat([1.0 / lengths[0], 0.0, -1.0 / lengths[2]], counts) * width
    rates = -decay
    strength = (vectors.T @ (source / store)) * (vectors.T @ (weight / store))
    moving = rates > 1e-9 * rates.max()
    steady = np.where(moving, strength / np.where(moving, rates, 1.0), 0.0)
    best = np.sort(np.argsort(-steady)[:ELECTROLYTE_MODES])
    order = best[np.argsort(rates[best])]
    return rates[order], steady[order] / steady.sum()


_LAYERS = ("Negative electrode", "Separator", "Positive electrode")
