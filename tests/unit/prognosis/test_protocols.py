"""Named ways to judge a model, and folders of cells that they take."""

import numpy as np
import pytest

from celltwin.prognosis import (
    FEATURE_NAMES,
    CellCycles,
    CycleDataError,
    CycleSet,
    evaluation_protocol,
    load_cycles,
    published_split,
)

HEADER = ",".join((*FEATURE_NAMES, "capacity"))


def make_set(protocols=("2C", "3C"), numbers=range(1, 9)):
    cells = tuple(
        CellCycles(
            name=f"{protocol}_battery-{number}",
            protocol=protocol,
            number=str(number),
            features=np.zeros((3, 16)),
            soh=np.ones(3),
        )
        for protocol in protocols
        for number in numbers
    )
    return CycleSet(cells=cells, nominal_capacity=2.0, digest="made up")


def write_cell(file, capacity=1.9):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{HEADER}\n{'1.0,' * 16}{capacity}\n", encoding="utf-8")


def names_of(cycles):
    return {cell.name for cell in cycles.cells}


def test_the_honest_protocol_scores_the_published_test_cells():
    cycles = make_set()

    protocol = evaluation_protocol("honest", cycles)

    (fold,) = protocol.folds
    assert fold.test == published_split(cycles).test
    assert set(fold.training) == names_of(cycles) - set(fold.test)
    assert not protocol.leaky


def test_the_published_protocol_is_leaky_and_trains_on_each_protocol_alone():
    cycles = make_set()

    protocol = evaluation_protocol("published", cycles)

    assert protocol.leaky
    assert [fold.name for fold in protocol.folds] == ["2C", "3C"]
    assert tuple(name for fold in protocol.folds for name in fold.test) == published_split(cycles).test
    for fold in protocol.folds:
        assert all(name.startswith(fold.name) for name in (*fold.training, *fold.test))


def test_cross_validation_scores_every_cell_once_and_never_trains_on_it():
    cycles = make_set()

    protocol = evaluation_protocol("cv", cycles, folds=5)

    assert sorted(name for fold in protocol.folds for name in fold.test) == sorted(names_of(cycles))
    for fold in protocol.folds:
        assert set(fold.training) == names_of(cycles) - set(fold.test)
        assert {name[:2] for name in fold.test} == {"2C", "3C"}, "every fold has cells of every protocol"
    assert protocol == evaluation_protocol("cv", cycles, folds=5)
    assert protocol != evaluation_protocol("cv", cycles, folds=5, seed=2)


def test_settings_are_chosen_on_folds_of_training_cells_alone():
    cycles = make_set()
    honest = evaluation_protocol("honest", cycles).folds[0]

    folds = evaluation_protocol("selection", cycles, folds=3).folds

    assert sorted(name for fold in folds for name in fold.test) == sorted(honest.training)
    for fold in folds:
        assert set(fold.training) == set(honest.training) - set(fold.test)


def test_leaving_a_protocol_out_trains_on_no_cell_of_it():
    protocol = evaluation_protocol("lobo", make_set())

    assert [fold.name for fold in protocol.folds] == ["without 2C", "without 3C"]
    for fold in protocol.folds:
        left_out = fold.name.removeprefix("without ")
        assert all(name.startswith(left_out) for name in fold.test)
        assert not any(name.startswith(left_out) for name in fold.training)


@pytest.mark.parametrize(
    ("name", "cycles", "message"),
    [
        ("leaky", make_set(), "Choose one of honest, published, cv, lobo, selection"),
        ("lobo", make_set(protocols=("2C",)), "none is left to learn from"),
        ("cv", make_set(protocols=("2C",), numbers=(1, 2)), "cannot be dealt into 5 folds"),
        ("honest", make_set(numbers=(1, 2, 3)), "--protocol cv"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_a_remedy(name, cycles, message):
    with pytest.raises(CycleDataError, match=message):
        evaluation_protocol(name, cycles)


def test_cells_in_folders_are_read_and_named(tmp_path):
    write_cell(tmp_path / "2017-05-12" / "2017-05-12_battery-1.csv")
    write_cell(tmp_path / "fast" / "b3c14.csv", capacity=1.0)

    first, second = load_cycles(tmp_path, nominal_capacity=1.0).cells

    assert (first.name, first.protocol, first.number) == ("2017-05-12_battery-1", "2017-05-12", "1")
    assert (second.name, second.protocol, second.number) == ("b3c14", "fast", "14")
    np.testing.assert_allclose(second.soh, 1.0)


def test_a_name_without_protocol_takes_that_of_the_folder(tmp_path):
    write_cell(tmp_path / "fleet" / "alpha.csv")

    (cell,) = load_cycles(tmp_path / "fleet").cells

    assert (cell.name, cell.protocol, cell.number) == ("alpha", "fleet", "")


def test_a_name_that_two_folders_share_is_refused(tmp_path):
    write_cell(tmp_path / "a" / "cell.csv")
    write_cell(tmp_path / "b" / "cell.csv")

    with pytest.raises(CycleDataError, match=r"a/cell\.csv and b/cell\.csv name the same cell"):
        load_cycles(tmp_path)


@pytest.mark.measured
def test_the_mit_set_is_read_whole(measured_data):
    cycles = load_cycles(measured_data("mit_cycles"), nominal_capacity=1.1)

    assert len(cycles.cells) == 125
    assert len(cycles.protocols) == 3
    assert 0.9 < np.median([cell.soh[0] for cell in cycles.cells]) < 1.05
