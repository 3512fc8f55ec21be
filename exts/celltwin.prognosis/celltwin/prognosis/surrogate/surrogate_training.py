"""Training of a surrogate's network on rows of a campaign, with PhysicsNeMo's checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

from ..sequence.checkpoints import load_training, save_training
from ..training_device import training_device
from .cell_laws import CellLaws
from .diffusion_residual import DiffusionResidual
from .surrogate_module import build_surrogate
from .surrogate_network import SurrogateSettings, new_network, upright
from .training_rows import TrainingRows, territory_of

if TYPE_CHECKING:
    import torch

__all__ = ["train_surrogate_network"]

CHECKPOINT_EVERY = 5  # epochs
SCALES = {"voltage": 5e-3, "anode_potential": 5e-3, "negative_surface": 2e-3, "positive_surface": 1e-3}
WEIGHTS = {"voltage": 1.0, "anode_potential": 0.5, "negative_surface": 1.0, "positive_surface": 0.5}
RESIDUAL_SCALE = 2e-3  # [-] of stoichiometry


def train_surrogate_network(
    laws: CellLaws,
    rows: TrainingRows,
    settings: SurrogateSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> tuple[torch.nn.Module, torch.nn.Module, dict[str, Array]]:
    """Train a network, from its newest checkpoint where there is one.

    Parameters
    ----------
    laws : CellLaws
        What is known of the cell.
    rows : TrainingRows
        Rows to learn from.
    settings : SurrogateSettings
        Size and training.
    seed : int
        Of first weights and of the order of rows.
    checkpoints : Path, optional
        Folder for this network's checkpoints; none are kept where absent.
    on_epoch : callable, optional
        Called with the number of each finished epoch and its mean loss.

    Returns
    -------
    tuple
        The surrogate, PhysicsNeMo's network within it, and the territory of its inputs.
    """
    import torch

    network = new_network(settings, seed)
    territory = territory_of(rows)
    device = training_device()
    rows = _on(device, rows)
    surrogate = build_surrogate(laws, upright(network), territory).to(device)
    residual = DiffusionResidual(surrogate) if settings.diffusion_weight > 0.0 else None
    n_rows = rows.inputs.shape[1]
    steps = math.ceil(n_rows / settings.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.1
    )
    finished = load_training(checkpoints, [network], optimiser, schedule)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    try:
        for epoch in range(finished + 1, settings.epochs + 1):
            order = torch.as_tensor(np.random.default_rng([seed, epoch]).permutation(n_rows)).to(device)
            total = 0.0
            for start in range(0, n_rows, settings.batch):
                loss = _loss(surrogate, rows, order[start : start + settings.batch], residual, settings)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                total += float(loss.detach())
            if checkpoints and (epoch % CHECKPOINT_EVERY == 0 or epoch == settings.epochs):
                save_training(checkpoints, [network], optimiser, schedule, epoch)
            if on_epoch:
                on_epoch(epoch, total / steps)
    finally:
        torch.set_num_threads(threads)
    return surrogate.eval().cpu(), network.eval(), territory


def _on(device: torch.device, rows: TrainingRows) -> TrainingRows:
    moved = {
        name: getattr(rows, name).to(device) for name in ("inputs", "tangent", "speed", "current", "area", "resistance")
    }
    return replace(rows, **moved, targets={name: values.to(device) for name, values in rows.targets.items()})


def _loss(
    surrogate: Any,
    rows: TrainingRows,
    chosen: torch.Tensor,
    residual: DiffusionResidual | None,
    settings: SurrogateSettings,
) -> torch.Tensor:
    import torch

    inputs = rows.inputs[:, chosen]
    found = surrogate.respond(inputs, rows.current[chosen], rows.area[chosen], rows.resistance[chosen])
    loss = torch.zeros((), device=inputs.device)
    for name, weight in WEIGHTS.items():
        apart = (found[name] - rows.targets[name][chosen]) / SCALES[name]
        loss = loss + weight * torch.nn.functional.smooth_l1_loss(apart, torch.zeros_like(apart))
    if residual is not None:
        apart = residual(inputs, rows.tangent[:, chosen], rows.speed[chosen]) / RESIDUAL_SCALE
        loss = loss + settings.diffusion_weight * torch.nn.functional.smooth_l1_loss(apart, torch.zeros_like(apart))
    return loss
