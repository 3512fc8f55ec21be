"""Trust in predictions: the mixture trains, intervals hold, doubt widens them, the exported module is what was made."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from celltwin.core import CelltwinError, SettingsError
from celltwin.prognosis import FEATURE_NAMES, CellCycles, cell_quantile, window_cycles
from celltwin.prognosis.trust import (
    DagmmSettings,
    TrustModel,
    TrustSettings,
    add_noise,
    calibrate_trust,
    dagmm_energy,
    export_trust,
    fit_bagged_model,
    hide_features,
    hold_out,
    learn_surroundings,
    train_dagmm,
    untrained_dagmm,
)
from celltwin.prognosis.trust.cell_bags import choose_windows
from celltwin.prognosis.trust.error_scale import cell_weights, fit_error_scale
from celltwin.prognosis.trust.trust_export import trust_inputs
from celltwin.prognosis.trust.trust_model import duty_factors, find_reasons, scaled_rows
from celltwin.prognosis.trust.trust_training import fit_duty_factors

# physicsnemo and the libraries it loads warn of each other while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = DagmmSettings(code=3, width=16, components=3, epochs=16, warm_up=5, batch=64, learning_rate=1e-2)
N_FEATURES = len(FEATURE_NAMES)


def make_cells(count=10, cycles=40, seed=0):
    """Cells whose features lie near a curve that health moves along, each at an offset of its own."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(3, N_FEATURES))
    made = []
    for number in range(count):
        soh = np.linspace(1.0, 0.82, cycles) + 0.002 * random.normal()
        ageing = 10.0 * (0.91 - soh)
        own = 0.2 * random.normal()
        hidden = np.stack([ageing, np.sin(2.0 * ageing), np.full(cycles, own)], axis=1)
        features = hidden @ directions + 0.02 * random.normal(size=(cycles, N_FEATURES))
        made.append(
            CellCycles(
                name=f"A_battery-{number}" if number % 2 else f"B_battery-{number}",
                protocol="A" if number % 2 else "B",
                number=str(number),
                features=features,
                soh=soh + 0.05 * own * (1.0 - soh) / 0.18,
            )
        )
    return tuple(made)


def aged(windows):
    """Windows whose cells are five times as old, so that training holds ages at which health must no longer rise."""
    return replace(windows, cycle=5.0 * windows.cycle)


class NearestLabel:
    """A fitted model that knows health from the first hidden direction, found by least squares."""

    def __init__(self, windows, seed):
        rows = windows.features[:, -1]
        self._weights = np.linalg.lstsq(np.c_[rows, np.ones(len(rows))], windows.soh, rcond=None)[0]
        self._shift = 1e-3 * np.random.default_rng(seed).normal()

    def predict(self, windows):
        rows = np.where(np.isfinite(windows.features[:, -1]), windows.features[:, -1], 0.0)
        return (np.c_[rows, np.ones(len(rows))] @ self._weights + self._shift)[np.newaxis]


class LeastSquares:
    """The kind of it."""

    def fit(self, windows, *, seed, checkpoints=None, on_step=None):
        return NearestLabel(windows, seed)


@pytest.fixture(scope="module")
def trained():
    """A trust model of ten cells, and windows of cells that it has not seen."""
    cells = make_cells()
    settings = TrustSettings(dagmm=SETTINGS, every=1, perturbed_every=4)
    parts = []
    for fold in range(3):
        seen = aged(window_cycles(tuple(cell for number, cell in enumerate(cells) if number % 3 != fold)))
        rest = aged(window_cycles(tuple(cell for number, cell in enumerate(cells) if number % 3 == fold)))
        predictor = fit_bagged_model(seen, LeastSquares(), seed=1, bags=3)
        surroundings = learn_surroundings(seen, settings, seed=(1, fold))
        parts.append(hold_out(rest, predictor, surroundings, settings, fold=fold, seed=1))
    held = type(parts[0]).join(parts)
    everyone = aged(window_cycles(cells))
    surroundings = learn_surroundings(everyone, settings, seed=(1, 9))
    model = TrustModel(surroundings=surroundings, calibration=calibrate_trust(held, settings))
    predictor = fit_bagged_model(everyone, LeastSquares(), seed=1, bags=3)
    unseen = aged(window_cycles(make_cells(6, seed=5)))
    return SimpleNamespace(held=held, settings=settings, model=model, predictor=predictor, unseen=unseen)


