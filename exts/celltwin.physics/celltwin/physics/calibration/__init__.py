"""Cell models that follow measurements: measured curves in, parameter sets with their uncertainty out."""

from .base_sets import BASE_SETS, BaseSet, choose_base_set
from .base_sets_laws import ShapeCorrections
from .calibrate import CalibrationOptions, CalibrationResult, calibrate
from .calibration_figures import CurveFigures, score_curve, score_curves, simulate_curve
from .calibration_problem import CalibrationProblem, CostOptions
from .cell_description import (
    CELL_CHEMISTRIES,
    CYLINDRICAL_FORMATS,
    CellDescription,
    ChemistryWindow,
    load_cell_description,
    parse_cell_description,
)
from .cell_simulation import CellModel, CellSimulation, ModelOptions, SimulatedCurve
from .curve_checks import check_curve, check_measured_set, require_usable
from .curve_checks_finding import CurveFinding, FindingLevel
from .measured_capacity import CapacitySpread, CellCapacities, capacity_spread, read_capacities
from .measured_curve import CURVE_KINDS, CurveSource, MeasuredCurve, MeasuredSet, MeasurementError
from .measured_readers import MEASURED_KINDS, list_cells, read_measured_set
from .measured_readers_mapping import ColumnRule, TableMapping, load_mapping, parse_mapping
from .measured_readers_records import OpenCircuitTable, read_lgm50_open_circuit
from .optimisers import METHODS, OptimisationResult, Progress, minimise, register_method
from .parameter_space import FreeParameter, ParameterSpace
from .parameter_space_cell import cell_parameter_space, cell_shapes, physical_ranges, shape_parameter_space

__all__ = [
    "BASE_SETS",
    "CELL_CHEMISTRIES",
    "CURVE_KINDS",
    "CYLINDRICAL_FORMATS",
    "MEASURED_KINDS",
    "METHODS",
    "BaseSet",
    "CalibrationOptions",
    "CalibrationProblem",
    "CalibrationResult",
    "CapacitySpread",
    "CellCapacities",
    "CellDescription",
    "CellModel",
    "CellSimulation",
    "ChemistryWindow",
    "ColumnRule",
    "CostOptions",
    "CurveFigures",
    "CurveFinding",
    "CurveSource",
    "FindingLevel",
    "FreeParameter",
    "MeasuredCurve",
    "MeasuredSet",
    "MeasurementError",
    "ModelOptions",
    "OpenCircuitTable",
    "OptimisationResult",
    "ParameterSpace",
    "Progress",
    "ShapeCorrections",
    "SimulatedCurve",
    "TableMapping",
    "calibrate",
    "capacity_spread",
    "cell_parameter_space",
    "cell_shapes",
    "check_curve",
    "check_measured_set",
    "choose_base_set",
    "list_cells",
    "load_cell_description",
    "load_mapping",
    "minimise",
    "parse_cell_description",
    "parse_mapping",
    "physical_ranges",
    "read_capacities",
    "read_lgm50_open_circuit",
    "read_measured_set",
    "register_method",
    "require_usable",
    "score_curve",
    "score_curves",
    "shape_parameter_space",
    "simulate_curve",
]
