"""One running twin: its loop, its hosts, its recordings and its report."""

from .active import current_twin, set_current_twin
from .duty import Duty, DutyProgress, DutyStep, load_duty
from .settings import TwinSettings, settings_from

__all__ = [
    "Duty",
    "DutyProgress",
    "DutyStep",
    "TwinSettings",
    "current_twin",
    "load_duty",
    "set_current_twin",
    "settings_from",
]
