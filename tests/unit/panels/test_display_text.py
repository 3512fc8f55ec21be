"""Texts of the panels."""

import math

import pytest

from celltwin.panels.display_text import MISSING, drawable, show_duration, show_value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00:00"), (59.6, "0:01:00"), (3725.0, "1:02:05"), (360000.0, "100:00:00"), (-61.0, "-0:01:01")],
)
def test_durations_read_as_hours_minutes_seconds(seconds, text):
    assert show_duration(seconds) == text


def test_values_are_shown_in_display_units():
    assert show_value("temperature", 298.15) == "25.0 °C"
    assert show_value("soc", 0.5) == "50.0 %"
    assert show_value("soh", 0.912, unit=False) == "91.2"
    assert show_value("current", -2.5) == "-2.50 A"
    assert show_value("current", -0.001) == "0.00 A"
    assert show_value("temperature", 273.14) == "0.0 °C"


@pytest.mark.parametrize("show", [lambda value: show_value("voltage", value), show_duration])
def test_what_is_not_known_is_a_dash(show):
    assert show(math.nan) == MISSING


def test_glyphs_that_the_fonts_lack_are_replaced():
    assert drawable("4.1 → 4.2 V, ΔT ≤ 5 °C, −3 A") == "4.1 to 4.2 V, ΔT <= 5 °C, -3 A"
