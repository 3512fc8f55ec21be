"""Markov chains through an emulator: the posterior of a weighed likelihood and the priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from celltwin.core import Array, ModelError

from .posterior_discrepancy import Discrepancy, ParameterPrior, RowWeights
from .posterior_emulator import Emulator, train_emulator
from .posterior_refit import Departures, Linearisation, RefitTask, linearise, refit_many
from .posterior_sampling import Chain, sample_density

__all__ = ["ChainOptions", "EmulatedChains", "run_chains"]

FAR = 20.0  # rise of the cost per parameter beyond which a simulation trains no emulator
SETTLED = 0.01  # move in the unit cube below which a Jacobian is not taken anew
TRUSTED = 1.0  # error of half the sum of squares up to which an emulator is believed


@dataclass(frozen=True, kw_only=True)
class ChainOptions:
    """How long chains are, and what they rest on.

    Attributes
    ----------
    simulations : int
        Candidates that the emulator is trained on, each on all fitted curves.
    steps : int
        Moves of every walker.
    rounds : int
        How often the most probable parameters and the Jacobian there are found in turn.
    """

    simulations: int
    steps: int
    rounds: int


@dataclass(frozen=True, eq=False)
class EmulatedChains:
    """What chains found.

    Attributes
    ----------
    positions : ndarray of shape (n, d)
        Samples in the unit cube.
    linear : Linearisation
        About the most probable position.
    covariance : ndarray of shape (d, d)
        Of the normal distribution there.
    emulator : Emulator
        Of weighted departures over whitened positions.
    effective : float
        Independent samples that they are worth.
    """

    positions: Array
    linear: Linearisation
    covariance: Array
    emulator: Emulator
    effective: float


def run_chains(
    departures: Departures,
    discrepancy: Mapping[str, Discrepancy],
    prior: ParameterPrior,
    linear: Linearisation,
    options: ChainOptions,
    random: np.random.Generator,
) -> tuple[EmulatedChains | None, list[str]]:
    """Sample the posterior about its most probable position.

    Parameters
    ----------
    departures : Departures
        Evaluates candidates.
    discrepancy : mapping of str to Discrepancy
        By quantity.
    prior : ParameterPrior
        Of the parameters.
    linear : Linearisation
        Where the search for the most probable position begins.
    options : ChainOptions
        How long.
    random : numpy.random.Generator
        Of all draws.

    Returns
    -------
    chains : EmulatedChains or None
        None where the emulator is not to be believed, or the caller stopped.
    warnings : list of str
        What limits them.
    """
    weights = RowWeights(departures.blocks, discrepancy)
    departures.stage = "posterior: most probable parameters"
    nothing_held = np.zeros(linear.position.size, dtype=bool)
    for _ in range(options.rounds):
        task = RefitTask(linear.position, nothing_held)
        found = refit_many(departures, weights, prior, linear.jacobian, [task])[0]
        linear = linearise(departures, found.position)
        if departures.stopped or np.max(np.abs(found.position - task.start)) < SETTLED:
            break
    slopes = weights.apply(linear.jacobian)
    covariance = np.linalg.inv(prior.proper_precision + slopes.T @ slopes)
    factor = np.linalg.cholesky(covariance)
    warnings: list[str] = []
    density = _Density(linear.position, factor, prior, None, weights.apply(linear.departures), slopes @ factor)
    if departures.stopped:
        return None, warnings
    emulator, trained = _train(departures, options, weights, density, _run(density, random, options), warnings, random)
    if emulator is None:
        return None, warnings
    if emulator.cost_error > TRUSTED:
        warnings.append(f"the emulator misses half the sum of squares by {emulator.cost_error:.1f}: no chains are run")
        return None, warnings
    chain = _run(trained, random, options)
    if chain.effective < 200:
        warnings.append(f"the chains are worth {chain.effective:.0f} independent samples: intervals are uncertain")
    positions = linear.position + chain.samples @ factor.T
    return EmulatedChains(positions, linear, covariance, emulator, chain.effective), warnings


@dataclass(frozen=True, eq=False)
class _Density:
    """Logarithm of the posterior over whitened positions: linear, or through an emulator."""

    origin: Array
    factor: Array
    prior: ParameterPrior
    emulator: Emulator | None
    constant: Array
    slopes: Array

    def __call__(self, whitened: Array) -> Array:
        positions = self.origin + whitened @ self.factor.T
        inside = np.all((positions >= 0.0) & (positions <= 1.0), axis=1)
        result = np.full(len(whitened), -np.inf)
        if not inside.any():
            return result
        away = positions[inside] - self.prior.mean
        result[inside] = -0.5 * np.sum((away @ self.prior.precision) * away, axis=1)
        if self.emulator is not None:
            result[inside] -= 0.5 * np.sum(self.emulator.predict(whitened[inside]) ** 2, axis=1)
            return result
        at = whitened[inside]
        information = self.slopes.T @ self.slopes
        result[inside] -= at @ (self.slopes.T @ self.constant) + 0.5 * np.sum((at @ information) * at, axis=1)
        return result


def _run(density: _Density, random: np.random.Generator, options: ChainOptions) -> Chain:
    size = density.origin.size
    starts = _inside(density, random, max(2 * size + 2, 32), 0.5)
    return sample_density(density, starts, steps=options.steps, seed=int(random.integers(2**31)))


def _inside(density: _Density, random: np.random.Generator, count: int, scale: float) -> Array:
    """Return normal samples of whitened positions, moved into the bounds."""
    whitened = scale * random.standard_normal((count, density.origin.size))
    positions = np.clip(density.origin + whitened @ density.factor.T, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.linalg.solve(density.factor, (positions - density.origin).T).T)


def _train(
    departures: Departures,
    options: ChainOptions,
    weights: RowWeights,
    density: _Density,
    chain: Chain,
    warnings: list[str],
    random: np.random.Generator,
) -> tuple[Emulator | None, _Density]:
    """Train on samples of the linear model's posterior, somewhat widened; then on samples of the first emulator's."""
    rows, size = density.slopes.shape
    limit = 0.5 * float(density.constant @ density.constant) + FAR * (size + 10)
    kept_samples, kept = np.empty((0, size)), np.empty((0, rows))
    lost = 0
    for turn, share in enumerate((0.6, 0.4)):
        departures.stage = f"posterior: training the emulator, turn {turn + 1}"
        count = max(int(share * options.simulations), 8)
        picks = chain.samples[random.choice(len(chain.samples), count, replace=len(chain.samples) < count)]
        widened = density.origin + ((1.25, 1.0)[turn] * picks) @ density.factor.T
        wanted = np.linalg.solve(density.factor, (np.clip(widened, 0.0, 1.0) - density.origin).T).T
        found = departures.evaluate_until_stopped(density.origin + wanted @ density.factor.T)
        white = weights.apply(found.T).T
        usable = 0.5 * np.sum(white**2, axis=1) < limit
        lost += int(np.count_nonzero(~usable))
        kept_samples = np.vstack([kept_samples, wanted[: len(found)][usable]])
        kept = np.vstack([kept, white[usable]])
        if departures.stopped:
            return None, density
        try:
            emulator = train_emulator(kept_samples, kept, density.constant, density.slopes)
        except ModelError as error:
            warnings.append(str(error))
            return None, density
        trained = replace(density, emulator=emulator)
        if turn == 0:
            chain = _run(trained, random, replace(options, steps=max(options.steps // 2, 100)))
    if lost > 0.1 * (lost + len(kept)):
        warnings.append(f"{lost} of {lost + len(kept)} simulations around the optimum failed or lay far off")
    return emulator, trained
