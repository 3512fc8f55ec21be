"""A kind of model that answers as another does, and quickly: kernel regressions distilled into a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array

from ..past_windows import PastWindows
from .distillation import DistillationSettings, distil, distilled_blocks
from .kinds import FittedKernel, FittedModel, KernelKind, Progress, SohModelKind
from .window_description import WindowDescription

if TYPE_CHECKING:
    import torch

__all__ = ["DistilledKind", "FittedDistilled"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedDistilled(FittedModel):
    """A network that has learnt what kernel regressions answer.

    Attributes
    ----------
    network : torch.nn.Module
        From described windows to SOH; see :func:`distil`.
    teacher : FittedKernel
        What it has learnt from.
    """

    network: torch.nn.Module
    teacher: FittedKernel

    @property
    def description(self) -> WindowDescription:
        """What the network must be shown."""
        first = self.teacher.members[0]
        return WindowDescription(scaling=first.scaling, duties=first.duties, blocks=distilled_blocks(self.teacher))

    def predict(self, windows: PastWindows) -> Array:
        """Return SOH, shape (1, n) [-]."""
        import torch

        with torch.no_grad():
            found: Array = self.network(torch.as_tensor(self.description.rows(windows))).numpy()
        return found[np.newaxis]


@dataclass(frozen=True, kw_only=True)
class DistilledKind(SohModelKind):
    """Kernel regressions, and a network that learns their answers.

    Attributes
    ----------
    name : str
        Name of the kind.
    teacher : KernelKind
        The regressions.
    settings : DistillationSettings
        Size and training of the network.
    """

    name: str
    teacher: KernelKind
    settings: DistillationSettings

    @property
    def window(self) -> int:
        """Cycles that a window must hold."""
        return self.teacher.window

    @property
    def steps(self) -> int:
        """Those of the teacher, and of the network."""
        return self.teacher.steps + self.settings.steps

    @property
    def stand_in(self) -> SohModelKind:
        """The teacher: it errs where the network does."""
        return self.teacher

    def describe(self) -> dict[str, object]:
        """Return kind, teacher and settings."""
        return {"kind": self.name, "teacher": self.teacher.describe(), "settings": self.settings.as_dict()}

    def fit(
        self, windows: PastWindows, *, seed: int, checkpoints: Path | None = None, on_step: Progress | None = None
    ) -> FittedDistilled:
        """Fit the teacher, then train the network."""
        teacher = self.teacher.fit(windows, seed=seed)

        def show(step: int, _loss: float) -> None:
            if on_step:
                on_step(self.teacher.steps + step, self.steps)

        network = distil(teacher, windows, self.settings, seed=seed, checkpoints=checkpoints, on_step=show)
        return FittedDistilled(network=network, teacher=teacher)
