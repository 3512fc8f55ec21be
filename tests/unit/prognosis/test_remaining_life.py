import numpy as np
import pytest

from celltwin.prognosis import FEATURE_NAMES, CellCycles, CycleDataError
from celltwin.prognosis.remaining_life import (
    LifeDoubt,
    days_at_present_use,
    describe_cells,
    find_arrivals,
    input_names,
    running_median,
    score_lives,
    typical_lives,
)
from celltwin.prognosis.remaining_life.life_baselines import extrapolate_soh, match_trajectories, subtract_age
from celltwin.prognosis.remaining_life.life_calibration import LEVELS_OF_CALIBRATION, LifeCalibration, calibrate
from celltwin.prognosis.remaining_life.life_prediction import describe_life
from celltwin.prognosis.remaining_life.life_scores import line_up

CALIBRATION = LifeCalibration(
    quantiles=(-2.0, -1.5, -1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.5, 2.0),
    standard=1.0,
    wide=2.0,
    resistance_wide=0.1,
    cells=10,
)


def make_cell(name, soh, *, protocol="2C", seed=1):
    soh = np.asarray(soh, dtype=float)
    random = np.random.default_rng(seed)
    return CellCycles(
        name=name,
        protocol=protocol,
        number=name[-1],
        features=random.normal(size=(soh.size, len(FEATURE_NAMES))),
        soh=soh,
    )


def fading(life, *, last=1.2, start=1.0, end=0.85):
    """Return SOH that falls in a straight line and crosses 0.85 at a cycle."""
    cycle = np.arange(1, int(last * life) + 1)
    return start - (start - end) * cycle / life


def test_a_cell_ends_where_the_running_median_falls_below_the_limit():
    soh = np.full(40, 0.9)
    soh[20] = 0.5  # one outlier ends nothing
    soh[30:] = 0.84

    arrivals = find_arrivals((make_cell("a", soh),), np.array([0.85]))

    assert arrivals.arrived[0, 0]
    assert arrivals.cycle[0, 0] == 33  # the third of five values below makes the median fall


def test_first_cycles_in_which_capacity_still_rises_end_nothing():
    soh = np.concatenate([np.full(8, 0.8), np.full(20, 0.95), np.full(10, 0.8)])

    arrivals = find_arrivals((make_cell("a", soh),), np.array([0.85]))

    assert arrivals.cycle[0, 0] == 31


def test_a_cell_that_never_was_above_the_limit_has_ended_at_its_first_cycle():
    assert find_arrivals((make_cell("a", np.full(9, 0.7)),), np.array([0.85])).cycle[0, 0] == 1


def test_a_cell_that_does_not_reach_the_limit_is_censored_at_its_last_cycle():
    arrivals = find_arrivals((make_cell("a", np.full(50, 0.9)),), np.array([0.85, 0.95]))

    np.testing.assert_allclose(arrivals.levels, [0.95, 0.85])
    np.testing.assert_array_equal(arrivals.arrived, [[True, False]])
    assert arrivals.cycle[0, 1] == 50


def test_an_end_of_life_that_is_no_fraction_is_refused():
    with pytest.raises(CycleDataError, match="fraction of nominal"):
        find_arrivals((make_cell("a", np.full(9, 0.9)),), np.array([85.0]))


def test_the_typical_life_of_cells_that_all_died_is_their_median():
    assert typical_lives(np.array([100.0, 300.0, 200.0]), np.ones(3, dtype=bool)) == 200.0
    assert typical_lives(np.array([100.0, 200.0, 300.0, 400.0]), np.ones(4, dtype=bool)) == 250.0


def test_cells_that_are_still_alive_make_the_typical_life_longer():
    lives = np.array([100.0, 150.0, 200.0, 300.0])

    assert (
        typical_lives(lives, np.array([True, False, True, True])) > typical_lives(lives, np.ones(4, dtype=bool)) - 50.0
    )
    assert typical_lives(lives, np.array([True, False, False, False])) == 300.0


@pytest.mark.parametrize("history", [False, True])
def test_the_summary_of_a_past_knows_nothing_of_the_future(history):
    cell = make_cell("a", np.linspace(1.0, 0.8, 150))
    changed = CellCycles(
        name="a",
        protocol="2C",
        number="1",
        features=np.concatenate([cell.features[:90], cell.features[90:] + 5.0]),
        soh=np.concatenate([cell.soh[:90], cell.soh[90:] - 0.1]),
    )

    before, after = (describe_cells((each,), history=history).values for each in (cell, changed))

    np.testing.assert_array_equal(before[:90], after[:90])
    assert not np.allclose(before[90], after[90])


def test_the_summary_has_a_column_for_every_name_and_survives_infinite_features():
    cell = make_cell("a", np.linspace(1.0, 0.8, 30))
    features = cell.features.copy()
    features[4, :] = np.inf
    broken = CellCycles(name="a", protocol="2C", number="1", features=features, soh=cell.soh)

    values = describe_cells((broken,), history=True).values

    assert values.shape == (30, len(input_names(history=True)))
    assert np.isfinite(values).all()


def test_slopes_of_a_straight_line_are_its_slope():
    soh = np.linspace(1.0, 0.8, 101)

    values = describe_cells((make_cell("a", soh),), history=True).values

    column = input_names(history=True).index("slope over 50 of SOH")
    np.testing.assert_allclose(values[3:, column], -0.002, atol=1e-9)


def test_measured_soh_that_comes_late_is_the_one_of_earlier_cycles():
    cell = make_cell("a", np.linspace(1.0, 0.8, 60))
    column = input_names(history=True).index("SOH")

    late = describe_cells((cell,), history=True, delay=10).values[:, column]

    np.testing.assert_allclose(late[10:], cell.soh[:-10])
    np.testing.assert_allclose(late[:10], cell.soh[0])


