import numpy as np
import pytest

from celltwin.core import SampleBlock, apply_sensor_faults, expand_channels, load_pack, parse_scenario

HEAD = 'name = "x"\n[initial]\nsoc = 0.5\n[[steps]]\nkind = "rest"\nlongest = 1\n[[faults]]\n'


@pytest.fixture(scope="module")
def spec(repo_root):
    return load_pack(repo_root / "data/packs/reference.toml")


@pytest.fixture(scope="module")
def channels(spec):
    return expand_channels(spec)


def block(channels, times):
    values = np.arange(len(times), dtype=float)[:, np.newaxis] + np.zeros(len(channels))
    return SampleBlock(
        channels=tuple(channel.column for channel in channels),
        time=np.array(times, dtype=float),
        values=values,
        present=np.ones(values.shape, dtype=bool),
        origin=("test",),
    )


def place(channels, sensor, element):
    return next(i for i, c in enumerate(channels) if (c.sensor, c.element) == (sensor, element))


def faulted(spec, channels, text, times=(0, 10, 20, 30), held=None):
    faults = parse_scenario(HEAD + text).faults
    return apply_sensor_faults(block(channels, times), faults, channels, spec, seed=4, held=held)


def test_a_bias_is_added_in_si_units_to_the_named_sensor_only(spec, channels):
    text = "kind='sensor_bias'\nquantity='voltage'\ntarget='M01.G02'\noffset=-0.5\nat=10\nduration=20\n"
    sent, _ = faulted(spec, channels, text)

    change = sent.values - block(channels, (0, 10, 20, 30)).values
    expected = np.zeros_like(change)
    expected[1:3, place(channels, "group_voltage", 1)] = -0.5
    np.testing.assert_allclose(change, expected)


def test_a_frozen_sensor_shows_the_last_value_before_the_fault_across_blocks(spec, channels):
    text = "kind='sensor_freeze'\nsensor='pack_current'\nat=15\n"
    column = place(channels, "pack_current", 0)
    first, held = faulted(spec, channels, text)
    second, _ = faulted(spec, channels, text, times=(40, 50), held=held)

    assert first.values[:, column].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert second.values[:, column].tolist() == [1.0, 1.0]


def test_a_dropout_takes_values_away(spec, channels):
    every, _ = faulted(spec, channels, "kind='sensor_dropout'\nquantity='temperature'\ntarget='M03'\nat=10\n")
    half, _ = faulted(spec, channels, "kind='sensor_dropout'\nquantity='temperature'\nshare=0.5\n")
    of_module = [place(channels, "cell_temperature", cell) for cell in range(560, 840)]

    assert every.present[0].all()
    assert not every.present[1:, of_module].any()
    assert np.isnan(every.values[1:, of_module]).all()
    assert (~every.present).sum() == 3 * 280
    assert (~half.present).sum() == pytest.approx(0.5 * 4 * 2800, rel=0.05)


def test_noise_has_its_deviation_and_depends_on_seed_and_time_alone(spec, channels):
    text = "kind='sensor_noise'\nquantity='temperature'\ndeviation=2.0\n"
    whole, _ = faulted(spec, channels, text)
    part, _ = faulted(spec, channels, text, times=(20, 30))
    noise = whole.values - block(channels, (0, 10, 20, 30)).values
    later = part.values - block(channels, (20, 30)).values

    assert noise[noise != 0.0].std() == pytest.approx(2.0, rel=0.05)
    np.testing.assert_allclose(noise[2:], later)


def test_samples_without_faults_pass_unchanged(spec, channels):
    sent, held = apply_sensor_faults(block(channels, (0, 10)), (), channels, spec, seed=1)

    np.testing.assert_array_equal(sent.values, block(channels, (0, 10)).values)
    np.testing.assert_array_equal(held, sent.values[-1])
