"""The pack engine: thousands of coupled cells, batched in Warp kernels."""

from .abuse_model import AbuseModel, AbuseReaction, SeparatorModel, VentModel
from .abuse_parameters import abuse_model
from .ageing import AgeingModel, LossModel, PlatingModel, SeiModel
from .ageing_parameters import ageing_model, build_ageing_model
from .ageing_reference import AgeingReference, simulate_ageing
from .ageing_state import AgeingState, LithiumLoss, lithium_loss, remaining_capacity
from .ageing_trajectory import AgeingTrajectory, OperatingHistory, age_along
from .cell_model import CellModel, ElectrodeModel, EquivalentCircuitModel, ThermalModel
from .cell_model_builder import build_cell_model
from .conservation import EnergyBalance
from .cycle_jump import run_cycles
from .cycle_jump_history import CycleHistory, CycleProgress
from .engine_history import EngineHistory
from .engine_options import CellPopulation, Drive, DriveKind, EngineOptions
from .engine_state import EngineState, load_state, save_state
from .equivalent_circuit import build_equivalent_circuit
from .equivalent_circuit_fit import CircuitFit, fit_equivalent_circuit, simulate_equivalent_circuit
from .gradients import DriveGradient, differentiate_drive
from .mechanics import MechanicsResult, evaluate_mechanics
from .mechanics_gauge import StrainGauge, calibrate_gauge, read_gauge
from .mechanics_model import CanForm, LayerForm, MechanicsModel, PressStacks
from .mechanics_parameters import build_mechanics_model, module_stacks, pack_mechanics
from .network_builder import build_network, combine_networks, repeat_network
from .pack_build import build_pack_engine
from .pack_engine import PackEngine
from .pack_network import Circuit, HeatPaths, PackNetwork
from .runaway_oven import OvenCell, OvenHistory, find_onset, oven_cell_cylindrical, simulate_oven_test
from .runaway_propagation import PropagationHistory, simulate_propagation

__all__ = [
    "AbuseModel",
    "AbuseReaction",
    "AgeingModel",
    "AgeingReference",
    "AgeingState",
    "AgeingTrajectory",
    "CanForm",
    "CellModel",
    "CellPopulation",
    "Circuit",
    "CircuitFit",
    "CycleHistory",
    "CycleProgress",
    "Drive",
    "DriveGradient",
    "DriveKind",
    "ElectrodeModel",
    "EnergyBalance",
    "EngineHistory",
    "EngineOptions",
    "EngineState",
    "EquivalentCircuitModel",
    "HeatPaths",
    "LayerForm",
    "LithiumLoss",
    "LossModel",
    "MechanicsModel",
    "MechanicsResult",
    "OperatingHistory",
    "OvenCell",
    "OvenHistory",
    "PackEngine",
    "PackNetwork",
    "PlatingModel",
    "PressStacks",
    "PropagationHistory",
    "SeiModel",
    "SeparatorModel",
    "StrainGauge",
    "ThermalModel",
    "VentModel",
    "abuse_model",
    "age_along",
    "ageing_model",
    "build_ageing_model",
    "build_cell_model",
    "build_equivalent_circuit",
    "build_mechanics_model",
    "build_network",
    "build_pack_engine",
    "calibrate_gauge",
    "combine_networks",
    "differentiate_drive",
    "evaluate_mechanics",
    "find_onset",
    "fit_equivalent_circuit",
    "lithium_loss",
    "load_state",
    "module_stacks",
    "oven_cell_cylindrical",
    "pack_mechanics",
    "read_gauge",
    "remaining_capacity",
    "repeat_network",
    "run_cycles",
    "save_state",
    "simulate_ageing",
    "simulate_equivalent_circuit",
    "simulate_oven_test",
    "simulate_propagation",
]
