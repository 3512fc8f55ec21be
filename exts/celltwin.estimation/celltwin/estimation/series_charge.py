r"""State of charge of things in series: what the fullest and the emptiest allow.

A string can give what its emptiest group still holds and take what its fullest still has room for:

.. math::
    q = \min_g z_g Q_g, \qquad p = \min_g (1 - z_g) Q_g, \qquad z = \frac{q}{q + p}

It is 0 when the first group is empty, 1 when the first is full, and the groups' own value where all are alike.
"""

from __future__ import annotations

import numpy as np

from celltwin.core import Array

__all__ = ["combine_series"]


def combine_series(soc: Array, capacity: Array, uncertainty: Array) -> tuple[Array, Array]:
    """Return the usable state of charge of strings of groups, and its standard uncertainty.

    Parameters
    ----------
    soc, capacity, uncertainty : ndarray of shape (n_strings, n_groups)
        State of charge [-], capacity [A.h] and standard uncertainty of the former [-] of each group; NaN where
        unknown.

    Returns
    -------
    soc, uncertainty : ndarray of shape (n_strings,)
        Usable state of charge and its standard uncertainty [-]; NaN where a group is unknown, since that group may
        be the one that limits.
    """
    known = np.isfinite(soc).all(axis=1)
    soc = np.where(known[:, np.newaxis], np.clip(soc, 0.0, 1.0), 0.5)
    rows = np.arange(soc.shape[0])
    left, room = soc * capacity, (1.0 - soc) * capacity
    emptiest, fullest = left.argmin(axis=1), room.argmin(axis=1)
    given, taken = left[rows, emptiest], room[rows, fullest]
    usable = np.maximum(given + taken, 1e-9 * capacity.max(axis=1))
    low = uncertainty[rows, emptiest] * capacity[rows, emptiest] * taken / usable**2
    high = uncertainty[rows, fullest] * capacity[rows, fullest] * given / usable**2
    # One group at both ends: its two errors are the same error.
    both = np.where(emptiest == fullest, low + high, np.hypot(low, high))
    return np.where(known, given / usable, np.nan), np.where(known, both, np.nan)
