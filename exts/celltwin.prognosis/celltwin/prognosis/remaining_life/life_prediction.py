"""What is said of the life that remains: distribution, interval, trajectory with its band, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, freeze

from .life_calibration import LEVELS_OF_CALIBRATION, LifeCalibration

__all__ = ["LIFE_DOUBTS", "LifeDoubt", "RemainingLife", "days_at_present_use", "describe_life"]


class LifeDoubt:
    """Reasons not to trust a prediction, as bits."""

    UNKNOWN_DUTY = 1  # no training cell was used like this
    OLDER_THAN_TRAINING = 2  # no training cell of this duty became as old as this one would
    UNLIKE_TRAINING = 4  # inputs far from the training data, or missing
    FIRST_CYCLES = 8  # a past of fewer than ten cycles


LIFE_DOUBTS = {
    LifeDoubt.UNKNOWN_DUTY: "used in a way that no training cell was",
    LifeDoubt.OLDER_THAN_TRAINING: "older at its end than any training cell",
    LifeDoubt.UNLIKE_TRAINING: "unlike the training data",
    LifeDoubt.FIRST_CYCLES: "fewer than ten charges",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class RemainingLife:
    """The cycles that remain to every level of SOH, for n cells.

    Attributes
    ----------
    levels : ndarray of shape (n_levels,)
        SOH, falling.
    end : int
        Which of them is the end of life.
    middle, scale : ndarray of shape (n, n_levels)
        Median and scale of the cycles from now to each level, as the networks have them.
    quantiles : ndarray of shape (n_probabilities,)
        Of the cycles less their median, in scales, at :data:`LEVELS_OF_CALIBRATION`.
    median, lowest, highest : ndarray of shape (n,)
        Cycles to the end of life: median, and the bounds of the 90 % interval; none is negative.
    standard_uncertainty : ndarray of shape (n,)
        Half width of the 68.27 % interval [cycles].
    resistance, resistance_lowest, resistance_highest : ndarray of shape (n, n_levels)
        Resistance proxy on arrival at each level over its present value: the time that the current takes to decay
        from 0.5 to 0.1 A while the voltage is held. It grows with ohmic resistance, charge transfer and diffusion
        together, and is no resistance in ohm.
    doubts : ndarray of uint8, shape (n,)
        Bits of :class:`LifeDoubt`; 0 where the prediction may be trusted.
    """

    levels: Array
    end: int
    middle: Array
    scale: Array
    quantiles: Array
    median: Array
    lowest: Array
    highest: Array
    standard_uncertainty: Array
    resistance: Array
    resistance_lowest: Array
    resistance_highest: Array
    doubts: NDArray[np.uint8]

    @cached_property
    def arrival(self) -> Array:
        """Quantiles of the cycles from now to each level, at :data:`LEVELS_OF_CALIBRATION`.

        Of shape (n_probabilities, n, n_levels); negative where the level has been passed. A lower level is never
        reached earlier.
        """
        arrival = self.middle + self.quantiles[:, np.newaxis, np.newaxis] * self.scale
        early = np.array(LEVELS_OF_CALIBRATION) <= 0.5
        arrival[early] = np.maximum.accumulate(arrival[early], axis=2)
        arrival[~early] = np.minimum.accumulate(arrival[~early, :, ::-1], axis=2)[:, :, ::-1]
        return freeze(arrival)

    def survival(self, cycles: Array) -> Array:
        """Return the probability to live longer than some numbers of cycles, shape (n, n_cycles).

        Beyond the tabulated probabilities the outermost ones are kept: at most 0.95, at least 0.05.
        """
        table = self.arrival[:, :, self.end]
        probability = np.array(LEVELS_OF_CALIBRATION)
        rows = [1.0 - np.interp(cycles, table[:, index], probability) for index in range(table.shape[1])]
        return np.stack(rows)

    def trajectory(self, horizon: Array) -> Array:
        """Return SOH at some cycles from now, quantiles 5, 50 and 95 %, shape (3, n, n_horizons).

        Found from the arrivals at the levels, so that bands of life and of SOH agree. Nothing was learnt above the
        highest and below the lowest level: there the median is NaN, and a bound that rests on an outermost level
        says no more than that SOH is beyond it.
        """
        probability = np.array(LEVELS_OF_CALIBRATION)
        bands = np.empty((3, self.arrival.shape[1], horizon.size))
        for band, wanted in enumerate((0.05, 0.5, 0.95)):
            arrival = self.arrival[int(np.argmin(np.abs(probability - wanted)))]
            open_end = {"left": np.nan, "right": np.nan} if band == 1 else {}
            for index, row in enumerate(arrival):
                bands[band, index] = np.interp(horizon, row, self.levels, **open_end)
        return bands


def describe_life(
    values: Array,
    life: Array,
    levels: Array,
    end: int,
    calibration: LifeCalibration,
    *,
    doubts: NDArray[np.uint8],
    ended: NDArray[np.bool_] | None = None,
) -> RemainingLife:
    """Return what an ensemble says in cycles.

    Parameters
    ----------
    values : ndarray of shape (3, n, n_levels)
        Median and scale of the arrival [typical lives], and resistance proxy, of an ensemble.
    life : ndarray of shape (n,)
        Typical life of each cell's duty [cycles].
    levels : ndarray of shape (n_levels,)
        SOH, falling.
    end : int
        Which level is the end of life.
    calibration : LifeCalibration
        What turns scales into distributions.
    doubts : ndarray of uint8, shape (n,)
        Bits of :class:`LifeDoubt`. For an unknown duty and for inputs unlike the training data the distribution is
        twice as wide: nothing has calibrated it there.
    ended : ndarray of bool, shape (n,), optional
        Cells that are known to have reached their end of life: nothing remains.
    """
    unlike = LifeDoubt.UNKNOWN_DUTY | LifeDoubt.UNLIKE_TRAINING
    widening = np.where(doubts & unlike, 2.0, 1.0)[:, np.newaxis]
    median = values[0] * life[:, np.newaxis]
    scale = values[1] * life[:, np.newaxis] * widening
    middle, half = median[:, end], calibration.wide * scale[:, end]
    gone = np.zeros(life.size, dtype=np.bool_) if ended is None else ended
    factor = np.exp(calibration.resistance_wide)
    return RemainingLife(
        levels=freeze(levels),
        end=end,
        middle=freeze(median),
        scale=freeze(scale),
        quantiles=freeze(np.array(calibration.quantiles)),
        median=freeze(np.where(gone, 0.0, np.maximum(middle, 0.0))),
        lowest=freeze(np.where(gone, 0.0, np.maximum(middle - half, 0.0))),
        highest=freeze(np.where(gone, 0.0, np.maximum(middle + half, 0.0))),
        standard_uncertainty=freeze(np.where(gone, 0.0, calibration.standard * scale[:, end])),
        resistance=freeze(values[2]),
        resistance_lowest=freeze(values[2] / factor),
        resistance_highest=freeze(values[2] * factor),
        doubts=doubts,
    )


def days_at_present_use(cycles: Array, throughput: Array, duration: float, nominal_capacity: float) -> Array:
    r"""Return the days that some cycles last if a cell is used on as it was.

    .. math:: d = N \cdot \frac{2 Q_{nominal}}{\int |I|\,dt / 3600} \cdot \frac{\Delta t}{86400}

    Parameters
    ----------
    cycles : ndarray of shape (..., n)
        Cycles, as the training cells were cycled: one full charge and discharge each.
    throughput : ndarray of shape (n,)
        Charge that has passed in and out of each cell during ``duration`` [A.h], as a magnitude.
    duration : float
        Time looked at [s].
    nominal_capacity : float
        Of a cell [A.h].

    Returns
    -------
    ndarray of shape (..., n)
        Days; infinite for a cell that is not used. Ageing at rest is not in it.
    """
    equivalent = throughput / (2.0 * nominal_capacity)
    per_day = equivalent * 86400.0 / duration
    with np.errstate(divide="ignore", invalid="ignore"):
        days: Array = np.where(per_day > 0.0, cycles / per_day, np.inf)
    return days
