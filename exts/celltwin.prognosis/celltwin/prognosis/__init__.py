"""Prognosis: state of health of every cell from its charge curve, with its uncertainty."""

from .charge_features import ChargeDoubt, ChargeFeatures, ChargeRecord
from .features import FEATURE_NAMES, REFERENCE_WINDOW, SAMPLING_DEPENDENT, ChargeWindow

__all__ = [
    "FEATURE_NAMES",
    "REFERENCE_WINDOW",
    "SAMPLING_DEPENDENT",
    "ChargeDoubt",
    "ChargeFeatures",
    "ChargeRecord",
    "ChargeWindow",
]
