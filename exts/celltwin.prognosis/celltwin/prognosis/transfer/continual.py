"""Continual learning: a model takes up labels as they arrive and keeps what it knew by replay."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array, ModelError, SettingsError

from ..past_windows import PastWindows
from ..scaling import InputScaling
from ..sequence.kinds import FittedNetworks, NetworkKind
from ..sequence.network_training import balance_protocols
from ..sequence.registry import MODEL_KINDS
from ..sequence.settings import PhysicsWeights, WindowSettings
from ..sequence.window_inputs import EXTRA_CHANNELS, WindowInputs
from ..trust.cell_bags import choose_windows
from .fine_tuning import TuningRecipe, digest_networks, tune_networks
from .replay_memory import ReplayMemory, join_windows

if TYPE_CHECKING:
    import torch

__all__ = ["Candidate", "ContinualLearner", "ContinualSettings"]

FORMAT = "continual learner 1"
STATE_FILE = "learner.json"


@dataclass(frozen=True, kw_only=True)
class ContinualSettings:
    """How a learner takes up labels.

    Share of replay and rate of learning were chosen on training cells of XJTU, with a third of them held out.

    Attributes
    ----------
    memory : int
        Most windows of what was learnt before that are kept for replay; 0: no replay.
    recent : int
        Most windows that are kept of those that came since a candidate was last adopted.
    replay : float
        Share of the windows of a step that come from the memory.
    recipe : TuningRecipe
        How networks are tuned.

    Raises
    ------
    SettingsError
        If there is no room for new windows, or the share is not in [0, 1).
    """

    memory: int = 1000
    recent: int = 2000
    replay: float = 0.8
    recipe: TuningRecipe = field(default_factory=lambda: TuningRecipe(learning_rate=4e-3))

    def __post_init__(self) -> None:
        if self.memory < 0 or self.recent < 1 or not 0.0 <= self.replay < 1.0:
            raise SettingsError(
                f"memory {self.memory}, recent {self.recent}, replay {self.replay:g} leave nothing to learn",
                remedy="Give a memory of 0 or more, at least one recent window and a share from 0 up to 1",
            )

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return {**asdict(self), "recipe": self.recipe.as_dict()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """What came of an update; it takes the place of the shipped model only when it is adopted.

    Attributes
    ----------
    model : FittedNetworks
        The tuned networks.
    digest, parent : str
        SHA-256 of it and of the model that it was tuned from.
    update : int
        Number of the update, from 1.
    recent, replayed : int
        Windows that it could learn from: new ones, and ones of the memory.
    """

    model: FittedNetworks
    digest: str
    parent: str
    update: int
    recent: int
    replayed: int


class ContinualLearner:
    """A shipped model, a bounded memory of what it has learnt from, and the labels that came since.

    Parameters
    ----------
    kind : NetworkKind
        How the model was made.
    model : FittedNetworks
        The shipped model.
    learnt : PastWindows
        Windows that it has learnt from; the memory keeps a uniform draw of them.
    settings : ContinualSettings, optional
        How to learn.
    seed : int
        Seed of everything random.

    Attributes
    ----------
    model : FittedNetworks
        The shipped model; changed by :meth:`adopt` alone.
    digest : str
        SHA-256 of it.
    updates, attempts : int
        Updates so far; those since a candidate was last adopted.
    memory, recent : ReplayMemory
        What is replayed, and the labels that came since a candidate was last adopted.
    newest : dict of str to float
        Number of the newest cycle of each cell whose label was handed over.
    """

    def __init__(
        self,
        kind: NetworkKind,
        model: FittedNetworks,
        learnt: PastWindows,
        settings: ContinualSettings | None = None,
        *,
        seed: int = 1,
    ) -> None:
        self.kind = kind
        self.settings = settings or ContinualSettings()
        self.seed = seed
        self.model = model
        self.digest = digest_networks(model)
        self.updates = 0
        self.attempts = 0
        self.memory = ReplayMemory(capacity=self.settings.memory, seed=seed).offer(learnt)
        self.recent = ReplayMemory(capacity=self.settings.recent, seed=seed)
        self.newest = _newest(learnt)

    def unseen(self, windows: PastWindows) -> PastWindows:
        """Return those of some windows that are newer than what the learner has had of their cell."""
        known = np.array([self.newest.get(str(name), 0.0) for name in windows.cell])
        return choose_windows(windows, windows.cycle > known)

    def update(
        self, new: PastWindows, *, checkpoints: Path | None = None, on_step: Callable[[int, int], None] | None = None
    ) -> Candidate:
        """Return a candidate that has learnt from new labelled windows, the recent ones and replay.

        The same windows in the same order with the same seed give the same candidate.

        Parameters
        ----------
        new : PastWindows
            Windows whose label has arrived.
        checkpoints : Path, optional
            Folder for checkpoints of this update.
        on_step : callable, optional
            Called with the number of finished steps and of all.

        Raises
        ------
        SettingsError
            If there is no new window, or a label is not a number.
        """
        if new.soh.size == 0 or not np.isfinite(new.soh).all():
            raise SettingsError(
                f"{new.soh.size} new windows, {int((~np.isfinite(new.soh)).sum())} of them without a label",
                remedy="Hand over windows of cycles with a measured capacity only",
            )
        recent = self.recent.offer(new)
        windows = recent.windows
        assert windows is not None  # a window was offered, and there is room for one
        likelihood = balance_protocols(windows.protocol, self.kind.settings.balance)
        replayed = self.memory.windows
        if replayed is not None:
            old = balance_protocols(replayed.protocol, self.kind.settings.balance)
            share = self.settings.replay
            likelihood = np.concatenate([(1.0 - share) * likelihood, share * old])
            windows = join_windows(windows, replayed)
        model = tune_networks(
            self.model,
            self.kind,
            windows,
            self.settings.recipe,
            seed=int(np.random.SeedSequence((self.seed, self.updates)).generate_state(1)[0]),
            likelihood=likelihood,
            checkpoints=checkpoints,
            on_step=on_step,
        )
        self.recent = recent
        for name, cycle in _newest(new).items():
            self.newest[name] = max(cycle, self.newest.get(name, 0.0))
        self.updates += 1
        self.attempts += 1
        return Candidate(
            model=model,
            digest=digest_networks(model),
            parent=self.digest,
            update=self.updates,
            recent=recent.size,
            replayed=self.memory.size,
        )

    def adopt(self, candidate: Candidate) -> None:
        """Ship a candidate: what it has learnt from enters the memory.

        Raises
        ------
        ModelError
            If it was tuned from another model than the one that is shipped.
        """
        if candidate.parent != self.digest:
            raise ModelError(
                f"candidate {candidate.digest[:12]} was tuned from {candidate.parent[:12]}, not {self.digest[:12]}",
                remedy="Update again from the model that is shipped now",
            )
        if self.recent.windows is not None:
            self.memory = self.memory.offer(self.recent.windows)
        self.recent = replace(self.recent, windows=None)
        self.model, self.digest, self.attempts = candidate.model, candidate.digest, 0

    def save(self, folder: Path) -> None:
        """Write model, memory and counters; an interrupted writing leaves what was there before."""
        files = {"model": _networks_bytes(self.model), "memory": _windows_bytes(self.memory.windows)}
        files["recent"] = _windows_bytes(self.recent.windows)
        folder.mkdir(parents=True, exist_ok=True)
        named = {}
        for name, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            named[name] = {"file": f"{name}_{digest[:16]}.bin", "sha256": digest}
            (folder / named[name]["file"]).write_bytes(content)
        state = {
            "format": FORMAT,
            "kind": self.kind.describe(),
            "settings": self.settings.as_dict(),
            "seed": self.seed,
            "updates": self.updates,
            "attempts": self.attempts,
            "digest": self.digest,
            "newest": self.newest,
            "files": named,
        }
        new = folder / f"{STATE_FILE}.new"
        new.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        new.replace(folder / STATE_FILE)
        kept = {entry["file"] for entry in named.values()}
        for file in folder.glob("*_*.bin"):
            if file.name not in kept:
                file.unlink()

    @classmethod
    def load(cls, folder: Path) -> ContinualLearner:
        """Return the learner that :meth:`save` wrote.

        Raises
        ------
        ModelError
            If the folder holds none, or a file is damaged.
        """
        remedy = "Begin a new learner in another folder, or restore this one"
        try:
            state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise ValueError(f"format {state['format']!r}")
            content = {name: _checked(folder, entry) for name, entry in state["files"].items()}
            learner = cls.__new__(cls)
            learner.kind = _kind(state["kind"])
            recipe = state["settings"].pop("recipe")
            learner.settings = ContinualSettings(
                **state["settings"], recipe=TuningRecipe(**{**recipe, "frozen": tuple(recipe["frozen"])})
            )
            learner.seed = state["seed"]
            learner.updates, learner.attempts = state["updates"], state["attempts"]
            learner.newest = state["newest"]
            learner.model = _read_networks(content["model"], learner.kind)
            learner.digest = digest_networks(learner.model)
            capacities = {"memory": learner.settings.memory, "recent": learner.settings.recent}
            learner.memory, learner.recent = (
                ReplayMemory(capacity=capacities[name], seed=learner.seed, windows=_read_windows(content[name]))
                for name in ("memory", "recent")
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"no learner can be read ({error})", where=str(folder), remedy=remedy) from None
        if learner.digest != state["digest"]:
            raise ModelError("the weights are not those that were shipped", where=str(folder), remedy=remedy)
        return learner


def _newest(windows: PastWindows) -> dict[str, float]:
    return {str(name): float(windows.cycle[windows.cell == name].max()) for name in np.unique(windows.cell)}


def _checked(folder: Path, entry: dict[str, str]) -> bytes:
    content = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError(f"{entry['file']} is damaged")
    return content


def _kind(described: dict[str, Any]) -> NetworkKind:
    kind = MODEL_KINDS[described["kind"]]
    if not isinstance(kind, NetworkKind):
        raise ValueError(f"{described['kind']} is not a network")
    values = dict(described["settings"])
    values["inputs"] = tuple(values["inputs"])
    values["physics"] = PhysicsWeights(**values["physics"])
    return replace(kind, settings=WindowSettings(**values), members=described["members"])


def _networks_bytes(fitted: FittedNetworks) -> bytes:
    import torch

    scaling = fitted.inputs.scaling
    content = {
        "networks": [network.state_dict() for network in fitted.networks],
        "target": list(fitted.inputs.target),
        "scaling": {item.name: torch.as_tensor(getattr(scaling, item.name)) for item in fields(scaling)},
    }
    written = io.BytesIO()
    torch.save(content, written)
    return written.getvalue()


def _read_networks(content: bytes, kind: NetworkKind) -> FittedNetworks:
    import torch

    read = torch.load(io.BytesIO(content), weights_only=True)
    scaling = InputScaling(**{name: value.numpy() for name, value in read["scaling"].items()})
    channels = 2 * scaling.mean.size + EXTRA_CHANNELS
    networks: list[torch.nn.Module] = []
    for weights in read["networks"]:
        network = kind.build(channels, kind.settings)
        network.load_state_dict(weights)
        networks.append(network.eval())
    target = (float(read["target"][0]), float(read["target"][1]))
    return FittedNetworks(networks=tuple(networks), inputs=WindowInputs(scaling=scaling, target=target))


def _windows_bytes(windows: PastWindows | None) -> bytes:
    arrays: dict[str, Array] = (
        {} if windows is None else {item.name: getattr(windows, item.name) for item in fields(windows)}
    )
    written = io.BytesIO()
    np.savez(written, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own arguments
    return written.getvalue()


def _read_windows(content: bytes) -> PastWindows | None:
    with np.load(io.BytesIO(content)) as archive:
        found = {name: archive[name] for name in archive.files}
    return PastWindows(**found) if found else None