def assess(trained, windows):
    return trained.model.assess(windows, *trained.predictor.predict(windows))


def rows(count=400, seed=0, noise=0.02, wrong=0.0):
    """What a mixture looks at: eight measured inputs and a beginning, which age and health move, age and health told.

    ``noise`` is on the measured inputs, ``wrong`` [spreads] on the health that is told.
    """
    random = np.random.default_rng(seed)
    age, kind = random.uniform(0.0, 300.0, count), random.uniform(-1.0, 1.0, count)
    health = 1.0 - 6e-4 * age + 0.02 * kind
    ageing = (0.9 - health) / 0.05
    bent = np.c_[ageing, kind, np.sin(ageing), ageing * kind]
    measured = bent @ np.random.default_rng(7).normal(size=(bent.shape[1], 8)) / 2.0
    told = health + wrong * health.std() * random.normal(size=count)
    return np.c_[measured + noise * random.normal(size=measured.shape), kind, age, told]


def area(inside, outside):
    return np.mean(inside[:, np.newaxis] < outside)


@pytest.fixture(scope="module")
def mixtures():
    """A trained and an untrained mixture of the same rows, and what training reported."""
    reports = []
    settings = replace(SETTINGS, epochs=100, warm_up=40)
    network = train_dagmm(rows(), settings, n_measured=8, seed=(3,), on_epoch=lambda *values: reports.append(values))
    untrained = untrained_dagmm(rows(), settings, n_measured=8, seed=(3,))
    return SimpleNamespace(trained=network, untrained=untrained, reports=reports, settings=settings)


@pytest.mark.parametrize("worse", [{"noise": 1.0}, {"wrong": 1.0}], ids=["noise", "a health that is not true"])
def test_a_trained_mixture_tells_what_is_wrong_where_the_untrained_one_cannot(mixtures, worse):
    found = {
        name: area(dagmm_energy(network, rows(seed=1)), dagmm_energy(network, rows(seed=1, **worse)))
        for name, network in (("trained", mixtures.trained), ("untrained", mixtures.untrained))
    }

    assert found["trained"] > 0.8
    assert found["trained"] > found["untrained"] + 0.1


def test_the_mixture_learns_after_the_autoencoder_and_no_component_dies(mixtures):
    lost, energy = np.array([report[1] for report in mixtures.reports]), [report[2] for report in mixtures.reports]

    assert np.isnan(energy[: mixtures.settings.warm_up]).all()
    assert np.isfinite(energy[mixtures.settings.warm_up :]).all()
    assert lost[-1] < 0.3 * lost[0]
    assert np.exp(mixtures.trained.log_weight.numpy()).min() > 0.05


def test_energy_is_that_of_the_mixture_by_a_library(mixtures):
    import torch
    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    with torch.no_grad():
        z = mixtures.trained.describe(mixtures.trained.scale(torch.as_tensor(rows(20, seed=4), dtype=torch.float32)))
        found = dagmm_energy(mixtures.trained, rows(20, seed=4))
    weights, means = mixtures.trained.log_weight.numpy(), mixtures.trained.mean.numpy()
    covariances = [np.linalg.inv(factor.T @ factor) for factor in mixtures.trained.whitening.numpy()]
    parts = [
        weight + multivariate_normal(mean, covariance).logpdf(z.numpy())
        for weight, mean, covariance in zip(weights, means, covariances, strict=True)
    ]

    np.testing.assert_allclose(found, -logsumexp(parts, axis=0), rtol=1e-6)
    assert found.dtype == np.float64


def test_an_input_that_never_changes_does_not_break_the_covariances():
    flat = np.zeros((200, 10))

    network = train_dagmm(flat, replace(SETTINGS, epochs=12), n_measured=8, seed=(1,))

    assert np.isfinite(dagmm_energy(network, flat)).all()


