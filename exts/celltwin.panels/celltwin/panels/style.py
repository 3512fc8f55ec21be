"""Colours, sizes and the omni.ui style that all windows share."""

from __future__ import annotations

import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Any

from celltwin.core import Quality, Severity

__all__ = [
    "ALARM_COLOURS",
    "PALETTE",
    "QUALITY_STYLES",
    "ROW_HEIGHT",
    "SPACING",
    "TEXT_SIZE",
    "WINDOW_STYLE",
    "colour",
    "rgb",
]

SPACING = 6
ROW_HEIGHT = 24
TEXT_SIZE = 16
SMALL_SIZE = 14
FIGURE_SIZE = 26

# Names of colours; NVIDIA's green marks what can be acted on, amber and red what needs attention.
PALETTE = {
    "window": "#1f2124",
    "view": "#17191c",
    "panel": "#292b2f",
    "raised": "#34373c",
    "hovered": "#42464c",
    "line": "#3c3f45",
    "text": "#d6d8db",
    "strong": "#f4f5f6",
    "faint": "#93979e",
    "disabled": "#5c6067",
    "accent": "#76b900",
    "accent_dark": "#4d7a00",
    "good": "#76b900",
    "stale": "#e0a030",
    "suspect": "#e0703a",
    "bad": "#e0484f",
    "notice": "#5aa9e6",
}

# Name of the label style for each quality; None is a value that has not come yet.
QUALITY_STYLES: dict[Quality | None, str] = {
    None: "missing",
    Quality.GOOD: "good",
    Quality.STALE: "stale",
    Quality.SUSPECT: "suspect",
    Quality.BAD: "bad",
}

ALARM_COLOURS = {
    Severity.NOTICE: PALETTE["notice"],
    Severity.WARNING: PALETTE["stale"],
    Severity.CRITICAL: PALETTE["bad"],
}


def rgb(code: str) -> tuple[float, float, float]:
    """Return red, green and blue of ``"#rrggbb"``, 0 to 1."""
    value = int(code[1:], 16)
    return (value >> 16 & 255) / 255.0, (value >> 8 & 255) / 255.0, (value & 255) / 255.0


def colour(code: str, opacity: float = 1.0) -> int:
    """Return ``"#rrggbb"`` or a name of the palette as omni.ui takes it: ``0xAABBGGRR``."""
    value = int(PALETTE.get(code, code)[1:], 16)
    return round(255 * opacity) << 24 | (value & 255) << 16 | (value >> 8 & 255) << 8 | value >> 16 & 255


@lru_cache(maxsize=1)
def _fonts() -> dict[str, str]:
    """Return Kit's own typeface where its files are at hand; omni.ui's default otherwise."""
    folder = Path(sysconfig.get_path("platlib")) / "omni" / "resources" / "fonts"
    files = {"regular": folder / "NVIDIASans_Rg.ttf", "medium": folder / "NVIDIASans_Md.ttf"}
    return {name: str(path) for name, path in files.items() if path.exists()}


def _text(size: int, code: str, weight: str = "regular") -> dict[str, Any]:
    style: dict[str, Any] = {"font_size": size, "color": colour(code)}
    if weight in _fonts():
        style["font"] = _fonts()[weight]
    return style


def _button(background: str, hovered: str, text: str) -> dict[str, Any]:
    return {
        "background_color": colour(background),
        "border_radius": 3,
        "padding": 4,
        "margin": 0,
        **_text(TEXT_SIZE, text),
        ":hovered": {"background_color": colour(hovered)},
        ":pressed": {"background_color": colour(hovered)},
        ":disabled": {"background_color": colour("panel"), "color": colour("disabled")},
    }


def _window_style() -> dict[str, Any]:
    style: dict[str, Any] = {
        "Window": {"background_color": colour("window"), "border_width": 0, "padding": 0, **_text(TEXT_SIZE, "text")},
        "Label": _text(TEXT_SIZE, "text"),
        "Label::strong": _text(TEXT_SIZE, "strong", "medium"),
        "Label::heading": _text(SMALL_SIZE, "faint", "medium"),
        "Label::faint": _text(SMALL_SIZE, "faint"),
        "Label::small": _text(SMALL_SIZE, "text"),
        "Label::disabled": _text(TEXT_SIZE, "disabled"),
        "Label::link": _text(TEXT_SIZE, "accent", "medium"),
        "Tooltip": {"background_color": colour("raised"), "margin": 4, **_text(SMALL_SIZE, "strong")},
        "Rectangle::panel": {"background_color": colour("panel"), "border_radius": 4},
        "Rectangle::view": {"background_color": colour("view")},
        "Rectangle::window": {"background_color": colour("window")},
        "Rectangle::card": {"background_color": colour("window", 0.88), "border_radius": 4},
        "Rectangle::line": {"background_color": colour("line")},
        "Rectangle::row": {"background_color": colour("panel")},
        "Rectangle::row_selected": {"background_color": colour("raised")},
        "Button": _button("raised", "hovered", "text"),
        "Button.Label": _text(TEXT_SIZE, "text"),
        "Button.Label:disabled": _text(TEXT_SIZE, "disabled"),
        "Button::primary": _button("accent_dark", "accent", "strong"),
        "Button.Label::primary": _text(TEXT_SIZE, "strong", "medium"),
        "Button.Label::primary:disabled": _text(TEXT_SIZE, "disabled", "medium"),
        "Button::chosen": _button("accent_dark", "accent_dark", "strong"),
        "Button.Label::chosen": _text(TEXT_SIZE, "strong", "medium"),
        "ComboBox": {
            "background_color": colour("raised"),
            "secondary_color": colour("raised"),
            "selected_color": colour("accent_dark"),
            "border_radius": 3,
            "padding_height": 3,
            **_text(TEXT_SIZE, "strong"),
        },
        "ScrollingFrame": {
            "background_color": colour("window", 0.0),
            "secondary_color": colour("hovered"),
            "scrollbar_size": 8,
        },
    }
    for suffix, size, plain, weight in (
        ("value", TEXT_SIZE, "strong", "medium"),
        ("figure", FIGURE_SIZE, "strong", "medium"),
        ("note", SMALL_SIZE, "faint", "regular"),
    ):
        for name in QUALITY_STYLES.values():
            code = {"good": plain, "missing": "faint"}.get(name, name)
            style[f"Label::{suffix}_{name}"] = _text(size, code, weight)
    return style


WINDOW_STYLE = _window_style()
