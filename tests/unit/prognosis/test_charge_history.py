"""The recorder of past charges: what it keeps, what it hands out, and how it is filled, saved and restored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import SettingsError
from celltwin.prognosis import (
    FEATURE_NAMES,
    CellCycles,
    ChargeFeatures,
    ChargeHistory,
    CycleDataError,
    open_history,
    save_history,
    window_cycles,
)
from celltwin.prognosis.charge_history import LONGEST_PAST, SLOTS
from celltwin.prognosis.past_windows import blank_sampling_dependent
from celltwin.prognosis.remaining_life.life_inputs import describe_cells, describe_past

TEN_SECONDS = np.arange(0.0, 4000.0, 10.0)


def features_of(cycles, seed=0):
    return np.random.default_rng(seed).normal(4.0, 0.1, (cycles, len(FEATURE_NAMES)))


def write_csv(path, features, **columns):
    names = [*FEATURE_NAMES, *columns]
    rows = np.column_stack([features, *columns.values()])
    path.write_text("\n".join([",".join(names), *(",".join(repr(float(v)) for v in row) for row in rows)]) + "\n")


def cell_of(features):
    size = len(features)
    return CellCycles(name="a", protocol="2C", number="1", features=features, soh=np.linspace(1.0, 0.9, size))


def fill(history, features, cells=None):
    cells = np.arange(history.spec.n_cells) if cells is None else cells
    for number, row in enumerate(features):
        history.add(
            cells,
            np.tile(row, (cells.size, 1)),
            np.full(cells.size, 100.0 * number),
            np.zeros(cells.size, dtype=np.uint8),
        )
    return history


@pytest.mark.parametrize("cycles", [1, 2, 24, 40, 200])
def test_a_look_gives_the_window_that_a_file_of_the_same_charges_gives(small_pack, cycles):
    features = features_of(cycles)
    features[0, 3] = np.inf

    found = fill(ChargeHistory(small_pack, begun=True), features).look().windows(24, np.array([1]))

    expected = blank_sampling_dependent(window_cycles((cell_of(features),), window=24))
    np.testing.assert_allclose(found.features[0], expected.features[-1], rtol=1e-6)
    np.testing.assert_array_equal(found.seen[0], expected.seen[-1])
    np.testing.assert_allclose(found.beginning[0], expected.beginning[-1], rtol=1e-9)
    assert found.cycle[0] == expected.cycle[-1] == cycles


@pytest.mark.parametrize("cycles", [3, 12, 59, 150])
def test_a_look_gives_remaining_life_the_summary_of_the_same_charges(small_pack, cycles):
    features = features_of(cycles, seed=2)
    pasts = fill(ChargeHistory(small_pack, begun=True), features).look()

    newest, seen = pasts.newest(LONGEST_PAST, np.array([2]))
    newest = np.where(seen[:, :, np.newaxis], newest, np.nan)
    found = describe_past(newest, pasts.first[[2]], pasts.count[[2]].astype(float))

    expected = describe_cells((cell_of(features),), history=False).values[-1:]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_memory_does_not_grow_and_a_look_stays_what_it_was(small_pack):
    history = fill(ChargeHistory(small_pack, begun=True), features_of(300))
    size = history._ring.nbytes
    look = history.look()
    before = look.windows(24, np.arange(4)).features.copy()

    fill(history, features_of(SLOTS - LONGEST_PAST, seed=9))

    assert history._ring.nbytes == size < 5000 * small_pack.n_cells
    np.testing.assert_array_equal(look.windows(24, np.arange(4)).features, before)
    assert look.count[0] == 300
    assert history.look().count[0] == 304


def test_charges_of_a_running_pack_are_recorded_with_their_use(small_pack, charging):
    features, history = ChargeFeatures(small_pack), ChargeHistory(small_pack, begun=True)
    voltage, current = charging.curve(TEN_SECONDS)
    for step, (time, v, i) in enumerate(zip(TEN_SECONDS, voltage, current, strict=True)):
        image = charging.image(small_pack, step, float(time), v, i)
        features.observe(image)
        history.observe(image, features)

    look = history.look()

    np.testing.assert_array_equal(look.count, 1)
    np.testing.assert_allclose(look.newest(1, np.arange(4))[0][:, 0, :7], features.record().features[:, :7], rtol=1e-6)
    np.testing.assert_allclose(look.used, np.trapezoid(current, TEN_SECONDS) / 3600.0, rtol=0.01)
    assert look.watched == pytest.approx(TEN_SECONDS[-1], rel=1e-3)


def test_a_look_costs_nothing_while_no_charge_ends(small_pack):
    history = fill(ChargeHistory(small_pack), features_of(3))

    assert history.look() is history.look()


def test_an_unknown_past_has_no_beginning(small_pack):
    look = fill(open_history(small_pack), features_of(12)).look()

    assert not look.begun.any()
    assert np.isnan(look.beginning).all()
    assert np.isnan(look.first).all()
    assert fill(open_history(small_pack, "new"), features_of(12)).look().begun.all()


def test_what_is_saved_is_restored_with_times_before_the_run(small_pack, tmp_path):
    history = fill(ChargeHistory(small_pack, begun=True), features_of(70))
    fill(history, features_of(2, seed=4), np.array([1]))
    history.set_use(np.array([1.0, 2.0, 3.0, 4.0]), 7200.0)
    history._now = 8000.0
    look = history.look()
    save_history(look, small_pack, tmp_path / "charge_history.npz")

    found = open_history(small_pack, str(tmp_path)).look()

    for name in ("count", "begun", "total", "number", "first", "doubts", "used", "watched"):
        np.testing.assert_array_equal(getattr(found, name), getattr(look, name))
    np.testing.assert_array_equal(found.completed, look.completed - 8000.0)
    for length in (1, 24, 60):
        np.testing.assert_array_equal(found.newest(length, np.arange(4))[0], look.newest(length, np.arange(4))[0])
    assert not list(tmp_path.glob("*.partial"))


def test_the_past_of_another_pack_is_refused(small_pack, tmp_path):
    save_history(fill(ChargeHistory(small_pack), features_of(2)).look(), small_pack, tmp_path / "charge_history.npz")

    with pytest.raises(SettingsError, match=r"another pack \(reference\)"):
        open_history(replace(small_pack, name="other"), str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", b"text"])
def test_a_damaged_past_is_refused(small_pack, tmp_path, content):
    (tmp_path / "charge_history.npz").write_bytes(content)

    with pytest.raises(SettingsError, match="cannot be read"):
        open_history(small_pack, str(tmp_path))


def test_no_past_where_one_is_named_is_refused(small_pack, tmp_path):
    with pytest.raises(SettingsError, match="no past charges"):
        open_history(small_pack, str(tmp_path / "nothing"))


def test_csv_histories_prime_what_they_are_named_after_and_the_finest_wins(small_pack, tmp_path):
    module, group, cell = (features_of(count, seed=count) for count in (90, 30, 5))
    write_csv(tmp_path / "M01.csv", module)
    write_csv(tmp_path / "M01.G02.csv", group)
    write_csv(tmp_path / "M01.G02.C02.csv", cell)

    look = open_history(small_pack, str(tmp_path)).look()

    np.testing.assert_array_equal(look.count, [90, 90, 30, 5])
    assert look.begun.all()
    np.testing.assert_array_equal(look.completed, 0.0)
    np.testing.assert_allclose(look.beginning[0], module[:30].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(look.first[3], np.median(cell, axis=0), rtol=1e-6)
    np.testing.assert_allclose(look.newest(1, np.array([0]))[0][0, 0, :7], module[-1, :7], rtol=1e-6)


def test_a_history_that_begins_late_has_no_beginning(small_pack, tmp_path):
    write_csv(tmp_path / "M01.csv", features_of(20), cycle=np.arange(101.0, 121.0))

    look = open_history(small_pack, str(tmp_path)).look()

    np.testing.assert_array_equal(look.count, 120)
    assert not look.begun.any()
    assert look.windows(24, np.array([0])).seen.sum() == 20


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("M09.csv", {}, "no cell, group or module M09"),
        ("M01.csv", {"cycle": np.array([1.0, 2.0, 4.0])}, "do not count up"),
    ],
)
def test_a_wrong_history_is_refused_by_name(small_pack, tmp_path, name, change, message):
    write_csv(tmp_path / name, features_of(3), **change)

    with pytest.raises(CycleDataError, match=message):
        open_history(small_pack, str(tmp_path))


def test_a_history_without_a_feature_is_refused(small_pack, tmp_path):
    (tmp_path / "M01.csv").write_text("voltage mean,capacity\n4.1,1.9\n")

    with pytest.raises(CycleDataError, match="column 'voltage std' is missing"):
        open_history(small_pack, str(tmp_path))
