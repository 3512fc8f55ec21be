"""The scale of the pack view: a colour bar with ticks, and what grey and rings mean."""

from __future__ import annotations

import numpy as np
import omni.ui as ui

from celltwin.stage import map_colours

from .pack_map import UNTRUSTED_COLOUR, ColourScale, PackMap
from .style import ALARM_COLOURS, colour
from .widgets import set_text

__all__ = ["Legend"]

BAR_WIDTH, BAR_HEIGHT, SHADES = 300, 14, 128
MARGIN = 24  # room for the texts of the outermost ticks


class Legend:
    """Widgets of a legend, built into the current container."""

    def __init__(self) -> None:
        self._scale: ColourScale | None = None
        self._provider = ui.ByteImageProvider()
        shades = map_colours(np.linspace(0.0, 1.0, SHADES), 0.0, 1.0)
        pixels = np.c_[np.rint(shades * 255.0), np.full(SHADES, 255)].astype(np.uint8)
        self._provider.set_bytes_data(pixels.reshape(-1).tolist(), [SHADES, 1])
        with ui.ZStack(width=BAR_WIDTH + 2 * MARGIN, height=96):
            ui.Rectangle(name="card")
            with ui.VStack():
                ui.Spacer(height=6)
                with ui.HStack(height=20):
                    ui.Spacer(width=MARGIN)
                    self._title = ui.Label("", name="strong")
                with ui.HStack(height=BAR_HEIGHT):
                    ui.Spacer(width=MARGIN)
                    ui.ImageWithProvider(self._provider, width=BAR_WIDTH, fill_policy=ui.IwpFillPolicy.IWP_STRETCH)
                self._ticks = ui.Frame(height=24, build_fn=self._build_ticks)
                with ui.HStack(height=20, spacing=4):
                    ui.Spacer(width=MARGIN - 4)
                    grey = "#" + "".join(f"{round(255 * part):02x}" for part in UNTRUSTED_COLOUR)
                    _build_swatch(grey)
                    self._untrusted = ui.Label("", name="faint", width=150)
                    _build_swatch(next(reversed(ALARM_COLOURS.values())))
                    self._alarmed = ui.Label("", name="faint")

    def show(self, shown: PackMap) -> None:
        """Show the scale of a picture and how many of its cells are grey or marked."""
        set_text(self._untrusted, f"not to be trusted: {shown.untrusted:,}")
        set_text(self._alarmed, f"alarm: {shown.alarmed.size:,}")
        if shown.scale != self._scale:
            self._scale = shown.scale
            set_text(self._title, shown.scale.title)
            self._ticks.rebuild()

    def _build_ticks(self) -> None:
        if self._scale is None:
            return
        with ui.ZStack():
            for place, text in self._scale.ticks:
                x = MARGIN + place * BAR_WIDTH
                with ui.Placer(offset_x=x - 0.5, offset_y=0):
                    ui.Rectangle(name="line", width=1, height=4)
                with ui.Placer(offset_x=x - MARGIN, offset_y=4):
                    ui.Label(text, name="small", width=2 * MARGIN, height=18, alignment=ui.Alignment.CENTER)


def _build_swatch(code: str) -> None:
    with ui.VStack(width=10):
        ui.Spacer()
        ui.Rectangle(height=10, style={"background_color": colour(code), "border_radius": 2})
        ui.Spacer()
