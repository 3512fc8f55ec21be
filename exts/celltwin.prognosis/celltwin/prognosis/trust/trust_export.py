"""Trust as one module that exports to ONNX, for serving with onnxruntime and NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, ModelError

from ..onnx_export import export_module
from ..past_windows import PastWindows
from ..scaling import InputScaling, Territory
from .error_scale import LARGEST, SMALLEST
from .trust_model import ENERGY_UNIT, HEALTH_CENTRE, SMALLEST_SPREAD, TrustModel, find_signals, scaled_rows

if TYPE_CHECKING:
    import torch

__all__ = ["export_trust", "trust_inputs", "trust_module"]

INPUTS = ("average", "beginning", "newest", "cycle", "soh", "spread", "unseen", "missing")
OUTPUTS = ("energy", "distance", "score")
LARGEST_DIFFERENCE = (
    1e-3  # of outputs over one and their size: where little is lost in rebuilding, its logarithm is not exact
)


def trust_module(model: TrustModel) -> torch.nn.Module:
    """Return trust as a torch module.

    It takes what :func:`trust_inputs` gives, all float32, and returns energy, distance and score [SOH], each of shape
    (n,) as float32; the score before the factor of the duty, which is the caller's to know: :func:`duty_factors`.
    Interval and flag follow from them: :func:`find_reasons`.
    """
    import torch

    surroundings, calibration = model.surroundings, model.calibration

    class Distance(torch.nn.Module):
        """Distance to the nearest protocol."""

        centres: torch.Tensor
        whitening: torch.Tensor

        def __init__(self, territory: Territory) -> None:
            super().__init__()
            white = territory.whitening
            for name, values in (
                ("whitening", np.concatenate([factor.T for factor in white], axis=1)),
                ("centres", np.einsum("pij,pj->pi", white, territory.centres)),
            ):
                self.register_buffer(name, torch.as_tensor(np.array(values), dtype=torch.float32))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            white = (rows @ self.whitening).reshape(-1, *self.centres.shape) - self.centres
            return white.square().sum(2).amin(1).sqrt()

    class Trust(torch.nn.Module):
        """Mixture, territories and scale of the error."""

        signal_centre: torch.Tensor
        signal_width: torch.Tensor
        signal_weights: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.mixture = surroundings.network
            self.distance = Distance(surroundings.territory)
            self.newest_distance = Distance(surroundings.newest_territory)
            for name, values in (
                ("signal_centre", calibration.error_scale.centre),
                ("signal_width", calibration.error_scale.width),
                ("signal_weights", calibration.error_scale.weights),
            ):
                self.register_buffer(name, torch.as_tensor(np.array(values), dtype=torch.float32))

        def forward(
            self,
            average: torch.Tensor,
            beginning: torch.Tensor,
            newest: torch.Tensor,
            cycle: torch.Tensor,
            soh: torch.Tensor,
            spread: torch.Tensor,
            unseen: torch.Tensor,
            missing: torch.Tensor,
        ) -> tuple[torch.Tensor, ...]:
            rows = torch.cat([average, beginning, cycle[:, None], soh[:, None]], dim=1)
            energy = self.mixture(rows).to(torch.float32)
            distance = torch.maximum(self.distance(average), self.newest_distance(newest))
            unit = energy / ENERGY_UNIT
            signals = torch.stack(
                [
                    torch.log(spread + SMALLEST_SPREAD),
                    torch.sign(unit) * torch.log(unit.abs() + (unit.square() + 1.0).sqrt()),  # arcsinh
                    torch.log1p(distance),
                    HEALTH_CENTRE - soh,
                    unseen,
                    missing,
                ],
                dim=1,
            )
            logarithm = calibration.error_scale.intercept + (
                (signals - self.signal_centre) / self.signal_width * self.signal_weights
            ).sum(1)
            return energy, distance, torch.exp(logarithm.clamp(float(np.log(SMALLEST)), float(np.log(LARGEST))))

    return Trust().eval()


def trust_inputs(windows: PastWindows, scaling: InputScaling, soh: Array, spread: Array) -> dict[str, Array]:
    """Return what the exported module takes, by name: scaled rows, age, prediction, spread, shares."""
    unseen, missing = find_signals(windows)
    values = (*scaled_rows(windows, scaling), windows.cycle, soh, spread, unseen, missing)
    return {name: np.asarray(each, dtype=np.float32) for name, each in zip(INPUTS, values, strict=True)}


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
    given = trust_inputs(windows, model.surroundings.scaling, soh, spread)
    tensors = tuple(torch.as_tensor(given[name]) for name in INPUTS)
    content = export_module(module, dict(zip(INPUTS, tensors, strict=True)), OUTPUTS)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, given)
    with torch.no_grad():
        expected = [values.numpy() for values in module(*tensors)]
    difference = max(float(np.max(np.abs(a - b) / (1.0 + np.abs(b)))) for a, b in zip(found, expected, strict=True))
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the exported module differs from the trained one by {difference:.1e}",
            remedy="Report the versions of torch, onnx and onnxruntime",
        )
    return content
