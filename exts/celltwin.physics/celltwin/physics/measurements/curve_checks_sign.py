"""Which sign of current discharges the cell: the voltage tells."""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

__all__ = ["find_current_sign"]

_REST_SHARE = 0.003  # of the largest current
_LEAST_CHANGE = 5e-3  # [V]: less tells nothing
_CLEAR = 0.8  # share of the votes


def find_current_sign(time: Array, current: Array, voltage: Array) -> int:
    """Return 1 where positive current discharges the cell, -1 where it charges it, 0 where nothing tells.

    Two witnesses vote: within each run of one sign the voltage follows the charge, and where the current changes in
    one row the voltage steps against a discharging change. Runs count by their change of voltage, steps by theirs.

    Parameters
    ----------
    time : ndarray of shape (n,)
        [s], increasing.
    current : ndarray of shape (n,)
        [A], of unknown sign.
    voltage : ndarray of shape (n,)
        [V]; NaN allowed.
    """
    known = np.isfinite(voltage) & np.isfinite(current)
    time, current, voltage = time[known], current[known], voltage[known]
    if time.size < 3:
        return 0
    threshold = _REST_SHARE * float(np.max(np.abs(current)))
    sign = np.where(np.abs(current) <= threshold, 0, np.sign(current))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(sign)) + 1, [sign.size]])
    for_positive = against = 0.0
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if sign[start] == 0 or stop - start < 3:
            continue
        change = float(voltage[stop - 1] - voltage[start])
        if abs(change) < _LEAST_CHANGE:
            continue
        if change * sign[start] < 0.0:
            for_positive += abs(change)
        else:
            against += abs(change)
    jumps = np.abs(np.diff(current)) > 0.3 * float(np.max(np.abs(current)))
    steps = np.diff(voltage)[jumps]
    agreeing = steps * np.diff(current)[jumps] < 0.0
    for_positive += float(np.sum(np.abs(steps[agreeing])))
    against += float(np.sum(np.abs(steps[~agreeing])))
    total = for_positive + against
    if total < _LEAST_CHANGE or max(for_positive, against) < _CLEAR * total:
        return 0
    return 1 if for_positive > against else -1
