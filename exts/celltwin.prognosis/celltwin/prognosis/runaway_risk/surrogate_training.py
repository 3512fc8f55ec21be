"""The surrogate's ensemble, trained on the campaign of roll-outs with checkpoints that belong to its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .abuse_constants import AbuseConstants
from .rollout_campaign import SurrogateData, build_campaign
from .surrogate import SurrogateSettings, score_surrogate, train_surrogate

if TYPE_CHECKING:
    import torch

__all__ = ["TrainedSurrogate", "train_members"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedSurrogate:
    """An ensemble and its figures on the held-out tenth of the campaign.

    Attributes
    ----------
    networks : list of torch.nn.Module
        The members.
    data : SurrogateData
        The campaign.
    figures : dict of str to float
        As :func:`score_surrogate` returns them.
    """

    networks: list[torch.nn.Module]
    data: SurrogateData
    figures: dict[str, float]


def train_members(
    folder: Path,
    constants: AbuseConstants,
    settings: SurrogateSettings,
    *,
    cases: int,
    seed: int = 1,
    on_cases: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> TrainedSurrogate:
    """Roll the campaign out and train every member, each from its newest checkpoint.

    Parameters
    ----------
    folder : Path
        Where roll-outs and checkpoints are kept.
    constants : AbuseConstants
        The cell type.
    settings : SurrogateSettings
        Size and training.
    cases : int
        Roll-outs.
    seed : int
        Seed of campaign and networks.
    on_cases, on_epoch : callable, optional
        Called with finished and asked roll-outs; with member, finished epoch and loss.
    """
    data = build_campaign(folder / "rollouts", constants, cases, seed=seed, on_cases=on_cases)
    alone = {name: value for name, value in settings.as_dict().items() if name != "members"}
    text = json.dumps([constants.as_dict(), alone, data.onset.size, seed], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    networks = []
    for member in range(settings.members):

        def show(epoch: int, loss: float, number: int = member) -> None:
            if on_epoch:
                on_epoch(number, epoch, loss)

        networks.append(
            train_surrogate(
                data,
                settings,
                constants.heat_capacity,
                seed=(seed, member),
                checkpoints=folder / "surrogate" / f"{digest}_{member}",
                on_epoch=show,
            )
        )
    return TrainedSurrogate(networks=networks, data=data, figures=score_surrogate(networks, data))
