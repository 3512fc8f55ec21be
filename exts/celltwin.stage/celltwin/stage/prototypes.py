"""What all modules and cells of a pack share: prototypes that they instance."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from pxr import Gf, Sdf, Vt

from celltwin.core import Array, Level, PackSpec, SensorSpec, lay_out
from celltwin.schema import value_schema

from .authoring import (
    add_attribute,
    add_mesh,
    add_prim,
    add_sphere,
    apply_schemas,
    put_attribute,
    put_fields,
    put_targets,
)
from .cell_geometry import shape_cell
from .materials import SURFACES, Surfaces
from .module_geometry import shape_busbars, shape_cooling, shape_housing
from .scene_paths import BUSBARS, CELL, COOLING, HOUSING, PROTOTYPES, SENSORS

__all__ = [
    "SHOWN_QUANTITIES",
    "add_prototypes",
    "marker_radius",
    "module_bounds",
    "put_cell_sensors",
    "put_extents_hint",
]

# What the tiers publish at each level; the attributes of other quantities are undocumented on these prims.
SHOWN_QUANTITIES: dict[Level, tuple[str, ...]] = {
    Level.PACK: ("voltage", "current", "power", "temperature", "soc", "soh", "capacity", "charge_current"),
    Level.MODULE: (
        "voltage",
        "current",
        "temperature",
        "soc",
        "soh",
        "charge_current",
        "coolant_flow",
        "coolant_temperature",
    ),
    Level.GROUP: (
        "voltage",
        "current",
        "temperature",
        "soc",
        "soh",
        "balancing_current",
        "capacity_factor",
        "resistance_factor",
        "diffusivity_factor",
    ),
    Level.CELL: ("voltage", "current", "temperature", "soc", "soh", "capacity", "resistance"),
}

_MARKED = ("temperature", "coolant_temperature", "coolant_flow")


def marker_radius(spec: PackSpec, sensor: SensorSpec) -> float | None:
    """Return the radius [m] of a sensor's marker, or None for a sensor that is no body of its own.

    Voltages and currents are measured at terminals, by wires.
    """
    if sensor.quantity not in _MARKED:
        return None
    smallest = min(*spec.cell.footprint, spec.cell.height)
    return min(1.5e-3, 0.2 * smallest) if sensor.level is Level.CELL else min(4e-3, 0.4 * smallest)


def module_bounds(spec: PackSpec) -> tuple[Array, Array]:
    """Return lowest and highest corner of a module with all its cells, in its own frame, each of shape (3,) [m].

    Sensors that are modelled as bodies of one module are not in it.
    """
    return _module_bounds(
        replace(
            spec,
            strings=1,
            modules=spec.modules[:1],
            sensors=tuple(sensor for sensor in spec.sensors if sensor.level is Level.CELL and not sensor.elements),
            mappings=(),
        )
    )


@lru_cache(maxsize=8)
def _module_bounds(spec: PackSpec) -> tuple[Array, Array]:
    parts = [*shape_housing(spec), *shape_busbars(spec), *shape_cooling(spec)]
    corners = [part.mesh.bounds for part in parts]
    low, high = _cell_bounds(spec)
    cells = lay_out(spec).cells_in_module
    corners.append((cells.min(axis=0) + low, cells.max(axis=0) + high))
    return _around(corners)


def _cell_bounds(spec: PackSpec) -> tuple[Array, Array]:
    corners = [part.mesh.bounds for part in shape_cell(spec.cell).parts]
    for sensor in spec.sensors:
        radius = marker_radius(spec, sensor)
        if sensor.level is Level.CELL and not sensor.elements and radius is not None:
            corners.append((np.array(sensor.position) - radius, np.array(sensor.position) + radius))
    return _around(corners)


def _around(boxes: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    corners = np.array(boxes)  # (n_boxes, 2, 3)
    return corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)


def add_prototypes(parent: Sdf.PrimSpec, spec: PackSpec, surfaces: Surfaces) -> None:
    """Define the prototypes of cell, housing, busbars and cooling below the pack's prim."""
    scope = Sdf.PrimSpec(parent, PROTOTYPES, Sdf.SpecifierClass, "Scope")
    for name, parts, schema in (
        (CELL, shape_cell(spec.cell).parts, "BatteryCellTypeAPI"),
        (HOUSING, shape_housing(spec), "BatteryLayoutAPI"),
        (BUSBARS, shape_busbars(spec), "BatteryBusbarAPI"),
        (COOLING, shape_cooling(spec), "BatteryCoolingAPI"),
    ):
        prim = add_prim(scope, name, kind="component")
        schemas = ["GeomModelAPI", schema]
        if name == CELL:
            schemas += [value_schema(quantity) for quantity in SHOWN_QUANTITIES[Level.CELL]]
        apply_schemas(prim, *schemas)
        for part in parts:
            add_mesh(prim, part.name, part.mesh, *surfaces[part.surface])
        if parts and name != CELL:
            put_extents_hint(prim, *_around([part.mesh.bounds for part in parts]))
    put_fields(scope.nameChildren[HOUSING], spec.layout, "battery:layout")
    put_fields(scope.nameChildren[BUSBARS], spec.busbar, "battery:busbar")
    put_fields(scope.nameChildren[COOLING], spec.cooling, "battery:cooling")
    cell = scope.nameChildren[CELL]
    put_fields(cell, spec.cell, "battery:cellType")
    skin = Vt.Vec3fArray([Gf.Vec3f(*SURFACES["CellSkin"].colour)])
    add_attribute(cell, "primvars:displayColor", Sdf.ValueTypeNames.Color3fArray, skin)


def put_cell_sensors(cell: Sdf.PrimSpec, spec: PackSpec, sensors: dict[str, Sdf.Path], surfaces: Surfaces) -> None:
    """Give the cell prototype the sensors that every cell carries, and a marker for each that is a body."""
    carried = [sensor for sensor in spec.sensors if sensor.level is Level.CELL and not sensor.elements]
    put_targets(cell, "battery:sensors", [sensors[sensor.id] for sensor in carried])
    if SENSORS in cell.nameChildren:
        del cell.nameChildren[SENSORS]
    put_extents_hint(cell, *_cell_bounds(spec))
    scope = None
    for sensor in carried:
        radius = marker_radius(spec, sensor)
        if radius is not None:
            scope = scope or add_prim(cell, SENSORS, "Scope")
            material, colour = surfaces["Sensor"]
            add_sphere(scope, sensor.id, radius, sensor.position, material, np.array(colour))


def put_extents_hint(prim: Sdf.PrimSpec, lowest: Array, highest: Array) -> None:
    """Write the box around a model, so that a viewer can frame it without opening it."""
    hint = Vt.Vec3fArray.FromNumpy(np.stack([lowest, highest]).astype(np.float32))
    put_attribute(prim, "extentsHint", Sdf.ValueTypeNames.Float3Array, hint)
