"""The network that answers in place of kernel regressions, as a torch module."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array

if TYPE_CHECKING:
    import torch

__all__ = ["distilled_network"]

BEYOND = 0.05  # [SOH] that answers may lie past those of the teacher on training windows


def distilled_network(core: torch.nn.Module, drawn: NDArray[np.float32], answers: Array) -> torch.nn.Module:
    """Return a module from described windows (n, n_columns), float32, to SOH (n,), float64; it has ``core``, ``scale``.

    Parameters
    ----------
    core : torch.nn.Module
        From scaled inputs (n, n_inputs) to scaled SOH (n, 1), in single precision.
    drawn : ndarray of shape (n, n_columns)
        Windows that the inputs are scaled by; see :meth:`WindowDescription.rows`.
    answers : ndarray of shape (n,)
        Answers of the teacher that the output is scaled by, and held within.
    """
    module: torch.nn.Module = _network_class()(core, drawn, answers)
    return module


@cache
def _network_class() -> Any:
    import torch

    class DistilledNetwork(torch.nn.Module):
        """See :func:`distilled_network`."""

        centre: torch.Tensor
        spread: torch.Tensor

        def __init__(self, core: torch.nn.Module, drawn: NDArray[np.float32], answers: Array) -> None:
            super().__init__()
            self.core = core
            spread = drawn.std(axis=0)
            self.register_buffer("centre", torch.tensor(drawn.mean(axis=0), dtype=torch.float32))
            self.register_buffer("spread", torch.tensor(np.where(spread > 0.0, spread, 1.0), dtype=torch.float32))
            self.mean, self.unit = float(answers.mean()), float(answers.std())
            self.lowest, self.highest = float(answers.min()) - BEYOND, float(answers.max()) + BEYOND

        def scale(self, rows: torch.Tensor) -> torch.Tensor:
            return (rows - self.centre) / self.spread

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            scaled: torch.Tensor = self.core(self.scale(rows))[:, 0]
            return (self.mean + self.unit * scaled.to(torch.float64)).clamp(self.lowest, self.highest)

    return DistilledNetwork
