r"""Which groups to bleed, and for how long.

In series the group that lacks least to being full ends every charge. Bleeding helps where others lack more, by

.. math:: e_g = \max_h p_h - p_g, \qquad p_g = (1 - z_g)\, Q_g

and it does so whatever the groups' capacities are: a group that is merely smaller is full together with its
neighbours and empty before them, and bleeding the others would not change that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Quality

__all__ = ["BalancingPlan", "plan_balancing"]

_CAPACITY_SPREAD = 0.1  # relative standard uncertainty of a capacity that was not estimated


@dataclass(frozen=True, kw_only=True, eq=False)
class BalancingPlan:
    """Bleed currents and what they take.

    Attributes
    ----------
    current : ndarray of shape (n_groups,)
        Current to bleed from each group [A]; NaN where its state of charge is not known.
    excess : ndarray of shape (n_groups,)
        Charge that each group holds above the one that lacks most to being full [A.h]; NaN where unknown.
    hours : ndarray of shape (n_groups,)
        Time until each bled group has lost its excess [h]; zero for the others.
    emptiest_id : str
        Id of the group that lacks most to being full; empty where unknown.
    """

    current: Array
    excess: Array
    hours: Array
    emptiest_id: str


def plan_balancing(spec: PackSpec, state: PackState, bleed_rate: float) -> BalancingPlan:
    """Bleed each group whose excess is larger than its standard uncertainty.

    The uncertainty counts two groups as independent. They share the error of one model, so this is cautious: a group
    is left alone rather than bled for nothing. Far from full it is mostly that of the capacities, so that balancing
    happens near full, unless the excess is plain.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    state : PackState
        Process image with the estimated state of charge of the groups.
    bleed_rate : float
        Balancing current as a C-rate of the group [1/h].
    """
    unknown = np.full(spec.n_groups, np.nan)
    reading = state.get(Kind.ESTIMATED, "soc", Level.GROUP)
    if reading is None or reading.values.size != spec.n_groups or not reading.usable().all():
        return BalancingPlan(current=unknown, excess=unknown, hours=np.zeros(spec.n_groups), emptiest_id="")
    capacity, capacity_doubt = _capacities(spec, state)
    lacking = (1.0 - reading.values) * capacity
    doubt = np.hypot(reading.standard_uncertainty * capacity, (1.0 - reading.values) * capacity_doubt)
    emptiest = int(lacking.argmax())
    excess = lacking[emptiest] - lacking
    bled = excess > np.hypot(doubt, doubt[emptiest])  # an unknown uncertainty bleeds nothing
    bled[emptiest] = False
    bleed = bleed_rate * spec.group_capacity
    return BalancingPlan(
        current=np.where(bled, bleed, 0.0),
        excess=excess,
        hours=np.where(bled, excess / bleed, 0.0),
        emptiest_id=spec.element_ids(Level.GROUP)[emptiest],
    )


def _capacities(spec: PackSpec, state: PackState) -> tuple[Array, Array]:
    """Return each group's capacity and its standard uncertainty [A.h]: estimated, else nominal."""
    nominal = np.full(spec.n_groups, spec.group_capacity)
    reading = state.get(Kind.ESTIMATED, "capacity", Level.GROUP)
    if reading is None or reading.values.size != spec.n_groups:
        return nominal, _CAPACITY_SPREAD * nominal
    known = (reading.quality == Quality.GOOD) & np.isfinite(reading.standard_uncertainty)
    return (
        np.where(known, reading.values, nominal),
        np.where(known, reading.standard_uncertainty, _CAPACITY_SPREAD * nominal),
    )
