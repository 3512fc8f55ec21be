"""Pack files: TOML to :class:`PackSpec`, with errors that name file, key and value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .errors import SpecError
from .layout import lay_out
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
from .recalibration_spec import RecalibrationSpec
from .spec_fields import FieldRule
from .spec_tables import read_number, read_table, reject_unknown, require_table, require_tables
from .spec_text import build_spec, read_spec_text

__all__ = ["load_pack", "parse_pack"]

_SECTIONS: dict[str, type] = {"cell": CellSpec, "layout": LayoutSpec, "busbar": BusbarSpec, "cooling": CoolingSpec}
_LISTS: dict[str, type] = {"sensors": SensorSpec, "mappings": DataMappingSpec}
_TOP = ("name", "title", "description", "source")
_GRID = ("count", "columns", "gap", "prefix")


def load_pack(path: str | Path) -> PackSpec:
    """Read a pack file.

    Numbers are SI, or texts with a unit such as ``"18.4 mm"``.

    Parameters
    ----------
    path : str or Path
        TOML file.

    Returns
    -------
    PackSpec
        The pack.

    Raises
    ------
    SpecError
        If the file is missing or not TOML, or a key is unknown, missing, of the wrong type or unit,
        out of bounds or used twice; the message names file, key and value.
    """
    path = Path(path)
    text = read_spec_text(path, "pack", "See data/packs for examples")
    return parse_pack(text, where=str(path), folder=path.parent)


def parse_pack(text: str, where: str = "<pack>", *, folder: Path | None = None) -> PackSpec:
    """Return the pack that a TOML text declares.

    Parameters
    ----------
    text : str
        The text.
    where : str
        Name of it in errors.
    folder : Path, optional
        Folder that the path of the cells' distribution starts from; the present one where absent.
    """
    return build_spec(text, where, lambda data: _build(data, folder or Path()))


def _build(data: dict[str, Any], folder: Path) -> PackSpec:
    known = (*_TOP, "topology", "modules", "recalibration", *_SECTIONS, *_LISTS)
    reject_unknown(data, known, "")
    for key in ("name", "title", "topology", "modules", *_SECTIONS):
        if key not in data:
            raise SpecError(f"{key} is missing", remedy="See data/packs/reference.toml for a complete pack")
    parts: dict[str, Any] = {
        key: read_table(PackSpec, {key: data[key]}, "", partial=True)[key] for key in _TOP if key in data
    }
    parts |= read_table(
        PackSpec, require_table(data, "topology"), "topology", partial=True, allowed=("series", "parallel", "strings")
    )
    for key in ("series", "parallel"):
        if key not in parts:
            raise SpecError(f"topology.{key} is missing", remedy="Give series groups and parallel cells of one module")
    for key, kind in _SECTIONS.items():
        parts[key] = kind(**read_table(kind, require_table(data, key), key))
    if "recalibration" in data:
        table = read_table(RecalibrationSpec, require_table(data, "recalibration"), "recalibration")
        parts["recalibration"] = RecalibrationSpec(**table)
    if parts["cell"].distribution.endswith(".json"):  # a name is looked up where the software lies
        path = str((folder / parts["cell"].distribution).resolve())
        parts["cell"] = replace(parts["cell"], distribution=path)
    for key, kind in _LISTS.items():
        parts[key] = tuple(
            kind(**read_table(kind, entry, f"{key}[{_name(entry, number)}]"))
            for number, entry in enumerate(require_tables(data, key))
        )
    if isinstance(data["modules"], list):
        parts["modules"] = tuple(
            ModuleSpec(**read_table(ModuleSpec, entry, f"modules[{_name(entry, number)}]"))
            for number, entry in enumerate(require_tables(data, "modules"))
        )
        return PackSpec(**parts)
    return _fill_grid(parts, require_table(data, "modules"))


def _fill_grid(parts: dict[str, Any], grid: dict[str, Any]) -> PackSpec:
    reject_unknown(grid, _GRID, "modules")
    count = _whole(grid, "count")
    columns = _whole(grid, "columns")
    gap = grid.get("gap")
    gap = read_number(gap, FieldRule(doc="Free space between modules.", unit="m", at_least=0.0), "modules.gap")
    prefix = grid.get("prefix", "M")
    placed = [ModuleSpec(id=f"{prefix}{index + 1:02d}", position=(0.0, 0.0, 0.0)) for index in range(count)]
    spec = PackSpec(**parts, modules=tuple(placed))
    size_x, size_y, _ = lay_out(spec).module_size
    rows = -(-count // columns)
    modules = []
    for index, module in enumerate(placed):
        row, column = divmod(index, columns)
        x = (column - (min(columns, count) - 1) / 2.0) * (size_x + gap)
        y = (row - (rows - 1) / 2.0) * (size_y + gap)
        modules.append(replace(module, position=(round(x, 6), round(y, 6), 0.0)))
    return replace(spec, modules=tuple(modules))


def _whole(grid: dict[str, Any], key: str) -> int:
    value = grid.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(
            f"modules.{key} = {value!r} is not a whole number of at least 1", remedy="Give the grid of modules its size"
        )
    return value


def _name(entry: dict[str, Any], number: int) -> str:
    return str(entry.get("id") or entry.get("channel") or number)
