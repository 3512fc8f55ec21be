"""Fine-tuning: trained networks of past windows go on learning from a few more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from celltwin.core import Array

from ..past_windows import PastWindows
from ..sequence.kinds import FittedNetworks, NetworkKind
from ..sequence.network_training import train_window_network
from ..sequence.window_inputs import WindowInputs

__all__ = ["TuningRecipe", "digest_networks", "tune_networks"]


@dataclass(frozen=True, kw_only=True)
class TuningRecipe:
    """How networks are tuned.

    Attributes
    ----------
    frozen : tuple of str
        Parts of a network whose weights stay: ``encoder``, ``memory``, ``head`` of the recurrent one.
    learning_rate : float
        Of AdamW; the rate follows one cycle.
    steps, batch : int
        Steps of the optimiser, and windows in a step.
    """

    frozen: tuple[str, ...] = ()
    learning_rate: float = 1e-3
    steps: int = 150
    batch: int = 96

    @property
    def name(self) -> str:
        """The recipe in few words."""
        parts = f"{' and '.join(self.frozen)} frozen" if self.frozen else "nothing frozen"
        return f"{parts}, rate {self.learning_rate:g}, {self.steps} steps"

    def as_dict(self) -> dict[str, object]:
        """Return the recipe as JSON takes it."""
        return {**asdict(self), "frozen": list(self.frozen)}


def tune_networks(
    fitted: FittedNetworks,
    kind: NetworkKind,
    windows: PastWindows,
    recipe: TuningRecipe,
    *,
    seed: int,
    inputs: WindowInputs | None = None,
    likelihood: Array | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> FittedNetworks:
    """Return networks that went on learning from windows; ``fitted`` stays as it is.

    Parameters
    ----------
    fitted : FittedNetworks
        Where to start.
    kind : NetworkKind
        How they were made.
    windows : PastWindows
        What to learn from.
    recipe : TuningRecipe
        How.
    seed : int
        Seed of everything random.
    inputs : WindowInputs, optional
        Scale of inputs and target of these windows; that of ``fitted`` where absent.
    likelihood : ndarray of shape (n,), optional
        How likely each window is drawn; they sum to one.
    checkpoints : Path, optional
        Folder for checkpoints; a tuning of the same data, recipe and seed goes on from them.
    on_step : callable, optional
        Called with the number of finished steps and of all.

    Raises
    ------
    SettingsError
        If a network has no such part to freeze.
    """
    scale = inputs or fitted.inputs
    settings = replace(kind.settings, steps=recipe.steps, batch=recipe.batch, learning_rate=recipe.learning_rate)
    steps = recipe.steps * len(fitted.networks)
    tuned = []
    for member, network in enumerate(fitted.networks):

        def show(step: int, _loss: float, before: int = member * recipe.steps) -> None:
            if on_step:
                on_step(before + step, steps)

        tuned.append(
            train_window_network(
                kind.build,
                windows,
                scale,
                settings,
                seed=(seed, member),
                start=network,
                frozen=recipe.frozen,
                likelihood=likelihood,
                checkpoints=checkpoints / f"member_{member:02d}" if checkpoints else None,
                on_step=show,
            )
        )
    return FittedNetworks(networks=tuple(tuned), inputs=scale)


def digest_networks(fitted: FittedNetworks) -> str:
    """Return the SHA-256 of all weights and of the scale of inputs and target."""
    digest = hashlib.sha256(json.dumps(fitted.inputs.target).encode())
    for array in (fitted.inputs.scaling.mean, fitted.inputs.scaling.spread, fitted.inputs.scaling.stand_in):
        digest.update(np.ascontiguousarray(array).tobytes())
    for network in fitted.networks:
        for name, value in network.state_dict().items():
            digest.update(f"{name}\0{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
