"""Building the stage of a pack from its specification."""

from __future__ import annotations

from pathlib import Path

from pxr import Sdf, Usd, UsdGeom, UsdPhysics, Vt

from celltwin.core import Array, Level, ModuleSpec, PackSpec, StageError, element_uuid, lay_out
from celltwin.schema import value_schema

from .authoring import add_attribute, add_prim, apply_schemas, put_fields, put_placement
from .layer_files import create_layer, save_layer
from .materials import add_materials
from .prototypes import SHOWN_QUANTITIES, add_prototypes
from .scene_paths import (
    BUSBARS,
    CELL,
    COOLING,
    HOUSING,
    MATERIALS,
    MODULES,
    PROTOTYPES,
    cell_name,
    group_name,
    pack_path,
)
from .sensors import put_sensors

__all__ = ["add_module_prim", "build_pack", "build_pack_stage"]

PACK_FIELDS_LEFT_OUT = ("name",)


def build_pack_stage(spec: PackSpec, path: str | Path | None = None) -> Usd.Stage:
    """Return a new stage with the pack as its default prim: metres, kilograms, z up.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    path : str or Path, optional
        File to create, ``.usd``, ``.usda`` or ``.usdc``; in memory if None.

    Raises
    ------
    StageError
        If the file cannot be written.
    """
    layer = Sdf.Layer.CreateAnonymous(f"{spec.name}.usda") if path is None else create_layer(Path(path))
    with Sdf.ChangeBlock():
        _put_stage_metadata(layer)
        layer.defaultPrim = spec.name
        _add_pack(layer, spec)
    if path is not None:
        save_layer(layer, Path(path))
    return Usd.Stage.Open(layer)


def build_pack(stage: Usd.Stage, spec: PackSpec) -> Usd.Prim:
    """Build the pack into a stage that is there, such as the one open in an editor.

    An empty stage becomes metres and z up, with the pack as default prim.

    Parameters
    ----------
    stage : Usd.Stage
        Its edit target takes the pack, at ``/<name of the pack>``.
    spec : PackSpec
        The pack.

    Returns
    -------
    Usd.Prim
        The pack's prim.

    Raises
    ------
    StageError
        If the stage has a prim of that name, or other content in other units or another up axis.
    """
    root = pack_path(spec)
    if stage.GetPrimAtPath(root):
        raise StageError("there is a prim already", where=root, remedy="Remove it, or give the pack another name")
    empty = not stage.GetPseudoRoot().GetChildren()
    if not empty and (UsdGeom.GetStageMetersPerUnit(stage) != 1.0 or UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z):
        raise StageError(
            f"the stage has {UsdGeom.GetStageMetersPerUnit(stage):g} metres per unit and "
            f"{UsdGeom.GetStageUpAxis(stage)} up, the pack 1 and Z",
            where=stage.GetRootLayer().identifier,
            remedy="Build the pack into a file of its own and reference that, or set the stage to metres and Z up",
        )
    layer = stage.GetEditTarget().GetLayer()
    with Sdf.ChangeBlock():
        if empty:
            _put_stage_metadata(stage.GetRootLayer())
            stage.GetRootLayer().defaultPrim = spec.name
        _add_pack(layer, spec)
    return stage.GetPrimAtPath(root)


def _put_stage_metadata(layer: Sdf.Layer) -> None:
    root = layer.pseudoRoot
    root.SetInfo(UsdGeom.Tokens.metersPerUnit, 1.0)
    root.SetInfo(UsdGeom.Tokens.upAxis, UsdGeom.Tokens.z)
    root.SetInfo(UsdPhysics.Tokens.kilogramsPerUnit, 1.0)


def _add_pack(layer: Sdf.Layer, spec: PackSpec) -> None:
    pack = add_prim(layer, spec.name, kind="assembly")
    apply_schemas(
        pack, "GeomModelAPI", "BatteryPackAPI", *(value_schema(name) for name in SHOWN_QUANTITIES[Level.PACK])
    )
    pack.assetInfo.update({"name": spec.name})
    _add_identity(pack, spec, spec.name, None)
    put_fields(pack, spec, "battery", leave_out=PACK_FIELDS_LEFT_OUT)
    put_fields(pack, spec.recalibration, "battery:recalibration")
    surfaces = add_materials(pack, MATERIALS)
    add_prototypes(pack, spec, surfaces)
    modules = add_prim(pack, MODULES, kind="group")
    for index, module in enumerate(spec.modules):
        add_module_prim(modules, pack.path, spec, module, index)
    put_sensors(layer, pack.path, spec)


