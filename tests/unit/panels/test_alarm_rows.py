"""Alarms as rows."""

from celltwin.core import Alarm, Level, Severity
from celltwin.panels import alarm_rows


def alarm(severity: Severity, time: float, element: int) -> Alarm:
    return Alarm(
        time=time,
        severity=severity,
        quantity="temperature",
        level=Level.CELL,
        element=element,
        element_id=f"C{element}",
        value=333.15,
        limit=328.15,
        message="60.0 °C ≥ 55.0 °C",
    )


def test_the_most_urgent_come_first_then_the_newest():
    alarms = (
        alarm(Severity.WARNING, 5.0, 1),
        alarm(Severity.CRITICAL, 1.0, 2),
        alarm(Severity.CRITICAL, 2.0, 3),
        alarm(Severity.NOTICE, 9.0, 4),
    )

    assert [row.element for row in alarm_rows(alarms)] == ["C3", "C2", "C1", "C4"]


def test_values_and_limits_are_in_display_units():
    (row,) = alarm_rows((alarm(Severity.WARNING, 65.0, 1),))

    assert (row.quantity, row.value, row.limit, row.time) == ("Temperature", "60.0 °C", "55.0 °C", "0:01:05")
    assert row.message == "60.0 °C >= 55.0 °C"
