"""Training of a surrogate, on courses that are made up; its campaign; and, nightly, its accuracy against the DFN."""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import SettingsError, TaskOutcome
from celltwin.prognosis.surrogate import (
    CampaignSet,
    CampaignSettings,
    CellInputs,
    CellSurrogate,
    SurrogateSettings,
    cell_tensors,
    load_campaign,
    run_campaign,
    score_surrogate,
)
from celltwin.prognosis.surrogate.dfn_reference import OUTPUTS
from celltwin.prognosis.surrogate.diffusion_residual import DiffusionResidual
from celltwin.prognosis.surrogate.surrogate_folder import write_surrogate
from celltwin.prognosis.surrogate.surrogate_module import build_surrogate
from celltwin.prognosis.surrogate.surrogate_network import layers_of, plain_network
from celltwin.prognosis.surrogate.surrogate_numbers import N_INPUTS, N_OUTPUTS
from celltwin.prognosis.surrogate.surrogate_training import train_surrogate_network
from celltwin.prognosis.surrogate.training_rows import make_rows, territory_of

# physicsnemo and the libraries it loads warn of each other while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = SurrogateSettings(width=8, layers=1, epochs=10, batch=32, stride=2, diffusion_weight=0.05)


@pytest.fixture(scope="module")
def laws():
    return CellSurrogate().laws


def untrained(laws):
    layers = {"weight_0": np.zeros((N_OUTPUTS, N_INPUTS), np.float32), "bias_0": np.zeros(N_OUTPUTS, np.float32)}
    return build_surrogate(laws, plain_network(layers))


