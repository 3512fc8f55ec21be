"""Campaigns: designed experiments of scenarios, on this machine or on a Ray cluster."""

from .batch import RunResult
from .campaign import Campaign, Outputs, RunRequest
from .campaign_file import load_campaign, parse_campaign
from .campaign_run import CampaignProgress, CampaignRun
from .design import Design, Factor, design_points
from .results import read_runs

__all__ = [
    "Campaign",
    "CampaignProgress",
    "CampaignRun",
    "Design",
    "Factor",
    "Outputs",
    "RunRequest",
    "RunResult",
    "design_points",
    "load_campaign",
    "parse_campaign",
    "read_runs",
]
