"""The three windows together: laid out side by side, fed with the newest results of the running twin."""

from __future__ import annotations

from collections.abc import Callable

import omni.ui as ui

from .control_panel import ControlPanel
from .pack_panel import PackPanel
from .pack_view import PackView
from .twin_handle import TwinHandle

__all__ = ["Desk", "tile"]

PANEL_WIDTH, CONTROL_HEIGHT = 400, 326
GAP = 4

type Area = tuple[float, float, float, float]


def tile(width: float, height: float) -> tuple[Area, Area, Area]:
    """Return position and size of view, panel and control that together fill an area [pixels]."""
    panel = min(PANEL_WIDTH, 0.4 * width)
    control = min(CONTROL_HEIGHT, 0.45 * height)
    left = width - panel - GAP
    return (
        (0.0, 0.0, left, height - control - GAP),
        (left + GAP, 0.0, panel, height),
        (0.0, height - control, left, control),
    )


class Desk:
    """All windows of one running twin.

    Parameters
    ----------
    find_twin : callable
        Returns the running twin or None; asked at every refresh.
    tiled : bool
        Whether the windows fill the application's window and stay where they are, as in the desk app; in an
        editor they float until the user docks them.
    """

    def __init__(self, find_twin: Callable[[], TwinHandle | None], *, tiled: bool) -> None:
        self._find_twin = find_twin
        self._tiled = tiled
        self._area = (0.0, 0.0)
        self.pack_view = PackView()
        self.pack_panel = PackPanel()
        self.control_panel = ControlPanel()
        self.windows = (self.pack_view.window, self.pack_panel.window, self.control_panel.window)
        if tiled:
            for window in self.windows:
                window.flags = (
                    ui.WINDOW_FLAGS_NO_MOVE
                    | ui.WINDOW_FLAGS_NO_RESIZE
                    | ui.WINDOW_FLAGS_NO_COLLAPSE
                    | ui.WINDOW_FLAGS_NO_CLOSE
                    | ui.WINDOW_FLAGS_NO_DOCKING
                    | ui.WINDOW_FLAGS_NO_SCROLLBAR
                )

    def refresh(self) -> None:
        """Show the newest results; call it once a frame."""
        if self._tiled:
            self._tile()
        twin = self._find_twin()
        self.pack_view.show(twin)
        self.pack_panel.show(twin)
        self.control_panel.show(twin)

    def destroy(self) -> None:
        """Close all windows."""
        for part in (self.pack_view, self.pack_panel, self.control_panel):
            part.destroy()

    def _tile(self) -> None:
        area = (float(ui.Workspace.get_main_window_width()), float(ui.Workspace.get_main_window_height()))
        if area == self._area or min(area) < 1.0:
            return
        self._area = area
        for window, (x, y, width, height) in zip(self.windows, tile(*area), strict=True):
            window.setPosition(x, y)
            window.width, window.height = width, height
