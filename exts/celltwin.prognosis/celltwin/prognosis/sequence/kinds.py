"""The kinds of model of state of health, behind one small interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

from ..past_windows import PastWindows
from ..scaling import InputScaling
from .kernel_regression import KernelRegression, KernelSettings, fit_kernel
from .network_training import train_window_network
from .settings import WindowSettings
from .trees import fit_trees, tree_inputs
from .window_description import DESCRIBED_WINDOW
from .window_inputs import WindowInputs, fit_window_inputs

if TYPE_CHECKING:
    import torch

__all__ = [
    "BlendKind",
    "FittedBlend",
    "FittedKernel",
    "FittedModel",
    "FittedNetworks",
    "FittedTrees",
    "KernelKind",
    "NetworkKind",
    "Progress",
    "SohModelKind",
    "TreesKind",
    "newest_cycles",
]

PREDICTED_AT_ONCE = 4096  # windows
Build = Callable[[int, WindowSettings], "torch.nn.Module"]
Progress = Callable[[int, int], None]


class FittedModel(ABC):
    """A model that has learnt from training cells."""

    @abstractmethod
    def predict(self, windows: PastWindows) -> Array:
        """Return SOH of every member, shape (n_members, n) [-]."""


class SohModelKind(ABC):
    """A way to learn SOH from past windows.

    Attributes
    ----------
    name : str
        Name of the kind.
    window : int
        Cycles that a window must hold.
    steps : int
        Steps of a fit, for progress.
    """

    name: str

    @property
    @abstractmethod
    def window(self) -> int:
        """Cycles that a window must hold."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of a fit, for progress."""

    @property
    def stand_in(self) -> SohModelKind:
        """A kind that errs alike and is fitted sooner, for whoever asks only for errors; by default the kind itself."""
        return self

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Return everything that a fit depends on beside data and seed, as JSON takes it."""

    @abstractmethod
    def fit(
        self, windows: PastWindows, *, seed: int, checkpoints: Path | None = None, on_step: Progress | None = None
    ) -> FittedModel:
        """Learn from training windows.

        Parameters
        ----------
        windows : PastWindows
            Of training cells; all that is learnt, scales included, comes from them.
        seed : int
            Seed of everything random.
        checkpoints : Path, optional
            Folder for checkpoints; a fit of the same data, settings and seed goes on from them.
        on_step : callable, optional
            Called with the number of finished steps and of all steps.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedNetworks(FittedModel):
    """An ensemble of networks and the scale of their inputs.

    Attributes
    ----------
    networks : tuple of torch.nn.Module
        Members: windows (n, window, channels) to scaled SOH (n, 1).
    inputs : WindowInputs
        Scale of inputs and target.
    """

    networks: tuple[torch.nn.Module, ...]
    inputs: WindowInputs

    def predict(self, windows: PastWindows) -> Array:
        """Return SOH of every member, shape (n_members, n) [-]."""
        import torch

        x = torch.as_tensor(self.inputs.channels(windows))
        with torch.no_grad():
            scaled = [
                torch.cat([network(part)[:, 0] for part in torch.split(x, PREDICTED_AT_ONCE)]).numpy()
                for network in self.networks
            ]
        return self.inputs.soh(np.stack(scaled))


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedTrees(FittedModel):
    """Extremely randomised trees and the scale of their inputs.

    Attributes
    ----------
    trees : sklearn.ensemble.ExtraTreesRegressor
        The trees.
    scaling : InputScaling
        Scale of the features.
    """

    trees: Any
    scaling: InputScaling

    def predict(self, windows: PastWindows) -> Array:
        """Return SOH, shape (1, n) [-]."""
        found: Array = self.trees.predict(tree_inputs(windows, self.scaling))[np.newaxis]
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedKernel(FittedModel):
    """Kernel regressions, each on windows of its own drawing.

    Attributes
    ----------
    members : tuple of KernelRegression
        The regressions.
    """

    members: tuple[KernelRegression, ...]

    def predict(self, windows: PastWindows) -> Array:
        """Return SOH of every member, shape (n_members, n) [-]."""
        return np.stack([member.predict(windows) for member in self.members])


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBlend(FittedModel):
    """Several fitted models that answer together.

    Attributes
    ----------
    parts : tuple of FittedModel
        The models.
    windows : tuple of int
        Cycles that each sees.
    weights : tuple of float
        Share of each in the answer.
    """

    parts: tuple[FittedModel, ...]
    windows: tuple[int, ...]
    weights: tuple[float, ...]

    def predict(self, windows: PastWindows) -> Array:
        """Return the weighted mean of the parts, shape (1, n) [-]."""
        answers = [
            part.predict(newest_cycles(windows, length)).mean(axis=0)
            for part, length in zip(self.parts, self.windows, strict=True)
        ]
        return np.average(answers, axis=0, weights=self.weights)[np.newaxis]


