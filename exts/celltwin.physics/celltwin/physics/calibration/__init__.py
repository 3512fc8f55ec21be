"""Cell models that follow measurements: measured curves in, parameter sets with their uncertainty out."""

from .cell_description import (
    CELL_CHEMISTRIES,
    CYLINDRICAL_FORMATS,
    CellDescription,
    ChemistryWindow,
    load_cell_description,
    parse_cell_description,
)
from .measured_curve import CURVE_KINDS, CurveSource, MeasuredCurve, MeasuredSet, MeasurementError
from .measured_readers import MEASURED_KINDS, read_measured_set

__all__ = [
    "CELL_CHEMISTRIES",
    "CURVE_KINDS",
    "CYLINDRICAL_FORMATS",
    "MEASURED_KINDS",
    "CellDescription",
    "ChemistryWindow",
    "CurveSource",
    "MeasuredCurve",
    "MeasuredSet",
    "MeasurementError",
    "load_cell_description",
    "parse_cell_description",
    "read_measured_set",
]
