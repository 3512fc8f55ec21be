"""How a model is judged: which cells it may learn from, which are scored, and whether its inputs leak."""

from __future__ import annotations

from dataclasses import dataclass

from .cycles import CycleDataError, CycleSet
from .splits import deal_cells, published_split

__all__ = ["PROTOCOL_NAMES", "EvaluationFold", "EvaluationProtocol", "evaluation_protocol"]

PROTOCOL_NAMES = ("honest", "published", "cv", "lobo", "selection")


@dataclass(frozen=True, kw_only=True)
class EvaluationFold:
    """One training and what it is scored on.

    Attributes
    ----------
    name : str
        What is scored: "test cells", "fold 3", "without R3".
    training : tuple of str
        Cells that may be learnt from.
    test : tuple of str
        Cells that are scored.
    """

    name: str
    training: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """A named way to judge models of a set of cells.

    Attributes
    ----------
    name : str
        One of :data:`PROTOCOL_NAMES`.
    folds : tuple of EvaluationFold
        Trainings; a cell is scored in one of them at most.
    leaky : bool
        True for "published" only: each cell is scaled over its own whole life, and outliers of test cells are
        dropped, so that inputs tell how far a cell is from its last cycle.
    """

    name: str
    folds: tuple[EvaluationFold, ...]
    leaky: bool


def evaluation_protocol(name: str, cycles: CycleSet, *, folds: int = 5, seed: int = 1) -> EvaluationProtocol:
    """Return a protocol for a set of cells.

    Parameters
    ----------
    name : str
        ``honest``: the published split, test cells have a 4 or an 8 in their number. ``published``: the same
        split, leaky, and one model for each protocol. ``cv``: every cell is scored once, in folds of cells.
        ``lobo``: leave one protocol (batch) out, each in turn. ``selection``: the training cells of ``honest`` in
        folds, the test cells untouched: what settings may be chosen by.
    cycles : CycleSet
        The cells.
    folds : int
        Folds of ``cv`` and ``selection``; cells of each protocol are dealt out in turn.
    seed : int
        Seed of the order in which they are dealt.

    Raises
    ------
    CycleDataError
        If the name is unknown, or the cells do not allow the protocol.
    """
    everyone = tuple(cell.name for cell in cycles.cells)
    if name in ("honest", "published"):
        split = published_split(cycles, folds=1, seed=seed)
        whole = EvaluationFold(name="test cells", training=split.training, test=split.test)
        if name == "honest":
            return EvaluationProtocol(name=name, folds=(whole,), leaky=False)
        return EvaluationProtocol(name=name, folds=_by_protocol(whole, cycles), leaky=True)
    if name == "selection":
        split = published_split(cycles, folds=folds, seed=seed)
        everyone, tests = split.training, split.folds
        names = tuple(f"fold {number}" for number in range(1, folds + 1))
    elif name == "cv":
        if folds < 2 or len(everyone) < folds:
            raise CycleDataError(
                f"{len(everyone)} cells cannot be dealt into {folds} folds",
                remedy="Choose from two folds to as many as there are cells",
            )
        tests = deal_cells(cycles.cells, folds=folds, seed=seed)
        names = tuple(f"fold {number}" for number in range(1, folds + 1))
    elif name == "lobo":
        if len(cycles.protocols) < 2:
            raise CycleDataError(
                f"all cells were cycled as {cycles.protocols[0]!r}, so none is left to learn from",
                remedy="Use --protocol cv, or give cells of at least two protocols (<protocol>_battery-<number>.csv, "
                "or one folder for each protocol)",
            )
        tests = tuple(
            tuple(cell.name for cell in cycles.cells if cell.protocol == protocol) for protocol in cycles.protocols
        )
        names = tuple(f"without {protocol}" for protocol in cycles.protocols)
    else:
        raise CycleDataError(
            f"the evaluation protocol {name!r} is unknown", remedy=f"Choose one of {', '.join(PROTOCOL_NAMES)}"
        )
    made = tuple(
        EvaluationFold(name=label, training=tuple(cell for cell in everyone if cell not in test), test=test)
        for label, test in zip(names, tests, strict=True)
    )
    return EvaluationProtocol(name=name, folds=made, leaky=False)


def _by_protocol(fold: EvaluationFold, cycles: CycleSet) -> tuple[EvaluationFold, ...]:
    """Return the fold divided into one for each protocol that has both training and test cells."""
    divided = []
    for protocol in cycles.protocols:
        names = {cell.name for cell in cycles.cells if cell.protocol == protocol}
        training = tuple(name for name in fold.training if name in names)
        test = tuple(name for name in fold.test if name in names)
        if training and test:
            divided.append(EvaluationFold(name=protocol, training=training, test=test))
    return tuple(divided)
