"""The network: from the summary of a past to the distribution of the cycles that remain to every level of SOH."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..sequence.checkpoints import load_training, save_training
from ..training_device import training_device

if TYPE_CHECKING:
    import torch

__all__ = ["LifeNetworkSettings", "LifeRows", "build_life_network", "train_life_network"]

CHECKPOINTS = 4  # in a training
SMALLEST_SCALE = 0.005  # [typical lives]
LIKELIHOOD_WEIGHT, RESISTANCE_WEIGHT = 0.1, 0.3


@dataclass(frozen=True, kw_only=True)
class LifeNetworkSettings:
    """Size and training of one network.

    Attributes
    ----------
    width, layers : int
        Neurons in a hidden layer, and hidden layers.
    dropout : float
        Share of neurons left out in training.
    steps, batch : int
        Steps of training, and pasts in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    input_noise : float
        Standard deviation of the noise added to scaled inputs in training.
    point_weight : float
        Weight of the absolute error of the median beside a tenth of the likelihood.
    duty_unknown : float
        Share of steps in which the duty is hidden, so that the network can do without.
    """

    width: int = 64
    layers: int = 2
    dropout: float = 0.1
    steps: int = 600
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    input_noise: float = 0.2
    point_weight: float = 1.0
    duty_unknown: float = 0.1

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeRows:
    """What the network is shown of each past, and what it is to learn of it.

    Attributes
    ----------
    inputs : ndarray of shape (n, n_shown)
        As :func:`show_past` gives them.
    remaining : ndarray of shape (n, n_levels)
        Cycles from now to the arrival at each level, in typical lives; negative once it is past. Where the cell
        has not arrived: cycles to its last.
    arrived : ndarray of bool, shape (n, n_levels)
        False where censored: the cell lives longer than ``remaining``.
    resistance : ndarray of shape (n, n_levels)
        Resistance proxy on arrival, over its present value; NaN where not known.
    weight : ndarray of shape (n,)
        Weight of each past.
    """

    inputs: Array
    remaining: Array
    arrived: NDArray[np.bool_]
    resistance: Array
    weight: Array

    def choose(self, chosen: NDArray[np.bool_]) -> LifeRows:
        """Return some of the rows."""
        return LifeRows(
            inputs=self.inputs[chosen],
            remaining=self.remaining[chosen],
            arrived=self.arrived[chosen],
            resistance=self.resistance[chosen],
            weight=self.weight[chosen],
        )


def build_life_network(n_inputs: int, n_levels: int, members: int, settings: LifeNetworkSettings) -> torch.nn.Module:
    """Return untrained networks, side by side in one module so that they are trained and asked together.

    It takes inputs (n, n_inputs), or (members, n, n_inputs), and gives median, scale and resistance proxy of each
    member, (members, 3, n, n_levels). The medians of falling levels rise: a lower SOH is never reached earlier.
    """
    network: torch.nn.Module = _network_class()(
        n_inputs, n_levels, members, settings.width, settings.layers, settings.dropout
    )
    return network


def _softplus(x: torch.Tensor) -> torch.Tensor:
    """Return log(1 + exp(x)); from operators that ONNX Runtime has vectorised, as it has not its own Softplus."""
    positive: torch.Tensor = x.relu() + (1.0 + (-x.abs()).exp()).log()
    return positive


@cache
def _network_class() -> type[torch.nn.Module]:
    import torch
    from physicsnemo import Module

    class RemainingLife(Module):  # type: ignore[misc]  # physicsnemo has no types
        """Hidden layers with dropout; arrival at each level as the sum of positive stretches between levels."""

        def __init__(self, n_inputs: int, n_levels: int, members: int, width: int, layers: int, dropout: float) -> None:
            super().__init__()
            sizes = [n_inputs, *([width] * layers), 3 * n_levels]
            weights, offsets = [], []
            for before, after in pairwise(sizes):
                bound = 1.0 / math.sqrt(before)
                weights.append(torch.nn.Parameter((2.0 * torch.rand(members, before, after) - 1.0) * bound))
                offsets.append(torch.nn.Parameter((2.0 * torch.rand(members, 1, after) - 1.0) * bound))
            self.weights = torch.nn.ParameterList(weights)
            self.offsets = torch.nn.ParameterList(offsets)
            self.dropout = torch.nn.Dropout(dropout)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            nn = torch.nn.functional
            x = inputs
            for layer, (weight, offset) in enumerate(zip(self.weights, self.offsets, strict=True)):
                x = torch.matmul(x, weight) + offset
                if layer + 1 < len(self.weights):
                    x = self.dropout(nn.silu(x))
            first, scale, resistance = x.chunk(3, dim=2)
            stretches = _softplus(first[:, :, 1:] - 3.0)
            start = first[:, :, :1]
            median = torch.cat([start, start + torch.cumsum(stretches, dim=2)], dim=2)
            positive = SMALLEST_SCALE + _softplus(scale - 3.0)
            return torch.stack([median, positive, _softplus(resistance + 0.5)], dim=1)

    return RemainingLife


def train_life_network(
    rows: list[LifeRows],
    settings: LifeNetworkSettings,
    end: int,
    *,
    seed: tuple[int, ...],
    unknown_duty: list[LifeRows] | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[int], None] | None = None,
) -> torch.nn.Module:
    r"""Train networks by maximum likelihood with censoring, from their newest checkpoint where there is one.

    The cycles that remain are logistic around the median m with scale s. A cell that arrived at y counts with the
    density, a cell that was last seen alive at y with the chance to live longer:

    .. math::
        -\ln L = \begin{cases} z + 2\ln(1 + e^{-z}) + \ln s & \text{arrived} \\
        \ln(1 + e^{z}) & \text{censored} \end{cases}, \qquad z = \frac{y - m}{s}

    To this is added the absolute error of the median (of censored cells: where the median falls short of y).

    Parameters
    ----------
    rows : list of LifeRows
        What each member learns from.
    settings : LifeNetworkSettings
        Size and training.
    end : int
        Level that is the end of life: it weighs as much as all others together.
    seed : tuple of int
        Seed of everything random here; a run that was interrupted ends as if it had not been.
    unknown_duty : list of LifeRows, optional
        The same rows as they are shown where the duty is hidden.
    checkpoints : Path, optional
        Folder for the checkpoints; none are kept where absent.
    on_step : callable, optional
        Called with the number of each finished step.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(seed))
        network = build_life_network(rows[0].inputs.shape[1], rows[0].remaining.shape[1], len(rows), settings)
    device = training_device()
    network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    shown = [_Shown(rows)]
    if unknown_duty is not None and settings.duty_unknown > 0.0:
        shown.append(_Shown(unknown_duty))
    finished = load_training(checkpoints, [network], optimiser, schedule)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    network.train()
    every = max(1, settings.steps // CHECKPOINTS)
    try:
        for step in range(finished + 1, settings.steps + 1):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_seed((*seed, step)))
                source = shown[int(len(shown) > 1 and float(torch.rand(())) < settings.duty_unknown)]
                batch = [part.to(device) for part in source.draw(settings.batch)]
                noise = (settings.input_noise * torch.randn(batch[0].shape)).to(device)
                loss = _loss(network(batch[0] + noise), batch, settings.point_weight, end)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if checkpoints and (step % every == 0 or step == settings.steps):
                save_training(checkpoints, [network], optimiser, schedule, step)
            if on_step:
                on_step(step)
    finally:
        torch.set_num_threads(threads)
    return network.eval().cpu()


