"""Training of the SOH ensemble: cross-fitted by cell, calibrated on the cells that each member has not seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from .conformal import cell_quantile
from .cycles import CellCycles, CycleSet, stack_cells
from .features import feature_columns
from .network import NetworkSettings, train_network
from .scaling import InputScaling, Territory, fit_scaling, fit_territory
from .splits import Split

if TYPE_CHECKING:
    import torch

__all__ = ["Calibration", "SohEnsemble", "SohSettings", "predict_soh", "train_ensemble"]

# Chosen by cross-validation over training cells; see the model card for what else was tried.
DEFAULT_INPUTS = (
    "voltage mean",
    "voltage std",
    "CC Q",
    "CC charge time",
    "current mean",
    "current std",
    "CV Q",
    "CV charge time",
)
FALLING_INPUT = "CV charge time"
STANDARD_LEVEL, WIDE_LEVEL = 0.6827, 0.90
TERRITORY_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class SohSettings:
    """What to train.

    Attributes
    ----------
    inputs : tuple of str
        Features that the network sees.
    folds, members : int
        Folds of the training cells, and networks for each fold; the ensemble has folds x members networks.
    network : NetworkSettings
        Size and training of each.
    """

    inputs: tuple[str, ...] = DEFAULT_INPUTS
    folds: int = 5
    members: int = 3
    network: NetworkSettings = field(default_factory=NetworkSettings)

    def as_dict(self) -> dict[str, object]:
        """Return the settings as JSON takes them."""
        return {**asdict(self), "inputs": list(self.inputs)}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What turns the spread of the ensemble into intervals.

    The scale of a prediction is ``sqrt(floor**2 + spread**2)``, widened in proportion to the distance where that
    is past the threshold; intervals are the prediction plus and minus a quantile times the scale.

    Attributes
    ----------
    floor : float
        Root mean square error on calibration cells [SOH].
    standard_quantile, wide_quantile : float
        Conformal quantiles at 68.27 % (one standard uncertainty) and at 90 %.
    lowest, highest : float
        Range of SOH in the training data; a prediction outside is an extrapolation.
    """

    floor: float
    standard_quantile: float
    wide_quantile: float
    lowest: float
    highest: float

    def scale(self, spread: Array, distance: Array, threshold: float) -> Array:
        """Return the scale of predictions, from the members' spread and the distance, each of shape (n,)."""
        widening = np.maximum(1.0, distance / threshold)
        scale: Array = np.hypot(self.floor, spread) * widening
        return scale


@dataclass(frozen=True, kw_only=True, eq=False)
class SohEnsemble:
    """A trained and calibrated ensemble.

    Attributes
    ----------
    settings : SohSettings
        What was asked for.
    seed : int
        Seed of the networks.
    networks : tuple of torch.nn.Module
        Members, fold after fold.
    scaling, target : InputScaling, tuple of float
        Scale of the inputs; mean and spread of SOH.
    territory : Territory
        Where the training data lie.
    calibration : Calibration
        What intervals are made of.
    validation_error : dict of str to float
        Mean absolute percentage error of each protocol on the cells that a member has not seen [%].
    """

    settings: SohSettings
    seed: int
    networks: tuple[torch.nn.Module, ...]
    scaling: InputScaling
    target: tuple[float, float]
    territory: Territory
    calibration: Calibration
    validation_error: dict[str, float]


def train_ensemble(
    cycles: CycleSet,
    split: Split,
    settings: SohSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    on_epoch: Callable[[int, int, float], None] | None = None,
) -> SohEnsemble:
    """Train and calibrate an ensemble on the training cells of a split.

    Parameters
    ----------
    cycles : CycleSet
        The data.
    split : Split
        Folds of the training cells; the test cells are not looked at.
    settings : SohSettings
        What to train.
    seed : int
        Seed of everything random.
    checkpoints : Path, optional
        Folder for checkpoints; training goes on from those of the same data, split, settings and seed.
    on_epoch : callable, optional
        Called with the number of the network, of the finished epoch, and the loss.
    """
    columns = feature_columns(settings.inputs)
    cells = cycles.select(split.training)
    raw, soh, names = stack_cells(cells, columns)
    scaling = fit_scaling(raw)
    inputs = scaling.apply(raw)
    target = (float(soh.mean()), float(soh.std()))
    falling = settings.inputs.index(FALLING_INPUT) if FALLING_INPUT in settings.inputs else None
    folder = checkpoints / _fingerprint(cycles, split, settings, seed) if checkpoints else None
    predicted, spread, distance = np.empty((3, soh.size))
    protocols = _protocol_of(cells)
    networks: list[torch.nn.Module] = []
    for fold, left_out in enumerate(split.folds):
        seen = ~np.isin(names, left_out)
        members = []
        for member in range(settings.members):
            number = fold * settings.members + member
            members.append(
                train_network(
                    inputs[seen],
                    (soh[seen] - target[0]) / target[1],
                    settings.network,
                    seed=(seed, fold, member),
                    falling_input=falling,
                    checkpoints=folder / f"network_{number:02d}" if folder else None,
                    on_epoch=partial(on_epoch, number) if on_epoch else None,
                )
            )
        predicted[~seen], spread[~seen] = predict_soh(members, inputs[~seen], target)
        distance[~seen] = fit_territory(inputs[seen], protocols[seen]).distance(inputs[~seen])
        networks.extend(members)
    threshold = cell_quantile(distance, names, TERRITORY_LEVEL)
    if not np.isfinite(threshold):  # too few cells for the level: the largest distance seen
        threshold = float(distance.max())
    error = np.abs(predicted - soh)
    floor = float(np.sqrt(np.mean(error**2)))
    scores = error / np.hypot(floor, spread)
    return SohEnsemble(
        settings=settings,
        seed=seed,
        networks=tuple(networks),
        scaling=scaling,
        target=target,
        territory=fit_territory(inputs, protocols, threshold),
        calibration=Calibration(
            floor=floor,
            standard_quantile=_finite_quantile(scores, names, STANDARD_LEVEL),
            wide_quantile=_finite_quantile(scores, names, WIDE_LEVEL),
            lowest=float(soh.min()),
            highest=float(soh.max()),
        ),
        validation_error={
            str(protocol): float(100.0 * np.mean((error / soh)[protocols == protocol]))
            for protocol in np.unique(protocols)
        },
    )


def predict_soh(networks: list[torch.nn.Module], inputs: Array, target: tuple[float, float]) -> tuple[Array, Array]:
    """Return mean and spread of the members' SOH, each (n,), for scaled inputs (n, n_inputs)."""
    import torch

    x = torch.as_tensor(inputs, dtype=torch.float32)
    with torch.no_grad():
        values = np.stack([network(x)[:, 0].double().numpy() for network in networks]) * target[1] + target[0]
    return values.mean(axis=0), values.std(axis=0)


def _finite_quantile(scores: Array, names: NDArray[np.str_], level: float) -> float:
    """Return the conformal quantile, or the largest score where the cells are too few for the level."""
    quantile = cell_quantile(scores, names, level)
    return quantile if np.isfinite(quantile) else float(scores.max())


def _protocol_of(cells: tuple[CellCycles, ...]) -> NDArray[np.str_]:
    return np.concatenate([np.full(cell.soh.size, cell.protocol) for cell in cells])


def _fingerprint(cycles: CycleSet, split: Split, settings: SohSettings, seed: int) -> str:
    content = json.dumps([cycles.digest, split.folds, settings.as_dict(), seed], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
