"""Arrays of the engine: one number a cell or a group, seen as bundles by kernels and in pack order from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, PlantError

from .lanes import Lanes
from .launching import MOST_PARTS

__all__ = ["CellField", "Grid", "GroupField", "ScratchField", "alias", "bundles_of"]


@dataclass(frozen=True, eq=False)
class Grid:
    """How cells lie in memory: ``[parallel position, group]``, with groups filled up to whole bundles.

    Attributes
    ----------
    n_groups, parallel : int
        Groups, and cells in each.
    lanes : Lanes
        Bundles.
    device : str
        Warp's name of the device.
    gradient : bool
        Whether arrays carry gradients.
    """

    n_groups: int
    parallel: int
    lanes: Lanes
    device: str
    gradient: bool = False

    @property
    def padded(self) -> int:
        """Groups, filled up to whole bundles."""
        width = self.lanes.width
        return -(-self.n_groups // width) * width

    @property
    def group_bundles(self) -> int:
        """Bundles of groups."""
        return self.padded // self.lanes.width

    @property
    def bundles(self) -> int:
        """Bundles of cells."""
        return self.parallel * self.group_bundles

    @property
    def n_cells(self) -> int:
        """Cells, without those that fill up."""
        return self.n_groups * self.parallel

    @property
    def keeps_scratch(self) -> bool:
        """Whether scratch needs room for every bundle: bundles of one thread of a CPU come one after the other."""
        return self.gradient or self.device != "cpu"

    def inside(self, cells: NDArray[np.int64] | Array) -> NDArray[np.int64]:
        """Return the places in memory of cells given in pack order."""
        group, position = np.divmod(np.asarray(cells, dtype=np.int64), self.parallel)
        return position * self.padded + group

    def in_order(self, laid: Array) -> Array:
        """Return a copy in pack order, of shape (…, n_cells), of values as they lie in memory, of shape (…, places)."""
        cells = laid.reshape(*laid.shape[:-1], self.parallel, self.padded)[..., : self.n_groups]
        return np.array(cells.swapaxes(-1, -2), order="C").reshape(*laid.shape[:-1], self.n_cells)


def alias(base: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> Any:
    """Return another view of a Warp array's memory, gradient included; strides are in bytes."""
    import warp as wp

    gradient = None if base.grad is None else alias(base.grad, dtype, shape, strides)
    view = wp.array(ptr=base.ptr, dtype=dtype, shape=shape, strides=strides, device=base.device, grad=gradient)
    view._base = base  # keeps the memory alive
    return view


