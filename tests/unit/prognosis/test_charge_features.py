from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Reading
from celltwin.prognosis import FEATURE_NAMES, REFERENCE_WINDOW, SAMPLING_DEPENDENT, ChargeDoubt, ChargeFeatures
from celltwin.prognosis.charge_windows import segment_powers

COLUMN = {name: column for column, name in enumerate(FEATURE_NAMES)}
DENSE = np.arange(0.0, 4000.0, REFERENCE_WINDOW.sample_period)
TEN_SECONDS = np.arange(0.0, 4000.0, 10.0)


def published_features(voltage, current, time):
    """The features as they were published: statistics of the samples, a sample about every second."""
    window = (voltage >= 4.0) & (voltage <= 4.195)
    tail = (current >= 0.1) & (current <= 0.5)
    values = {}
    for name, prefix, chosen, signal in (("voltage", "CC", window, voltage), ("current", "CV", tail, current)):
        x, t = signal[chosen], time[chosen]
        deviation = x - x.mean()
        values[f"{name} mean"], values[f"{name} std"] = x.mean(), x.std()
        values[f"{name} kurtosis"] = (deviation**4).mean() / x.std() ** 4 - 3.0
        values[f"{name} skewness"] = (deviation**3).mean() / x.std() ** 3
        values[f"{prefix} Q"] = np.trapezoid(current[chosen], t) / 3600.0
        values[f"{prefix} charge time"] = t[-1] - t[0]
    values["voltage slope"] = 0.1 / (np.interp(4.195, voltage, time) - np.interp(4.095, voltage, time))
    falling = np.interp([-0.5, -0.4], -current, time)
    values["current slope"] = -0.1 / (falling[1] - falling[0])
    return values


@pytest.mark.parametrize("period", [2.0, 10.0, 20.0])
def test_features_at_any_period_are_those_of_the_training_data(small_pack, charging, period):
    time = np.arange(0.0, 4000.0, period)
    expected = published_features(*charging.curve(DENSE), DENSE)

    values = charging.watch(small_pack, time, *charging.curve(time)).features()

    # A sample of the training data more or less in a window is 0.3 % of its length, or 0.3 mV of its mean.
    near = {"voltage mean": 3e-4, "voltage std": 2e-4, "voltage kurtosis": 0.01, "voltage skewness": 0.01}
    for name, value in expected.items():
        tolerance = near.get(name, 0.003 * abs(value))
        np.testing.assert_allclose(values[:, COLUMN[name]], value, atol=tolerance, err_msg=name)


def test_entropies_of_the_loggers_clock_are_not_made_up(small_pack, charging):
    values = charging.watch(small_pack, TEN_SECONDS, *charging.curve(TEN_SECONDS)).features()

    missing = [FEATURE_NAMES[column] for column in np.flatnonzero(np.isnan(values[0]))]

    assert tuple(missing) == SAMPLING_DEPENDENT


def test_a_voltage_rising_in_a_straight_line_is_distributed_evenly(small_pack, charging):
    corner = 600.0
    voltage = np.minimum(3.9 + 0.3 * TEN_SECONDS / corner, 4.2)
    current = 4.0 * np.exp(-np.maximum(TEN_SECONDS - corner, 0.0) / 500.0)

    values = charging.watch(small_pack, TEN_SECONDS, voltage, current).features()[0]

    width = REFERENCE_WINDOW.highest_voltage - REFERENCE_WINDOW.lowest_voltage
    assert values[COLUMN["voltage mean"]] == pytest.approx(4.0 + width / 2.0, abs=1e-6)
    assert values[COLUMN["voltage std"]] == pytest.approx(width / np.sqrt(12.0), rel=1e-4)
    assert values[COLUMN["voltage kurtosis"]] == pytest.approx(-1.2, abs=1e-3)
    assert values[COLUMN["voltage skewness"]] == pytest.approx(0.0, abs=1e-3)
    assert values[COLUMN["voltage slope"]] == pytest.approx(0.3 / corner, rel=1e-6)
    seconds = 500.0 * np.log(5.0)  # from 0.5 A to 0.1 A
    assert values[COLUMN["CV charge time"]] == pytest.approx(seconds - REFERENCE_WINDOW.sample_period, rel=1e-3)
    assert values[COLUMN["current mean"]] == pytest.approx(0.4 / np.log(5.0), rel=1e-3)


