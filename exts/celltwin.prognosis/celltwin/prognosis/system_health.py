"""Health of groups, modules and pack by capacity, energy and resistance, each with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, CelltwinError, Level, PackSpec, freeze

__all__ = ["CellEstimates", "LevelHealth", "SystemHealth", "SystemHealthError", "assess_system_health"]

LEVELS = (Level.GROUP, Level.MODULE, Level.PACK)
LEAST_KNOWN = 2  # cells: a population has no spread with fewer
CHUNK = 64  # draws at a time, so that a pack of a million cells needs no gigabytes


class SystemHealthError(CelltwinError):
    """Health of a pack cannot be assessed from what was given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEstimates:
    """One uncertain quantity of all cells.

    Attributes
    ----------
    values : ndarray of shape (n_cells,)
        Best values as a share of the fresh, nominal cell [-]; NaN where unknown.
    standard_uncertainty : ndarray of shape (n_cells,)
        Standard uncertainty of each [-].
    common_share : float
        Share of the error variance that all cells have in common, 0 to 1: one network errs alike on cells that
        are alike. It shifts the whole pack; only the rest makes single cells look weaker than they are.
    shared_by : int
        How many cells in a row one value and its error stand for: those of a group where the group was measured.
    predicted : bool
        Whether the values are those of a regression, about which the truth scatters: as they are, they are what to
        expect of each cell. Otherwise they scatter about the truth, as a measurement does, and the lowest is too low.
    """

    values: Array
    standard_uncertainty: Array
    common_share: float = 0.5
    shared_by: int = 1
    predicted: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelHealth:
    """Health of all elements of one level by one definition.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Mean of the draws, as a share of fresh [-]: of capacity or energy left, or of resistance grown.
    standard_uncertainty : ndarray of shape (n,)
        Standard deviation of the draws.
    lowest, highest : ndarray of shape (n,)
        Bounds of the 90 % interval.
    plain : ndarray of shape (n,)
        What the best values of the cells give when their uncertainty is not looked at; for capacity and energy
        of many cells in series it is low.
    spread : ndarray of shape (n,)
        Standard deviation between the elements that this one is made of, mean of the draws.
    weakest : ndarray of int, shape (n,)
        Element of the level below (its index in the pack) that is the weakest most often.
    weakest_probability : ndarray of shape (n,)
        How often it is.
    known : ndarray of shape (n,)
        Share of the cells below that have a value of their own; the others are drawn from the population.
    """

    values: Array
    standard_uncertainty: Array
    lowest: Array
    highest: Array
    plain: Array
    spread: Array
    weakest: NDArray[np.intp]
    weakest_probability: Array
    known: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class SystemHealth:
    """Health of every level by three definitions.

    Attributes
    ----------
    capacity : dict of Level to LevelHealth
        Charge that can be drawn without balancing, share of nominal.
    energy, resistance : dict of Level to LevelHealth
        Energy at the stated rate, share of nominal; resistance as a multiple of fresh. Empty where the
        resistances of the cells are not known.
    population_spread : float
        Standard deviation of true cell capacities that the values and their uncertainties imply [-].
    """

    capacity: dict[Level, LevelHealth]
    energy: dict[Level, LevelHealth]
    resistance: dict[Level, LevelHealth]
    population_spread: float


