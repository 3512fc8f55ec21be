"""Rows of one value become rows of many, and no value is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from celltwin.core import SampleFault
from celltwin.telemetry import pivot as pivot_module
from celltwin.telemetry.pivot import pivot

SAMPLES = st.lists(
    st.tuples(st.one_of(st.integers(0, 5).map(float), st.just(float("nan"))), st.integers(0, 4)), max_size=40
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(SAMPLES, st.integers(1, 60))
def test_every_sample_keeps_its_time_channel_and_origin(samples: list[tuple[float, int]], most: int) -> None:
    count = len(samples)
    limit = pivot_module.MOST_CELLS
    pivot_module.MOST_CELLS = most
    try:
        blocks = list(
            pivot(
                ["a", "b", "c", "d", "e"],
                np.array([time for time, _ in samples], dtype=np.float64),
                np.array([channel for _, channel in samples], dtype=np.int64),
                np.arange(count, dtype=np.float64),
                np.ones(count, dtype=np.bool_),
                [str(index) for index in range(count)],
                [
                    SampleFault(reason="malformed value", origin=str(index), text="", row=index)
                    for index in range(count)
                ],
            )
        )
    finally:
        pivot_module.MOST_CELLS = limit
    found = []
    for block in blocks:
        for row, column in zip(*np.nonzero(block.present), strict=True):
            found.append((int(block.values[row, column]), block.channels[column], block.time[row]))
    assert sorted(value for value, _, _ in found) == list(range(count))
    for value, channel, time in found:
        assert channel == "abcde"[samples[value][1]]
        assert time == samples[value][0] or (np.isnan(time) and np.isnan(samples[value][0]))
    for block in blocks:
        for fault in block.faults:
            assert int(fault.origin) in block.values[fault.row][block.present[fault.row]]
        first = [int(origin) for origin in block.origin]
        assert first == sorted(first)