def test_a_row_that_is_left_over_after_the_last_full_batch_stops_no_training():
    network = train_dagmm(rows(129), replace(SETTINGS, epochs=4, warm_up=1), n_measured=8, seed=(1,))

    assert np.isfinite(dagmm_energy(network, rows(129))).all()


def test_the_same_seed_gives_the_same_mixture_and_another_seed_another():
    settings = replace(SETTINGS, epochs=8, warm_up=3)
    first, again, other = (
        dagmm_energy(train_dagmm(rows(), settings, n_measured=8, seed=(n,)), rows(seed=1)) for n in (1, 1, 2)
    )

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(tmp_path):
    settings = replace(SETTINGS, epochs=12, warm_up=4)

    def stop(epoch, *_):
        if epoch == 11:
            raise KeyboardInterrupt

    train = partial(train_dagmm, rows(), settings, n_measured=8, seed=(1,))
    with pytest.raises(KeyboardInterrupt):
        train(checkpoints=tmp_path / "kept", on_epoch=stop)
    epochs = []
    resumed = train(checkpoints=tmp_path / "kept", on_epoch=lambda epoch, *_: epochs.append(epoch))

    assert epochs == [11, 12]
    straight = train()
    np.testing.assert_array_equal(dagmm_energy(resumed, rows(seed=1)), dagmm_energy(straight, rows(seed=1)))


def test_a_saved_mixture_is_built_again_by_physicsnemo(mixtures, tmp_path):
    from physicsnemo.core import Module

    mixtures.trained.save(str(tmp_path / "mixture.mdlus"))
    loaded = Module.from_checkpoint(str(tmp_path / "mixture.mdlus")).eval()

    np.testing.assert_array_equal(dagmm_energy(loaded, rows(seed=1)), dagmm_energy(mixtures.trained, rows(seed=1)))


@pytest.mark.parametrize(
    ("bad", "message"), [(np.full((400, 10), np.nan), "not finite"), (np.ones((9, 10)), "too few")]
)
def test_a_mixture_refuses_what_it_cannot_learn_from(bad, message):
    with pytest.raises(CelltwinError, match=message):
        train_dagmm(bad, SETTINGS, n_measured=8, seed=(1,))


def test_the_scale_of_errors_is_found_and_doubt_never_lowers_it():
    random = np.random.default_rng(1)
    signals = random.normal(size=(4000, 2))
    error = np.exp(-4.0 + 0.7 * signals[:, 0] - 0.5 * signals[:, 1]) * random.exponential(size=4000)

    found = fit_error_scale(signals, error, np.full(4000, 1 / 4000), doubt=np.array([True, True]), ridge=0.0)

    np.testing.assert_allclose(found.weights, [0.7, 0.0], atol=0.08)
    assert np.all(np.diff(found.of(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 9.0]]))) > 0.0)


def test_duties_with_larger_errors_get_wider_intervals_and_one_cell_says_little():
    cells = np.repeat(["a1", "a2", "a3", "a4", "b1", "c1"], 50)
    protocols = np.repeat(["a", "a", "a", "a", "b", "c"], 50)
    scores = np.repeat([1.0, 1.0, 1.0, 1.0, 4.0, 1.0], 50)

    factors = fit_duty_factors(scores, cells, protocols)
    alone = fit_duty_factors(scores, cells, protocols, prior=0.0)

    assert alone["b"] / alone["a"] == pytest.approx(4.0)
    assert 1.0 < factors["b"] < alone["b"]
    assert alone["c"] < factors["c"] < 1.0
    assert duty_factors(factors, np.array(["a", "unheard of"])).tolist() == [factors["a"], factors["b"]]


def test_each_cell_weighs_the_same_and_the_unseen_one_counts_as_told():
    cells = np.repeat(["a", "b", "c"], [1, 10, 100])
    scores = np.repeat([3.0, 2.0, 1.0], [1, 10, 100])

    np.testing.assert_allclose([cell_weights(cells)[cells == name].sum() for name in "abc"], 1.0 / 3.0)
    assert cell_quantile(scores, cells, 0.6, unseen=0.0) == 2.0
    assert cell_quantile(scores, cells, 0.6) == 3.0
    assert np.isinf(cell_quantile(scores, cells, 0.9))


