r"""From evidence to probability, for every cell and horizon.

.. math::
    P = 1 - \bigl(1 - w\,\langle P_s \rangle - (1 - w)\,P_0\bigr)\,(1 - \lambda t\,P_\mathrm{new})
        \prod_j \bigl(1 - P_j\,P_{i|j}\bigr)

:math:`w` is the probability of an internal short by Bayes' rule, from the unexplained heat, the leak of the group's
current and the priors; :math:`P_s` and :math:`P_0` are the surrogate's probabilities with a short, averaged over what
is not known of it, and without one; :math:`\lambda t\,P_\mathrm{new}` is for shorts that begin within the horizon, and
the product for neighbours that burn. Nothing that a network says stands alone in a quiet cell: it is multiplied by how
likely a short is, so that the noise of the network cannot pass for risk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .heat_evidence import CellEvidence, HeatEvidence
from .risk_priors import SECONDS_PER_YEAR, RiskPriors
from .rollout import INPUTS
from .rollout_campaign import HORIZONS

__all__ = ["CellRisk", "Recalibration", "RiskModel"]

LEAST_SHORT, MOST_SHORT = 0.02, 12.5  # conductances of shorts that the priors count [S]
GRID = 160  # conductances on which the posterior of a short is computed
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the short now
FINALS = (0.125, 0.375, 0.625, 0.875)  # of its final value, between now and the largest
GROWTHS = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 24)])  # [S/s]
NOTICED = 4.0  # unexplained heat, in its standard deviations, from which a cell is looked at by itself
WARM = 338.15  # from which a cell is looked at by itself, or for what surrounds it [K]
UNREACHED = 353.15  # cells that cannot get hotter than this do not run away within hours [K]
IMITATED = 100.0  # range of a heat that is not there [W]
BURNT = 650.0  # temperature of a neighbour that has run away [K]
MOST_ACTIVE = 150  # cells that get all of their nodes; of more the most evident
WORTH_SPREADING = 1e-7  # own risk from which a cell counts as a danger to its neighbours
OUTSIDE_RANGE = 10.0  # that the rate of heat from outside may be larger or smaller


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """Straight lines through log-odds, one a horizon, fitted to calibration runs of the library.

    Attributes
    ----------
    offset, slope : tuple of float
        For each of ``HORIZONS`` [-].
    """

    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    slope: tuple[float, ...] = (1.0, 1.0, 1.0)

    def apply(self, probability: Array) -> Array:
        """Return recalibrated probabilities, of shape (..., 3); 0 stays 0."""
        odds = np.log(np.clip(probability, 1e-9, 1.0 - 1e-9)) - np.log1p(-np.clip(probability, 1e-9, 1.0 - 1e-9))
        changed = 1.0 / (1.0 + np.exp(-(np.array(self.offset) + np.array(self.slope) * odds)))
        # no line may cross another: what happens within half an hour happens within two
        return np.maximum.accumulate(np.where(probability > 0.0, changed, 0.0), axis=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class CellRisk:
    """Risk of every cell; arrays of shape (n_cells, 3), one column a horizon, unless said otherwise.

    Attributes
    ----------
    probability, lower, upper : ndarray
        Of running away within the horizon; the range over ensemble and priors. NaN where nothing is known.
    own : ndarray
        The part that does not come from neighbours.
    short_probability : ndarray of shape (n_cells,)
        That the cell has an internal short, w.
    with_short, without_short : ndarray
        The surrogate's, recalibrated: what a short would mean, and what happens without.
    new : ndarray
        Of a short that begins within the horizon.
    common : ndarray of shape (3,)
        Of what may happen to all cells alike: that within the horizon the coolant is lost, or heat comes from outside,
        and a cell runs away of it.
    from_neighbour : ndarray of int, shape (n_cells,)
        Neighbour that adds most to the risk of the longest horizon; -1 for none.
    """

    probability: Array
    lower: Array
    upper: Array
    own: Array
    short_probability: Array
    with_short: Array
    without_short: Array
    new: Array
    common: Array
    from_neighbour: NDArray[np.int64]


class RiskModel:
    """Evidence, priors and surrogate joined.

    Parameters
    ----------
    surrogate : callable
        Takes inputs (n, 16), returns log-odds (n, n_members, 3).
    recalibration : Recalibration
        Of its probabilities.
    priors : RiskPriors
        What is known before any evidence.
    """

    def __init__(self, surrogate: Callable[[Array], Array], recalibration: Recalibration, priors: RiskPriors) -> None:
        self._surrogate, self._recalibration, self.priors = surrogate, recalibration, priors

    def assess(self, evidence: CellEvidence, source: HeatEvidence, parallel: int, n_modules: int) -> CellRisk:
        """Return the risk of every cell.

        Parameters
        ----------
        evidence : CellEvidence
            What is known of the cells.
        source : HeatEvidence
            What it came from: heat paths and heat capacity.
        parallel, n_modules : int
            Cells in a group; modules.
        """
        n = evidence.temperature.size
        base = self._base(evidence, source, parallel, n // n_modules)
        short = self._short_posterior(evidence)
        active = self._active(evidence)
        without = self._without_short(evidence, base)
        with_short, with_range = np.zeros((n, 3)), np.zeros((2, n, 3))
        if active.size:
            with_short[active], with_range[:, active] = self._with_short(evidence, base, active)
        new = self._new_shorts(base, n_modules)
        coolant = self._coolant(base, n_modules)
        outside = np.array([self.priors.outside(horizon) for horizon in HORIZONS])
        own, parts = {}, {}
        for index, name in enumerate(("nominal", "lower", "upper")):
            rate = (self.priors.short_rate, self.priors.short_rate_low, self.priors.short_rate_high)[index]
            w = short[index][:, np.newaxis]
            hurt = with_short if index == 0 else with_range[index - 1]
            bare = without[index]
            found = w * hurt + (1.0 - w) * bare
            begun = np.minimum(np.array(HORIZONS) * rate / SECONDS_PER_YEAR * new[index], 1.0)
            fire = np.minimum((1.0, 1.0 / OUTSIDE_RANGE, OUTSIDE_RANGE)[index] * outside, 1.0)
            own[name] = _either(_either(found, begun), _either(coolant, fire))
            parts[name] = begun
            own[name][evidence.gone] = 1.0
        probability, upper, lower, culprit = self._spread(evidence, source, base, own)
        unknown = ~np.isfinite(evidence.temperature)
        for values in (probability, lower, upper, *own.values()):
            values[unknown] = np.nan
        lower = np.minimum(lower, probability)
        return CellRisk(
            probability=probability,
            lower=lower,
            upper=np.maximum(upper, probability),
            own=own["nominal"],
            short_probability=short[0],
            with_short=with_short,
            without_short=without[0],
            new=parts["nominal"],
            common=_either(coolant, outside),
            from_neighbour=culprit,
        )

    def _run(self, inputs: Array) -> Array:
        """Return probabilities of shape (3, n, 3): mean of the members, lowest, highest, as the surrogate says."""
        odds = self._surrogate(np.ascontiguousarray(inputs, dtype=np.float32))
        members = 1.0 / (1.0 + np.exp(-np.clip(odds.astype(np.float64), -30.0, 30.0)))
        return np.stack([members.mean(axis=1), members.min(axis=1), members.max(axis=1)])

    def _base(self, evidence: CellEvidence, source: HeatEvidence, parallel: int, module_size: int) -> Array:
        """Return the surrogate's inputs for each cell without a short."""
        capacity, conductance = source.heat_capacity, source.conductance
        n = evidence.temperature.size
        total = np.maximum(source.shell_conductance, 1e-12)
        size = np.square(total) / np.maximum(np.square(conductance).sum(axis=0), 1e-24)
        temperature = np.where(np.isfinite(evidence.temperature), evidence.temperature, evidence.module_temperature)
        columns = {
            "temperature": np.clip(temperature, 253.15, 498.0),
            "shell_temperature": np.clip(evidence.shell_temperature, 253.15, 620.0),
            "module_temperature": np.clip(evidence.module_temperature, 253.15, 480.0),
            "sink_temperature": np.clip(evidence.sink_temperature, 253.15, 600.0),
            "sink_rate": np.clip(evidence.sink_conductance / capacity, 1e-5, 2e-2),
            "shell_rate": np.clip(total / capacity, 1e-4, 5e-2),
            "shell_size": np.clip(size, 1.5, 7.0),
            "module_size": np.full(n, np.clip(module_size, 10.0, 400.0)),
            "other_heating": np.clip((evidence.joule + evidence.outside) / capacity, 0.0, 0.08),
            "short": np.zeros(n),
            "short_growth": np.zeros(n),
            "short_final": np.zeros(n),
            "parallel": np.full(n, np.clip(parallel, 1, 60)),
            "soc": np.clip(evidence.soc, 0.02, 1.0),
            "film": np.clip(evidence.reactions[0], 0.0, 0.15),
            "reacted": np.clip(evidence.reactions[1], 0.0, 0.25),
        }
        return np.stack([columns[name] for name in INPUTS], axis=1)

    def _short_posterior(self, evidence: CellEvidence) -> Array:
        """Return the probability of a short in each cell at nominal, low and high priors; of shape (3, n)."""
        n = evidence.temperature.size
        priors = self.priors
        known = np.isfinite(evidence.unexplained)
        noticed = np.flatnonzero(known & (evidence.unexplained > 2.0 * evidence.unexplained_doubt))
        rates = (priors.short_rate, priors.short_rate_low, priors.short_rate_high)
        before = np.array([priors.present(rate) for rate in rates])
        result = np.repeat(before[:, np.newaxis] * 0.0, n, axis=1)
        if not noticed.size:
            return result
        _, likelihood, leak_none = _likelihood(evidence, noticed)
        shorted = likelihood.mean(axis=0)
        z = evidence.unexplained[noticed] / evidence.unexplained_doubt[noticed]
        sound = np.exp(-0.5 * np.square(z)) / (evidence.unexplained_doubt[noticed] * np.sqrt(2.0 * np.pi)) * leak_none
        imitated = leak_none / (2.0 * IMITATED)
        factors = (1.0, 10.0, 0.1)  # an imitation may be rarer or more common
        for index, factor in enumerate(factors):
            p = before[index]
            q = min(priors.imitation * factor, 0.5)
            evident = p * shorted
            result[index, noticed] = evident / np.maximum(evident + q * imitated + (1.0 - p - q) * sound, 1e-300)
        return result

    def _active(self, evidence: CellEvidence) -> NDArray[np.int64]:
        """Return cells that are looked at by themselves: noticed or warm, or beside what is."""
        with np.errstate(invalid="ignore"):
            z = np.nan_to_num(evidence.unexplained / evidence.unexplained_doubt, nan=0.0)
        hottest = np.fmax(np.fmax(evidence.temperature, evidence.shell_temperature), evidence.sink_temperature)
        look = (z > NOTICED) | (hottest > WARM)
        cells = np.flatnonzero(look & ~evidence.gone)
        if cells.size > MOST_ACTIVE:
            order = np.argsort(-(z[cells] + np.maximum(hottest[cells] - WARM, 0.0)), kind="stable")
            cells = np.sort(cells[order[:MOST_ACTIVE]])
        return cells

    def _without_short(self, evidence: CellEvidence, base: Array) -> Array:
        """Return the probability of running away without a short, of shape (3, n, 3)."""
        n = base.shape[0]
        found = np.zeros((3, n, 3))
        column = {name: base[:, index] for index, name in enumerate(INPUTS)}
        reach = np.maximum.reduce(
            [column[name] for name in ("temperature", "shell_temperature", "module_temperature", "sink_temperature")]
        )
        reach = reach + np.minimum(
            column["other_heating"] / column["sink_rate"], column["other_heating"] * HORIZONS[-1]
        )
        doubt = np.minimum(evidence.temperature_doubt, 10.0)
        hot = np.flatnonzero((reach + 2.0 * np.nan_to_num(doubt, nan=10.0) > UNREACHED) & ~evidence.gone)
        if not hot.size:
            return found
        shifts = (-1.2, 0.0, 1.2) if hot.size <= 4 * MOST_ACTIVE else (0.0,)
        rows = []
        for shift in shifts:
            part = base[hot].copy()
            part[:, 0] = np.clip(part[:, 0] + shift * np.nan_to_num(doubt[hot], nan=5.0), 253.15, 498.0)
            rows.append(part)
        probability = self._run(np.concatenate(rows)).reshape(3, len(shifts), hot.size, 3).mean(axis=1)
        found[:, hot] = self._recalibration.apply(probability)
        return found

    def _with_short(self, evidence: CellEvidence, base: Array, active: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the probability with a short for the active cells, of shape (n, 3), and its range (2, n, 3)."""
        grid, likelihood, _ = _likelihood(evidence, active)
        weight = likelihood.T + 1e-300  # (n, grid); the prior is even in the logarithm
        cumulated = np.cumsum(weight, axis=1)
        cumulated /= cumulated[:, -1:]
        now = np.stack(
            [grid[np.minimum((cumulated < quantile).sum(axis=1), grid.size - 1)] for quantile in QUANTILES], axis=1
        )
        squared = np.square(evidence.voltage[active])
        slope = evidence.growth[active] / squared
        doubt = np.minimum(evidence.growth_doubt[active] / squared, 1.0)
        distance = (GROWTHS[np.newaxis] - slope[:, np.newaxis]) / doubt[:, np.newaxis]
        prior = np.full(GROWTHS.size, self.priors.growing / (GROWTHS.size - 1))
        prior[0] = 1.0 - self.priors.growing
        posterior = prior * np.exp(-0.5 * np.square(distance) + 0.5 * np.square(distance).min(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        growing = posterior[:, 1:].sum(axis=1)
        along = np.cumsum(posterior[:, 1:], axis=1) / np.maximum(growing, 1e-300)[:, np.newaxis]
        speeds = np.stack(
            [GROWTHS[1:][np.minimum((along < q).sum(axis=1), GROWTHS.size - 2)] for q in (0.3, 0.7)], axis=1
        )
        rows, shares = [], []
        short, growth, final = (INPUTS.index(name) for name in ("short", "short_growth", "short_final"))
        for place in range(len(QUANTILES)):
            part = base[active].copy()
            part[:, short] = part[:, final] = now[:, place]
            rows.append(part)
            shares.append((1.0 - growing) / len(QUANTILES))
            for speed in range(speeds.shape[1]):
                for last in FINALS:
                    part = base[active].copy()
                    part[:, short], part[:, growth] = now[:, place], speeds[:, speed]
                    top = np.maximum(MOST_SHORT, now[:, place])
                    part[:, final] = now[:, place] * np.power(top / now[:, place], last)
                    rows.append(part)
                    shares.append(growing / (len(QUANTILES) * speeds.shape[1] * len(FINALS)))
        probability = self._run(np.concatenate(rows)).reshape(3, len(rows), active.size, 3)
        mean = np.einsum("arnh,rn->anh", probability, np.stack(shares))
        mean = self._recalibration.apply(mean)
        return mean[0], mean[1:]

    def _new_shorts(self, base: Array, n_modules: int) -> Array:
        """Return the probability that a short that begins now runs away, of shape (3, n, 3); by module.

        The warmest cell of each module stands for all of it.
        """
        per_module = base.shape[0] // n_modules
        rows = base.reshape(n_modules, per_module, -1)
        warmest = rows[np.arange(n_modules), rows[:, :, 0].argmax(axis=1)]
        sizes = np.geomspace(LEAST_SHORT, MOST_SHORT, 8)
        short, growth, final = (INPUTS.index(name) for name in ("short", "short_growth", "short_final"))
        nodes = []
        for size in sizes:
            for ramp in (30.0, 600.0, 3600.0):
                part = warmest.copy()
                part[:, short], part[:, growth], part[:, final] = 0.0, size / ramp, size
                nodes.append(part)
        probability = self._run(np.concatenate(nodes)).reshape(3, len(nodes), n_modules, 3).mean(axis=1)
        return np.repeat(probability, per_module, axis=1)

    def _coolant(self, base: Array, n_modules: int) -> Array:
        """Return the probability that the coolant is lost and a cell runs away of that alone, of shape (3,)."""
        per_module = base.shape[0] // n_modules
        rows = base.reshape(n_modules, per_module, -1)
        warmest = rows[np.arange(n_modules), rows[:, :, 0].argmax(axis=1)].copy()
        column = {name: index for index, name in enumerate(INPUTS)}
        warmest[:, column["sink_rate"]] = np.clip(0.05 * warmest[:, column["sink_rate"]], 1e-5, 2e-2)
        heating = warmest[:, column["other_heating"]]
        reach = warmest[:, :4].max(axis=1) + np.minimum(
            heating / warmest[:, column["sink_rate"]], heating * HORIZONS[-1]
        )
        hot = np.flatnonzero(reach > UNREACHED)
        if not hot.size:
            return np.zeros(3)
        worst = self._recalibration.apply(self._run(warmest[hot])[0]).max(axis=0)
        lost = np.minimum(self.priors.coolant_rate * np.array(HORIZONS) / SECONDS_PER_YEAR, 1.0)
        return np.asarray(lost * worst)

    def _spread(
        self, evidence: CellEvidence, source: HeatEvidence, base: Array, own: dict[str, Array]
    ) -> tuple[Array, Array, Array, NDArray[np.int64]]:
        """Add what burning neighbours do: probability, upper and lower bound, and the neighbour that matters most."""
        probability, upper, lower = own["nominal"].copy(), own["upper"].copy(), own["lower"].copy()
        culprit = np.full(base.shape[0], -1, dtype=np.int64)
        threat = np.nan_to_num(own["nominal"][:, -1])
        dangerous = np.flatnonzero((threat > WORTH_SPREADING) & ~evidence.gone & (threat > 20.0 * np.median(threat)))
        if not dangerous.size:
            return probability, upper, lower, culprit
        dangerous = dangerous[np.argsort(-threat[dangerous], kind="stable")[:MOST_ACTIVE]]
        places, cells = np.nonzero(np.isin(source.neighbours, dangerous) & (source.conductance > 0.0))
        burning = source.neighbours[places, cells]
        keep = (burning != cells) & ~evidence.gone[cells]
        places, cells, burning = places[keep], cells[keep], burning[keep]
        if not cells.size:
            return probability, upper, lower, culprit
        inputs = base[cells].copy()
        shell = INPUTS.index("shell_temperature")
        share = source.conductance[places, cells] / np.maximum(source.shell_conductance[cells], 1e-12)
        inputs[:, shell] = np.clip(inputs[:, shell] + share * np.maximum(BURNT - base[burning, 0], 0.0), 253.15, 620.0)
        follows = self._recalibration.apply(self._run(inputs))
        survives = np.zeros((3, *probability.shape))  # logarithms
        most = np.zeros(base.shape[0])
        for index, name in enumerate(("nominal", "lower", "upper")):
            caught = np.clip(np.nan_to_num(own[name][burning]) * follows[index], 0.0, 1.0 - 1e-12)
            np.add.at(survives[index], cells, np.log1p(-caught))
        added = own["nominal"][burning, -1] * follows[0][:, -1]
        for cell, by, value in zip(cells, burning, added, strict=True):
            if value > most[cell]:
                most[cell], culprit[cell] = value, by
        culprit[most <= np.nan_to_num(own["nominal"][:, -1])] = -1  # its own risk is larger
        followed = -np.expm1(survives)
        return (
            _either(probability, followed[0]),
            _either(upper, followed[2]),
            _either(lower, followed[1]),
            culprit,
        )


def _either(first: Array, second: Array) -> Array:
    """Return the probability of one of two independent events, exact for small ones."""
    return first + (1.0 - first) * second


def _likelihood(evidence: CellEvidence, cells: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """Return a grid of conductances [S], the likelihood of each (grid, n) and that of the leak without a short (n,)."""
    grid = np.geomspace(LEAST_SHORT, MOST_SHORT, GRID)
    volts = evidence.voltage[cells]
    heat, heat_doubt = evidence.unexplained[cells], evidence.unexplained_doubt[cells]
    known = np.isfinite(heat)
    heat, heat_doubt = np.where(known, heat, 0.0), np.where(known, heat_doubt, 1e3)
    expected = np.square(volts) * grid[:, np.newaxis]
    spread = np.hypot(heat_doubt, 0.15 * expected)
    likelihood = np.exp(-0.5 * np.square((heat - expected) / spread)) / (spread * np.sqrt(2.0 * np.pi))
    leak, leak_doubt = evidence.leak[cells], evidence.leak_doubt[cells]
    seen = np.isfinite(leak) & np.isfinite(leak_doubt)
    leak, leak_doubt = np.where(seen, leak, 0.0), np.where(seen, leak_doubt, 1.0)
    carried = volts * grid[:, np.newaxis]
    leak_spread = np.hypot(leak_doubt, 0.2 * carried)
    matches = np.exp(-0.5 * np.square((leak - carried) / leak_spread)) / leak_spread
    none = _heavy(leak / leak_doubt) / leak_doubt
    matches = np.maximum(matches, 1e-4 / (leak_doubt * (1.0 + np.square(leak / leak_doubt))))
    likelihood = likelihood * np.where(seen, matches, 1.0)
    return grid, likelihood, np.where(seen, none, 1.0)


def _heavy(z: Array) -> Array:
    """Return a density with heavy tails: another cell of the group may leak, or a current sensor be wrong."""
    return np.maximum(np.exp(-0.5 * np.square(np.clip(z, -30.0, 30.0))), 1e-3 / (1.0 + np.square(z)))
