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
        """When the newest sample arrived [s]; minus infinity before the first."""
        return self._newest

    def __bool__(self) -> bool:
        """Whether samples wait."""
        return bool(self._blocks)

    def add(self, blocks: list[SampleBlock]) -> None:
        """Take blocks in the order of their arrival."""
        for block in blocks:
            self._blocks.append(block)
            if block.arrived.size:
                self._newest = max(self._newest, float(block.arrived[-1]))

    def take(self, until: float) -> list[SampleBlock]:
        """Return and forget what arrived up to ``until`` [s], in the order of arrival.

        Times that the samples state may be out of order or missing; the checks that come next see them as they are.
        """
        taken = []
        while self._blocks:
            block = self._blocks[0]
            cut = int(np.searchsorted(block.arrived, until, side="right"))
            if cut == block.arrived.size:
                taken.append(self._blocks.popleft())
                continue
            if cut:
                taken.append(block.rows(0, cut))
                self._blocks[0] = block.rows(cut, block.arrived.size)
            break
        return taken
