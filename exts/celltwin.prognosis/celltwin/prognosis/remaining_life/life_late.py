"""Near the end of life: the cycles that remain, from measured SOH and its fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..scaling import InputScaling
from ..sequence.kernel_regression import draw_rows, matern_likeness
from .leave_out import JITTER, LeaveOut, first_rows
from .life_inputs import FALL, input_names
from .life_knowledge import AGE_PER_LIFE, MIDDLE_AGE

__all__ = ["LateRegression", "LateSettings", "NearEnd", "fit_late"]

SOH_NOW = "SOH now"


@dataclass(frozen=True, kw_only=True)
class LateSettings:
    """What the regression near the end is made of.

    Attributes
    ----------
    near, nearest : float
        SOH above the end of life from which on it is listened to, and at which to nothing else.
    young, grown : float
        Age up to which it is not listened to, and from which on it may be wholly [typical lives]: the capacity of a
        young cell may still rise.
    soh, fall, age, duty : float
        What SOH, the logarithm of its fall, a typical life of age and a duty are multiplied with before distances.
    noise : float
        Variance of what is not told by these, relative to that of the process.
    centres : int
        Most training pasts that are kept as centres; they are drawn at random.
    """

    near: float = 0.05
    nearest: float = 0.01
    young: float = 0.1
    grown: float = 0.3
    soh: float = 80.0
    fall: float = 0.8
    age: float = 1.5
    duty: float = 1.5
    noise: float = 0.05
    centres: int = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class NearEnd:
    """What makes SOH of the scaled inputs: their scaling, and the SOH at which life ends."""

    scaling: InputScaling
    end_of_life: float


@dataclass(frozen=True, kw_only=True, eq=False)
class LateRegression:
    """A fitted regression, and how far it is listened to.

    Attributes
    ----------
    factors : ndarray of shape (n_shown,)
        What inputs are multiplied with before distances are taken; 0 where one is not used.
    centres : ndarray of shape (n_centres, n_shown)
        Inputs of the centres.
    coefficients, mean : ndarray of shape (n_centres, 2 n_levels), (2 n_levels,)
        Weights of the centres, and what is added: arrivals, then resistance proxies.
    soh : int
        Which input is SOH.
    gain, offset, age_gain, age_offset : float
        The share of the answer that is not taken from here is the larger of gain * SOH + offset and age_gain * age +
        age_offset, SOH and age as shown, held between 0 and 1.
    """

    factors: Array
    centres: Array
    coefficients: Array
    mean: Array
    soh: int
    gain: float
    offset: float
    age_gain: float
    age_offset: float


def fit_late(
    inputs: Array,
    cell: NDArray[np.str_],
    targets: Array,
    left_out: Array,
    settings: LateSettings,
    near_end: NearEnd,
    random: np.random.Generator,
) -> tuple[LateRegression | None, Array]:
    """Fit the regression on the pasts near the end of life; None where there are none.

    Parameters
    ----------
    inputs : ndarray of shape (n, n_shown)
        What is shown of all pasts; the rows of a cell lie together.
    cell : ndarray of str, shape (n,)
        Cell of each row.
    targets, left_out : ndarray of shape (n, 2 n_levels)
        What is to be learnt, and what is said of it of each cell from all others without this regression.
    settings : LateSettings
        What it is made of.
    near_end : NearEnd
        How to read SOH.
    random : Generator
        Draws the centres.

    Returns
    -------
    LateRegression, optional
        The regression.
    ndarray of shape (n, 2 n_levels)
        What is said of each cell from all others, with it.
    """
    names = input_names(history=True)
    soh = names.index(SOH_NOW)
    mean, spread = near_end.scaling.mean, near_end.scaling.spread
    falling, growing = settings.near - settings.nearest, settings.grown - settings.young
    gain, offset = spread[soh] / falling, (mean[soh] - near_end.end_of_life - settings.nearest) / falling
    age_gain, age_offset = -1.0 / (AGE_PER_LIFE * growing), (settings.grown - MIDDLE_AGE) / growing
    share = np.clip(np.maximum(gain * inputs[:, soh] + offset, age_gain * inputs[:, -2] + age_offset), 0.0, 1.0)
    near = np.flatnonzero(share < 1.0)
    if not near.size:
        return None, left_out
    factors = np.zeros(inputs.shape[1])
    factors[soh] = settings.soh * spread[soh]
    factors[names.index(FALL)] = settings.fall * spread[names.index(FALL)]
    factors[len(names) : -2] = settings.duty
    factors[-2] = settings.age / AGE_PER_LIFE
    drawn = near[draw_rows(near.size, settings.centres, random)]
    used = factors != 0.0
    place = (inputs * factors)[:, used]
    likeness = matern_likeness(place[near], place[drawn])
    within = matern_likeness(place[drawn], place[drawn]) + JITTER * np.eye(drawn.size)
    inverse = np.linalg.inv(likeness.T @ likeness + settings.noise * within)
    learnt, starts = targets[near], first_rows(cell[near])
    both = left_out.copy()
    mixed = share[near, np.newaxis]
    both[near] = mixed * left_out[near] + (1.0 - mixed) * LeaveOut(starts, likeness, inverse)(learnt)
    middle = learnt.mean(axis=0)
    return LateRegression(
        factors=factors,
        centres=inputs[drawn],
        coefficients=inverse @ (likeness.T @ (learnt - middle)),
        mean=middle,
        soh=soh,
        gain=float(gain),
        offset=float(offset),
        age_gain=float(age_gain),
        age_offset=float(age_offset),
    ), both
