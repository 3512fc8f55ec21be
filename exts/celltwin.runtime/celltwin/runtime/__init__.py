"""One running twin: its loop, its hosts, its recordings and its report."""

from .active import current_twin, set_current_twin
from .settings import TwinSettings, settings_from

__all__ = [
    "TwinSettings",
    "current_twin",
    "set_current_twin",
    "settings_from",
]
