"""The shape of a module's housing, busbars and cooling, in the module's frame."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array, PackSpec, lay_out

from .cell_geometry import Part, shape_cell
from .materials import busbar_surface
from .meshes import Mesh, box, join, turn

__all__ = ["shape_busbars", "shape_cooling", "shape_housing"]


def shape_housing(spec: PackSpec) -> tuple[Part, ...]:
    """Return an open frame around the cells: floor, low walls, corner angles and a rail on top."""
    size_x, size_y, size_z = lay_out(spec).module_size
    wall = spec.layout.housing_wall
    x, y = size_x / 2.0, size_y / 2.0
    low = wall + 0.18 * (size_z - 2.0 * wall)
    angle_x, angle_y = 0.07 * size_x, 0.07 * size_y
    solids = [box((-x, -y, 0.0), (x, y, wall))]
    for height_from, height_to in ((0.9 * wall, low), (size_z - 1.2 * wall, size_z)):
        for side in (-1.0, 1.0):
            solids.append(_slab(side, x, (-y, y), (height_from, height_to), wall, across="x"))
            solids.append(_slab(side, y, (-x + 0.9 * wall, x - 0.9 * wall), (height_from, height_to), wall, across="y"))
    for side_x in (-1.0, 1.0):
        for side_y in (-1.0, 1.0):
            span_y = sorted((side_y * y, side_y * (y - angle_y)))
            span_x = sorted((side_x * (x - 0.8 * wall), side_x * (x - angle_x)))
            heights = (low - 0.1 * wall, size_z - 1.1 * wall)  # into wall and rail
            solids.append(_slab(side_x, x, (span_y[0], span_y[1]), heights, 0.9 * wall, across="x"))
            solids.append(_slab(side_y, y, (span_x[0], span_x[1]), heights, 0.8 * wall, across="y"))
    return (Part("Frame", join(solids), "Frame"),)


def _slab(
    side: float, outer: float, span: tuple[float, float], height: tuple[float, float], wall: float, *, across: str
) -> Mesh:
    near, far = sorted((side * outer, side * (outer - wall)))
    if across == "x":
        return box((near, span[0], height[0]), (far, span[1], height[1]))
    return box((span[0], near, height[0]), (span[1], far, height[1]))


def shape_busbars(spec: PackSpec) -> tuple[Part, ...]:
    """Return one conductor for each junction of the module's string: before, between and after its groups.

    Group 1 has the module's negative end. Cells that stand get a strip along y between the groups with a finger
    to each pole; cells that lie on each other get plates at their ends.
    """
    surface = busbar_surface(spec.busbar.material)
    shape = shape_cell(spec.cell)
    cells = lay_out(spec).cells_in_module.reshape(spec.series, spec.parallel, 3)
    build = _end_plates if spec.layout.pattern == "stack" else _top_strips
    parts = []
    for junction in range(spec.series + 1):
        plus = cells[junction - 1] + shape.positive if junction > 0 else np.empty((0, 3))
        minus = cells[junction] + shape.negative if junction < spec.series else np.empty((0, 3))
        parts.append(Part(f"Junction{junction:02d}", join(build(spec, plus, minus)), surface))
    return tuple(parts)


def _top_strips(spec: PackSpec, plus: Array, minus: Array) -> list[Mesh]:
    poles = np.concatenate([plus, minus])
    size_x = spec.cell.footprint[0]
    if not len(plus):
        line = float(minus[:, 0].min()) - 0.35 * size_x
    elif not len(minus):
        line = float(plus[:, 0].max()) + 0.35 * size_x
    else:
        line = float(plus[:, 0].max() + minus[:, 0].min()) / 2.0
    thickness = spec.busbar.thickness
    width = min(spec.busbar.width, 0.45 * size_x)
    finger = min(0.3 * width, 0.12 * size_x)
    height = float(poles[:, 2].max()) + thickness
    y0, y1 = float(poles[:, 1].min()) - finger, float(poles[:, 1].max()) + finger
    solids = [box((line - width / 2.0, y0, height), (line + width / 2.0, y1, height + thickness))]
    for x, y, z in poles:
        near, far = sorted((line, float(x)))
        if far - near > 0.5 * width:
            solids.append(
                box(
                    (near - finger / 4.0, float(y) - finger / 2.0, height + 0.1 * thickness),
                    (far + finger / 2.0, float(y) + finger / 2.0, height + 0.9 * thickness),
                )
            )
        if height - z > 2.0 * thickness:  # down to a pole below the strip
            solids.append(
                box(
                    (float(x) - finger / 2.0, float(y) - finger / 2.0, float(z)),
                    (float(x) + finger / 2.0, float(y) + finger / 2.0, height + 0.5 * thickness),
                )
            )
    return solids


def _end_plates(spec: PackSpec, plus: Array, minus: Array) -> list[Mesh]:
    thickness = spec.busbar.thickness
    ends = [poles for poles in (plus, minus) if len(poles)]
    poles = np.concatenate(ends)
    half = max(min(spec.busbar.width, 0.12 * spec.cell.footprint[1]) / 2.0, thickness)
    reach = 0.3 * spec.cell.height
    x = float(poles[:, 0].max())
    solids = []
    for end in ends:
        y = float(end[:, 1].mean())
        lowest, highest = float(end[:, 2].min()) - reach, float(end[:, 2].max()) + reach
        solids.append(box((x, y - half, lowest), (x + thickness, y + half, highest)))
    if len(ends) == 2:
        y0, y1 = sorted((float(plus[:, 1].mean()), float(minus[:, 1].mean())))
        middle = (float(plus[:, 2].max()) + float(minus[:, 2].min())) / 2.0
        rise = 0.5 * (spec.cell.height + spec.layout.cell_gap)
        solids.append(
            box((x + 0.1 * thickness, y0 - half, middle - rise), (x + 0.9 * thickness, y1 + half, middle + rise))
        )
    return solids


def shape_cooling(spec: PackSpec) -> tuple[Part, ...]:
    """Return the coolant plate below the floor with its inlet and outlet; nothing where air cools the pack."""
    cooling = spec.cooling
    if cooling.method == "air":
        return ()
    size_x, size_y, _ = lay_out(spec).module_size
    x, y, thickness = size_x / 2.0, size_y / 2.0, cooling.plate_thickness
    radius = min(0.42 * thickness, 0.1 * size_y)
    reach = 1.6 * radius
    hose = [
        (0.8 * radius, 0.0),
        (0.8 * radius, 0.4 * reach),
        (radius, 0.4 * reach),
        (radius, 0.6 * reach),
        (0.8 * radius, 0.6 * reach),
        (0.8 * radius, reach),
    ]
    fitting = turn([(r, z) for r, z in hose], sides=16, along="x")
    return (
        Part("Plate", box((-x, -y, -thickness), (x, y, 0.0)), "Aluminium"),
        Part("Inlet", fitting.moved((-x - reach, -0.35 * size_y, -thickness / 2.0)), "ColdFitting"),
        Part("Outlet", fitting.moved((-x - reach, 0.35 * size_y, -thickness / 2.0)), "WarmFitting"),
    )
