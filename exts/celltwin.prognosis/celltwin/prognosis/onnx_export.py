"""Export of torch modules to ONNX, without the exporter's own messages."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from celltwin.core import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["export_module"]


def export_module(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str]) -> bytes:
    """Return a module as an ONNX model.

    Parameters
    ----------
    module : torch.nn.Module
        What to export, in evaluation mode.
    inputs : mapping of str to torch.Tensor
        Name and an example of each input, in the order that the module takes them. Their first axis is free.
    outputs : sequence of str
        Names of the outputs.

    Raises
    ------
    ModelError
        If nothing is exported.
    """
    import torch

    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own dependencies
            rows = torch.export.Dim("cells", min=1)
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=tuple({0: rows} for _ in inputs),
            )
    finally:
        exporter.setLevel(level)
    if program is None:
        raise ModelError("torch exported no network", remedy="Check the installation of onnx and onnxscript")
    content: bytes = program.model_proto.SerializeToString()
    return content
