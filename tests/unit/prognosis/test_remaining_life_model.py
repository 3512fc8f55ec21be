"""Models of remaining life, trained on cells made up so that they fade in straight lines."""

import json
import shutil

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.prognosis import (
    FEATURE_NAMES,
    CellCycles,
    CycleDataError,
    CycleSet,
    LifePredictor,
    LifeSettings,
    Split,
    describe_cells,
)
from celltwin.prognosis.remaining_life import (
    KINDS,
    LifeDoubt,
    LifeKernelSettings,
    LifeNetworkSettings,
    read_life_model,
    train_life_ensemble,
)
from celltwin.prognosis.remaining_life.life_export import export_life_model
from celltwin.prognosis.remaining_life.life_inputs import input_names
from celltwin.prognosis.remaining_life.life_kernel import train_life_kernel
from celltwin.prognosis.remaining_life.life_network import LifeRows, train_life_network
from celltwin.prognosis.remaining_life.life_runs import run_lives

# physicsnemo and the libraries it loads warn of each other while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

TINY = LifeNetworkSettings(width=8, layers=1, steps=24, batch=16)
LIVES = {"2C": (40, 44, 36, 40, 42), "RW": (60, 70, 64, 66, 75)}


def make_cells():
    """Return cells of two protocols that fade in straight lines; one of them is not cycled to its end."""
    random = np.random.default_rng(2)
    cells = []
    for protocol, lives in LIVES.items():
        for number, life in enumerate(lives, start=1):
            seen = int((0.8 if (protocol, number) == ("RW", 2) else 1.3) * life)
            share = np.arange(1, seen + 1) / life
            features = 1.0 + np.outer(share, np.linspace(0.1, 1.0, len(FEATURE_NAMES)))
            features += 0.02 * random.normal(size=features.shape)
            cells.append(
                CellCycles(
                    name=f"{protocol}_battery-{number}",
                    protocol=protocol,
                    number=str(number),
                    features=features,
                    soh=1.0 - 0.15 * share,
                )
            )
    return tuple(cells)


@pytest.fixture(scope="module")
def cycles():
    return CycleSet(cells=make_cells(), nominal_capacity=2.0, digest="0" * 64)


@pytest.fixture(scope="module")
def split(cycles):
    names = [cell.name for cell in cycles.cells if cell.number != "5"]
    return Split(folds=(tuple(names[::2]), tuple(names[1::2])), test=("2C_battery-5", "RW_battery-5"))


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def runs(cycles, split, kind):
    return {
        history: run_lives(
            cycles, split, LifeSettings(kind=kind, history=history, folds=2, every=2, network=TINY), seeds=(1,)
        )
        for history in (False, True)
    }


