"""Training of trust: cross-fitted by cell, so that every error it learns from is one on a cell that was held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SettingsError

from ..conformal import cell_quantile
from ..past_windows import PastWindows
from ..scaling import fit_scaling, fit_territory
from .cell_bags import SohWithSpread, choose_windows
from .dagmm_training import DagmmSettings, train_dagmm
from .error_scale import ErrorScale, cell_weights, fit_error_scale
from .perturbation import add_noise, hide_features
from .trust_model import DOUBT, SIGNALS, Surroundings, TrustCalibration, duty_factors, mixture_rows, scaled_rows

if TYPE_CHECKING:
    import torch

__all__ = [
    "HeldOut",
    "Surroundings",
    "TrustSettings",
    "calibrate_trust",
    "crossed_scores",
    "fit_duty_factors",
    "hold_out",
    "learn_surroundings",
]

STANDARD_LEVEL, WIDE_LEVEL = 0.6827, 0.90
CLEAN = 0.0
# Cells that count for "errors are as large here as elsewhere": of 24 to 0, fewer were better on training cells.
DUTY_PRIOR = 1.0
SMALLEST_FACTOR = 0.05


@dataclass(frozen=True, kw_only=True)
class TrustSettings:
    """What trust is learnt from.

    Attributes
    ----------
    dagmm : DagmmSettings
        Size and training of the mixture.
    noise_levels : tuple of float
        Strengths of synthetic noise, in training spreads.
    hidden_share : float
        Share of features that is hidden in one copy of the windows.
    every, perturbed_every : int
        The mixture learns from every so many cycles; that many are perturbed.
    clean_weight : float
        Share of the clean windows in the fit of the error's scale.
    signals : tuple of str
        Signals that the scale is made of.
    flag_level : float
        Share of the cycles of an unseen cell that keep below the thresholds of energy and of distance.
    unseen : float
        How many cells the unseen one counts as in the conformal quantiles; see :func:`cell_quantile`.
    """

    dagmm: DagmmSettings = field(default_factory=DagmmSettings)
    noise_levels: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0)
    hidden_share: float = 0.2
    every: int = 6
    perturbed_every: int = 10
    clean_weight: float = 0.5
    signals: tuple[str, ...] = ("spread", "energy", "distance", "health", "unseen", "missing")
    flag_level: float = 0.975
    unseen: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the settings by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """Windows of cells that were held out, clean and perturbed, and what was said of them.

    Attributes
    ----------
    cell, protocol : ndarray of str, shape (n,)
        Cell, and how it was cycled.
    level : ndarray of shape (n,)
        Strength of the noise; 0 is clean, NaN means hidden features.
    fold : ndarray of int, shape (n,)
        In which fold the cell was held out.
    cycle, truth, soh, spread, energy, distance : ndarray of shape (n,)
        Number of the cycle; label, prediction, spread [-]; energy and distance.
    signals : ndarray of shape (n, 6)
        Columns as :data:`SIGNALS`.
    """

    cell: NDArray[np.str_]
    protocol: NDArray[np.str_]
    level: Array
    fold: NDArray[np.intp]
    cycle: Array
    truth: Array
    soh: Array
    spread: Array
    energy: Array
    distance: Array
    signals: Array

    @property
    def error(self) -> Array:
        """Absolute error [-], shape (n,)."""
        return np.abs(self.soh - self.truth)

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Which rows are clean."""
        clean: NDArray[np.bool_] = self.level == CLEAN
        return clean

    def choose(self, rows: NDArray[np.bool_]) -> HeldOut:
        """Return some of the rows."""
        return HeldOut(**{name: values[rows] for name, values in vars(self).items()})

    @staticmethod
    def join(parts: list[HeldOut]) -> HeldOut:
        """Return all rows of several."""
        return HeldOut(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def learn_surroundings(
    windows: PastWindows,
    settings: TrustSettings,
    *,
    seed: tuple[int, ...],
    checkpoints: Path | None = None,
    train: Callable[..., torch.nn.Module] = train_dagmm,
) -> Surroundings:
    """Return scaling, trained mixture and territory of training windows; the mixture sees their labels as health.

    Parameters
    ----------
    windows : PastWindows
        Of training cells.
    settings : TrustSettings
        What to learn.
    seed : tuple of int
        Seed of the mixture.
    checkpoints : Path, optional
        Folder for checkpoints of the mixture.
    train : callable
        Makes the mixture: :func:`train_dagmm`, or :func:`untrained_dagmm` to compare with.
    """
    scaling = fit_scaling(windows.features[:, -1])
    few = choose_windows(windows, np.arange(0, windows.soh.size, settings.every))
    average, beginning, newest = scaled_rows(few, scaling)
    rows = mixture_rows(average, beginning, few.cycle, few.soh)
    options = {"checkpoints": checkpoints} if checkpoints else {}
    network = train(rows, settings.dagmm, n_measured=average.shape[1], seed=seed, **options)
    return Surroundings(
        scaling=scaling,
        network=network,
        territory=fit_territory(average, few.protocol),
        newest_territory=fit_territory(newest, few.protocol),
    )


def hold_out(
    windows: PastWindows,
    predictor: SohWithSpread,
    surroundings: Surroundings,
    settings: TrustSettings,
    *,
    fold: int,
    seed: int,
) -> HeldOut:
    """Return what is said of windows of cells that neither predictor nor surroundings have seen.

    Parameters
    ----------
    windows : PastWindows
        Of the cells that were held out.
    predictor : SohWithSpread
        Fitted to other cells.
    surroundings : Surroundings
        Learnt from other cells.
    settings : TrustSettings
        Which perturbations.
    fold, seed : int
        Number of the fold; seed of the perturbations.
    """
    few = choose_windows(windows, np.arange(0, windows.soh.size, settings.perturbed_every))
    copies = [(CLEAN, windows)]
    copies += [
        (level, add_noise(few, surroundings.scaling, level, seed=seed * 1000 + fold * 100 + number))
        for number, level in enumerate(settings.noise_levels)
    ]
    copies.append((np.nan, hide_features(few, settings.hidden_share, seed=seed * 1000 + fold * 100 + 99)))
    parts = []
    for level, copy in copies:
        soh, spread = predictor.predict(copy)
        found = surroundings.evidence(copy, soh, spread)
        size = copy.soh.size
        parts.append(
            HeldOut(
                cell=copy.cell,
                protocol=copy.protocol,
                level=np.full(size, level),
                fold=np.full(size, fold),
                cycle=copy.cycle,
                truth=copy.soh,
                soh=soh,
                spread=spread,
                energy=found.energy,
                distance=found.distance,
                signals=found.signals,
            )
        )
    return HeldOut.join(parts)


def calibrate_trust(held: HeldOut, settings: TrustSettings) -> TrustCalibration:
    """Return scale, intervals and thresholds from cells that were held out.

    Parameters
    ----------
    held : HeldOut
        All training cells, each held out once: see :func:`hold_out`.
    settings : TrustSettings
        What the scale is made of.

    Raises
    ------
    SettingsError
        If there are fewer than two folds: nothing would be left to calibrate with.
    """
    clean = held.choose(held.clean)
    plain = crossed_scores(held, settings)
    scores = np.empty_like(plain)
    for fold in np.unique(clean.fold):  # a cell's own error must not widen its interval
        rows = clean.fold == fold
        others = fit_duty_factors(plain[~rows], clean.cell[~rows], clean.protocol[~rows])
        scores[rows] = plain[rows] / duty_factors(others, clean.protocol[rows])

    def quantile(values: Array, level: float) -> float:
        return _finite_quantile(values, clean.cell, level, settings.unseen)

    return TrustCalibration(
        error_scale=_fit(held, settings),
        standard_quantile=quantile(scores, STANDARD_LEVEL),
        wide_quantile=quantile(scores, WIDE_LEVEL),
        energy_threshold=quantile(clean.energy, settings.flag_level),
        distance_threshold=quantile(clean.distance, settings.flag_level),
        lowest=float(clean.truth.min()),
        highest=float(clean.truth.max()),
        duty_factors=fit_duty_factors(plain, clean.cell, clean.protocol),
    )


def fit_duty_factors(
    scores: Array, cells: NDArray[np.str_], protocols: NDArray[np.str_], *, prior: float = DUTY_PRIOR
) -> dict[str, float]:
    """Return how much larger errors are among the cells of each protocol than the scale says.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Errors over scales that were fitted without the cell.
    cells, protocols : ndarray of str, shape (n,)
        Cell, and how it was cycled; a cell weighs the same however long it lived.
    prior : float
        Cells that the factor 1 counts for: few cells say little of their protocol.
    """
    every = float(cell_weights(cells) @ scores)
    factors = {}
    for name in np.unique(protocols):
        rows = protocols == name
        count = np.unique(cells[rows]).size
        ratio = float(cell_weights(cells[rows]) @ scores[rows]) / every
        factors[str(name)] = float(np.exp(count / (count + prior) * np.log(max(ratio, SMALLEST_FACTOR))))
    return factors


def crossed_scores(held: HeldOut, settings: TrustSettings) -> Array:
    """Return error over scale of the clean rows, each by a scale that was fitted without the folds of its cell."""
    clean = held.choose(held.clean)
    folds = np.unique(held.fold)
    if folds.size < 2:
        raise SettingsError(
            "intervals from one fold would be those of cells that the scale was fitted to",
            remedy="Hold out the training cells in at least two folds",
        )
    scores = np.empty(clean.truth.size)
    for fold in folds:
        rows = clean.fold == fold
        scale = _fit(held.choose(held.fold != fold), settings)
        scores[rows] = clean.error[rows] / scale.of(clean.signals[rows])
    return scores


def _fit(held: HeldOut, settings: TrustSettings) -> ErrorScale:
    clean = held.clean
    weights = np.empty(held.truth.size)
    weights[clean] = settings.clean_weight * cell_weights(held.cell[clean])
    if not clean.all():
        weights[~clean] = (1.0 - settings.clean_weight) * cell_weights(held.cell[~clean])
    weights /= weights.sum()

    used = np.isin(SIGNALS, settings.signals)
    found = fit_error_scale(held.signals * used, held.error, weights, doubt=DOUBT)
    return replace(found, weights=found.weights * used)


def _finite_quantile(scores: Array, cells: NDArray[np.str_], level: float, unseen: float) -> float:
    """Return the conformal quantile, or the largest score where the cells are too few for the level."""
    quantile = cell_quantile(scores, cells, level, unseen=unseen)
    return quantile if np.isfinite(quantile) else float(scores.max())
