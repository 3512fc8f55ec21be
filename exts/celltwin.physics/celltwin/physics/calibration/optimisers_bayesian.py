"""Bayesian optimisation: a Gaussian process of the cost's logarithm proposes batches, everywhere or in a region."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

from .optimisers import Recorder

if TYPE_CHECKING:
    import torch

__all__ = ["METHODS", "TrustRegion", "search_bayesian", "search_trust_region"]

_LOG = logging.getLogger(__name__)

BATCH = 4  # candidates proposed together
SPREAD = 0.15  # standard deviation of designs around the start, as CMA-ES begins with
MOST_ROWS = 256  # observations nearest the best that a region's process is fitted to; the best of twice as many else
STARTS = 2  # of the search for the batch that promises most
SAMPLES = 32  # of the posterior, to estimate the improvement that a batch promises
NOISE = 1e-6  # variance of log(1 + cost): what the integrator's tolerance leaves


@dataclass(frozen=True)
class TrustRegion:
    """The box around the best position in which candidates are sought.

    Attributes
    ----------
    size : int
        Number of parameters.
    length : float
        Edge of the box in the unit cube, before it is stretched by the process' length scales.
    successes, failures : int
        Batches in a row that did, or did not, better the best.
    """

    size: int
    length: float = 0.8
    successes: int = 0
    failures: int = 0

    LONGEST = 1.6
    SHORTEST = 0.5**7
    WELL = 3  # successes in a row before the box doubles

    @property
    def patience(self) -> int:
        """Failures in a row before the box halves."""
        return math.ceil(max(4.0 / BATCH, self.size / BATCH))

    @property
    def collapsed(self) -> bool:
        """Whether the box is so small that the search begins anew elsewhere."""
        return self.length < self.SHORTEST

    def after(self, bettered: bool) -> TrustRegion:
        """Return the region after one more batch."""
        if bettered:
            if self.successes + 1 < self.WELL:
                return replace(self, successes=self.successes + 1, failures=0)
            return replace(self, length=min(2.0 * self.length, self.LONGEST), successes=0, failures=0)
        if self.failures + 1 < self.patience:
            return replace(self, successes=0, failures=self.failures + 1)
        return replace(self, length=0.5 * self.length, successes=0, failures=0)

    def box(self, centre: Array, scales: Array) -> tuple[Array, Array]:
        """Return the lower and upper corners, shape (n_parameters,): longer where the cost changes less.

        Parameters
        ----------
        centre : ndarray of shape (n_parameters,)
            Best position.
        scales : ndarray of shape (n_parameters,)
            Length scales of the process.
        """
        weights = scales / np.exp(np.mean(np.log(scales)))
        half = 0.5 * self.length * np.clip(weights, 0.1, 10.0)
        return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def search_bayesian(recorder: Recorder, start: Array, seed: int) -> str:
    """Search the whole cube by batches of the greatest expected improvement of the logarithm of the cost.

    The first design is the start, and Sobol points half around it and half throughout the cube.

    References
    ----------
    .. [1] S. Ament et al., Unexpected improvements to expected improvement, NeurIPS (2023).
    .. [2] C. Hvarfner et al., Vanilla Bayesian optimization performs great in high dimensions, ICML (2024).
    """
    with _modest_torch(seed):
        design = np.vstack([start, _around(start, 2 * start.size, seed), _throughout(start.size, 2 * start.size, seed)])
        positions, levels = _evaluate(recorder, _first(design, recorder, mixed=True))
        process: _Process | None = None
        while not recorder.exhausted:
            rows = np.sort(np.argsort(levels, kind="stable")[: 2 * MOST_ROWS])
            process = _Process.fitted(positions[rows], levels[rows], process)
            proposed = process.propose(np.zeros(start.size), np.ones(start.size))
            found, reached = _evaluate(recorder, proposed)
            positions, levels = np.vstack([positions, found]), np.concatenate([levels, reached])
    return "budget spent"


def search_trust_region(recorder: Recorder, start: Array, seed: int) -> str:
    """Search by expected improvement within a box around the best that grows with success and shrinks without.

    A box that has shrunk to nothing is given up, and another begins around a point drawn near the start.

    References
    ----------
    .. [1] D. Eriksson et al., Scalable global optimization via local Bayesian optimization, NeurIPS (2019).
    .. [2] S. Ament et al., Unexpected improvements to expected improvement, NeurIPS (2023).
    """
    with _modest_torch(seed):
        random = np.random.default_rng(seed)
        centre, regions = np.clip(start, 0.0, 1.0), 0
        while not recorder.exhausted:
            _explore_region(recorder, centre, seed + 1000 * regions)
            regions += 1
            centre = np.clip(start + SPREAD * random.standard_normal(start.size), 0.02, 0.98)
    return f"budget spent in {regions} trust region{'s' if regions > 1 else ''}"


def _explore_region(recorder: Recorder, start: Array, seed: int) -> None:
    """Search one trust region, from its first design until it collapses or nothing is left to spend."""
    design = np.vstack([start, _around(start, 2 * start.size, seed)])
    positions, levels = _evaluate(recorder, _first(design, recorder))
    region, process = TrustRegion(start.size), None
    while not recorder.exhausted and not region.collapsed:
        best = int(np.argmin(levels))
        process = _Process.fitted(*_nearest(positions, levels), process)
        found, reached = _evaluate(recorder, process.propose(*region.box(positions[best], process.scales)))
        region = region.after(bool(reached.min() < levels[best] - 1e-3 * abs(levels[best])))
        positions, levels = np.vstack([positions, found]), np.concatenate([levels, reached])


def _first(design: Array, recorder: Recorder, *, mixed: bool = False) -> Array:
    """Return as much of a design as a third of the remaining budget allows; evenly of both halves where mixed."""
    count = min(max((recorder.budget - recorder.evaluations) // 3, BATCH), design.shape[0] - 1)
    if not mixed:
        return design[: 1 + count]
    half = (design.shape[0] - 1) // 2
    count = min(count, half)
    return np.vstack([design[: 1 + count - count // 2], design[1 + half : 1 + half + count // 2]])


def _evaluate(recorder: Recorder, positions: Array) -> tuple[Array, Array]:
    """Return positions and the logarithms of one plus their costs: costs below 1 lie within the noise."""
    costs = np.nan_to_num(recorder.costs(positions), nan=1e30, posinf=1e30)
    return positions, np.log1p(costs)


def _throughout(size: int, count: int, seed: int) -> Array:
    """Return Sobol points in the unit cube, shape (count, size)."""
    from scipy.stats import qmc

    drawn = qmc.Sobol(size, rng=np.random.default_rng(seed)).random_base2(math.ceil(math.log2(max(count, 2))))
    return np.asarray(drawn[:count])


def _around(centre: Array, count: int, seed: int) -> Array:
    """Return points that lie normally around a centre, from Sobol points, shape (count, size)."""
    from scipy.stats import norm

    shares = np.clip(_throughout(centre.size, count, seed + 7), 1e-6, 1.0 - 1e-6)
    return np.asarray(np.clip(centre + SPREAD * norm.ppf(shares), 0.0, 1.0))


def _nearest(positions: Array, levels: Array) -> tuple[Array, Array]:
    """Return the observations nearest the best one, as many as a process is fitted to."""
    if levels.size <= MOST_ROWS:
        return positions, levels
    away = np.max(np.abs(positions - positions[int(np.argmin(levels))]), axis=1)
    rows = np.sort(np.argsort(away, kind="stable")[:MOST_ROWS])
    return positions[rows], levels[rows]


@dataclass(frozen=True, eq=False)
class _Process:
    """A Gaussian process of observations with a length scale for each parameter."""

    model: Any
    positions: torch.Tensor
    best: float
    best_row: int

    @classmethod
    def fitted(cls, positions: Array, levels: Array, before: _Process | None) -> _Process:
        """Return the process of greatest posterior probability, begun from the hyperparameters of the one before."""
        import torch
        from botorch.exceptions import ModelFittingError
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize
        from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
        from gpytorch.mlls import ExactMarginalLogLikelihood

        inputs = torch.as_tensor(positions, dtype=torch.float64)
        targets = -torch.as_tensor(levels, dtype=torch.float64).unsqueeze(-1)
        model = SingleTaskGP(
            inputs,
            targets,
            train_Yvar=torch.full_like(targets, NOISE),
            covar_module=get_covar_module_with_dim_scaled_prior(ard_num_dims=inputs.shape[1], use_rbf_kernel=False),
            outcome_transform=Standardize(m=1),
        )
        if before is not None:
            model.covar_module.load_state_dict(before.model.covar_module.state_dict())
            model.mean_module.load_state_dict(before.model.mean_module.state_dict())
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": {"maxiter": 60 if before is None else 15}},
                max_attempts=1,
            )
        except (ModelFittingError, RuntimeError) as error:
            _LOG.debug("hyperparameters are kept as they were: %s", error)
            model.eval()
        return cls(model, inputs, float(targets.max()), int(targets.argmax()))

    @property
    def scales(self) -> Array:
        """Length scales, shape (n_parameters,)."""
        return np.asarray(self.model.covar_module.lengthscale.detach().numpy()).reshape(-1)

    def propose(self, low: Array, high: Array) -> Array:
        """Return the batch within a box that promises the greatest improvement, shape (BATCH, n_parameters)."""
        import torch
        from botorch.acquisition import qLogExpectedImprovement
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler

        bounds = torch.as_tensor(np.stack([low, high]), dtype=torch.float64)
        sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=0)
        promise = qLogExpectedImprovement(self.model, best_f=self.best, sampler=sampler)
        begins = self._begins(bounds)
        try:
            with torch.no_grad():
                chosen = begins[promise(begins).argsort(descending=True)[:STARTS]]
            found, _ = optimize_acqf(
                promise,
                bounds=bounds,
                q=BATCH,
                num_restarts=STARTS,
                batch_initial_conditions=chosen,
                options={"maxiter": 30, "batch_limit": STARTS},
            )
        except RuntimeError as error:
            _LOG.debug("a batch is drawn at random: %s", error)
            found = begins[0]
        return np.clip(np.asarray(found.detach().numpy()), low, high)

    def _begins(self, bounds: torch.Tensor) -> torch.Tensor:
        """Return batches to begin with, shape (64, BATCH, n): half throughout the box, half near the best."""
        import torch

        low, high = bounds
        best = self.positions[self.best_row]
        shape = (32, BATCH, low.numel())
        wide = low + (high - low) * torch.rand(shape, dtype=torch.float64)
        near = best + 0.1 * (high - low) * torch.randn(shape, dtype=torch.float64)
        return torch.cat([wide, torch.minimum(torch.maximum(near, low), high)])


@contextlib.contextmanager
def _modest_torch(seed: int) -> Iterator[None]:
    """Seed torch, keep it to one thread and quiet, and leave its state as it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, on scaling, jitter and iterations, which are meant here
        import torch

        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.set_num_threads(1)
            try:
                yield
            finally:
                torch.set_num_threads(threads)


METHODS: dict[str, Callable[[Recorder, Array, int], str]] = {
    "bayesian": search_bayesian,
    "trust_region": search_trust_region,
}
