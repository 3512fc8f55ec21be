"""From a folder of cycles to a model folder, in one call."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .cycles import load_cycles
from .evaluation import ProtocolFigures, evaluate_ensemble
from .export import export_model
from .model_folder import SohModel
from .soh_training import SohSettings, train_ensemble
from .splits import published_split

__all__ = ["TrainedSoh", "train_soh"]


@dataclass(frozen=True, kw_only=True)
class TrainedSoh:
    """What came of a training run.

    Attributes
    ----------
    model : SohModel
        The exported model, of the first seed.
    figures : dict of int to dict of str to ProtocolFigures
        Figures on the test cells by seed and protocol.
    validation_error : dict of str to float
        Mean absolute percentage error of each protocol on cells that a network has not seen, first seed [%].
    """

    model: SohModel
    figures: dict[int, dict[str, ProtocolFigures]]
    validation_error: dict[str, float]


def train_soh(
    data: Path,
    out: Path,
    *,
    settings: SohSettings | None = None,
    seeds: tuple[int, ...] = (1,),
    checkpoints: Path | None = None,
    resume: bool = True,
    nominal_capacity: float = 2.0,
    chemistry: str = "NMC523",
    on_epoch: Callable[[int, int, int, float], None] | None = None,
) -> TrainedSoh:
    """Train, score and export the SOH ensemble.

    Parameters
    ----------
    data, out : Path
        Folder of cycles; folder of the model, whose name becomes the model's.
    settings : SohSettings, optional
        What to train.
    seeds : tuple of int
        The first seed's ensemble is exported; further ones are only scored, to show the scatter. The first seed
        also deals the folds, for all.
    checkpoints : Path, optional
        Folder for checkpoints.
    resume : bool
        Whether to go on from checkpoints of the same run; otherwise they are deleted first.
    nominal_capacity : float
        Nominal capacity of the cells [A.h].
    chemistry : str
        Chemistry of the cells.
    on_epoch : callable, optional
        Called with seed, number of the network, finished epoch and loss.

    Raises
    ------
    CycleDataError
        If the data are missing or damaged.
    ModelError
        If the model cannot be exported.
    """
    settings = settings or SohSettings()
    cycles = load_cycles(data, nominal_capacity=nominal_capacity)
    split = published_split(cycles, folds=settings.folds, seed=seeds[0])
    if checkpoints is not None and not resume and checkpoints.is_dir():
        shutil.rmtree(checkpoints)
    ensembles = {}
    figures = {}
    for seed in seeds:
        ensembles[seed] = train_ensemble(
            cycles,
            split,
            settings,
            seed=seed,
            checkpoints=checkpoints,
            on_epoch=partial(on_epoch, seed) if on_epoch else None,
        )
        figures[seed] = evaluate_ensemble(ensembles[seed], cycles.select(split.test))
    first = ensembles[seeds[0]]
    model = export_model(out, first, cycles, split, figures, chemistry=chemistry, data_name=Path(data).name)
    return TrainedSoh(model=model, figures=figures, validation_error=first.validation_error)
