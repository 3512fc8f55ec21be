r"""Which groups of a pack are weak, by what was measured alone.

In series all groups carry the same charge. Under discharge, a group whose voltage lies
:math:`d_g = \operatorname{median}_h V_h - V_g` below the median of the pack gives less energy for each ampere-hour.
Its root mean square over the charge drawn,

.. math:: D_g^2 = \frac{\int_{I > 0} d_g |d_g|\, I\, dt}{\int_{I > 0} I\, dt}

with the sign of the integral, weighs a large deficit near empty, which ends the discharge of the whole pack, more than
a small lasting one. It needs no model, and grows with lack of capacity, with resistance and with imbalance.

The yardstick is how far the better half of the groups scatters about the median, together with the sensors' standard
uncertainty: weak groups cannot widen it. A group is called weak beyond three such standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import SECONDS_PER_HOUR, Array, Kind, Level, PackSpec, PackState, Quality, ShapeError

__all__ = ["GroupEvidence", "GroupRank", "weakest_groups"]

_SIGNIFICANT = 3.0  # standard deviations
_LONGEST_GAP = 60.0  # s between two samples that belong together


@dataclass(frozen=True, kw_only=True)
class GroupRank:
    """How one group compares with its neighbours under discharge.

    Attributes
    ----------
    element : int
        Index of the group in pack order.
    element_id : str
        Its id.
    deficit : float
        Voltage missing against the median of the string, averaged over the charge drawn [V].
    weighted_deficit : float
        Root mean square of the deficit, signed: what the groups are ranked by [V].
    significance : float
        That over the scatter of the better half of the groups and the sensors' uncertainty [-].
    last_deficit : float
        Deficit at the last sample under discharge [V].
    charge : float
        Charge drawn while it was watched [A.h].
    weak : bool
        Whether the deficit is significant.
    """

    element: int
    element_id: str
    deficit: float
    weighted_deficit: float
    significance: float
    last_deficit: float
    charge: float
    weak: bool

    @property
    def sentence(self) -> str:
        """One line for people."""
        return (
            f"{self.element_id}: {1000.0 * self.deficit:.0f} mV below the median group on average over "
            f"{self.charge:.1f} A·h of discharge, {1000.0 * self.last_deficit:.0f} mV at the end "
            f"({self.significance:.1f} σ)"
        )


class GroupEvidence:
    """Gather the evidence sample by sample.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    least_current : float
        C-rate above which a sample counts as discharge [1/h].
    """

    def __init__(self, spec: PackSpec, *, least_current: float = 0.05) -> None:
        self._spec = spec
        self._least = least_current * spec.capacity  # [A]
        self._charge = np.zeros(spec.n_groups)  # [A.s] at which each group's voltage was known
        self._missing = np.zeros(spec.n_groups)  # [V.A.s]
        self._squared = np.zeros(spec.n_groups)  # [V^2.A.s]
        self._last = np.full(spec.n_groups, np.nan)
        self._time = np.nan
        sensors = [s for s in spec.sensors if (s.quantity, s.level) == ("voltage", Level.GROUP)]
        self._sensor_uncertainty = max((s.standard_uncertainty for s in sensors), default=0.0)

    def observe(self, state: PackState) -> None:
        """Take in the measured current and group voltages of one step; anything not good is passed over."""
        current = state.get(Kind.MEASURED, "current", Level.PACK)
        voltage = state.get(Kind.MEASURED, "voltage", Level.GROUP)
        if current is None or voltage is None or voltage.values.size != self._spec.n_groups:
            return
        values = np.where(voltage.quality == Quality.GOOD, voltage.values, np.nan)
        flow = current.values[0] if current.quality[0] == Quality.GOOD else np.nan
        self.observe_samples(np.array([state.time]), np.array([flow]), values[np.newaxis])

    def observe_samples(self, time: Array, current: Array, voltage: Array) -> None:
        """Take in a stretch of a recording.

        Parameters
        ----------
        time : ndarray of shape (n_steps,)
            Time [s]; samples that do not advance it are passed over.
        current : ndarray of shape (n_steps,)
            Pack current [A], positive on discharge; NaN where unknown.
        voltage : ndarray of shape (n_steps, n_groups)
            Group voltages [V]; NaN where unknown.

        Raises
        ------
        ShapeError
            If the arrays do not fit together.
        """
        if voltage.shape != (time.size, self._spec.n_groups) or current.shape != time.shape:
            raise ShapeError(f"voltage {voltage.shape}, expected {(time.size, self._spec.n_groups)}")
        if time.size == 0:
            return
        step = np.diff(time, prepend=self._time)
        self._time = float(time[-1])
        counted = (step > 0.0) & (step <= _LONGEST_GAP) & (current > self._least)
        counted &= np.isfinite(voltage).sum(axis=1) >= 2  # NaN steps and currents compare as False
        if not counted.any():
            return
        # Groups are compared within their string, where all carry the same current.
        strings = voltage[counted].reshape(-1, self._spec.strings, self._spec.n_series)
        deficit = (_median(strings) - strings).reshape(strings.shape[0], -1)
        known = np.isfinite(deficit)
        charge = (current[counted] * step[counted] / self._spec.strings)[:, np.newaxis] * known
        self._charge += charge.sum(axis=0)
        deficit = np.where(known, deficit, 0.0)
        self._missing += (charge * deficit).sum(axis=0)
        self._squared += (charge * deficit * np.abs(deficit)).sum(axis=0)
        self._last = np.where(known[-1], deficit[-1], self._last)

    def rank(self) -> tuple[GroupRank, ...]:
        """Return all groups that were watched under discharge, weakest first."""
        watched = np.nonzero(self._charge > 0.0)[0]
        if watched.size < 2:
            return ()
        deficit = self._missing[watched] / self._charge[watched]
        square = self._squared[watched] / self._charge[watched]
        weighted = np.sign(square) * np.sqrt(np.abs(square))
        beyond = weighted - np.median(weighted)
        scatter = float(np.sqrt(np.mean(beyond[beyond <= 0.0] ** 2)))
        significance = beyond / max(float(np.hypot(scatter, self._sensor_uncertainty)), 1e-9)
        ids = self._spec.element_ids(Level.GROUP)
        return tuple(
            GroupRank(
                element=int(watched[place]),
                element_id=ids[watched[place]],
                deficit=float(deficit[place]),
                weighted_deficit=float(weighted[place]),
                significance=float(significance[place]),
                last_deficit=float(self._last[watched[place]]),
                charge=float(self._charge[watched[place]]) / SECONDS_PER_HOUR,
                weak=bool(significance[place] > _SIGNIFICANT),
            )
            for place in np.argsort(-weighted, kind="stable")
        )


def _median(values: Array) -> Array:
    """Return the median of what is finite along the last axis, kept; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)  # NaN comes last
    count = np.isfinite(values).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=-1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[-1] - 1), axis=-1)
    middle: Array = 0.5 * (low + high)
    return middle


def weakest_groups(
    spec: PackSpec, time: Array, current: Array, voltage: Array, count: int | None = None
) -> tuple[GroupRank, ...]:
    """Rank the groups of a recording, weakest first.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    time : ndarray of shape (n_steps,)
        Time [s].
    current : ndarray of shape (n_steps,)
        Pack current [A], positive on discharge.
    voltage : ndarray of shape (n_steps, n_groups)
        Group voltages [V].
    count : int, optional
        How many to return; all that are significantly weak if not given.
    """
    evidence = GroupEvidence(spec)
    evidence.observe_samples(time, current, voltage)
    ranks = evidence.rank()
    return ranks[:count] if count is not None else tuple(rank for rank in ranks if rank.weak)
