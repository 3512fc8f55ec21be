"""Sensors and data mappings on a stage: declared once each, and linked to the elements that carry them."""

from __future__ import annotations

from itertools import product

import numpy as np
from pxr import Sdf, Vt

from celltwin.core import Array, Level, PackSpec, SensorSpec, find_quantity, lay_out

from .authoring import add_prim, add_sphere, apply_schemas, find_prim, put_attribute, put_fields, put_targets
from .materials import Surfaces
from .prototypes import marker_radius, module_bounds, put_cell_sensors, put_extents_hint
from .scene_paths import CELL, MATERIALS, MODULES, PROTOTYPES, SENSORS, cell_name, group_name, prim_paths

__all__ = ["carried_sensors", "marker_names", "pack_box", "put_pack_extents", "put_sensors"]


def put_sensors(layer: Sdf.Layer, pack: Sdf.Path, spec: PackSpec) -> None:
    """Write all sensors and data mappings of a pack, over what the layer says of them already.

    Parameters
    ----------
    layer : Sdf.Layer
        Layer to write to.
    pack : Sdf.Path
        Path of the pack's prim.
    spec : PackSpec
        The pack; its modules are on the stage.
    """
    prim = find_prim(layer, pack)
    scope = _define(layer, pack.AppendChild(SENSORS), "Scope")
    surfaces = Surfaces(pack.AppendChild(MATERIALS))
    paths = {sensor.id: _put_sensor(layer, scope.path, spec, sensor, surfaces) for sensor in spec.sensors}
    channels = Vt.TokenArray([mapping.channel for mapping in spec.mappings])
    put_attribute(prim, "battery:channels", Sdf.ValueTypeNames.TokenArray, channels, uniform=True)
    for level in (Level.PACK, Level.MODULE, Level.GROUP):
        for path, carried in zip(prim_paths(spec, level, str(pack)), carried_sensors(spec, level), strict=True):
            put_targets(find_prim(layer, path), "battery:sensors", [paths[name] for name in carried])
    put_cell_sensors(find_prim(layer, pack.AppendPath(f"{PROTOTYPES}/{CELL}")), spec, paths, surfaces)
    _link_cells(layer, pack, spec, paths)
    for index, module in enumerate(spec.modules):
        _put_markers(layer, pack.AppendPath(f"{MODULES}/{module.id}"), spec, index, surfaces)
    put_pack_extents(layer, pack, spec)


def put_pack_extents(layer: Sdf.Layer, pack: Sdf.Path, spec: PackSpec) -> None:
    """Write the box around the pack from where its modules stand."""
    put_extents_hint(find_prim(layer, pack), *pack_box(spec))


def pack_box(spec: PackSpec) -> tuple[Array, Array]:
    """Return lowest and highest corner of a box around all modules, in the pack's frame, each of shape (3,) [m]."""
    every = []
    for index, module in enumerate(spec.modules):
        corners = np.array(list(product(*zip(*_module_box(spec, index), strict=True))))
        angle = np.deg2rad(module.heading)
        rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        every.append(corners @ rotation.T + np.array(module.position))
    for sensor in spec.sensors:
        radius = marker_radius(spec, sensor)
        if sensor.level is Level.PACK and radius is not None:
            every.append(np.array([sensor.position]) + np.array([[-radius], [radius]]))
    points = np.concatenate(every)
    return points.min(axis=0), points.max(axis=0)


def marker_names(spec: PackSpec, module: int) -> set[str]:
    """Return the names of the sensor markers that stand in a module, by its place in pack order."""
    return {name for name, _, _ in _markers(spec, module)}


def carried_sensors(spec: PackSpec, level: Level) -> list[tuple[str, ...]]:
    """Return for each element of a level, in pack order, the ids of the sensors that it carries."""
    on_level = [sensor for sensor in spec.sensors if sensor.level is level]
    every = tuple(sensor.id for sensor in on_level if not sensor.elements)
    if len(every) == len(on_level):
        return [every] * spec.size(level)
    members = {sensor.id: frozenset(sensor.elements) for sensor in on_level}
    return [
        tuple(sensor.id for sensor in on_level if not sensor.elements or index in members[sensor.id])
        for index in range(spec.size(level))
    ]


def _define(layer: Sdf.Layer, path: Sdf.Path, type_name: str) -> Sdf.PrimSpec:
    prim = find_prim(layer, path)
    prim.specifier = Sdf.SpecifierDef
    prim.typeName = type_name
    if prim.HasInfo("active"):
        prim.ClearInfo("active")
    return prim


