"""Checks of a stage: the pack that it says it is, in the units it says, and sound USD."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from celltwin.core import (
    Array,
    Level,
    ModuleSpec,
    PackSpec,
    SpecError,
    StageError,
    element_uuid,
    expand_channels,
    find_quantity,
    lay_out,
)
from celltwin.schema import declare_schemas

from .findings import Finding, FindingSeverity
from .nvidia_validation import run_nvidia_validator
from .prototypes import module_bounds
from .read import find_pack, read_pack, sensor_prims
from .scene_paths import SENSORS, prim_paths
from .sensors import carried_sensors, pack_box

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_pack", "check_structure"]

_PLACE_TOLERANCE = 1e-6  # [m]
_EXTENT_TOLERANCE = 1e-4  # extents are single precision [m]
_SENSOR_REACH = 5e-3  # a sensor's body may stand this far out of its element [m]
_MOST_OF_A_KIND = 20


def check_pack(stage: Usd.Stage) -> list[Finding]:
    """Return everything that is wrong with a pack's stage: our own rules, then NVIDIA's.

    Our rules are those of :func:`check_structure`. NVIDIA's validator (``usd-validation-nvidia``) runs with all the
    rules that it enables by default; none is disabled.

    Parameters
    ----------
    stage : Usd.Stage
        Any stage.

    Returns
    -------
    list of Finding
        Failures and warnings; empty for a sound pack.
    """
    return [*check_structure(stage), *run_nvidia_validator(stage)]


def check_structure(stage: Usd.Stage) -> list[Finding]:
    """Return what our own rules find.

    The rules: ``units`` (metres, kilograms, z up), ``default-prim``, ``pack`` (the specification can be read),
    ``topology`` (every element has its prim, schema, id, index and position, and there are no others), ``uuid``,
    ``place`` (cells stand where the layout says), ``overlap`` (modules do not), ``mapping`` (columns and topics),
    ``sensor`` (links, units, and places inside their elements), ``extent``, ``attribute`` (no unknown names).
    No rule reports more than 20 findings; the last then says how many there are.
    """
    findings: list[Finding] = [*_check_units(stage)]
    try:
        spec, pack = read_pack(stage), find_pack(stage)
    except StageError as error:
        findings.append(_failure("pack", error.where or "/", error.message, error.remedy or ""))
        return findings
    for rule in (
        _check_topology,
        _check_places,
        _check_overlap,
        _check_mappings,
        _check_sensors,
        _check_extents,
        _check_attributes,
    ):
        findings.extend(_limited(list(rule(spec, pack))))
    return findings


def _failure(rule: str, prim: object, message: str, remedy: str) -> Finding:
    return Finding(severity=FindingSeverity.FAILURE, rule=rule, prim=str(prim), message=message, remedy=remedy)


def _warning(rule: str, prim: object, message: str, remedy: str) -> Finding:
    return Finding(severity=FindingSeverity.WARNING, rule=rule, prim=str(prim), message=message, remedy=remedy)


def _limited(findings: list[Finding]) -> list[Finding]:
    if len(findings) <= _MOST_OF_A_KIND:
        return findings
    last = findings[_MOST_OF_A_KIND - 1]
    more = _failure(last.rule, last.prim, f"{len(findings) - _MOST_OF_A_KIND + 1} more like these", last.remedy)
    return [*findings[: _MOST_OF_A_KIND - 1], more]


def _check_units(stage: Usd.Stage) -> Iterator[Finding]:
    metres = UsdGeom.GetStageMetersPerUnit(stage)
    if metres != 1.0 or not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        yield _failure("units", "/", f"metersPerUnit is {metres:g}, not an authored 1", "Set metersPerUnit = 1")
    kilograms = UsdPhysics.GetStageKilogramsPerUnit(stage)
    if kilograms != 1.0:
        yield _failure("units", "/", f"kilogramsPerUnit is {kilograms:g}, not 1", "Set kilogramsPerUnit = 1")
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        yield _failure("units", "/", f"upAxis is {UsdGeom.GetStageUpAxis(stage)}, not Z", "Set upAxis = 'Z'")
    if not stage.GetDefaultPrim():
        yield _failure("default-prim", "/", "the stage has no default prim", "Make the pack the default prim")


def _check_topology(spec: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    stage, root = pack.GetStage(), str(pack.GetPath())
    rebuild = "Build the stage again, or edit it with celltwin.stage"
    expected: set[str] = set()
    for level, schema in (
        (Level.PACK, "BatteryPackAPI"),
        (Level.MODULE, "BatteryModuleAPI"),
        (Level.GROUP, "BatteryGroupAPI"),
        (Level.CELL, "BatteryCellAPI"),
    ):
        paths = prim_paths(spec, level, root)
        expected.update(paths)
        for index, (path, element) in enumerate(zip(paths, spec.element_ids(level), strict=True)):
            prim = stage.GetPrimAtPath(path)
            if not prim or not prim.HasAPI(schema):
                yield _failure("topology", path, f"no {level} {element} here: no prim with {schema}", rebuild)
                continue
            values: dict[str, object] = {"battery:id": element}
            if level is not Level.PACK:
                values["battery:index"] = index
            if level is Level.CELL:
                values["battery:seriesPosition"], values["battery:parallelPosition"] = divmod(index, spec.parallel)
            for name, value in values.items():
                found = prim.GetAttribute(name).Get()
                if found != value:
                    yield _failure("topology", path, f"{name} is {found!r}, not {value!r}", rebuild)
            uuid = element_uuid(spec.name, element)
            if prim.GetAttribute("battery:uuid").Get() != uuid:
                yield _failure("uuid", path, f"battery:uuid is not {uuid}, which id and pack give", rebuild)
    schemas = ("BatteryModuleAPI", "BatteryGroupAPI", "BatteryCellAPI")
    for prim in Usd.PrimRange(pack):
        if str(prim.GetPath()) not in expected and any(prim.HasAPI(schema) for schema in schemas):
            yield _failure("topology", prim.GetPath(), "the pack's specification has no such element", rebuild)


def _check_places(spec: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    cache = UsdGeom.XformCache()
    stage, into_pack = pack.GetStage(), cache.GetLocalToWorldTransform(pack).GetInverse()
    for path, place in zip(
        prim_paths(spec, Level.CELL, str(pack.GetPath())), lay_out(spec).cell_positions, strict=True
    ):
        prim = stage.GetPrimAtPath(path)
        if not prim:
            continue
        found = (cache.GetLocalToWorldTransform(prim) * into_pack).ExtractTranslation()
        apart = (found - Gf.Vec3d(*place.tolist())).GetLength()
        if apart > _PLACE_TOLERANCE:
            yield _failure(
                "place",
                path,
                f"the cell stands {1e3 * apart:.3f} mm from its place in the layout",
                "Move whole modules; cells follow from the pack's layout",
            )


def _check_overlap(spec: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    paths = prim_paths(spec, Level.MODULE, str(pack.GetPath()))
    boxes = [_footprint(spec, module) for module in spec.modules]
    height = lay_out(spec).module_size[2] + spec.cooling.plate_thickness
    for first, second in ((i, j) for i, j in product(range(spec.n_modules), repeat=2) if i < j):
        level = abs(spec.modules[first].position[2] - spec.modules[second].position[2])
        depth = min(height - level, _overlap(boxes[first], boxes[second]))
        if depth > _PLACE_TOLERANCE:
            yield _failure(
                "overlap",
                paths[second],
                f"modules {spec.modules[first].id} and {spec.modules[second].id} overlap by {1e3 * depth:.1f} mm",
                "Move one of them with celltwin.stage.move_module",
            )


def _footprint(spec: PackSpec, module: ModuleSpec) -> Array:
    """Return the corners of a module's housing seen from above, in order, of shape (4, 2) [m]."""
    x, y, _ = (size / 2.0 for size in lay_out(spec).module_size)
    angle = np.deg2rad(module.heading)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners: Array = np.array([[-x, -y], [x, -y], [x, y], [-x, y]]) @ turn.T + np.array(module.position[:2])
    return corners


