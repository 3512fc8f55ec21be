"""What cyclers and chambers wrote: measured curves of a cell, read as published, checked, and described."""

from .capacity import CapacitySpread, CellCapacities, capacity_spread, read_capacities
from .cell_description import (
    CELL_CHEMISTRIES,
    CYLINDRICAL_FORMATS,
    CellDescription,
    ChemistryWindow,
    load_cell_description,
    parse_cell_description,
)
from .curve import CURVE_KINDS, CurveSource, MeasuredCurve, MeasuredSet, MeasurementError
from .curve_checks import check_curve, check_measured_set, require_usable
from .curve_checks_finding import CurveFinding, FindingLevel
from .readers import MEASURED_KINDS, list_cells, read_measured_set
from .readers_mapping import ColumnRule, TableMapping, load_mapping, parse_mapping
from .readers_records import OpenCircuitTable, read_lgm50_open_circuit

__all__ = [
    "CELL_CHEMISTRIES",
    "CURVE_KINDS",
    "CYLINDRICAL_FORMATS",
    "MEASURED_KINDS",
    "CapacitySpread",
    "CellCapacities",
    "CellDescription",
    "ChemistryWindow",
    "ColumnRule",
    "CurveFinding",
    "CurveSource",
    "FindingLevel",
    "MeasuredCurve",
    "MeasuredSet",
    "MeasurementError",
    "OpenCircuitTable",
    "TableMapping",
    "capacity_spread",
    "check_curve",
    "check_measured_set",
    "list_cells",
    "load_cell_description",
    "load_mapping",
    "parse_cell_description",
    "parse_mapping",
    "read_capacities",
    "read_lgm50_open_circuit",
    "read_measured_set",
    "require_usable",
]
