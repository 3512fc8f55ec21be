"""What a network may look at: the past of a cell, and nothing else."""

import numpy as np
import pytest

from celltwin.prognosis import FEATURE_NAMES, CellCycles, CycleDataError, window_cycles


def make_cell(name="2C_battery-1", count=5, offset=0.0):
    features = offset + np.arange(count * 16.0).reshape(count, 16)
    return CellCycles(name=name, protocol="2C", number="1", features=features, soh=np.linspace(1.0, 0.9, count))


def test_a_window_ends_with_the_cycle_it_belongs_to():
    cell = make_cell()

    windows = window_cycles((cell,), window=3)

    assert windows.features.shape == (5, 3, 16)
    np.testing.assert_array_equal(windows.features[4], cell.features[2:])
    np.testing.assert_array_equal(windows.features[:, -1], cell.features)
    np.testing.assert_array_equal(windows.soh, cell.soh)
    np.testing.assert_array_equal(windows.cycle, [1, 2, 3, 4, 5])


def test_before_its_first_cycle_a_cell_repeats_it_and_says_so():
    cell = make_cell()

    windows = window_cycles((cell,), window=3)

    np.testing.assert_array_equal(windows.seen[:3], [[False, False, True], [False, True, True], [True, True, True]])
    np.testing.assert_array_equal(windows.features[0], np.repeat(cell.features[:1], 3, axis=0))


def test_nothing_of_the_future_nor_of_other_cells_is_in_a_window():
    first, second = make_cell("2C_battery-1"), make_cell("2C_battery-2", offset=1e3)
    before = window_cycles((first, second), window=4)

    later = first.features.copy()
    later[3:] = -1e9
    changed = CellCycles(name=first.name, protocol="2C", number="1", features=later, soh=first.soh)
    after = window_cycles((changed, second), window=4)

    np.testing.assert_array_equal(after.features[:3], before.features[:3])
    np.testing.assert_array_equal(after.features[5:], before.features[5:])
    assert list(before.cell[4:6]) == ["2C_battery-1", "2C_battery-2"]
    assert before.features[5].min() >= 1e3


def test_inputs_are_taken_in_the_order_asked_for_and_infinities_stay():
    cell = make_cell()
    cell.features[1, FEATURE_NAMES.index("voltage entropy")] = np.inf

    windows = window_cycles((cell,), window=2, inputs=("CV Q", "voltage entropy"))

    assert windows.features[0, -1, 0] == cell.features[0, FEATURE_NAMES.index("CV Q")]
    assert np.isinf(windows.features[1, -1, 1])


@pytest.mark.parametrize(("cells", "window"), [((), 3), ((make_cell(),), 0)])
def test_no_cells_or_no_window_is_refused(cells, window):
    with pytest.raises(CycleDataError, match="nothing to learn from"):
        window_cycles(cells, window=window)


def test_the_beginning_is_the_mean_of_the_finite_values_of_the_first_cycles_up_to_now():
    features = np.ones((40, 16)) * np.arange(1.0, 41.0)[:, np.newaxis]
    features[1, 0] = np.inf
    features[0, 1] = np.nan
    cell = CellCycles(name="2C_battery-1", protocol="2C", number="1", features=features, soh=np.ones(40))

    beginning = window_cycles((cell,), window=2).beginning

    np.testing.assert_allclose(beginning[:3, 2], [1.0, 1.5, 2.0])
    np.testing.assert_allclose(beginning[29:, 2], 15.5)
    np.testing.assert_allclose(beginning[:3, 0], [1.0, 1.0, 2.0])
    assert np.isnan(beginning[0, 1])
    assert beginning[1, 1] == 2.0