def _overlap(first: Array, second: Array) -> float:
    """Return the depth to which two rectangles overlap [m], negative where they are apart: separating axes."""
    depth = np.inf
    for corners in (first, second):
        for start, end in pairwise(corners[:3]):
            axis = (end - start) / np.linalg.norm(end - start)
            one, other = first @ axis, second @ axis
            depth = min(depth, float(min(one.max(), other.max()) - max(one.min(), other.min())))
    return depth


def _check_mappings(spec: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    try:
        expand_channels(spec)
    except SpecError as error:
        yield _failure("mapping", pack.GetPath(), error.message, error.remedy or "")
    listed = [str(name) for name in pack.GetAttribute("battery:channels").Get() or ()]
    channels = [mapping.channel for mapping in spec.mappings]
    if sorted(listed) != sorted(channels):
        yield _failure(
            "mapping",
            pack.GetPath(),
            f"battery:channels lists {listed}, but the sensors carry {channels}",
            "List the instance name of every BatteryDataMappingAPI once",
        )


def _check_sensors(spec: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    stage, root = pack.GetStage(), pack.GetPath()
    scope = root.AppendChild(SENSORS)
    for level in Level:
        wanted = carried_sensors(spec, level)
        for names, path in zip(wanted, prim_paths(spec, level, str(root)), strict=True):
            prim = stage.GetPrimAtPath(path)
            targets = prim.GetRelationship("battery:sensors").GetTargets() if prim else []
            if prim and list(targets) != [scope.AppendChild(name) for name in names]:
                yield _failure(
                    "sensor",
                    path,
                    f"battery:sensors is {[target.name for target in targets]}, not {list(names)}",
                    "Add sensors with celltwin.stage.add_sensor, so that sensor and element agree",
                )
    for sensor, prim in zip(spec.sensors, sensor_prims(pack), strict=True):
        quantity = find_quantity(sensor.quantity)
        unit = prim.GetAttribute(f"battery:sensor:{quantity.usd_name}:unit").Get()
        if unit != quantity.unit:
            yield _failure("sensor", prim.GetPath(), f"the unit is {unit!r}", f"Set it to {quantity.unit!r}")
        if sensor.level is Level.PACK:  # it may hang anywhere: in the air, on the charger's cable
            continue
        low, high = _element_bounds(spec, sensor.level)
        position = np.array(sensor.position)
        if np.any(position < low - _SENSOR_REACH) or np.any(position > high + _SENSOR_REACH):
            yield _warning(
                "sensor",
                prim.GetPath(),
                f"its place {sensor.position} m is outside its {sensor.level}",
                "Give the place in the frame of the element",
            )


def _element_bounds(spec: PackSpec, level: Level) -> tuple[Array, Array]:
    half = np.array([*spec.cell.footprint, spec.cell.height]) / 2.0
    if level is Level.CELL:
        return -half, half
    if level is Level.MODULE:
        return module_bounds(spec)
    cells = lay_out(spec).cells_in_module.reshape(spec.series, spec.parallel, 3)
    about = cells - cells.mean(axis=1, keepdims=True)
    return about.min(axis=(0, 1)) - half, about.max(axis=(0, 1)) + half


def _check_extents(spec: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    hint = UsdGeom.ModelAPI(pack).GetExtentsHint()
    if not hint:
        yield _warning("extent", pack.GetPath(), "the pack has no extentsHint", "Build the stage again")
        return
    apart = float(np.abs(np.array(hint) - np.array(pack_box(spec))).max())
    if apart > _EXTENT_TOLERANCE:
        yield _warning(
            "extent",
            pack.GetPath(),
            f"extentsHint is {apart:.3f} m from the box around the {spec.n_modules} modules",
            "Move modules with celltwin.stage.move_module, which keeps it true",
        )


def _check_attributes(_: PackSpec, pack: Usd.Prim) -> Iterator[Finding]:
    # A live value may come to any prim; its name is right if one of the schemas declares it.
    declared = {attribute.name for schema in declare_schemas() for attribute in schema.attributes}
    for prim in Usd.PrimRange(pack):
        known = prim.GetPrimDefinition().GetPropertyNames()
        for name in prim.GetAuthoredPropertyNames(lambda name: name.startswith("battery:")):
            if name not in declared and name not in known:
                yield _warning(
                    "attribute",
                    prim.GetPath(),
                    f"no battery schema declares the attribute {name}",
                    "Mend the name, or apply the schema that declares it",
                )
