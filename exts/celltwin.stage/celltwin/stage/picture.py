"""A picture of the pack with its cells coloured by a quantity, drawn without a display."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PackSpec, RecordingError, find_quantity, lay_out, require_shape

from .cell_geometry import Part, shape_cell
from .heat_map import ALARM_COLOUR, Legend, build_legend, fit_range, map_colours
from .materials import SURFACES
from .meshes import Mesh, join, turn
from .module_geometry import shape_busbars, shape_cooling, shape_housing

if TYPE_CHECKING:
    import pyvista

__all__ = ["render_pack"]

_PAPER, _INK = "white", "#20242a"
# Where the eye is: before the long side of the pack, a little to the left, well above.
_VIEW_WIDE, _VIEW_DEEP = (-0.40, -1.0, 0.85), (1.0, -0.40, 0.85)
_VIEW_ANGLE = 24.0  # [degrees]
_FIELD = (-0.94, -0.90, 0.74, 0.80)  # left, bottom, right, top of the pack in the picture, -1 to 1


def render_pack(
    spec: PackSpec,
    values: Array | None,
    path: Path,
    *,
    quantity: str = "temperature",
    lowest: float | None = None,
    highest: float | None = None,
    title: str = "",
    size: tuple[int, int] = (1600, 1000),
    alarmed: Sequence[int] = (),
) -> Path:
    """Draw the pack and write a PNG file.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    values : ndarray of shape (n_cells,) or None
        Values [SI] in pack order; NaN is drawn in neutral grey. None draws the cells in their own colour.
    path : Path
        PNG file to write.
    quantity : str
        Key of the quantity.
    lowest, highest : float, optional
        Ends of the scale [SI]; fitted to the values where not given.
    title : str
        Line above the picture; the title of the pack where empty.
    size : tuple of int
        Width and height [pixels].
    alarmed : sequence of int
        Cells to mark with a red ball.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ShapeError
        If ``values`` is not of shape ``(n_cells,)``.
    RecordingError
        If the file cannot be written.
    """
    import pyvista

    if values is None:
        own = np.array(_screen(SURFACES["CellSkin"].colour))
        colours, legend = np.tile(own, (spec.n_cells, 1)), None
    else:
        require_shape("values", values, (spec.n_cells,))
        fitted = fit_range(values, quantity)
        ends = (fitted[0] if lowest is None else lowest, fitted[1] if highest is None else highest)
        colours, legend = map_colours(values, *ends, quantity=quantity), build_legend(quantity, *ends)
    if not os.environ.get("DISPLAY"):  # VTK would try X first, and complain
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    plotter = pyvista.Plotter(off_screen=True, window_size=list(size), lighting="none")
    try:
        plotter.set_background(_PAPER)
        _add_lights(plotter)
        _add_cells(plotter, spec, colours)
        _add_structure(plotter, spec)
        _add_marks(plotter, spec, alarmed)
        _add_words(plotter, spec, title or spec.title, size)
        if legend is not None:
            _add_scale(plotter, spec, legend, size)
        _aim(plotter, size)
        plotter.enable_anti_aliasing("ssaa")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            plotter.screenshot(str(path))
        except OSError as error:
            raise RecordingError(
                f"the picture cannot be written ({error.strerror or error})",
                where=str(path),
                remedy="Name a writable folder with free space",
            ) from error
    finally:
        plotter.close()
    return path


def _add_cells(plotter: pyvista.Plotter, spec: PackSpec, colours: NDArray[np.floating]) -> None:
    centres = lay_out(spec).cells_in_module
    shades = np.round(255.0 * colours).astype(np.uint8)
    for part in _cell_parts(spec):
        block = _repeat(part.mesh, centres)
        every = join([_place(spec, index, block) for index in range(spec.n_modules)])
        painted = SURFACES[part.surface].painted
        paint = np.repeat(shades, part.mesh.counts.size, axis=0) if painted else None
        _add_part(plotter, every, part.surface, paint=paint)


def _cell_parts(spec: PackSpec) -> list[Part]:
    """Return the pieces of a cell as a picture of a whole pack needs them: plain cylinders, more of them painted."""
    if spec.cell.format != "cylindrical":
        return list(shape_cell(spec.cell).parts)
    radius, half = spec.cell.diameter / 2.0, spec.cell.height / 2.0
    rim = 0.12 * radius
    body = [(0.9 * radius, -half), (radius, rim - half), (radius, half - 2.0 * rim), (0.85 * radius, half - rim)]
    pole = [(0.34 * radius, half - 2.0 * rim), (0.34 * radius, half - 0.2 * rim), (0.26 * radius, half)]
    return [Part("Body", turn(body, sides=18), "CellSkin"), Part("Pole", turn(pole, sides=10), "Steel")]


def _add_structure(plotter: pyvista.Plotter, spec: PackSpec) -> None:
    shown = [(part, 0.35) for part in shape_housing(spec)] + [(part, 1.0) for part in shape_cooling(spec)]
    if spec.layout.pattern == "stack":  # elsewhere busbars would cover the cells
        shown += [(part, 1.0) for part in shape_busbars(spec)]
    for surface, opacity in dict.fromkeys((part.surface, opacity) for part, opacity in shown):
        block = join([part.mesh for part, _ in shown if part.surface == surface])
        every = join([_place(spec, index, block) for index in range(spec.n_modules)])
        _add_part(plotter, every, surface, opacity=opacity)


def _add_part(
    plotter: pyvista.Plotter,
    mesh: Mesh,
    surface: str,
    *,
    opacity: float = 1.0,
    paint: NDArray[np.uint8] | None = None,
) -> None:
    look = SURFACES[surface]
    shape = _to_pyvista(mesh)
    options: dict[str, Any] = {"color": _screen(look.colour)}
    if paint is not None:
        shape.cell_data["colour"] = paint
        options = {"scalars": "colour", "rgb": True}
    shine = 0.12 if paint is not None else 0.45 * (1.0 - look.roughness) + 0.15 * look.metallic
    plotter.add_mesh(
        shape,
        opacity=opacity,
        ambient=0.38 if paint is not None else 0.15,
        diffuse=0.75,
        specular=shine,
        specular_power=18,
        smooth_shading=False,
        show_scalar_bar=False,
        **options,
    )


def _add_marks(plotter: pyvista.Plotter, spec: PackSpec, alarmed: Sequence[int]) -> None:
    if not len(alarmed):
        return
    import pyvista

    places = lay_out(spec).cell_positions[list(alarmed)].copy()
    radius = 0.45 * min(spec.cell.footprint) if spec.cell.format == "cylindrical" else 0.08 * spec.cell.width
    # Above its module, where the cells are stacked and others lie on it.
    tops = np.array([module.position[2] for module in spec.modules]) + lay_out(spec).module_size[2]
    places[:, 2] = tops[np.asarray(alarmed) // (spec.series * spec.parallel)] + 0.3 * radius
    balls = pyvista.PolyData(places).glyph(geom=pyvista.Sphere(radius=radius), orient=False, scale=False)
    plotter.add_mesh(balls, color=ALARM_COLOUR, ambient=0.4, diffuse=0.7)


def _add_words(plotter: pyvista.Plotter, spec: PackSpec, title: str, size: tuple[int, int]) -> None:
    unit = size[1] / 1000.0
    plotter.add_text(title, position=(0.03, 0.935), viewport=True, font_size=int(15 * unit), color=_INK, font="arial")
    layout = lay_out(spec)
    side = -0.5 if _is_wide(layout.cell_positions) else 0.5
    front = np.array([[side * layout.module_size[0], -0.5 * layout.module_size[1], layout.module_size[2]]])
    corners = np.concatenate([_turned(spec, index, front) for index in range(spec.n_modules)])
    plotter.add_point_labels(
        corners,
        [module.id for module in spec.modules],
        font_size=max(9, int(20 * unit)),
        text_color=_INK,
        shape="rounded_rect",
        shape_color="white",
        shape_opacity=0.75,
        show_points=False,
        always_visible=True,
    )


def _add_scale(plotter: pyvista.Plotter, spec: PackSpec, legend: Legend, size: tuple[int, int]) -> None:
    import pyvista

    unit = size[1] / 1000.0
    table = pyvista.LookupTable()
    steps = map_colours(np.linspace(0.0, 1.0, 256), 0.0, 1.0, quantity=legend.quantity)
    table.values = np.concatenate([np.round(255.0 * steps), np.full((256, 1), 255.0)], axis=1).astype(np.uint8)
    found = find_quantity(legend.quantity)
    low, high = found.to_display(legend.lowest), found.to_display(legend.highest)
    table.scalar_range = (low, high)
    carrier = pyvista.PolyData(lay_out(spec).cell_positions[:1])  # a scalar bar belongs to a mesh in VTK
    carrier.point_data["shown"] = np.array([low])
    actor = plotter.add_mesh(carrier, scalars="shown", show_scalar_bar=False, opacity=0.0)
    actor.mapper.lookup_table = table
    actor.mapper.scalar_range = (low, high)
    decimals = len(legend.ticks[0][1].partition(".")[2])
    bar = plotter.add_scalar_bar(
        title=f"{legend.title}\n",
        mapper=actor.mapper,
        n_labels=len(legend.ticks),
        fmt=f"%.{decimals}f",
        vertical=True,
        position_x=0.915,
        position_y=0.16,
        width=0.045,
        height=0.64,
        color=_INK,
        title_font_size=int(22 * unit),
        label_font_size=int(20 * unit),
        font_family="arial",
    )
    from vtkmodules.vtkCommonCore import vtkDoubleArray

    marks = vtkDoubleArray()
    for place, _ in legend.ticks:  # where they are round, not where VTK would space them
        marks.InsertNextValue(low + place * (high - low))
    bar.SetUseCustomLabels(True)
    bar.SetCustomLabels(marks)


def _add_lights(plotter: pyvista.Plotter) -> None:
    import pyvista

    # Fixed to the eye: a key light over the left shoulder, a weaker one from the right, a little from ahead.
    for direction, intensity in (((-0.6, 1.0, 0.7), 0.55), ((1.0, 0.3, 0.6), 0.30), ((0.0, 0.0, 1.0), 0.35)):
        plotter.add_light(pyvista.Light(position=direction, light_type="camera light", intensity=intensity))


def _aim(plotter: pyvista.Plotter, size: tuple[int, int]) -> None:
    """Look along the short side of the pack, so that it fills the picture left of the scale and below the title."""
    bounds = np.array(plotter.bounds).reshape(3, 2)
    corners = np.stack(np.meshgrid(*bounds, indexing="ij"), axis=-1).reshape(-1, 3)
    view = np.array(_VIEW_WIDE if _is_wide(corners) else _VIEW_DEEP)
    view /= np.linalg.norm(view)
    right = np.cross([0.0, 0.0, 1.0], view)
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(view, right), view])
    slope = math.tan(math.radians(_VIEW_ANGLE) / 2.0)  # half the height of the picture at distance 1
    half = slope * np.array([size[0] / size[1], 1.0])
    left, low, high_x, high_y = _FIELD
    centre, distance = bounds.mean(axis=1), 3.0 * float(np.ptp(bounds, axis=1).max()) / slope
    for _ in range(12):  # perspective bends the fit a little: a few rounds settle it
        across, along, near = frame @ (corners - centre).T
        seen = np.stack([across, along], axis=1) / (distance - near)[:, np.newaxis] / half
        box = np.stack([seen.min(axis=0), seen.max(axis=0)])
        target = np.array([[left, low], [high_x, high_y]])
        shift = (box.mean(axis=0) - target.mean(axis=0)) * half * distance
        centre = centre + shift[0] * frame[0] + shift[1] * frame[1]
        distance *= float(np.max(np.ptp(box, axis=0) / np.ptp(target, axis=0)))
    camera = plotter.camera
    camera.focal_point, camera.position = tuple(centre), tuple(centre + distance * view)
    camera.up, camera.view_angle = (0.0, 0.0, 1.0), _VIEW_ANGLE
    plotter.reset_camera_clipping_range()


def _is_wide(points: Array) -> bool:
    """Return whether points spread more along x than along y."""
    spread = np.ptp(points, axis=0)
    return bool(spread[0] >= spread[1])


def _repeat(mesh: Mesh, places: Array) -> Mesh:
    """Return copies of a mesh at many places as one mesh."""
    count, size = len(places), len(mesh.points)
    return Mesh(
        (mesh.points[np.newaxis] + places[:, np.newaxis]).reshape(-1, 3),
        np.tile(mesh.counts, count),
        (mesh.indices[np.newaxis] + size * np.arange(count)[:, np.newaxis]).ravel(),
        np.tile(mesh.normals, (count, 1)),
    )


def _place(spec: PackSpec, index: int, mesh: Mesh) -> Mesh:
    """Return a mesh given in the frame of a module, in the frame of the pack; its normals are not used."""
    return Mesh(_turned(spec, index, mesh.points), mesh.counts, mesh.indices, mesh.normals)


def _turned(spec: PackSpec, index: int, points: Array) -> Array:
    module = spec.modules[index]
    angle = math.radians(module.heading)
    turn = np.array(
        [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]]
    )
    moved: Array = points @ turn.T + np.asarray(module.position)
    return moved


def _to_pyvista(mesh: Mesh) -> pyvista.PolyData:
    import pyvista

    starts = np.cumsum(mesh.counts) - mesh.counts
    faces = np.insert(mesh.indices, starts, mesh.counts)
    return pyvista.PolyData(mesh.points.astype(np.float32), faces=faces)


def _screen(colour: tuple[float, float, float]) -> tuple[float, ...]:
    """Return a linear colour as sRGB."""
    return tuple(12.92 * part if part <= 0.0031308 else 1.055 * part ** (1.0 / 2.4) - 0.055 for part in colour)
