"""Which cells teach, which calibrate, which are only scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cycles import CellCycles, CycleDataError, CycleSet

__all__ = ["Split", "deal_cells", "published_split"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """A split by cell.

    Attributes
    ----------
    folds : tuple of tuple of str
        The training cells in disjoint folds: the members of the ensemble that belong to a fold are trained on all
        other folds, and the fold's cells validate and calibrate them.
    test : tuple of str
        Cells that nothing is fitted to.
    """

    folds: tuple[tuple[str, ...], ...]
    test: tuple[str, ...]

    @property
    def training(self) -> tuple[str, ...]:
        """All training cells."""
        return tuple(name for fold in self.folds for name in fold)

    def outside(self, fold: int) -> tuple[str, ...]:
        """Return the training cells that are not in a fold."""
        return tuple(name for index, names in enumerate(self.folds) if index != fold for name in names)


def published_split(cycles: CycleSet, *, folds: int = 5, seed: int = 1) -> Split:
    """Return the published split: test cells have a 4 or an 8 in their number.

    The folds deal out the cells of each protocol in turn, in an order drawn from the seed.

    Raises
    ------
    CycleDataError
        If there are no test cells, or fewer training cells than folds.
    """
    test = tuple(cell.name for cell in cycles.cells if set("48") & set(cell.number))
    training = [cell for cell in cycles.cells if cell.name not in test]
    if not test or len(training) < folds:
        raise CycleDataError(
            f"{len(training)} training and {len(test)} test cells cannot be split into {folds} folds",
            remedy="Number the cells 1, 2, 3, ... within each protocol (<protocol>_battery-<number>.csv): those with 4 "
            "or 8 become test cells; or score all cells in folds, --protocol cv",
        )
    return Split(folds=deal_cells(tuple(training), folds=folds, seed=seed), test=test)


def deal_cells(cells: tuple[CellCycles, ...], *, folds: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Return the names of cells in disjoint folds: those of each protocol dealt out in turn, in an order drawn."""
    random = np.random.default_rng(seed)
    dealt: list[list[str]] = [[] for _ in range(folds)]
    turn = 0
    for protocol in sorted({cell.protocol for cell in cells}):
        names = [cell.name for cell in cells if cell.protocol == protocol]
        for index in random.permutation(len(names)):
            dealt[turn % folds].append(names[index])
            turn += 1
    return tuple(tuple(sorted(names)) for names in dealt)
