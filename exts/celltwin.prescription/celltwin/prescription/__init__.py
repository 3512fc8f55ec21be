"""Tier 4: what to do, why, and what to expect of it."""

from .advice_readings import advice_readings
from .balancing import BalancingPlan, plan_balancing
from .prescriber import CandidatePrescriber, Prescriber
from .prescription_settings import PrescriptionSettings

__all__ = [
    "BalancingPlan",
    "CandidatePrescriber",
    "Prescriber",
    "PrescriptionSettings",
    "advice_readings",
    "plan_balancing",
]
