"""What is transferred where: the source's cells, the few labels of the target, and the cells that are scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import SettingsError

from ..cycles import CellCycles, CycleSet
from ..past_windows import PastWindows, window_cycles
from ..splits import published_split
from ..trust.cell_bags import choose_windows

__all__ = ["FewLabels", "TransferCase", "between_fleets", "between_protocols", "draw_cells", "thin_windows"]


@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """Labels of the target that may be learnt from.

    Attributes
    ----------
    cells : int
        Cells, drawn anew for every seed.
    cycles : int
        First cycles of each that are labelled; 0: all.
    """

    cells: int
    cycles: int = 0

    def __post_init__(self) -> None:
        if self.cells < 1 or self.cycles < 0:
            raise SettingsError(
                f"{self.cells} cells and their first {self.cycles} cycles are no labels",
                remedy="Give at least one cell, and a number of cycles or 0 for all",
            )

    @property
    def name(self) -> str:
        """The labels in words."""
        cells = f"{self.cells} cell{'s' if self.cells > 1 else ''}"
        return f"{cells}, first {self.cycles} cycles" if self.cycles else cells


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferCase:
    """One transfer.

    Attributes
    ----------
    name : str
        Such as "xjtu_cycles to mit_cycles".
    source, pool, test : tuple of CellCycles
        Cells that are pre-trained on; those of the target that the few are drawn from; those that are scored.
    digest : str
        SHA-256 of the data.
    """

    name: str
    source: tuple[CellCycles, ...]
    pool: tuple[CellCycles, ...]
    test: tuple[CellCycles, ...]
    digest: str


def between_fleets(source: CycleSet, target: CycleSet, name: str) -> tuple[TransferCase, ...]:
    """Return the transfer from one fleet to another: training cells to training cells, published test cells scored.

    Raises
    ------
    CycleDataError
        If a fleet has no cells with a 4 or an 8 in their number, or no others.
    """
    learnt, split = published_split(source, folds=1).training, published_split(target, folds=1)
    return (
        TransferCase(
            name=name,
            source=source.select(learnt),
            pool=target.select(split.training),
            test=target.select(split.test),
            digest=f"{source.digest} {target.digest}",
        ),
    )


def between_protocols(cycles: CycleSet) -> tuple[TransferCase, ...]:
    """Return, for each protocol in turn, the transfer to it from the training cells of all others.

    Raises
    ------
    CycleDataError
        If there are no cells with a 4 or an 8 in their number, or no others.
    """
    split = published_split(cycles, folds=1)
    training, test = cycles.select(split.training), cycles.select(split.test)
    return tuple(
        TransferCase(
            name=f"others to {protocol}",
            source=tuple(cell for cell in training if cell.protocol != protocol),
            pool=tuple(cell for cell in training if cell.protocol == protocol),
            test=tuple(cell for cell in test if cell.protocol == protocol),
            digest=cycles.digest,
        )
        for protocol in cycles.protocols
    )


def draw_cells(pool: tuple[CellCycles, ...], count: int, seed: int) -> tuple[CellCycles, ...]:
    """Return cells of the pool in an order drawn from the seed, those of its protocols in turn; more hold fewer.

    Raises
    ------
    SettingsError
        If the pool has fewer, or none would be left.
    """
    if count >= len(pool):
        raise SettingsError(
            f"{count} cells cannot be drawn from {len(pool)} and leave one to choose by",
            remedy=f"Ask for at most {len(pool) - 1} cells",
        )
    random = np.random.default_rng((seed, 77))
    queues: dict[str, list[CellCycles]] = {}
    for place in random.permutation(len(pool)):
        queues.setdefault(pool[place].protocol, []).append(pool[place])
    drawn: list[CellCycles] = []
    while len(drawn) < count:
        drawn += [queue.pop() for queue in queues.values() if queue]
    return tuple(drawn[:count])


def thin_windows(cells: tuple[CellCycles, ...], *, window: int, most: int, first: int = 0) -> PastWindows:
    """Return at most about so many windows of cells, evenly spaced along every cell.

    Parameters
    ----------
    cells : tuple of CellCycles
        The cells.
    window : int
        Cycles of a window.
    most : int
        Windows wanted at most; every cell gives one at least.
    first : int
        First cycles of each cell that count; 0: all.
    """
    counts = [min(cell.soh.size, first) if first else cell.soh.size for cell in cells]
    every = max(1, -(-sum(counts) // most))
    parts = window_cycles(cells, window=window)
    rows = (parts.cycle - 1.0) % every == 0.0
    if first:
        rows &= parts.cycle <= first
    return choose_windows(parts, rows)
