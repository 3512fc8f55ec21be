"""The USD stage of a pack: built from its specification, read back, edited, checked, and fed with live values."""

from pxr.Usd import Stage

from celltwin.schema import register_schemas

# USD lists its schemas once in a process: ours must be known before the first stage is opened.
register_schemas()

from .build import build_pack, build_pack_stage  # noqa: E402
from .check import check_pack, check_structure  # noqa: E402
from .edit import add_module, add_sensor, move_module, remove_module, save_stage  # noqa: E402
from .findings import Finding, FindingSeverity  # noqa: E402
from .heat_map import HeatMap, Legend, map_colours  # noqa: E402
from .live_layer import LiveLayer  # noqa: E402
from .picture import render_pack  # noqa: E402
from .read import find_pack, open_pack_stage, read_pack  # noqa: E402
from .scene_paths import pack_path, prim_paths  # noqa: E402
from .stage_recorder import StageRecorder  # noqa: E402

__all__ = [
    "Finding",
    "FindingSeverity",
    "HeatMap",
    "Legend",
    "LiveLayer",
    "Stage",
    "StageRecorder",
    "add_module",
    "add_sensor",
    "build_pack",
    "build_pack_stage",
    "check_pack",
    "check_structure",
    "find_pack",
    "map_colours",
    "move_module",
    "open_pack_stage",
    "pack_path",
    "prim_paths",
    "read_pack",
    "remove_module",
    "render_pack",
    "save_stage",
]
