"""Alarms at each of their three levels."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality, Reading, Severity
from celltwin.estimation import AlarmMonitor, check_limits


def healthy(spec) -> dict[tuple[str, Level], np.ndarray]:
    return {
        ("current", Level.PACK): np.zeros(1),
        ("voltage", Level.GROUP): np.full(spec.n_groups, 3.7),
        ("temperature", Level.CELL): np.full(spec.n_cells, 298.15),
    }


def changed(spec, quantity: str, level: Level, element: int, value: float) -> dict[tuple[str, Level], np.ndarray]:
    readings = healthy(spec)
    readings[(quantity, level)][element] = value
    return readings


def of(alarms, quantity: str, spread: bool = False):
    return [alarm for alarm in alarms if alarm.quantity == quantity and ("differs" in alarm.message) == spread]


def test_a_healthy_pack_raises_nothing(small, image):
    assert check_limits(small, image(0.0, healthy(small))) == ()


def test_nothing_known_raises_nothing(small):
    assert check_limits(small, PackState(time=0.0, step=0)) == ()


@pytest.mark.parametrize(
    ("voltage", "severity"),
    [
        (4.2, None),
        (4.206, Severity.NOTICE),
        (4.226, Severity.WARNING),
        (4.251, Severity.CRITICAL),
        (2.494, Severity.NOTICE),
        (2.474, Severity.WARNING),
        (2.449, Severity.CRITICAL),
    ],
)
def test_group_voltage_crosses_each_level(small, image, voltage, severity):
    alarms = of(check_limits(small, image(5.0, changed(small, "voltage", Level.GROUP, 7, voltage))), "voltage")

    expected = [] if severity is None else [(severity, "M01.G08", voltage, 5.0)]
    assert [(alarm.severity, alarm.element_id, alarm.value, alarm.time) for alarm in alarms] == expected


def test_the_message_names_element_value_and_limit_in_display_units(small, image):
    state = image(0.0, changed(small, "temperature", Level.CELL, 300, 334.0))
    (alarm,) = check_limits(small, state)

    assert alarm.message == "M02.G01.C21: temperature 60.9 °C above the maximum safety limit 60.0 °C"


@pytest.mark.parametrize(
    ("celsius", "current", "severity"),
    [
        (51.0, 0.0, Severity.NOTICE),
        (56.0, 0.0, Severity.WARNING),
        (61.0, 0.0, Severity.CRITICAL),
        (-16.0, 0.0, Severity.NOTICE),
        (-21.0, 56.0, Severity.WARNING),
        (-26.0, 56.0, Severity.CRITICAL),
        (4.0, -28.0, Severity.NOTICE),
        (-1.0, -28.0, Severity.WARNING),
        (-6.0, -28.0, Severity.CRITICAL),
    ],
)
def test_temperature_crosses_each_level_and_charging_has_its_own_cold_limit(small, image, celsius, current, severity):
    readings = changed(small, "temperature", Level.CELL, 41, celsius + 273.15)
    readings[("current", Level.PACK)][0] = current
    alarms = check_limits(small, image(0.0, readings))

    assert [(alarm.severity, alarm.element_id) for alarm in alarms] == [(severity, "M01.G02.C14")]


@pytest.mark.parametrize(
    ("current", "severity"),
    [
        (281.0, Severity.NOTICE),
        (295.0, Severity.WARNING),
        (309.0, Severity.CRITICAL),
        (-169.0, Severity.NOTICE),
        (-177.0, Severity.WARNING),
        (-185.0, Severity.CRITICAL),
    ],
)
def test_pack_current_crosses_each_level_in_both_directions(small, image, current, severity):
    alarms = check_limits(small, image(0.0, changed(small, "current", Level.PACK, 0, current)))

    assert [(alarm.severity, alarm.level, alarm.value) for alarm in alarms] == [(severity, Level.PACK, abs(current))]


@pytest.mark.parametrize(
    ("drop", "severity"), [(0.11, Severity.NOTICE), (0.31, Severity.WARNING), (1.01, Severity.CRITICAL)]
)
def test_voltage_spread_names_the_group_that_makes_it(small, image, drop, severity):
    (alarm,) = check_limits(small, image(0.0, changed(small, "voltage", Level.GROUP, 12, 3.7 - drop)))

    assert (alarm.severity, alarm.element_id) == (severity, "M02.G03")
    assert f"{1000 * drop:.0f} mV" in alarm.message


def test_a_soc_spread_within_its_uncertainty_is_no_alarm(small):
    def state(uncertainty: float) -> PackState:
        values = np.full(20, 0.5)
        values[3] = 0.38
        return PackState(time=0.0, step=0).updated(
            Reading.at(
                Kind.ESTIMATED, "soc", Level.GROUP, values, 0.0, standard_uncertainty=uncertainty, provenance="test"
            )
        )

    assert check_limits(small, state(0.05)) == ()
    (alarm,) = check_limits(small, state(0.01))
    assert (alarm.severity, alarm.element_id) == (Severity.WARNING, "M01.G04")


@pytest.mark.parametrize(
    ("age", "severity"), [(31.0, Severity.NOTICE), (61.0, Severity.WARNING), (121.0, Severity.CRITICAL)]
)
def test_values_that_are_not_renewed_raise_one_alarm_a_sensor(small, age, severity):
    old = Reading.at(Kind.MEASURED, "voltage", Level.GROUP, np.full(20, 3.7), 0.0, provenance="test")
    (alarm,) = check_limits(small, PackState(time=age, step=0).updated(old))

    assert alarm.severity == severity
    assert "20 of 20 values late" in alarm.message


def test_suspect_values_raise_no_alarm(small, image):
    state = image(0.0, changed(small, "voltage", Level.GROUP, 7, 5.5), Quality.SUSPECT)

    assert check_limits(small, state) == ()


def test_the_most_severe_alarm_comes_first(small, image):
    readings = changed(small, "voltage", Level.GROUP, 7, 4.210)
    readings[("temperature", Level.CELL)][3] = 340.0
    alarms = check_limits(small, image(0.0, readings))

    assert [alarm.severity for alarm in alarms] == sorted((alarm.severity for alarm in alarms), reverse=True)
    assert alarms[0].quantity == "temperature"


def test_a_notice_waits_for_its_delay_and_a_critical_alarm_does_not(small, image):
    monitor = AlarmMonitor(small, delay=2.0)
    high = changed(small, "voltage", Level.GROUP, 7, 4.210)

    assert of(monitor.check(image(0.0, high)), "voltage") == []
    assert of(monitor.check(image(1.0, high)), "voltage") == []
    assert len(of(monitor.check(image(2.0, high)), "voltage")) == 1
    critical = AlarmMonitor(small, delay=2.0).check(image(0.0, changed(small, "voltage", Level.GROUP, 7, 4.3)))
    assert of(critical, "voltage")[0].severity == Severity.CRITICAL


def test_an_alarm_stands_until_the_value_is_clearly_back_inside(small, image):
    monitor = AlarmMonitor(small, delay=0.0)
    raised = [
        len(of(monitor.check(image(float(step), changed(small, "voltage", Level.GROUP, 7, voltage))), "voltage"))
        for step, voltage in enumerate((4.210, 4.199, 4.206, 4.197, 4.194, 4.204, 4.206))
    ]

    assert raised == [1, 1, 1, 1, 0, 0, 1]


def test_a_value_that_flickers_about_a_limit_raises_no_alarm(small, image):
    monitor = AlarmMonitor(small, delay=2.0)
    for step in range(20):
        voltage = 4.210 if step % 2 else 4.190
        assert (
            of(monitor.check(image(float(step), changed(small, "voltage", Level.GROUP, 7, voltage))), "voltage") == []
        )