def add_module_prim(
    parent: Sdf.PrimSpec, pack: Sdf.Path, spec: PackSpec, module: ModuleSpec, index: int
) -> Sdf.PrimSpec:
    """Define one module with its groups and cells.

    Parameters
    ----------
    parent : Sdf.PrimSpec
        Prim that holds the modules.
    pack : Sdf.Path
        Path of the pack's prim.
    spec : PackSpec
        The pack that it becomes part of.
    module : ModuleSpec
        The module.
    index : int
        Its place in pack order.
    """
    prim = add_prim(parent, module.id, kind="assembly")
    quantities = SHOWN_QUANTITIES[Level.MODULE]
    cell_quantities = SHOWN_QUANTITIES[Level.CELL]
    apply_schemas(
        prim,
        "GeomModelAPI",
        "BatteryModuleAPI",
        *(value_schema(name) for name in quantities),
        *(value_schema(name, cells=True) for name in cell_quantities),
    )
    _add_identity(prim, spec, module.id, index)
    put_placement(prim, module.position, module.heading)
    prototypes = pack.AppendChild(PROTOTYPES)
    for name in (HOUSING, BUSBARS, COOLING):
        _instance(add_prim(prim, name), prototypes.AppendChild(name))
    cells = lay_out(spec).cells_in_module.reshape(spec.series, spec.parallel, 3)
    group_schemas = [value_schema(name) for name in SHOWN_QUANTITIES[Level.GROUP]]
    for group in range(spec.series):
        _add_group(prim, prototypes.AppendChild(CELL), spec, module.id, index, group, cells[group], group_schemas)
    return prim


def _add_group(
    module: Sdf.PrimSpec,
    prototype: Sdf.Path,
    spec: PackSpec,
    module_id: str,
    module_index: int,
    group: int,
    centres: Array,
    schemas: list[str],
) -> None:
    name = group_name(group)
    group_id, group_index = f"{module_id}.{name}", module_index * spec.series + group
    prim = add_prim(module, name, kind="group")
    apply_schemas(prim, "BatteryGroupAPI", *schemas)
    _add_identity(prim, spec, group_id, group_index)
    origin = centres.mean(axis=0)
    put_placement(prim, origin)
    # The hot part of a build: plain calls, shared values.
    operation = Sdf.TokenListOp()
    operation.prependedItems = ["BatteryCellAPI"]
    order = Vt.TokenArray(["xformOp:translate"])
    reference = Sdf.Reference("", prototype)
    types = Sdf.ValueTypeNames
    for cell, centre in enumerate((centres - origin).tolist()):
        child = Sdf.PrimSpec(prim, cell_name(cell), Sdf.SpecifierDef, "Xform")
        child.SetInfo("apiSchemas", operation)
        child.SetInfo("instanceable", True)
        child.referenceList.prependedItems = [reference]
        cell_id = f"{group_id}.{cell_name(cell)}"
        index = group_index * spec.parallel + cell
        for key, type_name, value in (
            ("battery:id", types.String, cell_id),
            ("battery:uuid", types.String, element_uuid(spec.name, cell_id)),
            ("battery:index", types.Int, index),
            ("battery:seriesPosition", types.Int, group_index),
            ("battery:parallelPosition", types.Int, cell),
            ("xformOpOrder", types.TokenArray, order),
        ):
            Sdf.AttributeSpec(child, key, type_name, Sdf.VariabilityUniform).default = value
        Sdf.AttributeSpec(child, "xformOp:translate", types.Double3).default = tuple(centre)


def _instance(prim: Sdf.PrimSpec, prototype: Sdf.Path) -> None:
    prim.referenceList.prependedItems = [Sdf.Reference("", prototype)]
    prim.SetInfo("instanceable", True)


def _add_identity(prim: Sdf.PrimSpec, spec: PackSpec, element_id: str, index: int | None) -> None:
    types = Sdf.ValueTypeNames
    add_attribute(prim, "battery:id", types.String, element_id, uniform=True)
    add_attribute(prim, "battery:uuid", types.String, element_uuid(spec.name, element_id), uniform=True)
    if index is not None:
        add_attribute(prim, "battery:index", types.Int, index, uniform=True)
