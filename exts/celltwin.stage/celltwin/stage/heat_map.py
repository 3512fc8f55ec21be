"""Cells coloured by a quantity, and the legend that explains the colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, Vt

from celltwin.core import Array, Level, PackSpec, Quality, Quantity, cell_values, find_quantity, require_shape

from .attribute_column import AttributeColumn
from .colour_maps import colour_table
from .live_sublayer import LiveSublayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celltwin.core import PackState

__all__ = ["ALARM_COLOUR", "UNTRUSTED_COLOUR", "HeatMap", "Legend", "build_legend", "fit_range", "map_colours"]

ALARM_COLOUR = (0.90, 0.05, 0.10)  # sRGB
UNTRUSTED_COLOUR = (0.55, 0.56, 0.58)  # sRGB: a grey that no colour map passes through
_UNTRUSTED = 256  # index after the last step of a colour map

# Heat glows: black-body order for temperatures. Viridis for a state where more is neither good nor bad; plasma for
# health, so that a picture of charge is never taken for one of health.
_MAPS = {"temperature": "inferno", "coolant_temperature": "inferno", "soh": "plasma", "rul": "plasma"}
_FIRST_STEP = {"inferno": 28}  # its darkest tenth cannot be told from an unlit background
# Smallest span of a scale [SI]: below it a picture would show the noise of sensors as structure.
_SMALLEST_SPAN = {
    "temperature": 2.0,
    "coolant_temperature": 2.0,
    "voltage": 0.02,
    "soc": 0.02,
    "soh": 0.02,
    "rul": 20.0,
}


@dataclass(frozen=True, kw_only=True)
class Legend:
    """What the colours of a heat map mean.

    Attributes
    ----------
    quantity : str
        Key of the quantity.
    label, unit : str
        Name for people and display unit, such as ``"Temperature"`` and ``"°C"``.
    lowest, highest : float
        Values at the ends [SI].
    stops : tuple of (float, tuple of float)
        Position along the scale, 0 to 1, and sRGB colour, for drawing a gradient.
    ticks : tuple of (float, str)
        Position along the scale, 0 to 1, and text in the display unit.
    untrusted, alarm : tuple of float
        sRGB colours of a cell without a value to trust, and of the mark above a cell with an alarm.
    """

    quantity: str
    label: str
    unit: str
    lowest: float
    highest: float
    stops: tuple[tuple[float, tuple[float, float, float]], ...]
    ticks: tuple[tuple[float, str], ...]
    untrusted: tuple[float, float, float] = UNTRUSTED_COLOUR
    alarm: tuple[float, float, float] = ALARM_COLOUR

    @property
    def title(self) -> str:
        """Name and display unit, such as ``"Temperature [°C]"``."""
        return f"{self.label} [{self.unit}]"


def map_colours(values: Array, lowest: float, highest: float, *, quantity: str = "temperature") -> NDArray[np.float32]:
    """Return the colour of each value; values outside the range take the colour of its end, NaN neutral grey.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Values [SI].
    lowest, highest : float
        Ends of the scale [SI].
    quantity : str
        Key of the quantity: temperatures take ``inferno``, health ``plasma``, all others ``viridis``.

    Returns
    -------
    ndarray of shape (n, 3)
        sRGB from 0 to 1, as screens and picture files want it; USD's ``displayColor`` is linear instead.
    """
    return _palette(quantity)[_steps(values, lowest, highest)]


def fit_range(values: Array, quantity: str, previous: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return ends of a scale [SI], round in display units, that hold all finite values.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Values [SI]; NaN is passed over.
    quantity : str
        Key of the quantity.
    previous : tuple of float, optional
        Ends until now: they only move apart, so that a colour keeps its meaning while a run goes on.
    """
    found = find_quantity(quantity)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return previous or _round_ends(found, *_usual_range(found))
    lowest, highest = float(finite.min()), float(finite.max())
    if previous is not None:
        if previous[0] <= lowest and highest <= previous[1]:
            return previous
        lowest, highest = min(lowest, previous[0]), max(highest, previous[1])
    span = _SMALLEST_SPAN.get(quantity, max(1e-6, 0.02 * max(abs(lowest), abs(highest))))
    lacking = max(0.0, span - (highest - lowest))
    return _round_ends(found, lowest - lacking / 2.0, highest + lacking / 2.0)


