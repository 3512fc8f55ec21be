"""Recalibration of the surrogate's probabilities on calibration runs of the library, and the split of its runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array

from .library_replay import ReplayedRun
from .risk_model import Recalibration
from .rollout_campaign import HORIZONS

__all__ = ["LibrarySplit", "fit_recalibration", "split_library"]

CALIBRATION_SHARE = 0.4  # of the runs; the others only score
# How far the lines are held to no change at all: standard deviations of offset and slope before any run is seen.
OFFSET_SPREAD, SLOPE_SPREAD = 1.0, 0.3
# Share of outcomes that nothing in the state foretells: faults and surroundings that change within the horizon.
LAPSE = 0.02
LEAST_SLOPE, AT_BOUND = 0.5, 1e-3


@dataclass(frozen=True, kw_only=True)
class LibrarySplit:
    """Which runs calibrate and which only score, by name.

    Attributes
    ----------
    calibration, test : tuple of str
        Names of cases.
    """

    calibration: tuple[str, ...]
    test: tuple[str, ...]


def split_library(names: tuple[str, ...]) -> LibrarySplit:
    """Deal runs out to calibration and test in the order in which they were drawn; whole runs, never parts of one.

    The surrogate itself learns from roll-outs alone and sees no run of the library. The first runs are also those that
    were looked at while the model was built; the later ones only score.

    Parameters
    ----------
    names : tuple of str
        Names of the runs; they sort as they were drawn.
    """
    order = sorted(names)
    count = round(CALIBRATION_SHARE * len(order))
    return LibrarySplit(calibration=tuple(order[:count]), test=tuple(order[count:]))


def fit_recalibration(runs: tuple[ReplayedRun, ...]) -> Recalibration:
    r"""Fit :math:`\operatorname{logit} p' = a + b \operatorname{logit} p` to runs replayed without recalibration.

    Both of a cell's probabilities, with a short and without one, take the line; they are then mixed by the probability
    of a short, as in use. Every run weighs the same. In 2 % of the cases the outcome is taken to hang on what nobody
    could know, so that a few of them do not flatten the line. A line that still wants to be flatter than
    :math:`b = 0.5` is no line: what is wrong there is not the size of the probabilities, and they are left as they are.

    Parameters
    ----------
    runs : tuple of ReplayedRun
        Calibration runs; cells that are not looked at by themselves take no part.
    """
    from scipy.optimize import minimize

    offsets, slopes = [], []
    for column in range(len(HORIZONS)):
        rows = [_rows(run, column) for run in runs]
        w, hurt, bare, goes, weight = (np.concatenate([row[part] for row in rows]) for part in range(5))
        if not goes.any() or goes.all():
            offsets.append(0.0)
            slopes.append(1.0)
            continue

        def loss(
            line: Array,
            w: Array = w,
            hurt: Array = hurt,
            bare: Array = bare,
            goes: Array = goes,
            weight: Array = weight,
        ) -> float:
            a, b = float(line[0]), float(line[1])
            if b < LEAST_SLOPE:
                return 1e6 * (1.0 + LEAST_SLOPE - b)
            mapped = Recalibration(offset=(a,), slope=(b,))
            p = LAPSE + (1.0 - 2.0 * LAPSE) * (w * mapped.apply(hurt) + (1.0 - w) * mapped.apply(bare))
            data = -(weight * (goes * np.log(p) + (1.0 - goes) * np.log1p(-p))).sum()
            held = 0.5 * ((a / OFFSET_SPREAD) ** 2 + ((b - 1.0) / SLOPE_SPREAD) ** 2)
            return float(data + held)

        found = minimize(loss, np.array([0.0, 1.0]), method="Nelder-Mead", options={"maxiter": 200, "xatol": 1e-3})
        flat = float(found.x[1]) < LEAST_SLOPE + AT_BOUND
        offsets.append(0.0 if flat else float(found.x[0]))
        slopes.append(1.0 if flat else float(found.x[1]))
    return Recalibration(offset=tuple(offsets), slope=tuple(slopes))


def _rows(run: ReplayedRun, column: int) -> tuple[Array, Array, Array, Array, Array]:
    goes, known = run.labels(column)
    hurt, bare = run.with_short[:, :, column], run.without_short[:, :, column]
    looked = known & ((hurt > 0.0) | (bare > 0.0))
    count = max(int(looked.sum()), 1)
    return (
        run.short_probability[looked],
        hurt[looked],
        bare[looked],
        goes[looked].astype(np.float64),
        np.full(int(looked.sum()), 1.0 / count),
    )
