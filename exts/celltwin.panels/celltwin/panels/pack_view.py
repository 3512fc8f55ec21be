"""Window with the pack in three dimensions, coloured by a quantity."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import omni.ui as ui
from omni.ui import scene as sc

from celltwin.core import Level, PackSpec, PackState, element_uuid, find_quantity
from celltwin.stage import Legend

from .cell_card import CardRow, cell_card
from .legend_view import LegendView
from .orbit_camera import OrbitCamera, frame_pack
from .pack_map import MAP_QUANTITIES, PackMap, map_pack
from .pack_mesh import pick_cell, spread_stacks
from .pack_scene import PackScene
from .style import QUALITY_STYLES, SPACING
from .twin_handle import TwinHandle
from .widgets import build_line, open_window, set_text

__all__ = ["PackView"]

TITLE = "Pack View"
LEFT, RIGHT, MIDDLE = 0, 1, 2
# Turn of the camera for a drag across half the view [rad].
ORBIT_SPEED = 1.8
# Time between two frames of a drag that makes the rest of it draw boxes, if it comes twice [s]; a mouse that rests
# for longer than the second says nothing about the machine.
SLOW_FRAME, RESTING_MOUSE = 0.1, 0.8
# A press that moves less than this part of the view's half height is a click.
CLICK_REACH = 0.01
CARD_WIDTH = 350

type OnShape = Callable[[sc.AbstractShape], None]


class PackView:
    """The pack by colours: drag to orbit, middle button or right button to pan, wheel to zoom, click to choose.

    Parameters
    ----------
    quantity : str
        Quantity that colours the cells at first.
    """

    def __init__(self, quantity: str = "temperature") -> None:
        self._quantity = quantity
        self._spec: PackSpec | None = None
        self._state: PackState | None = None
        self._map: PackMap | None = None
        self._last_legend: Legend | None = None
        self._cell: int | None = None
        self._rows: tuple[CardRow, ...] = ()
        self._carded: int | None = None
        self._card_labels: list[tuple[ui.Label, ui.Label]] = []
        self._camera: OrbitCamera | None = None
        self._framed = False
        self._scene: PackScene | None = None
        self._sent: tuple[OrbitCamera | None, float, bool] | None = None
        self._travel = 0.0
        self._spread = True
        self._hurried = False
        self._slow_frames = 0
        self._moved_at = 0.0
        self.window = open_window(TITLE, 1040, 560, self._build)

    @property
    def quantity(self) -> str:
        """Quantity that colours the cells."""
        return self._quantity

    @property
    def cell(self) -> int | None:
        """The chosen cell, in pack order."""
        return self._cell

    @property
    def camera(self) -> OrbitCamera | None:
        """Where the pack is seen from; None without a pack."""
        return self._camera

    @property
    def scene(self) -> PackScene | None:
        """The shapes; None without a pack."""
        return self._scene

    @property
    def legend_title(self) -> str:
        """Name and unit that the legend shows."""
        return self._legend.title

    @property
    def card_texts(self) -> dict[str, str]:
        """Values that the card of the chosen cell shows, by label; empty without one."""
        return {row.label: str(text.text) for row, (text, _) in zip(self._rows, self._card_labels, strict=True)}

    @property
    def quantity_box(self) -> ui.ComboBox:
        """The box that chooses the quantity."""
        return self._box

    def show(self, twin: TwinHandle | None) -> None:
        """Show the newest process image of a twin; cheap when nothing has changed."""
        spec = None if twin is None else twin.spec
        if spec is not self._spec:
            self._spec, self._state, self._map, self._last_legend = spec, None, None, None
            self._cell, self._camera, self._framed, self._scene = None, None, False, None
            self.window.frame.rebuild()
            return
        if twin is None or self._scene is None:
            return
        self._place_camera()
        if twin.state is not None and twin.state is not self._state:
            self._state = twin.state
            self._paint()

    def choose_quantity(self, quantity: str) -> None:
        """Colour the cells by another quantity."""
        self._quantity = quantity
        self._paint()

    def select(self, cell: int | None) -> None:
        """Choose a cell and show what is known of it, or none."""
        self._cell = cell
        if self._scene is not None:
            self._scene.select(cell)
            self._show_card()

    def look(self, camera: OrbitCamera) -> None:
        """See the pack from a camera, from the next frame on."""
        self._camera = camera

    def frame_all(self, elevation: float | None = None) -> None:
        """Move the camera until the whole pack fills the view, from a side or from an elevation [rad]."""
        if self._spec is None or self._scene is None:
            return
        spec, aspect = self._drawn_spec(self._spec), self._aspect()
        if elevation is None:
            self._camera = frame_pack(spec, aspect)
        else:
            self._camera = frame_pack(spec, aspect, azimuth=-np.pi / 2.0, elevation=elevation)
        self._framed = True

    def destroy(self) -> None:
        """Close the window."""
        self._scene = None
        self.window.destroy()

    # Building

    def _build(self) -> None:
        self._scene, self._sent, self._rows = None, None, ()
        with ui.ZStack():
            ui.Rectangle(name="view")
            if self._spec is None:
                ui.Label("No twin is running.", name="faint", alignment=ui.Alignment.CENTER)
                return
            with ui.VStack():
                self._build_toolbar()
                with ui.ZStack():
                    with ui.Frame(horizontal_clipping=True, vertical_clipping=True), ui.ZStack():
                        self._build_scene(self._drawn_spec(self._spec))
                    self._build_overlay()
        if self._state is not None:
            self._paint()

    def _build_toolbar(self) -> None:
        with ui.VStack(height=36):
            ui.Spacer(height=4)
            with ui.HStack(height=28, spacing=SPACING):
                ui.Spacer(width=4)
                ui.Label("Colour by", name="faint", width=68)
                labels = [find_quantity(key).label for key in MAP_QUANTITIES]
                self._box = ui.ComboBox(MAP_QUANTITIES.index(self._quantity), *labels, width=150)
                self._box.model.get_item_value_model(None, 0).add_value_changed_fn(self._on_quantity)
                ui.Spacer(width=8)
                ui.Button("Fit", width=56, clicked_fn=self.frame_all, tooltip="Show the whole pack")
                top = partial(self.frame_all, np.pi / 2.0)
                ui.Button("Top", width=56, clicked_fn=top, tooltip="Look from above")
                if self._spec is not None and self._spec.layout.pattern == "stack":
                    name = "chosen" if self._spread else ""
                    tip = "Draw stacked cells apart"
                    ui.Button("Spread", name=name, width=72, clicked_fn=self._toggle_spread, tooltip=tip)
                ui.Label(
                    "Drag: orbit · right drag: pan · wheel: zoom · click: choose a cell",
                    name="faint",
                    alignment=ui.Alignment.RIGHT_CENTER,
                    elided_text=True,
                )
                ui.Spacer(width=8)
            ui.Spacer(height=4)

    def _build_scene(self, spec: PackSpec) -> None:
        identity = [1.0 if row == column else 0.0 for row in range(4) for column in range(4)]
        self._model = sc.CameraModel(identity, identity)
        self._scene = PackScene(spec, self._model)
        with self._scene.screen:
            sc.Screen(
                gestures=[
                    self._drag(LEFT, self._on_orbit, self._on_orbit_ended),
                    *(self._drag(button, self._on_pan, self._on_ended) for button in (MIDDLE, RIGHT)),
                    sc.ScrollGesture(on_ended_fn=self._on_scroll),
                ]
            )
        self._scene.select(self._cell)

    def _drag(self, button: int, on_changed: OnShape, on_ended: OnShape) -> sc.DragGesture:
        return sc.DragGesture(
            mouse_button=button,
            on_began_fn=self._on_began,
            on_changed_fn=on_changed,
            on_ended_fn=on_ended,
        )

    def _build_overlay(self) -> None:
        with ui.HStack():
            with ui.VStack(width=0):
                ui.Spacer()
                with ui.HStack(height=0):
                    ui.Spacer(width=10)
                    self._legend = LegendView()
                ui.Spacer(height=10)
            ui.Spacer()
            with ui.VStack(width=CARD_WIDTH):
                ui.Spacer(height=10)
                self._card = ui.Frame(build_fn=self._build_card)  # a frame of no size would never be built
            ui.Spacer(width=10)

    def _build_card(self) -> None:
        self._card_labels = []
        if self._spec is None or self._cell is None:
            return
        name = self._spec.element_ids(Level.CELL)[self._cell]
        with ui.ZStack(height=0):
            ui.Rectangle(name="card")
            with ui.HStack(height=0):
                ui.Spacer(width=12)
                with ui.VStack(height=0, spacing=2):
                    ui.Spacer(height=6)
                    with ui.HStack(height=22):
                        ui.Label(name, name="strong")
                        ui.Button("×", width=22, height=20, clicked_fn=partial(self.select, None))
                    ui.Label(element_uuid(self._spec.name, name), name="faint", height=16)
                    build_line()
                    if not self._rows:
                        ui.Label("Nothing is known of it yet.", name="faint", height=20)
                    for row in self._rows:
                        with ui.HStack(height=20, spacing=4):
                            ui.Label(row.label, name="faint", width=92)
                            text = ui.Label(row.text, name=f"value_{QUALITY_STYLES[row.quality]}", width=114)
                            note = ", ".join(part for part in (row.kind.value, row.note) if part)
                            about = ui.Label(note, name=f"note_{QUALITY_STYLES[row.quality]}", elided_text=True)
                        self._card_labels.append((text, about))
                    ui.Spacer(height=6)
                ui.Spacer(width=8)

    # Showing

    def _paint(self) -> None:
        if self._state is None or self._spec is None or self._scene is None:
            return
        self._map = map_pack(self._state, self._spec, self._quantity, self._last_legend)
        self._last_legend = self._map.legend
        self._scene.show(self._map)
        self._legend.show(self._map)
        self._show_card()

    def _show_card(self) -> None:
        before = self._rows
        known = self._state is not None and self._spec is not None and self._cell is not None
        self._rows = cell_card(self._state, self._spec, self._cell) if known else ()  # type: ignore[arg-type]
        same = [(row.label, row.kind, row.note, row.quality) for row in before] == [
            (row.label, row.kind, row.note, row.quality) for row in self._rows
        ]
        built = len(self._card_labels) == len(self._rows) > 0
        if built and same and self._carded == self._cell:
            for row, (text, _) in zip(self._rows, self._card_labels, strict=True):
                set_text(text, row.text)
            return
        self._carded = self._cell
        self._card.rebuild()

    # Camera

    def _size(self) -> tuple[float, float]:
        view = self._scene.view if self._scene is not None else None
        return (0.0, 0.0) if view is None else (float(view.computed_width), float(view.computed_height))

    def _aspect(self) -> float:
        width, height = self._size()
        return width / height if width > 1.0 and height > 1.0 else 1.5

    def _place_camera(self) -> None:
        width, height = self._size()
        if self._scene is None or width < 2.0 or height < 2.0:
            return  # not laid out yet
        if not self._framed:
            self.frame_all()
        camera = self._camera
        sent = (camera, width / height, self._hurried)
        if camera is None or self._sent == sent:
            return
        self._sent = sent
        self._model.projection = camera.projection(width / height).reshape(-1).tolist()
        self._model.view = camera.view().reshape(-1).tolist()
        self._scene.choose_detail(camera, height, hurried=self._hurried)

    def _toggle_spread(self) -> None:
        self._spread = not self._spread
        self._framed = False
        self.window.frame.rebuild()

    def _drawn_spec(self, spec: PackSpec) -> PackSpec:
        return spread_stacks(spec) if self._spread else spec

    def _on_quantity(self, model: ui.AbstractValueModel) -> None:
        self.choose_quantity(MAP_QUANTITIES[model.as_int])

    def _on_began(self, _shape: sc.AbstractShape) -> None:
        self._travel, self._slow_frames, self._moved_at = 0.0, 0, time.perf_counter()

    def _on_moved(self, shape: sc.AbstractShape) -> tuple[float, float]:
        """Return how far the mouse moved, right and up; on a slow machine let speed win over detail."""
        now = time.perf_counter()
        slow = SLOW_FRAME < now - self._moved_at < RESTING_MOUSE
        self._slow_frames, self._moved_at = self._slow_frames + 1 if slow else 0, now
        self._hurried = self._hurried or self._slow_frames > 1
        right, up = shape.gesture_payload.mouse_moved
        self._travel += abs(right) + abs(up)
        return float(right), float(up)

    def _on_ended(self, _shape: sc.AbstractShape) -> None:
        self._hurried = False

    def _on_orbit(self, shape: sc.AbstractShape) -> None:
        right, up = self._on_moved(shape)
        if self._camera is not None and self._travel > CLICK_REACH:
            self._camera = self._camera.orbited(-ORBIT_SPEED * right * self._aspect(), -ORBIT_SPEED * up)

    def _on_orbit_ended(self, shape: sc.AbstractShape) -> None:
        self._on_ended(shape)
        if self._travel > CLICK_REACH or self._camera is None or self._spec is None:
            return
        x, y = shape.gesture_payload.mouse
        self.select(pick_cell(self._drawn_spec(self._spec), *self._camera.ray(x, y, self._aspect())))

    def _on_pan(self, shape: sc.AbstractShape) -> None:
        right, up = self._on_moved(shape)
        if self._camera is not None:
            self._camera = self._camera.panned(right * self._aspect(), up)

    def _on_scroll(self, shape: sc.AbstractShape) -> None:
        if self._camera is not None:
            steps = next(gesture.scroll[1] for gesture in shape.gestures if isinstance(gesture, sc.ScrollGesture))
            self._camera = self._camera.zoomed(float(steps))
