"""CMA-ES: a population whose covariance learns the valley, alone or as a short restart before least squares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from celltwin.core import Array

from .optimisers import Recorder
from .optimisers_least_squares import search_least_squares

__all__ = ["METHODS", "search_cma", "search_hybrid"]


def search_cma(recorder: Recorder, start: Array, seed: int) -> str:
    """Search by CMA-ES within the unit cube from the start.

    References
    ----------
    .. [1] N. Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772 (2016).
    """
    return _evolve(recorder, start, seed, deviation=0.15, share=1.0)


def search_hybrid(recorder: Recorder, start: Array, seed: int) -> str:
    """Search by least squares, then by short runs of CMA-ES around the best, each followed by least squares."""
    reason = search_least_squares(recorder, start, seed)
    for turn in range(4):
        if recorder.exhausted:
            break
        assert recorder.best is not None
        before = recorder.best_cost
        _evolve(recorder, recorder.best.copy(), seed + turn, deviation=0.05 * (turn + 1), share=0.15)
        if not recorder.exhausted:
            reason = search_least_squares(recorder, recorder.best.copy(), seed)
        if recorder.best_cost > 0.98 * before:
            return f"{reason}; restarts no longer help"
    return reason


def _evolve(recorder: Recorder, start: Array, seed: int, *, deviation: float, share: float) -> str:
    import cma

    options = {"bounds": [0.0, 1.0], "seed": seed + 1, "verbose": -9, "maxiter": 100_000}
    search = cma.CMAEvolutionStrategy(np.clip(start, 1e-6, 1.0 - 1e-6), deviation, options)
    last = recorder.evaluations + share * recorder.budget
    while not search.stop() and not recorder.exhausted and recorder.evaluations < last:
        population = np.array(search.ask())
        search.tell(list(population), list(recorder.costs(population)))
    stops = search.stop()
    return "budget spent" if recorder.exhausted else f"CMA-ES: {', '.join(stops) or 'share of the budget spent'}"


METHODS: dict[str, Callable[[Recorder, Array, int], str]] = {"cma": search_cma, "hybrid": search_hybrid}
