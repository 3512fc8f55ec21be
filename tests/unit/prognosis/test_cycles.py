import numpy as np
import pytest

from celltwin.prognosis import (
    FEATURE_NAMES,
    CycleDataError,
    cell_quantile,
    fit_scaling,
    fit_territory,
    load_cycles,
    published_split,
)
from celltwin.prognosis.cycles import stack_cells

HEADER = ",".join((*FEATURE_NAMES, "capacity"))
COLUMNS = np.arange(len(FEATURE_NAMES))


def write_cell(folder, name, rows, header=HEADER):
    lines = [header, *(",".join(str(value) for value in row) for row in rows)]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def random_rows(random, count=6):
    return np.column_stack([random.normal(size=(count, len(FEATURE_NAMES))), np.linspace(1.9, 1.7, count)])


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(3)
    for protocol in ("2C", "3C"):
        for number in range(1, 9):
            write_cell(tmp_path, f"{protocol}_battery-{number}", random_rows(random))
    return tmp_path


def test_soh_is_capacity_over_nominal_and_rows_without_capacity_are_left_out(tmp_path):
    rows = [[1.0] * 16 + [1.9], [1.0] * 16 + ["nan"], [1.0] * 16 + [0.0], ["inf"] * 16 + [1.5]]
    write_cell(tmp_path, "2C_battery-1", rows)

    (cell,) = load_cycles(tmp_path, nominal_capacity=2.0).cells

    np.testing.assert_allclose(cell.soh, [0.95, 0.75])
    assert np.isinf(cell.features[1]).all()
    assert (cell.protocol, cell.number) == ("2C", "1")


def test_an_empty_folder_says_how_to_obtain_the_data(tmp_path):
    with pytest.raises(CycleDataError, match="PINN4SOH"):
        load_cycles(tmp_path)


def test_a_missing_column_is_named(tmp_path):
    write_cell(tmp_path, "2C_battery-1", [[1.0] * 16], header=",".join(FEATURE_NAMES))

    with pytest.raises(CycleDataError, match="column 'capacity' is missing"):
        load_cycles(tmp_path)


@pytest.mark.parametrize("row", [["abc"] + [1.0] * 16, [1.0, 2.0]])
def test_a_row_that_is_not_numbers_is_named_with_its_line(tmp_path, row):
    write_cell(tmp_path, "2C_battery-1", [[1.0] * 16 + [1.9], row])

    with pytest.raises(CycleDataError, match=r"2C_battery-1\.csv:3"):
        load_cycles(tmp_path)


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "2C_battery-1.csv").write_bytes(b"\xff\xfe\x00\x80")

    with pytest.raises(CycleDataError, match="not a text file"):
        load_cycles(tmp_path)


def test_digest_follows_the_content(folder):
    before = load_cycles(folder).digest
    assert load_cycles(folder).digest == before

    write_cell(folder, "2C_battery-1", [[1.0] * 16 + [1.9]])

    assert load_cycles(folder).digest != before


def test_the_published_split_tests_cells_with_a_four_or_an_eight(folder):
    split = published_split(load_cycles(folder), folds=3, seed=2)

    assert split.test == ("2C_battery-4", "2C_battery-8", "3C_battery-4", "3C_battery-8")
    assert not set(split.test) & set(split.training)
    assert len(split.training) == len(set(split.training)) == 12
    assert set(split.outside(0)) == set(split.training) - set(split.folds[0])
    for names in split.folds:
        assert len({name.split("_")[0] for name in names}) == 2, "every fold has cells of every protocol"


def test_the_split_follows_from_its_seed(folder):
    cycles = load_cycles(folder)

    assert published_split(cycles, seed=7) == published_split(cycles, seed=7)
    assert published_split(cycles, seed=7) != published_split(cycles, seed=8)


def test_too_few_cells_for_the_folds_are_refused(folder):
    with pytest.raises(CycleDataError, match="cannot be split into 20 folds"):
        published_split(load_cycles(folder), folds=20)


