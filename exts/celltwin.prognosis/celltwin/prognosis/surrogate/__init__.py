"""A neural surrogate of the DFN with its temperature: thousands of cells at once, differentiable, flagged."""

from .campaign import CampaignSet, CampaignSettings, load_campaign, run_campaign
from .cell_inputs import CellInputs
from .cell_surrogate import CellSurrogate, SurrogateCourse
from .profiles import HELD_OUT_KINDS, TRAINING_KINDS, CurrentCourse, draw_course
from .surrogate_evaluation import RunErrors, score_surrogate
from .surrogate_folder import SurrogateModel, default_surrogate_folder
from .surrogate_module import CellTensors, SurrogateOutputs, SurrogateState, cell_tensors
from .surrogate_network import SurrogateSettings
from .training_run import TrainedSurrogate, train_surrogate

__all__ = [
    "HELD_OUT_KINDS",
    "TRAINING_KINDS",
    "CampaignSet",
    "CampaignSettings",
    "CellInputs",
    "CellSurrogate",
    "CellTensors",
    "CurrentCourse",
    "RunErrors",
    "SurrogateCourse",
    "SurrogateModel",
    "SurrogateOutputs",
    "SurrogateSettings",
    "SurrogateState",
    "TrainedSurrogate",
    "cell_tensors",
    "default_surrogate_folder",
    "draw_course",
    "load_campaign",
    "run_campaign",
    "score_surrogate",
    "train_surrogate",
]
