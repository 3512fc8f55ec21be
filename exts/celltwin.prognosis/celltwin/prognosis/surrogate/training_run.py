"""From a seed to a surrogate's folder, in one call: campaign, training, scores, export."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from celltwin.core import Executor

from .campaign import CampaignSettings, load_campaign, run_campaign
from .cell_inputs import RANGES
from .cell_laws import derive_laws
from .surrogate_card import write_card
from .surrogate_evaluation import RunErrors, score_surrogate
from .surrogate_folder import SurrogateModel, write_surrogate
from .surrogate_network import SurrogateSettings, layers_of
from .surrogate_training import train_surrogate_network
from .training_rows import make_rows

__all__ = ["TrainedSurrogate", "train_surrogate"]


@dataclass(frozen=True, kw_only=True)
class TrainedSurrogate:
    """What came of a training run.

    Attributes
    ----------
    model : SurrogateModel
        The exported model: of the seed with the smallest voltage error on validation profiles.
    validation, held_out : dict of int to RunErrors
        Errors by seed.
    chosen : int
        Seed that was exported.
    """

    model: SurrogateModel
    validation: dict[int, RunErrors]
    held_out: dict[int, RunErrors]
    chosen: int


def train_surrogate(
    out: Path,
    *,
    campaign: Path,
    simulated: CampaignSettings | None = None,
    settings: SurrogateSettings | None = None,
    seeds: tuple[int, ...] = (1,),
    checkpoints: Path | None = None,
    resume: bool = True,
    executor: Executor | None = None,
    on_part: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> TrainedSurrogate:
    """Simulate, train, score and export a surrogate.

    Parameters
    ----------
    out, campaign : Path
        Folder of the model, whose name becomes the model's; folder of the simulations, which are kept.
    simulated : CampaignSettings, optional
        What is simulated.
    settings : SurrogateSettings, optional
        What is trained.
    seeds : tuple of int
        A network is trained of each.
    checkpoints : Path, optional
        Folder for checkpoints.
    resume : bool
        Whether to go on from checkpoints; otherwise they are deleted first.
    executor : Executor, optional
        Where simulations run.
    on_part, on_epoch : callable, optional
        Called with finished parts of the campaign and their number; with seed, finished epoch and loss.

    Raises
    ------
    SettingsError
        If the folder holds another campaign.
    ModelError
        If simulations fail, or the model cannot be written.
    """
    simulated, settings = simulated or CampaignSettings(), settings or SurrogateSettings()
    run_campaign(campaign, simulated, executor=executor, on_part=on_part)
    data = {split: load_campaign(campaign, simulated, split) for split in ("training", "validation", "held_out")}
    laws = derive_laws(simulated.cell)
    rows = make_rows(laws, data["training"], stride=settings.stride)
    if checkpoints is not None and not resume and checkpoints.is_dir():
        shutil.rmtree(checkpoints)
    trained, validation, held_out = {}, {}, {}
    for seed in seeds:

        def show(epoch: int, loss: float, seed: int = seed) -> None:
            if on_epoch:
                on_epoch(seed, epoch, loss)

        surrogate, network, territory = train_surrogate_network(
            laws,
            rows,
            settings,
            seed=seed,
            checkpoints=checkpoints / f"seed_{seed}" if checkpoints else None,
            on_epoch=show,
        )
        trained[seed] = (layers_of(network), territory)
        validation[seed] = score_surrogate(surrogate, data["validation"])
        held_out[seed] = score_surrogate(surrogate, data["held_out"])
    chosen = min(seeds, key=lambda seed: validation[seed].rmse("voltage"))
    layers, territory = trained[chosen]
    fields = {
        "ranges": {name: (low, high) for name, (low, high, _) in RANGES.items()},
        "voltage_error": held_out[chosen].rmse("voltage"),
        "temperature_error": held_out[chosen].rmse("temperature"),
    }
    training = {
        "campaign": asdict(simulated),
        "campaign_sha256": simulated.digest(),
        "settings": settings.as_dict(),
        "seeds": list(seeds),
        "chosen_seed": chosen,
        "rows": int(rows.run.size),
        "runs_left_out": rows.left_out,
    }
    model = write_surrogate(out, fields, laws, layers, territory, training)
    write_card(out, model, simulated, settings, validation, held_out, chosen)
    return TrainedSurrogate(model=model, validation=validation, held_out=held_out, chosen=chosen)
