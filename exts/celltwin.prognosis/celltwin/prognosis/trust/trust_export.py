"""Trust as one module that exports to ONNX, for serving with onnxruntime and NumPy alone."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError

from ..past_windows import PastWindows
from .error_scale import LARGEST, SMALLEST
from .trust_model import (
    ENERGY_UNIT,
    EXTRAPOLATION,
    FEWEST_CYCLES,
    HEALTH_CENTRE,
    LARGEST_ROW,
    SMALLEST_SPREAD,
    TrustModel,
)

if TYPE_CHECKING:
    import torch

__all__ = ["export_trust", "trust_inputs", "trust_module"]

INPUTS = ("features", "seen", "soh", "spread")
OUTPUTS = ("energy", "distance", "score", "half_width", "flagged")
LARGEST_DIFFERENCE = 1e-4  # relative, between ONNX Runtime and torch


def trust_module(model: TrustModel) -> torch.nn.Module:
    """Return trust as a torch module.

    It takes features (n, window, n_inputs) as measured, which may not be finite, ``seen`` (n, window) as 0 or 1, SOH
    and spread (n,), all float64, and returns energy, distance, score [SOH], half width of the 90 % interval [SOH] and
    the flag (n,) as a boolean. Whether health rises is not in it, since that needs the predictions before.
    """
    import torch

    surroundings, calibration = model.surroundings, model.calibration
    territory = surroundings.territory

    class Trust(torch.nn.Module):
        """Scaling, mixture, territory and scale of the error."""

        mean: torch.Tensor
        spread: torch.Tensor
        stand_in: torch.Tensor
        centres: torch.Tensor
        whitening: torch.Tensor
        signal_centre: torch.Tensor
        signal_width: torch.Tensor
        signal_weights: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.mixture = surroundings.network
            white = territory.whitening
            for name, values in (
                ("mean", surroundings.scaling.mean),
                ("spread", surroundings.scaling.spread),
                ("stand_in", surroundings.scaling.stand_in),
                ("whitening", np.concatenate([factor.T for factor in white], axis=1)),
                ("centres", np.einsum("pij,pj->pi", white, territory.centres)),
                ("signal_centre", calibration.error_scale.centre),
                ("signal_width", calibration.error_scale.width),
                ("signal_weights", calibration.error_scale.weights),
            ):
                self.register_buffer(name, torch.as_tensor(np.array(values), dtype=torch.float64))

        def forward(
            self, features: torch.Tensor, seen: torch.Tensor, soh: torch.Tensor, spread: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            finite = (features - features) == 0.0  # neither infinite nor NaN
            scaled = (torch.where(finite, features, self.stand_in) - self.mean) / self.spread
            scaled = scaled.clamp(-LARGEST_ROW, LARGEST_ROW)
            newest = scaled[:, -1]
            average = (scaled * seen.unsqueeze(2)).sum(1) / seen.sum(1, keepdim=True)
            energy = 0.5 * (self.mixture(newest.to(torch.float32)) + self.mixture(average.to(torch.float32)))
            white = (average @ self.whitening).reshape(-1, *self.centres.shape) - self.centres
            distance = white.square().sum(2).amin(1).sqrt()
            unit = energy / ENERGY_UNIT
            signals = torch.stack(
                [
                    torch.log(spread + SMALLEST_SPREAD),
                    torch.log(unit + (unit.square() + 1.0).sqrt()),  # arcsinh, which ONNX Runtime has no double of
                    torch.log1p(distance),
                    HEALTH_CENTRE - soh,
                    1.0 - seen.mean(1),
                    1.0 - finite.to(torch.float64).mean((1, 2)),
                ],
                dim=1,
            )
            logarithm = calibration.error_scale.intercept + (
                (signals - self.signal_centre) / self.signal_width * self.signal_weights
            ).sum(1)
            score = torch.exp(logarithm.clamp(float(np.log(SMALLEST)), float(np.log(LARGEST))))
            fewest = min(FEWEST_CYCLES, seen.shape[1])
            trusted = (
                (energy <= calibration.energy_threshold)
                & (distance <= calibration.distance_threshold)
                & finite[:, -1].to(torch.float64).mean(1).ge(1.0)
                & (soh >= calibration.lowest - EXTRAPOLATION)
                & (soh <= calibration.highest + EXTRAPOLATION)
                & (seen.sum(1) >= fewest)
                & ((spread - spread) == 0.0)
            )
            return energy, distance, score, calibration.wide_quantile * score, ~trusted

    return Trust().eval()


def trust_inputs(windows: PastWindows, soh: Array, spread: Array) -> dict[str, Array]:
    """Return what the exported module takes, by name."""
    return {
        "features": np.asarray(windows.features, dtype=np.float64),
        "seen": windows.seen.astype(np.float64),
        "soh": np.asarray(soh, dtype=np.float64),
        "spread": np.asarray(spread, dtype=np.float64),
    }


def export_trust(model: TrustModel, windows: PastWindows, soh: Array, spread: Array) -> bytes:
    """Return trust as an ONNX model, checked on some windows against the module that it comes from.

    Parameters
    ----------
    model : TrustModel
        What to export.
    windows : PastWindows
        At least two windows to check with.
    soh, spread : ndarray of shape (n,)
        Predictions of them.

    Raises
    ------
    ModelError
        If nothing is exported, or it differs from the module.
    """
    import onnxruntime
    import torch

    module = trust_module(model)
    given = trust_inputs(windows, soh, spread)
    tensors = tuple(torch.as_tensor(given[name]) for name in INPUTS)
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own dependencies
            cells = torch.export.Dim("cells", min=1)
            program = torch.onnx.export(
                module,
                tensors,
                dynamo=True,
                verbose=False,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: cells}, {0: cells}, {0: cells}, {0: cells}),
            )
    finally:
        exporter.setLevel(level)
    if program is None:
        raise ModelError("torch exported no module", remedy="Check the installation of onnx and onnxscript")
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, given)
    with torch.no_grad():
        expected = [values.numpy() for values in module(*tensors)]
    difference = max(
        float(np.max(np.abs(a - b) / (1.0 + np.abs(b)))) for a, b in zip(found[:4], expected[:4], strict=True)
    )
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the exported module differs from the trained one by {difference:.1e}",
            remedy="Report the versions of torch, onnx and onnxruntime",
        )
    exported: bytes = content
    return exported
