"""The pack engine: thousands of coupled cells, batched in Warp kernels."""

from .cell_model import CellModel, ElectrodeModel, EquivalentCircuitModel, ThermalModel
from .cell_model_builder import build_cell_model

__all__ = ["CellModel", "ElectrodeModel", "EquivalentCircuitModel", "ThermalModel", "build_cell_model"]
