"""From a pack to a model folder of runaway risk, in one call: surrogate, library, recalibration, export, card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from celltwin.core import Array, PackSpec, SettingsError

from ..exported_models import library_versions
from ..served_models import open_network
from .abuse_constants import AbuseConstants, abuse_constants_of
from .kept_replays import replay_kept
from .library_cases import DURATION, OUTSIDE
from .library_replay import ReplayedRun
from .library_runs import LibraryRun, load_run, run_library
from .risk_calibration import LibrarySplit, fit_recalibration, split_library
from .risk_card import write_card
from .risk_evaluation import Evaluation, base_rates, evaluate_runs
from .risk_folder import PRIORS_FILE, REMEDY, StoredRisk, read_risk, write_risk
from .risk_priors import RiskPriors, library_priors, parse_priors
from .surrogate import SurrogateSettings
from .surrogate_export import export_surrogate
from .surrogate_training import train_members

__all__ = ["RiskSettings", "TrainedRisk", "calibrate_risk", "priors_of_library", "train_risk"]

LEAST_RUNS = 20


@dataclass(frozen=True, kw_only=True)
class RiskSettings:
    """What is trained.

    Attributes
    ----------
    runs : int
        Runs of the scenario library.
    rollouts : int
        Cases of the surrogate's campaign.
    surrogate : SurrogateSettings
        Its networks.
    seed : int
        Of everything random.
    abuse : str
        Abuse model of the engine.
    """

    runs: int = 120
    rollouts: int = 393_216
    surrogate: SurrogateSettings = SurrogateSettings()
    seed: int = 1
    abuse: str = "hu_2020_nmc"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedRisk:
    """What came of a training.

    Attributes
    ----------
    model : StoredRisk
        The exported model.
    surrogate_figures : dict of str to float
        Of the surrogate on roll-outs that it has not seen.
    split : LibrarySplit
        Which runs calibrated.
    evaluation : Evaluation
        On the other runs.
    """

    model: StoredRisk
    surrogate_figures: dict[str, float]
    split: LibrarySplit
    evaluation: Evaluation


def priors_of_library(runs: tuple[LibraryRun, ...], seed_cells: int) -> RiskPriors:
    """Return the priors that hold within runs of the library, counted over them."""
    shorts = float(np.mean([run.case.faulty >= 0 for run in runs]))
    wrong = float(np.mean([run.case.sensor[0] == "temperature" for run in runs]))
    burnt = [bool(np.isfinite(run.onset).any()) for run in runs if run.case.family == OUTSIDE]
    fires = len(burnt) / len(runs)
    return library_priors(seed_cells, shorts, wrong, fires, float(np.mean(burnt)) if burnt else 0.5, DURATION)


def train_risk(
    spec: PackSpec,
    folder: Path,
    work: Path,
    settings: RiskSettings | None = None,
    *,
    priors: Path | None = None,
    on_step: Callable[[str, int, int], None] | None = None,
) -> TrainedRisk:
    """Train, recalibrate and export the risk model; what was kept of an earlier run is not done again.

    Parameters
    ----------
    spec : PackSpec
        The pack whose cells and cooling the library uses.
    folder, work : Path
        Folder of the model, whose name becomes the model's; folder of roll-outs, runs and checkpoints.
    settings : RiskSettings, optional
        What to train.
    priors : Path, optional
        Priors to copy into the model's folder where it has none yet.
    on_step : callable, optional
        Called with what is done, and how much of how much.

    Raises
    ------
    ModelError, SettingsError
        If the model cannot be exported, the folder has no priors, or there are too few runs.
    """
    settings = settings or RiskSettings()
    if settings.runs < LEAST_RUNS:
        raise SettingsError(
            f"{settings.runs} runs cannot be split", remedy=f"Give at least {LEAST_RUNS} runs of the library"
        )
    tell = on_step or (lambda *_: None)
    folder.mkdir(parents=True, exist_ok=True)
    if priors is not None and not (folder / PRIORS_FILE).exists():
        (folder / PRIORS_FILE).write_bytes(priors.read_bytes())
    parse_priors(folder / PRIORS_FILE)
    constants = abuse_constants_of(spec, settings.abuse)
    per_member = settings.surrogate.epochs
    trained = train_members(
        work,
        constants,
        settings.surrogate,
        cases=settings.rollouts,
        seed=settings.seed,
        on_cases=lambda done, asked: tell("Rolling cells out", done, asked),
        on_epoch=lambda member, epoch, _: tell(
            "Training the surrogate", member * per_member + epoch, settings.surrogate.members * per_member
        ),
    )
    network = export_surrogate(trained.networks, trained.data.inputs[-512:])
    return calibrate_risk(spec, folder, work, settings, constants, network, trained.figures, on_step=on_step)


def calibrate_risk(
    spec: PackSpec,
    folder: Path,
    work: Path,
    settings: RiskSettings,
    constants: AbuseConstants,
    network: bytes,
    surrogate_figures: dict[str, float],
    *,
    on_step: Callable[[str, int, int], None] | None = None,
) -> TrainedRisk:
    """Run the library, recalibrate an exported surrogate on its first runs, score it on the others, write the model.

    Parameters
    ----------
    spec, folder, work, settings, on_step
        As for :func:`train_risk`.
    constants : AbuseConstants
        The cell type.
    network : bytes
        The exported surrogate.
    surrogate_figures : dict of str to float
        Its figures, for the card.

    Raises
    ------
    ModelError
        If the folder cannot be written or has no priors.
    """
    tell = on_step or (lambda *_: None)
    session = open_network(network, str(folder), REMEDY)
    files = run_library(
        work / "library",
        spec,
        settings.runs,
        seed=settings.seed,
        on_run=lambda done, asked: tell("Running the scenario library", done, asked),
    )
    runs = tuple(load_run(path) for path in files)
    split = split_library(tuple(run.case.name for run in runs))
    by_name = {run.case.name: path for run, path in zip(runs, files, strict=True)}
    digest = hashlib.sha256(network).hexdigest()
    chosen = tuple(run for run in runs if run.case.name in split.calibration)

    def surrogate(inputs: Array) -> Array:
        return np.asarray(session.run(None, {"inputs": inputs})[0])

    within = priors_of_library(chosen, chosen[0].onset.size)
    replayed: list[ReplayedRun] = []
    for number, run in enumerate(chosen):
        place = by_name[run.case.name]
        replayed.append(replay_kept(work / "replays", place, spec, constants, surrogate, digest, within))
        tell("Replaying calibration runs", number + 1, len(chosen))
    recalibration = fit_recalibration(tuple(replayed))
    held_out = tuple(run for run in runs if run.case.name in split.test)
    scored: list[ReplayedRun] = []
    for number, run in enumerate(held_out):
        place = by_name[run.case.name]
        scored.append(replay_kept(work / "replays", place, spec, constants, surrogate, digest, within, recalibration))
        tell("Replaying test runs", number + 1, len(held_out))
    evaluation = evaluate_runs(tuple(scored), base_rates(tuple(replayed)), seed=settings.seed)
    training: dict[str, object] = {
        "settings": {**asdict(settings)},
        "surrogate_figures": surrogate_figures,
        "calibration_runs": list(split.calibration),
        "test_runs": list(split.test),
        "base_rates": list(base_rates(tuple(replayed))),
        "library_priors": asdict(within),
        "versions": library_versions(),
    }
    write_risk(
        folder,
        network,
        chemistry=spec.cell.chemistry,
        constants=constants,
        recalibration=recalibration,
        training=training,
    )
    model, _ = read_risk(folder)
    write_card(folder, model, surrogate_figures, runs, split, evaluation, library_versions())
    return TrainedRisk(model=model, surrogate_figures=surrogate_figures, split=split, evaluation=evaluation)
