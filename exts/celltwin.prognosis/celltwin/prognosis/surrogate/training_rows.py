"""Rows to train on: states stepped under the temperatures that the DFN found, beside what it showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import GAS_CONSTANT, SECONDS_PER_HOUR, Array

from .campaign import CampaignSet
from .cell_laws import CellLaws
from .profiles import PERIOD
from .surrogate_module import build_surrogate, cell_tensors
from .surrogate_numbers import POLES

if TYPE_CHECKING:
    import torch

__all__ = ["TARGETS", "TrainingRows", "make_rows", "territory_of"]

TARGETS = ("voltage", "anode_potential", "negative_surface", "positive_surface")
CHARGE_ERROR = 1e-3  # [-] of stoichiometry: runs whose integration lost more charge are left out
EDGE = 0.05  # share of a range by which the inputs may leave it


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows:
    """Steps of all runs, one after the other.

    Attributes
    ----------
    inputs, tangent : tensor of shape (N_INPUTS, n_rows)
        What the network looks at, and its change a second under the current at the end of the step.
    speed : tensor of shape (n_rows,)
        Diffusivity of the negative particle's mean over its squared radius [1/s].
    current, area, resistance : tensor of shape (n_rows,)
        [A], [-], [ohm].
    targets : dict of str to tensor of shape (n_rows,)
        :data:`TARGETS`.
    run : ndarray of int of shape (n_rows,)
        Run of each row.
    left_out : int
        Runs that lost charge in their integration.
    """

    inputs: torch.Tensor
    tangent: torch.Tensor
    speed: torch.Tensor
    current: torch.Tensor
    area: torch.Tensor
    resistance: torch.Tensor
    targets: dict[str, torch.Tensor]
    run: NDArray[np.int64]
    left_out: int


def make_rows(laws: CellLaws, data: CampaignSet, *, stride: int = 1) -> TrainingRows:
    """Return the rows of a campaign.

    The states depend on currents, temperatures and inputs alone, not on what the network answers: training on rows is
    training on whole courses.

    Parameters
    ----------
    laws : CellLaws
        What is known of the cell.
    data : CampaignSet
        The runs.
    stride : int
        Every which row is taken: neighbours differ little. The rows of jumps come round all the same, since each run
        starts from a row of its own.
    """
    import torch

    module: Any = build_surrogate(laws, torch.nn.Identity())
    cell = cell_tensors(data.inputs)
    capacity = laws.capacity * data.inputs.capacity_factor
    soc = data.inputs.soc - np.cumsum(data.current, axis=0) * PERIOD / SECONDS_PER_HOUR / capacity
    negative = laws.negative.empty + soc * (laws.negative.full - laws.negative.empty)
    lost = np.nanmax(np.abs(negative - data.values["negative_mean"]), axis=0) > CHARGE_ERROR
    temperature = data.values["temperature"]
    before = np.concatenate([data.inputs.temperature[np.newaxis], temperature[:-1]])
    middle = np.nan_to_num(0.5 * (before + temperature), nan=laws.reference_temperature)
    warm = (1.0 / laws.reference_temperature - 1.0 / middle) / GAS_CONSTANT

    def tensor(values: Array) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float32)

    with torch.no_grad():
        modes = torch.zeros((sum(POLES) + 1, data.n_runs))
        course = module.mode_course(cell, tensor(soc), tensor(warm), tensor(data.current / capacity), modes, PERIOD)
    step, run = np.indices(temperature.shape)
    known = np.isfinite(data.values["voltage"]) & ~lost & ((step + run) % stride == 0)
    chosen = torch.as_tensor(known)
    rate = tensor(data.current_end / capacity)[chosen]
    inputs = module.network_inputs(tensor(soc)[chosen], tensor(temperature)[chosen], rate, course[:, chosen])
    warm_end = (1.0 / laws.reference_temperature - 1.0 / temperature[known]) / GAS_CONSTANT
    shape = temperature.shape

    def of_run(values: Array) -> torch.Tensor:
        return tensor(np.broadcast_to(values, shape)[known])

    tangent, speed = _tangent(module, inputs, tensor(warm_end), of_run(data.inputs.diffusivity_factor))
    return TrainingRows(
        inputs=inputs,
        tangent=tangent,
        speed=speed,
        current=tensor(data.current_end)[chosen],
        area=of_run(data.inputs.capacity_factor),
        resistance=of_run(laws.resistance * data.inputs.resistance_factor),
        targets={name: tensor(data.values[name][known]) for name in TARGETS},
        run=np.broadcast_to(np.arange(data.n_runs), shape)[known],
        left_out=int(lost.sum()),
    )


def territory_of(rows: TrainingRows) -> dict[str, Array]:
    """Return centre and spread of the inputs, and the box that holds them, a little widened."""
    values = rows.inputs.numpy().astype(np.float64)
    low, high = values.min(axis=1), values.max(axis=1)
    margin = EDGE * (high - low)
    return {"centre": values.mean(axis=1), "spread": values.std(axis=1), "low": low - margin, "high": high + margin}


def _tangent(module: Any, inputs: torch.Tensor, warm: torch.Tensor, factor: torch.Tensor) -> tuple[Any, Any]:
    """Return the change of the inputs under a steady current and temperature, and the negative particle's speed."""
    import torch

    laws, rate = module.laws, inputs[2]
    zero = torch.zeros_like(rate)
    parts, speeds, first = [-rate / SECONDS_PER_HOUR, zero, zero], [], 3
    for side, count in zip(("negative", "positive"), POLES, strict=True):
        electrode = getattr(laws, side)
        mean = electrode.empty + inputs[0] * (electrode.full - electrode.empty)
        speed = module._look_up(getattr(module, f"{side}_diffusion"), mean)[0] * factor
        speed = speed * torch.exp(electrode.diffusion_energy * warm)
        rates, shares = getattr(module, f"{side}_rates"), getattr(module, f"{side}_shares")
        parts += [rates[k] * (shares[k] * rate - speed * inputs[first + k]) for k in range(count)]
        speeds.append(speed)
        first += count
    decay = laws.electrolyte_rates[0] * torch.exp(laws.electrolyte_energy * warm)
    parts.append(decay * (rate - inputs[-1]))
    return torch.stack(parts), speeds[0]
