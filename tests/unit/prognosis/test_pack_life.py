"""Remaining life and health of a pack from its past charges: every level, honest doubts, no number without a past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import Kind, Level, PackState, Quality, Reading, SettingsError, load_pack
from celltwin.prognosis import (
    FEATURE_NAMES,
    ChargeFeatures,
    ChargeHistory,
    PackLife,
    PackPrognosis,
    PackSoh,
    SohPredictor,
    WindowPredictor,
    combine_uncertain,
)

ALL = np.arange(4)


def history_of(spec, *cells, begun=True):
    history = ChargeHistory(spec, begun=begun)
    for cell, features in enumerate(cells):
        for number, row in enumerate(features):
            one = np.array([cell])
            history.add(one, row[np.newaxis], np.array([10.0 * number]), np.zeros(1, dtype=np.uint8))
    return history


@pytest.fixture(scope="module")
def life(small_pack):
    loaded = PackLife(small_pack, "2C")
    loaded.load()
    return loaded


@pytest.fixture(scope="module")
def soh(small_pack):
    loaded = PackSoh(small_pack, SohPredictor(small_pack), WindowPredictor())
    loaded.load()
    return loaded


def by_level(readings, quantity):
    return {one.level: one for one in readings if one.quantity == quantity}


def test_the_shipped_models_know_these_charges(small_pack, life, soh, charges):
    pasts = history_of(small_pack, *[charges(150)] * 4).look()

    health, cycles = soh.predict(pasts, PackState(time=0.0, step=0)), life.predict(pasts)

    assert by_level(health, "soh")[Level.CELL].provenance.startswith("soh_2 sha256:")
    assert by_level(cycles, "rul")[Level.CELL].provenance.startswith("rul_")
    for reading in (by_level(health, "soh")[Level.CELL], by_level(cycles, "rul")[Level.CELL]):
        assert np.isfinite(reading.values).all()
        assert (reading.standard_uncertainty > 0.0).all()


def test_every_level_has_remaining_life_and_the_older_cells_have_less(small_pack, life, charges):
    pasts = history_of(small_pack, *[charges(80)] * 2, *[charges(280)] * 2).look()

    found = by_level(life.predict(pasts), "rul")

    assert set(found) == set(Level)
    assert all(one.kind is Kind.PREDICTED for one in found.values())
    cells, groups, pack = found[Level.CELL].values, found[Level.GROUP].values, found[Level.PACK].values
    assert cells[2] < cells[0]
    assert groups[1] < groups[0]
    assert pack[0] <= groups[1] + 1.0  # the weakest group ends the pack's life
    assert "85 % of nominal capacity, used like 2C" in found[Level.CELL].reason


def test_a_use_that_no_training_cell_had_is_flagged_and_twice_as_wide(small_pack, life, charges):
    pasts = history_of(small_pack, *[charges(150)] * 4).look()
    unlike = PackLife(small_pack)
    unlike.load()

    known, unknown = (by_level(one.predict(pasts), "rul")[Level.CELL] for one in (life, unlike))

    assert (unknown.quality == Quality.SUSPECT).all()
    assert "used in a way that no training cell was" in unknown.reason
    assert (unknown.standard_uncertainty > 1.3 * known.standard_uncertainty).all()


def test_an_unknown_protocol_is_refused_with_those_that_are_known(small_pack):
    with pytest.raises(SettingsError, match="2C, 3C"):
        PackLife(small_pack, "5C").load()


def test_young_cells_are_flagged(small_pack, life, charges):
    found = by_level(life.predict(history_of(small_pack, *[charges(4)] * 4).look()), "rul")[Level.CELL]

    assert (found.quality == Quality.SUSPECT).all()
    assert "4 fewer than ten charges" in found.reason


def test_without_a_known_past_there_is_no_life_and_health_comes_from_one_charge(small_pack, life, soh, charges):
    pasts = history_of(small_pack, *[charges(40)] * 4, begun=False).look()

    cycles, health = life.predict(pasts), soh.predict(pasts, PackState(time=0.0, step=0))

    assert all(np.isnan(one.values).all() and (one.quality == Quality.BAD).all() for one in cycles)
    assert all("--past" in one.reason for one in cycles)
    cells = by_level(health, "soh")[Level.CELL]
    assert cells.provenance.startswith("soh_1 ")
    assert "newest whole charge of 4 of 4 cells" in cells.reason


def test_a_pack_of_cells_with_and_without_a_past_says_which_model_answered(small_pack, soh, life, charges):
    history = history_of(small_pack, *[charges(40)] * 4)
    history._begun[2:] = False
    history._revision += 1
    pasts = history.look()

    cells = by_level(soh.predict(pasts, PackState(time=0.0, step=0)), "soh")[Level.CELL]
    cycles = by_level(life.predict(pasts), "rul")[Level.CELL]

    assert cells.provenance.count("2 cells") == 2
    assert np.isfinite(cells.values).all()
    np.testing.assert_array_equal(np.isfinite(cycles.values), [True, True, False, False])
    assert "the past of 2 cells is not known" in cycles.reason


def test_infinite_and_missing_features_are_flagged_and_no_charge_gives_no_number(small_pack, soh, life, charges):
    broken, empty = charges(60), charges(60)
    broken[-1, 4], empty[-1] = np.inf, np.nan
    pasts = history_of(small_pack, charges(60), broken, empty, charges(60)[:0]).look()

    health = by_level(soh.predict(pasts, PackState(time=0.0, step=0)), "soh")[Level.CELL]
    cycles = by_level(life.predict(pasts), "rul")[Level.CELL]

    np.testing.assert_array_equal(health.quality[1:], [Quality.SUSPECT, Quality.BAD, Quality.BAD])
    assert "1 features missing or infinite" in health.reason
    assert np.isnan(health.values[3])
    assert cycles.quality[3] == Quality.BAD
    assert np.isnan(cycles.values[3])


def test_another_chemistry_gets_no_number_and_the_reason(repo_root):
    leaf = load_pack(repo_root / "data" / "packs" / "leaf_3_modules.toml")
    unlike = PackLife(leaf)
    unlike.load()

    found = unlike.predict(ChargeHistory(leaf, begun=True).look())

    assert all(np.isnan(one.values).all() for one in found)
    assert "NMC523" in found[0].reason


def test_time_left_is_told_at_the_use_that_was_seen(small_pack, life, charges):
    history = history_of(small_pack, *[charges(150)] * 4)
    assert "an hour is needed" in by_level(life.predict(history.look()), "rul_time")[Level.PACK].reason
    # Two equivalent full cycles a day of three cells; the fourth rests.
    history.set_use(np.array([8.0, 8.0, 8.0, 0.0]), 86400.0)
    history._revision += 1

    found = life.predict(history.look())

    cycles, time = by_level(found, "rul")[Level.CELL], by_level(found, "rul_time")[Level.CELL]
    np.testing.assert_allclose(time.values[:3], cycles.values[:3] / 2.0 * 86400.0)
    np.testing.assert_allclose(time.standard_uncertainty[:3], cycles.standard_uncertainty[:3] / 2.0 * 86400.0)
    assert np.isnan(time.values[3])
    assert time.quality[3] == Quality.BAD
    assert time.reason.startswith("At the use of the last 24.0 h")


def test_the_weakest_group_of_predicted_cells_is_as_low_as_their_errors_let_it_be(repo_root):
    spec = load_pack(repo_root / "data" / "packs" / "reference.toml")
    random = np.random.default_rng(1)
    groups, error = random.normal(0.93, 0.005, spec.n_groups), 0.02
    cells = Reading.at(
        Kind.PREDICTED, "soh", Level.CELL, np.repeat(groups, spec.parallel), 5.0,
        standard_uncertainty=error, provenance="test",
    )  # fmt: skip

    found = by_level(combine_uncertain(cells, spec), "soh")

    # Half of the variance is each cell's own and averages out in its group; the other half all cells share.
    own = error * np.sqrt(0.5 / spec.parallel)
    expected = np.mean([(groups + own * random.standard_normal(groups.size)).min() for _ in range(2000)])
    pack = found[Level.PACK]
    assert pack.values[0] == pytest.approx(expected, abs=4e-3)  # of 64 draws with a common error of 0.014
    assert pack.standard_uncertainty[0] == pytest.approx(error * np.sqrt(0.5), rel=0.2)
    weakest = int(groups.argmin()) // spec.series
    assert spec.element_ids(Level.MODULE)[weakest] in pack.reason
    np.testing.assert_array_equal(pack.time, 5.0)


def test_resistances_of_the_groups_give_health_by_energy_too(small_pack):
    cells = Reading.at(
        Kind.PREDICTED, "soh", Level.CELL, np.array([0.9, 0.92, 0.94, 0.96]), 5.0,
        standard_uncertainty=0.01, provenance="test",
    )  # fmt: skip
    grown = Reading.at(
        Kind.ESTIMATED, "resistance_factor", Level.GROUP, np.array([1.5, 1.3]), 5.0,
        standard_uncertainty=0.05, provenance="test",
    )  # fmt: skip

    alone = combine_uncertain(cells, small_pack, PackState(time=5.0, step=0))
    both = combine_uncertain(cells, small_pack, PackState(time=5.0, step=0).updated(grown))

    assert {one.quantity for one in alone} == {"soh"}
    pack = {quantity: by_level(both, quantity)[Level.PACK] for quantity in ("soh", "soh_energy", "resistance_growth")}
    assert pack["soh_energy"].values[0] < pack["soh"].values[0]
    assert 1.2 < pack["resistance_growth"].values[0] < 1.6


def test_the_next_run_goes_on_from_the_charges_of_the_last(small_pack, charging, tmp_path):
    kept = tmp_path / "charge_history.npz"
    first = PackPrognosis(small_pack, past="new", keep=kept)
    time = np.arange(0.0, 4000.0, 10.0)
    for step, (t, v, i) in enumerate(zip(time, *charging.curve(time), strict=True)):
        first.observe(charging.image(small_pack, step, float(t), v, i))
    first.close()

    second = PackPrognosis(small_pack, past=str(tmp_path))
    second.load()
    state = charging.image(small_pack, 0, 0.0, 3.7, 0.0)
    second.observe(state)
    found = second.ask(state)()

    assert kept.exists()
    cycles = by_level(found, "rul")[Level.CELL]
    assert np.isfinite(cycles.values).all()
    assert "4 fewer than ten charges" in cycles.reason
    assert (by_level(found, "soh")[Level.CELL].time < 0.0).all()  # charged before this run


def test_the_charges_of_a_running_pack_are_enough_for_its_models(small_pack, charging):
    """The two entropies that a running pack does not have are missed by no model."""
    features = ChargeFeatures(small_pack)
    time = np.arange(0.0, 4000.0, 10.0)
    charging.watch(small_pack, time, *charging.curve(time), features=features)
    row = features.record().features
    assert np.isnan(row[:, [FEATURE_NAMES.index("voltage entropy")]]).all()
    history = ChargeHistory(small_pack, begun=True)
    for number in range(30):
        history.add(ALL, row, np.full(4, float(number)), np.zeros(4, dtype=np.uint8))
    served = WindowPredictor()
    served.load()

    found = served.assess(history.look().windows(served.model.window, ALL))

    assert np.isfinite(found.soh).all()
    assert not found.reasons["features missing or infinite"].any()


def test_other_capacity_of_the_cells_is_suspect(small_pack, charges):
    other = replace(small_pack, cell=replace(small_pack.cell, capacity=3.0))
    life = PackLife(other, "2C")
    life.load()

    found = by_level(life.predict(history_of(other, *[charges(60)] * 4).look()), "rul")[Level.CELL]

    assert (found.quality == Quality.SUSPECT).all()
    assert "other nominal capacity" in found.reason


def test_only_cells_with_a_new_charge_are_asked_about_again(small_pack, soh, life, charges, monkeypatch):
    history = history_of(small_pack, *[charges(60)] * 4)
    state = PackState(time=0.0, step=0)
    before = by_level(soh.predict(history.look(), state), "soh")[Level.CELL]
    life.predict(history.look())
    asked = []
    for served in (soh._past, life._predictor):
        answer = served.assess
        monkeypatch.setattr(served, "assess", lambda given, of=answer: asked.append(given.cycle.size) or of(given))
    history.add(np.array([2]), charges(240)[-1:], np.array([700.0]), np.zeros(1, dtype=np.uint8))

    after = by_level(soh.predict(history.look(), state), "soh")[Level.CELL]
    cycles = by_level(life.predict(history.look()), "rul")[Level.CELL]

    assert asked == [1, 1]
    np.testing.assert_array_equal(after.values != before.values, [False, False, True, False])
    anew = PackLife(small_pack, "2C", life._predictor)
    np.testing.assert_allclose(
        by_level(anew.predict(history.look()), "rul")[Level.CELL].values, cycles.values, rtol=1e-5
    )


def test_answers_do_not_depend_on_how_many_windows_are_asked_about_together(small_pack, charges, monkeypatch):
    from celltwin.prognosis import window_predictor

    windows = history_of(small_pack, *[charges(count) for count in (30, 90, 160, 240)]).look().windows(24, ALL)
    served = WindowPredictor()
    served.load()
    together = served.assess(windows)
    monkeypatch.setattr(window_predictor, "AT_ONCE", 3)

    np.testing.assert_allclose(served.assess(windows).soh, together.soh, rtol=1e-5)
