"""Remaining life: when a cell will reach its end of life, on which way, and how sure that is."""

from .end_of_life import MEDIAN_WINDOW, Arrivals, find_arrivals, running_median, typical_lives
from .life_folder import LifeModel, life_model_folder, read_life_model
from .life_inputs import LifeInputs, describe_cells, describe_past, input_names
from .life_kernel import LifeKernelSettings
from .life_network import LifeNetworkSettings
from .life_prediction import LifeDoubt, RemainingLife, days_at_present_use
from .life_predictor import LifePredictor
from .life_runs import BASELINES, LifeRun, run_lives
from .life_scores import LifeFigures, ScoredLives, score_lives
from .life_training import KINDS, LifeEnsemble, LifeSettings, train_life_ensemble

__all__ = [
    "BASELINES",
    "KINDS",
    "MEDIAN_WINDOW",
    "Arrivals",
    "LifeDoubt",
    "LifeEnsemble",
    "LifeFigures",
    "LifeInputs",
    "LifeKernelSettings",
    "LifeModel",
    "LifeNetworkSettings",
    "LifePredictor",
    "LifeRun",
    "LifeSettings",
    "RemainingLife",
    "ScoredLives",
    "days_at_present_use",
    "describe_cells",
    "describe_past",
    "find_arrivals",
    "input_names",
    "life_model_folder",
    "read_life_model",
    "run_lives",
    "running_median",
    "score_lives",
    "train_life_ensemble",
    "typical_lives",
]
