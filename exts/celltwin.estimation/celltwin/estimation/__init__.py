"""Tier 2: what is so, estimated from what is measured, and which limits it crosses."""

from .alarm_monitor import AlarmMonitor
from .assimilator import Assimilator
from .group_filter import FilterSettings
from .limits import AlarmBands, Band, check_limits
from .ocv_table import OcvTable
from .series_charge import combine_series
from .temperature_field import FieldSettings, TemperatureField, locate_sensors
from .weak_groups import GroupEvidence, GroupRank, weakest_groups

__all__ = [
    "AlarmBands",
    "AlarmMonitor",
    "Assimilator",
    "Band",
    "FieldSettings",
    "FilterSettings",
    "GroupEvidence",
    "GroupRank",
    "OcvTable",
    "TemperatureField",
    "check_limits",
    "combine_series",
    "locate_sensors",
    "weakest_groups",
]
