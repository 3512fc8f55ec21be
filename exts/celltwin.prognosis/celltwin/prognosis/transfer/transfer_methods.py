"""Ways to predict a fleet of which few labels are known: from scratch, from another fleet, and between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from celltwin.core import Array

from ..past_windows import PastWindows
from ..sequence.kinds import FittedNetworks, KernelKind, NetworkKind, newest_cycles
from ..sequence.recurrent import build_recurrent
from ..sequence.registry import KERNEL
from ..sequence.settings import WindowSettings
from ..sequence.window_description import DESCRIBED_WINDOW
from .fine_tuning import TuningRecipe, tune_networks
from .fleet_views import FLEET_VIEWS, FleetView
from .replay_memory import join_windows

__all__ = ["LONGER", "METHODS", "Configuration", "TransferSettings", "answer", "configurations", "pretrain"]

LONGER = "scratch, longer"
# In the order of the tables; what each is, for people.
METHODS = {
    "mean": "mean label of the few",
    "kernel": "kernel, the few alone",
    "scratch": "network, from scratch",
    LONGER: "network, from scratch, steps of both",
    "pretrained": "pre-trained, not tuned",
    "corrected": "pre-trained, line through its errors",
    "tuned": "pre-trained and tuned",
    "rehearsed": "pre-trained, tuned beside the source",
}
REHEARSAL = 0.5  # share of source windows in a step
LINE_PRIOR = 0.02  # [SOH] spread of labels from which on they decide the slope of the correction
# What tuning may keep, and how fast it may go.
RECIPES = (
    TuningRecipe(learning_rate=4e-3),
    TuningRecipe(learning_rate=1e-3),
    TuningRecipe(learning_rate=1e-3, frozen=("memory",)),
)


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    """Budgets of a comparison; the same for every method.

    Attributes
    ----------
    network : WindowSettings
        The recurrent network, and how it is pre-trained.
    steps : int
        Steps of the tuning, and of the training from scratch.
    most_source, most_few, most_scored : int
        Windows that are learnt from and scored, at most about.
    """

    network: WindowSettings = field(default_factory=lambda: WindowSettings(steps=400, batch=64))
    steps: int = 150
    most_source: int = 6000
    most_few: int = 1500
    most_scored: int = 3000

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return {**asdict(self), "network": self.network.as_dict()}

    @property
    def kind(self) -> NetworkKind:
        """The kind of network that is pre-trained."""
        return NetworkKind(name="recurrent", build=build_recurrent, settings=self.network)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A method with the choices that it leaves open.

    Attributes
    ----------
    method : str
        One of :data:`METHODS`.
    view : str
        One of :data:`FLEET_VIEWS`; of networks only.
    recipe : TuningRecipe or None
        Of tuning only.
    """

    method: str
    view: str = ""
    recipe: TuningRecipe | None = None

    @property
    def name(self) -> str:
        """The choices in words."""
        parts = [self.view, self.recipe.name if self.recipe else ""]
        return "; ".join(part for part in parts if part) or self.method

    def as_dict(self) -> dict[str, object]:
        """Return the configuration as JSON takes it."""
        return {
            "method": self.method,
            "view": self.view,
            "recipe": self.recipe.as_dict() if self.recipe else None,
        }


def configurations(settings: TransferSettings) -> tuple[Configuration, ...]:
    """Return every configuration that is tried; which of a method is used is chosen without the scored cells."""
    made = [Configuration(method="mean"), Configuration(method="kernel")]
    for name, view in FLEET_VIEWS.items():
        made += [Configuration(method=method, view=name) for method in ("pretrained", "corrected")]
        recipes = [replace(recipe, steps=settings.steps, batch=settings.network.batch) for recipe in RECIPES]
        made += [Configuration(method="tuned", view=name, recipe=recipe) for recipe in recipes]
        if view.shared:  # source and target can stand in one batch
            made += [Configuration(method="rehearsed", view=name, recipe=recipe) for recipe in recipes[:2]]
        if view.ratio or not view.shared:  # without a source there is no scale of it
            made.append(Configuration(method="scratch", view=name))
    return tuple(made)


def pretrain(
    source: PastWindows,
    view: FleetView,
    settings: TransferSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> FittedNetworks:
    """Return a network that has learnt from the source as a view shows it."""
    windows = view.show(newest_cycles(source, settings.network.window))
    return settings.kind.fit(windows, seed=seed, checkpoints=checkpoints, on_step=on_step)


def answer(
    configuration: Configuration,
    few: PastWindows,
    scored: PastWindows,
    source: Callable[[], PastWindows],
    pretrained: Callable[[FleetView], FittedNetworks],
    settings: TransferSettings,
    *,
    seed: int,
) -> Array:
    """Return SOH of scored windows, shape (n,) [-], by one configuration.

    Parameters
    ----------
    configuration : Configuration
        What to do.
    few, scored : PastWindows
        Windows that may be learnt from, and those to predict; of at least 24 cycles.
    source : callable
        Gives the windows of the source.
    pretrained : callable
        Gives the pre-trained network of a view.
    settings : TransferSettings
        Budgets.
    seed : int
        Seed of everything random.
    """
    method = configuration.method
    if method == "mean":
        return np.full(scored.soh.size, few.soh.mean())
    if method == "kernel":
        kernel = KernelKind(name="kernel", settings=KERNEL).fit(newest_cycles(few, DESCRIBED_WINDOW), seed=seed)
        return kernel.predict(newest_cycles(scored, DESCRIBED_WINDOW)).mean(axis=0)
    view, length = FLEET_VIEWS[configuration.view], settings.network.window
    few, scored = (view.show(newest_cycles(each, length)) for each in (few, scored))
    if method in ("scratch", LONGER):
        steps = settings.steps + (settings.network.steps if method == LONGER else 0)
        kind = replace(settings.kind, settings=replace(settings.network, steps=steps))
        return kind.fit(few, seed=seed).predict(scored).mean(axis=0)
    known = pretrained(view)
    carried = replace(known, inputs=view.carry(known.inputs, few))
    if configuration.recipe is not None:
        likelihood = None
        if method == "rehearsed":
            old = view.show(newest_cycles(source(), length))
            sizes, shares = (few.soh.size, old.soh.size), (1.0 - REHEARSAL, REHEARSAL)
            likelihood = np.repeat([share / size for share, size in zip(shares, sizes, strict=True)], sizes)
            few = join_windows(few, old)
        tuned = tune_networks(carried, settings.kind, few, configuration.recipe, seed=seed, likelihood=likelihood)
        return tuned.predict(scored).mean(axis=0)
    found = carried.predict(scored).mean(axis=0)
    return _straighten(carried.predict(few).mean(axis=0), few.soh, found) if method == "corrected" else found


def _straighten(said: Array, labels: Array, found: Array) -> Array:
    """Return predictions corrected by the line through labels over predictions, its slope drawn towards one."""
    centre, prior = said.mean(), LINE_PRIOR**2
    slope = (np.mean((said - centre) * (labels - labels.mean())) + prior) / (np.mean((said - centre) ** 2) + prior)
    corrected: Array = labels.mean() + slope * (found - centre)
    return corrected
