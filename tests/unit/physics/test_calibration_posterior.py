"""Posteriors of parameters that are known: single particles, simulated, with errors that are correlated along them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.physics.calibration.base_sets import choose_base_set
from celltwin.physics.calibration.calibration_problem import CalibrationProblem, CostOptions
from celltwin.physics.calibration.cell_simulation import CellModel, CellSimulation, ModelOptions
from celltwin.physics.calibration.identifiability import describe_identifiability, determined_combinations
from celltwin.physics.calibration.optimisers import minimise
from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space, physical_ranges
from celltwin.physics.calibration.posterior import ParameterPosterior, PosteriorOptions, posterior_at
from celltwin.physics.calibration.posterior_perturbed import reach_the_end
from celltwin.physics.calibration.predictive import mixture_quantile, predict_curves
from celltwin.physics.calibration.predictive_surroundings import draw_activation_energies
from celltwin.physics.calibration.profile_likelihood import profile_likelihood
from celltwin.physics.calibration.sensitivity import sobol_sensitivity
from celltwin.physics.measurements.cell_description import CellDescription
from celltwin.physics.measurements.curve import CurveSource, MeasuredCurve

CELL = CellDescription(name="made up", chemistry="NMC-graphite-SiOx", format="21700", capacity=5.0)
DIFFUSION, CONTACT = "Positive particle diffusivity [m2.s-1]", "Contact resistance [Ohm]"
EXCHANGE = "Negative electrode exchange-current density [A.m-2]"
SOLID = "Positive electrode conductivity [S.m-1]"  # single particles have none: nothing tells it
TRUTH = {DIFFUSION: 9e-15, CONTACT: 0.011, EXCHANGE: 1.2}
NAMES = (*TRUTH, SOLID)
LENGTH = 0.15
ROWS = CostOptions(rows=60)


def _walk(time: np.ndarray, random: np.random.Generator) -> np.ndarray:
    share = time / time[-1]
    covariance = np.exp(-np.abs(share[:, np.newaxis] - share) / LENGTH) + 1e-9 * np.eye(time.size)
    return np.linalg.cholesky(covariance) @ random.standard_normal(time.size)


def _curve(model: CellModel, name: str, current: float, duration: float, seed: int, error: float) -> MeasuredCurve:
    """Return a discharge of the true cell at 25 degrees, with noise and a correlated error of voltage."""
    random = np.random.default_rng(seed)
    time = np.linspace(0.0, duration, 160)
    curve = MeasuredCurve(
        name=name,
        time=time,
        current=np.where(time > 0.0, current, 0.0),
        voltage=np.full(time.size, 3.7),
        ambient_temperature=np.full(time.size, 298.15),
        scored=np.ones(time.size, dtype=bool),
        voltage_noise=1e-3,
        source=CurveSource(path=f"{name}.csv", sha256=name, rows=time.size),
    )
    found = CellSimulation(model, curve, np.arange(time.size)).solve({**model.numbers({}), **TRUTH})
    assert found.complete
    noise = 1e-3 * random.standard_normal(time.size)
    return replace(curve, voltage=found.voltage + noise + error * (current / 5.0) * _walk(time, random))


@pytest.fixture(scope="module")
def model() -> CellModel:
    return CellModel(choose_base_set(CELL), ModelOptions(model="SPM"))


def _curves(model: CellModel, *, error: float, seed: int = 0) -> list[MeasuredCurve]:
    given = (("C/2", 2.5, 5800.0), ("1.5C", 7.5, 1700.0), ("2C", 10.0, 1200.0))
    return [_curve(model, *one, seed=10 * seed + turn, error=error) for turn, one in enumerate(given)]


def _posterior(model: CellModel, curves, options: PosteriorOptions, names=NAMES, **changes) -> ParameterPosterior:
    problem, best = _fit(model, curves, names)
    return posterior_at(problem, best, options, **changes)


def _fit(model: CellModel, curves, names=NAMES) -> tuple[CalibrationProblem, np.ndarray]:
    """Return the problem of some curves and its best position, searched from the truth."""
    space = cell_parameter_space(model.base, model="SPM", names=names)
    known = {name: value for name, value in TRUTH.items() if name not in names}
    problem = CalibrationProblem(curves, model, space, known, ROWS)
    start = space.position({**space.values(space.start), **TRUTH})
    return problem, minimise(problem, budget=16, start=start).x


@pytest.fixture(scope="module")
def curves(model) -> list[MeasuredCurve]:
    return _curves(model, error=3e-3)


@pytest.fixture(scope="module")
def fit(model, curves) -> tuple[CalibrationProblem, np.ndarray]:
    """The two slower curves, fitted."""
    return _fit(model, curves[:2])


@pytest.fixture(scope="module")
def posterior(fit) -> ParameterPosterior:
    """Of the linear model, with curves left out in turn."""
    return posterior_at(*fit, PosteriorOptions(method="laplace"))


@pytest.fixture(scope="module")
def refits(fit) -> ParameterPosterior:
    """From a few simulated fits to perturbed curves."""
    return posterior_at(*fit, PosteriorOptions(draws=16, fit_steps=6, leave_out=False))


def test_the_truth_lies_in_the_intervals(posterior):
    for name, truth in TRUTH.items():
        low, high = posterior.interval(name)
        assert low < truth < high, name
        assert posterior.problem.space.parameter(name).low <= low


def test_refits_lie_about_the_calibrated_values_as_the_linear_model_has_it(posterior, refits):
    assert refits.method == "refits"
    np.testing.assert_array_equal(refits.centre, posterior.centre)
    spreads = np.sqrt(np.diag(posterior.covariance))
    for index in (NAMES.index(DIFFUSION), NAMES.index(CONTACT)):
        assert refits.positions[:, index].std(ddof=1) == pytest.approx(spreads[index], rel=0.3)
        assert abs(refits.positions[:, index].mean() - refits.centre[index]) < 0.5 * spreads[index]


def test_every_refit_reaches_the_end_of_the_fitted_curves(refits):
    assert 0.5 < refits.acceptance <= 1.0
    assert len(refits.positions) == 16
    assert reach_the_end(refits.problem, refits.positions).all()


def test_fits_that_end_early_are_told(fit):
    problem, best = fit
    diffusion = NAMES.index(DIFFUSION)
    starved = best.copy()
    starved[diffusion] = 0.0  # the positive electrode is blocked long before the charge is drawn

    np.testing.assert_array_equal(reach_the_end(problem, np.array([best, starved])), [True, False])


def test_the_linear_response_gives_the_spread_of_linear_fits(posterior):
    spreads = np.sqrt(np.diag(posterior.covariance))
    known = [NAMES.index(name) for name in (DIFFUSION, CONTACT)]

    np.testing.assert_allclose(posterior.positions.std(axis=0)[known], spreads[known], rtol=0.1)


def test_a_fit_leaves_less_of_the_errors_than_there_was(posterior):
    about = posterior.discrepancy["voltage"]

    assert 0.1 <= about.left < 0.95
    block = posterior.problem.blocks[0]
    assert np.all(about.variance_left(block) < about.variance(block))


@pytest.mark.nightly
def test_the_emulator_is_confirmed_and_used(fit):
    emulated = posterior_at(*fit, PosteriorOptions(method="emulator", simulations=50, steps=250, leave_out=False))

    assert emulated.method == "emulator"
    assert emulated.emulator is not None
    assert emulated.emulator.cost_error < 1.0
    assert emulated.effective_samples > 200
    assert emulated.evaluations < 120
    for name, truth in TRUTH.items():
        low, high = emulated.interval(name)
        assert low < truth < high, name


def test_a_few_simulations_and_short_chains_give_an_emulated_posterior(model, curves):
    options = PosteriorOptions(method="emulator", simulations=24, steps=60, rounds=1, leave_out=False)

    found = _posterior(model, curves[1:2], options, names=(DIFFUSION, CONTACT))

    assert found.method == "emulator"
    low, high = found.interval(CONTACT)
    assert low < TRUTH[CONTACT] < high


def test_what_the_data_cannot_tell_stays_as_wide_as_its_prior(posterior):
    assert posterior.determined[SOLID] > 0.8
    assert max(posterior.determined[name] for name in TRUTH) < 0.7


def test_correlated_errors_are_not_taken_for_noise(model, posterior):
    quiet = _posterior(model, _curves(model, error=0.0)[:2], PosteriorOptions(method="laplace", leave_out=False))

    assert posterior.discrepancy["voltage"].scale > 5.0 * quiet.discrepancy["voltage"].scale
    for name in (DIFFUSION, CONTACT):
        assert posterior.determined[name] > 2.0 * quiet.determined[name]


def test_the_same_seed_gives_the_same_samples(fit):
    options = PosteriorOptions(method="laplace", leave_out=False)

    first, second = (posterior_at(*fit, options) for _ in range(2))

    np.testing.assert_array_equal(first.samples, second.samples)


def test_a_stopped_posterior_is_of_the_linear_model_and_says_so(fit):
    options = PosteriorOptions(draws=20, leave_out=False)

    found = posterior_at(*fit, options, progress=lambda step: "perturbed" not in step.stage)

    assert found.method == "laplace"
    assert any("stopped" in words for words in found.warnings)


def test_a_model_that_does_not_reach_the_end_is_refused(model, curves):
    names = ("Electrode width [m]",)
    space = cell_parameter_space(model.base, model="SPM", names=names)
    problem = CalibrationProblem(curves[:1], model, space, TRUTH, ROWS)

    with pytest.raises(ModelError, match="does not reach the end"):
        posterior_at(problem, np.array([0.05]))


def test_intervals_hold_measured_values_of_fitted_and_new_curves(posterior, refits, curves):
    for known in (posterior, refits):
        found = {curve.name: curve for curve in predict_curves(known, curves, samples=16, refined=False)}

        assert not found["1.5C"].held_out
        assert found["2C"].held_out
        assert found["1.5C"].voltage.coverage > 0.8
        assert found["2C"].voltage.coverage > 0.8
        assert np.median(found["2C"].voltage.high - found["2C"].voltage.low) < 0.1
        assert np.median(found["2C"].voltage.deviation) > np.median(found["C/2"].voltage.deviation)
        assert np.isnan(found["2C"].temperature.coverage)


def test_the_middle_of_a_prediction_is_what_the_calibrated_values_give(refits, curves):
    (found,) = predict_curves(refits, curves[2:], samples=4, refined=False)

    simulated = CellSimulation(refits.problem.model, curves[2], found.rows).solve(refits.problem.values(refits.centre))
    np.testing.assert_allclose(found.voltage.middle, simulated.voltage, atol=1e-6)


def test_a_curve_that_the_cell_cannot_follow_is_predicted_to_its_last_voltage(refits, curves):
    long = curves[2]
    stretched = replace(long, time=1.6 * np.asarray(long.time))  # more charge than there is

    (found,) = predict_curves(refits, [stretched], samples=8, refined=False)

    assert found.ended_early == found.samples == 8
    assert np.all(np.isfinite(found.voltage.low))
    assert found.voltage.middle[-1] < 2.6


def test_prediction_does_not_look_at_a_held_out_curves_voltage(refits, curves):
    shifted = replace(curves[2], voltage=curves[2].voltage + 0.5)

    (one,) = predict_curves(refits, [shifted], samples=4, refined=False)
    (other,) = predict_curves(refits, curves[2:], samples=4, refined=False)

    np.testing.assert_array_equal(one.voltage.high, other.voltage.high)
    assert one.voltage.coverage == 0.0


def test_in_the_cold_activation_energies_are_not_taken_to_be_known(refits, posterior, curves):
    frost = replace(curves[2], ambient_temperature=np.full(curves[2].time.size, 273.15), temperature=None)

    for known in (refits, posterior):
        (near,) = predict_curves(known, curves[2:], samples=8, refined=False)
        (far,) = predict_curves(known, [frost], samples=8, refined=False)

        assert (near.samples, far.samples) == (8, 16)
        assert np.median(far.voltage.parameter_deviation) > 3.0 * np.median(near.voltage.parameter_deviation)


def test_drawn_activation_energies_stay_within_their_bounds_and_follow_the_seed(model):
    drawn, again = (draw_activation_energies(model.numbers({}), 500, np.random.default_rng(3)) for _ in range(2))

    assert drawn == again
    assert all("activation energy" in name for name in drawn[0])
    for name, item in physical_ranges().items():
        if name in drawn[0]:
            values = np.array([one[name] for one in drawn])
            assert item.low <= values.min()
            assert values.max() <= item.high
            assert 0.5 * item.spread < values.std() < 1.5 * item.spread


def test_a_mixture_of_one_part_has_students_quantiles():
    from scipy.stats import t

    found = mixture_quantile(np.array([[1.0, 2.0]]), np.array([0.1, 0.2]), 7.0, 0.95)

    np.testing.assert_allclose(found, [1.0, 2.0] + t.ppf(0.95, 7.0) * np.array([0.1, 0.2]), rtol=1e-9)


def test_a_mixture_of_two_far_parts_has_its_median_between_them():
    parts = np.array([[0.0], [10.0]])

    np.testing.assert_allclose(mixture_quantile(parts, np.array([0.1]), 30.0, 0.25), [0.0], atol=1e-6)
    assert mixture_quantile(parts, np.array([0.1]), 30.0, 0.9)[0] > 10.0


def test_a_level_that_is_no_probability_is_refused(posterior, curves):
    with pytest.raises(ModelError, match="between 0 and 1"):
        predict_curves(posterior, curves[:1], level=90.0)


def test_profiles_are_closed_where_data_tell_and_open_where_not(posterior):
    known, open_ = profile_likelihood(posterior, (DIFFUSION, SOLID), points=7)

    assert known.identifiable
    assert known.low < TRUTH[DIFFUSION] < known.high
    assert known.rise.min() == pytest.approx(0.0, abs=0.3)
    assert not open_.identifiable
    assert known.evaluations < 200


def test_sensitivity_falls_to_what_acts(posterior):
    found = {(one.curve, one.quantity): one for one in sobol_sensitivity(posterior, simulations=40, samples=128)}

    fast = dict(found["1.5C", "voltage"].ranked())
    assert fast[DIFFUSION] + fast[CONTACT] + fast[EXCHANGE] > 0.9
    assert fast[SOLID] < 0.1
    assert found["1.5C", "voltage"].accuracy > 0.9
    assert found["1.5C", "voltage"].deviation > found["C/2", "voltage"].deviation
    assert found["1.5C", "voltage"].first.sum() < 1.1


def test_words_name_what_is_not_determined(posterior):
    said = " ".join(describe_identifiability(posterior))

    assert "Not determined: positive electrode conductivity" in said
    assert "C/2, 1.5C say more than the priors about 3 of 4" in said
    weights = determined_combinations(posterior)[0].weights
    assert np.linalg.norm(weights) == pytest.approx(1.0)


@pytest.mark.parametrize(("sign", "word"), [(-1.0, "product"), (1.0, "ratio")])
def test_words_name_a_pair_that_is_only_known_together(posterior, sign, word):
    random = np.random.default_rng(0)
    positions = 0.5 + 0.05 * random.standard_normal(posterior.positions.shape)
    widths = [posterior.problem.space.parameter(name).width for name in (CONTACT, EXCHANGE)]
    rest = 0.002 * random.standard_normal(len(positions))
    positions[:, 2] = 0.5 + sign * (positions[:, 1] - 0.5) * widths[0] / widths[1] + rest
    correlation = np.corrcoef(positions.T)

    said = describe_identifiability(replace(posterior, positions=positions, correlation=correlation))

    pair = f"Only the {word} of contact resistance and negative electrode exchange-current density is determined"
    assert any(words.startswith(pair) for words in said)


@pytest.mark.nightly
def test_intervals_of_a_dozen_cells_hold_the_truth(model):
    inside = []
    for seed in range(12):
        options = PosteriorOptions(method="laplace", leave_out=False, seed=seed)
        found = _posterior(model, _curves(model, error=4e-3, seed=seed + 1)[:2], options)
        inside += [found.interval(name)[0] < truth < found.interval(name)[1] for name, truth in TRUTH.items()]

    assert np.mean(inside) >= 0.9