def test_intervals_hold_on_cells_that_were_not_seen(trained):
    found = assess(trained, trained.unseen)

    inside = (trained.unseen.soh >= found.low) & (trained.unseen.soh <= found.high)

    assert 0.8 < inside.mean() <= 1.0
    assert np.mean(found.high - found.low) < 0.1
    assert found.flagged.mean() < 0.3
    assert np.all(found.standard_uncertainty < 0.5 * (found.high - found.low) + 1e-12)


def test_growing_noise_widens_intervals_and_raises_flags(trained):
    scaling = trained.model.surroundings.scaling
    found = [assess(trained, add_noise(trained.unseen, scaling, level, seed=1)) for level in (0.1, 0.5, 2.0)]

    assert np.all(np.diff([each.score.mean() for each in found]) > 0.0)
    assert found[-1].flagged.mean() > 0.95


def test_missing_and_infinite_features_widen_the_interval_and_are_named(trained):
    clean = assess(trained, trained.unseen)
    for value in (np.nan, np.inf, -np.inf):
        features = np.array(trained.unseen.features)
        features[:, :, 3] = value
        found = assess(trained, replace(trained.unseen, features=features))
        assert found.flagged.all()
        assert found.reasons["features missing or infinite"].all()
        assert found.score.mean() > clean.score.mean()
    hidden = assess(trained, hide_features(trained.unseen, 0.5, seed=1))
    assert hidden.score.mean() > clean.score.mean()


def test_a_cycle_of_which_nothing_is_known_gets_no_number(trained):
    features = np.array(trained.unseen.features)
    features[0, -1] = np.nan
    found = assess(trained, replace(trained.unseen, features=features))

    assert np.isnan([found.soh[0], found.low[0], found.high[0], found.score[0]]).all()
    assert found.reasons["no feature known"][0]
    assert np.isfinite(found.soh[1:]).all()


def test_a_prediction_that_is_not_a_number_is_refused(trained):
    soh, spread = trained.predictor.predict(trained.unseen)
    found = trained.model.assess(trained.unseen, np.where(np.arange(soh.size) == 2, np.inf, soh), spread)

    assert np.isnan(found.soh[2])
    assert found.flagged[2]
    assert found.reasons["no prediction"][2]


def test_cells_of_three_cycles_get_wide_intervals_and_those_of_two_a_flag(trained):
    young = window_cycles(tuple(replace(c, features=c.features[:3], soh=c.soh[:3]) for c in make_cells(3, seed=8)))

    found = assess(trained, young)

    np.testing.assert_array_equal(found.reasons["fewer than 3 cycles seen"], np.tile([True, True, False], 3))
    assert np.isfinite(found.low).all()


def test_health_that_rises_by_more_than_the_interval_is_flagged(trained):
    cell = make_cells(1, seed=6)[0]
    rising = window_cycles((replace(cell, features=cell.features[::-1].copy(), soh=cell.soh[::-1].copy()),))

    narrow = replace(trained.model.calibration, wide_quantile=0.02 * trained.model.calibration.wide_quantile)
    sure = SimpleNamespace(model=replace(trained.model, calibration=narrow), predictor=trained.predictor)

    assert assess(sure, aged(rising)).reasons["health rises"][-10:].all()
    assert not assess(trained, rising).reasons["health rises"].any()  # fresh cells may rise
    assert not assess(trained, aged(window_cycles((cell,)))).reasons["health rises"].any()


def test_another_chemistry_is_flagged_and_its_intervals_are_wide(trained):
    shifted = np.array(trained.unseen.features) * 0.8 + 7.0

    found = assess(trained, replace(trained.unseen, features=shifted))

    assert found.flagged.all()
    assert np.median(found.score) > 3.0 * np.median(assess(trained, trained.unseen).score)


