"""The network: PhysicsNeMo's fully connected model, its training, and the ensemble as one module."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

from .scaling import InputScaling, Territory
from .training_device import training_device

if TYPE_CHECKING:
    import torch

__all__ = ["NetworkSettings", "build_ensemble", "train_network"]

CHECKPOINT_EVERY = 10  # epochs


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Size and training of one network.

    Attributes
    ----------
    width, layers : int
        Neurons in a hidden layer, and hidden layers.
    epochs, batch : int
        Passes over the training cycles, and cycles in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    input_noise : float
        Standard deviation of the noise added to scaled inputs in training.
    monotonic_weight : float
        Weight of the physics residual: SOH must not rise with the time that the current takes to decay, a sign
        that the cell's resistance has grown; found by automatic differentiation. 0 leaves it out.
    """

    width: int = 64
    layers: int = 3
    epochs: int = 60
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    input_noise: float = 0.1
    monotonic_weight: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


def train_network(
    inputs: Array,
    target: Array,
    settings: NetworkSettings,
    *,
    seed: tuple[int, ...],
    falling_input: int | None = None,
    checkpoints: Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> torch.nn.Module:
    """Train one network, from its newest checkpoint where there is one.

    The random numbers of an epoch follow from the seed and the number of the epoch alone, so that a run that was
    interrupted ends as if it had not been.

    Parameters
    ----------
    inputs : ndarray of shape (n, n_inputs)
        Scaled inputs.
    target : ndarray of shape (n,)
        Scaled SOH.
    settings : NetworkSettings
        Size and training.
    seed : tuple of int
        Seed of everything random here.
    falling_input : int, optional
        Column that the target must not rise with, for the physics residual.
    checkpoints : Path, optional
        Folder for this network's checkpoints; none are kept where absent.
    on_epoch : callable, optional
        Called with the number of each finished epoch and its mean loss.
    """
    import torch
    from physicsnemo.models.mlp import FullyConnected

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed))
        network = FullyConnected(
            in_features=inputs.shape[1],
            layer_size=settings.width,
            out_features=1,
            num_layers=settings.layers,
            activation_fn="silu",
        )
    device = training_device()
    network.to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = math.ceil(target.size / settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.1
    )
    x = torch.as_tensor(inputs, dtype=torch.float32).to(device)
    y = torch.as_tensor(target, dtype=torch.float32).to(device)
    finished = _load(checkpoints, network, optimiser, schedule)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    try:
        for epoch in range(finished + 1, settings.epochs + 1):
            loss = _train_epoch(network, optimiser, schedule, x, y, settings, (*seed, epoch), falling_input)
            if checkpoints and (epoch % CHECKPOINT_EVERY == 0 or epoch == settings.epochs):
                _save(checkpoints, network, optimiser, schedule, epoch)
            if on_epoch:
                on_epoch(epoch, loss)
    finally:
        torch.set_num_threads(threads)
    trained: torch.nn.Module = network.eval().cpu()
    return trained


def _train_epoch(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    x: torch.Tensor,
    y: torch.Tensor,
    settings: NetworkSettings,
    seed: tuple[int, ...],
    falling_input: int | None,
) -> float:
    import torch

    random = torch.Generator().manual_seed(_seed(seed))
    network.train()
    total = 0.0
    order = torch.randperm(len(y), generator=random)
    for start in range(0, len(y), settings.batch):
        chosen = order[start : start + settings.batch].to(x.device)
        noise = torch.randn((len(chosen), x.shape[1]), generator=random).to(x.device)
        batch = x[chosen] + settings.input_noise * noise
        physics = settings.monotonic_weight > 0.0 and falling_input is not None
        batch.requires_grad_(physics)
        predicted = network(batch)[:, 0]
        loss = torch.nn.functional.smooth_l1_loss(predicted, y[chosen], beta=0.2)
        if physics:
            (slopes,) = torch.autograd.grad(predicted.sum(), batch, create_graph=True)
            loss = loss + settings.monotonic_weight * torch.relu(slopes[:, falling_input]).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        total += float(loss.detach()) * len(chosen)
    return total / len(y)


def build_ensemble(
    networks: list[torch.nn.Module], scaling: InputScaling, target: tuple[float, float], territory: Territory
) -> torch.nn.Module:
    """Return the ensemble with scaling and distance inside, as one module.

    It takes inputs (n, n_inputs) as float64 in their own units and returns mean and spread of the members' SOH
    and the distance from the training data, each (n,).
    """
    import torch

    class Ensemble(torch.nn.Module):
        """Members, scaling and territory."""

        input_mean: torch.Tensor
        input_spread: torch.Tensor
        centres: torch.Tensor
        whitening: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(networks)
            for name, values in (
                ("input_mean", scaling.mean),
                ("input_spread", scaling.spread),
                ("whitening", np.concatenate([factor.T for factor in territory.whitening], axis=1)),
                ("centres", np.einsum("pij,pj->pi", territory.whitening, territory.centres)),
            ):
                self.register_buffer(name, torch.as_tensor(values, dtype=torch.float64))

        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            scaled = (inputs - self.input_mean) / self.input_spread
            white = (scaled @ self.whitening).reshape(-1, *self.centres.shape) - self.centres
            distance = white.square().sum(2).amin(1).sqrt()
            x = scaled.to(torch.float32)
            predicted = torch.cat([member(x) for member in self.members], dim=1).to(torch.float64)
            soh = predicted * target[1] + target[0]
            mean = soh.mean(1)
            return mean, (soh - mean.unsqueeze(1)).square().mean(1).sqrt(), distance

    return Ensemble().eval()


def _seed(parts: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _start_checkpoints() -> None:
    from physicsnemo.distributed import DistributedManager

    logging.getLogger("checkpoint").setLevel(logging.ERROR)  # says where each file went, once a network and epoch
    if not DistributedManager.is_initialized():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that this is a single process
            DistributedManager.initialize()


def _save(folder: Path, network: Any, optimiser: Any, schedule: Any, epoch: int) -> None:
    from physicsnemo.utils.checkpoint import save_checkpoint

    _start_checkpoints()
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder, models=network, optimizer=optimiser, scheduler=schedule, epoch=epoch)


def _load(folder: Path | None, network: Any, optimiser: Any, schedule: Any) -> int:
    from physicsnemo.utils.checkpoint import load_checkpoint

    if folder is None or not folder.is_dir():
        return 0
    _start_checkpoints()
    return int(load_checkpoint(folder, models=network, optimizer=optimiser, scheduler=schedule))
