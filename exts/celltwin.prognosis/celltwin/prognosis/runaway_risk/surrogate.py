"""The surrogate of the local abuse model: PhysicsNeMo's fully connected network, and its training.

The network sees what an engineer would look at, computed from the raw inputs inside the exported module: where the
cell would settle with the short that it has and with the one that it will have, how soon the short is grown, how much
charge feeds it. Its three outputs are log-odds of runaway within the three horizons, and cannot fall with the
horizon.
"""

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

from ..training_device import training_device
from .rollout import INPUTS
from .rollout_campaign import HORIZONS, SurrogateData

if TYPE_CHECKING:
    import torch

__all__ = ["SurrogateSettings", "build_surrogate", "score_surrogate", "train_surrogate"]

# Inputs that runaway cannot become less likely with.
RISING = ("temperature", "shell_temperature", "module_temperature", "sink_temperature", "short", "short_final")
HELD_OUT = 0.1  # share of the campaign that only scores


@dataclass(frozen=True, kw_only=True)
class SurrogateSettings:
    """Size and training of one network.

    Attributes
    ----------
    width, layers : int
        Neurons in a hidden layer, and hidden layers.
    epochs, batch : int
        Passes over the campaign, and cases in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    monotonic_weight : float
        Weight of the physics residual: risk must not fall with a temperature or with the short, by automatic
        differentiation.
    members : int
        Networks of the ensemble.
    """

    width: int = 64
    layers: int = 3
    epochs: int = 12
    batch: int = 1024
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    monotonic_weight: float = 0.1
    members: int = 2

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


def build_surrogate(settings: SurrogateSettings, heat_capacity: float) -> torch.nn.Module:
    """Return a network with the features inside; it takes (n, 16) in SI and returns log-odds (n, 3).

    Parameters
    ----------
    settings : SurrogateSettings
        Its size.
    heat_capacity : float
        Of the cell [J/K].
    """
    import torch
    from physicsnemo.models.mlp import FullyConnected

    names = {name: index for index, name in enumerate(INPUTS)}

    class Surrogate(torch.nn.Module):
        """Features, network, and log-odds that rise with the horizon."""

        def __init__(self) -> None:
            super().__init__()
            self.network = FullyConnected(
                in_features=27,
                layer_size=settings.width,
                out_features=3,
                num_layers=settings.layers,
                activation_fn="silu",
            )

        def features(self, inputs: torch.Tensor) -> torch.Tensor:
            x = {name: inputs[:, index] for name, index in names.items()}
            sink, shell = x["sink_rate"], x["shell_rate"]
            volts = 3.3 + 0.9 * x["soc"]
            heating = volts.square() / heat_capacity
            now, final = heating * x["short"], heating * x["short_final"]
            # to the surroundings at last: the coolant, and the module behind the shell
            behind = shell * (1.0 - 1.0 / x["shell_size"]) + 1e-6
            total = sink + shell * behind / (shell / x["shell_size"] + behind + sink)
            base = sink * x["sink_temperature"] + (total - sink) * x["module_temperature"]

            def settle(power: torch.Tensor) -> torch.Tensor:
                return torch.clamp((base + power + x["other_heating"]) / total, 250.0, 2000.0).log()

            def ramp(seconds: float) -> torch.Tensor:
                grown = torch.minimum(x["short"] + x["short_growth"] * seconds, x["short_final"])
                return torch.log(heating * grown + 1e-4)

            melts = torch.clamp((408.15 - x["temperature"]) / 20.0, -3.0, 3.0)
            columns = [
                (x["temperature"] - 350.0) / 60.0,
                (x["shell_temperature"] - 350.0) / 80.0,
                (x["module_temperature"] - 340.0) / 60.0,
                (x["sink_temperature"] - 350.0) / 100.0,
                torch.log(sink) / 2.0 + 4.0,
                torch.log(shell) / 2.0 + 2.5,
                (x["shell_size"] - 4.0) / 2.0,
                torch.log(x["module_size"]) - 4.0,
                torch.log(x["other_heating"] + 1e-4) / 2.0 + 3.0,
                torch.log(now + 1e-4) / 2.0 + 2.0,
                torch.log(final + 1e-4) / 2.0 + 2.0,
                torch.log(x["short_growth"] * heating + 1e-6) / 3.0 + 3.0,
                torch.log(x["parallel"]) - 2.0,
                (x["soc"] - 0.5) * 3.0,
                torch.log(x["soc"] * x["parallel"] + 0.01) - 1.0,
                (x["film"] - 0.1) * 10.0,
                x["reacted"] * 10.0,
                (settle(now) - 6.0) * 2.5,
                (settle(final) - 6.0) * 2.5,
                (settle(torch.zeros_like(now)) - 5.9) * 3.0,
                torch.log(total) / 2.0 + 3.0,
                ramp(300.0) / 2.0 + 2.0,
                ramp(1200.0) / 2.0 + 2.0,
                ramp(5000.0) / 2.0 + 2.0,
                melts,
                (1.0e4 / x["temperature"] - 27.0) / 4.0,
                torch.tanh((x["shell_temperature"] - x["temperature"]) / 60.0),
            ]
            return torch.stack(columns, dim=1)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            out = self.network(self.features(inputs))
            rises = torch.nn.functional.softplus(out[:, 1:])
            return torch.cat([out[:, :1], out[:, :1] + torch.cumsum(rises, dim=1)], dim=1)

    return Surrogate()