@pytest.fixture(scope="module")
def folder(cycles, split, runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "rul_9"
    export_life_model(
        folder,
        {history: run.ensembles[1] for history, run in runs.items()},
        cycles,
        split,
        {history: run.figures for history, run in runs.items()},
        chemistry="NMC523",
        data_name="made_up",
    )
    return folder


def test_every_cycle_before_the_end_of_every_test_cell_is_scored(runs):
    figures = runs[False].figures[1]

    assert figures.cells == 2
    assert figures.cycles == sum(runs[False].scored[1].remaining > 0)
    assert figures.censored_cells == 0
    assert np.isfinite([figures.mae, figures.coverage, figures.width]).all()


def test_a_training_cell_that_is_still_alive_calibrates_nothing(runs):
    assert runs[False].ensembles[1].knowledge.calibration.cells == 7  # of eight


def test_medians_of_lower_levels_come_later(runs, cycles):
    lives = runs[True].ensembles[1].predict(describe_cells(cycles.cells[:2], history=True))

    assert (np.diff(lives.arrival, axis=2) >= 0.0).all()
    assert (lives.median >= 0.0).all()


def test_a_cell_that_was_measured_below_its_end_has_nothing_left(runs, cycles):
    lives = runs[True].ensembles[1].predict(describe_cells(cycles.cells[:1], history=True))

    assert lives.median[-1] == lives.highest[-1] == 0.0


def test_an_unknown_duty_is_answered_wider_and_flagged(runs, cycles):
    inputs = describe_cells(cycles.cells[:1], history=False)
    strange = describe_cells(
        (
            CellCycles(
                name="x", protocol="lunar", number="1", features=cycles.cells[0].features, soh=cycles.cells[0].soh
            ),
        ),
        history=False,
    )
    known, unknown = (runs[False].ensembles[1].predict(each) for each in (inputs, strange))

    assert (unknown.doubts & LifeDoubt.UNKNOWN_DUTY).all()
    assert not (known.doubts & LifeDoubt.UNKNOWN_DUTY).any()
    assert unknown.standard_uncertainty.mean() > known.standard_uncertainty.mean()


def test_missing_features_are_answered_and_flagged(runs, cycles):
    cell = cycles.cells[0]
    empty = CellCycles(name="x", protocol="2C", number="1", features=np.full_like(cell.features, np.inf), soh=cell.soh)

    lives = runs[False].ensembles[1].predict(describe_cells((empty,), history=False))

    assert np.isfinite(lives.median).all()
    assert (lives.doubts & LifeDoubt.UNLIKE_TRAINING).all()


def test_censored_cells_push_the_prediction_up():
    inputs = np.zeros((64, 3))
    seen = np.full((64, 1), 0.5)
    common = {"inputs": inputs, "remaining": seen, "resistance": np.full((64, 1), np.nan), "weight": np.ones(64)}
    settings = LifeNetworkSettings(width=8, layers=1, steps=80, batch=32, dropout=0.0, learning_rate=2e-2)
    medians = []
    for arrived in (True, False):
        rows = LifeRows(arrived=np.full((64, 1), arrived), **common)
        network = train_life_network([rows], settings, 0, seed=(1,))
        medians.append(float(predict(network, inputs)[0, 0, 0, 0]))

    assert medians[0] == pytest.approx(0.5, abs=0.1)
    assert medians[1] > medians[0]


def predict(network, inputs):
    import torch

    with torch.no_grad():
        return network(torch.as_tensor(inputs, dtype=torch.float32)).numpy()


def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(cycles, split, tmp_path):
    settings = LifeSettings(kind="network", folds=2, every=4, network=TINY)
    whole = train_life_ensemble(cycles, split, settings, seed=3)

    def stop(step):
        if step == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_life_ensemble(cycles, split, settings, seed=3, checkpoints=tmp_path, on_step=stop)
    steps = []
    again = train_life_ensemble(cycles, split, settings, seed=3, checkpoints=tmp_path, on_step=steps.append)

    assert steps[0] == 13, "the newest checkpoint is that of step 12"
    np.testing.assert_allclose(again.left_out["median"], whole.left_out["median"], atol=1e-5)


def kernel_rows(arrived, *, lives=(0.4, 0.5, 0.6, 0.5), seen=0.5, each=6):
    """Return rows of cells that began differently, of which the last is seen until ``seen``; and their cells."""
    names = input_names(history=False)
    life = np.repeat(lives, each)
    age = np.tile(np.linspace(0.0, 0.3, each), len(lives))
    cell = np.repeat([f"c{number}" for number in range(len(lives))], each)
    inputs = np.zeros((life.size, len(names) + 3))
    inputs[:, names.index("beginning of CV Q")] = 10.0 * (np.repeat([*lives[:3], 0.65], each) - 0.5)
    inputs[:, -3], inputs[:, -2] = 1.0, 3.0 * (age - 0.5)
    last = cell == cell[-1]
    rows = LifeRows(
        inputs=inputs,
        remaining=(np.where(last, seen, life) - age)[:, np.newaxis],
        arrived=(~last | arrived)[:, np.newaxis],
        resistance=np.full((life.size, 1), 1.2),
        weight=np.ones(life.size),
    )
    return rows, cell


def test_a_censored_cell_is_expected_to_live_on_as_cells_like_it_do():
    said = []
    for arrived in (True, False):
        rows, cell = kernel_rows(arrived)
        module = train_life_kernel(rows, cell, LifeKernelSettings(), end=0, n_duties=1, seed=(1,))
        said.append(float(predict(module, rows.inputs)[0, 0, cell == "c3", 0].mean()))

    seen = float(rows.remaining[cell == "c3"].mean())
    alike = float(rows.remaining[cell == "c2"].mean())
    assert seen == pytest.approx(said[0], abs=0.05)
    assert seen + 0.03 < said[1] < alike + 0.05


def test_the_regression_without_a_cell_is_the_one_fitted_without_it(cycles, split):
    settings = LifeSettings(every=2, kernel=LifeKernelSettings(centres=10_000))
    whole = train_life_ensemble(cycles, split, settings, seed=1)
    name = split.folds[0][0]
    rest = Split(folds=tuple(tuple(n for n in fold if n != name) for fold in split.folds), test=(name,))
    alone = train_life_ensemble(cycles, rest, settings, seed=1)

    found = whole.left_out["cell"] == name
    (cell,) = cycles.select((name,))
    lives = alone.predict(describe_cells((cell,), history=False, every=2))
    end = settings.end_index
    said = (whole.left_out["median"] * whole.left_out["life"][:, np.newaxis])[found, end]
    np.testing.assert_allclose(lives.median, np.maximum(said, 0.0), rtol=0.1, atol=0.5)


def test_a_kind_that_does_not_exist_is_refused(cycles, split):
    with pytest.raises(CycleDataError, match="kernel, network"):
        train_life_ensemble(cycles, split, LifeSettings(kind="oracle"), seed=1)


def test_training_cells_that_never_end_are_refused(cycles, split):
    with pytest.raises(CycleDataError, match="higher --end-of-life"):
        train_life_ensemble(cycles, split, LifeSettings(end_of_life=0.5, folds=2, network=TINY), seed=1)


def test_the_exported_model_says_what_the_ensemble_says(folder, runs, cycles):
    predictor = LifePredictor(folder)
    predictor.load()

    for history in (False, True):
        inputs = describe_cells(cycles.cells, history=history)
        served, trained = predictor.assess(inputs), runs[history].ensembles[1].predict(inputs)
        np.testing.assert_allclose(served.median, trained.median, atol=0.05)
        np.testing.assert_array_equal(served.doubts, trained.doubts)
    assert "rul_9 sha256:" in predictor.model.provenance
    assert "made_up" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_model_for_another_kind_of_past_is_refused(runs, cycles):
    with pytest.raises(CycleDataError, match="history=False"):
        runs[False].ensembles[1].predict(describe_cells(cycles.cells[:1], history=True))


@pytest.mark.parametrize("damage", ["network", "text", "format", "field"])
def test_a_damaged_model_is_refused(folder, tmp_path, damage):
    broken = tmp_path / "rul_9"
    shutil.copytree(folder, broken)
    description = broken / "model.json"
    content = json.loads(description.read_text(encoding="utf-8"))
    if damage == "network":
        (broken / "features.onnx").write_bytes(b"nothing")
    elif damage == "text":
        description.write_text("{", encoding="utf-8")
    elif damage == "format":
        description.write_text(json.dumps(content | {"format": 0}), encoding="utf-8")
    else:
        del content["variants"]["history"]["knowledge"]["lives"]
        description.write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(ModelError, match="celltwin train rul"):
        read_life_model(broken)


def test_a_predictor_that_was_not_loaded_says_so(cycles):
    with pytest.raises(ModelError, match="load"):
        LifePredictor().assess(describe_cells(cycles.cells[:1], history=False))
