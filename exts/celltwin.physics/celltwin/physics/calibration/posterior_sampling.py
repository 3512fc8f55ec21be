"""Samples of a posterior that is cheap to evaluate, within the bounds of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from celltwin.core import Array

__all__ = ["Chain", "sample_density"]

BURN = 0.4  # share of the steps that is left out at the beginning


@dataclass(frozen=True, eq=False)
class Chain:
    """What an ensemble of walkers found.

    Attributes
    ----------
    samples : ndarray of shape (n, d)
        After the beginning was left out.
    effective : float
        Independent samples that they are worth, for the slowest parameter.
    acceptance : float
        Share of the proposals that were taken.
    """

    samples: Array
    effective: float
    acceptance: float


def sample_density(
    log_density: Callable[[Array], Array], starts: Array, *, steps: int, seed: int, keep: int = 4000
) -> Chain:
    """Sample by differential evolution of an ensemble of walkers.

    Parameters
    ----------
    log_density : callable
        From positions (n, d) to (n,); minus infinity where nothing may lie.
    starts : ndarray of shape (n_walkers, d)
        One for each walker, all of finite density.
    steps : int
        Moves of every walker.
    seed : int
        Of the random numbers.
    keep : int
        At most about so many samples are kept, evenly spaced.

    References
    ----------
    .. [1] D. Foreman-Mackey et al., PASP 125 (2013) 306 (emcee).
    .. [2] C. J. F. ter Braak and J. A. Vrugt, Stat. Comput. 18 (2008) 435 (snooker updates).
    """
    import emcee

    walkers, size = starts.shape
    moves = [(emcee.moves.DEMove(), 0.75), (emcee.moves.DESnookerMove(), 0.15), (emcee.moves.StretchMove(), 0.10)]
    sampler = emcee.EnsembleSampler(walkers, size, log_density, moves=moves, vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(starts, steps, skip_initial_state_check=True)
    chain = np.asarray(sampler.get_chain(discard=int(BURN * steps)))
    times = emcee.autocorr.integrated_time(chain, tol=0, quiet=True)
    slowest = float(np.nanmax(times)) if np.any(np.isfinite(times)) else float(len(chain))
    thin = max(chain.shape[0] * walkers // keep, 1)
    return Chain(
        samples=chain[::thin].reshape(-1, size),
        effective=float(chain.shape[0] * walkers / max(slowest, 1.0)),
        acceptance=float(np.mean(sampler.acceptance_fraction)),
    )
