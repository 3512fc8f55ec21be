"""Health of groups, modules and pack from the health of cells."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import Array, Flags, Kind, Level, PackSpec, PackState, Quality, Reading

from .system_health import LEAST_KNOWN as LEAST_DRAWN
from .system_health import CellEstimates, LevelHealth, assess_system_health

__all__ = ["combine_health", "combine_uncertain"]

# Draws behind a level's value, every other the mirror image of one.
DRAWS = 64
# Modules whose draws differ by less are the same [share]: errors as large as all differences leave none of these.
SAME = 1e-9
# A group has a value when this share of its cells has one, and a good one when this share is good.
LEAST_KNOWN, LEAST_GOOD = 0.5, 0.9


def combine_health(cells: Reading, spec: PackSpec) -> tuple[Reading, Reading, Reading]:
    """Return the SOH of groups, modules and pack, by capacity.

    The capacities of parallel cells add, so a group's SOH is the mean of its cells'. The same charge passes every
    group of a series string, so a module's SOH is that of its weakest group and the pack's that of its weakest
    module: capacity without balancing. The weakest of many uncertain values is low by chance as well; the
    uncertainty given is that of the weakest element alone. The error of one network is taken to be common to all
    cells of a group, so that averaging does not shrink it.

    Parameters
    ----------
    cells : Reading
        SOH of the cells.
    spec : PackSpec
        The pack.
    """
    shape = (spec.n_groups, spec.parallel)
    known = np.isfinite(cells.values).reshape(shape)
    enough = known.mean(axis=1) >= LEAST_KNOWN
    good = (cells.usable().reshape(shape)).mean(axis=1) >= LEAST_GOOD
    groups = _Elements(
        values=np.where(enough, _mean(cells.values.reshape(shape)), np.nan),
        time=np.where(enough, _mean(cells.time.reshape(shape)), np.nan),
        uncertainty=np.where(enough, _mean(cells.standard_uncertainty.reshape(shape)), np.nan),
        quality=np.where(enough, np.where(good, Quality.GOOD, Quality.SUSPECT), Quality.BAD).astype(np.uint8),
    )
    modules = _weakest(groups, spec.n_modules)
    pack = _weakest(modules, 1)
    return (
        _reading(cells, Level.GROUP, groups, "Mean of its parallel cells"),
        _reading(cells, Level.MODULE, modules, "Its weakest group"),
        _reading(cells, Level.PACK, pack, "Its weakest module"),
    )


def combine_uncertain(cells: Reading, spec: PackSpec, state: PackState | None = None) -> tuple[Reading, ...]:
    """Return what holds of groups, modules and pack, from draws of what the cells may truly be.

    Values and uncertainties are those of :func:`assess_system_health`: means in parallel, the weakest in series. Time,
    quality and what is unknown are as :func:`combine_health` has them. Beside a health by capacity come health by
    energy (``soh_energy``) and growth of resistance (``resistance_growth``) where the telemetry has shown the
    resistances of the groups (``resistance_factor``).

    Parameters
    ----------
    cells : Reading
        A quantity of the cells that adds up like their capacity.
    spec : PackSpec
        The pack.
    state : PackState, optional
        Process image, where resistances are looked for.
    """
    plain = combine_health(cells, spec)
    known = np.isfinite(cells.values) & np.isfinite(cells.standard_uncertainty)
    if np.count_nonzero(known) < LEAST_DRAWN:
        return plain
    capacity = CellEstimates(
        values=np.where(known, cells.values, np.nan),
        standard_uncertainty=np.where(known, cells.standard_uncertainty, np.nan),
        predicted=True,
    )
    resistance = None if state is None else _resistance(state, spec)
    health = assess_system_health(spec, capacity, resistance, draws=DRAWS)
    levels = {reading.level: reading for reading in plain}
    readings = [_drawn(levels[level], found, spec) for level, found in health.capacity.items()]
    for quantity, by_level in (("soh_energy", health.energy), ("resistance_growth", health.resistance)):
        readings += [
            replace(_drawn(levels[level], found, spec), quantity=quantity) for level, found in by_level.items()
        ]
    return tuple(readings)


def _resistance(state: PackState, spec: PackSpec) -> CellEstimates | None:
    """Return the resistances of the cells over fresh ones, from those of their groups; None where few are known."""
    reading = state.get(Kind.ESTIMATED, "resistance_factor", Level.GROUP)
    if reading is None:
        return None
    known = reading.usable() & np.isfinite(reading.standard_uncertainty)
    if np.count_nonzero(known) < LEAST_DRAWN:
        return None
    values, uncertainty = (
        np.repeat(np.where(known, array, np.nan), spec.parallel)
        for array in (reading.values, reading.standard_uncertainty)
    )
    return CellEstimates(values=values, standard_uncertainty=uncertainty, shared_by=spec.parallel)


def _drawn(plain: Reading, found: LevelHealth, spec: PackSpec) -> Reading:
    there = np.isfinite(plain.values)
    reason = plain.reason
    if plain.level is Level.PACK and spec.n_modules > 1:
        name, often = spec.element_ids(Level.MODULE)[int(found.weakest[0])], 100.0 * found.weakest_probability[0]
        apart = found.spread[0] > SAME * abs(found.values[0])
        reason += f": {name}, the weakest in {often:.0f} % of {DRAWS} draws" if apart else ", which cannot be told"
    return replace(
        plain,
        values=np.where(there, found.values, np.nan),
        standard_uncertainty=np.where(there, found.standard_uncertainty, np.nan),
        reason=reason,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Elements:
    """Values of one level, each of shape (n,)."""

    values: Array
    time: Array
    uncertainty: Array
    quality: Flags


def _weakest(elements: _Elements, count: int) -> _Elements:
    values = elements.values.reshape(count, -1)
    known = np.isfinite(values)
    least = np.argmin(np.where(known, values, np.inf), axis=1)
    rows = np.arange(count)
    quality = elements.quality.reshape(count, -1)[rows, least]
    unsure = ~known.all(axis=1) & (quality < Quality.SUSPECT)  # the weakest may be one that is not known
    return _Elements(
        values=values[rows, least],
        time=elements.time.reshape(count, -1)[rows, least],
        uncertainty=elements.uncertainty.reshape(count, -1)[rows, least],
        quality=np.where(unsure, Quality.SUSPECT, quality).astype(np.uint8),
    )


def _mean(values: Array) -> Array:
    known = np.isfinite(values)
    mean: Array = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean


def _reading(cells: Reading, level: Level, elements: _Elements, reason: str) -> Reading:
    return Reading(
        kind=cells.kind,
        quantity=cells.quantity,
        level=level,
        values=elements.values,
        time=elements.time,
        quality=elements.quality,
        standard_uncertainty=elements.uncertainty,
        provenance=cells.provenance,
        reason=reason,
    )
