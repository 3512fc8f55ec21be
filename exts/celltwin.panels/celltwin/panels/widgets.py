"""Small pieces that the windows share."""

from __future__ import annotations

from collections.abc import Callable

import omni.ui as ui

from .style import WINDOW_STYLE

__all__ = ["build_heading", "build_line", "open_window", "set_name", "set_text"]


def open_window(title: str, width: int, height: int, build: Callable[[], None]) -> ui.Window:
    """Return a window in the house style whose content a function builds."""
    window = ui.Window(title, width=width, height=height, padding_x=0, padding_y=0)
    window.frame.set_style(WINDOW_STYLE)
    window.frame.set_build_fn(build)
    return window


def build_heading(text: str) -> ui.Label:
    """Build the heading of a section with a line under it; return its label."""
    with ui.VStack(height=0, spacing=2):
        label = ui.Label(text, name="heading", height=18)
        build_line()
    return label


def build_line() -> None:
    """Build a thin line across the container."""
    ui.Rectangle(name="line", height=1)


def set_text(label: ui.Label, text: str) -> None:
    """Change the text of a label only if it differs: an unchanged label costs nothing."""
    if label.text != text:
        label.text = text


def set_name(widget: ui.Widget, name: str) -> None:
    """Change the style name of a widget only if it differs."""
    if widget.name != name:
        widget.name = name
