"""The engine that a scenario starts with: its pack, how the cells differ, and the physics that it needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from celltwin.core import PackSpec, PhysicsSpec, ScenarioPlayer

from .pack_variation import draw_variation
from .parameters import load_cell_parameters
from .varied_pack import build_varied_engine

if TYPE_CHECKING:
    from .engine import EngineOptions, PackEngine

__all__ = ["build_engine", "with_physics"]


def build_engine(
    player: ScenarioPlayer,
    *,
    fidelity: str = "SPMe",
    options: EngineOptions | None = None,
    device: str | None = None,
) -> PackEngine:
    """Return an engine of the pack of a scenario, at its start.

    Parameters
    ----------
    player : ScenarioPlayer
        The scenario: state of charge, temperature, and how the cells differ.
    fidelity : {"SPMe", "DFN", "ECM"}
        Cell model.
    options : EngineOptions, optional
        As for :func:`simulate_scenario`.
    device : str, optional
        Warp's name of the device.
    """
    from .calibration.cell_population_distribution import pack_distribution

    scenario, spec = player.scenario, player.spec
    initial = scenario.initial
    variation = draw_variation(
        spec,
        load_cell_parameters(spec.cell.parameter_set),
        seed=scenario.seed,
        initial_soc=initial.soc,
        capacity_spread=initial.capacity_spread,
        resistance_spread=initial.resistance_spread,
        soc_spread=initial.soc_spread,
        ageing=initial.ageing,
        weak_groups=initial.weak_groups,
        distribution=pack_distribution(spec),
    )
    temperature = initial.temperature
    options = with_physics(options, scenario.physics, spec)
    return build_varied_engine(
        spec,
        variation,
        fidelity=fidelity,
        temperature=player.surroundings(0.0).inlet_temperature if temperature is None else temperature,
        options=options,
        device=device,
    )


def with_physics(options: EngineOptions | None, physics: PhysicsSpec, spec: PackSpec) -> EngineOptions:
    """Return options with the models that a scenario names, where the options do not give them themselves."""
    from .engine import EngineOptions, build_cell_model, pack_mechanics
    from .engine.abuse_model import SeparatorModel, VentModel
    from .engine.abuse_parameters import abuse_model
    from .engine.ageing_parameters import ageing_model

    options = options or EngineOptions()
    if physics.abuse and options.abuse is None:
        cell = build_cell_model(spec.cell.parameter_set)
        # A molten separator shorts the cell: 0.2 ohm, which empties a full cell of 2 A.h in six minutes.
        separator = SeparatorModel(conductance=5.0)
        options = replace(options, abuse=abuse_model(physics.abuse, cell=cell, vent=VentModel(), separator=separator))
    if physics.abuse and not options.heat_of_mixing:
        # Profiles of an emptied cell hold percents of its energy: a burning cell gets all of it.
        options = replace(options, heat_of_mixing=True)
    if physics.ageing and options.ageing is None:
        options = replace(options, ageing=ageing_model(physics.ageing))
    if physics.mechanics and options.mechanics is None:
        options = replace(options, mechanics=pack_mechanics(spec))
    return options