def assess_system_health(
    spec: PackSpec,
    capacity: CellEstimates,
    resistance: CellEstimates | None = None,
    *,
    rate: float = 0.5,
    draws: int = 512,
    seed: int = 1,
) -> SystemHealth:
    r"""Return the health of groups, modules and pack from uncertain cells.

    With :math:`q_c`, :math:`r_c` capacity and resistance of a cell as shares of fresh, p cells in parallel:

    .. math::
        Q_{group} = \tfrac1p \sum_c q_c, \quad Q_{string} = \min_{group} Q_{group}, \quad
        Q_{pack} = \overline{Q_{string}}

        R_{group} = \Bigl[\sum_c (r_c R_0 + R_{weld})^{-1}\Bigr]^{-1}, \quad
        R_{string} = \sum_{group} (R_{group} + R_{link}) + R_{cable}, \quad
        R_{pack} = \Bigl[\sum_{string} R_{string}^{-1}\Bigr]^{-1}

        E_{string} = Q_{string} \sum_{group} (U - I\,(R_{group} + R_{link}))

    Capacity and energy are without balancing: the weakest group ends a discharge, and the others then keep
    charge. U is the nominal voltage, taken as mean open-circuit voltage; that stronger groups end a little higher
    is left out, so that energy is on the low side by less than the spread of the capacities. A module counts as
    if it stood alone.

    The lowest of many uncertain values is low by chance: with 100 groups in series and errors as large as the
    true spread it is far below the true lowest. So each cell's value is first drawn towards the mean of the
    cells, as far as its own error is large against the true spread (normal population, whose spread is itself
    drawn from what the values and their errors leave open), and the network is solved for many such draws. A
    cell without a value is drawn from the population. Predictions are not drawn towards the mean: what is known of a
    cell is in them, and the truth scatters about them.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    capacity : CellEstimates
        Capacity of each cell as a share of nominal (SOH).
    resistance : CellEstimates, optional
        Resistance of each cell as a multiple of the fresh cell's.
    rate : float
        Discharge rate of the energy [1/h].
    draws, seed : int
        Number of draws, and what they follow from.

    Raises
    ------
    SystemHealthError
        If arrays are not of the pack's size, fewer than two cells have a value, an uncertainty is missing or
        negative, or a share is not between 0 and 1.

    References
    ----------
    .. [1] B. Efron, C. Morris, "Stein's estimation rule and its competitors", Journal of the American Statistical
       Association 68 (1973).
    .. [2] G. L. Plett, *Battery Management Systems*, vol. II, Artech House, 2016, ch. 4.
    """
    names = ("capacity", "resistance")
    beliefs = [
        _believe(name, estimates, spec.n_cells)
        for name, estimates in zip(names, (capacity, resistance), strict=True)
        if estimates is not None
    ]
    random = np.random.default_rng(seed)
    solved: list[dict[str, dict[Level, Array]]] = []
    for begin in range(0, draws, CHUNK):
        count = min(CHUNK, draws - begin)
        drawn = [belief.draw(random, count) for belief in beliefs]
        solved.append(_solve(spec, drawn[0], drawn[1] if len(drawn) > 1 else None, rate))
    best = [belief.best[np.newaxis] for belief in beliefs]
    plain = _solve(spec, best[0], best[1] if len(best) > 1 else None, rate)
    result: dict[str, dict[Level, LevelHealth]] = {"energy": {}, "resistance": {}}
    for definition in solved[0]:
        values = {
            level: np.concatenate([chunk[definition][level] for chunk in solved]) for level in (Level.CELL, *LEVELS)
        }
        known = beliefs[0].known if definition == "capacity" else np.logical_and.reduce([b.known for b in beliefs])
        result[definition] = {
            level: _summarise(level, values, plain[definition][level][0], known, definition == "resistance")
            for level in LEVELS
        }
    return SystemHealth(population_spread=beliefs[0].spread, **result)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Belief:
    """What is known of one quantity of all cells: values, own and common errors, variance of the values."""

    best: Array
    own_variance: Array
    common: float
    variance: float
    known: NDArray[np.bool_]
    shared_by: int
    predicted: bool

    @property
    def spread(self) -> float:
        """Standard deviation of the true values: what errors do not explain of the variance, or add to predictions."""
        error = self.own_variance[self.known].mean()
        return float(np.sqrt(max(self.variance + (error if self.predicted else -error), 0.0)))

    def draw(self, random: np.random.Generator, count: int) -> Array:
        """Return true values that are possible, shape (count, n_cells): spread of the population first, then cells."""
        number = max(int(self.known.sum()) // self.shared_by, LEAST_KNOWN)
        own = self.own_variance
        variance = self.variance * (number - 1) / random.chisquare(number - 1, (count, 1))
        error = own[self.known].mean()
        population = variance + error if self.predicted else np.maximum(variance - error, 0.0)
        middle = self.best[self.known].mean() + np.sqrt(variance / number) * random.standard_normal((count, 1))
        whole = self.predicted | (own <= 0.0)
        trust = np.where(whole, 1.0, population / np.maximum(population + own, 1e-30)) * self.known
        left = np.where(self.known, trust * own, population)
        apart = _mirrored(random, count, own.size // self.shared_by)
        if self.shared_by > 1:
            apart = np.repeat(apart, self.shared_by, axis=1)
        values = middle + trust * (self.best - middle) + np.sqrt(left) * apart
        values += self.common * _mirrored(random, count, 1)
        possible: Array = np.maximum(values, 1e-3)  # neither capacity nor resistance is negative
        return possible


def _mirrored(random: np.random.Generator, count: int, size: int) -> Array:
    """Return standard normal numbers (count, size), every draw with its mirror image: means need fewer draws."""
    half = random.standard_normal(((count + 1) // 2, size))
    return np.concatenate([half, -half])[:count]


def _believe(name: str, cells: CellEstimates, size: int) -> _Belief:
    known = np.isfinite(cells.values)
    error = cells.standard_uncertainty
    if cells.values.shape != (size,) or error.shape != (size,):
        raise SystemHealthError(
            f"{name} of {cells.values.size} cells with {error.size} uncertainties",
            remedy=f"The pack has {size} cells",
        )
    if known.sum() < LEAST_KNOWN:
        raise SystemHealthError(
            f"{name} is known of {int(known.sum())} cells", remedy="Wait until at least two cells have a value"
        )
    if not (np.isfinite(error[known]).all() and (error[known] >= 0.0).all() and 0.0 <= cells.common_share <= 1.0):
        raise SystemHealthError(
            f"{name} has an uncertainty that is missing or negative, or a common share outside 0 to 1",
            remedy="Give every known value its standard uncertainty",
        )
    values = cells.values[known]
    return _Belief(
        best=np.where(known, cells.values, values.mean()),
        own_variance=(1.0 - cells.common_share) * np.where(known, error, 0.0) ** 2,
        common=float(np.sqrt(cells.common_share * np.mean(error[known] ** 2))),
        variance=float(values.var(ddof=1)),
        known=known,
        shared_by=cells.shared_by,
        predicted=cells.predicted,
    )


def _solve(spec: PackSpec, capacity: Array, resistance: Array | None, rate: float) -> dict[str, dict[Level, Array]]:
    """Return every definition at every level for draws of shape (n_draws, n_cells)."""
    count = len(capacity)
    by_group = (count, spec.n_groups, spec.parallel)
    group = capacity.reshape(by_group).mean(axis=2)
    module = group.reshape(count, spec.n_modules, -1).min(axis=2)
    string = group.reshape(count, spec.strings, -1).min(axis=2)
    pack = string.mean(axis=1, keepdims=True)
    solved = {"capacity": {Level.CELL: capacity, Level.GROUP: group, Level.MODULE: module, Level.PACK: pack}}
    if resistance is None:
        return solved
    grown = _resistances(spec, resistance)
    fresh = _resistances(spec, np.ones((1, spec.n_cells)))
    solved["resistance"] = {level: grown[level] / fresh[level] for level in grown}
    current = rate * spec.group_capacity  # [A] of one string
    voltage = spec.cell.nominal_voltage - current * grown[Level.GROUP]  # [V], of each group
    start = spec.cell.nominal_voltage - current * fresh[Level.GROUP]
    cell_voltage = spec.cell.nominal_voltage - rate * spec.cell.capacity * grown[Level.CELL]
    cell_start = spec.cell.nominal_voltage - rate * spec.cell.capacity * fresh[Level.CELL]
    in_string = string * (
        voltage.reshape(count, spec.strings, -1).sum(axis=2) / start.reshape(1, spec.strings, -1).sum(axis=2)
    )
    in_module = voltage.reshape(count, spec.n_modules, -1).sum(axis=2) / start.reshape(1, spec.n_modules, -1).sum(
        axis=2
    )
    solved["energy"] = {
        Level.CELL: capacity * cell_voltage / cell_start,
        Level.GROUP: group * voltage / start,
        Level.MODULE: module * in_module,
        Level.PACK: in_string.mean(axis=1, keepdims=True),
    }
    return solved


def _resistances(spec: PackSpec, factor: Array) -> dict[Level, Array]:
    """Return resistances [ohm] of every level; groups and what is made of them with their connections."""
    count = len(factor)
    cell = factor * spec.cell.resistance
    conductance = 1.0 / (cell + spec.busbar.weld_resistance)
    group = 1.0 / conductance.reshape(count, spec.n_groups, spec.parallel).sum(axis=2) + spec.busbar.link_resistance
    module = group.reshape(count, spec.n_modules, -1).sum(axis=2)
    string = group.reshape(count, spec.strings, -1).sum(axis=2) + spec.busbar.string_resistance
    pack = 1.0 / (1.0 / string).sum(axis=1, keepdims=True)
    return {Level.CELL: cell, Level.GROUP: group, Level.MODULE: module, Level.PACK: pack}


def _summarise(
    level: Level, values: dict[Level, Array], plain: Array, known: NDArray[np.bool_], grown: bool
) -> LevelHealth:
    own = values[level]
    below = values[LEVELS[LEVELS.index(level) - 1] if level is not Level.GROUP else Level.CELL]
    parts = below.reshape(len(below), own.shape[1], -1)
    size = parts.shape[2]
    worst = np.argmax(parts, axis=2) if grown else np.argmin(parts, axis=2)
    often = np.stack([np.bincount(column, minlength=size) for column in worst.T]) / len(parts)
    lowest, highest = np.quantile(own, (0.05, 0.95), axis=0)
    weakest = often.argmax(axis=1)
    return LevelHealth(
        values=freeze(own.mean(axis=0)),
        standard_uncertainty=freeze(own.std(axis=0)),
        lowest=freeze(lowest),
        highest=freeze(highest),
        plain=freeze(plain),
        spread=freeze(parts.std(axis=2).mean(axis=0)),
        weakest=np.arange(own.shape[1]) * size + weakest,
        weakest_probability=freeze(often.max(axis=1)),
        known=freeze(known.reshape(own.shape[1], -1).mean(axis=1)),
    )
