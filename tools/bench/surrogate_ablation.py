"""What the parts of the surrogate bring, at one budget: its states, the residual of diffusion, many simulations."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

import numpy as np

from celltwin.core import Array
from celltwin.prognosis.surrogate import CampaignSet, SurrogateSettings, score_surrogate
from celltwin.prognosis.surrogate.cell_laws import CellLaws
from celltwin.prognosis.surrogate.profiles import PERIOD
from celltwin.prognosis.surrogate.surrogate_training import train_surrogate_network
from celltwin.prognosis.surrogate.training_rows import make_rows
from tools.bench.figures import Figures

__all__ = ["add_ablation"]

SEEDS = (11, 12, 13)
FEW, MANY = 16, 640  # simulations
UPDATES = 400
BATCH = 2048
MEMORIES = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0)  # [s]


def add_ablation(figures: Figures, laws: CellLaws, training: CampaignSet, held_out: CampaignSet) -> None:
    """Add voltage errors on held-out profiles after equally many updates of networks of one size.

    Parameters
    ----------
    figures : Figures
        Where to.
    laws : CellLaws
        Of the cell.
    training, held_out : CampaignSet
        Simulations.
    """
    for count in (FEW, MANY):
        some = training.select(range(min(count, training.n_runs)))
        rows = make_rows(laws, some, stride=4 if count == MANY else 1)
        epochs = max(1, round(UPDATES / max(1.0, np.ceil(rows.run.size / BATCH))))
        for label, weight in (("states and laws alone", None), ("", 0.0), (" and the residual of diffusion", 0.1)):
            found = []
            for seed in SEEDS if weight is not None else SEEDS[:1]:
                settings = SurrogateSettings(
                    epochs=1 if weight is None else epochs,
                    batch=BATCH,
                    diffusion_weight=weight or 0.0,
                    learning_rate=1e-12 if weight is None else SurrogateSettings.learning_rate,
                )
                trained, _, _ = train_surrogate_network(laws, rows, settings, seed=seed)
                found.append(1e3 * score_surrogate(trained, held_out).rmse("voltage"))
            name = label if weight is None else f"states, laws and network{label}"
            _add_errors(figures, f"ablation, {count} simulations: {name}, voltage RMSE", found)
        found = [1e3 * _black_box(some, held_out, seed) for seed in SEEDS]
        _add_errors(figures, f"ablation, {count} simulations: network on filtered currents alone, voltage RMSE", found)


def _add_errors(figures: Figures, label: str, found: list[float]) -> None:
    figures.add(label, fmean(found), "mV")
    if len(found) > 1:
        figures.add(f"  standard deviation over {len(found)} seeds", stdev(found), "mV")


def _black_box(training: CampaignSet, held_out: CampaignSet, seed: int) -> float:
    """Return the error of a network without states and laws, though it is told charge and the DFN's temperature."""
    import torch
    from physicsnemo.models.mlp import FullyConnected

    inputs, target, _ = _described(training)
    own, wanted, limits = _described(held_out)
    centre, spread = inputs.mean(0), inputs.std(0)
    level, scale = target.mean(), target.std()
    settings = SurrogateSettings()
    torch.manual_seed(seed)
    network: Any = FullyConnected(
        in_features=inputs.shape[1], layer_size=settings.width, out_features=1, num_layers=settings.layers
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=UPDATES)
    x = torch.as_tensor((inputs - centre) / spread, dtype=torch.float32)
    y = torch.as_tensor((target - level) / scale, dtype=torch.float32)
    random = np.random.default_rng(seed)
    for _ in range(UPDATES):
        chosen = torch.as_tensor(random.integers(0, len(y), BATCH))
        loss = torch.nn.functional.smooth_l1_loss(network(x[chosen])[:, 0], y[chosen], beta=0.05)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        found = network(torch.as_tensor((own - centre) / spread, dtype=torch.float32))[:, 0].numpy() * scale + level
    inside = (wanted > limits[0]) & (wanted < limits[1])
    return float(np.sqrt(np.mean((found - wanted)[inside] ** 2)))


def _described(data: CampaignSet) -> tuple[Array, Array, tuple[float, float]]:
    """Return charge, temperature, parameters, current and its filtered past; the voltage; the limits between which."""
    area = data.inputs.capacity_factor
    rate = data.current / area
    memory = np.zeros((len(MEMORIES), data.n_runs))
    past = []
    for step in range(rate.shape[0]):
        decay = np.exp(-PERIOD / np.array(MEMORIES))[:, np.newaxis]
        memory = rate[step] + (memory - rate[step]) * decay
        past.append(memory)
    voltage = data.values["voltage"]
    columns = [
        data.inputs.soc - np.cumsum(rate, axis=0) * PERIOD / 3600.0 / 1.9,
        data.values["temperature"],
        data.current_end / area,
        data.current_end * data.inputs.resistance_factor,
        np.broadcast_to(np.log(data.inputs.diffusivity_factor), voltage.shape),
        *np.moveaxis(np.array(past), 1, 0),
    ]
    known = np.isfinite(voltage)
    return np.stack([column[known] for column in columns], axis=1), voltage[known], (2.5, 4.2)
