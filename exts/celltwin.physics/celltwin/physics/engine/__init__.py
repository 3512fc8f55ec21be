"""The pack engine: thousands of coupled cells, batched in Warp kernels."""

from .cell_model import CellModel, ElectrodeModel, EquivalentCircuitModel, ThermalModel
from .cell_model_builder import build_cell_model
from .engine_history import EngineHistory
from .engine_options import CellPopulation, Drive, DriveKind, EngineOptions
from .engine_state import EngineState, load_state, save_state
from .network_builder import build_network, combine_networks, repeat_network
from .pack_build import build_pack_engine
from .pack_engine import PackEngine
from .pack_network import Circuit, HeatPaths, PackNetwork

__all__ = [
    "CellModel",
    "CellPopulation",
    "Circuit",
    "Drive",
    "DriveKind",
    "ElectrodeModel",
    "EngineHistory",
    "EngineOptions",
    "EngineState",
    "EquivalentCircuitModel",
    "HeatPaths",
    "PackEngine",
    "PackNetwork",
    "ThermalModel",
    "build_cell_model",
    "build_network",
    "build_pack_engine",
    "combine_networks",
    "load_state",
    "repeat_network",
    "save_state",
]