def test_integrals_of_powers_agree_with_quadrature():
    first, last, duration = np.array([-0.1, 0.3]), np.array([0.2, 0.3]), np.array([7.0, 3.0])

    powers = segment_powers(first, last, duration)

    share = np.linspace(0.0, 1.0, 20001)[:, np.newaxis]
    signal = first + (last - first) * share
    expected = [np.trapezoid(signal**k, share, axis=0) * duration for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(powers, expected, rtol=1e-6)


def test_sensor_noise_scatters_the_tail_but_does_not_shorten_it(small_pack, charging):
    random = np.random.default_rng(5)
    spec = replace(small_pack, series=20, parallel=10)
    voltage, current = charging.curve(TEN_SECONDS)
    clean = charging.watch(small_pack, TEN_SECONDS, voltage, current).features()[0, COLUMN["CV charge time"]]
    noisy_voltage = voltage[:, np.newaxis] + random.normal(0.0, 1e-3, (voltage.size, spec.n_groups))
    noisy_current = current[:, np.newaxis] + random.normal(0.0, 5e-3, (current.size, spec.n_cells))

    times = charging.watch(spec, TEN_SECONDS, noisy_voltage, noisy_current).features()[:, COLUMN["CV charge time"]]

    assert times.mean() == pytest.approx(clean, rel=0.004)
    assert times.std() < 0.03 * clean


def test_one_odd_step_does_not_change_how_the_tail_is_averaged(small_pack, charging):
    expected = charging.watch(small_pack, TEN_SECONDS, *charging.curve(TEN_SECONDS)).features()
    time = np.sort(np.append(TEN_SECONDS, [640.1, 1500.2]))  # one just after the voltage reached its top

    values = charging.watch(small_pack, time, *charging.curve(time)).features()

    np.testing.assert_allclose(values, expected, rtol=0.005, atol=2e-3)


def test_nothing_is_known_before_a_charge_is_complete(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS)
    end = int(np.argmax(current < 0.12))

    features = charging.watch(small_pack, TEN_SECONDS[:end], voltage[:end], current[:end])

    assert np.isnan(features.features()).all()
    assert features.record().under_way == small_pack.n_cells


def test_a_charge_whose_beginning_was_not_seen_gives_nothing(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS, start=4.05)

    assert np.isnan(charging.watch(small_pack, TEN_SECONDS, voltage, current).features()).all()


def test_a_gap_in_the_samples_ends_the_observation(small_pack, charging):
    time = TEN_SECONDS[(TEN_SECONDS < 800.0) | (TEN_SECONDS > 900.0)]

    assert np.isnan(charging.watch(small_pack, time, *charging.curve(time)).features()).all()


def test_an_interrupted_charge_gives_nothing_and_the_next_whole_one_does(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS)
    interrupted = np.where(TEN_SECONDS < 1000.0, current, 0.0)

    features = charging.watch(small_pack, TEN_SECONDS, voltage, interrupted)
    assert np.isnan(features.features()).all()
    charging.watch(small_pack, TEN_SECONDS + 4000.0, voltage, current, features=features)

    assert np.isfinite(features.features()[:, COLUMN["CC Q"]]).all()
    assert (features.record().completed > 4000.0).all()


def test_a_later_discharge_keeps_what_was_seen(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS)
    features = charging.watch(small_pack, TEN_SECONDS, voltage, current)
    before = features.features()

    charging.watch(small_pack, TEN_SECONDS + 4000.0, voltage[::-1], np.full(voltage.size, -2.0), features=features)

    np.testing.assert_array_equal(features.features(), before)


def test_a_charge_that_ends_just_above_the_last_current_is_extended(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS)
    whole = charging.watch(small_pack, TEN_SECONDS, voltage, current).features()[0]

    cut = charging.watch(small_pack, TEN_SECONDS, voltage, np.where(current > 0.106, current, 0.0)).record()

    assert cut.doubts[0] == ChargeDoubt.NONE
    for name in ("CV charge time", "CV Q", "current mean", "current std"):
        assert cut.features[0, COLUMN[name]] == pytest.approx(whole[COLUMN[name]], rel=0.02), name


def test_a_long_extension_is_doubted_and_a_longer_one_refused(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS)

    doubted = charging.watch(small_pack, TEN_SECONDS, voltage, np.where(current > 0.135, current, 0.0)).record()
    refused = charging.watch(small_pack, TEN_SECONDS, voltage, np.where(current > 0.18, current, 0.0)).record()

    assert (doubted.doubts & ChargeDoubt.TAIL_EXTENDED).all()
    assert np.isnan(refused.features).all()


def test_a_group_that_never_reaches_the_charge_voltage_is_doubted(small_pack, charging):
    voltage, current = charging.curve(TEN_SECONDS)
    voltages = np.stack([voltage, voltage - 0.02], axis=1)

    record = charging.watch(small_pack, TEN_SECONDS, voltages, current).record()

    np.testing.assert_array_equal(record.doubts & ChargeDoubt.VOLTAGE_NOT_HELD, [0, 0, 4, 4])
    assert np.isfinite(record.features[:, COLUMN["CC charge time"]]).all()


def test_current_of_the_pack_is_shared_by_its_parallel_cells(small_pack, charging):
    curve = charging.curve(TEN_SECONDS)

    by_cell = charging.watch(small_pack, TEN_SECONDS, *curve).features()
    by_pack = charging.watch(small_pack, TEN_SECONDS, *curve, level=Level.PACK).features()

    np.testing.assert_allclose(by_pack, by_cell)


def test_a_larger_cell_is_described_as_if_it_had_the_training_cells_capacity(small_pack, charging):
    larger = replace(small_pack, cell=replace(small_pack.cell, capacity=5.0))
    voltage, current = charging.curve(TEN_SECONDS)

    expected = charging.watch(small_pack, TEN_SECONDS, voltage, current).features()

    np.testing.assert_allclose(charging.watch(larger, TEN_SECONDS, voltage, 2.5 * current).features(), expected)


def test_a_record_of_the_past_does_not_know_what_came_later(small_pack, charging):
    features = charging.watch(small_pack, TEN_SECONDS, *charging.curve(TEN_SECONDS))
    completed = features.record().completed[0]

    assert np.isnan(features.record(completed - 1.0).features).all()
    assert np.isfinite(features.record(completed).features[:, 0]).all()


def test_suspect_samples_are_not_used(small_pack, charging):
    features = ChargeFeatures(small_pack)
    for step, (time, voltage, current) in enumerate(zip(TEN_SECONDS, *charging.curve(TEN_SECONDS), strict=True)):
        state = charging.image(small_pack, step, float(time), voltage, current)
        bad = state.get(Kind.MEASURED, "voltage", Level.GROUP)
        features.observe(state.updated(replace(bad, quality=np.full(small_pack.n_groups, 2, dtype=np.uint8))))

    assert np.isnan(features.features()).all()


def test_a_state_without_voltage_or_current_is_harmless(small_pack):
    features = ChargeFeatures(small_pack)
    only = Reading.at(Kind.MEASURED, "voltage", Level.GROUP, np.full(2, 4.1), 0.0, provenance="test")

    features.observe(PackState(time=0.0, step=0))
    features.observe(PackState(time=10.0, step=1).updated(only))

    assert np.isnan(features.features()).all()
