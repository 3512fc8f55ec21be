"""Training of one network of past windows, from its newest checkpoint where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError

from ..past_windows import PastWindows
from ..training_device import training_device
from .checkpoints import load_training, save_training
from .physics_residuals import build_dynamics, physics_loss
from .settings import WindowSettings
from .window_inputs import EXTRA_CHANNELS, WindowInputs

if TYPE_CHECKING:
    import torch

__all__ = ["balance_protocols", "hide_past", "train_window_network"]

CHECKPOINT_EVERY = 200  # steps
RISING_SHARE = 0.1  # of the steps, in which the learning rate rises
LARGEST_GRADIENT = 1.0


def train_window_network(
    build: Callable[[int, WindowSettings], torch.nn.Module],
    windows: PastWindows,
    inputs: WindowInputs,
    settings: WindowSettings,
    *,
    seed: tuple[int, ...],
    start: torch.nn.Module | None = None,
    frozen: tuple[str, ...] = (),
    likelihood: Array | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> torch.nn.Module:
    """Train one network, from random weights or from those of another.

    The random numbers of a step follow from the seed and the number of the step alone, so that a training that
    was interrupted ends as if it had not been.

    Parameters
    ----------
    build : callable
        Makes the untrained network from the number of channels and the settings.
    windows : PastWindows
        Of training cells.
    inputs : WindowInputs
        Scale of inputs and target.
    settings : WindowSettings
        Size and training.
    seed : tuple of int
        Seed of everything random here.
    start : torch.nn.Module, optional
        Trained network of the same build and settings whose weights are gone on with; it stays as it is.
    frozen : tuple of str
        Parts of the network (``encoder``, ``memory``, ...) whose weights stay those of ``start``.
    likelihood : ndarray of shape (n,), optional
        How likely each window is drawn; they sum to one. As ``settings.balance`` says where absent.
    checkpoints : Path, optional
        Folder for this network's checkpoints; none are kept where absent.
    on_step : callable, optional
        Called with the number of each finished step and its loss.

    Raises
    ------
    SettingsError
        If the network has no such part to freeze.
    """
    import torch

    device = training_device()
    x = torch.as_tensor(inputs.channels(windows)).to(device)
    y = torch.as_tensor(inputs.scaled_soh(windows)).to(device)
    draw = balance_protocols(windows.protocol, settings.balance) if likelihood is None else likelihood
    following = _following(windows)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(seed))
            network = build(x.shape[2], settings)
            if start is not None:
                network.load_state_dict(start.state_dict())
            _freeze(network.to(device), frozen)
            models = [network]
            if settings.physics.any:
                models.append(build_dynamics(x.shape[2], settings.width).to(device))
            optimiser = torch.optim.AdamW(
                [value for model in models for value in model.parameters() if value.requires_grad],
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
            )
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=RISING_SHARE
            )
            finished = load_training(checkpoints, models, optimiser, schedule)
            network.train()
            for step in range(finished + 1, settings.steps + 1):
                torch.manual_seed(_seed((*seed, step)))  # dropout draws from here
                random = np.random.default_rng((*seed, step))
                chosen = random.choice(y.shape[0], settings.batch, p=draw)
                loss = _loss(models, x, y, chosen, following, settings, random)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
                optimiser.step()
                schedule.step()
                if checkpoints and (step % CHECKPOINT_EVERY == 0 or step == settings.steps):
                    save_training(checkpoints, models, optimiser, schedule, step)
                if on_step:
                    on_step(step, float(loss.detach()))
    finally:
        torch.set_num_threads(threads)
    trained: torch.nn.Module = network.eval().cpu()
    return trained


def balance_protocols(protocols: NDArray[np.str_], balance: float) -> Array:
    """Return how likely windows of these protocols (n,) are drawn, shape (n,): (cycles of the protocol) ** -balance."""
    _, index, counts = np.unique(protocols, return_inverse=True, return_counts=True)
    weights = counts[index].astype(np.float64) ** -balance
    likelihood: Array = weights / weights.sum()
    return likelihood


def hide_past(windows: torch.Tensor, kept: NDArray[np.intp], begun: NDArray[np.bool_]) -> torch.Tensor:
    """Return windows (n, window, channels) as if only the ``kept`` (n,) newest cycles of a cell had been seen.

    What lies before repeats the oldest of these, as in :class:`PastWindows`, and is marked as not seen. Where the
    beginning was not seen either, ``begun`` (n,) is False, and no change since then is shown.
    """
    import torch

    n, length, channels = windows.shape
    n_inputs = (channels - EXTRA_CHANNELS) // 2
    first = length - kept
    device = windows.device
    place = torch.as_tensor(np.maximum(np.arange(length), first[:, np.newaxis])).to(device)
    made = windows[torch.arange(n, device=device)[:, None], place]
    made[..., n_inputs : 2 * n_inputs] *= torch.as_tensor(begun).to(device)[:, None, None]
    made[..., -1] = windows[..., -1] * torch.as_tensor(np.arange(length) >= first[:, np.newaxis]).to(device)
    return made


def _freeze(network: torch.nn.Module, frozen: tuple[str, ...]) -> None:
    parts = dict(network.named_children())
    for name in frozen:
        if name not in parts:
            raise SettingsError(
                f"the network has no part {name!r} to freeze", remedy=f"Choose among {', '.join(parts)}"
            )
        parts[name].requires_grad_(requires_grad=False)


def _loss(
    models: list[torch.nn.Module],
    x: torch.Tensor,
    y: torch.Tensor,
    chosen: NDArray[np.intp],
    following: NDArray[np.intp],
    settings: WindowSettings,
    random: np.random.Generator,
) -> torch.Tensor:
    import torch

    n_inputs = (x.shape[2] - EXTRA_CHANNELS) // 2
    n, length = chosen.size, settings.window
    hidden = random.random(n) < settings.truncation
    kept = np.where(hidden, random.integers(1, length + 1, n), length)
    common, own = random.normal(size=(n, 1, n_inputs)), random.normal(size=(n, length, n_inputs))
    noise = torch.as_tensor(np.sqrt(0.5) * settings.input_noise * (common + own), dtype=torch.float32).to(x.device)

    def batch(rows: NDArray[np.intp]) -> torch.Tensor:
        made = hide_past(x[torch.as_tensor(rows).to(x.device)], kept, ~hidden)
        made[..., :n_inputs] += noise
        return made

    windows = batch(chosen)
    labels = y[torch.as_tensor(chosen).to(y.device)]
    loss = torch.nn.functional.smooth_l1_loss(models[0](windows)[:, 0], labels, beta=settings.huber)
    if settings.physics.any:
        later = batch(following[chosen])
        loss = loss + physics_loss(models[0], models[1], windows, later, settings.physics)
    return loss


def _following(windows: PastWindows) -> NDArray[np.intp]:
    """Return the row of the next cycle of the same cell, shape (n,); the last cycle of a cell is its own."""
    rows = np.arange(windows.soh.size)
    after = np.minimum(rows + 1, rows.size - 1)
    same: NDArray[np.intp] = np.where(windows.cell[after] == windows.cell, after, rows)
    return same


def _seed(parts: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
