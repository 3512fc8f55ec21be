"""Distillation of kernel regressions into one small network: the same answers within noise, in a tenth of the time.

A regression compares each window with all its points. A network learns what it answers, on windows of training cells
and on any number of windows of cells that might be: labels are needed for neither [1]_.

References
----------
.. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", NIPS workshop 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, SettingsError

from ..past_windows import PastWindows
from ..training_device import training_device
from .checkpoints import load_training, save_training
from .distilled_network import distilled_network
from .possible_windows import DRAWN_BLOCKS, PossibleWindows
from .window_description import describe_windows
from .window_inputs import LARGEST_INPUT

if TYPE_CHECKING:
    import torch

    from .kinds import FittedKernel

__all__ = ["DistillationSettings", "distil", "distilled_blocks"]

CHECKPOINT_EVERY = 1000  # steps
AT_ONCE = 512  # windows that a teacher is asked about together: their likenesses fit the cache
RISING_SHARE = 0.05  # of the steps, in which the learning rate rises


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """Size and training of the network that learns from a regression.

    Attributes
    ----------
    width, layers : int
        Neurons of a hidden layer, and hidden layers.
    steps, batch : int
        Steps, and windows in each.
    drawn, kept_for : int
        Windows that are drawn at once, and the steps that they serve.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    huber : float
        Where the loss turns from square to absolute, in spreads of SOH.
    """

    width: int = 160
    layers: int = 2
    steps: int = 15000
    batch: int = 1024
    drawn: int = 20480
    kept_for: int = 120
    learning_rate: float = 4e-3
    weight_decay: float = 1e-5
    huber: float = 0.02

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


def distilled_blocks(teacher: FittedKernel) -> tuple[str, ...]:
    """Return the blocks of described windows that a network must see to answer as a fit does."""
    return tuple(dict.fromkeys(name for part in teacher.members[0].settings.parts for name in part.blocks))


def distil(
    teacher: FittedKernel,
    windows: PastWindows,
    settings: DistillationSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> torch.nn.Module:
    """Return a network that answers as a fit does: from described windows (n, n_columns), float32, to SOH (n,).

    What is drawn follows from the seed and the number of the draw alone, so that a run that was interrupted ends as if
    it had not been. Answers stay within what the teacher says of training windows, and a little more.

    Parameters
    ----------
    teacher : FittedKernel
        Regressions; the network learns their mean.
    windows : PastWindows
        Those that the teacher has learnt from.
    settings : DistillationSettings
        Size and training.
    seed : int
        Seed of everything random.
    checkpoints : Path, optional
        Folder for checkpoints; none are kept where absent.
    on_step : callable, optional
        Called with the number of each finished step and its loss.

    Raises
    ------
    SettingsError
        If the teacher looks at a block that cannot be drawn.
    """
    import torch
    from physicsnemo.models.mlp import FullyConnected

    from .exportable import kernel_answer

    first, blocks = teacher.members[0], distilled_blocks(teacher)
    if not DRAWN_BLOCKS.issuperset(blocks):
        raise SettingsError(
            f"a kernel that looks at {', '.join(sorted(set(blocks) - DRAWN_BLOCKS))} cannot be distilled",
            remedy=f"Choose one that looks at nothing but {', '.join(sorted(DRAWN_BLOCKS))}",
        )
    described = describe_windows(windows, first.scaling, first.duties)
    stand_in = np.clip(first.scaling.apply(first.scaling.stand_in), -LARGEST_INPUT, LARGEST_INPUT)
    source = PossibleWindows(described, windows.protocol, stand_in)
    device = training_device()
    members = [kernel_answer(member).to(device) for member in teacher.members]

    def draw(number: int) -> dict[str, Array]:
        return source.draw(settings.drawn, np.random.default_rng((seed, number)))

    def on_device(asked: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        return {name: torch.as_tensor(asked[name]).to(device) for name in blocks}

    def answer(blocks_of: Mapping[str, torch.Tensor]) -> torch.Tensor:
        size = len(blocks_of[blocks[0]])
        parts = [
            {name: values[start : start + AT_ONCE] for name, values in blocks_of.items()}
            for start in range(0, size, AT_ONCE)
        ]
        return torch.cat([torch.stack([member(part) for member in members]).mean(0) for part in parts])

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the sums of one thread do not depend on the machine's load
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            core = FullyConnected(
                in_features=sum(described[name].shape[1] for name in blocks),
                layer_size=settings.width,
                out_features=1,
                num_layers=settings.layers,
                activation_fn="silu",
            )
        usual = answer(on_device(described)).cpu().numpy()
        first_draw = draw(0)
        scaled_by = np.concatenate([first_draw[name] for name in blocks], axis=1, dtype=np.float32)
        network: Any = distilled_network(core, scaled_by, usual).to(device)
        optimiser = torch.optim.AdamW(core.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=RISING_SHARE
        )
        finished = load_training(checkpoints, [core], optimiser, schedule)
        for step in range(finished, settings.steps):
            if step % settings.kept_for == 0 or step == finished:
                drawn = on_device(draw(1 + step // settings.kept_for))
                with torch.no_grad():
                    target = ((answer(drawn) - network.mean) / network.unit).to(torch.float32)
                    inputs = network.scale(torch.cat([drawn[name] for name in blocks], dim=1).to(torch.float32))
            rows = np.random.default_rng((seed, 0, step)).integers(0, settings.drawn, settings.batch)
            chosen = torch.as_tensor(rows).to(device)
            loss = torch.nn.functional.smooth_l1_loss(core(inputs[chosen])[:, 0], target[chosen], beta=settings.huber)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if checkpoints and ((step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == settings.steps):
                save_training(checkpoints, [core], optimiser, schedule, step + 1)
            if on_step:
                on_step(step + 1, float(loss.detach()))
    finally:
        torch.set_num_threads(threads)
    trained: torch.nn.Module = network.eval().cpu()
    return trained
