"""Training on a GPU: that everything of a training is on one device, shown with torch's meta device, which has no data.

An operation on a tensor of the CPU and one of the meta device raises, as with a GPU; only numbers cannot be read.
"""

from dataclasses import replace

import numpy as np
import pytest

from celltwin.core import SettingsError
from celltwin.prognosis import CellCycles, window_cycles
from celltwin.prognosis.features import FEATURE_NAMES
from celltwin.prognosis.network import NetworkSettings, train_network
from celltwin.prognosis.remaining_life.life_network import LifeNetworkSettings, LifeRows, train_life_network
from celltwin.prognosis.runaway_risk import surrogate as risk_surrogate
from celltwin.prognosis.runaway_risk.rollout import INPUTS
from celltwin.prognosis.runaway_risk.rollout_campaign import SurrogateData
from celltwin.prognosis.sequence.distillation import DistillationSettings, distil
from celltwin.prognosis.sequence.kinds import KernelKind
from celltwin.prognosis.sequence.registry import DUTIFUL, MODEL_KINDS
from celltwin.prognosis.surrogate import CellSurrogate, SurrogateSettings
from celltwin.prognosis.surrogate.surrogate_module import N_INPUTS
from celltwin.prognosis.surrogate.surrogate_training import train_surrogate_network
from celltwin.prognosis.surrogate.training_rows import TARGETS, TrainingRows
from celltwin.prognosis.training_device import VARIABLE, training_device
from celltwin.prognosis.trust.dagmm_training import DagmmSettings, train_dagmm

pytestmark = pytest.mark.filterwarnings("ignore")  # physicsnemo's libraries warn of each other

RANDOM = np.random.default_rng(1)


def windows(length):
    cycles = 40
    features = RANDOM.normal(1.0, 0.1, (cycles, len(FEATURE_NAMES)))
    soh = np.linspace(1.0, 0.9, cycles)
    cells = [CellCycles(name=f"{duty}_1", protocol=duty, number="1", features=features, soh=soh) for duty in ("a", "b")]
    return window_cycles(tuple(cells), window=length)


def train_one_cycle():
    settings = NetworkSettings(width=4, layers=1, epochs=2, batch=16, monotonic_weight=0.1)
    train_network(RANDOM.normal(size=(32, 5)), RANDOM.normal(size=32), settings, seed=(1,), falling_input=2)


def train_sequence(name):
    kind = MODEL_KINDS[name]
    settings = replace(kind.settings, width=8, steps=20, batch=8)
    replace(kind, settings=settings).fit(windows(kind.window), seed=1)


def distil_kernel():
    learnt = windows(24)
    teacher = KernelKind(name="duty", settings=replace(DUTIFUL, points=20, learnt=40)).fit(learnt, seed=1)
    distil(teacher, learnt, DistillationSettings(width=4, steps=25, batch=8, drawn=32, kept_for=10), seed=1)


def train_life():
    rows = LifeRows(
        inputs=RANDOM.normal(size=(20, 6)),
        remaining=RANDOM.uniform(size=(20, 3)),
        arrived=np.ones((20, 3), dtype=bool),
        resistance=np.full((20, 3), np.nan),
        weight=np.ones(20),
    )
    train_life_network([rows, rows], LifeNetworkSettings(steps=2), 1, seed=(1,), unknown_duty=[rows, rows])


def train_mixture():
    settings = DagmmSettings(code=2, width=8, components=2, epochs=3, warm_up=1, batch=32)
    train_dagmm(RANDOM.normal(size=(128, 8)), settings, n_measured=4, seed=(1,))


def train_risk():
    data = SurrogateData(inputs=RANDOM.uniform(0.5, 1.0, (64, len(INPUTS))), onset=RANDOM.uniform(0.0, 1e4, 64))
    settings = replace(risk_surrogate.SurrogateSettings(), width=8, epochs=1, batch=8)
    risk_surrogate.train_surrogate(data, settings, 40.0, seed=(1,))


def train_dfn_surrogate():
    import torch

    n = 24
    rows = TrainingRows(
        inputs=torch.rand(N_INPUTS, n) + torch.tensor([0.0, 298.0] + [0.0] * (N_INPUTS - 2))[:, None],
        tangent=torch.rand(N_INPUTS, n),
        **{name: torch.rand(n) + 0.1 for name in ("speed", "current", "area", "resistance")},
        targets={name: torch.rand(n) for name in TARGETS},
        run=np.zeros(n, dtype=np.int64),
        left_out=0,
    )
    settings = SurrogateSettings(width=8, epochs=1, batch=8, diffusion_weight=0.05)
    train_surrogate_network(CellSurrogate().laws, rows, settings, seed=1)


@pytest.fixture
def device(monkeypatch):
    """Let networks train on the meta device; what only reads numbers is left out."""
    import torch

    meta, used, optimiser = torch.device("meta"), [], torch.optim.AdamW

    def come_back(network):
        used.append(network)
        return network

    for module in (
        "network",
        "sequence.network_training",
        "sequence.distillation",
        "remaining_life.life_network",
        "trust.dagmm_training",
        "runaway_risk.surrogate",
        "surrogate.surrogate_training",
    ):
        monkeypatch.setattr(f"celltwin.prognosis.{module}.training_device", lambda: meta)
    # The fused steps of the optimiser are for devices with data.
    monkeypatch.setattr(torch.optim, "AdamW", lambda values, fused=False, **options: optimiser(values, **options))
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: 0.5)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.ones(self.shape) + torch.rand(self.shape))
    monkeypatch.setattr(torch.nn.Module, "cpu", come_back)
    monkeypatch.setattr("celltwin.prognosis.trust.dagmm_training._hold", lambda network, _: network)
    return used


@pytest.mark.parametrize(
    "train",
    [
        train_one_cycle,
        lambda: train_sequence("recurrent"),
        lambda: train_sequence("transformer"),
        lambda: train_sequence("pinn"),
        distil_kernel,
        train_life,
        train_mixture,
        train_risk,
        train_dfn_surrogate,
    ],
    ids=["one cycle", "recurrent", "transformer", "pinn", "distilled", "life", "mixture", "risk", "DFN surrogate"],
)
def test_all_of_a_training_is_on_the_device_that_was_chosen(train, device):
    train()

    assert device, "a trained network comes back from its device"
    for network in device:
        assert {value.device.type for value in network.parameters()} == {"meta"}


def test_a_device_is_chosen_by_name_and_one_that_is_not_there_is_refused(monkeypatch):
    import torch

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert training_device() == torch.device("cuda")
    monkeypatch.setenv(VARIABLE, "cuda:1")
    assert training_device() == torch.device("cuda", 1)
    monkeypatch.setenv(VARIABLE, "cpu")
    assert training_device() == torch.device("cpu")
    for wrong in ("cuda:2", "quantum", "meta"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(SettingsError, match=rf"{wrong}.*cpu, cuda, cuda:0, cuda:1"):
            training_device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv(VARIABLE)
    assert training_device() == torch.device("cpu")
