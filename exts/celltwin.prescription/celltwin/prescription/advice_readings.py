"""Advice as readings, for the prims and the recordings."""

from __future__ import annotations

import numpy as np

from celltwin.core import Advice, Array, Kind, Level, PackSpec, Quality, Reading

__all__ = ["advice_readings"]


def advice_readings(advice: Advice, spec: PackSpec) -> tuple[Reading, ...]:
    """Return the recommended readings of an advice.

    Parameters
    ----------
    advice : Advice
        The advice.
    spec : PackSpec
        The pack.

    Returns
    -------
    tuple of Reading
        Charge current of modules and pack, coolant flow of modules, balancing current of groups; bad where nothing is
        recommended. The reason of a module-level reading has one line a module.
    """
    lines = tuple(
        f"{module.id}: {reason}" + (f" → {expected}" if expected else "")
        for module, reason, expected in zip(spec.modules, advice.reasons, advice.expected, strict=True)
    )
    text = "\n".join(lines)
    current = advice.charge_current
    if np.isfinite(current).all():
        least = int(current.argmin())
        pack, why = float(current[least]), f"least of the modules in series, {lines[least]}"
    else:
        missing = int(np.nonzero(~np.isfinite(current))[0][0])
        pack, why = float("nan"), lines[missing]
    balancing = f"bleeds {int(np.count_nonzero(np.nan_to_num(advice.balancing_current)))} of {spec.n_groups} groups"
    return (
        _reading(advice, "charge_current", Level.MODULE, current, text),
        _reading(advice, "charge_current", Level.PACK, np.array([pack]), why),
        _reading(advice, "coolant_flow", Level.MODULE, advice.coolant_flow, text),
        _reading(advice, "balancing_current", Level.GROUP, advice.balancing_current, balancing),
    )


def _reading(advice: Advice, quantity: str, level: Level, values: Array, reason: str) -> Reading:
    quality = np.where(np.isfinite(values), Quality.GOOD, Quality.BAD).astype(np.uint8)
    return Reading.at(
        Kind.RECOMMENDED,
        quantity,
        level,
        values,
        advice.time,
        quality=quality,
        provenance=advice.provenance,
        reason=reason,
    )
