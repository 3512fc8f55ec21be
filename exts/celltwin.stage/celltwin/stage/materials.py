"""Surfaces of the parts of a pack, as UsdPreviewSurface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pxr import Gf, Sdf

from celltwin.core import Array

from .authoring import add_attribute, add_prim

__all__ = ["SURFACES", "Surface", "Surfaces", "add_materials", "busbar_surface"]


@dataclass(frozen=True)
class Surface:
    """How a part looks.

    Attributes
    ----------
    colour : tuple of float
        Linear red, green and blue, 0 to 1.
    metallic, roughness : float
        Parameters of UsdPreviewSurface, 0 to 1.
    painted : bool
        Whether ``primvars:displayColor`` of the prim or of one above it replaces the colour.
    """

    colour: tuple[float, float, float]
    metallic: float
    roughness: float
    painted: bool = False

    @property
    def display_colour(self) -> Array | None:
        """Colour to author on a part, shape (3,); None where it is inherited."""
        return None if self.painted else np.array(self.colour)


SURFACES = {
    "CellSkin": Surface((0.03, 0.20, 0.35), 0.0, 0.35, painted=True),
    "Steel": Surface((0.62, 0.63, 0.65), 1.0, 0.32),
    "Nickel": Surface((0.66, 0.61, 0.53), 1.0, 0.28),
    "Copper": Surface((0.86, 0.43, 0.25), 1.0, 0.30),
    "Aluminium": Surface((0.80, 0.81, 0.83), 1.0, 0.38),
    "Insulator": Surface((0.75, 0.75, 0.72), 0.0, 0.70),
    "Frame": Surface((0.035, 0.037, 0.042), 0.0, 0.55),
    "ColdFitting": Surface((0.02, 0.16, 0.60), 0.1, 0.40),
    "WarmFitting": Surface((0.60, 0.05, 0.02), 0.1, 0.40),
    "Sensor": Surface((0.85, 0.45, 0.02), 0.0, 0.45),
}


class Surfaces:
    """The materials of one pack in a layer.

    Parameters
    ----------
    scope : Sdf.Path
        Path of the scope that holds the materials.
    """

    def __init__(self, scope: Sdf.Path) -> None:
        self._scope = scope

    def __getitem__(self, name: str) -> tuple[Sdf.Path, Array | None]:
        """Return path and display colour of a surface."""
        return self._scope.AppendChild(name), SURFACES[name].display_colour


def busbar_surface(material: str) -> str:
    """Return the surface for a busbar's material, by its name."""
    names = {"copper": "Copper", "aluminium": "Aluminium", "aluminum": "Aluminium", "steel": "Steel"}
    return next((surface for word, surface in names.items() if word in material.lower()), "Nickel")


def add_materials(parent: Sdf.PrimSpec, name: str) -> Surfaces:
    """Define all surfaces as materials in a scope below a prim."""
    scope = add_prim(parent, name, "Scope")
    for material, surface in SURFACES.items():
        _add_material(scope, material, surface)
    return Surfaces(scope.path)


def _add_material(scope: Sdf.PrimSpec, name: str, surface: Surface) -> None:
    types = Sdf.ValueTypeNames
    material = add_prim(scope, name, "Material")
    shader = add_prim(material, "Surface", "Shader")
    add_attribute(shader, "info:id", types.Token, "UsdPreviewSurface", uniform=True)
    add_attribute(shader, "inputs:metallic", types.Float, surface.metallic)
    add_attribute(shader, "inputs:roughness", types.Float, surface.roughness)
    colour = add_attribute(shader, "inputs:diffuseColor", types.Color3f, Gf.Vec3f(*surface.colour))
    output = Sdf.AttributeSpec(shader, "outputs:surface", types.Token)
    if surface.painted:
        reader = add_prim(material, "DisplayColour", "Shader")
        add_attribute(reader, "info:id", types.Token, "UsdPrimvarReader_float3", uniform=True)
        add_attribute(reader, "inputs:varname", types.String, "displayColor")
        add_attribute(reader, "inputs:fallback", types.Float3, Gf.Vec3f(*surface.colour))
        result = Sdf.AttributeSpec(reader, "outputs:result", types.Float3)
        colour.connectionPathList.explicitItems = [result.path]
    terminal = Sdf.AttributeSpec(material, "outputs:surface", types.Token)
    terminal.connectionPathList.explicitItems = [output.path]
