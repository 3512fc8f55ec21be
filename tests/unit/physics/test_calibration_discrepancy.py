"""What posteriors are made of, where closed forms are known: correlated errors, weights, emulators, chains, refits."""

from __future__ import annotations

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration.calibration_problem import ResidualBlock
from celltwin.physics.calibration.posterior_discrepancy import (
    Discrepancy,
    ParameterPrior,
    RowWeights,
    draw_errors,
    estimate_discrepancy,
    robust_deviation,
)
from celltwin.physics.calibration.posterior_emulator import train_emulator
from celltwin.physics.calibration.posterior_left_out import LeftOutCurve, learn_inflation
from celltwin.physics.calibration.posterior_sampling import sample_density
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve

ROWS = 200
ALLOWED = 4e-3  # [V]


def _block(name: str = "1C", current: float = 3.0, noise: float = 1e-3) -> ResidualBlock:
    time = np.linspace(0.0, 3600.0, ROWS)
    curve = MeasuredCurve(
        name=name,
        time=time,
        current=np.full(ROWS, current),
        voltage=np.linspace(4.1, 3.0, ROWS),
        scored=np.ones(ROWS, dtype=bool),
        voltage_noise=noise,
        source=CurveSource(path=name, sha256=name, rows=ROWS),
    )
    deviation = np.full(ROWS, ALLOWED)
    return ResidualBlock(curve, "voltage", np.arange(ROWS), curve.voltage, deviation, np.ones(ROWS) / deviation)


def _about(**changes) -> Discrepancy:
    given = {"scale": 1.0, "length": 0.1, "noise": 0.0, "growth": 1.0, "reference_rate": 3.0}
    return Discrepancy(**(given | changes))


def _draw(block: ResidualBlock, about: Discrepancy, random: np.random.Generator) -> np.ndarray:
    return np.linalg.cholesky(about.covariance(block)) @ random.standard_normal(ROWS)


def test_a_correlated_curve_is_worth_what_its_mean_varies_by():
    length = 0.1
    variance_of_mean = 2.0 * length * (1.0 - length * (1.0 - np.exp(-1.0 / length)))  # integral of the correlation

    assert _about(length=length).independent(_block()) == pytest.approx(1.0 / variance_of_mean, rel=0.03)


def test_rows_with_noise_alone_are_all_independent():
    assert _about(scale=1e-6, noise=1.0).independent(_block()) == pytest.approx(ROWS, rel=1e-3)


def test_the_discrepancy_grows_with_the_rate():
    slow, fast = _block("1C", 3.0), _block("2C", 6.0)
    about = _about(growth=1.5)

    ratio = np.sqrt(about.variance(fast) / about.variance(slow))

    np.testing.assert_allclose(ratio, 2.0**1.5)


def test_scale_length_and_growth_of_a_known_error_are_found():
    random = np.random.default_rng(3)
    blocks = [_block(f"{turn}{rate}", 3.0 * rate) for rate in (0.5, 1.0, 2.0) for turn in range(4)]
    truth = _about(scale=1.2, length=0.12, noise=1.0, growth=0.8)

    found = estimate_discrepancy(blocks, np.concatenate([_draw(block, truth, random) for block in blocks]))["voltage"]

    assert found.scale == pytest.approx(1.2, rel=0.2)
    assert found.length == pytest.approx(0.12, rel=0.3)
    assert found.noise == pytest.approx(1.0, rel=0.3)
    assert found.growth == pytest.approx(0.8, abs=0.2)


def test_growth_stays_where_its_prior_is_with_one_rate():
    found = estimate_discrepancy([_block()], _draw(_block(), _about(), np.random.default_rng(0)))

    assert found["voltage"].growth == 1.0


def test_a_collapse_at_the_end_does_not_rule_the_scale():
    random = np.random.default_rng(5)
    blocks = [_block("a"), _block("b")]
    departures = np.concatenate([_draw(block, _about(noise=1.0), random) for block in blocks])
    collapsed = departures.copy()
    collapsed[[ROWS - 2, ROWS - 1]] = (40.0, 80.0)

    plain = estimate_discrepancy(blocks, departures)["voltage"].scale

    assert estimate_discrepancy(blocks, collapsed)["voltage"].scale == pytest.approx(plain, rel=0.4)


def test_drawn_errors_have_the_discrepancys_covariance():
    block, about = _block(), _about(length=0.2, noise=1.0)

    drawn = draw_errors([block, block], {"voltage": about}, 4000, np.random.default_rng(1))

    assert drawn.shape == (4000, 2 * ROWS)
    np.testing.assert_allclose(np.var(drawn, axis=0), np.tile(np.diag(about.covariance(block)), 2), rtol=0.15)
    assert np.corrcoef(drawn[:, 10], drawn[:, 10 + ROWS])[0, 1] == pytest.approx(0.0, abs=0.06)


