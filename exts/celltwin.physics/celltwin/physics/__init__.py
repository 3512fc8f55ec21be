"""Physics of cells and packs: PyBaMM's models, integrated by IDAKLU, behind arrays in pack order."""

from .cell_equations import Mesh
from .cell_simulator import CellBatch, CellHistory, CellSimulator
from .charge_candidates import ChargeOutcome, simulate_charge
from .equation_cache import prepare_equations
from .pack_simulation import PackSimulation, PlantBlock, rest_block
from .pack_variation import PackVariation, draw_variation
from .parameter_sets import build_cell_parameters, rebuild_cell_parameters
from .parameters import CellParameters, Override, load_cell_parameters, open_circuit_voltage, open_circuit_voltage_slope
from .simulated_plant import PlantTruth, SimulatedPlant

__all__ = [
    "CellBatch",
    "CellHistory",
    "CellParameters",
    "CellSimulator",
    "ChargeOutcome",
    "Mesh",
    "Override",
    "PackSimulation",
    "PackVariation",
    "PlantBlock",
    "PlantTruth",
    "SimulatedPlant",
    "build_cell_parameters",
    "draw_variation",
    "load_cell_parameters",
    "open_circuit_voltage",
    "open_circuit_voltage_slope",
    "prepare_equations",
    "rebuild_cell_parameters",
    "rest_block",
    "simulate_charge",
]
