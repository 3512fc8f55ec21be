"""What `bench uncertainty` counts: the gap of coverage that few cells show even where intervals are perfect."""

import numpy as np
import pytest

from tools.bench.uncertainty_figures import Intervals, perfect_gaps


def make_intervals(cells, errors):
    """Two batches of so many cells, ten cycles each, whose intervals are all alike."""
    cell = np.repeat([f"{batch}{number}" for batch in "ab" for number in range(cells)], 10)
    ones = np.full(cell.size, 1.0)
    return Intervals(
        cell=cell,
        protocol=np.array([name[0] for name in cell]),
        error=np.tile(errors, 2),
        half=0.5 * ones,
        score=ones,
        flagged=ones > 1.0,
    )


def test_a_perfect_method_shows_the_gap_that_drawing_whole_cells_gives():
    wrong_in_one_of_ten = np.repeat(np.arange(10) == 0, 10) + 0.01 * np.arange(100) / 100
    held_out = make_intervals(10, wrong_in_one_of_ten)

    one_each = perfect_gaps([held_out], make_intervals(1, np.zeros(10)))
    all_of_them = perfect_gaps([held_out, held_out], held_out)

    # Each batch: nine times of ten 1 - 0.9, else 0.9 - 0.
    assert one_each.mean() == pytest.approx(0.9 * 0.1 + 0.1 * 0.9, abs=0.02)
    np.testing.assert_allclose(all_of_them, 0.0, atol=1e-12)


def test_errors_that_do_not_go_together_in_a_cell_leave_no_gap():
    wrong_in_one_cycle_of_ten = np.tile(np.arange(10) == 0, 10) + 0.0
    held_out = make_intervals(10, wrong_in_one_cycle_of_ten)

    np.testing.assert_allclose(perfect_gaps([held_out], make_intervals(2, np.zeros(20))), 0.0, atol=1e-12)
