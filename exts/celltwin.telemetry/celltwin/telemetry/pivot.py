"""Turn rows of one value each into rows of many values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, SampleBlock, SampleFault

__all__ = ["pivot"]

MOST_CELLS = 500_000


def pivot(
    names: Sequence[str],
    time: Array,
    channel: NDArray[np.int64],
    value: Array,
    present: NDArray[np.bool_],
    origin: Sequence[str],
    faults: Sequence[SampleFault],
) -> Iterator[SampleBlock]:
    """Yield blocks in which neighbouring samples of one time share a row.

    A channel that comes twice at one time gets a second row, so that the duplicate stays visible.

    Parameters
    ----------
    names : sequence of str
        Channels that ``channel`` counts.
    time : ndarray of shape (n,)
        Time of each sample [s].
    channel : ndarray of int, shape (n,)
        Index of its channel.
    value : ndarray of shape (n,)
        Value as sent.
    present : ndarray of bool, shape (n,)
        Where the source sent a value.
    origin : sequence of str
        Where each sample comes from.
    faults : sequence of SampleFault
        Their rows count the samples.
    """
    count = time.size
    if count == 0:
        if faults:
            yield _block((), np.empty(0), np.empty((0, 0)), np.empty((0, 0), dtype=np.bool_), (), tuple(faults))
        return
    used, column = np.unique(channel, return_inverse=True)
    row = _rows_of(time, column, used.size)
    n_rows = int(row.max()) + 1
    if n_rows * used.size > MOST_CELLS and count > 1:
        half = count // 2
        first = [fault for fault in faults if fault.row < half]
        second = [_moved(fault, -half) for fault in faults if fault.row >= half]
        yield from pivot(names, time[:half], channel[:half], value[:half], present[:half], origin[:half], first)
        yield from pivot(names, time[half:], channel[half:], value[half:], present[half:], origin[half:], second)
        return
    first_sample = np.full(n_rows, count, dtype=np.int64)
    np.minimum.at(first_sample, row, np.arange(count))
    values = np.full((n_rows, used.size), np.nan)
    sent = np.zeros((n_rows, used.size), dtype=np.bool_)
    values[row, column] = value
    sent[row, column] = present
    yield _block(
        tuple(names[index] for index in used),
        time[first_sample],
        values,
        sent,
        tuple(origin[int(index)] for index in first_sample),
        tuple(fault if fault.row < 0 else _moved(fault, int(row[fault.row]) - fault.row) for fault in faults),
    )


def _rows_of(time: Array, column: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Return the row of each sample."""
    changed = np.ones(time.size, dtype=np.bool_)
    changed[1:] = ~(time[1:] == time[:-1])
    run = np.cumsum(changed) - 1
    key = run * width + column
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    lengths = np.diff(np.append(starts, ordered.size))
    repeat = np.empty(time.size, dtype=np.int64)
    repeat[order] = np.arange(time.size) - np.repeat(starts, lengths)
    rows: NDArray[np.int64] = np.unique(run * (int(repeat.max()) + 1) + repeat, return_inverse=True)[1]
    return rows


def _moved(fault: SampleFault, by: int) -> SampleFault:
    return SampleFault(
        reason=fault.reason, origin=fault.origin, text=fault.text, row=fault.row + by, channel=fault.channel
    )


def _block(
    channels: tuple[str, ...],
    time: Array,
    values: Array,
    present: NDArray[np.bool_],
    origin: tuple[str, ...],
    faults: tuple[SampleFault, ...],
) -> SampleBlock:
    for array in (time, values, present):
        array.flags.writeable = False  # spares a copy
    return SampleBlock(
        channels=channels,
        time=time,
        values=values,
        present=present,
        origin=origin,
        faults=faults,
    )
