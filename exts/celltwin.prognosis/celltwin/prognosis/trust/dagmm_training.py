"""Training of the deep autoencoding Gaussian mixture: reproducible by its seed, and from its newest checkpoint on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, CelltwinError

from ..sequence.checkpoints import load_training, save_training
from ..training_device import training_device
from .dagmm_network import build_dagmm, whiten

if TYPE_CHECKING:
    import torch

__all__ = ["DagmmSettings", "dagmm_energy", "train_dagmm", "untrained_dagmm"]

CHECKPOINT_EVERY = 10  # epochs
FEWEST_ROWS = 100  # fewer give no covariances worth the name


@dataclass(frozen=True, kw_only=True)
class DagmmSettings:
    """Size and training of the network.

    Attributes
    ----------
    code, width, components : int
        Numbers in the code, neurons of a hidden layer, normal distributions of the mixture.
    dropout : float
        In the estimation network.
    epochs, warm_up : int
        Passes over the training rows; in the first ``warm_up`` of them only the autoencoder learns.
    batch : int
        Rows in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    age_weight, health_weight : float
        Spread of age and of health beside measured inputs of about unit spread.
    input_noise : float
        Largest standard deviation of the noise that the autoencoder learns to remove, in spreads of the measured inputs
        and of the health; what is known of a cell has none. Each row has a strength of its own, from 0 up.
    energy_weight : float
        Weight of the mean energy beside the error of the rebuilt input; it grows from 0 in as many epochs again as
        the warm-up takes.
    covariance_weight : float
        Weight of the sum of inverse variances, which keeps components from shrinking to points.
    balance_weight : float
        Weight of how far the mean membership is from even, in nats, which keeps components from dying.
    covariance_floor : float
        Added to the variances of the normalised z.
    """

    code: int = 8
    width: int = 32
    components: int = 4
    dropout: float = 0.3
    epochs: int = 30
    warm_up: int = 10
    batch: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    age_weight: float = 3.0
    health_weight: float = 4.0
    input_noise: float = 4.0
    energy_weight: float = 0.02
    covariance_weight: float = 1e-4
    balance_weight: float = 0.1
    covariance_floor: float = 1e-3

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


def train_dagmm(
    inputs: Array,
    settings: DagmmSettings,
    *,
    n_measured: int,
    seed: tuple[int, ...],
    checkpoints: Path | None = None,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> torch.nn.Module:
    """Train a network, from its newest checkpoint where there is one.

    The random numbers of an epoch follow from the seed and the number of the epoch alone, so that a run that was
    interrupted ends as if it had not been.

    Parameters
    ----------
    inputs : ndarray of shape (n, n_inputs)
        Inputs with true health, all finite; see :func:`build_dagmm`.
    settings : DagmmSettings
        Size and training.
    n_measured : int
        How many of the inputs are measured.
    seed : tuple of int
        Seed of everything random here.
    checkpoints : Path, optional
        Folder for checkpoints; none are kept where absent.
    on_epoch : callable, optional
        Called with the number of each finished epoch, its mean error of the rebuilt inputs and its mean energy.

    Raises
    ------
    CelltwinError
        If an input is not finite, or there are too few rows.
    """
    import torch

    device = training_device()
    x = _checked(inputs)
    network = _build(x, settings, n_measured, seed).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = math.ceil(len(x) / settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.1
    )
    noise = torch.full((x.shape[1],), settings.input_noise)
    noise[n_measured:-1] = 0.0
    noise[-1] = settings.input_noise * settings.health_weight
    finished = load_training(checkpoints, [network], optimiser, schedule)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    try:
        for epoch in range(finished + 1, settings.epochs + 1):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_seed((*seed, epoch)))
                lost, energy = _train_epoch(
                    network, optimiser, schedule, x.to(device), noise.to(device), settings, epoch
                )
            if checkpoints and (epoch % CHECKPOINT_EVERY == 0 or epoch == settings.epochs):
                save_training(checkpoints, [network], optimiser, schedule, epoch)
            if on_epoch:
                on_epoch(epoch, lost, energy)
        return _hold(network.cpu(), x)
    finally:
        torch.set_num_threads(threads)


def untrained_dagmm(
    inputs: Array, settings: DagmmSettings, *, n_measured: int, seed: tuple[int, ...]
) -> torch.nn.Module:
    """Return the network that training would begin with, its mixture taken of the same inputs: a fair comparison.

    Parameters
    ----------
    inputs : ndarray of shape (n, n_inputs)
        Inputs with true health, all finite.
    settings : DagmmSettings
        Its size.
    n_measured : int
        How many of the inputs are measured.
    seed : tuple of int
        Seed of its weights.

    Raises
    ------
    CelltwinError
        If an input is not finite, or there are too few rows.
    """
    x = _checked(inputs)
    return _hold(_build(x, settings, n_measured, seed), x)


def dagmm_energy(network: torch.nn.Module, inputs: Array) -> Array:
    """Return the energies (n,) of inputs (n, n_inputs)."""
    import torch

    with torch.no_grad():
        energy: Array = network(torch.as_tensor(inputs, dtype=torch.float32)).numpy()
    return energy


def _seed(parts: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _checked(inputs: Array) -> torch.Tensor:
    import torch

    if not np.isfinite(inputs).all():
        raise CelltwinError(
            f"{int((~np.isfinite(inputs)).sum())} inputs are not finite",
            where="training of the mixture",
            remedy="Scale them with InputScaling.apply, which puts a stand-in where a value is missing",
        )
    if len(inputs) < FEWEST_ROWS:
        raise CelltwinError(
            f"{len(inputs)} rows are too few for a mixture",
            where="training of the mixture",
            remedy=f"Give at least {FEWEST_ROWS} rows",
        )
    return torch.as_tensor(inputs, dtype=torch.float32)


def _build(x: torch.Tensor, settings: DagmmSettings, n_measured: int, seed: tuple[int, ...]) -> Any:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed))
        network: Any = build_dagmm(
            x.shape[1],
            n_measured=n_measured,
            code=settings.code,
            width=settings.width,
            components=settings.components,
            dropout=settings.dropout,
            covariance_floor=settings.covariance_floor,
        )
    network.weigh(x, (settings.age_weight, settings.health_weight))
    return network


def _train_epoch(
    network: Any,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    x: torch.Tensor,
    noise: torch.Tensor,
    settings: DagmmSettings,
    epoch: int,
) -> tuple[float, float]:
    import torch

    network.train()
    ramp = min(max((epoch - settings.warm_up) / max(settings.warm_up, 1), 0.0), 1.0)
    scaled = network.scale(x)
    order = torch.randperm(len(x))
    total_lost = total_energy = 0.0
    for start in range(0, len(order) - 1, settings.batch):  # one row left over has no spread to normalise by
        chosen = order[start : start + settings.batch]
        batch = scaled[chosen.to(x.device)]
        added = torch.rand(len(batch), 1) * torch.randn(batch.shape)
        lost = (network.rebuild(batch + noise * added.to(x.device)) - batch).square().mean()
        loss = lost
        if ramp > 0.0:
            z = network.describe(batch)
            memberships = network.memberships(z)
            log_weight, mean, covariance = network.mixture(z, memberships)
            energy = network.energy(z, log_weight, mean, whiten(covariance)).mean()
            narrow = (1.0 / torch.diagonal(covariance, dim1=1, dim2=2)).sum()
            uneven = math.log(settings.components) + (log_weight.exp() * log_weight).sum()
            loss = loss + ramp * (
                settings.energy_weight * energy + settings.covariance_weight * narrow + settings.balance_weight * uneven
            )
            total_energy += float(energy.detach()) * len(chosen)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total_lost += float(lost.detach()) * len(chosen)
    return total_lost / len(x), total_energy / len(x) if ramp > 0.0 else math.nan


def _hold(network: Any, x: torch.Tensor) -> torch.nn.Module:
    import torch

    with torch.no_grad():
        network.normalise.reset_running_stats()
        network.train()
        network.describe(network.scale(x))  # momentum=None: the normalisation is that of all rows from here on
        network.eval()
        network.hold_mixture(x)
    held: torch.nn.Module = network
    return held
