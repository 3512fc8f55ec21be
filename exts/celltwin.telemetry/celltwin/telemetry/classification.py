"""Give every sample of a block its verdict: accepted, absent, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Flags, SampleBlock

from .reasons import TIME_REASONS, VALUE_REASONS, Reason
from .samples import QuarantinedSamples

__all__ = ["ABSENT", "ACCEPTED", "Verdict", "classify", "describe_faults", "is_value_fault"]

ACCEPTED = 0
ABSENT = 255

_CODES = {reason: code for code, reason in enumerate(Reason, 1)}
_REASONS = {code: reason for reason, code in _CODES.items()}
_FIRST_VALUE, _LAST_VALUE = _CODES[VALUE_REASONS[0]], _CODES[VALUE_REASONS[-1]]
_TIME_CODES = tuple(_CODES[reason] for reason in TIME_REASONS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """What became of the samples of one block.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n_samples, n_channels)
        ``ACCEPTED``, ``ABSENT`` or the code of a reason.
    values : ndarray of shape (n_samples, n_channels)
        Values [SI]; NaN where not accepted.
    newest : ndarray of shape (n_channels,)
        Newest accepted time of each channel [s]; minus infinity where there has been none.
    """

    codes: Flags
    values: Array
    newest: Array


def is_value_fault(codes: Flags) -> NDArray[np.bool_]:
    """Return where the value itself is at fault."""
    faulty: NDArray[np.bool_] = (codes >= _FIRST_VALUE) & (codes <= _LAST_VALUE)
    return faulty


def classify(
    block: SampleBlock,
    columns: NDArray[np.int64],
    *,
    scale: Array,
    offset: Array,
    lowest: Array,
    highest: Array,
    newest: Array,
    jumps: NDArray[np.bool_],
) -> Verdict:
    """Judge every sample of a block.

    A fault of the time comes before a fault of the value.

    Parameters
    ----------
    block : SampleBlock
        Samples as sent.
    columns : ndarray of int, shape (n_channels,)
        Columns of the block that are mapped; the other arrays are in their order.
    scale, offset : ndarray of shape (n_channels,)
        To SI.
    lowest, highest : ndarray of shape (n_channels,)
        Bounds of the physically possible [SI].
    newest : ndarray of shape (n_channels,)
        Newest accepted time of each channel [s]; minus infinity for none.
    jumps : ndarray of bool, shape (n_samples,)
        Rows whose time is not believed.
    """
    whole = columns.size == len(block.channels) and bool(np.all(columns == np.arange(columns.size)))
    raw = block.values if whole else block.values[:, columns]
    present = block.present if whole else block.present[:, columns]
    with np.errstate(over="ignore", invalid="ignore"):
        values = raw * scale + offset
    codes = np.zeros(raw.shape, dtype=np.uint8)
    possible = (values >= lowest) & (values <= highest)
    if not possible.all():
        codes[~possible] = _CODES[Reason.IMPOSSIBLE]
        codes[np.isinf(raw)] = _CODES[Reason.INFINITE]
        codes[np.isnan(raw)] = _CODES[Reason.NOT_A_NUMBER]
        position = {block.channels[column]: index for index, column in enumerate(columns)} if block.faults else {}
        for fault in block.faults:
            if fault.row >= 0 and fault.reason == Reason.MALFORMED_VALUE and fault.channel in position:
                codes[fault.row, position[fault.channel]] = _CODES[Reason.MALFORMED_VALUE]
    time = block.time
    timed = np.isfinite(time) & ~jumps
    valid = (codes == ACCEPTED) & present & timed[:, np.newaxis]
    stated = time[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        if time.size == 1:
            before = newest[np.newaxis]
            after = np.where(valid[0], np.maximum(newest, time[0]), newest)
        else:
            reached = np.maximum.accumulate(np.vstack([newest, np.where(valid, stated, -np.inf)]))
            before, after = reached[:-1], reached[-1]
        late = stated <= before
    if late.any():
        codes[late] = _CODES[Reason.OUT_OF_ORDER]
        codes[stated == before] = _CODES[Reason.DUPLICATE_TIME]
    codes[jumps] = _CODES[Reason.TIME_JUMP]
    codes[~np.isfinite(time)] = _CODES[Reason.MALFORMED_TIME]
    codes[~present] = ABSENT
    return Verdict(codes=codes, values=np.where(codes == ACCEPTED, values, np.nan), newest=after)


def describe_faults(block: SampleBlock, columns: NDArray[np.int64], codes: Flags) -> list[QuarantinedSamples]:
    """Return what the verdicts put aside, one entry a reason; a fault of all samples of a row is one of the row."""
    found = [*_lost_rows(block)]
    nameless = ~np.isfinite(block.time)
    faulty = (codes != ACCEPTED) & (codes != ABSENT)
    if not faulty.any() and not nameless.any():
        return found
    texts = {(fault.row, fault.channel): fault.text for fault in block.faults if fault.row >= 0}
    present = codes != ABSENT
    n_present = present.sum(axis=1)
    in_row = np.zeros(block.time.size, dtype=np.bool_)
    for code in _TIME_CODES:
        rows = (codes == code).sum(axis=1) == n_present
        rows &= nameless if _REASONS[code] is Reason.MALFORMED_TIME else n_present > 0
        in_row |= rows
        found += _whole_rows(block, np.flatnonzero(rows), _REASONS[code], n_present, texts)
    faulty[in_row] = False
    for code in np.unique(codes[faulty]):
        row, column = np.nonzero(faulty & (codes == code))
        names = [block.channels[columns[index]] for index in column]
        found.append(
            QuarantinedSamples(
                reason=_REASONS[int(code)],
                channels=tuple(names),
                time=block.time[row],
                values=block.values[row, columns[column]],
                origins=tuple([_origin(block, index) for index in row]),
                texts=tuple([texts.get((int(index), name), "") for index, name in zip(row, names, strict=True)]),
                lost=row.size,
            )
        )
    return found


def _lost_rows(block: SampleBlock) -> list[QuarantinedSamples]:
    """Return the faults that belong to no row of the block, one entry a reason."""
    by_reason: dict[Reason, list[int]] = {}
    for index, fault in enumerate(block.faults):
        if fault.row < 0:
            by_reason.setdefault(_reason(fault.reason), []).append(index)
    return [
        QuarantinedSamples(
            reason=reason,
            channels=tuple([block.faults[index].channel for index in indices]),
            time=np.full(len(indices), np.nan),
            values=np.full(len(indices), np.nan),
            origins=tuple([block.faults[index].origin for index in indices]),
            texts=tuple([block.faults[index].text for index in indices]),
            lost=0,
        )
        for reason, indices in by_reason.items()
    ]


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.UNREADABLE


def _whole_rows(
    block: SampleBlock,
    rows: NDArray[np.int64],
    reason: Reason,
    n_present: NDArray[np.int64],
    texts: dict[tuple[int, str], str],
) -> Sequence[QuarantinedSamples]:
    if rows.size == 0:
        return ()
    return (
        QuarantinedSamples(
            reason=reason,
            channels=("",) * rows.size,
            time=block.time[rows],
            values=np.full(rows.size, np.nan),
            origins=tuple([_origin(block, index) for index in rows]),
            texts=tuple([texts.get((int(index), ""), "") for index in rows]),
            lost=int(n_present[rows].sum()),
        ),
    )


def _origin(block: SampleBlock, row: int) -> str:
    if not block.origin:
        return ""
    return block.origin[0] if len(block.origin) == 1 else block.origin[row]
