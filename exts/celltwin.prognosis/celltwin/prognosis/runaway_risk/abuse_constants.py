"""What a cell's abuse model is, per kelvin of its own heat capacity: the numbers of the local roll-out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import GAS_CONSTANT, PackSpec

if TYPE_CHECKING:
    from celltwin.physics.engine import AbuseModel

__all__ = ["VENT_TEMPERATURE", "AbuseConstants", "abuse_constants_of"]

# Past it a cell counts as lost: within a kelvin of where the engine's vent opens by the solvent's vapour alone [K].
VENT_TEMPERATURE = 498.9
SLOW_OVER_OHMIC = (
    1.8  # resistance within minutes, diffusion included, over the ohmic one: engine's cells, 3C at 20 % charge
)


@dataclass(frozen=True, kw_only=True)
class AbuseConstants:
    r"""Reactions, separator and store of one cell type, with heats over the cell's heat capacity.

    Attributes
    ----------
    name : str
        Of the abuse model.
    frequency, activation, heat, lowest : tuple of float
        Of film, negative, positive (two stages) and electrolyte: A [1/s], E/R [K], heat for one unit of the
        reaction's state [K], and the temperature below which it stands still [K].
    initial : tuple of float
        States of the fresh, full cell [-].
    film_initial, film_reference : float
        z_0 and z_r [-].
    quiet_temperature : float
        Below it nothing reacts [K].
    melting_temperature, melting_range : float
        Of the separator [K].
    molten_conductance : float
        Of the molten separator [S].
    heat_capacity : float
        Of the cell [J/K].
    capacity : float
        Nominal, of the cell [A.h].
    source_resistance : float
        Of a cell that feeds a short for minutes [ohm].
    soc, voltage : tuple of float
        Open-circuit voltage [V] over state of charge [-].
    """

    name: str
    frequency: tuple[float, ...]
    activation: tuple[float, ...]
    heat: tuple[float, ...]
    lowest: tuple[float, ...]
    initial: tuple[float, ...]
    film_initial: float
    film_reference: float
    quiet_temperature: float
    melting_temperature: float
    melting_range: float
    molten_conductance: float
    heat_capacity: float
    capacity: float
    source_resistance: float
    soc: tuple[float, ...]
    voltage: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> AbuseConstants:
        """Return the constants that :meth:`as_dict` gave."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        return cls(**values)


def abuse_constants_of(spec: PackSpec, name: str = "hu_2020_nmc") -> AbuseConstants:
    """Return the constants of a pack's cell as the engine's scenarios use them.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    name : str
        Abuse model of the engine.

    Raises
    ------
    ModelError
        If there is no such model, or the cell's parameters cannot be found.
    """
    from celltwin.core import PhysicsSpec
    from celltwin.physics import load_cell_parameters
    from celltwin.physics.scenario_engine import with_physics

    model: AbuseModel = with_physics(None, PhysicsSpec(abuse=name), spec).abuse
    return constants_from(model, spec, load_cell_parameters(spec.cell.parameter_set))


def constants_from(model: AbuseModel, spec: PackSpec, parameters: Any) -> AbuseConstants:
    """Return the constants of an abuse model in a pack's cell, with the open-circuit voltage of its parameters."""
    capacity = spec.cell.mass * spec.cell.heat_capacity
    reactions = list(model.reactions.values())
    separator = model.separator
    grid = np.linspace(0.0, 1.0, 21)
    return AbuseConstants(
        name=model.name,
        frequency=tuple(reaction.frequency for reaction in reactions),
        activation=tuple(reaction.activation_energy / GAS_CONSTANT for reaction in reactions),
        heat=tuple(heat / capacity for heat in model.heats.values()),
        lowest=tuple(reaction.lowest_temperature for reaction in reactions),
        initial=tuple(reaction.initial for reaction in reactions),
        film_initial=model.film_initial,
        film_reference=model.film_reference,
        quiet_temperature=model.quiet_temperature,
        melting_temperature=1e6 if separator is None else separator.melting_temperature,
        melting_range=1.0 if separator is None else separator.melting_range,
        molten_conductance=0.0 if separator is None else separator.conductance,
        heat_capacity=capacity,
        capacity=spec.cell.capacity,
        source_resistance=SLOW_OVER_OHMIC * spec.cell.resistance,
        soc=tuple(grid.tolist()),
        voltage=tuple(np.interp(grid, parameters.soc, parameters.voltage).tolist()),
    )
