"""The network that answers in place of kernel regressions, as a torch module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from celltwin.core import Array

if TYPE_CHECKING:
    import torch

__all__ = ["distilled_network"]

BEYOND = 0.05  # [SOH] that answers may lie past those of the teacher on training windows


def distilled_network(
    core: torch.nn.Module, blocks: tuple[str, ...], drawn: Mapping[str, Array], answers: Array
) -> torch.nn.Module:
    """Return a module from described windows to SOH (n,), float64; its ``inputs`` gives what the core takes.

    Parameters
    ----------
    core : torch.nn.Module
        From scaled inputs (n, n_inputs) to scaled SOH (n, 1), in single precision.
    blocks : tuple of str
        Blocks of the description that are its inputs.
    drawn : mapping of str to ndarray of shape (n, n_columns)
        Windows that the inputs are scaled by.
    answers : ndarray of shape (n,)
        Answers of the teacher that the output is scaled by, and held within.
    """
    module: torch.nn.Module = _network_class()(core, blocks, drawn, answers)
    return module


@cache
def _network_class() -> Any:
    import torch

    class DistilledNetwork(torch.nn.Module):
        """See :func:`distilled_network`."""

        centre: torch.Tensor
        spread: torch.Tensor

        def __init__(
            self, core: torch.nn.Module, blocks: tuple[str, ...], drawn: Mapping[str, Array], answers: Array
        ) -> None:
            super().__init__()
            self.core = core
            self.blocks = blocks
            inputs = np.concatenate([drawn[name] for name in blocks], axis=1)
            spread = inputs.std(axis=0)
            self.register_buffer("centre", torch.tensor(inputs.mean(axis=0), dtype=torch.float32))
            self.register_buffer("spread", torch.tensor(np.where(spread > 0.0, spread, 1.0), dtype=torch.float32))
            self.mean, self.unit = float(answers.mean()), float(answers.std())
            self.lowest, self.highest = float(answers.min()) - BEYOND, float(answers.max()) + BEYOND

        def inputs(self, described: Mapping[str, torch.Tensor]) -> torch.Tensor:
            values = torch.cat([described[name] for name in self.blocks], dim=1).to(torch.float32)
            return (values - self.centre) / self.spread

        def forward(self, described: Mapping[str, torch.Tensor]) -> torch.Tensor:
            scaled: torch.Tensor = self.core(self.inputs(described))[:, 0]
            return (self.mean + self.unit * scaled.to(torch.float64)).clamp(self.lowest, self.highest)

    return DistilledNetwork
