import numpy as np
import pytest

from celltwin.runtime.report.figures import (
    draw_deviations,
    draw_life,
    draw_pack,
    draw_range,
    draw_risk,
    draw_soc,
    draw_soh,
)

TIME = np.linspace(0.0, 3600.0, 61)


def test_axes_carry_labels_and_units():
    assert all(
        label in draw_pack(TIME, np.ones(61), np.full(61, 360.0))
        for label in ("Pack voltage [V]", "Pack current [A]", "Time [min]")
    )
    soc = draw_soc(TIME, np.linspace(1, 0, 61), np.full(61, 0.02), np.full(61, np.nan), np.full(61, np.nan))
    assert "SOC [%]" in soc
    assert "thermal runaway [-]" in draw_risk(TIME, np.full(61, 1e-8), np.full(61, 1e-11))
    assert "SOH [%]" in draw_soh(np.array([0.9, 0.95]), np.array([True, False]), None)


def test_temperatures_are_drawn_in_degrees_celsius():
    text = draw_range(TIME, np.full((61, 3), 298.15), ("A", "B", "C"), "temperature", (), "module")

    assert "Module temperature [°C]" in text
    assert ">25" in text


@pytest.mark.parametrize("count", [6, 100])
def test_marked_elements_are_named_among_few_and_many(count):
    values = np.random.default_rng(1).normal(3.7, 0.01, (61, count))
    ids = tuple(f"G{number:03d}" for number in range(count))

    text = draw_range(TIME, values, ids, "voltage", (1, 4), "group")

    assert "G001" in text
    assert "G004" in text
    assert ("G002" in text) is (count == 6)


def test_weakest_groups_are_labelled_among_many():
    text = draw_deviations(np.linspace(-0.05, 0.05, 100), tuple(f"G{number:03d}" for number in range(100)), (0, 1))

    assert "G000" in text
    assert "G050" not in text


def test_truth_is_labelled_as_the_simulated_plants():
    cells = np.linspace(0.85, 1.0, 50)

    assert "truth of the simulated plant" in draw_soh(cells, np.ones(50, dtype=bool), cells + 0.01)
    assert "truth" not in draw_soh(cells, np.ones(50, dtype=bool), None)


def test_remaining_life_of_modules_is_drawn_with_what_may_be_trusted_apart():
    cycles, half, ids = np.array([180.0, 20.0, np.nan]), np.array([40.0, 60.0, np.nan]), ("M01", "M02", "M03")

    mixed = draw_life(ids, cycles, half, np.array([True, False, False]), 20.0)
    trusted = draw_life(ids, cycles, half, np.array([True, True, False]), 20.0)

    assert all(text in mixed for text in (*ids, "Cycles left", "not to be trusted", "pack"))
    assert "not to be trusted" not in trusted
