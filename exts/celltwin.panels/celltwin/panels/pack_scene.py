"""The pack as shapes of ``omni.ui.scene``: plates, cells at three levels of detail, marks and labels."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial

import numpy as np
import omni.ui as ui
from numpy.typing import NDArray
from omni.ui import scene as sc

from celltwin.core import Array, Level, PackSpec, Severity, lay_out

from .orbit_camera import OrbitCamera
from .pack_map import PackMap, group_colours
from .pack_mesh import PackMesh, mesh_cells, mesh_groups, mesh_marks, mesh_plates, mesh_tiles, pack_colours
from .style import ALARM_COLOURS, PALETTE, TEXT_SIZE, colour, rgb

__all__ = ["Detail", "PackScene"]


class Detail(Enum):
    """How cells are drawn: groups as boxes, cells as tiles that touch, or cells as round prisms."""

    BOXES = "boxes"
    TILES = "tiles"
    ROUND = "round"


# Pixels that a cell must take to be drawn as a tile, or as a prism with gaps around it.
SMALLEST_TILE, SMALLEST_ROUND = 3.0, 14.0
ROUND_SIDES = 12
MOST_MARKS = 400
# Corners of a mesh whose far sides are left out as the camera moves. omni.ui sorts faces by their distance, which
# goes wrong for long walls; a mesh of more corners has short ones.
MOST_CULLED = 4000
NAME_HEIGHT = 0.045  # of a chosen cell's name above it [m]

_MESHES: dict[Detail, Callable[[PackSpec], PackMesh]] = {
    Detail.BOXES: mesh_groups,
    Detail.TILES: mesh_tiles,
    Detail.ROUND: partial(mesh_cells, sides=ROUND_SIDES),
}


class PackScene:
    """Shapes of one pack in four scenes laid over each other, so that each draws over the one before.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    camera : sc.CameraModel
        Matrices that all scenes share.
    """

    def __init__(self, spec: PackSpec, camera: sc.CameraModel) -> None:
        self._spec = spec
        self._shown: PackMap | None = None
        self._selected: int | None = None
        self._marked: tuple[bytes, bytes, int | None] | None = None
        self._meshes: dict[Detail, tuple[PackMesh, sc.PolygonMesh]] = {}
        self._coloured: PackMap | None = None
        self._detail = Detail.TILES
        self._eye: Array | None = None
        self._views = tuple(sc.SceneView(camera, aspect_ratio_policy=sc.AspectRatioPolicy.STRETCH) for _ in range(4))
        floor, self._body, below, self._top = (view.scene for view in self._views)
        with floor:
            self._build_floor()
        with below:
            self._borders = sc.Transform()
        with self._top:
            self._labels = self._build_labels()
            self._marks = sc.Transform()
            self._screen = sc.Transform()

    @property
    def view(self) -> sc.SceneView:
        """The topmost scene, which receives the mouse."""
        return self._views[-1]

    @property
    def screen(self) -> sc.Transform:
        """Where gestures on the whole view belong."""
        return self._screen

    def show(self, shown: PackMap) -> None:
        """Colour the cells and mark the alarms of a picture."""
        self._shown = shown
        self._recolour()
        self._remark()

    def select(self, cell: int | None) -> None:
        """Mark a cell as chosen, or none."""
        self._selected = cell
        self._remark()

    def choose_detail(self, camera: OrbitCamera, view_height: float, *, hurried: bool = False) -> None:
        """Draw boxes, tiles or round cells, by the size that a cell takes on the screen; boxes in a hurry."""
        pixels = camera.pixels(min(self._spec.cell.footprint), view_height)
        detail = (
            Detail.BOXES
            if hurried or pixels < SMALLEST_TILE
            else Detail.TILES
            if pixels < SMALLEST_ROUND
            else Detail.ROUND
        )
        if detail is not self._detail:
            self._detail = detail
            self._recolour()
        self._eye = eye = camera.eye()
        self._cull()
        for place, outward, low, high in self._labels:
            near = bool((eye - place) @ outward > 0.0)
            low.visible, high.visible = near, not near

    @property
    def detail(self) -> Detail:
        """How cells are drawn now."""
        return self._detail

    def _build_floor(self) -> None:
        plates = mesh_plates(self._spec)
        tint = np.tile(rgb(PALETTE["panel"]), (self._spec.n_modules, 1))
        _polygons(plates, pack_colours(plates, tint))
        for ring in plates.positions.reshape(-1, 4, 3):
            points = [*ring.tolist(), ring[0].tolist()]
            sc.Curve(points, colors=[colour("line")], thicknesses=[1.0], curve_type=sc.Curve.CurveType.LINEAR)

    def _build_labels(self) -> list[tuple[Array, Array, sc.Transform, sc.Transform]]:
        """Build the modules' names, low and high beside each: which is seen depends on the side of the camera."""
        corners = mesh_plates(self._spec).positions.reshape(-1, 4, 3)
        centres, height = corners.mean(axis=1), lay_out(self._spec).module_size[2]
        columns = [np.unique(np.round(centres[:, axis], 3)).size for axis in (0, 1)]
        axis = 0 if columns[0] <= columns[1] else 1  # names go where the fewer modules stand side by side
        middle = corners.reshape(-1, 3).mean(axis=0)
        labels = []
        for module, ring, centre in zip(self._spec.modules, corners, centres, strict=True):
            outward = np.zeros(3)
            outward[axis] = -1.0 if centre[axis] < middle[axis] - 1e-6 else 1.0
            place = centre + outward * (np.ptp(ring[:, axis]) / 2.0 + 0.03)
            pair = []
            for level in (0.0, height):
                x, y = float(place[0]), float(place[1])
                with sc.Transform(transform=sc.Matrix44.get_translation_matrix(x, y, level)) as shape:
                    sc.Label(module.id, color=colour("faint"), size=TEXT_SIZE, alignment=ui.Alignment.CENTER)
                pair.append(shape)
            labels.append((place, outward, *pair))
        return labels

    def _recolour(self) -> None:
        shown = self._shown
        if shown is None:
            return
        if self._detail not in self._meshes:
            mesh = _MESHES[self._detail](self._spec)
            with self._body:
                self._meshes[self._detail] = (mesh, _polygons(mesh, self._colours(mesh, shown)))
        for detail, (mesh, shape) in self._meshes.items():
            shape.visible = detail is self._detail
            if shape.visible:
                shape.colors = self._colours(mesh, shown)
        self._cull()

    def _cull(self) -> None:
        if self._detail in self._meshes and self._eye is not None:
            mesh, shape = self._meshes[self._detail]
            if mesh.size <= MOST_CULLED:
                shape.positions = mesh.facing(self._eye).tolist()

    def _colours(self, mesh: PackMesh, shown: PackMap) -> list[int]:
        return pack_colours(
            mesh, group_colours(shown.colours, self._spec) if self._detail is Detail.BOXES else shown.colours
        )

    def _remark(self) -> None:
        alarmed = self._shown.alarmed if self._shown is not None else np.empty(0, dtype=np.int64)
        urgency = self._shown.severities if self._shown is not None else np.empty(0, dtype=np.uint8)
        key = (alarmed.tobytes(), urgency.tobytes(), self._selected)
        if key == self._marked:
            return
        self._marked = key
        self._borders.clear()
        self._marks.clear()
        if alarmed.size:
            first = np.argsort(-urgency, kind="stable")[:MOST_MARKS]
            tints = np.array([rgb(ALARM_COLOURS[Severity(int(level))]) for level in urgency[first]])
            self._mark(alarmed[first], tints)
        if self._selected is not None:
            self._mark(np.array([self._selected]), np.array([rgb(PALETTE["strong"])]), margin=0.25)
            with self._marks:
                self._build_name(self._selected)

    def _mark(self, cells: NDArray[np.int64], colours: Array, margin: float = 0.0) -> None:
        """Draw rings over dark borders, which lift them off every colour of the cells."""
        for parent, border, tints in ((self._borders, 0.5, np.zeros_like(colours)), (self._marks, 0.0, colours)):
            rings = mesh_marks(self._spec, cells, margin=margin + border)
            with parent:
                _polygons(rings, pack_colours(rings, tints))

    def _build_name(self, cell: int) -> None:
        place = lay_out(self._spec).cell_positions[cell].copy()
        place[2] += self._spec.cell.height / 2.0 + NAME_HEIGHT
        with sc.Transform(transform=sc.Matrix44.get_translation_matrix(*place.tolist())):
            name = self._spec.element_ids(Level.CELL)[cell]
            sc.Label(name, color=colour("strong"), size=TEXT_SIZE, alignment=ui.Alignment.CENTER)


def _polygons(mesh: PackMesh, colours: list[int]) -> sc.PolygonMesh:
    return sc.PolygonMesh(mesh.positions.tolist(), colours, mesh.face_sizes.tolist(), list(range(mesh.size)))
