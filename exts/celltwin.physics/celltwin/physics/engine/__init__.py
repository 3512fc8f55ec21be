"""The pack engine: thousands of coupled cells, batched in Warp kernels."""

from .cell_model import CellModel, ElectrodeModel, EquivalentCircuitModel, ThermalModel
from .cell_model_builder import build_cell_model
from .engine_history import EngineHistory
from .engine_options import CellPopulation, Drive, DriveKind, EngineOptions
from .engine_state import EngineState, load_state, save_state
from .equivalent_circuit import build_equivalent_circuit
from .equivalent_circuit_fit import CircuitFit, fit_equivalent_circuit, simulate_equivalent_circuit
from .mechanics import MechanicsResult, evaluate_mechanics
from .mechanics_gauge import StrainGauge, calibrate_gauge, read_gauge
from .mechanics_model import CanForm, LayerForm, MechanicsModel, PressStacks
from .mechanics_parameters import build_mechanics_model, module_stacks, pack_mechanics
from .network_builder import build_network, combine_networks, repeat_network
from .pack_build import build_pack_engine
from .pack_engine import PackEngine
from .pack_network import Circuit, HeatPaths, PackNetwork

__all__ = [
    "CanForm",
    "CellModel",
    "CellPopulation",
    "Circuit",
    "CircuitFit",
    "Drive",
    "DriveKind",
    "ElectrodeModel",
    "EngineHistory",
    "EngineOptions",
    "EngineState",
    "EquivalentCircuitModel",
    "HeatPaths",
    "LayerForm",
    "MechanicsModel",
    "MechanicsResult",
    "PackEngine",
    "PackNetwork",
    "PressStacks",
    "StrainGauge",
    "ThermalModel",
    "build_cell_model",
    "build_equivalent_circuit",
    "build_mechanics_model",
    "build_network",
    "build_pack_engine",
    "calibrate_gauge",
    "combine_networks",
    "evaluate_mechanics",
    "fit_equivalent_circuit",
    "load_state",
    "module_stacks",
    "pack_mechanics",
    "read_gauge",
    "repeat_network",
    "save_state",
    "simulate_equivalent_circuit",
]
