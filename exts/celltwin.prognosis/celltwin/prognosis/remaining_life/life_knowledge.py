"""What a remaining-life model knows beside its networks: how to show them a past, and what to make of their answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

from ..cycles import CycleDataError
from ..scaling import InputScaling, Territory
from .life_calibration import LifeCalibration
from .life_inputs import LifeInputs, input_names, now_columns
from .life_prediction import LifeDoubt, RemainingLife, describe_life

__all__ = ["AGE_PER_LIFE", "MIDDLE_AGE", "LifeKnowledge", "scale_inputs", "show_past"]

FARTHEST = 5.0  # scaled inputs are held within so many spreads: an outlier must not take a network anywhere
FEW_CYCLES = 10
OLDEST = 2.0  # [typical lives]; older is as old, and flagged
AGE_PER_LIFE, MIDDLE_AGE = 3.0, 0.5  # an age is shown as this factor times what it is above this age


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeKnowledge:
    """Everything that was learnt but the weights.

    Attributes
    ----------
    levels : ndarray of shape (n_levels,)
        SOH whose arrivals the networks predict, falling.
    end : int
        Which of them is the end of life.
    history : bool
        Whether the SOH measured so far is an input.
    scaling : InputScaling
        Of the inputs, from training cells.
    territory : Territory
        Where the newest features of the training cells lie.
    duties : tuple of str
        How the training cells were used.
    lives : ndarray of shape (n_duties + 1,)
        Typical life of each duty, and of all cells [cycles]: the unit that the networks count in.
    longest_age : ndarray of shape (n_duties + 1,)
        Age that the oldest training cell of each duty reached, and of all cells [cycles].
    calibration : LifeCalibration
        What turns medians and scales into intervals.
    """

    levels: Array
    end: int
    history: bool
    scaling: InputScaling
    territory: Territory
    duties: tuple[str, ...]
    lives: Array
    longest_age: Array
    calibration: LifeCalibration

    def prepare(self, inputs: LifeInputs) -> Array:
        """Return what the networks take, (n, n_shown): see :func:`show_past`.

        Raises
        ------
        CycleDataError
            If the summaries are of another kind than the networks were trained on.
        """
        if inputs.history != self.history:
            raise CycleDataError(
                f"pasts {'with' if inputs.history else 'without'} measured SOH for a model that was trained "
                f"{'with' if self.history else 'without'}",
                remedy="Describe the cells with history=" + str(self.history),
            )
        rows = self._rows(inputs.duty)
        age = inputs.cycle / self.lives[rows]
        scaled = scale_inputs(self.scaling, inputs.values)
        return show_past(scaled, rows, age, len(self.duties))

    def conclude(self, inputs: LifeInputs, values: Array) -> RemainingLife:
        """Return what an ensemble's answer (3, n, n_levels) says of the pasts that it was asked about."""
        rows = self._rows(inputs.duty)
        life = self.lives[rows]
        now = inputs.values[:, now_columns()]
        scaling = InputScaling(
            **{name: getattr(self.scaling, name)[now_columns()] for name in ("mean", "spread", "stand_in")}
        )
        distance = self.territory.distance(scale_inputs(scaling, now))
        end = inputs.cycle + values[0, :, self.end] * life
        doubts = np.zeros(inputs.cycle.size, dtype=np.uint8)
        for bit, doubted in (
            (LifeDoubt.UNKNOWN_DUTY, rows == len(self.duties)),
            (LifeDoubt.OLDER_THAN_TRAINING, np.maximum(end, inputs.cycle) > self.longest_age[rows]),
            (LifeDoubt.UNLIKE_TRAINING, (distance > self.territory.threshold) | ~np.isfinite(now).all(axis=1)),
            (LifeDoubt.FIRST_CYCLES, inputs.cycle < FEW_CYCLES),
        ):
            doubts[doubted] |= bit
        ended = self._ended(inputs) if self.history else None
        return describe_life(values, life, self.levels, self.end, self.calibration, doubts=doubts, ended=ended)

    def _rows(self, duty: NDArray[np.str_]) -> NDArray[np.intp]:
        same = duty[:, np.newaxis] == np.array(self.duties, dtype=np.str_)
        return np.where(same.any(axis=1), same.argmax(axis=1), len(self.duties))

    def _ended(self, inputs: LifeInputs) -> NDArray[np.bool_]:
        names = input_names(self.history)
        level = self.levels[self.end]
        below = inputs.values[:, names.index("SOH now")] < level
        ended: NDArray[np.bool_] = below & (inputs.values[:, names.index("highest SOH")] >= level)
        return ended


def show_past(scaled: Array, duty: NDArray[np.intp], age: Array, n_duties: int) -> Array:
    """Return what a network is shown of pasts.

    Parameters
    ----------
    scaled : ndarray of shape (n, n_inputs)
        Scaled summaries.
    duty : ndarray of int, shape (n,)
        Which duty; ``n_duties`` where it is unknown: then all of its columns are 0.
    age : ndarray of shape (n,)
        Age in typical lives.
    n_duties : int
        Number of duties.
    """
    one_of = (duty[:, np.newaxis] == np.arange(n_duties)).astype(np.float64)
    middle = AGE_PER_LIFE * (np.minimum(age, OLDEST)[:, np.newaxis] - MIDDLE_AGE)
    return np.concatenate([scaled, one_of, middle, middle**2 / 2.0], axis=1)


def scale_inputs(scaling: InputScaling, values: Array) -> Array:
    """Return scaled summaries, held within a few spreads."""
    scaled: Array = np.clip(scaling.apply(values), -FARTHEST, FARTHEST)
    return scaled
