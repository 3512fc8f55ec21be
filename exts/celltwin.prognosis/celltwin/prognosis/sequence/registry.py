"""The kinds of model that can be trained and judged, by name, with the settings that were chosen for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from celltwin.core import SettingsError

from .distillation import DistillationSettings
from .distilled_kind import DistilledKind
from .kernel_regression import KernelPart, KernelSettings
from .kinds import BlendKind, KernelKind, NetworkKind, SohModelKind, TreesKind
from .one_cycle import build_one_cycle
from .recurrent import build_recurrent
from .settings import PhysicsWeights, WindowSettings
from .transformer import build_transformer

__all__ = ["DEFAULT_KIND", "MODEL_KINDS", "TRANSFER_KIND", "default_kind", "model_kind"]

DEFAULT_KIND, TRANSFER_KIND = "duty", "transfer"

# Chosen by cross-validation over training cells of the published split; `./repo.sh bench soh` says what was tried.
_WHOLE = {"newest": 0.11, "short": 0.11, "long": 0.11, "jump": 0.11, "trend": 0.11}
KERNEL = KernelSettings(
    parts=(
        KernelPart(blocks={**_WHOLE, "age": 1.33}, weight=0.6),
        KernelPart(blocks={"short": 0.11, "trend": 0.22, "change": 0.22, "age": 0.89}, weight=0.4),
    ),
    decay=1.3,
    noise=0.05,
    points=2000,
)
# Where it is known how the cells are used: the same, and cells of one duty are more alike; what repeats with the duty
# is a term of its own.
DUTIFUL = KernelSettings(
    parts=(
        KernelPart(blocks={"short": 0.08, "long": 0.08, "trend": 0.08, "age": 2.0, "duty": 0.4}, weight=0.6),
        KernelPart(blocks={"short": 0.08, "trend": 0.16, "change": 0.16, "age": 1.33, "duty": 0.4}, weight=0.4),
        KernelPart(blocks={"rhythm": 0.15, "duty": 1.0}, weight=0.1),
    ),
    decay=1.0,
    noise=0.1,
    points=1500,
    learnt=16000,
)
# For protocols that no training cell had: without the age, which means something else there. Chosen by leaving out
# protocols of training cells.
AGELESS = KernelSettings(
    parts=(
        KernelPart(blocks=_WHOLE, weight=0.6),
        KernelPart(blocks={"short": 0.11, "trend": 0.22, "change": 0.22}, weight=0.4),
    ),
    decay=1.3,
    noise=0.05,
    points=2000,
)
RELATIVE = KernelSettings(parts=(KernelPart(blocks={"ratio": 0.33}, weight=1.0),), decay=0.2, noise=0.3, points=2000)
WINDOW = WindowSettings()
ONE_CYCLE = WindowSettings(window=1, width=64, layers=3, learning_rate=2e-3)
PINN = replace(ONE_CYCLE, physics=PhysicsWeights(dynamics=0.1, monotonicity=1.0, charge_balance=0.1))

_RECURRENT = NetworkKind(name="recurrent", build=build_recurrent, settings=WINDOW)
_KERNEL = KernelKind(name="kernel", settings=KERNEL)
_DUTY = KernelKind(name="duty", settings=DUTIFUL)
_TREES = TreesKind()

MODEL_KINDS: Mapping[str, SohModelKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            BlendKind(name="blend", parts=(_KERNEL, _RECURRENT), weights=(3.0, 1.0)),
            BlendKind(
                name="transfer",
                parts=(KernelKind(name="ageless", settings=AGELESS), KernelKind(name="relative", settings=RELATIVE)),
                weights=(1.0, 1.0),
            ),
            _DUTY,
            DistilledKind(name="duty-network", teacher=_DUTY, settings=DistillationSettings()),
            _KERNEL,
            _RECURRENT,
            NetworkKind(name="transformer", build=build_transformer, settings=WINDOW),
            NetworkKind(name="pinn", build=build_one_cycle, settings=PINN),
            NetworkKind(name="mlp", build=build_one_cycle, settings=ONE_CYCLE),
            _TREES,
        )
    }
)


def default_kind(protocol: str) -> str:
    """Return the name of the kind that is meant for an evaluation protocol."""
    return TRANSFER_KIND if protocol == "lobo" else DEFAULT_KIND


def model_kind(name: str, *, members: int | None = None, steps: int | None = None) -> SohModelKind:
    """Return a kind of model by its name.

    Parameters
    ----------
    name : str
        One of :data:`MODEL_KINDS`.
    members : int, optional
        Networks or regressions of an ensemble, where the kind has any.
    steps : int, optional
        Steps that a network is trained for.

    Raises
    ------
    SettingsError
        If there is no such kind.
    """
    if name not in MODEL_KINDS:
        raise SettingsError(f"the kind of model {name!r} is unknown", remedy=f"Choose one of {', '.join(MODEL_KINDS)}")
    return _adjusted(MODEL_KINDS[name], members, steps)


def _adjusted(kind: SohModelKind, members: int | None, steps: int | None) -> SohModelKind:
    if isinstance(kind, BlendKind):
        return replace(kind, parts=tuple(_adjusted(part, members, steps) for part in kind.parts))
    if isinstance(kind, NetworkKind):
        settings = replace(kind.settings, steps=steps or kind.settings.steps)
        return replace(kind, settings=settings, members=members or kind.members)
    if isinstance(kind, KernelKind):
        return replace(kind, members=members or kind.members)
    if isinstance(kind, DistilledKind):
        teacher = replace(kind.teacher, members=members or kind.teacher.members)
        return replace(kind, teacher=teacher, settings=replace(kind.settings, steps=steps or kind.settings.steps))
    return kind
