"""The account of everything that was not accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .reasons import Reason
from .samples import QuarantinedSamples

__all__ = ["Quarantine", "QuarantineRow"]


@dataclass(frozen=True, kw_only=True)
class QuarantineRow:
    """One line of the quarantine table.

    Attributes
    ----------
    reason : str
        Why.
    channel : str
        Column or topic; ``"whole row"`` where the fault is the row's.
    count : int
        Samples, or rows where the fault is the row's.
    first_origin : str
        Where the first stands, such as ``"file.csv:1234"``.
    first_time : float
        Its time as stated [s]; NaN where there is none.
    first_example : str
        What was sent.
    """

    reason: str
    channel: str
    count: int
    first_origin: str
    first_time: float
    first_example: str


class Quarantine:
    """Count quarantined samples by reason and channel, keeping the first example of each."""

    def __init__(self) -> None:
        self._first: dict[tuple[Reason, str], tuple[str, float, str]] = {}
        self._number: dict[tuple[Reason, str], int] = {}
        self._counts: dict[str, int] = {}
        self._lost = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """Samples and rows by reason; reasons that never came up are absent."""
        return MappingProxyType(self._counts)

    @property
    def total(self) -> int:
        """Samples and rows in quarantine."""
        return sum(self._counts.values())

    @property
    def lost_values(self) -> int:
        """Values in quarantine, those of whole rows included."""
        return self._lost

    def add(self, samples: QuarantinedSamples) -> None:
        """Take note of samples."""
        reason = samples.reason
        self._counts[reason.value] = self._counts.get(reason.value, 0) + samples.count
        self._lost += samples.lost
        for index, channel in enumerate(samples.channels):
            key = (reason, channel)
            number = self._number.get(key)
            if number is None:
                example = samples.texts[index]
                value = float(samples.values[index])
                if not example:
                    example = "" if not channel and np.isnan(value) else f"{value:g}"
                self._first[key] = (samples.origins[index], float(samples.time[index]), example)
                number = 0
            self._number[key] = number + 1

    def rows(self) -> tuple[QuarantineRow, ...]:
        """Return the table, the most frequent first."""
        ordered = sorted(self._number.items(), key=lambda item: -item[1])
        return tuple(
            QuarantineRow(
                reason=reason.value,
                channel=channel or "whole row",
                count=count,
                first_origin=self._first[reason, channel][0],
                first_time=self._first[reason, channel][1],
                first_example=self._first[reason, channel][2],
            )
            for (reason, channel), count in ordered
        )
