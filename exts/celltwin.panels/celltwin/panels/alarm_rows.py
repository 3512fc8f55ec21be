"""Alarms as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from celltwin.core import Alarm, Severity, find_quantity

from .display_text import drawable, show_duration, show_value

__all__ = ["AlarmRow", "alarm_rows"]


@dataclass(frozen=True, kw_only=True)
class AlarmRow:
    """One alarm, ready to be drawn: severity, where, what, value, limit, since when, and the whole message."""

    severity: Severity
    element: str
    quantity: str
    value: str
    limit: str
    time: str
    message: str


def alarm_rows(alarms: tuple[Alarm, ...]) -> tuple[AlarmRow, ...]:
    """Return the alarms, the most urgent first, the newest of one urgency first."""
    ordered = sorted(alarms, key=lambda alarm: (-alarm.severity, -alarm.time, alarm.element))
    return tuple(
        AlarmRow(
            severity=alarm.severity,
            element=alarm.element_id,
            quantity=find_quantity(alarm.quantity).label,
            value=show_value(alarm.quantity, alarm.value),
            limit=show_value(alarm.quantity, alarm.limit),
            time=show_duration(alarm.time),
            message=drawable(alarm.message),
        )
        for alarm in ordered
    )