def test_what_is_learnt_about_inputs_does_not_look_at_test_cells(folder):
    def learn():
        cycles = load_cycles(folder)
        raw, _, names = stack_cells(cycles.select(published_split(cycles).training), COLUMNS)
        scaling = fit_scaling(raw)
        protocols = np.array([name.split("_")[0] for name in names])
        return scaling, fit_territory(scaling.apply(raw), protocols)

    scaling, territory = learn()
    write_cell(folder, "2C_battery-4", [[1e6] * 16 + [0.1]])
    other_scaling, other_territory = learn()

    np.testing.assert_array_equal(other_scaling.mean, scaling.mean)
    np.testing.assert_array_equal(other_scaling.spread, scaling.spread)
    np.testing.assert_array_equal(other_scaling.stand_in, scaling.stand_in)
    np.testing.assert_array_equal(other_territory.whitening, territory.whitening)


def test_infinite_inputs_take_the_median_and_leave_the_scale_alone():
    values = np.array([[1.0], [2.0], [3.0], [np.inf], [np.nan]])

    scaling = fit_scaling(values)

    assert scaling.mean[0] == 2.0
    assert scaling.spread[0] == pytest.approx(np.std([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(scaling.apply(values)[3:, 0], 0.0)


def test_distance_is_that_to_the_nearest_protocol_in_its_own_spread():
    random = np.random.default_rng(1)
    near = random.normal(0.0, 1.0, (4000, 2))
    far = random.normal(20.0, 0.5, (4000, 2))
    territory = fit_territory(np.concatenate([near, far]), np.repeat(["a", "b"], 4000))

    distance = territory.distance(np.array([[0.0, 0.0], [3.0, 0.0], [20.0, 20.0], [20.0, 22.0], [10.0, 10.0]]))

    np.testing.assert_allclose(distance[:4], [0.0, 3.0, 0.0, 4.0], atol=0.15)
    assert distance[4] > 10.0


def test_conformal_quantile_counts_the_unseen_cell_as_the_worst():
    scores, cells = np.arange(1.0, 10.0), np.array([f"c{i}" for i in range(9)])

    assert cell_quantile(scores, cells, 0.5) == 5.0
    assert cell_quantile(scores, cells, 0.9) == 9.0
    assert cell_quantile(scores, cells, 0.95) == np.inf


def test_conformal_quantile_weighs_cells_not_cycles():
    long_lived, short_lived = np.full(1000, 1.0), np.full(10, 5.0)
    cells = np.repeat(["long", "short"], [1000, 10])

    assert cell_quantile(np.concatenate([long_lived, short_lived]), cells, 0.3) == 1.0
    assert cell_quantile(np.concatenate([long_lived, short_lived]), cells, 0.5) == 5.0


@pytest.mark.measured
def test_the_xjtu_set_is_read_whole(measured_data):
    cycles = load_cycles(measured_data("xjtu_cycles"))

    assert len(cycles.cells) == 55
    assert sum(cell.soh.size for cell in cycles.cells) == 23297
    assert cycles.protocols == ("2C", "3C", "R2.5", "R3", "RW", "Sim_satellite")
    assert len(published_split(cycles).test) == 13


@pytest.mark.measured
def test_published_features_agree_with_the_windows(measured_data):
    cycles = load_cycles(measured_data("xjtu_cycles"))
    column = {name: index for index, name in enumerate(FEATURE_NAMES)}
    rates = {"2C": 4.0, "3C": 6.0, "R2.5": 4.0, "R3": 4.0, "Sim_satellite": 4.0}
    for cell in cycles.cells:
        values = {name: cell.features[:, index] for name, index in column.items()}
        if cell.protocol in rates:
            current = np.median(3600.0 * values["CC Q"] / values["CC charge time"])
            assert current == pytest.approx(rates[cell.protocol], rel=0.01), cell.name
        # From 0.5 A to 0.1 A, the mean current is the charge over the time.
        tail = 3600.0 * values["CV Q"] / values["CV charge time"]
        assert np.median(np.abs(tail / values["current mean"] - 1.0)) < 0.02
        # An even spread over 0.195 V.
        assert np.median(values["voltage std"]) * np.sqrt(12.0) == pytest.approx(0.195, rel=0.02)
        assert np.median(values["voltage mean"]) == pytest.approx(4.0 + 0.195 / 2.0, abs=0.005)
