"""Editing a pack on its stage: the specification that is read afterwards is the edited one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pxr import Sdf, Usd

from celltwin.core import DataMappingSpec, Level, ModuleSpec, PackSpec, SensorSpec, SpecError, StageError

from .authoring import find_prim, put_attribute, put_placement, put_targets
from .build import add_module_prim
from .layer_files import save_layer_as
from .read import find_pack, module_prims, read_pack, sensor_prims
from .scene_paths import MODULES, SENSORS, cell_name, group_name, prim_paths
from .sensors import carried_sensors, marker_names, put_pack_extents, put_sensors

__all__ = ["add_module", "add_sensor", "move_module", "remove_module", "save_stage"]


def move_module(
    stage: Usd.Stage, module_id: str, position: tuple[float, float, float], heading: float | None = None
) -> PackSpec:
    """Place a module anew.

    Parameters
    ----------
    stage : Usd.Stage
        Stage with a pack; its edit target is written to.
    module_id : str
        Id of the module.
    position : tuple of float
        Centre of the module's floor in the pack's frame [m].
    heading : float, optional
        Rotation about z [degrees], anticlockwise; as it was if None.

    Returns
    -------
    PackSpec
        The pack after the edit.

    Raises
    ------
    StageError
        If the stage has no pack or the pack no such module.
    """
    spec, pack = read_pack(stage), find_pack(stage)
    old = _find_module(spec, pack, module_id)
    x, y, z = (float(value) for value in position)
    new = _edited(
        pack, lambda: replace(old, position=(x, y, z), heading=old.heading if heading is None else float(heading))
    )
    edited = spec.with_modules(tuple(new if module.id == module_id else module for module in spec.modules))
    prim = _module_prim(pack, module_id)
    layer = _edit_layer(stage)
    with Sdf.ChangeBlock():
        put_placement(find_prim(layer, prim.GetPath()), new.position, new.heading)
        put_pack_extents(layer, pack.GetPath(), edited)
    return edited


def remove_module(stage: Usd.Stage, module_id: str) -> PackSpec:
    """Remove a module with its cells; those after it move up in pack order, and keep id and UUID.

    Sensors on some elements follow their element; a sensor that loses all of them goes, with its data mappings.

    Parameters
    ----------
    stage : Usd.Stage
        Stage with a pack; its edit target is written to.
    module_id : str
        Id of the module.

    Returns
    -------
    PackSpec
        The pack after the edit.

    Raises
    ------
    StageError
        If the stage has no pack or the pack no such module, or it is the only one.
    """
    spec, pack = read_pack(stage), find_pack(stage)
    _find_module(spec, pack, module_id)
    kept = tuple(module for module in spec.modules if module.id != module_id)
    if not kept:
        raise StageError(
            f"{module_id!r} is the only module of the pack",
            where=str(pack.GetPath()),
            remedy="Add another module before, or remove the pack",
        )
    edited: PackSpec = _edited(pack, lambda: spec.with_modules(kept))
    _remove_prim(stage, _module_prim(pack, module_id).GetPath())
    _apply(stage, pack, edited, renumber=True)
    return edited


def add_module(stage: Usd.Stage, module: ModuleSpec) -> PackSpec:
    """Add a module at the end of the pack's order, with all its cells.

    Parameters
    ----------
    stage : Usd.Stage
        Stage with a pack; its edit target is written to.
    module : ModuleSpec
        Id and place of the module.

    Returns
    -------
    PackSpec
        The pack after the edit.

    Raises
    ------
    StageError
        If the stage has no pack, or its pack a module of that id.
    """
    spec, pack = read_pack(stage), find_pack(stage)
    edited: PackSpec = _edited(pack, lambda: spec.with_modules((*spec.modules, module)))
    parent = pack.GetPath().AppendChild(MODULES)
    layer = _edit_layer(stage)
    hidden = bool(stage.GetPrimAtPath(parent.AppendChild(module.id)))
    with Sdf.ChangeBlock():
        holder = find_prim(layer, parent)
        if module.id in holder.nameChildren:
            del holder.nameChildren[module.id]  # what is left of a module that was taken out here
        prim = add_module_prim(holder, pack.GetPath(), edited, module, len(spec.modules))
        if hidden:
            prim.SetInfo("active", True)
    _apply(stage, pack, edited)
    return edited


def add_sensor(stage: Usd.Stage, sensor: SensorSpec, *mappings: DataMappingSpec) -> PackSpec:
    """Add a sensor, and how its values arrive.

    Parameters
    ----------
    stage : Usd.Stage
        Stage with a pack; its edit target is written to.
    sensor : SensorSpec
        The sensor.
    *mappings : DataMappingSpec
        Its data mappings; each names this sensor.

    Returns
    -------
    PackSpec
        The pack after the edit.

    Raises
    ------
    StageError
        If the stage has no pack, an id is taken, or the sensor sits on an element that is not there.
    """
    spec, pack = read_pack(stage), find_pack(stage)
    edited: PackSpec = _edited(
        pack, lambda: replace(spec, sensors=(*spec.sensors, sensor), mappings=(*spec.mappings, *mappings))
    )
    _apply(stage, pack, edited)
    return edited


def save_stage(stage: Usd.Stage, path: str | Path) -> None:
    """Save what is authored on a stage; live values of the session are not saved.

    Parameters
    ----------
    stage : Usd.Stage
        The stage.
    path : str or Path
        File ending in ``.usd``, ``.usda`` or ``.usdc``; the stage's own file, or a new one.

    Raises
    ------
    StageError
        If the file cannot be written.
    """
    save_layer_as(stage.GetRootLayer(), Path(path))


def _edit_layer(stage: Usd.Stage) -> Sdf.Layer:
    return stage.GetEditTarget().GetLayer()


def _edited[T](pack: Usd.Prim, edit: Callable[[], T]) -> T:
    try:
        return edit()
    except SpecError as error:
        raise StageError(error.message, where=str(pack.GetPath()), remedy=error.remedy) from None


def _find_module(spec: PackSpec, pack: Usd.Prim, module_id: str) -> ModuleSpec:
    for module in spec.modules:
        if module.id == module_id:
            return module
    raise StageError(
        f"the pack has no module {module_id!r}",
        where=str(pack.GetPath()),
        remedy=f"Its modules are {', '.join(module.id for module in spec.modules)}",
    )


def _module_prim(pack: Usd.Prim, module_id: str) -> Usd.Prim:
    prim = next(prim for prim in module_prims(pack) if prim.GetAttribute("battery:id").Get() == module_id)
    expected = pack.GetPath().AppendPath(f"{MODULES}/{module_id}")
    if prim.GetPath() != expected:
        raise StageError(
            f"the module {module_id!r} does not have the path {expected}",
            where=str(prim.GetPath()),
            remedy="Give the prim the name of its id, below the pack's Modules",
        )
    return prim


def _remove_prim(stage: Usd.Stage, path: Sdf.Path) -> None:
    """Remove a prim from the edit target, and switch it off where a weaker layer still has it."""
    stage.RemovePrim(path)
    left = stage.GetPrimAtPath(path)
    if left:
        left.SetActive(False)


def _apply(stage: Usd.Stage, pack: Usd.Prim, spec: PackSpec, *, renumber: bool = False) -> None:
    """Bring indices, sensors and extents of the stage in line with an edited pack."""
    layer, root = _edit_layer(stage), pack.GetPath()
    wanted = {sensor.id for sensor in spec.sensors}
    for prim in sensor_prims(pack):
        if prim.GetName() not in wanted:
            _remove_prim(stage, prim.GetPath())
    with Sdf.ChangeBlock():
        if renumber:
            _renumber(layer, root, spec)
        put_sensors(layer, root, spec)
    _clear_weaker_layers(stage, root, spec)


def _clear_weaker_layers(stage: Usd.Stage, root: Sdf.Path, spec: PackSpec) -> None:
    """Override what layers below the edit target still say of sensors that are gone."""
    for index, path in enumerate(prim_paths(spec, Level.MODULE, str(root))):
        scope = stage.GetPrimAtPath(f"{path}/{SENSORS}")
        for marker in scope.GetChildren() if scope else ():
            if marker.GetName() not in marker_names(spec, index):
                _remove_prim(stage, marker.GetPath())
    sensors = root.AppendChild(SENSORS)
    carried = carried_sensors(spec, Level.CELL)
    for names, path in zip(carried, prim_paths(spec, Level.CELL, str(root)), strict=True):
        wanted = [sensors.AppendChild(name) for name in names]
        if stage.GetPrimAtPath(path).GetRelationship("battery:sensors").GetTargets() != wanted:
            put_targets(find_prim(_edit_layer(stage), path), "battery:sensors", wanted)


def _renumber(layer: Sdf.Layer, root: Sdf.Path, spec: PackSpec) -> None:
    for index, module in enumerate(spec.modules):
        module_path = root.AppendPath(f"{MODULES}/{module.id}")
        _put_index(layer, module_path, "battery:index", index)
        for group in range(spec.series):
            group_path = module_path.AppendChild(group_name(group))
            group_index = index * spec.series + group
            _put_index(layer, group_path, "battery:index", group_index)
            for cell in range(spec.parallel):
                cell_path = group_path.AppendChild(cell_name(cell))
                _put_index(layer, cell_path, "battery:index", group_index * spec.parallel + cell)
                _put_index(layer, cell_path, "battery:seriesPosition", group_index)


def _put_index(layer: Sdf.Layer, path: Sdf.Path, name: str, value: int) -> None:
    put_attribute(find_prim(layer, path), name, Sdf.ValueTypeNames.Int, value, uniform=True)
