"""Models of health in another fleet, and models that go on learning: fine-tuning, replay, and who is promoted."""

from .continual import Candidate, ContinualLearner, ContinualSettings
from .fine_tuning import TuningRecipe, digest_networks, tune_networks
from .fleet_views import FLEET_VIEWS, FleetView
from .forgetting import StreamRun, StreamSettings, run_stream
from .promotion import Answers, PromotionCheck, PromotionRules, PromotionVerdict, judge_promotion
from .replay_memory import ReplayMemory, join_windows
from .soh_update import UpdateOutcome, begin_learner, update_learner
from .transfer_cases import FewLabels, TransferCase, between_fleets, between_protocols
from .transfer_figures import MethodFigures, score_methods
from .transfer_methods import METHODS, Configuration, TransferSettings
from .transfer_runs import BudgetPredictions, run_transfer
from .update_intervals import leave_one_out_answers

__all__ = [
    "FLEET_VIEWS",
    "METHODS",
    "Answers",
    "BudgetPredictions",
    "Candidate",
    "Configuration",
    "ContinualLearner",
    "ContinualSettings",
    "FewLabels",
    "FleetView",
    "MethodFigures",
    "PromotionCheck",
    "PromotionRules",
    "PromotionVerdict",
    "ReplayMemory",
    "StreamRun",
    "StreamSettings",
    "TransferCase",
    "TransferSettings",
    "TuningRecipe",
    "UpdateOutcome",
    "begin_learner",
    "between_fleets",
    "between_protocols",
    "digest_networks",
    "join_windows",
    "judge_promotion",
    "leave_one_out_answers",
    "run_stream",
    "run_transfer",
    "score_methods",
    "tune_networks",
    "update_learner",
]
