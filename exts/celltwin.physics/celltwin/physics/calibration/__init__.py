"""Cell models that follow measurements: measured curves in, parameter sets with their uncertainty out."""

from .base_sets import BASE_SETS, BaseSet, choose_base_set
from .base_sets_laws import ShapeCorrections
from .calibrate import CalibrationOptions, CalibrationResult, calibrate
from .calibrated_set import (
    ParameterUncertainty,
    build_calibrated_set,
    calibrated_values,
    read_calibrated_set,
    write_calibrated_set,
)
from .calibrated_set_check import check_written_set
from .calibrated_set_uncertainty import uncertainty_of
from .calibration_figures import CurveFigures, score_curve, score_curves, simulate_curve
from .calibration_problem import CalibrationProblem, CostOptions
from .cell_population import CellEvidence, Population, fit_population
from .cell_population_distribution import (
    CellPopulationDistribution,
    load_cell_distribution,
    pack_distribution,
    vary_pack,
)
from .cell_simulation import CellModel, CellSimulation, ModelOptions, SimulatedCurve
from .consistency import CalibrationAudit, audit_calibration
from .consistency_balance import BalanceLimits
from .consistency_check import CheckOutcome, ConsistencyCheck
from .consistency_flags import FitLimits
from .identifiability import DeterminedCombination, describe_identifiability, determined_combinations
from .online_recalibration import (
    OnlineRecalibration,
    RecalibrationOptions,
    RecalibrationResult,
    RecalibrationState,
    recalibrate_pack,
)
from .online_recalibration_window import (
    Excitation,
    TelemetryWindow,
    assess_window,
    window_of_blocks,
    window_of_curves,
    window_of_states,
)
from .optimisers import METHODS, OptimisationResult, Progress, minimise, register_method
from .parameter_space import FreeParameter, ParameterSpace
from .parameter_space_cell import cell_parameter_space, cell_shapes, physical_ranges, shape_parameter_space
from .posterior import ParameterPosterior, PosteriorOptions, posterior_at, posterior_of
from .posterior_discrepancy import Discrepancy, ParameterPrior
from .predictive import PredictiveCurve, PredictiveInterval, predict_curves
from .profile_likelihood import ProfileLikelihood, profile_likelihood
from .provenance import build_provenance_card
from .refit_cell import CellRefit, RefitOptions, SharedCell, refit_cell
from .refit_coordinates import CellCoordinate, CellPrior, cell_prior
from .sensitivity import CurveSensitivity, sobol_sensitivity

__all__ = [
    "BASE_SETS",
    "METHODS",
    "BalanceLimits",
    "BaseSet",
    "CalibrationAudit",
    "CalibrationOptions",
    "CalibrationProblem",
    "CalibrationResult",
    "CellCoordinate",
    "CellEvidence",
    "CellModel",
    "CellPopulationDistribution",
    "CellPrior",
    "CellRefit",
    "CellSimulation",
    "CheckOutcome",
    "ConsistencyCheck",
    "CostOptions",
    "CurveFigures",
    "CurveSensitivity",
    "DeterminedCombination",
    "Discrepancy",
    "Excitation",
    "FitLimits",
    "FreeParameter",
    "ModelOptions",
    "OnlineRecalibration",
    "OptimisationResult",
    "ParameterPosterior",
    "ParameterPrior",
    "ParameterSpace",
    "ParameterUncertainty",
    "Population",
    "PosteriorOptions",
    "PredictiveCurve",
    "PredictiveInterval",
    "ProfileLikelihood",
    "Progress",
    "RecalibrationOptions",
    "RecalibrationResult",
    "RecalibrationState",
    "RefitOptions",
    "ShapeCorrections",
    "SharedCell",
    "SimulatedCurve",
    "TelemetryWindow",
    "assess_window",
    "audit_calibration",
    "build_calibrated_set",
    "build_provenance_card",
    "calibrate",
    "calibrated_values",
    "cell_parameter_space",
    "cell_prior",
    "cell_shapes",
    "check_written_set",
    "choose_base_set",
    "describe_identifiability",
    "determined_combinations",
    "fit_population",
    "load_cell_distribution",
    "minimise",
    "pack_distribution",
    "physical_ranges",
    "posterior_at",
    "posterior_of",
    "predict_curves",
    "profile_likelihood",
    "read_calibrated_set",
    "recalibrate_pack",
    "refit_cell",
    "register_method",
    "score_curve",
    "score_curves",
    "shape_parameter_space",
    "simulate_curve",
    "sobol_sensitivity",
    "uncertainty_of",
    "vary_pack",
    "window_of_blocks",
    "window_of_curves",
    "window_of_states",
    "write_calibrated_set",
]
