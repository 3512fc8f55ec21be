"""Where the prims of a pack are."""

from __future__ import annotations

from celltwin.core import Level, PackSpec

__all__ = [
    "BUSBARS",
    "CELL",
    "COOLING",
    "HOUSING",
    "MATERIALS",
    "MODULES",
    "PROTOTYPES",
    "SENSORS",
    "cell_name",
    "group_name",
    "pack_path",
    "prim_paths",
]

HOUSING, BUSBARS, COOLING, CELL = "Housing", "Busbars", "Cooling", "Cell"
MODULES, SENSORS, MATERIALS, PROTOTYPES = "Modules", "Sensors", "Materials", "Prototypes"


def pack_path(spec: PackSpec) -> str:
    """Return the path of the pack's prim in a stage that :func:`celltwin.stage.build_pack_stage` built."""
    return f"/{spec.name}"


def group_name(group: int) -> str:
    """Return the name of a series group's prim; ``group`` counts from 0 within its module."""
    return f"G{group + 1:02d}"


def cell_name(cell: int) -> str:
    """Return the name of a cell's prim; ``cell`` counts from 0 within its group."""
    return f"C{cell + 1:02d}"


def prim_paths(spec: PackSpec, level: Level, root: str | None = None) -> tuple[str, ...]:
    """Return the paths of the prims of a level in pack order.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    level : Level
        Pack, module, group or cell.
    root : str, optional
        Path of the pack's prim, where it is not the root prim of its own stage.

    Returns
    -------
    tuple of str
        Such as ``"/reference/Modules/M03/G07/C12"``.
    """
    root = root or pack_path(spec)
    if level is Level.PACK:
        return (root,)
    return tuple(f"{root}/{MODULES}/{name.replace('.', '/')}" for name in spec.element_ids(level))
