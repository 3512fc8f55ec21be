"""Networks of past windows: how they learn, what they may see, and how physics enters; these tests import torch."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import ModelError, SettingsError
from celltwin.prognosis import CellCycles, CycleSet, evaluation_protocol, window_cycles
from celltwin.prognosis.protocol_runs import run_protocol
from celltwin.prognosis.sequence.exportable import exportable_module
from celltwin.prognosis.sequence.kinds import BlendKind, KernelKind, NetworkKind, TreesKind
from celltwin.prognosis.sequence.network_training import hide_past, train_window_network
from celltwin.prognosis.sequence.one_cycle import build_one_cycle
from celltwin.prognosis.sequence.recurrent import build_recurrent
from celltwin.prognosis.sequence.registry import KERNEL, MODEL_KINDS, model_kind
from celltwin.prognosis.sequence.settings import PhysicsWeights, WindowSettings
from celltwin.prognosis.sequence.transformer import build_transformer
from celltwin.prognosis.sequence.window_export import export_windows
from celltwin.prognosis.sequence.window_inputs import fit_window_inputs

# physicsnemo and the libraries it loads warn of each other while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = WindowSettings(window=4, width=8, steps=60, batch=64, learning_rate=1e-2, dropout=0.0, input_noise=0.02)
NETWORKS = {
    "recurrent": NetworkKind(name="recurrent", build=build_recurrent, settings=SMALL),
    "transformer": NetworkKind(name="transformer", build=build_transformer, settings=SMALL),
    "mlp": NetworkKind(name="mlp", build=build_one_cycle, settings=replace(SMALL, window=1, layers=2)),
    "pinn": NetworkKind(
        name="pinn",
        build=build_one_cycle,
        settings=replace(
            SMALL,
            window=1,
            layers=2,
            physics=PhysicsWeights(dynamics=0.1, monotonicity=1.0, charge_balance=0.1),
        ),
    ),
}


def make_cells(count=8, cycles=40, seed=0):
    """Cells of two protocols whose health shows in two features."""
    random = np.random.default_rng(seed)
    cells = []
    for number in range(1, count + 1):
        for protocol in ("2C", "3C"):
            soh = np.linspace(0.99, 0.8 + 0.03 * random.random(), cycles)
            features = random.normal(1.0, 0.01, (cycles, 16))
            features[:, 13] = 600.0 + 3000.0 * (1.0 - soh) + random.normal(0.0, 5.0, cycles)
            features[:, 4] = 0.35 - 0.3 * (1.0 - soh) + random.normal(0.0, 1e-3, cycles)
            cells.append(
                CellCycles(
                    name=f"{protocol}_battery-{number}",
                    protocol=protocol,
                    number=str(number),
                    features=features,
                    soh=soh,
                )
            )
    return tuple(cells)


@pytest.fixture(scope="module")
def cells():
    return make_cells()


@pytest.fixture(scope="module")
def cycles(cells):
    return CycleSet(cells=cells, nominal_capacity=2.0, digest="made up")


def error(fitted, windows):
    return np.mean(np.abs(fitted.predict(windows).mean(axis=0) - windows.soh))


@pytest.mark.parametrize("name", [*NETWORKS, "kernel", "trees"])
def test_every_kind_beats_the_mean_on_cells_not_seen(name, cells):
    kind = {**NETWORKS, "kernel": KernelKind(name="kernel", settings=replace(KERNEL, points=200))}.get(
        name, TreesKind()
    )
    training, test = (window_cycles(part, window=kind.window) for part in (cells[:12], cells[12:]))

    fitted = kind.fit(training, seed=1)

    assert fitted.predict(test).shape == (1, test.soh.size)
    assert error(fitted, test) < 0.35 * np.mean(np.abs(test.soh - training.soh.mean()))


def test_a_fit_repeats_exactly_from_its_seed_and_differs_for_another(cells):
    windows = window_cycles(cells[:4], window=4)
    kind = replace(NETWORKS["recurrent"], settings=replace(SMALL, steps=20))

    first, again, other = (kind.fit(windows, seed=seed).predict(windows) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_interrupted_fit_ends_as_if_it_had_not_been(cells, tmp_path, monkeypatch):
    monkeypatch.setattr("celltwin.prognosis.sequence.network_training.CHECKPOINT_EVERY", 8)
    windows = window_cycles(cells[:4], window=4)
    settings = replace(NETWORKS["pinn"].settings, steps=20, dropout=0.2)
    kind = replace(NETWORKS["pinn"], settings=settings, members=2)
    windows = window_cycles(cells[:4], window=1)
    expected = kind.fit(windows, seed=1).predict(windows)

    def interrupt(step, steps):
        if step == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind.fit(windows, seed=1, checkpoints=tmp_path, on_step=interrupt)
    resumed = []
    fitted = kind.fit(windows, seed=1, checkpoints=tmp_path, on_step=lambda step, steps: resumed.append((step, steps)))

    assert resumed[0] == (29, 40), "it goes on from the last checkpoint"
    np.testing.assert_array_equal(fitted.predict(windows), expected)


@pytest.mark.parametrize("name", [*NETWORKS, "blend"])
def test_a_prediction_does_not_change_with_the_future_of_the_cell(name, cells):
    parts = (KernelKind(name="kernel", settings=replace(KERNEL, points=100)), TreesKind())
    kind = {**NETWORKS, "blend": BlendKind(name="blend", parts=parts, weights=(2.0, 1.0))}[name]
    if isinstance(kind, NetworkKind):
        kind = replace(kind, settings=replace(kind.settings, steps=20))
    fitted = kind.fit(window_cycles(cells[:4], window=kind.window), seed=1)
    cell = cells[5]
    changed = cell.features.copy()
    changed[21:] *= 1.5

    before, after = (
        fitted.predict(window_cycles((replace(cell, features=features),), window=kind.window))
        for features in (cell.features, changed)
    )

    np.testing.assert_allclose(after[:, :21], before[:, :21], rtol=1e-6)
    assert not np.allclose(after[:, 21:], before[:, 21:])


def test_infinite_features_and_cells_of_one_cycle_get_an_answer(cells):
    features = cells[0].features.copy()
    features[5, 7] = np.inf
    features[:, 15] = np.nan
    broken = replace(cells[0], features=features)
    short = replace(cells[1], features=cells[1].features[:1], soh=cells[1].soh[:1])
    for kind in (replace(NETWORKS["recurrent"], settings=replace(SMALL, steps=20)), TreesKind(), MODEL_KINDS["kernel"]):
        fitted = kind.fit(window_cycles((broken, *cells[1:4]), window=kind.window), seed=1)
        assert np.isfinite(fitted.predict(window_cycles((broken, short), window=kind.window))).all()


def test_hiding_the_past_leaves_the_newest_cycles_and_no_change_since_the_beginning(cells):
    import torch

    cell = cells[0]
    windows = window_cycles((cell,), window=4)
    inputs = fit_window_inputs(windows)
    late = replace(cell, features=cell.features[18:], soh=cell.soh[18:])
    channels = torch.as_tensor(inputs.channels(windows)[[20, 20]])

    hidden = hide_past(channels, np.array([3, 4]), np.array([False, True]))

    expected = inputs.channels(window_cycles((late,), window=4))[2]
    np.testing.assert_allclose(hidden[0, :, :16], expected[:, :16])
    np.testing.assert_array_equal(hidden[0, :, 16:32], 0.0)
    np.testing.assert_array_equal(hidden[0, :, -1], [0.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(hidden[1], channels[1])


def test_the_monotone_residual_lowers_the_rises_of_a_state(cells):
    random = np.random.default_rng(3)
    noisy = tuple(replace(cell, soh=cell.soh + random.normal(0.0, 0.02, cell.soh.size)) for cell in cells[:6])
    windows = window_cycles(noisy, window=1)
    rises = {}
    for weight in (0.0, 30.0):
        settings = replace(
            NETWORKS["mlp"].settings, steps=80, physics=PhysicsWeights(monotonicity=weight), input_noise=0.0
        )
        predicted = replace(NETWORKS["mlp"], settings=settings).fit(windows, seed=1).predict(windows)[0]
        steps = np.diff(predicted)[np.diff(windows.cycle) == 1.0]
        rises[weight] = np.maximum(steps, 0.0).sum()

    assert rises[30.0] < 0.8 * rises[0.0]


def test_residuals_vanish_where_state_and_dynamics_agree_and_not_elsewhere():
    import torch

    from celltwin.prognosis.sequence.physics_residuals import physics_loss

    now, later = torch.zeros((5, 2, 19)), torch.zeros((5, 2, 19))  # eight inputs
    now[..., 16], later[..., 16] = 0.5, 0.75  # age

    def falling(windows):
        return 2.0 - 3.0 * windows[:, -1, 16:17]

    def rate(inputs):
        return -3.0 + 0.0 * inputs[:, :1]

    every = PhysicsWeights(dynamics=1.0, monotonicity=1.0, charge_balance=1.0)
    assert float(physics_loss(falling, rate, now, later, every)) == pytest.approx(0.0, abs=1e-10)
    dynamics, balance = PhysicsWeights(dynamics=1.0), PhysicsWeights(charge_balance=1.0)
    assert float(physics_loss(falling, lambda x: 0.0 * x[:, :1], now, later, dynamics)) == pytest.approx(9.0)
    assert float(physics_loss(falling, lambda x: 0.0 * x[:, :1], now, later, balance)) == pytest.approx(0.75**2)
    monotone = PhysicsWeights(monotonicity=1.0)
    assert float(physics_loss(lambda x: -falling(x), rate, now, later, monotone)) == pytest.approx(0.75**2)


def test_runs_are_kept_and_read_again_and_change_with_the_model(cycles, tmp_path):
    kind = KernelKind(name="kernel", settings=replace(KERNEL, points=60))
    protocol = evaluation_protocol("lobo", cycles)
    calls = []

    first = run_protocol(cycles, protocol, kind, seeds=(1, 2), out=tmp_path, on_step=lambda *args: calls.append(args))
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("predicted.npy")}
    again = run_protocol(cycles, protocol, kind, seeds=(1, 2), out=tmp_path)

    assert len(kept) == 4
    assert {call[:2] for call in calls} == {(f"without {name}", seed) for name in ("2C", "3C") for seed in (1, 2)}
    np.testing.assert_array_equal(again.predicted, first.predicted)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("predicted.npy")} == kept
    run_protocol(cycles, protocol, replace(kind, settings=replace(KERNEL, points=50)), seeds=(1,), out=tmp_path)
    assert len(list(tmp_path.rglob("predicted.npy"))) == 6


def test_nothing_of_a_scored_cell_but_its_past_enters_a_fit(cycles):
    kind = KernelKind(name="kernel", settings=replace(KERNEL, points=60))
    protocol = evaluation_protocol("honest", cycles)
    scored = protocol.folds[0].test[0]

    def change(cell):
        features = cell.features.copy()
        features[30:] *= 2.0
        return replace(cell, features=features, soh=0.5 * cell.soh) if cell.name == scored else cell

    changed = replace(cycles, cells=tuple(change(cell) for cell in cycles.cells))
    before, after = (run_protocol(each, protocol, kind, seeds=(1,)) for each in (cycles, changed))

    rows = (before.cell != scored) | (before.cycle <= 30)
    np.testing.assert_array_equal(after.predicted[:, rows], before.predicted[:, rows])


def test_kinds_are_found_by_name_and_an_unknown_one_is_refused():
    assert model_kind("recurrent", members=3, steps=30).steps == 90
    with pytest.raises(SettingsError, match="Choose one of blend, transfer, duty, duty-network, kernel"):
        model_kind("oracle")
    with pytest.raises(SettingsError, match="cannot be trained in 3 steps"):
        model_kind("recurrent", steps=3)


def test_an_unused_seed_of_a_network_does_not_touch_the_global_generator(cells):
    import torch

    windows = window_cycles(cells[:2], window=4)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    settings = replace(SMALL, steps=20)
    train_window_network(build_recurrent, windows, fit_window_inputs(windows), settings, seed=(1,))

    assert torch.equal(torch.rand(1), expected)


def as_tensors(windows):
    import torch

    values = (windows.features, windows.seen.astype(float), windows.beginning, windows.cycle)
    return tuple(torch.as_tensor(np.array(each), dtype=torch.float64) for each in values)


def test_the_exportable_module_says_what_the_fit_says_from_raw_windows(cells):
    import torch

    features = cells[0].features.copy()
    features[5, 7], features[9, 3] = np.inf, np.nan
    broken = replace(cells[0], features=features)
    network = replace(NETWORKS["recurrent"], settings=replace(SMALL, steps=20), members=2)
    parts = (KernelKind(name="kernel", settings=replace(KERNEL, points=80), members=2), network)
    kind = BlendKind(name="blend", parts=parts, weights=(3.0, 1.0))
    fitted = kind.fit(window_cycles((broken, *cells[1:4]), window=kind.window), seed=1)
    windows = window_cycles((broken, cells[5]), window=kind.window)

    with torch.no_grad():
        answered = exportable_module(fitted)(*as_tensors(windows)).numpy()

    np.testing.assert_allclose(answered, fitted.predict(windows), atol=1e-6)


def test_trees_are_not_exported(cells):
    fitted = TreesKind().fit(window_cycles(cells[:2], window=24), seed=1)

    with pytest.raises(ModelError, match="cannot be exported"):
        exportable_module(fitted)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["blend", "transformer"])
def test_the_exported_network_says_what_the_fit_says_and_is_hashed(name, cells, cycles, tmp_path):
    network = replace(NETWORKS["recurrent"], settings=replace(SMALL, steps=20), members=2)
    parts = (KernelKind(name="kernel", settings=replace(KERNEL, points=80)), network)
    kind = {"blend": BlendKind(name="blend", parts=parts, weights=(3.0, 1.0)), **NETWORKS}[name]
    names = tuple(cell.name for cell in cells[:6])
    windows = window_cycles(cells[:6], window=kind.window)
    fitted = kind.fit(windows, seed=1)

    digest = export_windows(tmp_path / "m", fitted, kind, cycles, names, windows, {}, seed=1, chemistry="NMC523")

    network_file = tmp_path / "m" / "soh.onnx"
    content = json.loads((tmp_path / "m" / "model.json").read_text())
    assert hashlib.sha256(network_file.read_bytes()).hexdigest() == digest == content["model"]["network_digest"]
    assert content["training"]["largest_difference_onnx_fit"] < 1e-4
    assert "Limits" in (tmp_path / "m" / "MODEL_CARD.md").read_text()
