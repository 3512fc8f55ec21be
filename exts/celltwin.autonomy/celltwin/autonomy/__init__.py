"""Tier 5: decide what the pack does, always behind limits that need no model."""

from .current_limits import ShieldSettings
from .decision import decide
from .shield import Shield

__all__ = ["Shield", "ShieldSettings", "decide"]
