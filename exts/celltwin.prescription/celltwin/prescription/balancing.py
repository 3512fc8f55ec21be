"""Which groups to bleed, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Array, Kind, Level, PackSpec, PackState, Quality

__all__ = ["BalancingPlan", "plan_balancing"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BalancingPlan:
    """Bleed currents and what they take.

    Attributes
    ----------
    current : ndarray of shape (n_groups,)
        Current to bleed from each group [A]; NaN where its state of charge is not known.
    excess : ndarray of shape (n_groups,)
        State of charge above the pack's lowest [-]; NaN where unknown.
    hours : ndarray of shape (n_groups,)
        Time until each bled group meets the lowest [h]; zero for the others.
    lowest_id : str
        Id of the group with the lowest state of charge; empty where unknown.
    """

    current: Array
    excess: Array
    hours: Array
    lowest_id: str


def plan_balancing(spec: PackSpec, state: PackState, bleed_rate: float) -> BalancingPlan:
    """Bleed each group whose state of charge exceeds the pack's lowest by more than the uncertainty of the difference.

    The uncertainty counts the two groups as independent. They share the error of one model, so this is cautious: a
    group is left alone rather than bled for nothing.

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
        return BalancingPlan(current=unknown, excess=unknown, hours=np.zeros(spec.n_groups), lowest_id="")
    soc, doubt = reading.values, reading.standard_uncertainty
    lowest = int(soc.argmin())
    excess = soc - soc[lowest]
    bled = excess > np.hypot(doubt, doubt[lowest])  # an unknown uncertainty bleeds nothing
    bled[lowest] = False
    bleed = bleed_rate * spec.capacity
    good = state.get(Kind.ESTIMATED, "capacity", Level.GROUP)
    capacity = np.full(spec.n_groups, spec.capacity)
    if good is not None and good.values.size == spec.n_groups:
        capacity = np.where(good.quality == Quality.GOOD, good.values, capacity)
    return BalancingPlan(
        current=np.where(bled, bleed, 0.0),
        excess=excess,
        hours=np.where(bled, excess * capacity / bleed, 0.0),
        lowest_id=spec.element_ids(Level.GROUP)[lowest],
    )