def train_surrogate(
    data: SurrogateData,
    settings: SurrogateSettings,
    heat_capacity: float,
    *,
    seed: tuple[int, ...],
    checkpoints: Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> torch.nn.Module:
    """Train one member on the campaign, from its newest checkpoint where there is one.

    The random numbers of an epoch follow from the seed and the number of the epoch alone.

    Parameters
    ----------
    data : SurrogateData
        The campaign; its last tenth only scores.
    settings : SurrogateSettings
        Size and training.
    heat_capacity : float
        Of the cell [J/K].
    seed : tuple of int
        Seed of everything random here.
    checkpoints : Path, optional
        Folder for checkpoints; none are kept where absent.
    on_epoch : callable, optional
        Called with the number of each finished epoch and its mean loss.
    """
    import torch

    count = int(data.onset.size * (1.0 - HELD_OUT))
    x = torch.as_tensor(data.inputs[:count], dtype=torch.float32)
    y = torch.as_tensor(_labels(data.onset[:count]), dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed))
        network = build_surrogate(settings, heat_capacity)
    device = training_device()
    network.to(device)
    x, y = x.to(device), y.to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = math.ceil(count / settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.15
    )
    finished = _load(checkpoints, network, optimiser, schedule)
    rising = torch.as_tensor([INPUTS.index(name) for name in RISING]).to(device)
    scale = torch.tensor([20.0, 20.0, 20.0, 20.0, 0.5, 0.5]).to(device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    try:
        for epoch in range(finished + 1, settings.epochs + 1):
            random = torch.Generator().manual_seed(_seed((*seed, epoch)))
            order = torch.randperm(count, generator=random)
            total = 0.0
            network.train()
            for number, start in enumerate(range(0, count, settings.batch)):
                chosen = order[start : start + settings.batch].to(device)
                batch = x[chosen]
                physics = settings.monotonic_weight > 0.0 and number % 4 == 0  # a quarter of the steps
                batch.requires_grad_(physics)
                odds = network(batch)
                loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, y[chosen])
                if physics:
                    (slopes,) = torch.autograd.grad(odds.sum(), batch, create_graph=True)
                    falls = torch.relu(-slopes[:, rising] * scale)
                    loss = loss + settings.monotonic_weight * torch.clamp(falls, max=10.0).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(chosen)
            if checkpoints and (epoch % 3 == 0 or epoch == settings.epochs):
                _save(checkpoints, network, optimiser, schedule, epoch)
            if on_epoch:
                on_epoch(epoch, total / count)
    finally:
        torch.set_num_threads(threads)
    return network.eval().cpu()


def score_surrogate(networks: list[torch.nn.Module], data: SurrogateData) -> dict[str, float]:
    """Return figures of the ensemble on the held-out tenth of the campaign, by horizon.

    Returns
    -------
    dict of str to float
        Brier score, share of wrong decisions at one half, and share of pairs that fall with a rising temperature.
    """
    import torch

    count = int(data.onset.size * (1.0 - HELD_OUT))
    x = torch.as_tensor(data.inputs[count:], dtype=torch.float32)
    y = _labels(data.onset[count:])
    with torch.no_grad():
        odds = torch.stack([network(x) for network in networks]).mean(0)
        warmer = x.clone()
        warmer[:, :4] += 5.0
        higher = torch.stack([network(warmer) for network in networks]).mean(0)
    probability = torch.sigmoid(odds).numpy()
    figures: dict[str, float] = {}
    for index, horizon in enumerate(HORIZONS):
        minutes = f"{horizon / 60.0:.0f} min"
        figures[f"Brier score, {minutes}"] = float(np.square(probability[:, index] - y[:, index]).mean())
        figures[f"wrong at one half, {minutes}"] = float(((probability[:, index] > 0.5) != (y[:, index] > 0.5)).mean())
    risen = (torch.sigmoid(higher) - torch.sigmoid(odds)).numpy()
    figures["falls by more than 0.01 where all is 5 K warmer"] = float((risen < -0.01).mean())
    return figures


def _labels(onset: Array) -> Array:
    return (onset[:, np.newaxis] < np.array(HORIZONS)).astype(np.float64)


def _seed(parts: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _start_checkpoints() -> None:
    from physicsnemo.distributed import DistributedManager

    logging.getLogger("checkpoint").setLevel(logging.ERROR)  # says where each file went
    if not DistributedManager.is_initialized():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that this is a single process
            DistributedManager.initialize()


def _save(folder: Path, network: Any, optimiser: Any, schedule: Any, epoch: int) -> None:
    from physicsnemo.utils.checkpoint import save_checkpoint

    _start_checkpoints()
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder, models=network.network, optimizer=optimiser, scheduler=schedule, epoch=epoch)


def _load(folder: Path | None, network: Any, optimiser: Any, schedule: Any) -> int:
    from physicsnemo.utils.checkpoint import load_checkpoint

    if folder is None or not folder.is_dir():
        return 0
    _start_checkpoints()
    return int(load_checkpoint(folder, models=network.network, optimizer=optimiser, scheduler=schedule))