def describe(medians, scales, *, doubts=0, ended=None):
    levels = np.array([0.95, 0.9, 0.85])
    values = np.stack([np.array(medians, float), np.array(scales, float), np.full((len(medians), 3), 1.5)])
    size = len(medians)
    return describe_life(
        values, np.full(size, 100.0), levels, 2, CALIBRATION, doubts=np.full(size, doubts, np.uint8), ended=ended
    )


def test_a_cell_past_its_end_has_no_cycles_left():
    lives = describe([[-0.5, -0.3, -0.2], [0.1, 0.2, 0.3]], [[0.01] * 3] * 2, ended=np.array([False, True]))

    np.testing.assert_array_equal(lives.median, [0.0, 0.0])
    np.testing.assert_array_equal(lives.highest, [0.0, 0.0])


def test_the_interval_and_the_distribution_come_from_the_calibration():
    lives = describe([[0.1, 0.3, 0.5]], [[0.05] * 3])

    assert (lives.lowest[0], lives.median[0], lives.highest[0]) == pytest.approx((40.0, 50.0, 60.0))
    np.testing.assert_allclose(lives.survival(np.array([40.0, 50.0, 60.0])), [[0.95, 0.5, 0.05]])


def test_a_lower_soh_is_never_reached_earlier_and_bands_hold_each_other():
    lives = describe([[0.1, 0.3, 0.5]], [[0.2, 0.01, 0.01]])

    assert (np.diff(lives.arrival, axis=2) >= 0.0).all()
    low, middle, high = lives.trajectory(np.array([-100.0, 25.0, 40.0, 50.0, 500.0]))
    assert (low <= high).all()
    assert middle[0][3] == pytest.approx(0.85)
    assert np.isnan(middle[0][[0, 4]]).all(), "nothing is known beyond the levels"


def test_inputs_unlike_the_training_widen_the_interval():
    sure, unsure = (describe([[0.1, 0.3, 0.5]], [[0.05] * 3], doubts=doubt) for doubt in (0, LifeDoubt.UNKNOWN_DUTY))

    assert unsure.highest[0] - unsure.lowest[0] == pytest.approx(2.0 * (sure.highest[0] - sure.lowest[0]))


def test_cycles_become_days_by_equivalent_full_cycles():
    days = days_at_present_use(np.array([[100.0, 100.0]]), np.array([4.0, 0.0]), 43200.0, 2.0)

    np.testing.assert_allclose(days, [[50.0, np.inf]])  # 4 A.h in half a day are two full cycles a day


def test_errors_count_every_cycle_before_the_end_and_leave_out_cells_that_do_not_end():
    cells = (make_cell("a", fading(100)), make_cell("b", fading(50)), make_cell("c", np.full(30, 0.9)))
    lives = find_arrivals(cells, np.array([0.85])).cycle[:, 0]
    truth = np.concatenate([life - np.arange(1, cell.soh.size + 1) for life, cell in zip(lives, cells, strict=True)])
    offset = np.concatenate([np.full(cell.soh.size, 4.0 if cell.name == "a" else 1.0) for cell in cells])

    figures = score_lives(line_up(cells, 0.85, truth + offset, truth - 1.5, truth + 1.5))

    assert (figures.cells, figures.censored_cells) == (2, 1)
    before = lives[:2] - 1.0
    assert figures.mae == pytest.approx((4.0 * before[0] + before[1]) / before.sum())
    assert figures.mae_cells == pytest.approx(2.5)
    assert figures.coverage == pytest.approx(1.0)
    assert figures.width == pytest.approx(3.0)


def test_simple_methods_are_exact_where_their_assumption_holds():
    training = (make_cell("a", fading(60)), make_cell("b", fading(60)))
    cells = (make_cell("c", fading(60)),)
    left = find_arrivals(cells, np.array([0.85])).cycle[0, 0] - np.arange(1, cells[0].soh.size + 1)

    for method in (subtract_age, extrapolate_soh, match_trajectories):
        found = method(training, cells, 0.85)
        assert np.abs(found - np.maximum(left, 0.0))[30:60].max() < 3.5, method.__name__


def test_the_calibrated_interval_holds_the_share_of_cells_that_it_says():
    random = np.random.default_rng(4)
    cells = np.repeat([f"c{number}" for number in range(60)], 20)
    errors = np.repeat(random.normal(size=60), 20)
    left_out = {
        "remaining": np.abs(errors)[:, np.newaxis] + 5.0,
        "median": np.abs(errors)[:, np.newaxis] + 5.0 - errors[:, np.newaxis],
        "scale": np.ones((1200, 1)),
        "grown": np.ones((1200, 1)),
        "resistance": np.full((1200, 1), 1.1),
        "arrived": np.ones((1200, 1), dtype=bool),
        "cell": cells,
    }

    calibration = calibrate(left_out, 0)

    assert 0.88 <= np.mean(np.abs(errors) <= calibration.wide) <= 0.97
    assert np.all(np.diff(calibration.quantiles) > 0.0)
    assert len(calibration.quantiles) == len(LEVELS_OF_CALIBRATION)
    assert calibration.resistance_wide == pytest.approx(np.log(1.1))


def test_running_medians_look_back_only():
    np.testing.assert_array_equal(running_median(np.array([1.0, 5.0, 3.0, 9.0]), 3), [1.0, 1.0, 3.0, 5.0])


def test_every_so_many_cycles_are_described_from_the_first():
    inputs = describe_cells((make_cell("a", fading(20)),), history=False, every=5)

    np.testing.assert_array_equal(inputs.cycle, [1, 6, 11, 16, 21])
