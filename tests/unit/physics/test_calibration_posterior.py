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
from celltwin.physics.calibration.parameter_space_cell import cell_parameter_space
from celltwin.physics.calibration.posterior import ParameterPosterior, PosteriorOptions, posterior_at
from celltwin.physics.calibration.predictive import predict_curves
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
    space = cell_parameter_space(model.base, model="SPM", names=names)
    problem = CalibrationProblem(curves, model, space, cost=ROWS)
    start = space.position({**space.values(space.start), **TRUTH})
    return posterior_at(problem, minimise(problem, budget=30, start=start).x, options, **changes)


@pytest.fixture(scope="module")
def curves(model) -> list[MeasuredCurve]:
    return _curves(model, error=3e-3)


@pytest.fixture(scope="module")
def posterior(model, curves) -> ParameterPosterior:
    """From the two slower curves, through an emulator."""
    return _posterior(model, curves[:2], PosteriorOptions(simulations=50, steps=250))


def test_the_truth_lies_in_the_intervals(posterior):
    for name, truth in TRUTH.items():
        low, high = posterior.interval(name)
        assert low < truth < high, name
        assert posterior.problem.space.parameter(name).low <= low


def test_the_emulator_is_confirmed_and_used(posterior):
    assert posterior.method == "emulator"
    assert posterior.emulator is not None
    assert posterior.emulator.cost_error < 1.0
    assert posterior.effective_samples > 200
    assert posterior.evaluations < 120


def test_what_the_data_cannot_tell_stays_as_wide_as_its_prior(posterior):
    assert posterior.determined[SOLID] > 0.8
    assert max(posterior.determined[name] for name in TRUTH) < 0.5


def test_correlated_errors_are_not_taken_for_noise(model, posterior):
    quiet = _posterior(model, _curves(model, error=0.0)[:2], PosteriorOptions(method="laplace", steps=250))

    assert posterior.discrepancy["voltage"].scale > 5.0 * quiet.discrepancy["voltage"].scale
    for name in (DIFFUSION, CONTACT):
        assert posterior.determined[name] > 2.0 * quiet.determined[name]


def test_laplace_agrees_where_the_model_is_nearly_linear(model, curves, posterior):
    normal = _posterior(model, curves[:2], PosteriorOptions(method="laplace", steps=250))

    assert normal.method == "laplace"
    assert normal.emulator is None
    for name in (DIFFUSION, CONTACT):
        assert normal.determined[name] == pytest.approx(posterior.determined[name], rel=0.3)


def test_the_same_seed_gives_the_same_samples(model, curves):
    options = PosteriorOptions(method="laplace", steps=100, rounds=1, leave_out=False)

    first, second = (_posterior(model, curves[:2], options) for _ in range(2))

    np.testing.assert_array_equal(first.samples, second.samples)


def test_a_stopped_posterior_is_laplaces_and_says_so(model, curves):
    options = PosteriorOptions(simulations=4000, steps=100)

    found = _posterior(model, curves[:2], options, progress=lambda step: "emulator" not in step.stage)

    assert found.method == "laplace"
    assert any("stopped" in words for words in found.warnings)


def test_a_model_that_does_not_reach_the_end_is_refused(model, curves):
    names = ("Electrode width [m]",)
    space = cell_parameter_space(model.base, model="SPM", names=names)
    problem = CalibrationProblem(curves[:1], model, space, TRUTH, ROWS)

    with pytest.raises(ModelError, match="does not reach the end"):
        posterior_at(problem, np.array([0.05]))


def test_intervals_hold_measured_values_of_fitted_and_new_curves(posterior, curves):
    found = {curve.name: curve for curve in predict_curves(posterior, curves, samples=24, refined=False)}

    assert not found["1.5C"].held_out
    assert found["2C"].held_out
    assert found["1.5C"].voltage.coverage > 0.8
    assert found["2C"].voltage.coverage > 0.7
    assert found["2C"].voltage.deviation.mean() > found["C/2"].voltage.deviation.mean()
    assert np.all(found["1.5C"].voltage.deviation >= found["1.5C"].voltage.parameter_deviation)
    assert np.isnan(found["2C"].temperature.coverage)


def test_prediction_does_not_look_at_a_held_out_curves_voltage(posterior, curves):
    shifted = replace(curves[2], voltage=curves[2].voltage + 0.5)

    (one,) = predict_curves(posterior, [shifted], samples=8, refined=False)
    (other,) = predict_curves(posterior, curves[2:], samples=8, refined=False)

    np.testing.assert_array_equal(one.voltage.mean, other.voltage.mean)
    assert one.voltage.coverage == 0.0


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
        options = PosteriorOptions(method="laplace", steps=300, rounds=1, leave_out=False, seed=seed)
        found = _posterior(model, _curves(model, error=4e-3, seed=seed + 1)[:2], options)
        inside += [found.interval(name)[0] < truth < found.interval(name)[1] for name, truth in TRUTH.items()]

    assert np.mean(inside) >= 0.9
