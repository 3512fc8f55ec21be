"""Where every cell stands: the geometry that stage, thermal network and pictures share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, freeze
from .pack_spec import PackSpec

__all__ = ["PackLayout", "lay_out"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PackLayout:
    """Positions and sizes that follow from a pack's specification.

    Attributes
    ----------
    module_size : tuple of float
        Outer size of a module along x, y, z [m], housing included.
    cells_in_module : ndarray of shape (series * parallel, 3)
        Centres of the cells in the module's frame [m]: origin at the centre of its floor, z up.
    cell_positions : ndarray of shape (n_cells, 3)
        Centres of the cells in the pack's frame [m].
    neighbours : ndarray of int, shape (n_pairs, 2)
        Pairs of cells whose surfaces are one gap apart, in pack order, within modules.
    """

    module_size: tuple[float, float, float]
    cells_in_module: Array
    cell_positions: Array
    neighbours: NDArray[np.int64]


@lru_cache(maxsize=8)
def lay_out(spec: PackSpec) -> PackLayout:
    """Return the layout of a pack."""
    local = _cells_in_module(spec)
    wall = spec.layout.housing_wall
    half = np.array([*spec.cell.footprint, spec.cell.height]) / 2.0
    size = local.max(axis=0) - local.min(axis=0) + 2.0 * (half + wall)
    positions = np.empty((spec.n_modules, *local.shape))
    for index, module in enumerate(spec.modules):
        angle = np.deg2rad(module.heading)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
        positions[index] = local @ turn.T + np.asarray(module.position)
    pairs = _neighbours(spec, local)
    per_module = local.shape[0]
    every = (np.arange(spec.n_modules)[:, np.newaxis, np.newaxis] * per_module + pairs).reshape(-1, 2)
    return PackLayout(
        module_size=(float(size[0]), float(size[1]), float(size[2])),
        cells_in_module=freeze(local),
        cell_positions=freeze(positions.reshape(-1, 3)),
        neighbours=freeze(every),
    )


def _cells_in_module(spec: PackSpec) -> Array:
    count = spec.series * spec.parallel
    index = np.arange(count)
    gap, wall = spec.layout.cell_gap, spec.layout.housing_wall
    size_x, size_y = spec.cell.footprint
    centres = np.zeros((count, 3))
    if spec.layout.pattern == "stack":
        centres[:, 2] = wall + spec.cell.height / 2.0 + index * (spec.cell.height + gap)
        return centres
    column, row = np.divmod(index, spec.layout.rows)
    pitch_x, pitch_y = size_x + gap, size_y + gap
    if spec.layout.pattern == "hexagonal":
        centres[:, 0] = column * pitch_x * np.sqrt(3.0) / 2.0
        centres[:, 1] = (row + 0.5 * (column % 2)) * pitch_y
    else:
        centres[:, 0] = column * pitch_x
        centres[:, 1] = row * pitch_y
    centres[:, :2] -= (centres[:, :2].max(axis=0) + centres[:, :2].min(axis=0)) / 2.0
    centres[:, 2] = wall + spec.cell.height / 2.0
    return centres


def _neighbours(spec: PackSpec, local: Array) -> NDArray[np.int64]:
    count = local.shape[0]
    if spec.layout.pattern == "stack":
        return np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    if spec.layout.pattern == "square":
        rows, cells = spec.layout.rows, np.arange(count)
        along_y = cells[(cells + 1) % rows != 0]
        along_x = cells[: count - rows]
        pairs = np.concatenate([np.stack([along_y, along_y + 1], axis=1), np.stack([along_x, along_x + rows], axis=1)])
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
    pitch = max(spec.cell.footprint) + spec.layout.cell_gap
    apart = np.linalg.norm(local[:, np.newaxis] - local[np.newaxis], axis=2)
    first, second = np.nonzero((apart < 1.05 * pitch) & (np.arange(count)[:, np.newaxis] < np.arange(count)))
    return np.stack([first, second], axis=1).astype(np.int64)