def test_draws_of_a_prior_have_its_width_and_nothing_where_it_knows_nothing():
    prior = ParameterPrior(np.array([0.4, 0.6]), np.diag([100.0, 0.0]))

    drawn = prior.draw(4000, np.random.default_rng(0))

    assert drawn[:, 0].std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_array_equal(drawn[:, 1], 0.6)


def test_weights_make_a_level_error_as_unlikely_as_its_independent_values():
    block, about = _block(), _about(scale=2.0)
    weights = RowWeights([block], {"voltage": about})

    half = 0.5 * np.sum(weights.apply(np.full(ROWS, 2.0)) ** 2)

    assert half == pytest.approx(0.5 * about.independent(block), rel=1e-5)
    np.testing.assert_array_equal(weights.apply(np.ones((ROWS, 2)), without="1C"), 0.0)


def test_robust_deviation_of_a_normal_sample_is_its_deviation():
    values = 3.0 * np.random.default_rng(0).standard_normal(20000)

    assert robust_deviation(values, np.full(20000, 1.0 / 20000)) == pytest.approx(3.0, rel=0.03)


def test_left_out_curves_that_were_predicted_badly_inflate_intervals():
    shares = np.full(ROWS, 1.0 / ROWS)
    random = np.random.default_rng(2)

    def left_out(size: float) -> LeftOutCurve:
        return LeftOutCurve("1C", "voltage", size * random.standard_normal(ROWS), np.ones(ROWS), shares, 6.0)

    good = learn_inflation({"voltage": _about()}, [left_out(0.3)])["voltage"].inflation
    bad = learn_inflation({"voltage": _about()}, [left_out(3.0)])["voltage"].inflation

    assert good == 1.0
    assert bad == pytest.approx((4.0 + 6.0 * 9.0) / 10.0, rel=0.3)


def test_the_priors_spread_is_cut_off_by_the_bounds():
    prior = ParameterPrior(np.array([0.5, 0.0, 0.5]), np.diag([100.0, 4.0, 0.0]))

    spread = prior.spread

    assert spread[0] == pytest.approx(0.1, rel=1e-3)
    assert spread[1] < 0.35  # half a normal distribution
    assert spread[2] == pytest.approx(12.0**-0.5)


def test_an_emulator_follows_a_curved_model():
    random = np.random.default_rng(4)
    samples = random.standard_normal((60, 3))
    constant, slopes = random.standard_normal(20), random.standard_normal((20, 3))
    curved = random.standard_normal(20)

    def model(at):
        return constant + at @ slopes.T + 0.5 * np.outer(at[:, 0] * at[:, 1], curved)

    emulator = train_emulator(samples, model(samples), constant, slopes)
    new = 0.8 * random.standard_normal((30, 3))

    found = np.sum(emulator.predict(new) ** 2, axis=1)
    np.testing.assert_allclose(found, np.sum(model(new) ** 2, axis=1), rtol=0.02, atol=0.1)
    assert emulator.accuracy[0] > 0.999
    assert emulator.cost_error < 0.2


def test_an_emulator_that_cannot_know_says_so():
    random = np.random.default_rng(4)
    samples = random.standard_normal((30, 2))
    noise = random.standard_normal((30, 5))

    emulator = train_emulator(samples, noise, np.zeros(5), np.zeros((5, 2)))

    assert emulator.accuracy.max() < 0.5
    assert emulator.cost_error > 1.0


def test_an_emulator_needs_simulations():
    with pytest.raises(ModelError, match="an emulator needs 12"):
        train_emulator(np.zeros((3, 1)), np.zeros((3, 2)), np.zeros(2), np.zeros((2, 1)))


def test_chains_keep_to_their_bounds_and_find_the_moments():
    def half_normal(at):
        return np.where(np.all(at >= 0.0, axis=1), -0.5 * np.sum(at**2, axis=1), -np.inf)

    starts = np.abs(np.random.default_rng(0).standard_normal((32, 2)))
    chain = sample_density(half_normal, starts, steps=800, seed=1)

    assert chain.samples.min() >= 0.0
    np.testing.assert_allclose(chain.samples.mean(axis=0), np.sqrt(2.0 / np.pi), rtol=0.08)
    np.testing.assert_allclose(chain.samples.var(axis=0), 1.0 - 2.0 / np.pi, rtol=0.15)
    assert chain.effective > 500.0
