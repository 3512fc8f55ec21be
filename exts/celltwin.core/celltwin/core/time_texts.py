"""Times as instruments write them: numbers, dates, or hours, minutes and seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum

__all__ = ["TimeForm", "recognise_times", "time_reader"]

_CLOCK = re.compile(
    r"^(?:(?P<days>\d+)\s*(?:d|days?)?\s+)?(?P<hours>\d+):(?P<minutes>[0-5]?\d):(?P<seconds>[0-5]?\d(?:[.,]\d*)?)$"
)


class TimeForm(StrEnum):
    """How a time column writes its times."""

    NUMBER = "number"
    DATETIME = "datetime"
    CLOCK = "clock"


def recognise_times(texts: Sequence[str], *, decimal_comma: bool) -> TimeForm | None:
    """Return how these texts write the time, by the majority of them; None if they do not."""
    best, votes = None, 0
    for form in TimeForm:
        read = time_reader(form, unit=1.0, decimal_comma=decimal_comma)
        count = sum(_readable(read, text) for text in texts)
        if count > votes:
            best, votes = form, count
    return best if 2 * votes > len(texts) else None


def _readable(read: Callable[[str], float], text: str) -> bool:
    try:
        return math.isfinite(read(text))
    except ValueError:
        return False


def time_reader(form: TimeForm, *, unit: float, decimal_comma: bool) -> Callable[[str], float]:
    """Return a function that takes the text of a time to seconds and raises ValueError for other text."""
    if form is TimeForm.DATETIME:
        return _read_datetime
    if form is TimeForm.CLOCK:
        return _read_clock
    if decimal_comma:
        return lambda text: unit * float(text.replace(",", "."))
    if unit == 1.0:
        return float
    return lambda text: unit * float(text)


def _read_datetime(text: str) -> float:
    plain = text.strip().replace("/", "-")
    if len(plain) < 8 or not plain[:4].isdigit():
        raise ValueError(f"{text!r} is no ISO date")
    moment = datetime.fromisoformat(plain)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _read_clock(text: str) -> float:
    match = _CLOCK.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time of the form hours:minutes:seconds")
    seconds = float(match["seconds"].replace(",", "."))
    return 86400.0 * int(match["days"] or 0) + 3600.0 * int(match["hours"]) + 60.0 * int(match["minutes"]) + seconds