class _Shown:
    """Rows of all members as tensors."""

    def __init__(self, rows: list[LifeRows]) -> None:
        import torch

        self._members = [
            tuple(
                torch.as_tensor(
                    np.ascontiguousarray(values), dtype=torch.bool if values.dtype == bool else torch.float32
                )
                for values in (
                    each.inputs,
                    each.remaining,
                    each.arrived,
                    np.nan_to_num(each.resistance, nan=0.0),
                    np.isfinite(each.resistance),
                    each.weight[:, np.newaxis],
                )
            )
            for each in rows
        ]

    def draw(self, size: int) -> list[torch.Tensor]:
        """Return a batch for each member, its parts of shape (members, size, ...)."""
        import torch

        drawn = []
        for member in self._members:
            chosen = torch.randint(len(member[0]), (size,))
            drawn.append([part[chosen] for part in member])
        return [torch.stack(parts) for parts in zip(*drawn, strict=True)]


def _loss(outputs: torch.Tensor, batch: list[torch.Tensor], point_weight: float, end: int) -> torch.Tensor:
    import torch

    nn = torch.nn.functional
    median, scale, resistance = outputs.unbind(1)
    _, y, arrived, grown, grown_known, weight = batch
    error = y - median
    z = error / scale
    likelihood = torch.where(arrived, z + 2.0 * nn.softplus(-z) + torch.log(scale), nn.softplus(z))
    missed = torch.where(arrived, error.abs(), torch.relu(error))
    departure = nn.smooth_l1_loss(resistance, grown, reduction="none", beta=0.05) * grown_known
    total = LIKELIHOOD_WEIGHT * likelihood + point_weight * missed + RESISTANCE_WEIGHT * departure
    by_level = (total * weight).mean(dim=1)
    return (by_level.mean(dim=1) + by_level[:, end]).sum()


def _seed(parts: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