def build_legend(quantity: str, lowest: float, highest: float) -> Legend:
    """Return the legend of a scale between two values [SI]."""
    found = find_quantity(quantity)
    palette = _palette(quantity)[:_UNTRUSTED]
    places = np.linspace(0.0, 1.0, 17)
    colours = palette[np.round(places * (len(palette) - 1)).astype(int)]
    low, high = found.to_display(lowest), found.to_display(highest)
    step = _round_step((high - low) / 6.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = step * np.arange(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1)
    return Legend(
        quantity=quantity,
        label=found.label,
        unit=found.display_unit,
        lowest=lowest,
        highest=highest,
        stops=tuple(
            (float(place), (float(red), float(green), float(blue)))
            for place, (red, green, blue) in zip(places, colours, strict=True)
        ),
        ticks=tuple((float((mark - low) / (high - low)), f"{mark + 0.0:.{decimals}f}") for mark in marks),
    )


class HeatMap:
    """Colours of the cells of a pack on a stage, in a live sublayer of its session layer.

    Parameters
    ----------
    stage : Usd.Stage
        Stage that holds the pack.
    spec : PackSpec
        The pack.
    quantity : str
        Key of the quantity that colours the cells.
    root : str, optional
        Path of the pack's prim, where it is not the root prim of its own stage.

    Raises
    ------
    StageError
        If the stage does not hold the pack.
    SpecError
        If there is no such quantity.
    """

    def __init__(
        self, stage: Usd.Stage, spec: PackSpec, quantity: str = "temperature", *, root: str | None = None
    ) -> None:
        self._spec = spec
        self._sublayer = LiveSublayer(stage, spec, "heat_map", root)
        self._range: tuple[float, float] | None = None
        self._marked: tuple[int, ...] = ()
        self.quantity = quantity
        self._forget_handles()

    @property
    def quantity(self) -> str:
        """Key of the quantity; setting another starts a new scale."""
        return self._quantity

    @quantity.setter
    def quantity(self, quantity: str) -> None:
        find_quantity(quantity)
        self._quantity = quantity
        self._range = None
        self._usd_colours = usd_colours(quantity)
        self._shown = np.full(self._spec.n_cells, -1, dtype=np.int64)

    @property
    def legend(self) -> Legend:
        """What the colours mean now."""
        return build_legend(self._quantity, *(self._range or fit_range(np.empty(0), self._quantity)))

    @property
    def layer(self) -> Sdf.Layer:
        """The live sublayer."""
        return self._sublayer.layer

    def paint(
        self,
        values: Array,
        *,
        lowest: float | None = None,
        highest: float | None = None,
        alarmed: Sequence[int] = (),
    ) -> None:
        """Colour the cells; only those whose colour changes are written.

        Parameters
        ----------
        values : ndarray of shape (n_cells,)
            Values [SI] in pack order; NaN where there is none to trust, drawn grey.
        lowest, highest : float, optional
            Ends of the scale [SI]; an end that is not given grows with the values and never shrinks.
        alarmed : sequence of int
            Cells to mark with a red dot above them.

        Raises
        ------
        ShapeError
            If ``values`` is not of shape ``(n_cells,)``.
        """
        require_shape("values", values, (self._spec.n_cells,))
        fitted = fit_range(values, self._quantity, self._range)
        self._range = (fitted[0] if lowest is None else lowest, fitted[1] if highest is None else highest)
        present = self._sublayer.follow()
        if present.changed:
            self._forget_handles()
        steps = _steps(values, *self._range)
        wanted = np.nonzero((steps != self._shown) & present.cells)[0]
        marked = tuple(sorted(int(cell) for cell in alarmed if present.cells[cell]))
        if wanted.size == 0 and marked == self._marked:
            return
        with Sdf.ChangeBlock():
            self._colours.write(wanted, [self._usd_colours[step] for step in steps[wanted].tolist()])
            if marked != self._marked:
                self._mark(marked)
        self._shown[wanted] = steps[wanted]

    def paint_state(self, state: PackState) -> None:
        """Colour the cells by the best readings of a process image, and mark its alarms."""
        values, quality = cell_values(state, self._spec, self._quantity)
        trusted = np.where(quality == Quality.GOOD, values, np.nan)
        alarmed = [alarm.element for alarm in state.alarms if alarm.level is Level.CELL]
        self.paint(trusted, alarmed=alarmed)

    def close(self) -> None:
        """Take the colours off the stage; a second call does nothing."""
        self._sublayer.close()

    def _forget_handles(self) -> None:
        self._shown[:] = -1
        self._colours = AttributeColumn(
            self.layer, self._sublayer.paths(Level.CELL), "primvars:displayColor", Sdf.ValueTypeNames.Color3fArray
        )

    def _mark(self, cells: tuple[int, ...]) -> None:
        """Show red points above cells, in one prim below the pack."""
        places = self._sublayer.cell_tops(cells).astype(np.float32)
        size = 0.6 * min(self._spec.cell.footprint)
        path = f"{self._sublayer.paths(Level.PACK)[0]}/AlarmMarks"
        prim = self.layer.GetPrimAtPath(path)
        if prim is None:
            prim = Sdf.CreatePrimInLayer(self.layer, path)
            prim.specifier, prim.typeName = Sdf.SpecifierDef, "Points"
        types = Sdf.ValueTypeNames
        for name, type_name, value in (
            ("points", types.Point3fArray, Vt.Vec3fArray.FromNumpy(places)),
            ("widths", types.FloatArray, Vt.FloatArray(len(cells), size)),
            ("primvars:displayColor", types.Color3fArray, _usd_colour(np.array(ALARM_COLOUR))),
        ):
            attribute = prim.attributes.get(name) or Sdf.AttributeSpec(prim, name, type_name)
            attribute.default = value
        self._marked = cells


def usd_colours(quantity: str) -> list[Vt.Vec3fArray]:
    """Return each step of a quantity's colour map, then the grey, as ``displayColor`` wants it: linear."""
    return [_usd_colour(colour) for colour in _palette(quantity)]


def colour_steps(values: Array, lowest: float, highest: float) -> NDArray[np.int64]:
    """Return the place of each value in :func:`usd_colours`; shape (n,)."""
    return _steps(values, lowest, highest)


def _usd_colour(srgb: NDArray[np.floating]) -> Vt.Vec3fArray:
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return Vt.Vec3fArray(1, Gf.Vec3f(*(float(part) for part in linear)))


def _palette(quantity: str) -> NDArray[np.float32]:
    """Return 256 colours from lowest to highest, then the grey of what cannot be trusted; shape (257, 3)."""
    name = _MAPS.get(quantity, "viridis")
    table = colour_table(name)
    steps = np.round(np.linspace(_FIRST_STEP.get(name, 0), 255, 256)).astype(int)
    return np.concatenate([table[steps], np.array([UNTRUSTED_COLOUR], dtype=np.float32)])


def _steps(values: Array, lowest: float, highest: float) -> NDArray[np.int64]:
    known = np.isfinite(values)
    share = (np.where(known, values, lowest) - lowest) / max(highest - lowest, 1e-12)
    return np.where(known, np.round(255.0 * np.clip(share, 0.0, 1.0)), _UNTRUSTED).astype(np.int64)


def _usual_range(quantity: Quantity) -> tuple[float, float]:
    if quantity.key in ("soc", "soh"):
        return 0.0, 1.0
    if quantity.unit == "K":
        return 293.15, 303.15
    return (3.0, 4.0) if quantity.key == "voltage" else (0.0, 1.0)


def _round_ends(quantity: Quantity, lowest: float, highest: float) -> tuple[float, float]:
    low, high = quantity.to_display(lowest), quantity.to_display(highest)
    step = _round_step((high - low) / 4.0)
    ends = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
    return (
        (ends[0] - quantity.display_offset) / quantity.display_scale,
        (ends[1] - quantity.display_offset) / quantity.display_scale,
    )


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= step * (1.0 - 1e-9))