def _carries(sensor: SensorSpec, level: Level, index: int) -> bool:
    return sensor.level is level and (not sensor.elements or index in sensor.elements)


def _put_sensor(layer: Sdf.Layer, scope: Sdf.Path, spec: PackSpec, sensor: SensorSpec, surfaces: Surfaces) -> Sdf.Path:
    radius = marker_radius(spec, sensor) if sensor.level is Level.PACK else None
    prim = _define(layer, scope.AppendChild(sensor.id), "Scope" if radius is None else "Xform")
    quantity = find_quantity(sensor.quantity)
    mappings = [mapping for mapping in spec.mappings if mapping.sensor == sensor.id]
    apply_schemas(
        prim,
        f"BatterySensorAPI:{quantity.usd_name}",
        *(f"BatteryDataMappingAPI:{mapping.channel}" for mapping in mappings),
    )
    prefix = f"battery:sensor:{quantity.usd_name}"
    put_fields(prim, sensor, prefix, leave_out=("quantity",))
    put_attribute(prim, f"{prefix}:unit", Sdf.ValueTypeNames.Token, quantity.unit, uniform=True)
    for mapping in mappings:
        put_fields(prim, mapping, f"battery:mapping:{mapping.channel}", leave_out=("channel", "sensor"))
    if radius is not None and "Marker" not in prim.nameChildren:
        material, colour = surfaces["Sensor"]
        add_sphere(prim, "Marker", radius, sensor.position, material, np.array(colour))
    return prim.path


def _link_cells(layer: Sdf.Layer, pack: Sdf.Path, spec: PackSpec, paths: dict[str, Sdf.Path]) -> None:
    some = {element for sensor in spec.sensors if sensor.level is Level.CELL for element in sensor.elements}
    carried = carried_sensors(spec, Level.CELL)
    for index, path in enumerate(prim_paths(spec, Level.CELL, str(pack))):
        prim = layer.GetPrimAtPath(path)
        if index in some:
            put_targets(prim or find_prim(layer, path), "battery:sensors", [paths[name] for name in carried[index]])
        elif prim is not None and "battery:sensors" in prim.relationships:
            del prim.properties["battery:sensors"]  # the prototype says it


def _put_markers(layer: Sdf.Layer, module: Sdf.Path, spec: PackSpec, index: int, surfaces: Surfaces) -> None:
    prim = find_prim(layer, module)
    if SENSORS in prim.nameChildren:
        del prim.nameChildren[SENSORS]
    material, colour = surfaces["Sensor"]
    scope = None
    for name, position, radius in _markers(spec, index):
        scope = scope or add_prim(prim, SENSORS, "Scope")
        add_sphere(scope, name, radius, tuple(position), material, np.array(colour))
    put_extents_hint(prim, *_module_box(spec, index))


def _module_box(spec: PackSpec, module: int) -> tuple[Array, Array]:
    low, high = module_bounds(spec)
    for _, position, radius in _markers(spec, module):
        low, high = np.minimum(low, position - radius), np.maximum(high, position + radius)
    return low, high


def _markers(spec: PackSpec, module: int) -> list[tuple[str, Array, float]]:
    """Return name, position in the module's frame and radius [m] of each sensor marker that stands in a module."""
    return [
        (name, position, radius)
        for sensor in spec.sensors
        if sensor.level is not Level.PACK and (radius := marker_radius(spec, sensor)) is not None
        for name, position in _marker_places(spec, sensor, module)
    ]


def _marker_places(spec: PackSpec, sensor: SensorSpec, module: int) -> list[tuple[str, Array]]:
    offset = np.array(sensor.position)
    if sensor.level is Level.MODULE:
        return [(sensor.id, offset)] if _carries(sensor, Level.MODULE, module) else []
    cells = lay_out(spec).cells_in_module.reshape(spec.series, spec.parallel, 3)
    if sensor.level is Level.GROUP:
        return [
            (f"{sensor.id}_{group_name(group)}", cells[group].mean(axis=0) + offset)
            for group in range(spec.series)
            if _carries(sensor, Level.GROUP, module * spec.series + group)
        ]
    per_module = spec.series * spec.parallel  # a sensor on all cells is drawn in the cell's prototype
    places = []
    for element in sensor.elements:
        if element // per_module == module:
            group, cell = divmod(element % per_module, spec.parallel)
            places.append((f"{sensor.id}_{group_name(group)}_{cell_name(cell)}", cells[group, cell] + offset))
    return places
