"""Who has the say: the duty or the advice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from celltwin.core import Advice, Command, Mode, PackSpec, PackState

__all__ = ["FRESH_FOR", "decide"]

FRESH_FOR = 900.0  # s; an advice looks some minutes ahead, and slow tiers answer every few minutes


def decide(
    mode: Mode,
    duty: Command,
    advice: Advice | None,
    state: PackState,
    spec: PackSpec,
    *,
    fresh_for: float = FRESH_FOR,
) -> Command:
    """Return the command for the coming step, before the shield.

    Only the autonomous mode lets advice act, and only while it is fresh: coolant flow and balancing always, the charge
    current while the duty charges. Discharge stays the duty's, and what the advice leaves open (NaN) too. All modules
    are in series, so the least of their charge currents is the pack's.

    Parameters
    ----------
    mode : Mode
        How far the twin may act.
    duty : Command
        What the operator's duty asks for.
    advice : Advice or None
        Newest advice.
    state : PackState
        Process image of the step.
    spec : PackSpec
        The pack.
    fresh_for : float
        Age up to which advice may act [s].
    """
    if mode is not Mode.AUTONOMOUS or advice is None or not _fits(advice, spec):
        return duty
    if not 0.0 <= state.time - advice.time <= fresh_for:
        return duty
    current, limits = duty.pack_current, advice.charge_current
    if current < 0.0 and np.isfinite(limits).all():
        current = -max(float(limits.min()), 0.0)
    flow = np.where(np.isfinite(advice.coolant_flow), advice.coolant_flow, duty.coolant_flow)
    balancing = np.where(np.isfinite(advice.balancing_current), advice.balancing_current, duty.balancing_current)
    acted = (
        current != duty.pack_current
        or not np.array_equal(flow, duty.coolant_flow)
        or not np.array_equal(balancing, duty.balancing_current)
    )
    return replace(
        duty,
        pack_current=current,
        coolant_flow=flow,
        balancing_current=balancing,
        origin="advice" if acted else duty.origin,
    )


def _fits(advice: Advice, spec: PackSpec) -> bool:
    return (
        advice.charge_current.shape == (spec.n_modules,)
        and advice.coolant_flow.shape == (spec.n_modules,)
        and advice.balancing_current.shape == (spec.n_groups,)
    )
