"""How sure a prediction is: energy of a mixture, spread between cells, conformal intervals, flags."""

from .cell_bags import BaggedModel, SohWithSpread, fit_bagged_model
from .dagmm_training import DagmmSettings, dagmm_energy, train_dagmm, untrained_dagmm
from .error_scale import ErrorScale
from .perturbation import add_noise, hide_features
from .trust_export import export_trust, trust_module
from .trust_model import Surroundings, TrustAssessment, TrustCalibration, TrustModel
from .trust_training import HeldOut, TrustSettings, calibrate_trust, hold_out, learn_surroundings
from .window_trust import SERVED_TRUST, train_window_trust

__all__ = [
    "SERVED_TRUST",
    "BaggedModel",
    "DagmmSettings",
    "ErrorScale",
    "HeldOut",
    "SohWithSpread",
    "Surroundings",
    "TrustAssessment",
    "TrustCalibration",
    "TrustModel",
    "TrustSettings",
    "add_noise",
    "calibrate_trust",
    "dagmm_energy",
    "export_trust",
    "fit_bagged_model",
    "hide_features",
    "hold_out",
    "learn_surroundings",
    "train_dagmm",
    "train_window_trust",
    "trust_module",
    "untrained_dagmm",
]
