"""A layer for what changes while a twin runs, above the authored stage and never part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd

from celltwin.core import Array, Level, PackSpec, StageError, lay_out

from .scene_paths import prim_paths

__all__ = ["LiveSublayer", "Presence"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Presence:
    """Which parts of a pack its stage still holds.

    Attributes
    ----------
    modules : ndarray of bool, shape (n_modules,)
        Modules that are there.
    cells : ndarray of bool, shape (n_cells,)
        Cells of these.
    changed : bool
        Whether that differs from the last time, so that handles on prims must be found again.
    """

    modules: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    changed: bool


class LiveSublayer:
    """An anonymous sublayer of a stage's session layer that follows the pack's modules.

    Parameters
    ----------
    stage : Usd.Stage
        Stage that holds the pack.
    spec : PackSpec
        The pack.
    name : str
        What the layer is for, shown in layer windows.
    root : str, optional
        Path of the pack's prim, where it is not the root prim of its own stage.

    Raises
    ------
    StageError
        If the stage has no session layer, or does not hold the pack.
    """

    def __init__(self, stage: Usd.Stage, spec: PackSpec, name: str, root: str | None = None) -> None:
        session = stage.GetSessionLayer()
        if session is None:
            raise StageError(
                "the stage has no session layer",
                where=stage.GetRootLayer().identifier,
                remedy="Open it without naming None as its session layer",
            )
        self._stage = stage
        self._spec = spec
        self._root = root
        self._paths: dict[Level, tuple[Sdf.Path, ...]] = {}
        self._present = self._presence_of(self._find_modules())
        if not self._present.modules.any():
            raise StageError(
                f"the stage holds no module of the pack {spec.name!r}",
                where=f"{stage.GetRootLayer().identifier}:{prim_paths(spec, Level.PACK, root)[0]}",
                remedy="Build the pack into the stage first, or give the specification that read_pack returns",
            )
        self.layer = Sdf.Layer.CreateAnonymous(f"celltwin_{name}.usda")
        session.subLayerPaths.insert(0, self.layer.identifier)

    def paths(self, level: Level) -> tuple[Sdf.Path, ...]:
        """Return the paths of a level's prims in pack order."""
        if level not in self._paths:
            self._paths[level] = tuple(Sdf.Path(path) for path in prim_paths(self._spec, level, self._root))
        return self._paths[level]

    def follow(self) -> Presence:
        """Look which modules the stage holds; drop what the layer says about those that are gone."""
        held = self._find_modules()
        if (held == self._present.modules).all():
            return self._present
        with Sdf.ChangeBlock():
            for path, there in zip(self.paths(Level.MODULE), held.tolist(), strict=True):
                prim = None if there else self.layer.GetPrimAtPath(path)
                if prim is not None:
                    del prim.nameParent.nameChildren[prim.name]
        self._present = self._presence_of(held)
        return replace(self._present, changed=True)

    def cell_tops(self, cells: tuple[int, ...]) -> Array:
        """Return points just above cells in the pack's frame [m], shape (n, 3)."""
        tops = lay_out(self._spec).cell_positions[list(cells)].reshape(-1, 3).copy()
        tops[:, 2] += 0.6 * self._spec.cell.height + 0.25 * min(self._spec.cell.footprint)
        return tops

    def close(self) -> None:
        """Take the layer off the stage; a second call does nothing."""
        session = self._stage.GetSessionLayer()
        if session is not None and self.layer.identifier in session.subLayerPaths:
            session.subLayerPaths.remove(self.layer.identifier)

    def _presence_of(self, modules: NDArray[np.bool_]) -> Presence:
        cells = np.repeat(modules, self._spec.series * self._spec.parallel)
        return Presence(modules=modules, cells=cells, changed=False)

    def _find_modules(self) -> NDArray[np.bool_]:
        # An override alone, such as this layer's own, does not define a module.
        prims = (self._stage.GetPrimAtPath(path) for path in self.paths(Level.MODULE))
        return np.array([bool(prim) and prim.IsActive() and prim.IsDefined() for prim in prims])
