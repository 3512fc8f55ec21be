"""Why a sample is quarantined."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["TIME_REASONS", "VALUE_REASONS", "Reason"]


class Reason(StrEnum):
    """Why a sample is quarantined, in words for reports."""

    MALFORMED_VALUE = "malformed value"
    NOT_A_NUMBER = "not a number"
    INFINITE = "infinite value"
    IMPOSSIBLE = "impossible value"
    MALFORMED_TIME = "malformed time"
    DUPLICATE_TIME = "duplicate time"
    OUT_OF_ORDER = "out of order"
    TIME_JUMP = "time jump"
    WRONG_LENGTH = "wrong row length"
    TRUNCATED = "truncated row"
    UNREADABLE = "unreadable"


VALUE_REASONS = (Reason.MALFORMED_VALUE, Reason.NOT_A_NUMBER, Reason.INFINITE, Reason.IMPOSSIBLE)
TIME_REASONS = (Reason.MALFORMED_TIME, Reason.DUPLICATE_TIME, Reason.OUT_OF_ORDER, Reason.TIME_JUMP)
