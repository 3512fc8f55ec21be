"""Reading a pack's specification back from the authored attributes of its prims."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

from pxr import Gf, Sdf, Tf, Usd, UsdGeom

from celltwin.core import (
    QUANTITIES,
    BusbarSpec,
    CellSpec,
    CoolingSpec,
    DataMappingSpec,
    LayoutSpec,
    ModuleSpec,
    PackSpec,
    RecalibrationSpec,
    SensorSpec,
    SpecError,
    StageError,
    field_rules,
)
from celltwin.schema import camel_case

from .layer_files import describe_usd_error

__all__ = ["find_pack", "has_pack", "module_prims", "open_pack_stage", "read_pack", "sensor_prims"]

_QUANTITY_KEYS = {quantity.usd_name: quantity.key for quantity in QUANTITIES.values()}
_BUILD_REMEDY = "Build a stage with 'celltwin pack build FILE', or apply the battery schemas"
_TILT = 1e-6


def open_pack_stage(path: str | Path) -> Usd.Stage:
    """Open a USD file that holds a pack.

    Raises
    ------
    StageError
        If the file is missing or not USD, or no prim of it is a pack.
    """
    path = Path(path)
    if not path.exists():
        raise StageError("there is no such stage", where=str(path), remedy=_BUILD_REMEDY)
    try:
        stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise StageError(
            f"not a USD file ({describe_usd_error(error)})",
            where=str(path),
            remedy="Give a .usd, .usda or .usdc file",
        ) from None
    find_pack(stage)
    return stage


def has_pack(stage: Usd.Stage) -> bool:
    """Return whether a prim of the stage is a pack."""
    try:
        find_pack(stage)
    except StageError:
        return False
    return True


def find_pack(stage: Usd.Stage) -> Usd.Prim:
    """Return the pack's prim: the default prim if it is a pack, else the first pack on the stage.

    Raises
    ------
    StageError
        If no prim has BatteryPackAPI.
    """
    default = stage.GetDefaultPrim()
    if default and _has(default, "BatteryPackAPI"):
        return default
    for prim in stage.Traverse():
        if _has(prim, "BatteryPackAPI"):
            return prim
    place = default.GetPath() if default else Sdf.Path.absoluteRootPath
    raise StageError(
        "neither this prim nor one below it is a battery pack: no BatteryPackAPI is applied",
        where=f"{stage.GetRootLayer().identifier} {place}",
        remedy=_BUILD_REMEDY,
    )


def module_prims(pack: Usd.Prim) -> list[Usd.Prim]:
    """Return the prims of the pack's modules in pack order."""
    found = [prim for prim in _parts(pack) if _has(prim, "BatteryModuleAPI") and not prim.IsAbstract()]
    return sorted(found, key=lambda prim: _value(prim, "battery:index"))


def sensor_prims(pack: Usd.Prim) -> list[Usd.Prim]:
    """Return the prims that declare the pack's sensors, in their order."""
    return [prim for prim in _parts(pack) if _instance_names(prim, "BatterySensorAPI")]


def read_pack(stage: Usd.Stage) -> PackSpec:
    """Return the pack that a stage holds, from the attributes and transforms of its prims.

    Parameters
    ----------
    stage : Usd.Stage
        A stage that :func:`celltwin.stage.build_pack_stage` built, edited or not, at any place of a larger scene.

    Returns
    -------
    PackSpec
        Equal to the specification that the stage was built from, with all edits.

    Raises
    ------
    StageError
        If there is no pack, or a prim lacks a schema or an attribute, or holds an impossible value;
        the message names prim and attribute.
    """
    pack = find_pack(stage)
    modules = module_prims(pack)
    if not modules:
        raise StageError(
            "the pack has no module: no prim below it has BatteryModuleAPI",
            where=str(pack.GetPath()),
            remedy=_BUILD_REMEDY,
        )
    parts = {
        key: _read_part(pack, kind, schema, prefix)
        for key, kind, schema, prefix in (
            ("cell", CellSpec, "BatteryCellTypeAPI", "battery:cellType"),
            ("layout", LayoutSpec, "BatteryLayoutAPI", "battery:layout"),
            ("busbar", BusbarSpec, "BatteryBusbarAPI", "battery:busbar"),
            ("cooling", CoolingSpec, "BatteryCoolingAPI", "battery:cooling"),
        )
    }
    sensors = sensor_prims(pack)
    mappings: dict[str, DataMappingSpec] = {}
    specs = []
    for prim in sensors:
        own = _read_sensors(prim)
        specs.extend(own)
        for mapping in _read_mappings(prim, own):
            mappings[mapping.channel] = mapping
    order = [str(channel) for channel in pack.GetAttribute("battery:channels").Get() or ()]
    channels = [name for name in order if name in mappings] + [name for name in mappings if name not in order]
    values = _read_fields(pack, PackSpec, "battery", leave_out=("name",))
    return _build(
        PackSpec,
        pack,
        {
            **values,
            **parts,
            "name": _value(pack, "battery:id"),
            "recalibration": _build(
                RecalibrationSpec, pack, _read_fields(pack, RecalibrationSpec, "battery:recalibration")
            ),
            "modules": tuple(_read_module(prim) for prim in modules),
            "sensors": tuple(specs),
            "mappings": tuple(mappings[name] for name in channels),
        },
    )


