"""Export of the surrogate's ensemble to ONNX, checked against the networks it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError

from ..onnx_export import export_module

if TYPE_CHECKING:
    import torch

__all__ = ["export_surrogate"]

LARGEST_DIFFERENCE = 1e-3  # of the log-odds, between ONNX Runtime and torch


def export_surrogate(networks: list[torch.nn.Module], sample: Array) -> bytes:
    """Return the ensemble as an ONNX module: inputs (n, 16) float32 to log-odds (n, n_members, 3).

    Parameters
    ----------
    networks : list of torch.nn.Module
        The members.
    sample : ndarray of shape (n, 16)
        Inputs on which both must agree.

    Raises
    ------
    ModelError
        If they do not.
    """
    import onnxruntime
    import torch

    class Ensemble(torch.nn.Module):
        """All members side by side."""

        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(networks)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.stack([member(inputs) for member in self.members], dim=1)

    module = Ensemble().eval()
    inputs = torch.as_tensor(sample, dtype=torch.float32)
    network = export_module(module, {"inputs": inputs}, ("odds",))
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    found = session.run(None, {"inputs": sample.astype(np.float32)})[0]
    with torch.no_grad():
        expected = module(inputs).numpy()
    difference = float(np.max(np.abs(found - expected) / (1.0 + np.abs(expected))))
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the exported network differs from the trained one by {difference:.1e}",
            remedy="Report the versions of torch, onnx and onnxruntime",
        )
    return network
