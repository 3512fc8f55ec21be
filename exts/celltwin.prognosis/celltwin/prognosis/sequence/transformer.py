"""The transformer: every cycle of the past window attends to every other."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .settings import WindowSettings

if TYPE_CHECKING:
    import torch

__all__ = ["build_transformer"]

HEADS = 4


def build_transformer(channels: int, settings: WindowSettings) -> torch.nn.Module:
    """Return an untrained network that takes windows (n, window, channels) and gives scaled SOH (n, 1)."""
    network: torch.nn.Module = _transformer_class()(
        channels, settings.window, settings.width, settings.layers, settings.dropout
    )
    return network


@cache
def _transformer_class() -> type[torch.nn.Module]:
    import torch
    from physicsnemo import Module

    class TransformerSoh(Module):  # type: ignore[misc]  # physicsnemo has no types
        """Encoder layers over the cycles with a learnt place of each; the newest cycle's answer gives SOH."""

        def __init__(self, channels: int, window: int, width: int, layers: int, dropout: float) -> None:
            super().__init__()
            nn = torch.nn
            self.encoder = nn.Linear(channels, width)
            self.place = nn.Parameter(0.1 * torch.randn(window, width))
            layer = nn.TransformerEncoderLayer(
                width, HEADS, 2 * width, dropout=dropout, activation="gelu", batch_first=True, norm_first=True
            )
            self.attention = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.head = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, width), nn.SiLU())
            self.answer = nn.Linear(width, 1)

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            encoded = self.encoder(windows) + self.place
            attended = self.attention(encoded)
            scaled: torch.Tensor = self.answer(self.head(torch.cat([attended[:, -1], encoded[:, -1]], dim=1)))
            return scaled

    return TransformerSoh