def made_up_runs(laws, n_runs=6, n_steps=60):
    """Runs of a cell that has 5 mV more overpotential at 1C than is known of it."""
    import torch

    random = np.random.default_rng(3)
    inputs = CellInputs.uniform(n_runs, conductance=0.06, soc=0.6)
    current = np.repeat(random.uniform(-2.0, 2.0, (n_steps // 6, n_runs)), 6, axis=0)
    with torch.inference_mode():
        found, _ = untrained(laws)(cell_tensors(inputs), torch.as_tensor(current, dtype=torch.float32))
    values = {name: getattr(found, name).numpy().astype(float) for name in OUTPUTS if hasattr(found, name)}
    for side in ("negative", "positive"):
        electrode = getattr(laws, side)
        values[f"{side}_mean"] = electrode.empty + found.soc.numpy() * (electrode.full - electrode.empty)
    values["voltage"] = values["voltage"] - 0.005 * current / laws.capacity
    return CampaignSet(
        kinds=("steps",) * n_runs,
        inputs=inputs,
        steps=np.full(n_runs, n_steps),
        current=current,
        current_end=current,
        values=values,
        seconds=np.ones(n_runs),
    )


def test_training_finds_an_overpotential_and_what_is_written_answers_the_same(laws, tmp_path):
    runs = made_up_runs(laws)
    before = score_surrogate(untrained(laws), runs)

    surrogate, network, territory = train_surrogate_network(
        laws, make_rows(laws, runs), replace(SETTINGS, epochs=20), seed=1
    )

    after = score_surrogate(surrogate, runs)
    assert before.rmse("voltage") == pytest.approx(3e-3, rel=0.4)
    assert after.rmse("voltage") < 0.4 * before.rmse("voltage")
    assert after.flagged.mean() < 0.2  # the box is narrow: its temperatures differ by tenths of a kelvin
    fields = {"ranges": {"ambient": (280.0, 320.0)}, "voltage_error": 0.0, "temperature_error": 0.0}
    write_surrogate(tmp_path / "surrogate_7", fields, laws, layers_of(network), territory, {})
    served = CellSurrogate(tmp_path / "surrogate_7")
    assert served.model.provenance.startswith("surrogate_7 sha256:")
    again = score_surrogate(served.module, runs)
    assert again.rmse("voltage") == pytest.approx(after.rmse("voltage"), rel=1e-3)


def test_a_training_that_is_interrupted_ends_as_if_it_had_not_been(laws, tmp_path):
    rows = make_rows(laws, made_up_runs(laws, 3, 30))
    _, whole, _ = train_surrogate_network(laws, rows, SETTINGS, seed=2)

    def stop(epoch, _loss):
        if epoch == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_surrogate_network(laws, rows, SETTINGS, seed=2, checkpoints=tmp_path / "kept", on_epoch=stop)
    epochs = []
    _, resumed, _ = train_surrogate_network(
        laws, rows, SETTINGS, seed=2, checkpoints=tmp_path / "kept", on_epoch=lambda epoch, _loss: epochs.append(epoch)
    )

    assert epochs[0] == 6
    for name, values in layers_of(whole).items():
        np.testing.assert_allclose(values, layers_of(resumed)[name], rtol=1e-5, atol=1e-7)


def test_linear_states_solve_diffusion_where_the_diffusivity_is_constant(laws):
    constant = replace(laws, negative=replace(laws.negative, diffusion=np.full_like(laws.negative.diffusion, 4e-4)))
    largest = []
    for own in (constant, laws):
        rows = make_rows(own, made_up_runs(own, 3, 30))
        found = DiffusionResidual(untrained(own))(rows.inputs, rows.tangent, rows.speed)
        largest.append(float(found.abs().max()))
    assert largest[0] < 1e-5
    assert largest[1] > 5e-5


def test_rows_leave_out_runs_that_lost_charge(laws):
    runs = made_up_runs(laws)
    runs.values["negative_mean"][:, 2] += 0.01

    rows = make_rows(laws, runs)

    assert rows.left_out == 1
    assert 2 not in rows.run
    territory = territory_of(rows)
    assert np.all(territory["low"] < territory["centre"])
    assert np.all(territory["centre"] < territory["high"])


class CountingExecutor:
    """An executor that answers at once with short made-up runs."""

    workers = 1

    def __init__(self):
        self.tasks, self.done = [], 0

    @property
    def pending(self):
        return len(self.tasks)

    def submit(self, task):
        self.tasks.append(task)

    def take(self, timeout):
        tasks, self.tasks = self.tasks, []
        self.done += len(tasks)
        return [TaskOutcome(task=task, value=self.part(task.arguments[3])) for task in tasks]

    def part(self, numbers):
        count = len(numbers)
        columns = {name: np.arange(3.0 * count) for name in (*OUTPUTS, "current", "current_end")}
        inputs = CellInputs.uniform(count, conductance=0.06)
        columns |= {f"input_{name}": value for name, value in vars(inputs).items()}
        return columns | {"number": np.array(numbers), "steps": np.full(count, 3), "seconds": np.ones(count)}

    def cancel(self):
        self.tasks = []

    def close(self):
        self.cancel()


def test_a_campaign_simulates_only_what_it_lacks_and_may_grow(tmp_path):
    executor, settings = CountingExecutor(), CampaignSettings(training=12, validation=8, held_out=4)
    run_campaign(tmp_path, settings, executor=executor)
    assert executor.done == 4
    (tmp_path / "training_0001.npz").unlink()

    run_campaign(tmp_path, replace(settings, held_out=16), executor=executor)

    assert executor.done == 6
    runs = load_campaign(tmp_path, settings, "training")
    assert runs.n_runs == 12
    assert runs.kinds[:4] == ("steps", "ramps", "sines", "tapers")
    assert runs.values["voltage"].shape == (3, 12)
    with pytest.raises(SettingsError, match="another campaign"):
        run_campaign(tmp_path, replace(settings, seed=5), executor=executor)


@pytest.mark.nightly
def test_the_shipped_surrogate_follows_the_dfn_on_new_profiles_of_other_kinds(tmp_path):
    settings = CampaignSettings(held_out=16, seed=77)
    run_campaign(tmp_path, settings, splits=("held_out",))

    errors = score_surrogate(CellSurrogate().module, load_campaign(tmp_path, settings, "held_out"))

    assert errors.rmse("voltage") < 8e-3
    assert errors.rmse("temperature") < 0.3
    assert errors.rmse("anode_potential") < 8e-3
    assert errors.flagged.mean() < 0.05
