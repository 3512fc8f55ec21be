"""Whatever is sent: accepted and quarantined make up all of it, and accepted times only rise."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from celltwin.core import PackSpec, SampleBlock, load_pack
from celltwin.telemetry import AcceptedSamples, Ingest

COLUMNS = ("Current", "Cell Voltage A1", "Temperature A1")
VALUES = st.one_of(
    st.floats(-50.0, 50.0),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e9, -1e9, 0.0, 5e-324]),
    st.none(),
)
TIMES = st.one_of(
    st.integers(0, 12).map(float), st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf, 1e12, -1e12])
)
ROWS = st.lists(st.tuples(TIMES, st.tuples(VALUES, VALUES, VALUES)), max_size=25)


@lru_cache(maxsize=1)
def pack() -> PackSpec:
    return load_pack(Path(__file__).resolve().parents[3] / "data" / "packs" / "leaf_3_modules.toml")


def block_of(rows: list[tuple[float, tuple[float | None, ...]]]) -> SampleBlock:
    cells = [[math.nan if value is None else value for value in values] for _, values in rows]
    sent = [[value is not None for value in values] for _, values in rows]
    return SampleBlock(
        channels=COLUMNS,
        time=np.array([time for time, _ in rows], dtype=np.float64),
        values=np.array(cells, dtype=np.float64).reshape(-1, len(COLUMNS)),
        present=np.array(sent, dtype=np.bool_).reshape(-1, len(COLUMNS)),
        origin=("property",),
    )


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(ROWS, max_size=4))
def test_nothing_is_lost_and_accepted_times_rise_on_every_channel(
    blocks: list[list[tuple[float, tuple[float | None, ...]]]],
) -> None:
    ingest = Ingest(pack())
    results: list[AcceptedSamples] = [ingest.accept([block_of(rows)]) for rows in blocks]
    sent = sum(value is not None for rows in blocks for _, values in rows for value in values)
    accepted = sum(result.count for result in results)
    lost = sum(part.lost for result in results for part in result.quarantined)
    assert accepted + lost == sent
    assert lost == ingest.quarantine.lost_values
    assert sum(part.count for result in results for part in result.quarantined) == ingest.quarantine.total
    assert sum(row.count for row in ingest.quarantine.rows()) == ingest.quarantine.total
    for channel in range(len(ingest.channels)):
        times: list[float] = []
        for block in (block for result in results for block in result.blocks):
            for column in np.flatnonzero(block.channels == channel):
                times += block.time[~np.isnan(block.values[:, column])].tolist()
        assert all(later > earlier for earlier, later in itertools.pairwise(times))
        if times:
            newest = max(
                float(np.nanmax(reading.time)) for reading in ingest.readings(0.0) if np.isfinite(reading.time).any()
            )
            assert newest >= times[-1]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(ROWS)
def test_accepted_values_are_what_was_sent_converted_and_possible(
    rows: list[tuple[float, tuple[float | None, ...]]],
) -> None:
    ingest = Ingest(pack())
    result = ingest.accept([block_of(rows)])
    for block in result.blocks:
        for row, values in enumerate(block.values):
            for column, value in enumerate(values):
                if np.isnan(value):
                    continue
                raw = rows[row][1][column]
                assert raw is not None
                channel = ingest.channels[block.channels[column]]
                assert value == channel.scale * raw + channel.offset
                assert math.isfinite(block.time[row])
                assert -2000.0 <= value <= 2000.0
