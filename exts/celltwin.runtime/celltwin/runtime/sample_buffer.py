"""Samples that have arrived and wait for their step."""

from __future__ import annotations

from collections import deque

import numpy as np

from celltwin.core import SampleBlock

__all__ = ["SampleBuffer"]


class SampleBuffer:
    """Keep sample blocks in order of arrival and hand out what belongs to a step."""

    def __init__(self) -> None:
        self._blocks: deque[SampleBlock] = deque()
        self._newest = float("-inf")

    @property
    def newest(self) -> float:
        """Largest time that has arrived [s]; minus infinity before the first."""
        return self._newest

    def __bool__(self) -> bool:
        """Whether samples wait."""
        return bool(self._blocks)

    def add(self, blocks: list[SampleBlock]) -> None:
        """Take blocks in the order of their arrival."""
        for block in blocks:
            self._blocks.append(block)
            finite = block.time[np.isfinite(block.time)]
            if finite.size:
                self._newest = max(self._newest, float(finite.max()))

    def take(self, until: float) -> list[SampleBlock]:
        """Return and forget what arrived before the first sample later than ``until`` [s].

        The order of arrival is kept, so that samples out of order stay visible to the checks.
        """
        taken = []
        while self._blocks:
            block = self._blocks[0]
            later = np.flatnonzero(block.time > until)
            if later.size == 0:
                taken.append(self._blocks.popleft())
                continue
            cut = int(later[0])
            if cut:
                taken.append(_rows(block, slice(0, cut)))
                self._blocks[0] = _rows(block, slice(cut, None))
            break
        return taken


def _rows(block: SampleBlock, rows: slice) -> SampleBlock:
    origin = block.origin if len(block.origin) <= 1 else block.origin[rows]
    return SampleBlock(
        channels=block.channels,
        time=block.time[rows],
        values=block.values[rows],
        present=block.present[rows],
        origin=origin,
    )
