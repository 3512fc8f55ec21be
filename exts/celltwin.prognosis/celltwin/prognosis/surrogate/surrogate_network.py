"""The network within a surrogate: PhysicsNeMo's in training, the same numbers without PhysicsNeMo in service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

from .surrogate_numbers import GATES, N_INPUTS, N_OUTPUTS, NEGATIVE_CORRECTIONS

if TYPE_CHECKING:
    import torch

__all__ = ["SurrogateSettings", "layers_of", "new_network", "plain_network", "serving_layers", "upright"]


@dataclass(frozen=True, kw_only=True)
class SurrogateSettings:
    """Size and training of a surrogate's network.

    Attributes
    ----------
    width, layers : int
        Neurons in a hidden layer, and hidden layers.
    stride : int
        Every which row of a simulation is trained on.
    epochs, batch : int
        Passes over the training rows, and rows in a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate follows one cycle.
    diffusion_weight : float
        Weight of the residual of diffusion in the negative particle; 0 leaves it out.
    """

    width: int = 16
    layers: int = 1
    stride: int = 4
    epochs: int = 15
    batch: int = 2048
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    diffusion_weight: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


def new_network(settings: SurrogateSettings, seed: int) -> torch.nn.Module:
    """Return PhysicsNeMo's fully connected network, untrained; it corrects nothing yet. It takes (n, N_INPUTS)."""
    import torch
    from physicsnemo.models.mlp import FullyConnected

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = FullyConnected(
            in_features=N_INPUTS,
            layer_size=settings.width,
            out_features=N_OUTPUTS,
            num_layers=settings.layers,
            activation_fn="silu",
        )
    torch.nn.init.zeros_(network.final_layer.linear.weight)
    torch.nn.init.zeros_(network.final_layer.linear.bias)
    trained: torch.nn.Module = network
    return trained


def upright(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network of rows (n, n_inputs) as one of columns (n_inputs, n), which a surrogate takes."""
    turned: torch.nn.Module = _classes()[0](network)
    return turned


def layers_of(network: Any) -> dict[str, Array]:
    """Return weights and biases of PhysicsNeMo's network by name, first layer first."""
    parts = [*(layer.linear for layer in network.layers), network.final_layer.linear]
    found = {}
    for number, part in enumerate(parts):
        found[f"weight_{number}"] = part.weight.detach().numpy().copy()
        found[f"bias_{number}"] = part.bias.detach().numpy().copy()
    return found


def serving_layers(layers: Mapping[str, Array]) -> dict[str, Array]:
    """Return layers whose corrections of single modes are joined to one of the surface: fewer outputs, same answer."""
    last = len(layers) // 2 - 1
    joined = dict(layers)
    for name in (f"weight_{last}", f"bias_{last}"):
        values = layers[name]
        modes = values[: NEGATIVE_CORRECTIONS * GATES].reshape(NEGATIVE_CORRECTIONS, GATES, *values.shape[1:]).sum(0)
        joined[name] = np.concatenate([modes, values[NEGATIVE_CORRECTIONS * GATES :]])
    return joined


def plain_network(layers: Mapping[str, Array]) -> torch.nn.Module:
    """Return a network of columns with given layers, without PhysicsNeMo."""
    plain: torch.nn.Module = _classes()[1](layers)
    return plain


@lru_cache(maxsize=1)
def _classes() -> tuple[Any, Any]:
    import torch

    class Upright(torch.nn.Module):
        """A network of rows, applied to columns."""

        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.network(inputs.T)
            return found.T

    class PlainNetwork(torch.nn.Module):
        """Layers with SiLU between them."""

        def __init__(self, layers: Mapping[str, Array]) -> None:
            super().__init__()
            self.count = len(layers) // 2
            for name, values in layers.items():
                shaped = values[:, np.newaxis] if name.startswith("bias") else values
                self.register_buffer(name, torch.as_tensor(shaped))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            for number in range(self.count):
                inputs = torch.addmm(getattr(self, f"bias_{number}"), getattr(self, f"weight_{number}"), inputs)
                if number < self.count - 1:
                    inputs = torch.nn.functional.silu(inputs)
            return inputs

    return Upright, PlainNetwork
