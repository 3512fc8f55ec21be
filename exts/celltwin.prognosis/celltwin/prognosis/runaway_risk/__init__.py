"""Risk of thermal runaway of every cell, from what is estimated of the pack."""

from .predictor import RiskAssessment, RunawayRiskPredictor
from .risk_priors import RiskPriors, parse_priors
from .rollout_campaign import HORIZONS

__all__ = ["HORIZONS", "RiskAssessment", "RiskPriors", "RunawayRiskPredictor", "parse_priors"]
