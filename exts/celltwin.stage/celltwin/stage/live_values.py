"""Values of one quantity and kind on the prims of one level, with quality, time, uncertainty and origin beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Vt

from celltwin.core import Array, Kind, PackSpec, Quality, Reading
from celltwin.schema import attribute_name, attribute_type, cell_array_name

from .attribute_column import AttributeColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .change_blocks import ChangeBlocks

__all__ = ["CellArrays", "ElementValues", "Wanted"]

QUALITY_TOKENS = tuple(quality.name.lower() for quality in Quality)
_NEVER = 255  # no Quality
_CREATION = 5  # creating a handle costs about as much as five writes


@dataclass(frozen=True, kw_only=True, eq=False)
class Wanted:
    """Which prims of a level take values, and how closely.

    Attributes
    ----------
    present : ndarray of bool, shape (n,)
        Prims that the stage holds.
    exact : ndarray of bool, shape (n,)
        Prims that show every value with all that is known about it; the others show value and quality, once the
        value has moved by more than the deadband or its quality has changed.
    deadband : float
        Smallest move that shows [unit of the quantity].
    """

    present: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    deadband: float


class ElementValues:
    """Scalars of one quantity and kind on the prims of one level.

    Parameters
    ----------
    layer : Sdf.Layer
        Live layer.
    paths : sequence of Sdf.Path
        Prims of the level in pack order.
    reading : Reading
        First reading; it gives quantity and kind.
    """

    def __init__(self, layer: Sdf.Layer, paths: Sequence[Sdf.Path], reading: Reading) -> None:
        size = len(paths)
        self._columns = {
            facet: AttributeColumn(
                layer,
                paths,
                attribute_name(reading.kind, reading.quantity, facet),
                Sdf.ValueTypeNames.Find(attribute_type(facet)),
            )
            for facet in _facets(reading.kind)
        }
        self._numbers = {facet: np.full(size, np.nan) for facet in (None, "time", "uncertainty")}
        self._texts = {facet: np.full(size, -1) for facet in ("provenance", "reason") if facet in self._columns}
        self._text_ids: dict[str, int] = {}
        self._quality = np.full(size, _NEVER, dtype=np.uint8)
        # What a move is measured from: the value shown, or the first one seen where none is shown yet.
        self._origin = np.full(size, np.nan)
        self._origin_quality = np.full(size, _NEVER, dtype=np.uint8)
        self._detailed = np.zeros(size, dtype=np.bool_)
        self._start = 0
        self._resting: NDArray[np.bool_] | None = None

    def write(self, reading: Reading, wanted: Wanted, blocks: ChangeBlocks, budget: int) -> int:
        """Write what changed, up to a budget of writes; the rest stays changed for the next step.

        Returns
        -------
        int
            Writes made, creations counted for what they cost.
        """
        values, quality = reading.values, reading.quality
        if self._rests(values, quality, wanted):
            return 0
        shown = self._columns[None].held
        exact = wanted.exact & wanted.present & (np.isfinite(values) | shown)
        fresh = np.isnan(self._origin) & np.isfinite(values)
        self._origin[fresh], self._origin_quality[fresh] = values[fresh], quality[fresh]
        with np.errstate(invalid="ignore"):
            moved = np.abs(values - self._origin) > wanted.deadband
        moved |= (quality != self._origin_quality) & np.isfinite(self._origin)
        moved |= shown & np.isnan(values) & np.isfinite(self._numbers[None])
        first = exact & _differ(values, self._numbers[None])
        chosen = self._choose(first, moved & wanted.present & ~first, budget)
        spent = self._put(None, chosen, values[chosen].tolist(), blocks)
        self._numbers[None][chosen] = self._origin[chosen] = values[chosen]
        self._origin_quality[chosen] = quality[chosen]
        judged = np.nonzero(self._columns[None].held & wanted.present & (quality != self._quality))[0]
        spent += self._put("quality", judged, [QUALITY_TOKENS[code] for code in quality[judged].tolist()], blocks)
        self._quality[judged] = quality[judged]
        spent += self._put_details(reading, exact & self._columns[None].held, blocks)
        return spent

    def _rests(self, values: Array, quality: NDArray[np.uint8], wanted: Wanted) -> bool:
        """Return whether nothing can have changed: the usual case for the cells, and cheap to see."""
        if wanted.exact.any() or self._detailed.any() or self._resting is not wanted.present:
            self._resting = wanted.present
            return False
        # NaN compares false on both sides, so a value that comes or goes is not at rest.
        near = np.abs(values - self._origin) <= wanted.deadband
        return bool(near.all()) and np.array_equal(quality, self._origin_quality)

    def _put_details(self, reading: Reading, exact: NDArray[np.bool_], blocks: ChangeBlocks) -> int:
        spent = 0
        for facet, current in (("time", reading.time), ("uncertainty", reading.standard_uncertainty)):
            chosen = np.nonzero(exact & _differ(current, self._numbers[facet]))[0]
            spent += self._put(facet, chosen, current[chosen].tolist(), blocks)
            self._numbers[facet][chosen] = current[chosen]
        for facet, texts in self._texts.items():
            text = str(getattr(reading, facet))
            number = self._text_ids.setdefault(text, len(self._text_ids))
            chosen = np.nonzero(exact & (texts != number))[0]
            spent += self._put(facet, chosen, [text] * chosen.size, blocks)
            texts[chosen] = number
        # A time that is no longer kept up would make a value look older than it is: better none.
        left = np.nonzero(self._detailed & ~exact)[0]
        if left.size:
            for facet in ("time", "uncertainty", *self._texts):
                held = left[self._columns[facet].held[left]]
                spent += self._put(facet, held, [None] * held.size, blocks)
                if facet in self._texts:
                    self._texts[facet][left] = -1
                else:
                    self._numbers[facet][left] = np.nan
        self._detailed = exact
        return spent

    def _choose(self, first: NDArray[np.bool_], others: NDArray[np.bool_], budget: int) -> NDArray[np.int64]:
        """Return all of the first, and of the others what the budget allows, going on where the last step stopped."""
        chosen, rest = np.nonzero(first)[0], np.nonzero(others)[0]
        price = _CREATION if not self._columns[None].held[rest].all() else 1
        allowed = max(0, budget - chosen.size) // price
        if rest.size > allowed:
            start = int(np.searchsorted(rest, self._start))
            rest = np.concatenate([rest[start:], rest[:start]])[:allowed]
            self._start = int(rest[-1]) + 1 if rest.size else self._start
        return np.sort(np.concatenate([chosen, rest]))

    def _put(
        self, facet: str | None, indices: NDArray[np.int64], values: Sequence[object], blocks: ChangeBlocks
    ) -> int:
        column = self._columns[facet]
        created = int(np.count_nonzero(~column.held[indices]))
        column.write(indices, values)
        blocks.count(indices.size)
        return int(indices.size) + (_CREATION - 1) * created


class CellArrays:
    """Arrays of one quantity and kind for all cells, on the prims of the modules.

    Parameters
    ----------
    layer : Sdf.Layer
        Live layer.
    modules : sequence of Sdf.Path
        Prims of the modules in pack order.
    reading : Reading
        First reading of level cell; it gives quantity and kind.
    spec : PackSpec
        The pack.
    """

    def __init__(self, layer: Sdf.Layer, modules: Sequence[Sdf.Path], reading: Reading, spec: PackSpec) -> None:
        self._shape = (spec.n_modules, spec.series * spec.parallel)
        self._columns = {
            facet: AttributeColumn(
                layer,
                modules,
                cell_array_name(reading.kind, reading.quantity, facet),
                Sdf.ValueTypeNames.Find(attribute_type(facet, cells=True)),
            )
            for facet in _facets(reading.kind)
        }
        self._last: Reading | None = None

    def write(self, reading: Reading, present: NDArray[np.int64], blocks: ChangeBlocks) -> None:
        """Write what changed, for the modules that are present (indices)."""
        last, self._last = self._last, reading
        if reading is last:
            return
        for facet, current, before in (
            (None, reading.values, None if last is None else last.values),
            ("time", reading.time, None if last is None else last.time),
            ("quality", reading.quality, None if last is None else last.quality),
            ("uncertainty", reading.standard_uncertainty, None if last is None else last.standard_uncertainty),
        ):
            if before is not None and _same(current, before):
                continue
            self._columns[facet].write(present, self._arrays(facet, current, present))
            blocks.count(present.size)
        for facet in ("provenance", "reason"):
            text = str(getattr(reading, facet))
            if facet in self._columns and (last is None or text != getattr(last, facet)):
                self._columns[facet].write(present, [text] * present.size)
                blocks.count(present.size)

    def _arrays(self, facet: str | None, current: NDArray[np.generic], present: NDArray[np.int64]) -> list[object]:
        rows = current.reshape(self._shape)
        if facet == "time":
            if current.min() == current.max():  # as a rule: one array serves all modules
                return [Vt.DoubleArray(self._shape[1], float(current[0]))] * present.size
            return [Vt.DoubleArray.FromNumpy(row) for row in np.ascontiguousarray(rows)[present]]
        if facet == "quality":
            return [Vt.UCharArray.FromNumpy(row) for row in np.ascontiguousarray(rows)[present]]
        return [Vt.FloatArray.FromNumpy(row) for row in rows.astype(np.float32)[present]]


def _facets(kind: Kind) -> Iterator[str | None]:
    yield from (None, "quality", "time", "uncertainty", "provenance")
    if kind is Kind.RECOMMENDED:
        yield "reason"


def _differ(current: Array, shown: Array) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = (current != shown) & ~(np.isnan(current) & np.isnan(shown))
    return differ


def _same(first: NDArray[np.generic], second: NDArray[np.generic]) -> bool:
    """Return whether two arrays hold the same bits, so that NaN equals NaN."""
    return first is second or first.tobytes() == second.tobytes()
