"""Vocabulary of the suite: units, quantities, packs, readings, and the protocols between tiers."""

from .arrays import Array, Flags, freeze, require_shape
from .background import BackgroundWorker
from .cell_values import cell_values
from .channels import Channel, expand_channels
from .errors import (
    CelltwinError,
    ModelError,
    PlantError,
    RecordingError,
    SettingsError,
    ShapeError,
    SpecError,
    StageError,
    TelemetryError,
)
from .identity import CELLTWIN_NAMESPACE, element_uuid
from .interfaces import Advice, Command, Mode, Plant, Recorder, SampleBlock, SampleFault, TelemetrySource
from .layout import PackLayout, lay_out
from .pack_file import load_pack, parse_pack
from .pack_spec import (
    BusbarSpec,
    CellSpec,
    CoolingSpec,
    DataMappingSpec,
    LayoutSpec,
    ModuleSpec,
    PackSpec,
    SensorSpec,
)
from .quantities import QUANTITIES, Kind, Level, Quality, Quantity, find_quantity
from .readings import Alarm, PackState, Reading, ReadingKey, Severity
from .spec_fields import FieldRule, field_rules, spec_field
from .spec_tables import read_number, read_table, reject_unknown, require_table, require_tables
from .units import SECONDS_PER_HOUR, ZERO_CELSIUS, convert_to, parse_quantity, unit_conversion

__all__ = [
    "CELLTWIN_NAMESPACE",
    "QUANTITIES",
    "SECONDS_PER_HOUR",
    "ZERO_CELSIUS",
    "Advice",
    "Alarm",
    "Array",
    "BackgroundWorker",
    "BusbarSpec",
    "CellSpec",
    "CelltwinError",
    "Channel",
    "Command",
    "CoolingSpec",
    "DataMappingSpec",
    "FieldRule",
    "Flags",
    "Kind",
    "LayoutSpec",
    "Level",
    "Mode",
    "ModelError",
    "ModuleSpec",
    "PackLayout",
    "PackSpec",
    "PackState",
    "Plant",
    "PlantError",
    "Quality",
    "Quantity",
    "Reading",
    "ReadingKey",
    "Recorder",
    "RecordingError",
    "SampleBlock",
    "SampleFault",
    "SensorSpec",
    "SettingsError",
    "Severity",
    "ShapeError",
    "SpecError",
    "StageError",
    "TelemetryError",
    "TelemetrySource",
    "cell_values",
    "convert_to",
    "element_uuid",
    "expand_channels",
    "field_rules",
    "find_quantity",
    "freeze",
    "lay_out",
    "load_pack",
    "parse_pack",
    "parse_quantity",
    "read_number",
    "read_table",
    "reject_unknown",
    "require_shape",
    "require_table",
    "require_tables",
    "spec_field",
    "unit_conversion",
]
