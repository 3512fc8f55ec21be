"""Figures of an evaluation, and inputs that leak on purpose."""

import numpy as np
import pytest

from celltwin.prognosis import CellCycles, CycleDataError
from celltwin.prognosis.leaky_scaling import leak_whole_life
from celltwin.prognosis.protocol_figures import score_predictions
from celltwin.prognosis.protocol_runs import ProtocolPredictions


def make_predictions(predicted, soh, cell, protocol):
    return ProtocolPredictions(
        evaluation="honest",
        leaky=False,
        kind={"kind": "made up"},
        seeds=tuple(range(1, len(predicted) + 1)),
        cell=np.array(cell),
        protocol=np.array(protocol),
        cycle=np.arange(1.0, len(soh) + 1.0),
        soh=np.array(soh),
        predicted=np.array(predicted),
    )


def test_every_cycle_counts_within_a_protocol_and_every_protocol_in_the_mean():
    predictions = make_predictions(
        [[1.01, 1.01, 1.01, 0.5, 0.8]], [1.0, 1.0, 1.0, 0.5, 1.0], ["a", "a", "a", "b", "c"], ["2C"] * 4 + ["3C"]
    )

    figures = score_predictions(predictions)

    assert [batch.name for batch in figures.batches] == ["2C", "3C"]
    assert figures.batches[0].mape == pytest.approx(0.75)
    assert figures.batches[1].mape == pytest.approx(20.0)
    assert figures.mean.mape == pytest.approx((0.75 + 20.0) / 2.0)
    assert (figures.mean.cells, figures.mean.cycles) == (3, 5)


def test_seeds_that_err_on_both_sides_make_an_ensemble_better_than_each():
    figures = score_predictions(make_predictions([[1.02, 1.02], [0.98, 0.98]], [1.0, 1.0], ["a", "b"], ["2C", "2C"]))

    assert figures.mean.mape == pytest.approx(0.0, abs=1e-9)
    assert figures.mean.single == pytest.approx(2.0)
    assert figures.mean.scatter == pytest.approx(0.0, abs=1e-9)


def test_the_interval_over_cells_spans_unlike_cells_and_closes_on_like_ones():
    unlike = score_predictions(make_predictions([[1.0, 1.1]], [1.0, 1.0], ["a", "b"], ["2C", "2C"])).mean
    alike = score_predictions(make_predictions([[1.1, 1.1]], [1.0, 1.0], ["a", "b"], ["2C", "2C"])).mean

    assert (unlike.low, unlike.high) == (pytest.approx(0.0, abs=1e-9), pytest.approx(10.0))
    assert (alike.low, alike.high) == (pytest.approx(10.0), pytest.approx(10.0))


def test_predictions_come_back_from_their_file(tmp_path):
    predictions = make_predictions([[0.9, 0.8]], [0.91, 0.79], ["a", "b"], ["2C", "3C"])

    predictions.save(tmp_path / "kept" / "some.npz")
    found = ProtocolPredictions.load(tmp_path / "kept" / "some.npz")

    for name in ("evaluation", "leaky", "kind", "seeds"):
        assert getattr(found, name) == getattr(predictions, name)
    for name in ("cell", "protocol", "cycle", "soh", "predicted"):
        np.testing.assert_array_equal(getattr(found, name), getattr(predictions, name))


def test_a_file_that_is_not_predictions_is_refused(tmp_path):
    (tmp_path / "some.npz").write_bytes(b"nothing")

    with pytest.raises(CycleDataError, match="no predictions can be read"):
        ProtocolPredictions.load(tmp_path / "some.npz")


def make_cell(lives, name="2C_battery-1"):
    features = np.linspace(1.0, 5.0, lives)[:, np.newaxis] * np.ones(16)
    return CellCycles(name=name, protocol="2C", number="1", features=features, soh=np.linspace(1.0, 0.8, lives))


def test_leaky_inputs_tell_the_share_of_life_that_is_over():
    windows = leak_whole_life((make_cell(11), make_cell(41, "2C_battery-2")), window=1)

    ends = [10, 51]
    np.testing.assert_allclose(windows.cycle[ends], 401.0)
    np.testing.assert_allclose(windows.features[ends, -1], 1.0)
    np.testing.assert_allclose(windows.features[[0, 11], -1], -1.0)
    assert windows.cycle[5] == windows.cycle[11 + 20] == 201.0


def test_leaky_inputs_come_without_outliers_and_infinities():
    cell = make_cell(41)
    cell.features[3, 2] = np.inf
    cell.features[7, 5] = 1e6

    windows = leak_whole_life((cell,), window=1)

    assert windows.soh.size == 39
    assert np.isfinite(windows.features).all()
    assert cell.soh[3] not in windows.soh


def test_leaky_inputs_need_cycles_that_are_left():
    cell = make_cell(5)
    cell.features[:, 0] = np.nan

    with pytest.raises(CycleDataError, match=r"2C_battery-1.*fewer than two cycles"):
        leak_whole_life((cell,), window=1)
