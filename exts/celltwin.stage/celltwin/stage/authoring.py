"""Writing prims into a layer, below the level of a stage: one change block can hold it all."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from functools import lru_cache
from typing import Any, cast

import numpy as np
from pxr import Gf, Sdf, Vt

from celltwin.core import Array, Level
from celltwin.schema import AttributeDeclaration, camel_case, declare_fields

from .meshes import Mesh

__all__ = [
    "add_attribute",
    "add_mesh",
    "add_prim",
    "add_sphere",
    "apply_schemas",
    "bind_material",
    "find_prim",
    "put_attribute",
    "put_fields",
    "put_placement",
    "put_targets",
]

_TRANSLATE = "xformOp:translate"
_ROTATE = "xformOp:rotateZ"


def add_prim(
    parent: Sdf.PrimSpec | Sdf.Layer, name: str, type_name: str = "Xform", *, kind: str | None = None
) -> Sdf.PrimSpec:
    """Define a prim below a prim, or at the root of a layer."""
    prim = Sdf.PrimSpec(parent, name, Sdf.SpecifierDef, type_name)
    if kind is not None:
        prim.SetInfo("kind", kind)
    return prim


def find_prim(layer: Sdf.Layer, path: Sdf.Path | str) -> Sdf.PrimSpec:
    """Return what a layer says about a prim, starting an override where it says nothing yet."""
    return layer.GetPrimAtPath(path) or Sdf.CreatePrimInLayer(layer, path)


def apply_schemas(prim: Sdf.PrimSpec, *names: str) -> None:
    """Apply API schemas, before those that weaker layers apply."""
    operation = Sdf.TokenListOp()
    operation.prependedItems = list(names)
    prim.SetInfo("apiSchemas", operation)


def add_attribute(
    prim: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, value: object, *, uniform: bool = False
) -> Sdf.AttributeSpec:
    """Write an attribute that the prim does not have yet."""
    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    attribute = Sdf.AttributeSpec(prim, name, type_name, variability)
    attribute.default = value
    return attribute


def put_attribute(
    prim: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, value: object, *, uniform: bool = False
) -> Sdf.AttributeSpec:
    """Write an attribute, whether the prim has it or not."""
    attribute = prim.attributes.get(name)
    if attribute is None:
        return add_attribute(prim, name, type_name, value, uniform=uniform)
    attribute.default = value
    return attribute


def put_targets(prim: Sdf.PrimSpec, name: str, targets: list[Sdf.Path]) -> None:
    """Write the targets of a relationship."""
    relationship = prim.relationships.get(name) or Sdf.RelationshipSpec(prim, name, custom=False)
    relationship.targetPathList.explicitItems = targets


@lru_cache(maxsize=256)
def _declared(kind: type[Any], prefix: str, leave_out: tuple[str, ...]) -> dict[str, AttributeDeclaration]:
    return {attribute.name: attribute for attribute in declare_fields(kind, prefix, "", leave_out=leave_out)}


def put_fields(prim: Sdf.PrimSpec, spec: Any, prefix: str, *, leave_out: tuple[str, ...] = ()) -> None:
    """Write the declared fields of a spec dataclass as attributes ``prefix:fieldName``."""
    declared = _declared(cast("Hashable", type(spec)), prefix, leave_out)
    for item in fields(spec):
        attribute = declared.get(f"{prefix}:{camel_case(item.name)}")
        if attribute is not None:
            value = _to_usd(attribute.type, getattr(spec, item.name))
            put_attribute(prim, attribute.name, Sdf.ValueTypeNames.Find(attribute.type), value, uniform=True)


def _to_usd(type_name: str, value: Any) -> object:
    if type_name == "double3":
        return Gf.Vec3d(*value)
    if type_name == "int[]":
        return Vt.IntArray(value)
    return str(value) if isinstance(value, Level) else value


def put_placement(
    prim: Sdf.PrimSpec, position: tuple[float, float, float] | Array, heading: float | None = None
) -> None:
    """Write where a prim stands in its parent: a translation [m] and, if given, a turn about z [degrees]."""
    put_attribute(prim, _TRANSLATE, Sdf.ValueTypeNames.Double3, Gf.Vec3d(*map(float, position)))
    order = [_TRANSLATE]
    if heading is not None:
        put_attribute(prim, _ROTATE, Sdf.ValueTypeNames.Double, float(heading))
        order.append(_ROTATE)
    put_attribute(prim, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Vt.TokenArray(order), uniform=True)


def add_mesh(parent: Sdf.PrimSpec, name: str, mesh: Mesh, material: Sdf.Path, colour: Array | None) -> Sdf.PrimSpec:
    """Define a mesh; without a ``colour`` of shape (3,) it takes the one of the prims above it."""
    prim = add_prim(parent, name, "Mesh")
    types = Sdf.ValueTypeNames
    add_attribute(prim, "points", types.Point3fArray, Vt.Vec3fArray.FromNumpy(mesh.points.astype(np.float32)))
    add_attribute(prim, "faceVertexCounts", types.IntArray, Vt.IntArray.FromNumpy(mesh.counts.astype(np.int32)))
    add_attribute(prim, "faceVertexIndices", types.IntArray, Vt.IntArray.FromNumpy(mesh.indices.astype(np.int32)))
    normals = Vt.Vec3fArray.FromNumpy(mesh.normals.astype(np.float32))
    add_attribute(prim, "normals", types.Normal3fArray, normals).SetInfo("interpolation", "faceVarying")
    add_attribute(prim, "subdivisionScheme", types.Token, "none", uniform=True)
    _put_extent(prim, *mesh.bounds)
    bind_material(prim, material, colour)
    return prim


def add_sphere(
    parent: Sdf.PrimSpec,
    name: str,
    radius: float,
    position: tuple[float, float, float],
    material: Sdf.Path,
    colour: Array,
) -> Sdf.PrimSpec:
    """Define a sphere of a radius [m] at a position [m] in its parent."""
    prim = add_prim(parent, name, "Sphere")
    add_attribute(prim, "radius", Sdf.ValueTypeNames.Double, radius)
    _put_extent(prim, np.full(3, -radius), np.full(3, radius))
    put_placement(prim, position)
    bind_material(prim, material, colour)
    return prim


def bind_material(prim: Sdf.PrimSpec, material: Sdf.Path, colour: Array | None) -> None:
    """Bind a material, and say the colour for renderers that read no materials."""
    apply_schemas(prim, "MaterialBindingAPI")
    put_targets(prim, "material:binding", [material])
    if colour is not None:
        value = Vt.Vec3fArray([Gf.Vec3f(*map(float, colour))])
        put_attribute(prim, "primvars:displayColor", Sdf.ValueTypeNames.Color3fArray, value)


def _put_extent(prim: Sdf.PrimSpec, lowest: Array, highest: Array) -> None:
    extent = Vt.Vec3fArray.FromNumpy(np.stack([lowest, highest]).astype(np.float32))
    put_attribute(prim, "extent", Sdf.ValueTypeNames.Float3Array, extent)
