"""Training, on cells made up so that health shows in the tail of the charge; the only tests that import torch."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from celltwin.core import ModelError
from celltwin.prognosis import (
    FEATURE_NAMES,
    CellCycles,
    CycleSet,
    NetworkSettings,
    SohSettings,
    evaluate_ensemble,
    load_cycles,
    published_split,
    read_model,
    train_ensemble,
    train_soh,
)
from celltwin.prognosis.cycles import stack_cells
from celltwin.prognosis.features import feature_columns
from celltwin.prognosis.soh_training import predict_soh

# physicsnemo and the libraries it loads warn of each other while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = SohSettings(
    folds=3, members=1, network=NetworkSettings(width=16, layers=2, epochs=20, batch=64, learning_rate=5e-3)
)


def write_cells(folder, seed=0):
    """Two protocols of eight cells whose tail grows as they age, at a rate of each cell's own."""
    random = np.random.default_rng(seed)
    column = {name: index for index, name in enumerate(FEATURE_NAMES)}
    folder.mkdir(parents=True, exist_ok=True)
    for protocol, rate in (("2C", 4.0), ("3C", 6.0)):
        for number in range(1, 9):
            soh = np.linspace(0.99, 0.8 + 0.03 * random.random(), 40) + random.normal(0.0, 0.001, 40)
            rows = random.normal(1.0, 0.01, (40, len(FEATURE_NAMES)))
            rows[:, column["CV charge time"]] = 600.0 + 3000.0 * (1.0 - soh) * random.normal(1.0, 0.02)
            rows[:, column["CV Q"]] = rows[:, column["CV charge time"]] * 0.23 / 3600.0
            rows[:, column["CC charge time"]] = 1200.0 / rate + random.normal(0.0, 1.0, 40)
            rows[:, column["CC Q"]] = rows[:, column["CC charge time"]] * rate / 3600.0
            lines = [",".join((*FEATURE_NAMES, "capacity"))]
            lines += [
                ",".join(f"{value:.9g}" for value in (*row, 2.0 * health))
                for row, health in zip(rows, soh, strict=True)
            ]
            (folder / f"{protocol}_battery-{number}.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One training run with everything that the tests look at."""
    root = tmp_path_factory.mktemp("soh")
    write_cells(root / "cycles")
    cycles = load_cycles(root / "cycles")
    split = published_split(cycles, folds=3, seed=1)
    epochs = []
    ensemble = train_ensemble(cycles, split, SETTINGS, seed=1, on_epoch=lambda *args: epochs.append(args))
    return SimpleNamespace(root=root, cycles=cycles, split=split, ensemble=ensemble, epochs=epochs)


def outputs(ensemble, cycles, names):
    raw, soh, _ = stack_cells(cycles.select(names), feature_columns(ensemble.settings.inputs))
    return predict_soh(list(ensemble.networks), ensemble.scaling.apply(raw), ensemble.target)[0], soh


def test_training_beats_the_mean_on_cells_not_seen(trained):
    predicted, soh = outputs(trained.ensemble, trained.cycles, trained.split.test)

    error = np.mean(np.abs(predicted - soh))

    assert error < 0.2 * np.mean(np.abs(soh - trained.ensemble.target[0]))
    assert [number for number, epoch, _ in trained.epochs if epoch == 1] == [0, 1, 2]


def test_intervals_hold_the_truth_about_as_often_as_they_say(trained):
    for value in evaluate_ensemble(trained.ensemble, trained.cycles.select(trained.split.test)).values():
        assert value.coverage >= 0.8
        assert value.width < 0.15


def test_training_repeats_exactly_from_its_seed_and_differs_for_another(trained):
    again = train_ensemble(trained.cycles, trained.split, SETTINGS, seed=1)
    other = train_ensemble(trained.cycles, trained.split, SETTINGS, seed=2)

    expected, _ = outputs(trained.ensemble, trained.cycles, trained.split.test)
    np.testing.assert_array_equal(outputs(again, trained.cycles, trained.split.test)[0], expected)
    assert not np.array_equal(outputs(other, trained.cycles, trained.split.test)[0], expected)


def test_an_interrupted_training_ends_as_if_it_had_not_been(trained, tmp_path):
    def interrupt(number, epoch, loss):
        if (number, epoch) == (1, 15):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ensemble(trained.cycles, trained.split, SETTINGS, seed=1, checkpoints=tmp_path, on_epoch=interrupt)
    resumed = []
    ensemble = train_ensemble(
        trained.cycles,
        trained.split,
        SETTINGS,
        seed=1,
        checkpoints=tmp_path,
        on_epoch=lambda *args: resumed.append(args),
    )

    assert [args[:2] for args in resumed][:2] == [(1, 11), (1, 12)], "it goes on from the last checkpoint"
    expected, _ = outputs(trained.ensemble, trained.cycles, trained.split.test)
    np.testing.assert_array_equal(outputs(ensemble, trained.cycles, trained.split.test)[0], expected)


def test_test_cells_and_their_future_change_nothing_that_was_learnt(trained):
    changed = CycleSet(
        cells=tuple(
            CellCycles(
                name=cell.name,
                protocol=cell.protocol,
                number=cell.number,
                features=cell.features * 100.0 if cell.name in trained.split.test else cell.features,
                soh=cell.soh * 0.1 if cell.name in trained.split.test else cell.soh,
            )
            for cell in trained.cycles.cells
        ),
        nominal_capacity=2.0,
        digest="changed",
    )

    ensemble = train_ensemble(changed, trained.split, SETTINGS, seed=1)

    assert ensemble.calibration == trained.ensemble.calibration
    assert ensemble.territory.threshold == trained.ensemble.territory.threshold
    expected, _ = outputs(trained.ensemble, trained.cycles, trained.split.test)
    np.testing.assert_array_equal(outputs(ensemble, trained.cycles, trained.split.test)[0], expected)


def test_the_physics_residual_keeps_health_from_rising_with_the_tail(trained):
    random = np.random.default_rng(0)
    network = NetworkSettings(width=16, layers=2, epochs=10, batch=64, learning_rate=5e-3, monotonic_weight=10.0)
    from celltwin.prognosis.network import train_network

    inputs = random.normal(size=(512, 2))
    rising = inputs[:, 0]  # against the physics
    free = train_network(inputs, rising, NetworkSettings(**{**network.as_dict(), "monotonic_weight": 0.0}), seed=(1,))
    bound = train_network(inputs, rising, network, seed=(1,), falling_input=0)

    def rise(model):
        low, high = (predict_soh([model], np.array([[x, 0.0]]), (0.0, 1.0))[0][0] for x in (-1.0, 1.0))
        return high - low

    assert rise(free) > 1.0
    assert rise(bound) < 0.2


def test_the_exported_model_is_the_trained_one(trained, tmp_path):
    import onnxruntime

    result = train_soh(trained.root / "cycles", tmp_path / "soh_7", settings=SETTINGS, seeds=(1,))

    model, network = read_model(tmp_path / "soh_7")
    assert model == result.model
    assert model.name == "soh_7"
    raw, _, _ = stack_cells(trained.cycles.select(trained.split.test), feature_columns(model.inputs))
    soh, spread, distance = onnxruntime.InferenceSession(network).run(None, {"inputs": raw})
    scaled = trained.ensemble.scaling.apply(raw)
    expected = predict_soh(list(trained.ensemble.networks), scaled, trained.ensemble.target)
    np.testing.assert_allclose(soh, expected[0], atol=1e-5)
    np.testing.assert_allclose(spread, expected[1], atol=1e-5)
    np.testing.assert_allclose(distance, trained.ensemble.territory.distance(scaled), rtol=1e-5)
    card = (tmp_path / "soh_7" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert trained.cycles.digest in card
    assert model.network_digest in card
    assert "PINN4SOH" not in card, "what is true of the published data only is not said of others"
    training = json.loads((tmp_path / "soh_7" / "model.json").read_text(encoding="utf-8"))["training"]
    assert training["test_cells"] == list(trained.split.test)
    assert training["seed"] == 1


def test_a_folder_that_cannot_be_written_is_named(trained, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    with pytest.raises(ModelError, match="cannot be written"):
        train_soh(trained.root / "cycles", tmp_path / "file" / "soh_1", settings=SETTINGS)


def test_the_command_trains_and_says_where_the_model_is(trained, tmp_path):
    from typer.testing import CliRunner

    from celltwin.prognosis.command_line import app

    options = {
        "--data": trained.root / "cycles",
        "--out": tmp_path / "soh_1",
        "--checkpoints": tmp_path / "checkpoints",
    }
    arguments = [str(part) for option in options.items() for part in option]
    result = CliRunner().invoke(
        app, ["soh", *arguments, "--epochs", "2", "--folds", "2", "--members", "1", "--seed", "3"]
    )

    assert result.exit_code == 0, result.output
    assert read_model(tmp_path / "soh_1")[0].provenance in result.output
    assert "Seed 3" in result.output
