"""The shape of one cell, about its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, CellSpec

from .meshes import Mesh, box, join, loft, rounded_rectangle, turn

__all__ = ["CellShape", "Part", "shape_cell"]

_REFERENCE_RADIUS = 9.2e-3  # an 18650 in its sleeve [m]: its details scale with the radius


@dataclass(frozen=True, eq=False)
class Part:
    """One piece of a thing, with the name of its surface."""

    name: str
    mesh: Mesh
    surface: str


@dataclass(frozen=True, eq=False)
class CellShape:
    """A cell's pieces and where it is connected.

    Attributes
    ----------
    parts : tuple of Part
        Pieces; together they fill the cell's outer size.
    positive, negative : ndarray of shape (3,)
        Where a busbar meets the poles, in the cell's frame [m].
    """

    parts: tuple[Part, ...]
    positive: Array
    negative: Array


def shape_cell(cell: CellSpec) -> CellShape:
    """Return the shape of a cell type."""
    if cell.format == "cylindrical":
        return _cylindrical(cell)
    return _pouch(cell) if cell.format == "pouch" else _prismatic(cell)


def _cylindrical(cell: CellSpec) -> CellShape:
    radius, half = cell.diameter / 2.0, cell.height / 2.0
    # One millimetre on an 18650; smaller where a cell is flat, so that no detail overlaps another.
    unit = 1e-3 * min(radius / _REFERENCE_RADIUS, cell.height / 30e-3)
    step = 0.1 * unit
    sleeve = [
        (radius - 1.6 * unit, step - half),
        (radius - 0.7 * unit, step - half),
        (radius - 0.2 * unit, 0.3 * unit - half),
        (radius, 0.8 * unit - half),
        (radius, half - 4.6 * unit),
        (radius - 0.15 * unit, half - 4.3 * unit),
        # The bead that holds the gasket, then the crimp.
        (radius - 0.7 * unit, half - 3.9 * unit),
        (radius - 0.7 * unit, half - 3.5 * unit),
        (radius - 0.15 * unit, half - 3.1 * unit),
        (radius, half - 2.8 * unit),
        (radius, half - 1.9 * unit),
        (radius - 0.3 * unit, half - 1.4 * unit),
        (radius - 0.9 * unit, half - 1.1 * unit),
        (radius - 2.6 * unit, half - 1.1 * unit),
    ]
    base = [(radius - 2.0 * unit, -half), (radius - 2.0 * unit, 2.0 * step - half)]
    top = half - 1.1 * unit
    gasket = [(0.62 * radius, top - step), (0.62 * radius, top + step), (0.50 * radius, top + step)]
    button = [
        (0.36 * radius, top),
        (0.33 * radius, half - 0.25 * unit),
        (0.28 * radius, half),
        (0.05 * radius, half),
    ]
    return CellShape(
        parts=(
            Part("Sleeve", turn(sleeve), "CellSkin"),
            Part("CanBottom", turn(base), "Steel"),
            Part("Gasket", turn(gasket), "Insulator"),
            Part("Cap", turn(button), "Steel"),
        ),
        positive=np.array([0.0, 0.0, half]),
        negative=np.array([0.0, radius - 0.8 * unit, top + step]),
    )


def _pouch(cell: CellSpec) -> CellShape:
    length, width, half = cell.length, cell.width, cell.height / 2.0
    tab = 0.06 * length
    seal = 0.03 * min(length, width)
    body_length = length - tab
    skin = 0.12 * half
    sections = [
        (seal + half, -half),
        (seal, -skin),
        (0.0, -0.9 * skin),
        (0.0, 0.9 * skin),
        (seal, skin),
        (seal + half, half),
    ]
    corner = 0.02 * min(length, width)
    body = loft(
        np.stack(
            [
                rounded_rectangle(
                    body_length - 2.0 * min(inset, 0.3 * body_length), width - 2.0 * min(inset, 0.3 * width), corner, z
                )
                for inset, z in sections
            ]
        ),
        smooth=False,
    ).moved((-tab / 2.0, 0.0, 0.0))
    start, end = length / 2.0 - tab - 0.25 * seal, length / 2.0
    thickness = 0.5 * skin
    tabs = [
        box((start, side * 0.25 * width - 0.1 * width, -thickness), (end, side * 0.25 * width + 0.1 * width, thickness))
        for side in (1.0, -1.0)
    ]
    return CellShape(
        parts=(
            Part("Pouch", body, "CellSkin"),
            Part("PositiveTab", tabs[0], "Aluminium"),
            Part("NegativeTab", tabs[1], "Copper"),
        ),
        positive=np.array([end - 0.3 * tab, 0.25 * width, 0.0]),
        negative=np.array([end - 0.3 * tab, -0.25 * width, 0.0]),
    )


def _prismatic(cell: CellSpec) -> CellShape:
    length, width, half = cell.length, cell.width, cell.height / 2.0
    small = min(length, width, cell.height)
    corner, rise = 0.08 * small, 0.05 * cell.height
    lid = half - rise
    can = loft(np.stack([rounded_rectangle(length, width, corner, height) for height in (-half, lid)]), smooth=False)
    poles = [
        box(
            (side * 0.32 * length - 0.07 * length, -0.25 * width, lid - 0.2 * rise),
            (side * 0.32 * length + 0.07 * length, 0.25 * width, half),
        )
        for side in (1.0, -1.0)
    ]
    vent = join(
        [box((-0.08 * length, -0.12 * width, lid - 0.2 * rise), (0.08 * length, 0.12 * width, lid + 0.1 * rise))]
    )
    return CellShape(
        parts=(
            Part("Can", can, "CellSkin"),
            Part("PositivePole", poles[0], "Aluminium"),
            Part("NegativePole", poles[1], "Copper"),
            Part("Vent", vent, "Steel"),
        ),
        positive=np.array([0.32 * length, 0.0, half]),
        negative=np.array([-0.32 * length, 0.0, half]),
    )
