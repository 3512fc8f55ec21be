"""The worst that each module holds: what a charge current must be safe for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Quality, Reading

__all__ = ["ModuleCase", "find_cases"]

_SHARING = 1.05  # a cell's share of its group's current over the mean, where cell currents are not measured
_LOADED = 0.1  # C-rate from which measured shares mean something [1/h]


@dataclass(frozen=True, kw_only=True)
class ModuleCase:
    """The worst readings of one module, put together as one cell.

    Attributes
    ----------
    module_id : str
        Id of the module.
    hottest, coldest : float
        Extreme cell temperatures, uncertainty added [K].
    hottest_id : str
        Id of the hottest cell.
    soc : float
        State of charge of the fullest group, uncertainty added [-].
    fullest_id : str
        Id of the fullest group.
    soh : float
        Lowest state of health of a cell [-]; 1 where nothing is known.
    resistance_ratio : float
        Highest resistance of a group over the pack's median [-], at least 1.
    share : float
        Largest share of a cell in its group's current, over the mean [-].
    problem : str
        Why nothing can be advised; empty where something can.
    """

    module_id: str
    hottest: float = float("nan")
    coldest: float = float("nan")
    hottest_id: str = ""
    soc: float = float("nan")
    fullest_id: str = ""
    soh: float = 1.0
    resistance_ratio: float = 1.0
    share: float = _SHARING
    problem: str = ""


def find_cases(spec: PackSpec, state: PackState, coverage: float) -> tuple[ModuleCase, ...]:
    """Return the worst case of every module.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    state : PackState
        Process image with estimates.
    coverage : float
        Standard uncertainties by which estimates are taken for worse than they are.
    """
    soc = _good(spec, state.get(Kind.ESTIMATED, "soc", Level.GROUP), Level.GROUP)
    doubt = _doubt(spec, state.get(Kind.ESTIMATED, "soc", Level.GROUP), Level.GROUP) * coverage
    temperature, spread = _temperatures(spec, state)
    spread = spread * coverage
    health = _health(spec, state)
    resistance = _good(spec, state.get(Kind.ESTIMATED, "resistance", Level.GROUP), Level.GROUP)
    typical = float(np.median(resistance[np.isfinite(resistance)])) if np.isfinite(resistance).any() else float("nan")
    shares = _shares(spec, state)
    groups, cells = spec.element_ids(Level.GROUP), spec.element_ids(Level.CELL)
    per_module = spec.series * spec.parallel
    cases = []
    for index, module in enumerate(spec.modules):
        g = slice(index * spec.series, (index + 1) * spec.series)
        c = slice(index * per_module, (index + 1) * per_module)
        problem = _problem(soc[g], temperature[c], module.id)
        if problem:
            cases.append(ModuleCase(module_id=module.id, problem=problem))
            continue
        high = soc[g] + doubt[g]
        hot, cold = temperature[c] + spread[c], temperature[c] - spread[c]
        ratio = np.nanmax(resistance[g]) / typical if np.isfinite(resistance[g]).any() else 1.0
        cases.append(
            ModuleCase(
                module_id=module.id,
                hottest=float(np.nanmax(hot)),
                coldest=float(np.nanmin(cold)),
                hottest_id=cells[c.start + int(np.nanargmax(hot))],
                soc=float(high.max()),
                fullest_id=groups[g.start + int(high.argmax())],
                soh=float(np.nanmin(health[c])) if np.isfinite(health[c]).any() else 1.0,
                resistance_ratio=max(float(ratio), 1.0),
                share=float(shares[g].max()),
            )
        )
    return tuple(cases)


def _problem(soc: Array, temperature: Array, module_id: str) -> str:
    if not np.isfinite(soc).all():
        missing = int((~np.isfinite(soc)).sum())
        return f"no good state of charge for {missing} of {soc.size} groups of {module_id}"
    if not np.isfinite(temperature).any():
        return f"no good temperature in {module_id}"
    return ""


def _good(spec: PackSpec, reading: Reading | None, level: Level) -> Array:
    if reading is None or reading.values.size != spec.size(level):
        return np.full(spec.size(level), np.nan)
    return np.where(reading.quality == Quality.GOOD, reading.values, np.nan)


def _doubt(spec: PackSpec, reading: Reading | None, level: Level) -> Array:
    if reading is None or reading.values.size != spec.size(level):
        return np.zeros(spec.size(level))
    return np.where(np.isfinite(reading.standard_uncertainty), reading.standard_uncertainty, 0.0)


def _temperatures(spec: PackSpec, state: PackState) -> tuple[Array, Array]:
    """Return the cells' temperatures and uncertainties [K]: measured where good, estimated elsewhere."""
    measured = state.get(Kind.MEASURED, "temperature", Level.CELL)
    estimated = state.get(Kind.ESTIMATED, "temperature", Level.CELL)
    first = _good(spec, measured, Level.CELL)
    known = np.isfinite(first)
    values = np.where(known, first, _good(spec, estimated, Level.CELL))
    return values, np.where(known, _doubt(spec, measured, Level.CELL), _doubt(spec, estimated, Level.CELL))


def _health(spec: PackSpec, state: PackState) -> Array:
    """Return the cells' state of health [-]: predicted, else from the groups' estimated capacity; NaN if unknown."""
    predicted = _good(spec, state.best("soh", Level.CELL), Level.CELL)
    capacity = _good(spec, state.get(Kind.ESTIMATED, "capacity", Level.GROUP), Level.GROUP)
    return np.where(np.isfinite(predicted), predicted, np.repeat(capacity / spec.group_capacity, spec.parallel))


def _shares(spec: PackSpec, state: PackState) -> Array:
    """Return the largest share of a cell in each group's current, over the mean; shape (n_groups,)."""
    current = _good(spec, state.get(Kind.MEASURED, "current", Level.CELL), Level.CELL)
    rows = np.abs(current.reshape(spec.n_groups, spec.parallel))
    mean = rows.mean(axis=1)
    loaded = mean > _LOADED * spec.cell.capacity  # NaN compares as False
    return np.where(loaded, rows.max(axis=1) / np.where(loaded, mean, 1.0), _SHARING)
