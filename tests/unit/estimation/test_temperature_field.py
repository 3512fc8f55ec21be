"""Temperatures between sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality, Reading, lay_out
from celltwin.estimation import FieldSettings, TemperatureField, locate_sensors
from celltwin.estimation.kriging import matern_covariance, solve_weights

EVERY_TENTH = tuple(range(0, 560, 10))


def test_covariance_is_the_variance_at_no_distance_and_nothing_far_away():
    covariance = matern_covariance(np.array([0.0, 100.0]), spread=3.0, length=0.1)

    np.testing.assert_allclose(covariance, [9.0, 0.0], atol=1e-12)


def test_weights_of_a_target_sum_to_one():
    rng = np.random.default_rng(2)
    weights, variance = solve_weights(rng.random((7, 3)), rng.random((7, 5, 3)), np.full((7, 5), 0.1), 3.0, 0.2)

    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-9)
    assert np.all(variance > 0.0)


def test_a_constant_field_is_reproduced_exactly(small, image, with_sensors):
    spec = with_sensors(small, Level.CELL, EVERY_TENTH)
    found = TemperatureField(spec).estimate(image(0.0, {("temperature", Level.CELL): np.full(560, 301.25)}))

    np.testing.assert_allclose(found.values, 301.25, atol=1e-9)
    assert np.all(found.quality == Quality.GOOD)


def test_a_sensor_is_reproduced_at_its_own_cell(small, image, with_sensors):
    spec = with_sensors(small, Level.CELL, EVERY_TENTH)
    truth = 300.0 + np.random.default_rng(1).standard_normal(560)
    found = TemperatureField(spec).estimate(image(0.0, {("temperature", Level.CELL): truth}))

    np.testing.assert_array_equal(found.values[list(EVERY_TENTH)], truth[list(EVERY_TENTH)])
    np.testing.assert_allclose(found.standard_uncertainty[list(EVERY_TENTH)], 0.1)


def test_a_smooth_field_is_recovered_within_its_uncertainty(small, image, with_sensors):
    spec = with_sensors(small, Level.CELL, EVERY_TENTH)
    x, y, _ = lay_out(spec).cell_positions.T
    truth = 300.0 + 4.0 * np.sin(6.0 * x) + 3.0 * np.cos(8.0 * y)
    found = TemperatureField(spec).estimate(image(0.0, {("temperature", Level.CELL): truth}))

    error = np.abs(found.values - truth)
    assert error.max() < 1.0
    assert np.mean(error <= 1.96 * found.standard_uncertainty) > 0.95


def test_uncertainty_grows_with_the_distance_from_the_only_sensor(small, image, with_sensors):
    spec = with_sensors(small, Level.CELL, (0,))
    found = TemperatureField(spec).estimate(image(0.0, {("temperature", Level.CELL): np.full(560, 300.0)}))
    cells = lay_out(spec).cell_positions
    order = np.argsort(np.linalg.norm(cells - cells[0], axis=1))

    assert np.all(np.diff(found.standard_uncertainty[order]) >= -1e-9)


def test_a_sensor_on_a_turned_module_stands_where_the_module_is(small, with_sensors):
    turned = replace(small.modules[1], heading=90.0, position=(1.0, 2.0, 0.0))
    spec = with_sensors(small.with_modules((small.modules[0], turned)), Level.MODULE, ())
    sensor = next(sensor for sensor in spec.sensors if sensor.quantity == "temperature")
    moved = replace(sensor, position=(0.1, 0.0, 0.05))
    others = tuple(other for other in spec.sensors if other is not sensor)
    sensors = locate_sensors(replace(spec, sensors=(*others, moved)))

    np.testing.assert_allclose(sensors.positions[1], [1.0, 2.1, 0.05], atol=1e-12)


def test_each_leaf_module_follows_its_own_sensor(leaf, image):
    found = TemperatureField(leaf).estimate(
        image(0.0, {("temperature", Level.MODULE): np.array([295.0, 300.0, 305.0])})
    )

    assert np.all(np.abs(found.values.reshape(3, 4) - np.array([[295.0], [300.0], [305.0]])) < 1.0)
    assert np.all(found.standard_uncertainty > 0.3)


def test_a_lost_sensor_is_bridged_and_comes_back(small, image, with_sensors):
    spec = with_sensors(small, Level.CELL, EVERY_TENTH)
    field, truth = TemperatureField(spec), 300.0 + lay_out(spec).cell_positions[:, 0]
    complete = field.estimate(image(0.0, {("temperature", Level.CELL): truth}))
    broken = truth.copy()
    broken[[100, 110]] = np.nan
    bridged = field.estimate(image(1.0, {("temperature", Level.CELL): broken}))
    again = field.estimate(image(2.0, {("temperature", Level.CELL): truth}))

    assert abs(bridged.values[100] - truth[100]) < 0.1
    assert bridged.standard_uncertainty[100] > complete.standard_uncertainty[100]
    np.testing.assert_allclose(again.values, complete.values, atol=1e-9)


def test_weights_kept_from_step_to_step_equal_fresh_ones(small, image, with_sensors):
    spec = with_sensors(small, Level.CELL, EVERY_TENTH)
    rng, field = np.random.default_rng(8), TemperatureField(spec)
    for step in range(12):
        values = 300.0 + rng.standard_normal(560)
        values[rng.choice(EVERY_TENTH, 12)] = np.nan
        state = image(float(step), {("temperature", Level.CELL): values})
        kept, fresh = field.estimate(state), TemperatureField(spec).estimate(state)
        np.testing.assert_allclose(kept.values, fresh.values, atol=1e-9)
        np.testing.assert_allclose(kept.standard_uncertainty, fresh.standard_uncertainty, atol=1e-9)


def test_stale_sensors_give_stale_temperatures_that_grow_less_certain(small, with_sensors):
    spec = with_sensors(small, Level.CELL, EVERY_TENTH)
    field = TemperatureField(spec, FieldSettings(drift=0.01))
    old = Reading.at(
        Kind.MEASURED,
        "temperature",
        Level.CELL,
        np.full(560, 300.0),
        0.0,
        quality=Quality.STALE,
        standard_uncertainty=0.1,
        provenance="test",
    )
    soon, late = (field.estimate(PackState(time=time, step=0).updated(old)) for time in (10.0, 500.0))

    assert np.all(late.quality == Quality.STALE)
    assert np.all(late.standard_uncertainty > soon.standard_uncertainty + 3.0)


@pytest.mark.parametrize("quality", [Quality.SUSPECT, Quality.BAD])
def test_without_trusted_sensors_the_coolant_is_all_that_is_known(small, image, quality):
    state = image(0.0, {("temperature", Level.CELL): np.full(560, 400.0)}, quality)
    found = TemperatureField(small).estimate(state)

    np.testing.assert_array_equal(found.values, small.cooling.inlet_temperature)
    assert np.all(found.quality == Quality.SUSPECT)
    assert np.all(found.standard_uncertainty >= 10.0)
