"""Draw ``data/icon.png`` of every extension, and a title card as ``data/preview.png`` of those with nothing to show.

Run as ``.venv/bin/python tools/draw_icons.py``. The previews of the others are pictures that the software made.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

EXTENSIONS = Path(__file__).resolve().parents[1] / "exts"
SIZE = 256
SCALE = 4  # drawn larger, then reduced, for smooth edges
CARD = (1280, 720)
PICTURED = {"bundle", "panels", "stage"}  # their previews are the desk, and `celltwin pack show --png`
PEN = 11  # width of a stroke on the icon's grid of 256
WHITE = (245, 248, 250)
SOFT = (245, 248, 250, 110)

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Tiers share a hue: geometry blue, description teal, prediction violet, prescription amber, autonomy green.
HUES: dict[str, tuple[Colour, Colour]] = {
    "core": ((84, 98, 117), (52, 62, 78)),
    "schema": ((45, 125, 210), (24, 74, 148)),
    "stage": ((45, 125, 210), (24, 74, 148)),
    "telemetry": ((20, 158, 150), (10, 98, 98)),
    "estimation": ((20, 158, 150), (10, 98, 98)),
    "physics": ((126, 87, 194), (76, 46, 138)),
    "prognosis": ((126, 87, 194), (76, 46, 138)),
    "prescription": ((226, 143, 28), (158, 90, 10)),
    "autonomy": ((67, 160, 71), (30, 100, 40)),
    "runtime": ((84, 98, 117), (52, 62, 78)),
    "panels": ((84, 98, 117), (52, 62, 78)),
    "bundle": ((84, 98, 117), (52, 62, 78)),
}


class Canvas:
    """A picture on a grid of 256 by 256."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE))
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def line(self, *points: Point, colour: tuple[int, ...] = WHITE, width: float = PEN) -> None:
        """Draw a stroke with round ends and joints."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            radius = width * SCALE / 2
            self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def area(self, *points: Point, colour: tuple[int, ...] = WHITE) -> None:
        """Fill a polygon."""
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=colour)

    def dot(self, x: float, y: float, radius: float, colour: tuple[int, ...] = WHITE) -> None:
        """Fill a circle."""
        self.draw.ellipse([SCALE * v for v in (x - radius, y - radius, x + radius, y + radius)], fill=colour)

    def ring(self, x: float, y: float, radius: float, start: float = 0, end: float = 360, width: float = PEN) -> None:
        """Draw a circle or an arc of it [degrees clockwise from the right]."""
        box = [SCALE * v for v in (x - radius, y - radius, x + radius, y + radius)]
        self.draw.arc(box, start, end, fill=WHITE, width=round(width * SCALE))

    def box(self, x: float, y: float, right: float, bottom: float, *, filled: bool = False, radius: float = 12) -> None:
        """Draw a rounded rectangle."""
        self.draw.rounded_rectangle(
            [SCALE * v for v in (x, y, right, bottom)],
            radius=radius * SCALE,
            fill=WHITE if filled else None,
            outline=WHITE,
            width=round(PEN * SCALE),
        )


def draw_core(canvas: Canvas) -> None:
    """Draw one cell, half charged."""
    canvas.box(112, 48, 144, 68, filled=True, radius=6)
    canvas.box(84, 64, 172, 208, radius=16)
    canvas.box(102, 138, 154, 190, filled=True, radius=6)


def draw_schema(canvas: Canvas) -> None:
    """Draw braces around two lines."""
    canvas.line((104, 56), (88, 60), (82, 74), (82, 108), (74, 122), (60, 128), (74, 134), (82, 148), (82, 182), (88, 196), (104, 200))  # fmt: skip  # noqa: E501
    canvas.line((152, 56), (168, 60), (174, 74), (174, 108), (182, 122), (196, 128), (182, 134), (174, 148), (174, 182), (168, 196), (152, 200))  # fmt: skip  # noqa: E501
    canvas.line((112, 112), (144, 112))
    canvas.line((112, 146), (144, 146))


def draw_stage(canvas: Canvas) -> None:
    """Draw a box of cells seen from above."""
    canvas.line((128, 50), (206, 92), (206, 164), (128, 206), (50, 164), (50, 92), (128, 50))
    canvas.line((50, 92), (128, 134), (206, 92))
    canvas.line((128, 134), (128, 206))
    for x, y in ((128, 74), (98, 91), (158, 91), (128, 108)):
        canvas.dot(x, y, 9)


def draw_telemetry(canvas: Canvas) -> None:
    """Draw a pulse over its samples."""
    canvas.line((40, 136), (88, 136), (108, 76), (138, 186), (158, 112), (172, 136), (216, 136))
    for x in range(48, 217, 28):
        canvas.dot(x, 212, 6, SOFT)


def draw_estimation(canvas: Canvas) -> None:
    """Draw a curve through scattered measurements."""
    curve = [(x, 186 - 112 / (1 + math.exp(-(x - 128) / 24))) for x in range(52, 209, 4)]
    canvas.line(*curve)
    for x, error in zip(range(60, 209, 24), (16, -18, 12, -22, 18, -16, 14), strict=True):
        canvas.dot(x, 186 - 112 / (1 + math.exp(-(x - 128) / 24)) + error, 8)


def draw_physics(canvas: Canvas) -> None:
    """Draw a particle with shells of concentration, and lithium going in."""
    canvas.ring(152, 128, 68)
    canvas.ring(152, 128, 42)
    canvas.dot(152, 128, 18)
    for y in (92, 128, 164):
        canvas.line((26, y), (52, y), width=8)
        canvas.area((50, y - 12), (50, y + 12), (70, y))


def draw_prognosis(canvas: Canvas) -> None:
    """Draw a fading capacity with its widening uncertainty."""
    line = [(x, 76 + 0.0034 * (x - 56) ** 2) for x in range(56, 209, 4)]
    upper = [(x, y - 0.28 * max(0, x - 112)) for x, y in line]
    lower = [(x, y + 0.28 * max(0, x - 112)) for x, y in line]
    canvas.area(*upper, *reversed(lower), colour=SOFT)
    canvas.line(*line)
    canvas.line((48, 52), (48, 206), (212, 206), width=8)


def draw_prescription(canvas: Canvas) -> None:
    """Draw set-points on their scales."""
    for y, x in ((80, 160), (128, 96), (176, 138)):
        canvas.line((52, y), (204, y), width=9)
        canvas.dot(x, y, 20)


def draw_autonomy(canvas: Canvas) -> None:
    """Draw a shield with a tick."""
    canvas.line((128, 44), (196, 68), (196, 126), (182, 166), (128, 212), (74, 166), (60, 126), (60, 68), (128, 44))
    canvas.line((96, 126), (120, 150), (162, 102), width=14)


def draw_runtime(canvas: Canvas) -> None:
    """Draw a loop that runs."""
    canvas.ring(128, 128, 82, 300, 240)
    canvas.area((76, 40), (112, 56), (80, 80))
    canvas.area((108, 92), (108, 164), (168, 128))


def draw_panels(canvas: Canvas) -> None:
    """Draw a window with a view and readings."""
    canvas.box(44, 56, 212, 200)
    canvas.line((52, 92), (204, 92), width=8)
    canvas.line((146, 92), (146, 192), width=8)
    for y in (118, 146, 174):
        canvas.line((166, y), (192, y), width=8)
    for x, y in ((76, 124), (112, 124), (76, 164), (112, 164)):
        canvas.dot(x, y, 13)


def draw_bundle(canvas: Canvas) -> None:
    """Draw a pack of cells."""
    for y in (72, 128, 184):
        for x in (72, 128, 184):
            canvas.ring(x, y, 24, width=9)
            canvas.dot(x, y, 7)


GLYPHS: dict[str, Callable[[Canvas], None]] = {
    "autonomy": draw_autonomy,
    "bundle": draw_bundle,
    "core": draw_core,
    "estimation": draw_estimation,
    "panels": draw_panels,
    "physics": draw_physics,
    "prescription": draw_prescription,
    "prognosis": draw_prognosis,
    "runtime": draw_runtime,
    "schema": draw_schema,
    "stage": draw_stage,
    "telemetry": draw_telemetry,
}


def shade(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """Return a picture that goes from one colour at the top to another at the bottom."""
    ramp = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)


def draw_icon(name: str) -> Image.Image:
    """Return the icon of an extension, 256 by 256 pixels."""
    canvas = Canvas()
    GLYPHS[name](canvas)
    side = SIZE * SCALE
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).rounded_rectangle((8, 8, side - 8, side - 8), radius=44 * SCALE, fill=255)
    icon = Image.new("RGBA", (side, side))
    icon.paste(shade((side, side), *HUES[name]), mask=mask)
    return Image.alpha_composite(icon, canvas.image).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def draw_card(name: str, title: str, description: str) -> Image.Image:
    """Return a card with the icon, the title and what the extension does."""
    top, bottom = HUES[name]
    card = shade(CARD, tuple(v // 4 + 12 for v in bottom), (14, 17, 21))  # type: ignore[arg-type]
    card.paste(icon := draw_icon(name), (112, 232), icon)
    draw = ImageDraw.Draw(card)
    draw.rectangle((112, 556, 112 + 1056, 562), fill=top)
    draw.text((424, 240), title, font=ImageFont.load_default(68), fill=WHITE)
    text, line = "", ""
    font = ImageFont.load_default(34)
    for word in description.split():
        if draw.textlength(f"{line} {word}", font=font) > 740:
            text, line = f"{text}{line}\n", word
        else:
            line = f"{line} {word}".strip()
    draw.multiline_text((424, 346), text + line, font=font, fill=(190, 200, 210), spacing=12)
    return card


def main() -> None:
    """Write the pictures into the extensions."""
    for folder in sorted(EXTENSIONS.iterdir()):
        name = folder.name.removeprefix("celltwin.")
        package = tomllib.loads((folder / "config/extension.toml").read_text(encoding="utf-8"))["package"]
        draw_icon(name).save(folder / "data/icon.png", optimize=True)
        if name not in PICTURED:
            card = draw_card(name, package["title"], package["description"])
            card.save(folder / "data/preview.png", optimize=True)


if __name__ == "__main__":
    main()