def test_averages_are_the_same_by_the_short_way_and_with_a_window_that_must_be_clipped(trained):
    scaling = trained.model.surroundings.scaling
    far = np.array(trained.unseen.features)
    far[0] = scaling.mean + 40.0 * scaling.spread

    short, beginning, newest = scaled_rows(trained.unseen, scaling)
    clipped, _, far_newest = scaled_rows(replace(trained.unseen, features=far), scaling)

    np.testing.assert_allclose(clipped[0], 30.0)
    np.testing.assert_allclose(clipped[1:], short[1:], atol=1e-9)
    np.testing.assert_allclose(short[2], scaling.apply(trained.unseen.features[2, -3:].mean(axis=0)), atol=1e-9)
    np.testing.assert_allclose(beginning, scaling.apply(trained.unseen.beginning))
    np.testing.assert_allclose(newest, scaling.apply(trained.unseen.features[:, -1]))
    np.testing.assert_allclose(far_newest[0], 30.0)


def test_one_odd_newest_cycle_is_flagged_though_the_average_hardly_moves(trained):
    odd = np.array(trained.unseen.features)
    odd[:, -1] += 4.0 * trained.model.surroundings.scaling.spread * np.where(np.arange(odd.shape[2]) % 2, 1.0, -1.0)

    found = assess(trained, replace(trained.unseen, features=odd))

    assert found.reasons["unlike the training data (distance)"].mean() > 0.9
    assert np.median(found.score) > np.median(assess(trained, trained.unseen).score)


def test_a_cell_whose_beginning_is_not_known_gets_a_number_as_if_nothing_had_changed(trained):
    unknown = replace(trained.unseen, beginning=np.full_like(trained.unseen.beginning, np.nan))
    average = np.nanmean(np.where(unknown.seen[:, :, np.newaxis], unknown.features, np.nan), axis=1)

    found = assess(trained, unknown)
    unchanged = assess(trained, replace(unknown, beginning=average))

    np.testing.assert_allclose(found.energy, unchanged.energy, rtol=1e-4)
    assert np.isfinite(found.low).all()


def test_a_health_that_the_past_of_a_cell_contradicts_raises_the_energy(trained):
    soh, spread = trained.predictor.predict(trained.unseen)
    wrong = trained.model.assess(trained.unseen, soh - 0.1, spread)

    assert np.median(wrong.energy) > np.quantile(assess(trained, trained.unseen).energy, 0.9)


def test_windows_of_other_features_are_refused(trained):
    soh, spread = trained.predictor.predict(trained.unseen)
    fewer = replace(trained.unseen, features=trained.unseen.features[:, :, :5])

    with pytest.raises(CelltwinError, match="16 features"):
        trained.model.assess(fewer, soh, spread)


def test_calibration_needs_two_folds_and_spread_needs_cells(trained):
    with pytest.raises(SettingsError, match="one fold"):
        calibrate_trust(trained.held.choose(trained.held.fold == 0), trained.settings)
    with pytest.raises(SettingsError, match="no spread"):
        fit_bagged_model(window_cycles(make_cells(3)), LeastSquares(), seed=1)


def test_what_is_exported_says_the_same_with_onnxruntime_and_numpy_alone(trained):
    import onnxruntime

    some = choose_windows(trained.unseen, np.arange(0, trained.unseen.soh.size, 7))
    features = np.array(some.features)
    features[3, -1, 2] = np.inf
    features[5] += 9.0
    some = replace(some, features=features)
    soh, spread = trained.predictor.predict(some)
    expected = trained.model.assess(some, soh, spread)

    content = export_trust(trained.model, some, soh, spread)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    inputs = trust_inputs(some, trained.model.surroundings.scaling, soh, spread)
    energy, distance, score = session.run(None, inputs)

    np.testing.assert_allclose(energy, expected.energy, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(distance, expected.distance, rtol=1e-4)
    factor = duty_factors(trained.model.calibration.duty_factors, some.protocol)
    np.testing.assert_allclose(score * factor, expected.score, rtol=1e-4)
    reasons = find_reasons(some, soh, energy, distance, trained.model.calibration)
    assert reasons.keys() | {"health rises"} == expected.reasons.keys()
    for name, rows in reasons.items():
        np.testing.assert_array_equal(rows, expected.reasons[name], name)
