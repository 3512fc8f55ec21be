"""A run as time samples on the stage, so that a timeline scrubs through it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, Vt

from celltwin.core import (
    Array,
    Level,
    PackSpec,
    PackState,
    Quality,
    Reading,
    RecordingError,
    cell_values,
    find_quantity,
)
from celltwin.schema import attribute_name, attribute_type, cell_array_name

from .heat_map import colour_steps, fit_range, usd_colours
from .live_layer import readings_on_cells
from .live_values import QUALITY_TOKENS
from .recorded_layers import RecordedLayers, new_sample_layer
from .scene_paths import prim_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StageRecorder"]

_LOGGER = logging.getLogger(__name__)

_DISPLAY_COLOUR = "primvars:displayColor"


class StageRecorder:
    """Recorder that writes process images as USD time samples: one time code is one second of the run.

    Modules get the arrays of their cells and of their qualities, prims of pack, modules and groups their scalars,
    cells their colour. A stage file sublayers all that above the authored stage and opens directly, while the run
    goes on, after a kill, and at the end.

    Parameters
    ----------
    stage : Usd.Stage
        Stage that holds the pack; it is only read.
    spec : PackSpec
        The pack.
    path : Path
        Stage file to write, such as ``recording.usda``; its layers go to the folder of that name beside it.
    quantity : str
        Key of the quantity that colours the cells.
    colour_period : float
        Shortest time between two samples of colour [s]; a timeline blends between them.
    steps_a_segment : int
        Steps that a kill can cost at most.
    authored : Path, optional
        File of the authored stage, where it is not the stage's root layer.
    root : str, optional
        Path of the pack's prim, where it is not the root prim of its own stage.

    Raises
    ------
    RecordingError
        If there is a recording already, or the folder cannot be written.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        spec: PackSpec,
        path: Path,
        *,
        quantity: str = "temperature",
        colour_period: float = 60.0,
        steps_a_segment: int = 20,
        authored: Path | None = None,
        root: str | None = None,
    ) -> None:
        self._spec = spec
        self._root = root
        self._quantity = quantity
        self._colours = usd_colours(quantity)
        self._colour_period = colour_period
        self._steps_a_segment = steps_a_segment
        self._layers = RecordedLayers(Path(path), stage, prim_paths(spec, Level.PACK, root)[0], authored)
        self._range: tuple[float, float] | None = None
        self._painted: list[tuple[float, NDArray[np.float32]]] = []
        # Every attribute without its samples: copying it starts a segment faster than defining all anew.
        self._template = new_sample_layer("template.usda")
        self._paths: dict[tuple[Level, str], list[Sdf.Path]] = {}
        self._declares_more = False
        self._last: PackState | None = None
        self._closed = False
        self._begin()

    @property
    def path(self) -> Path:
        """The stage file."""
        return self._layers.path

    def record(self, state: PackState) -> None:
        """Keep one process image; every so many steps, write them to a file.

        Raises
        ------
        RecordingError
            If the file cannot be written. What was recorded stays readable, and what was not written is kept in
            memory and tried again.
        """
        if self._closed or (self._last is not None and state.time <= self._last.time):
            return
        self._write(state)
        self._last = state
        self._steps += 1
        if self._steps % self._steps_a_segment == 0:
            self._flush()

    def close(self) -> None:
        """Write the rest, and join all in one layer; a second call does nothing.

        Raises
        ------
        RecordingError
            If the rest cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        if self._last is None:
            return
        if self._steps:
            self._flush()
        joined = self._layers.join()
        self._paint_anew(joined)
        try:
            self._layers.replace_segments(joined)
        except RecordingError as error:  # the segments hold everything and stay
            _LOGGER.warning("the recording stays in segments: %s", error)

    def _begin(self) -> None:
        self._segment = Sdf.Layer.CreateAnonymous("segment.usda")
        self._segment.TransferContent(self._template)
        self._qualities: dict[tuple[Level, str], NDArray[np.uint8]] = {}
        self._steps = 0
        self._start: float | None = None
        self._coloured_at = -np.inf
        self._shown = np.full(self._spec.n_cells, -1, dtype=np.int64)

    def _flush(self) -> None:
        last = self._last
        if last is None or self._start is None:
            return
        self._layers.add_segment(self._segment, self._start, last.time, declares_more=self._declares_more)
        self._declares_more = False
        self._begin()
        self._write(last)  # each segment says everything at its start, so that it needs no other

    def _write(self, state: PackState) -> None:
        if self._start is None:
            self._start = state.time
        with Sdf.ChangeBlock():
            for reading in readings_on_cells(state, self._spec):
                self._write_arrays(reading, state.time)
            for reading in state.readings.values():
                if reading.level is not Level.CELL:
                    self._write_scalars(reading, state.time)
            if state.time - self._coloured_at >= self._colour_period:
                self._write_colours(state)

    def _write_arrays(self, reading: Reading, time: float) -> None:
        name = cell_array_name(reading.kind, reading.quantity)
        rows = _to_displayed_digit(reading).reshape(self._spec.n_modules, -1)
        paths = self._declare(Level.MODULE, name, attribute_type(cells=True))
        for path, row in zip(paths, rows, strict=True):
            self._segment.SetTimeSample(path, time, Vt.FloatArray.FromNumpy(row))
        name = cell_array_name(reading.kind, reading.quantity, "quality")
        before = self._qualities.get((Level.MODULE, name))
        if before is None or not np.array_equal(before, reading.quality):
            paths = self._declare(Level.MODULE, name, attribute_type("quality", cells=True))
            codes = np.ascontiguousarray(reading.quality.reshape(self._spec.n_modules, -1))
            for path, code in zip(paths, codes, strict=True):
                self._segment.SetTimeSample(path, time, Vt.UCharArray.FromNumpy(code))
            self._qualities[Level.MODULE, name] = reading.quality

    def _write_scalars(self, reading: Reading, time: float) -> None:
        known = np.nonzero(np.isfinite(reading.values))[0].tolist()
        if not known:
            return
        paths = self._declare(reading.level, attribute_name(reading.kind, reading.quantity), attribute_type())
        for index in known:
            self._segment.SetTimeSample(paths[index], time, float(reading.values[index]))
        name = attribute_name(reading.kind, reading.quantity, "quality")
        before = self._qualities.get((reading.level, name))
        changed = known if before is None else np.nonzero(before != reading.quality)[0].tolist()
        if changed:
            paths = self._declare(reading.level, name, attribute_type("quality"))
            for index in changed:
                self._segment.SetTimeSample(paths[index], time, QUALITY_TOKENS[reading.quality[index]])
            self._qualities[reading.level, name] = reading.quality

    def _write_colours(self, state: PackState) -> None:
        values = self._colour_values(state)
        if not self._painted or self._painted[-1][0] < state.time:
            self._painted.append((state.time, values))
        self._range = fit_range(values.astype(np.float64), self._quantity, self._range)
        steps = _coarse(colour_steps(values.astype(np.float64), *self._range))
        paths = self._declare(Level.CELL, _DISPLAY_COLOUR, "color3f[]")
        for cell in np.nonzero(steps != self._shown)[0].tolist():
            if self._shown[cell] >= 0:  # hold the old colour until the last sample, or it would blend from far back
                self._segment.SetTimeSample(paths[cell], self._coloured_at, self._colours[self._shown[cell]])
            self._segment.SetTimeSample(paths[cell], state.time, self._colours[steps[cell]])
        self._shown, self._coloured_at = steps, state.time

    def _colour_values(self, state: PackState) -> NDArray[np.float32]:
        values, quality = cell_values(state, self._spec, self._quantity)
        trusted: NDArray[np.float32] = np.where(quality == Quality.GOOD, values, np.nan).astype(np.float32)
        return trusted

    def _paint_anew(self, joined: Sdf.Layer) -> None:
        """Colour all of the run on the one scale that holds it, now that it is known."""
        if not self._painted:
            return
        values: Array = np.stack([row for _, row in self._painted]).astype(np.float64)
        times = [time for time, _ in self._painted]
        lowest, highest = fit_range(values.ravel(), self._quantity)
        steps = _coarse(colour_steps(values.ravel(), lowest, highest).reshape(values.shape))
        changes = np.diff(steps, axis=0) != 0
        kept = np.ones(steps.shape, dtype=np.bool_)
        kept[1:] = changes
        kept[:-1] |= changes
        with Sdf.ChangeBlock():
            for cell, path in enumerate(prim_paths(self._spec, Level.CELL, self._root)):
                attribute = joined.GetAttributeAtPath(f"{path}.{_DISPLAY_COLOUR}")
                frames = np.nonzero(kept[:, cell])[0].tolist()
                attribute.ClearInfo("timeSamples")
                for frame in frames:
                    joined.SetTimeSample(attribute.path, times[frame], self._colours[steps[frame, cell]])

    def _declare(self, level: Level, name: str, type_name: str) -> Sequence[Sdf.Path]:
        """Return the paths of an attribute in the segment, defining it where it is new."""
        if (level, name) not in self._paths:
            kind = Sdf.ValueTypeNames.Find(type_name)
            paths = []
            for path in prim_paths(self._spec, level, self._root):
                for layer in (self._template, self._segment):
                    prim = layer.GetPrimAtPath(path) or Sdf.CreatePrimInLayer(layer, path)
                    attribute = Sdf.AttributeSpec(prim, name, kind)
                paths.append(attribute.path)
            self._paths[level, name] = paths
            self._declares_more = True
        return self._paths[level, name]


def _to_displayed_digit(reading: Reading) -> NDArray[np.float32]:
    """Return values rounded as people see them, which USD stores in a fifth of the room; Parquet keeps the rest."""
    found = find_quantity(reading.quantity)
    shown = np.round(reading.values * found.display_scale + found.display_offset, found.decimals)
    rounded: NDArray[np.float32] = ((shown - found.display_offset) / found.display_scale).astype(np.float32)
    return rounded


def _coarse(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return every fourth step of a colour map: no eye sees the difference, and samples that repeat need no room."""
    return steps // 4 * 4
