"""Samples after the checks: accepted in SI, or quarantined with a reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, require_shape

from .reasons import Reason

__all__ = ["AcceptedBlock", "AcceptedSamples", "QuarantinedSamples"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AcceptedBlock:
    """Accepted samples that arrived together.

    Attributes
    ----------
    channels : ndarray of int, shape (n_channels,)
        Index of each column among the incoming channels of the pack.
    time : ndarray of shape (n_samples,)
        Time of each row [s].
    values : ndarray of shape (n_samples, n_channels)
        Values [SI], current positive on discharge; NaN where nothing was accepted.
    """

    channels: NDArray[np.int64]
    time: Array
    values: Array

    def __post_init__(self) -> None:
        """Check the shapes."""
        require_shape("AcceptedBlock.values", self.values, (self.time.size, self.channels.size))


@dataclass(frozen=True, kw_only=True, eq=False)
class QuarantinedSamples:
    """Samples that were not accepted, for one reason.

    Attributes
    ----------
    reason : Reason
        Why.
    channels : tuple of str
        Column or topic of each; empty for a whole row.
    time : ndarray of shape (n,)
        Time as stated [s]; NaN where there is none.
    values : ndarray of shape (n,)
        Value as sent, in the unit of the source; NaN where there is none, and for whole rows.
    origins, texts : tuple of str
        Where each stands, and what was sent where it is no number.
    lost : int
        Number of values among them: one a sample, for a whole row all that it held.
    """

    reason: Reason
    channels: tuple[str, ...]
    time: Array
    values: Array
    origins: tuple[str, ...]
    texts: tuple[str, ...]
    lost: int

    @property
    def count(self) -> int:
        """Number of samples or rows."""
        return len(self.channels)


@dataclass(frozen=True, kw_only=True, eq=False)
class AcceptedSamples:
    """What one call of the ingest accepted, and what it put aside.

    Attributes
    ----------
    blocks : tuple of AcceptedBlock
        Accepted samples in the order of their arrival.
    quarantined : tuple of QuarantinedSamples
        The others.
    """

    blocks: tuple[AcceptedBlock, ...] = ()
    quarantined: tuple[QuarantinedSamples, ...] = ()

    @property
    def count(self) -> int:
        """Number of accepted values."""
        return sum(int(np.count_nonzero(~np.isnan(block.values))) for block in self.blocks)
