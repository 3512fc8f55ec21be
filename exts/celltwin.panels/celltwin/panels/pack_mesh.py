"""The pack as polygons for ``omni.ui.scene``: every corner its own vertex, hidden faces left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PackSpec, lay_out

__all__ = [
    "PackMesh",
    "mesh_cells",
    "mesh_groups",
    "mesh_marks",
    "mesh_plates",
    "mesh_tiles",
    "pack_colours",
    "pick_cell",
    "spread_stacks",
]

Indices = NDArray[np.int64]

# Light from above and from one side: a face's brightness follows from its normal alone.
_LIGHT = np.array([0.35, -0.55, 0.76])
_AMBIENT = 0.42
WIDEST_RING = 0.005  # [m]
SPREAD = 4.0  # gap between stacked cells drawn apart, in heights of a cell


@dataclass(frozen=True, kw_only=True, eq=False)
class PackMesh:
    """Polygons without shared vertices.

    Attributes
    ----------
    positions : ndarray of shape (n_corners, 3)
        Corners of the faces, face after face [m].
    face_sizes : ndarray of int, shape (n_faces,)
        Corners of each face.
    owners : ndarray of int, shape (n_corners,)
        Index of the cell or group that a corner belongs to.
    brightness : ndarray of shape (n_corners,)
        Factor on the colour; 1 for faces that look up, so that they match the legend.
    """

    positions: Array
    face_sizes: Indices
    owners: Indices
    brightness: Array

    def facing(self, eye: Array) -> Array:
        """Return the corners with those faces that look away from an eye (3,) [m] shrunk to a point."""
        starts = np.cumsum(self.face_sizes) - self.face_sizes
        first, second, third = (self.positions[starts + corner] for corner in range(3))
        away = np.einsum("ni,ni->n", np.cross(second - first, third - second), eye - first) <= 0.0
        corners = self.positions.copy()
        hidden = np.repeat(away, self.face_sizes)
        corners[hidden] = np.repeat(first, self.face_sizes, axis=0)[hidden]
        return corners

    @property
    def size(self) -> int:
        """Number of corners."""
        return int(self.owners.size)


@lru_cache(maxsize=8)
def spread_stacks(spec: PackSpec) -> PackSpec:
    """Return the pack with stacked cells drawn apart, so that each can be seen; other patterns stay as they are."""
    if spec.layout.pattern != "stack":
        return spec
    gap = max(spec.layout.cell_gap, SPREAD * spec.cell.height)
    return replace(spec, layout=replace(spec.layout, cell_gap=gap))


@lru_cache(maxsize=8)
def mesh_cells(spec: PackSpec, sides: int) -> PackMesh:
    """Return every cell as a prism of its own size: tops, and those walls that no neighbour hides.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    sides : int
        Walls of the prism of a cylindrical cell; other cells are boxes.
    """
    return _prisms(spec, _outline(spec, sides))


@lru_cache(maxsize=8)
def mesh_tiles(spec: PackSpec) -> PackMesh:
    """Return every cell as a prism that touches its neighbours, for a pack so small that gaps would only flicker."""
    pitch = max(spec.cell.footprint) + spec.layout.cell_gap
    if spec.cell.format == "cylindrical" and spec.layout.pattern == "hexagonal":
        outline = _outline(spec, 6) * pitch / spec.cell.diameter / np.cos(np.pi / 6.0)
    elif spec.cell.format == "cylindrical":
        outline = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * pitch / 2.0
    else:
        outline = _outline(spec, 4) * (1.0 + spec.layout.cell_gap / np.asarray(spec.cell.footprint))
    return _prisms(spec, outline)


@lru_cache(maxsize=8)
def mesh_groups(spec: PackSpec) -> PackMesh:
    """Return every series group as a box around its cells, which makes each module a box in slices."""
    layout = lay_out(spec)
    local = layout.cells_in_module.reshape(spec.series, spec.parallel, 3)
    half = np.array([*spec.cell.footprint, spec.cell.height]) / 2.0
    lowest, highest = local.min(axis=1) - half, local.max(axis=1) + half
    per_module = [_box(lowest[group], highest[group]) for group in range(spec.series)]
    return _placed(spec, per_module)


@lru_cache(maxsize=8)
def mesh_plates(spec: PackSpec) -> PackMesh:
    """Return the floor plate of every module; owners are modules."""
    layout = lay_out(spec)
    size = np.asarray(layout.module_size)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size[:2] / 2.0
    plate = np.c_[corners, np.zeros(4)]
    faces = [(plate[np.newaxis], np.ones(4))]
    mesh = _placed(spec, [faces])
    return PackMesh(
        positions=mesh.positions,
        face_sizes=mesh.face_sizes,
        owners=np.repeat(np.arange(spec.n_modules), 4),
        brightness=mesh.brightness,
    )


def mesh_marks(spec: PackSpec, cells: Indices, *, sides: int = 12, margin: float = 0.0) -> PackMesh:
    """Return a ring around the top of each of some cells; owners are positions in ``cells``.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    cells : ndarray of int, shape (n,)
        Cells in pack order.
    sides : int
        Corners of the ring of a cylindrical cell.
    margin : float
        Widening on both sides as a part of the ring's width, for a border behind a ring.
    """
    layout = lay_out(spec)
    outline = _outline(spec, sides)
    half = np.abs(outline).max(axis=0)
    width = min(WIDEST_RING, 0.28 * float(half.min()))
    outer, inner = outline * (1.0 + (0.4 + margin) * width / half), outline * (1.0 - (0.6 + margin) * width / half)
    count = len(outer)
    following = (np.arange(count) + 1) % count
    quads = np.stack([outer, outer[following], inner[following], inner], axis=1)
    flat = np.concatenate([quads, np.full((count, 4, 1), spec.cell.height / 2.0)], axis=2)
    turned: Array = _turned(spec, flat.reshape(-1, 3), cells // (spec.series * spec.parallel))
    positions = turned + layout.cell_positions[cells][:, np.newaxis]
    return PackMesh(
        positions=positions.reshape(-1, 3),
        face_sizes=np.full(count * cells.size, 4),
        owners=np.repeat(np.arange(cells.size), 4 * count),
        brightness=np.ones(4 * count * cells.size),
    )


def pack_colours(mesh: PackMesh, colours: NDArray[np.floating]) -> list[int]:
    """Return one colour a corner as omni.ui takes them: ``0xAABBGGRR``.

    Parameters
    ----------
    mesh : PackMesh
        The mesh.
    colours : ndarray of shape (n_owners, 3)
        Red, green and blue of each owner, 0 to 1.
    """
    lit = np.clip(colours[mesh.owners] * mesh.brightness[:, np.newaxis], 0.0, 1.0)
    red, green, blue = np.rint(lit * 255.0).astype(np.int64).T
    packed: list[int] = (0xFF000000 | blue << 16 | green << 8 | red).tolist()
    return packed


def pick_cell(spec: PackSpec, origin: Array, direction: Array) -> int | None:
    """Return the first cell that a ray meets, or None.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    origin, direction : ndarray of shape (3,)
        Origin [m] and direction of the ray.
    """
    centres = lay_out(spec).cell_positions
    if spec.cell.format == "cylindrical":
        distance = _ray_to_cylinders(origin - centres, direction, spec.cell.diameter / 2.0, spec.cell.height / 2.0)
    else:
        half = np.array([*spec.cell.footprint, spec.cell.height]) / 2.0
        headings = np.deg2rad([module.heading for module in spec.modules])
        angle = np.repeat(headings, spec.series * spec.parallel)
        back = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
        start = origin - centres
        start[:, :2] = np.einsum("nij,nj->ni", back, start[:, :2])
        towards = np.tile(direction, (len(centres), 1))
        towards[:, :2] = np.einsum("nij,nj->ni", back, towards[:, :2])
        distance = _ray_to_boxes(start, towards, half)
    nearest = int(np.argmin(distance))
    return nearest if np.isfinite(distance[nearest]) else None


def _ray_to_cylinders(start: Array, direction: Array, radius: float, half_height: float) -> Array:
    a = float(direction[:2] @ direction[:2])
    b = start[:, :2] @ direction[:2]
    c = np.einsum("ni,ni->n", start[:, :2], start[:, :2]) - radius**2
    found = np.full(len(start), np.inf)
    if a > 0.0:
        root = b**2 - a * c
        wall = (-b - np.sqrt(np.maximum(root, 0.0))) / a
        height = start[:, 2] + wall * direction[2]
        hit = (root >= 0.0) & (wall > 0.0) & (np.abs(height) <= half_height)
        found[hit] = wall[hit]
    if direction[2] != 0.0:
        for level in (half_height, -half_height):
            lid = (level - start[:, 2]) / direction[2]
            place = start[:, :2] + lid[:, np.newaxis] * direction[:2]
            hit = (lid > 0.0) & (np.einsum("ni,ni->n", place, place) <= radius**2)
            found[hit] = np.minimum(found, lid)[hit]
    return found


def _ray_to_boxes(start: Array, direction: Array, half: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-half - start) / direction, (half - start) / direction
    entry = np.nanmax(np.minimum(first, second), axis=1)
    leave = np.nanmin(np.maximum(first, second), axis=1)
    missed: Array = np.where((entry <= leave) & (entry > 0.0), entry, np.inf)
    return missed


def _outline(spec: PackSpec, sides: int) -> Array:
    if spec.cell.format != "cylindrical":
        box: Array = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.asarray(spec.cell.footprint) / 2.0
        return box
    angle = 2.0 * np.pi * np.arange(sides) / sides
    return spec.cell.diameter / 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _neighbour_directions(spec: PackSpec) -> list[list[Array]]:
    """Return the unit directions from each cell of a module to its neighbours, in the module's frame."""
    layout = lay_out(spec)
    count = spec.series * spec.parallel
    found: list[list[Array]] = [[] for _ in range(count)]
    if spec.layout.cell_gap > 0.3 * min(*spec.cell.footprint, spec.cell.height):
        return found  # one can look between the cells
    for first, second in layout.neighbours[: len(layout.neighbours) // spec.n_modules]:
        offset = layout.cells_in_module[second] - layout.cells_in_module[first]
        unit = offset / np.linalg.norm(offset)
        found[first].append(unit)
        found[second].append(-unit)
    return found


def _prisms(spec: PackSpec, outline: Array) -> PackMesh:
    local, height = lay_out(spec).cells_in_module, spec.cell.height
    walls = len(outline)
    following = np.roll(outline, -1, axis=0)
    normals = np.stack([following[:, 1] - outline[:, 1], outline[:, 0] - following[:, 0]], axis=1)
    normals = np.c_[normals / np.linalg.norm(normals, axis=1, keepdims=True), np.zeros(walls)]
    top = np.c_[outline, np.full(walls, height / 2.0)]
    half = np.full(walls, height / 2.0)
    quads = np.stack(
        [np.c_[outline, -half], np.c_[following, -half], np.c_[following, half], np.c_[outline, half]], axis=1
    )
    per_cell = []
    for cell, directions in enumerate(_neighbour_directions(spec)):
        towards = np.array(directions).reshape(-1, 3)
        faces = []
        if not (towards @ np.array([0.0, 0.0, 1.0]) > 0.8).any():
            faces.append((top[np.newaxis] + local[cell], np.ones(walls)))
        hidden = (towards @ normals.T > np.cos(np.deg2rad(36.0))).any(axis=0)
        shown = ~hidden
        if shown.any():
            faces.append((quads[shown] + local[cell], np.repeat(_brightness(normals[shown]), 4)))
        per_cell.append(faces)
    return _placed(spec, per_cell)


def _box(lowest: Array, highest: Array) -> list[tuple[Array, Array]]:
    (x0, y0, z0), (x1, y1, z1) = lowest, highest
    top = np.array([[[x0, y0, z1], [x1, y0, z1], [x1, y1, z1], [x0, y1, z1]]])
    ring = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    following = np.roll(ring, -1, axis=0)
    low, high = np.full(4, z0), np.full(4, z1)
    walls = np.stack([np.c_[ring, low], np.c_[following, low], np.c_[following, high], np.c_[ring, high]], axis=1)
    normals = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    return [(top, np.ones(4)), (walls, np.repeat(_brightness(normals), 4))]


def _brightness(normals: Array) -> Array:
    light = _LIGHT / np.linalg.norm(_LIGHT)
    lit: Array = _AMBIENT + (1.0 - _AMBIENT) * np.maximum(normals @ light, 0.0)
    return lit


def _placed(spec: PackSpec, per_owner: list[list[tuple[Array, Array]]]) -> PackMesh:
    """Repeat the faces of one module's owners, each list of (faces, brightness) one owner, for all modules."""
    positions = np.concatenate([faces.reshape(-1, 3) for owner in per_owner for faces, _ in owner])
    sizes = np.concatenate([np.full(len(faces), faces.shape[1]) for owner in per_owner for faces, _ in owner])
    brightness = np.concatenate([lit for owner in per_owner for _, lit in owner])
    counts = np.array([sum(faces.shape[0] * faces.shape[1] for faces, _ in owner) for owner in per_owner])
    owners = np.repeat(np.arange(len(per_owner)), counts)
    modules = np.arange(spec.n_modules)
    turned = _turned(spec, positions, modules)
    moved = turned + np.array([module.position for module in spec.modules])[:, np.newaxis]
    return PackMesh(
        positions=moved.reshape(-1, 3),
        face_sizes=np.tile(sizes, spec.n_modules),
        owners=(owners + modules[:, np.newaxis] * len(per_owner)).reshape(-1),
        brightness=np.tile(brightness, spec.n_modules),
    )


def _turned(spec: PackSpec, points: Array, modules: Indices) -> Array:
    """Return points (n, 3) turned by the heading of each of some modules, shape (n_modules, n, 3)."""
    angle = np.deg2rad([spec.modules[int(module)].heading for module in modules])
    cos, sin = np.cos(angle)[:, np.newaxis], np.sin(angle)[:, np.newaxis]
    x, y, z = points.T
    turned: Array = np.stack([cos * x - sin * y, sin * x + cos * y, np.broadcast_to(z, (len(angle), len(z)))], axis=2)
    return turned
