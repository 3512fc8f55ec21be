"""The scale of the pack view: a colour bar with ticks, and what grey and rings mean."""

from __future__ import annotations

import numpy as np
import omni.ui as ui

from celltwin.core import Severity
from celltwin.stage import Legend, map_colours
from celltwin.stage.heat_map import UNTRUSTED_COLOUR

from .pack_map import PackMap
from .style import ALARM_COLOURS, PALETTE, colour
from .widgets import set_text

__all__ = ["LegendView"]

BAR_WIDTH, BAR_HEIGHT, SHADES = 300, 14, 128
MARGIN = 24  # room for the texts of the outermost ticks


class LegendView:
    """Widgets of a legend, built into the current container."""

    def __init__(self) -> None:
        self._legend: Legend | None = None
        self._urgency: int | None = None
        self._provider = ui.ByteImageProvider()
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
                    self._alarm_swatch = _build_swatch(PALETTE["disabled"])
                    self._alarmed = ui.Label("", name="faint")

    @property
    def title(self) -> str:
        """Name and unit of the quantity."""
        return str(self._title.text)

    def show(self, shown: PackMap) -> None:
        """Show the scale of a picture and how many of its cells are grey or marked."""
        set_text(self._untrusted, f"not to be trusted: {shown.untrusted:,}")
        set_text(self._alarmed, f"alarm: {shown.alarmed.size:,}")
        urgency = int(shown.severities.max()) if shown.severities.size else None
        if urgency != self._urgency:
            self._urgency = urgency
            code = PALETTE["disabled"] if urgency is None else ALARM_COLOURS[Severity(urgency)]
            self._alarm_swatch.set_style(_swatch_style(code))
        legend = shown.legend
        if legend is self._legend:
            return
        if self._legend is None or legend.quantity != self._legend.quantity:
            shades = map_colours(np.linspace(0.0, 1.0, SHADES), 0.0, 1.0, quantity=legend.quantity)
            pixels = np.c_[np.rint(shades * 255.0), np.full(SHADES, 255)].astype(np.uint8)
            self._provider.set_bytes_data(pixels.reshape(-1).tolist(), [SHADES, 1])
        self._legend = legend
        set_text(self._title, legend.title)
        self._ticks.rebuild()

    def _build_ticks(self) -> None:
        if self._legend is None:
            return
        with ui.ZStack():
            for place, text in self._legend.ticks:
                x = MARGIN + place * BAR_WIDTH
                with ui.Placer(offset_x=x - 0.5, offset_y=0):
                    ui.Rectangle(name="line", width=1, height=4)
                with ui.Placer(offset_x=x - MARGIN, offset_y=4):
                    ui.Label(text, name="small", width=2 * MARGIN, height=18, alignment=ui.Alignment.CENTER)


def _build_swatch(code: str) -> ui.Rectangle:
    with ui.VStack(width=10):
        ui.Spacer()
        swatch = ui.Rectangle(height=10, style=_swatch_style(code))
        ui.Spacer()
    return swatch


def _swatch_style(code: str) -> dict[str, int]:
    return {"background_color": colour(code), "border_radius": 2}