@dataclass(frozen=True, kw_only=True)
class NetworkKind(SohModelKind):
    """A deep ensemble of networks in PhysicsNeMo.

    Attributes
    ----------
    name : str
        Name of the kind.
    build : callable
        Makes an untrained network from the number of channels and the settings.
    settings : WindowSettings
        Size and training.
    members : int
        Networks.
    """

    name: str
    build: Build
    settings: WindowSettings
    members: int = 1

    @property
    def window(self) -> int:
        """Cycles that a window must hold."""
        return self.settings.window

    @property
    def steps(self) -> int:
        """Steps of all members."""
        return self.members * self.settings.steps

    def describe(self) -> dict[str, object]:
        """Return kind, settings and members."""
        return {"kind": self.name, "members": self.members, "settings": self.settings.as_dict()}

    def fit(
        self, windows: PastWindows, *, seed: int, checkpoints: Path | None = None, on_step: Progress | None = None
    ) -> FittedNetworks:
        """Train the members one after the other."""
        inputs = fit_window_inputs(windows)
        networks = []
        for member in range(self.members):

            def show(step: int, _loss: float, before: int = member * self.settings.steps) -> None:
                if on_step:
                    on_step(before + step, self.steps)

            networks.append(
                train_window_network(
                    self.build,
                    windows,
                    inputs,
                    self.settings,
                    seed=(seed, member),
                    checkpoints=checkpoints / f"member_{member:02d}" if checkpoints else None,
                    on_step=show,
                )
            )
        return FittedNetworks(networks=tuple(networks), inputs=inputs)


@dataclass(frozen=True, kw_only=True)
class TreesKind(SohModelKind):
    """Extremely randomised trees: the baseline.

    Attributes
    ----------
    name : str
        Name of the kind.
    """

    name: str = "trees"

    @property
    def window(self) -> int:
        """Cycles that a window must hold."""
        return DESCRIBED_WINDOW

    @property
    def steps(self) -> int:
        """One: trees are fitted at once."""
        return 1

    def describe(self) -> dict[str, object]:
        """Return the kind; its settings are constants."""
        return {"kind": self.name}

    def fit(
        self,
        windows: PastWindows,
        *,
        seed: int,
        checkpoints: Path | None = None,  # noqa: ARG002  a fit is short
        on_step: Progress | None = None,
    ) -> FittedTrees:
        """Fit the trees."""
        trees, scaling = fit_trees(windows, seed)
        if on_step:
            on_step(1, 1)
        return FittedTrees(trees=trees, scaling=scaling)


@dataclass(frozen=True, kw_only=True)
class KernelKind(SohModelKind):
    """Kernel regression on the description of the past window.

    Attributes
    ----------
    name : str
        Name of the kind.
    settings : KernelSettings
        What it is made of.
    members : int
        Regressions, each on windows of its own drawing.
    """

    name: str
    settings: KernelSettings
    members: int = 1

    @property
    def window(self) -> int:
        """Cycles that a window must hold."""
        return DESCRIBED_WINDOW

    @property
    def steps(self) -> int:
        """One for each member."""
        return self.members

    def describe(self) -> dict[str, object]:
        """Return kind, settings and members."""
        return {"kind": self.name, "members": self.members, "settings": self.settings.as_dict()}

    def fit(
        self,
        windows: PastWindows,
        *,
        seed: int,
        checkpoints: Path | None = None,  # noqa: ARG002  a fit is short
        on_step: Progress | None = None,
    ) -> FittedKernel:
        """Solve for the members one after the other."""
        members = []
        for member in range(self.members):
            members.append(fit_kernel(windows, self.settings, seed=seed * 1000 + member))
            if on_step:
                on_step(member + 1, self.members)
        return FittedKernel(members=tuple(members))


@dataclass(frozen=True, kw_only=True)
class BlendKind(SohModelKind):
    """The weighted mean of several kinds.

    Attributes
    ----------
    name : str
        Name of the kind.
    parts : tuple of SohModelKind
        What is averaged.
    weights : tuple of float
        Share of each.
    """

    name: str
    parts: tuple[SohModelKind, ...]
    weights: tuple[float, ...]

    @property
    def window(self) -> int:
        """Cycles that a window must hold."""
        return max(part.window for part in self.parts)

    @property
    def steps(self) -> int:
        """Steps of all parts."""
        return sum(part.steps for part in self.parts)

    def describe(self) -> dict[str, object]:
        """Return the kind and its parts."""
        return {"kind": self.name, "weights": self.weights, "parts": [part.describe() for part in self.parts]}

    def fit(
        self, windows: PastWindows, *, seed: int, checkpoints: Path | None = None, on_step: Progress | None = None
    ) -> FittedBlend:
        """Fit the parts one after the other."""
        fitted, finished = [], 0
        for part in self.parts:

            def show(step: int, _steps: int, before: int = finished) -> None:
                if on_step:
                    on_step(before + step, self.steps)

            fitted.append(
                part.fit(
                    newest_cycles(windows, part.window),
                    seed=seed,
                    checkpoints=checkpoints / part.name if checkpoints else None,
                    on_step=show,
                )
            )
            finished += part.steps
        windows_of_parts = tuple(part.window for part in self.parts)
        return FittedBlend(parts=tuple(fitted), windows=windows_of_parts, weights=self.weights)


def newest_cycles(windows: PastWindows, length: int) -> PastWindows:
    """Return the windows shortened to their newest cycles."""
    return replace(windows, features=windows.features[:, -length:], seen=windows.seen[:, -length:])
