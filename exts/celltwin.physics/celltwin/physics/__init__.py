"""Physics of cells and packs: PyBaMM's models, integrated by IDAKLU, behind arrays in pack order."""

from .cell_equations import Mesh
from .cell_simulator import CellBatch, CellHistory, CellSimulator
from .charge_candidates import ChargeOutcome, simulate_charge
from .equation_cache import prepare_equations
from .pack_simulation import PackSimulation, PlantBlock, rest_block
from .pack_variation import PackVariation, draw_variation
from .parameter_sets import build_cell_parameters, rebuild_cell_parameters
from .parameters import CellParameters, Override, load_cell_parameters, open_circuit_voltage, open_circuit_voltage_slope
from .scenario_checkpoint import checkpoint_time, remove_checkpoint, restore_checkpoint, save_checkpoint
from .scenario_conditions import ScenarioConditions
from .scenario_engine import build_engine
from .scenario_events import ScenarioEvents
from .scenario_further import FURTHER_QUANTITIES
from .scenario_result import (
    Extreme,
    ScenarioSample,
    SimulationEvent,
    SimulationFigures,
    SimulationResult,
)
from .scenario_run import ScenarioRun, SimulationProgress, simulate_scenario
from .simulated_plant import PlantTruth, SimulatedPlant, group_channels, plant_values, sensed_channels
from .varied_pack import FIDELITIES, build_varied_engine

__all__ = [
    "FIDELITIES",
    "FURTHER_QUANTITIES",
    "CellBatch",
    "CellHistory",
    "CellParameters",
    "CellSimulator",
    "ChargeOutcome",
    "Extreme",
    "Mesh",
    "Override",
    "PackSimulation",
    "PackVariation",
    "PlantBlock",
    "PlantTruth",
    "ScenarioConditions",
    "ScenarioEvents",
    "ScenarioRun",
    "ScenarioSample",
    "SimulatedPlant",
    "SimulationEvent",
    "SimulationFigures",
    "SimulationProgress",
    "SimulationResult",
    "build_cell_parameters",
    "build_engine",
    "build_varied_engine",
    "checkpoint_time",
    "draw_variation",
    "group_channels",
    "load_cell_parameters",
    "open_circuit_voltage",
    "open_circuit_voltage_slope",
    "plant_values",
    "prepare_equations",
    "rebuild_cell_parameters",
    "remove_checkpoint",
    "rest_block",
    "restore_checkpoint",
    "save_checkpoint",
    "sensed_channels",
    "simulate_charge",
    "simulate_scenario",
]