class CellField:
    """One or several numbers a cell.

    Several numbers lie side by side for each bundle on a CPU, which walks through memory once, and bundle by bundle
    for each number on a GPU, whose threads read together. Kernels index both as ``[row, bundle]``.

    Parameters
    ----------
    grid : Grid
        How cells lie in memory.
    rows : int or None
        Numbers a cell; None for one, without an axis.
    fill : float or ndarray of shape (rows,)
        Values at first, also of the cells that fill up.
    """

    def __init__(self, grid: Grid, *, rows: int | None = None, fill: float | Array = 0.0) -> None:
        import warp as wp

        self.grid = grid
        self.rows = rows
        lanes, width, count = grid.lanes, grid.lanes.width, rows or 1
        self.flat = wp.full(
            grid.bundles * width * count,
            fill if isinstance(fill, (int, float)) else 0.0,
            dtype=lanes.real,
            device=grid.device,
            requires_grad=grid.gradient,
        )
        number = width * 8  # bytes
        if rows is None:
            self.bundles = alias(self.flat, lanes.vector, (grid.bundles,))
            self.positions = alias(self.flat, lanes.vector, (grid.parallel, grid.group_bundles))
            self._shape, self._axes = (1, grid.bundles, width), (0, 1, 2)
        elif grid.device == "cpu":
            self.bundles = alias(self.flat, lanes.vector, (rows, grid.bundles), (number, rows * number))
            self._shape, self._axes = (grid.bundles, rows, width), (1, 0, 2)
        else:
            self.bundles = alias(self.flat, lanes.vector, (rows, grid.bundles))
            self._shape, self._axes = (rows, grid.bundles, width), (0, 1, 2)
        self._host = self._view(self.flat.numpy()) if self.flat.device.is_cpu else None
        if not isinstance(fill, (int, float)):
            held = self.flat.numpy()
            self._view(held)[:] = fill[:, np.newaxis, np.newaxis]
            self.flat.assign(held)

    def read(self) -> Array:
        """Return the values in pack order, of shape (n_cells,) or (rows, n_cells)."""
        return self.grid.in_order(self.laid())

    def laid(self) -> Array:
        """Return the values as they lie in memory, of shape (places,) or (rows, places); they may change with it."""
        values = self._view(self.flat.numpy()) if self._host is None else self._host
        return values.reshape(-1) if self.rows is None else values.reshape(self.rows, -1)

    def write(self, values: Array | float, cells: NDArray[np.int64] | None = None) -> None:
        """Set the values of all cells, or of some, in pack order.

        Raises
        ------
        PlantError
            If the number of values does not fit.
        """
        grid = self.grid
        bundle, lane = np.divmod(grid.inside(np.arange(grid.n_cells) if cells is None else cells), grid.lanes.width)
        given = np.asarray(values, dtype=np.float64)
        try:
            spread = np.broadcast_to(given, (self.rows or 1, bundle.size))
        except ValueError:
            raise PlantError(
                f"{given.shape} values do not fit {bundle.size} cells", remedy="Give one value a cell, or one for all"
            ) from None
        held = self.flat.numpy()
        self._view(held)[:, bundle, lane] = spread
        if self._host is None:
            self.flat.assign(held)

    def add_gradient(self, values: Array, row: int | None = None) -> None:
        """Add to the derivatives with the values of all cells, or with one row of them."""
        held = self.flat.grad.numpy()
        bundle, lane = np.divmod(self.grid.inside(np.arange(self.grid.n_cells)), self.grid.lanes.width)
        self._view(held)[0 if row is None else row, bundle, lane] += values
        self.flat.grad.assign(held)

    def lies_within(self, low: float, high: float) -> bool:
        """Return whether every value is a number from ``low`` to ``high``, cells that fill up included."""
        values = self.flat.numpy() if self._host is None else self._host
        return bool(values.min() >= low) and bool(values.max() <= high)

    def peak(self) -> float:
        """Return the largest value, cells that fill up included."""
        return float((self.flat.numpy() if self._host is None else self._host).max())

    def _view(self, memory: Array) -> Array:
        return memory.reshape(self._shape).transpose(self._axes)


class ScratchField:
    """Several numbers a cell that live within one thread; indexed by kernels as ``[row, slot]``."""

    def __init__(self, grid: Grid, *, rows: int) -> None:
        import warp as wp

        slots, lanes = grid.bundles if grid.keeps_scratch else MOST_PARTS, grid.lanes
        self.flat = wp.zeros(
            rows * slots * lanes.width, dtype=lanes.real, device=grid.device, requires_grad=grid.gradient
        )
        self.bundles = alias(self.flat, lanes.vector, (rows, slots))


class GroupField:
    """One or several numbers a group, alike; ``flat`` may be part of a longer array."""

    def __init__(self, grid: Grid, *, rows: int | None = None, fill: float = 0.0, within: Any = None) -> None:
        import warp as wp

        self.grid = grid
        lanes = grid.lanes
        lead = () if rows is None else (rows,)
        if within is None:
            within = wp.full(
                (*lead, grid.padded), fill, dtype=lanes.real, device=grid.device, requires_grad=grid.gradient
            )
        self.flat = within
        self.bundles = alias(within, lanes.vector, (*lead, grid.group_bundles))
        self._host = within.numpy() if within.device.is_cpu else None

    def read(self) -> Array:
        """Return the values of the groups, of shape (n_groups,) or (rows, n_groups)."""
        values = self._host if self._host is not None else self.flat.numpy()
        return np.array(values[..., : self.grid.n_groups])

    def write(self, values: Array | float, groups: NDArray[np.int64] | None = None) -> None:
        """Set the values of all groups, or of some."""
        places = np.arange(self.grid.n_groups) if groups is None else np.asarray(groups, dtype=np.int64)
        if self._host is not None:
            self._host[..., places] = values
            return
        held = self.flat.numpy()
        held[..., places] = values
        self.flat.assign(held)


def bundles_of(*fields: CellField | ScratchField) -> list[Any]:
    """Return the arrays of fields as kernels take them."""
    return [field.bundles for field in fields]