def _parts(pack: Usd.Prim) -> list[Usd.Prim]:
    """Return all prims of a pack, abstract ones too, but none inside a module."""
    found = []
    walk = iter(Usd.PrimRange(pack, Usd.PrimIsActive & Usd.PrimIsLoaded & Usd.PrimIsDefined))
    for prim in walk:
        found.append(prim)
        if _has(prim, "BatteryModuleAPI") or prim.IsInstance():
            walk.PruneChildren()
    return found


def _has(prim: Usd.Prim, schema: str) -> bool:
    return schema in prim.GetPrimTypeInfo().GetAppliedAPISchemas()


def _instance_names(prim: Usd.Prim, schema: str) -> list[str]:
    start = f"{schema}:"
    applied = prim.GetPrimTypeInfo().GetAppliedAPISchemas()
    return [str(name).removeprefix(start) for name in applied if str(name).startswith(start)]


def _value(prim: Usd.Prim, name: str) -> Any:
    value = prim.GetAttribute(name).Get()
    if value is None:
        raise StageError(f"the attribute {name} has no value", where=str(prim.GetPath()), remedy=_BUILD_REMEDY)
    return value


def _read_part(pack: Usd.Prim, kind: type, schema: str, prefix: str) -> Any:
    for prim in _parts(pack):
        if _has(prim, schema):
            return _build(kind, prim, _read_fields(prim, kind, prefix))
    raise StageError(f"no prim of the pack has {schema}", where=str(pack.GetPath()), remedy=_BUILD_REMEDY)


def _read_fields(prim: Usd.Prim, kind: type, prefix: str, *, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    types = get_type_hints(kind)
    defaults = {item.name: item.default for item in fields(kind)}
    values = {}
    for field, rule in field_rules(kind):
        if field in leave_out:
            continue
        name = f"{prefix}:{camel_case(field)}"
        value = prim.GetAttribute(name).Get()
        if value is None:
            if defaults[field] is MISSING:
                raise StageError(
                    f"the attribute {name} has no value", where=str(prim.GetPath()), remedy=f"Author it: {rule.doc}"
                )
            continue
        try:
            values[field] = _from_usd(value, types[field])
        except (TypeError, ValueError):
            raise StageError(
                f"the attribute {name} = {value!r} is not of its type", where=str(prim.GetPath()), remedy=rule.doc
            ) from None
    return values


def _from_usd(value: Any, kind: Any) -> Any:
    if kind == tuple[float, float, float]:
        x, y, z = (float(item) for item in value)
        return (x, y, z)
    if kind == tuple[int, ...]:
        return tuple(int(item) for item in value)
    if kind in (float, int) and isinstance(value, str):
        raise TypeError(value)
    return kind(value)


def _build[T](kind: type[T], prim: Usd.Prim, values: dict[str, Any]) -> T:
    try:
        return kind(**values)
    except SpecError as error:
        raise StageError(error.message, where=str(prim.GetPath()), remedy=error.remedy) from None


def _read_sensors(prim: Usd.Prim) -> list[SensorSpec]:
    sensors = []
    for name in _instance_names(prim, "BatterySensorAPI"):
        if name not in _QUANTITY_KEYS:
            raise StageError(
                f"BatterySensorAPI:{name} names no quantity",
                where=str(prim.GetPath()),
                remedy=f"Use one of {', '.join(sorted(_QUANTITY_KEYS))}",
            )
        values = _read_fields(prim, SensorSpec, f"battery:sensor:{name}", leave_out=("quantity",))
        sensors.append(_build(SensorSpec, prim, {**values, "quantity": _QUANTITY_KEYS[name]}))
    return sensors


def _read_mappings(prim: Usd.Prim, sensors: list[SensorSpec]) -> list[DataMappingSpec]:
    mappings = []
    for channel in _instance_names(prim, "BatteryDataMappingAPI"):
        values = _read_fields(prim, DataMappingSpec, f"battery:mapping:{channel}", leave_out=("channel", "sensor"))
        mappings.append(_build(DataMappingSpec, prim, {**values, "channel": channel, "sensor": sensors[0].id}))
    return mappings


def _read_module(prim: Usd.Prim) -> ModuleSpec:
    position, heading = _placement(prim)
    return _build(ModuleSpec, prim, {"id": _value(prim, "battery:id"), "position": position, "heading": heading})


def _placement(prim: Usd.Prim) -> tuple[tuple[float, float, float], float]:
    """Return position [m] and heading [degrees], exactly as authored where the usual operations are used."""
    operations = UsdGeom.Xformable(prim).GetOrderedXformOps()
    names = [operation.GetOpName() for operation in operations]
    if names == ["xformOp:translate", "xformOp:rotateZ"]:
        x, y, z = operations[0].Get() or (0.0, 0.0, 0.0)
        return (float(x), float(y), float(z)), float(operations[1].Get() or 0.0)
    matrix = UsdGeom.Xformable(prim).GetLocalTransformation()
    rotation = matrix.ExtractRotationMatrix()
    upright = Gf.Vec3d(rotation.GetRow(2)) - Gf.Vec3d(0.0, 0.0, 1.0)
    stretched = max(abs(matrix.GetRow3(row).GetLength() - 1.0) for row in range(3))
    if upright.GetLength() > _TILT or stretched > _TILT:
        raise StageError(
            "the module is tilted or scaled: a pack's modules only move and turn about z",
            where=str(prim.GetPath()),
            remedy="Undo it, or place the module with celltwin.stage.move_module",
        )
    ahead = rotation.GetRow(0)
    x, y, z = matrix.ExtractTranslation()
    return (float(x), float(y), float(z)), math.degrees(math.atan2(ahead[1], ahead[0]))
