"""The network of one cycle: fully connected, on the newest cycle and the age, blind to the past."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .settings import WindowSettings

if TYPE_CHECKING:
    import torch

__all__ = ["build_one_cycle"]


def build_one_cycle(channels: int, settings: WindowSettings) -> torch.nn.Module:
    """Return an untrained network that takes windows (n, window, channels) and gives scaled SOH (n, 1)."""
    network: torch.nn.Module = _one_cycle_class()(channels, settings.width, settings.layers, settings.dropout)
    return network


@cache
def _one_cycle_class() -> type[torch.nn.Module]:
    import torch
    from physicsnemo import Module
    from physicsnemo.models.mlp import FullyConnected

    class OneCycleSoh(Module):  # type: ignore[misc]  # physicsnemo has no types
        """PhysicsNeMo's fully connected network on the newest cycle: the state u(t, x) of the degradation PINN."""

        def __init__(self, channels: int, width: int, layers: int, dropout: float) -> None:
            super().__init__()
            self.dropout = torch.nn.Dropout(dropout)
            self.state = FullyConnected(
                in_features=channels, layer_size=width, out_features=1, num_layers=layers, activation_fn="silu"
            )

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            scaled: torch.Tensor = self.state(self.dropout(windows[:, -1]))
            return scaled

    return OneCycleSoh
