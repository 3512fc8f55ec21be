"""From measured readings to estimated ones."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality
from celltwin.estimation import Assimilator


class Pack:
    """A pack whose groups follow the test curve, with resistance only."""

    def __init__(self, spec, curve, soc):
        self.spec, self.curve = spec, curve
        self.soc = np.full(spec.n_groups, soc) + np.linspace(-0.01, 0.01, spec.n_groups)
        self.rng = np.random.default_rng(4)

    def readings(self, current: float, step: float) -> dict[tuple[str, Level], np.ndarray]:
        spec = self.spec
        cell = current / spec.parallel
        self.soc = self.soc - cell * step / 3600.0 / spec.cell.capacity
        voltage = self.curve.evaluate(self.soc)[0] - 0.035 * cell + 0.001 * self.rng.standard_normal(spec.n_groups)
        return {
            ("current", Level.PACK): np.array([current]),
            ("voltage", Level.GROUP): voltage,
            ("temperature", Level.CELL): np.full(spec.n_cells, 299.0),
        }


def run(spec, curve, image, currents, soc=0.8, step=10.0):
    pack, assimilator, state = Pack(spec, curve, soc), Assimilator(spec, curve), None
    for number, current in enumerate(currents):
        time = number * step
        state = image(time, pack.readings(current, step if number else 0.0))
        state = state.updated(*assimilator.assimilate(state))
    return pack, assimilator, state


def estimated(state: PackState, quantity: str, level: Level):
    reading = state.get(Kind.ESTIMATED, quantity, level)
    assert reading is not None
    return reading


def test_rest_gives_the_state_of_charge_at_once(small, curve, image):
    pack, _, state = run(small, curve, image, [0.0])
    soc = estimated(state, "soc", Level.GROUP)

    assert np.all(np.abs(soc.values - pack.soc) < 2.0 * soc.standard_uncertainty)
    assert soc.standard_uncertainty.max() < 0.03
    assert np.all(soc.quality == Quality.GOOD)


def test_state_of_charge_follows_a_discharge_at_all_levels(small, curve, image):
    pack, _, state = run(small, curve, image, [0.0] * 3 + [56.0] * 120)

    for level, truth in (
        (Level.GROUP, pack.soc),
        (Level.CELL, np.repeat(pack.soc, 28)),
        (Level.MODULE, pack.soc.reshape(2, 10).mean(axis=1)),
        (Level.PACK, pack.soc.mean()),
    ):
        reading = estimated(state, "soc", level)
        assert reading.values.size == small.size(level)
        assert np.all(np.abs(reading.values - truth) < 0.03)


def test_resistance_is_unknown_until_a_load_has_shown_it(small, curve, image):
    _, _, rested = run(small, curve, image, [0.0] * 20)
    _, _, loaded = run(small, curve, image, [0.0] * 3 + [56.0, -28.0] * 20)

    assert np.isnan(estimated(rested, "resistance", Level.GROUP).values).all()
    resistance = estimated(loaded, "resistance", Level.GROUP)
    np.testing.assert_allclose(resistance.values, 0.035 / 28, rtol=0.2)
    assert np.all(np.abs(resistance.values - 0.035 / 28) < 2.5 * resistance.standard_uncertainty)


def test_resistance_is_that_at_the_present_temperature(small, curve, image):
    readings = Pack(small, curve, 0.8).readings(0.0, 0.0) | {("temperature", Level.CELL): np.full(560, 278.15)}
    cold, warm = Assimilator(small, curve), Assimilator(small, curve)
    for assimilator, kelvin in ((cold, 278.15), (warm, 318.15)):
        assimilator.assimilate(image(0.0, readings | {("temperature", Level.CELL): np.full(560, kelvin)}))

    # One ampere a cell meets about four times the resistance at 5 °C of that at 45 °C.
    drop = [
        assimilator.assimilate(
            image(
                10.0,
                readings
                | {
                    ("temperature", Level.CELL): np.full(560, kelvin),
                    ("current", Level.PACK): np.array([28.0]),
                    ("voltage", Level.GROUP): np.full(20, np.nan),
                },
            )
        )[0].values
        for assimilator, kelvin in ((cold, 278.15), (warm, 318.15))
    ]
    np.testing.assert_allclose(drop[0], drop[1])  # counting charge does not depend on it


def test_power_voltage_sums_and_equal_shares_of_the_current(small, curve, image):
    _, _, state = run(small, curve, image, [0.0, 56.0])
    voltage = state.get(Kind.MEASURED, "voltage", Level.GROUP)

    np.testing.assert_allclose(estimated(state, "voltage", Level.PACK).values, voltage.values.sum())
    np.testing.assert_allclose(estimated(state, "voltage", Level.MODULE).values, voltage.values.reshape(2, 10).sum(1))
    np.testing.assert_allclose(estimated(state, "power", Level.PACK).values, 56.0 * voltage.values.sum())
    np.testing.assert_allclose(estimated(state, "current", Level.CELL).values, 2.0)


def test_measured_cell_currents_are_not_estimated_and_tell_the_cells_apart(small, curve, image):
    pack, assimilator = Pack(small, curve, 0.8), Assimilator(small, curve)
    for step in range(30):
        readings = pack.readings(56.0, 10.0)
        current = np.full((20, 28), 2.0)
        current[:, 0] += 0.27
        current[:, 1:] -= 0.01
        readings[("current", Level.CELL)] = current.ravel()
        state = image(10.0 * step, readings)
        state = state.updated(*assimilator.assimilate(state))
    soc = estimated(state, "soc", Level.CELL).values.reshape(20, 28)

    assert state.get(Kind.ESTIMATED, "current", Level.CELL) is None
    assert np.all(soc.std(axis=1) > 0.0)
    np.testing.assert_allclose(soc.mean(axis=1), estimated(state, "soc", Level.GROUP).values, atol=1e-9)


def test_before_any_voltage_nothing_is_claimed(small, curve):
    state = PackState(time=0.0, step=0)
    state = state.updated(*Assimilator(small, curve).assimilate(state))

    for level in Level:
        reading = estimated(state, "soc", level)
        assert np.isnan(reading.values).all()
        assert np.all(reading.quality == Quality.BAD)


def test_a_gap_goes_stale_grows_less_certain_and_heals(small, curve, image):
    pack, assimilator, state = run(small, curve, image, [0.0] * 3 + [56.0] * 10)
    before = estimated(state, "soc", Level.GROUP)
    silent = PackState(time=400.0, step=0)
    silent = silent.updated(*assimilator.assimilate(silent))
    gap = estimated(silent, "soc", Level.GROUP)
    again = image(410.0, pack.readings(56.0, 290.0))
    again = again.updated(*assimilator.assimilate(again))
    healed = estimated(again, "soc", Level.GROUP)

    assert np.all(gap.quality == Quality.STALE)
    assert np.all(gap.standard_uncertainty > before.standard_uncertainty)
    assert np.all(np.isfinite(gap.values))
    assert np.all(healed.quality == Quality.GOOD)
    assert np.all(np.abs(healed.values - pack.soc) < 2.0 * healed.standard_uncertainty)


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.SUSPECT, Quality.BAD])
def test_values_that_are_not_good_do_not_reach_the_filter(small, curve, image, quality):
    pack, assimilator, state = run(small, curve, image, [0.0] * 5)
    before = estimated(state, "soc", Level.GROUP).values
    readings = pack.readings(0.0, 10.0)
    readings[("voltage", Level.GROUP)] = np.full(20, 2.6)
    readings[("current", Level.PACK)] = np.array([900.0])
    state = image(50.0, readings, quality)
    after = estimated(state.updated(*assimilator.assimilate(state)), "soc", Level.GROUP).values

    np.testing.assert_allclose(after, before, atol=1e-3)


def test_nan_does_not_travel(small, curve, image):
    pack, assimilator, _ = run(small, curve, image, [0.0] * 5)
    for number in range(5, 12):
        readings = pack.readings(28.0, 10.0)
        readings[("voltage", Level.GROUP)][number] = np.nan
        if number == 8:
            readings[("current", Level.PACK)][0] = np.nan
        readings[("temperature", Level.CELL)][number * 20] = np.nan
        state = image(10.0 * number, readings)
        state = state.updated(*assimilator.assimilate(state))
        for quantity, level in (("soc", Level.CELL), ("soc", Level.PACK), ("temperature", Level.CELL)):
            assert np.isfinite(estimated(state, quantity, level).values).all()


def test_a_value_that_is_repeated_is_used_once(small, curve, image):
    readings = {
        ("current", Level.PACK): np.array([0.0]),
        ("voltage", Level.GROUP): np.full(20, 3.9),
    }
    assimilator = Assimilator(small, curve)
    first = image(0.0, readings)
    before = assimilator.assimilate(first)[0]
    repeated = PackState(time=1.0, step=1, readings=first.readings)
    after = assimilator.assimilate(repeated)[0]

    assert np.all(after.standard_uncertainty >= before.standard_uncertainty)


def test_balancing_counts_as_discharge_of_its_group(small, curve, image):
    bled = np.zeros(20)
    bled[4] = 2.0
    assimilator = Assimilator(small, curve)
    readings = Pack(small, curve, 0.8).readings(0.0, 0.0)
    start = assimilator.assimilate(image(0.0, readings))[0].values
    for step in range(1, 361):
        found = assimilator.assimilate(
            image(
                10.0 * step,
                {("current", Level.PACK): np.array([0.0]), ("balancing_current", Level.GROUP): bled},
            )
        )[0].values

    np.testing.assert_allclose((start - found)[4], 2.0 / 56.0, rtol=0.02)
    np.testing.assert_allclose((start - found)[0], 0.0, atol=1e-6)


def test_time_that_runs_backwards_starts_anew(small, curve, image):
    _, assimilator, _ = run(small, curve, image, [0.0] * 3 + [56.0] * 30)
    fresh = Pack(small, curve, 0.3)
    soc = assimilator.assimilate(image(0.0, fresh.readings(0.0, 0.0)))[0]

    np.testing.assert_allclose(soc.values, fresh.soc, atol=0.02)


def test_the_same_inputs_give_the_same_estimates(small, curve, image):
    first, second = (run(small, curve, image, [0.0] * 3 + [56.0] * 20)[2] for _ in range(2))

    for key, reading in first.readings.items():
        np.testing.assert_array_equal(reading.values, second.readings[key].values)


@pytest.mark.measured
@pytest.mark.parametrize(("rate", "drawn"), [("0_3c", 54.9), ("1_0c", 55.3)])
def test_on_the_leaf_recording_the_weak_groups_run_empty_first(leaf, image, leaf_recording, rate, drawn):
    time, current, voltage, temperature = leaf_recording(rate)
    assimilator, first, state = Assimilator(leaf), None, None
    for number in np.searchsorted(time, np.arange(1.0, time[-1], 10.0)):
        state = image(
            time[number],
            {
                ("current", Level.PACK): current[number : number + 1],
                ("voltage", Level.GROUP): voltage[number],
                ("temperature", Level.MODULE): temperature[number],
            },
        )
        state = state.updated(*assimilator.assimilate(state))
        first = first or state
    start, end = (estimated(moment, "soc", Level.GROUP).values for moment in (first, state))
    capacity = estimated(state, "capacity", Level.GROUP)

    assert sorted(np.argsort(start)[:2].tolist()) == [0, 3]  # A1, A4
    assert sorted(np.argsort(end)[:2].tolist()) == [0, 3]
    assert end[0] < 0.02
    assert np.all(end[[1, 2, 4, 5]] > 0.03)
    # Charge drawn over the change of state of charge: what a coulomb count without a model gives.
    np.testing.assert_allclose(capacity.values, drawn / (start - end), rtol=0.05)
    assert abs(estimated(state, "temperature", Level.CELL).values.mean() - temperature[-1].mean()) < 0.5


def test_steps_longer_than_the_telemetry_s_period_do_not_count_as_gaps(leaf, curve, image):
    assimilator = Assimilator(leaf, curve)
    deviation = []
    for step in range(60):
        readings = {("current", Level.PACK): np.array([19.5]), ("voltage", Level.GROUP): np.full(6, 3.9)}
        readings[("voltage", Level.GROUP)] -= 0.8 * 19.5 * 10.0 * step / 3600.0 / 65.0
        deviation.append(assimilator.assimilate(image(10.0 * step, readings))[0].standard_uncertainty.max())

    assert deviation[-1] < 1.3 * deviation[0]
