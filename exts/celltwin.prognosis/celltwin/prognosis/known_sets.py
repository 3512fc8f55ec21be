"""Published sets of cycles that Celltwin knows by the name of their folder."""

from __future__ import annotations

import os
from pathlib import Path

from .cycles import CycleDataError, CycleSet, load_cycles

__all__ = ["NOMINAL_CAPACITIES", "load_known_cycles"]

NOMINAL_CAPACITIES = {"xjtu_cycles": 2.0, "mit_cycles": 1.1}  # [A.h]


def load_known_cycles(data: str = "", nominal_capacity: float = 0.0) -> CycleSet:
    """Return the cycles of a folder.

    Parameters
    ----------
    data : str
        A folder, or the name of one in ``CELLTWIN_DATA``; ``xjtu_cycles`` where empty.
    nominal_capacity : float
        Nominal capacity of the cells [A.h]; 0 takes that of a set that is known by its folder's name.

    Raises
    ------
    CycleDataError
        If there are no cycles, or the nominal capacity is neither known nor given.
    """
    name = data or "xjtu_cycles"
    folder = Path(name)
    if not folder.is_dir():
        folder = Path(os.environ.get("CELLTWIN_DATA") or "../shared/data") / name
    if not nominal_capacity:
        nominal_capacity = NOMINAL_CAPACITIES.get(folder.name, 0.0)
    if nominal_capacity <= 0.0:
        raise CycleDataError(
            "the nominal capacity of these cells is not known",
            where=str(folder),
            remedy="Give it with --nominal-capacity, in A.h",
        )
    return load_cycles(folder, nominal_capacity=nominal_capacity)
