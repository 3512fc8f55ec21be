"""How sure a prediction of health is: an interval, a score, and whether it should be trusted at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, CelltwinError

from ..past_windows import PastWindows
from ..scaling import InputScaling, Territory
from ..window_means import bounded_means
from .dagmm_training import dagmm_energy
from .error_scale import ErrorScale

if TYPE_CHECKING:
    import torch

__all__ = [
    "DOUBT",
    "EXTRAPOLATION",
    "FRESH",
    "SIGNALS",
    "Evidence",
    "Surroundings",
    "TrustAssessment",
    "TrustCalibration",
    "TrustLimits",
    "TrustModel",
    "duty_factors",
    "find_reasons",
    "find_signals",
    "mixture_rows",
    "scaled_rows",
]

# What the score is made of, and which of it may only raise doubt.
SIGNALS = ("spread", "energy", "distance", "health", "unseen", "missing")
DOUBT = np.array([True, True, True, False, True, True])
LARGEST_ROW = 30.0  # spreads: farther away is as far as it gets
HEALTH_CENTRE = 0.9  # [SOH]
ENERGY_UNIT = 10.0  # energies are compressed past this
SMALLEST_SPREAD = 1e-4  # [SOH]
FEWEST_CYCLES = 3  # of a cell, before its predictions are trusted
EXTRAPOLATION = 0.02  # [SOH] past the labels of the training cells
FRESH = 60  # cycles over which the capacity of a new cell may rise: lower predictions of that time forbid nothing
LOWEST, HIGHEST = 0.0, 1.2  # [SOH] an interval never leaves this range


class TrustLimits(Protocol):
    """What is usual of windows and predictions; see :class:`TrustCalibration`."""

    @property
    def energy_threshold(self) -> float: ...  # noqa: D102

    @property
    def distance_threshold(self) -> float: ...  # noqa: D102

    @property
    def lowest(self) -> float: ...  # noqa: D102

    @property
    def highest(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What is known of windows beside the prediction.

    Attributes
    ----------
    energy, distance : ndarray of shape (n,)
        Energy of the mixture; Mahalanobis distance to the nearest protocol, of the window's average or of its newest
        cycle, whichever is farther.
    signals : ndarray of shape (n, 6)
        Columns as :data:`SIGNALS`.
    """

    energy: Array
    distance: Array
    signals: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class TrustAssessment:
    """Predictions with what they are worth.

    Attributes
    ----------
    soh : ndarray of shape (n,)
        Prediction [-]; NaN where it is refused.
    low, high : ndarray of shape (n,)
        Ends of the 90 % interval [-]; NaN where the prediction is refused.
    standard_uncertainty : ndarray of shape (n,)
        Half width of the 68.27 % interval [-].
    score : ndarray of shape (n,)
        Size of error to expect [-]: the combined score; the larger, the less sure.
    energy, distance : ndarray of shape (n,)
        Parts of it.
    flagged : ndarray of bool, shape (n,)
        Out of distribution, or not to be trusted for another reason.
    reasons : dict of str to ndarray of bool, shape (n,)
        Why.
    """

    soh: Array
    low: Array
    high: Array
    standard_uncertainty: Array
    score: Array
    energy: Array
    distance: Array
    flagged: NDArray[np.bool_]
    reasons: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What is learnt of the inputs alone, from training cells.

    Attributes
    ----------
    scaling : InputScaling
        Of the features.
    network : torch.nn.Module
        The mixture; see :func:`train_dagmm`.
    territory, newest_territory : Territory
        Where the averages of training windows lie, and their newest cycles.
    """

    scaling: InputScaling
    network: torch.nn.Module
    territory: Territory
    newest_territory: Territory

    def evidence(self, windows: PastWindows, soh: Array, spread: Array) -> Evidence:
        """Return the evidence of windows, given prediction and spread of each, both of shape (n,)."""
        average, beginning, newest = scaled_rows(windows, self.scaling)
        energy = dagmm_energy(self.network, mixture_rows(average, beginning, windows.cycle, soh))
        distance = np.maximum(self.territory.distance(average), self.newest_territory.distance(newest))
        signals = np.stack(
            [
                np.log(spread + SMALLEST_SPREAD),
                np.arcsinh(energy / ENERGY_UNIT),
                np.log1p(distance),
                HEALTH_CENTRE - soh,
                *find_signals(windows),
            ],
            axis=1,
        )
        return Evidence(energy=energy, distance=distance, signals=signals)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrustCalibration:
    """What is learnt from errors on cells that were held out.

    Attributes
    ----------
    error_scale : ErrorScale
        From signals to the size of error.
    standard_quantile, wide_quantile : float
        Conformal quantiles of error over scale at 68.27 % and 90 %.
    energy_threshold, distance_threshold : float
        What the cycles of an unseen cell rarely exceed.
    lowest, highest : float
        Range of SOH among training labels [-].
    duty_factors : dict of str to float
        What the scale is multiplied with for cells of each protocol; an unknown one takes the largest.
    """

    error_scale: ErrorScale
    standard_quantile: float
    wide_quantile: float
    energy_threshold: float
    distance_threshold: float
    lowest: float
    highest: float
    duty_factors: Mapping[str, float]

    def score(self, signals: Array, protocols: NDArray[np.str_]) -> Array:
        """Return the size of error to expect [SOH], shape (n,), of signals (n, n_signals) and protocols (n,)."""
        found: Array = self.error_scale.of(signals) * duty_factors(self.duty_factors, protocols)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class TrustModel:
    """Everything learnt about trust, from training cells only.

    Attributes
    ----------
    surroundings : Surroundings
        Of the inputs.
    calibration : TrustCalibration
        Of the errors.
    """

    surroundings: Surroundings
    calibration: TrustCalibration

    def assess(self, windows: PastWindows, soh: Array, spread: Array) -> TrustAssessment:
        """Return what predictions are worth.

        Parameters
        ----------
        windows : PastWindows
            Windows, those of one cell in order of its cycles.
        soh, spread : ndarray of shape (n,)
            Prediction and spread of the model [-].

        Raises
        ------
        CelltwinError
            If shapes do not agree, or the windows hold other features than those of training.
        """
        n, _, n_inputs = windows.features.shape
        if soh.shape != (n,) or spread.shape != (n,) or n_inputs != self.surroundings.scaling.mean.size:
            raise CelltwinError(
                f"{n} windows of {n_inputs} features, predictions {soh.shape} and spreads {spread.shape} do not agree "
                f"with each other or with the {self.surroundings.scaling.mean.size} features of training",
                where="trust in predictions",
                remedy="Give windows of the features that the model was trained on, and one prediction for each",
            )
        present = np.isfinite(windows.features[:, -1])
        possible = np.isfinite(soh) & np.isfinite(spread) & present.any(axis=1)
        known = np.where(possible, soh, HEALTH_CENTRE)
        calibration = self.calibration
        evidence = self.surroundings.evidence(windows, known, np.where(possible, spread, 1.0))
        score = np.where(possible, calibration.score(evidence.signals, windows.protocol), np.nan)
        half = calibration.wide_quantile * score
        told = np.where(possible, soh, np.nan)
        reasons = {
            **find_reasons(windows, told, evidence.energy, evidence.distance, calibration),
            "health rises": _rises(told, half, windows),
        }
        return TrustAssessment(
            soh=told,
            low=np.where(possible, np.clip(soh - half, LOWEST, HIGHEST), np.nan),
            high=np.where(possible, np.clip(soh + half, LOWEST, HIGHEST), np.nan),
            standard_uncertainty=calibration.standard_quantile * score,
            score=score,
            energy=evidence.energy,
            distance=evidence.distance,
            flagged=np.logical_or.reduce(list(reasons.values())),
            reasons=reasons,
        )


def duty_factors(factors: Mapping[str, float], protocols: NDArray[np.str_]) -> Array:
    """Return the factor of each protocol (n,), shape (n,); the largest for one that is unknown."""
    names, index = np.unique(protocols, return_inverse=True)
    unknown = max(factors.values(), default=1.0)
    found: Array = np.array([factors.get(str(name), unknown) for name in names])[index]
    return found


def find_reasons(
    windows: PastWindows, soh: Array, energy: Array, distance: Array, limits: TrustLimits
) -> dict[str, NDArray[np.bool_]]:
    """Return where predictions are not to be trusted, by reason; whether health rises is told by others.

    Parameters
    ----------
    windows : PastWindows
        Windows.
    soh : ndarray of shape (n,)
        Predictions [-]; NaN where there is none.
    energy, distance : ndarray of shape (n,)
        Of the windows.
    limits : TrustLimits
        What is usual.
    """
    present, known = np.isfinite(windows.features[:, -1]), np.isfinite(soh)
    return {
        "unlike the training data (energy)": ~(energy <= limits.energy_threshold),
        "unlike the training data (distance)": ~(distance <= limits.distance_threshold),
        "features missing or infinite": ~present.all(axis=1),
        "no feature known": ~present.any(axis=1),
        "no prediction": ~known,
        "health outside the training data": known
        & ((soh < limits.lowest - EXTRAPOLATION) | (soh > limits.highest + EXTRAPOLATION)),
        f"fewer than {FEWEST_CYCLES} cycles seen": windows.seen.sum(axis=1) < min(FEWEST_CYCLES, windows.seen.shape[1]),
    }


def find_signals(windows: PastWindows) -> tuple[Array, Array]:
    """Return the shares of cycles not seen and of features missing, each of shape (n,)."""
    finite = np.isfinite(windows.features)
    missing = np.zeros(len(finite)) if finite.all() else 1.0 - finite.mean(axis=(1, 2))
    return 1.0 - windows.seen.mean(axis=1), missing


def scaled_rows(windows: PastWindows, scaling: InputScaling) -> tuple[Array, Array, Array]:
    """Return the average of the cycles seen, the cell's beginning and its newest cycle, scaled, each (n, n_inputs).

    Where nothing is known of the beginning it is the average: as if nothing had changed.
    """
    newest, average = bounded_means(windows, scaling, (windows.features.shape[1],), reach=LARGEST_ROW)
    beginning = np.clip(scaling.apply(windows.beginning), -LARGEST_ROW, LARGEST_ROW)
    return average, np.where(np.isfinite(windows.beginning), beginning, average), newest


def mixture_rows(average: Array, beginning: Array, cycle: Array, soh: Array) -> Array:
    """Return what the mixture looks at: scaled average and beginning, age [cycles] and health [-], (n, n_inputs)."""
    return np.column_stack([average, beginning, cycle, soh])


def _rises(soh: Array, half: Array, windows: PastWindows) -> NDArray[np.bool_]:
    """Return where a prediction lies above the lowest before it of the same cell by more than its half width."""
    rises = np.zeros(soh.size, dtype=bool)
    grown = np.where(windows.cycle > FRESH, soh, np.nan)
    for name in np.unique(windows.cell):
        rows = np.flatnonzero(windows.cell == name)
        lowest = np.fmin.accumulate(grown[rows])
        rises[rows] = soh[rows] - lowest > half[rows]
    return rises
