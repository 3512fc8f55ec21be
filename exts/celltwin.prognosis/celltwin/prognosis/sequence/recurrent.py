"""The recurrent network: a memory that runs over the past window, oldest cycle first."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .settings import WindowSettings

if TYPE_CHECKING:
    import torch

__all__ = ["build_recurrent"]


def build_recurrent(channels: int, settings: WindowSettings) -> torch.nn.Module:
    """Return an untrained network that takes windows (n, window, channels) and gives scaled SOH (n, 1)."""
    network: torch.nn.Module = _recurrent_class()(channels, settings.width, settings.layers, settings.dropout)
    return network


@cache
def _recurrent_class() -> type[torch.nn.Module]:
    import torch
    from physicsnemo import Module

    class RecurrentSoh(Module):  # type: ignore[misc]  # physicsnemo has no types
        """Long short-term memory over the encoded cycles; its end and the newest cycle give SOH.

        PhysicsNeMo's own recurrent layers convolve over fields in space, which a cell does not have.
        """

        def __init__(self, channels: int, width: int, layers: int, dropout: float) -> None:
            super().__init__()
            nn = torch.nn
            self.encoder = nn.Sequential(nn.Linear(channels, width), nn.SiLU(), nn.Dropout(dropout))
            self.memory = nn.LSTM(width, width, num_layers=layers, batch_first=True)
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 1))

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            encoded = self.encoder(windows)
            remembered, _ = self.memory(encoded)
            newest = torch.cat([self.dropout(remembered[:, -1]), encoded[:, -1]], dim=1)
            scaled: torch.Tensor = self.head(newest)
            return scaled

    return RecurrentSoh
