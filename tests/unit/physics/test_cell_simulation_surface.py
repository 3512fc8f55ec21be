"""Surface of a cell against the mean of its volume: closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.physics.calibration.cell_simulation_surface import surface_temperature

AMBIENT = 298.15


def test_a_surface_without_gap_or_lag_is_the_mean():
    time = np.linspace(0.0, 100.0, 11)
    mean = AMBIENT + 0.1 * time
    found = surface_temperature(time, mean, np.full(11, AMBIENT), first=AMBIENT, gap=0.0, lag=0.0)
    assert found == pytest.approx(mean)


def test_a_steady_rise_is_lessened_by_the_gap():
    time = np.linspace(0.0, 1e4, 101)
    mean = np.full(101, AMBIENT + 20.0)
    found = surface_temperature(time, mean, np.full(101, AMBIENT), first=AMBIENT + 20.0, gap=0.1, lag=30.0)
    assert found[0] == pytest.approx(AMBIENT + 20.0)
    assert found[-1] == pytest.approx(AMBIENT + 18.0)


def test_a_ramp_is_followed_by_the_closed_form_whatever_the_rows():
    lag, slope = 25.0, 0.02
    time = np.array([0.0, 3.0, 4.0, 40.0, 41.0, 300.0, 1000.0])
    found = surface_temperature(
        time, AMBIENT + slope * time, np.full(time.size, AMBIENT), first=AMBIENT, gap=0.0, lag=lag
    )
    assert found == pytest.approx(AMBIENT + slope * (time - lag * (1.0 - np.exp(-time / lag))), abs=1e-9)


def test_rows_may_begin_after_time_0():
    lag, slope = 25.0, 0.02
    time = np.array([50.0, 100.0])
    found = surface_temperature(time, AMBIENT + slope * time, np.full(2, AMBIENT), first=AMBIENT, gap=0.0, lag=lag)
    assert found == pytest.approx(AMBIENT + slope * (time - lag * (1.0 - np.exp(-time / lag))), abs=1e-9)


def test_rows_that_were_not_reached_stay_without_a_value():
    time = np.array([0.0, 10.0, 20.0])
    mean = np.array([AMBIENT, AMBIENT + 1.0, np.nan])
    found = surface_temperature(time, mean, np.full(3, AMBIENT), first=AMBIENT, gap=0.05, lag=10.0)
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2])
