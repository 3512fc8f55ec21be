"""Prognosis: state of health of every cell from its charge curve, with its uncertainty."""

from .charge_features import ChargeDoubt, ChargeFeatures, ChargeRecord
from .charge_history import CellPasts, ChargeHistory
from .charge_history_files import HISTORY_FILE, open_history, save_history
from .conformal import cell_quantile
from .cycles import CellCycles, CycleDataError, CycleSet, load_cycles
from .evaluation import ProtocolFigures, evaluate_ensemble
from .features import FEATURE_NAMES, REFERENCE_WINDOW, SAMPLING_DEPENDENT, ChargeWindow
from .model_folder import SohModel, default_model_folder, read_model
from .network import NetworkSettings
from .pack_health import combine_health, combine_uncertain
from .pack_life import PackLife
from .pack_prognosis import PackPrognosis
from .pack_soh import PackSoh
from .past_windows import PastWindows, window_cycles
from .protocols import PROTOCOL_NAMES, EvaluationFold, EvaluationProtocol, evaluation_protocol
from .remaining_life import (
    LifePredictor,
    LifeSettings,
    RemainingLife,
    days_at_present_use,
    describe_cells,
    find_arrivals,
)
from .runaway_risk import RiskAssessment, RiskPriors, RunawayRiskPredictor
from .scaling import InputScaling, Territory, fit_scaling, fit_territory
from .soh_predictor import SohPrediction, SohPredictor
from .soh_training import Calibration, SohEnsemble, SohSettings, train_ensemble
from .splits import Split, published_split
from .system_health import CellEstimates, LevelHealth, SystemHealth, SystemHealthError, assess_system_health
from .training_run import TrainedSoh, train_soh
from .window_model import WindowModel, default_window_folder, read_window_model
from .window_predictor import WindowPredictor, WindowSoh

__all__ = [
    "FEATURE_NAMES",
    "HISTORY_FILE",
    "PROTOCOL_NAMES",
    "REFERENCE_WINDOW",
    "SAMPLING_DEPENDENT",
    "Calibration",
    "CellCycles",
    "CellEstimates",
    "CellPasts",
    "ChargeDoubt",
    "ChargeFeatures",
    "ChargeHistory",
    "ChargeRecord",
    "ChargeWindow",
    "CycleDataError",
    "CycleSet",
    "EvaluationFold",
    "EvaluationProtocol",
    "InputScaling",
    "LevelHealth",
    "LifePredictor",
    "LifeSettings",
    "NetworkSettings",
    "PackLife",
    "PackPrognosis",
    "PackSoh",
    "PastWindows",
    "ProtocolFigures",
    "RemainingLife",
    "RiskAssessment",
    "RiskPriors",
    "RunawayRiskPredictor",
    "SohEnsemble",
    "SohModel",
    "SohPrediction",
    "SohPredictor",
    "SohSettings",
    "Split",
    "SystemHealth",
    "SystemHealthError",
    "Territory",
    "TrainedSoh",
    "WindowModel",
    "WindowPredictor",
    "WindowSoh",
    "assess_system_health",
    "cell_quantile",
    "combine_health",
    "combine_uncertain",
    "days_at_present_use",
    "default_model_folder",
    "default_window_folder",
    "describe_cells",
    "evaluate_ensemble",
    "evaluation_protocol",
    "find_arrivals",
    "fit_scaling",
    "fit_territory",
    "load_cycles",
    "open_history",
    "published_split",
    "read_model",
    "read_window_model",
    "save_history",
    "train_ensemble",
    "train_soh",
    "window_cycles",
]
