"""Export of an ensemble to ONNX, checked against the networks it came from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from celltwin.core import Array, ModelError

from .cycles import CycleSet, stack_cells
from .evaluation import ProtocolFigures
from .exported_models import library_versions
from .features import feature_columns
from .model_card import write_card
from .model_folder import SohModel, write_model
from .network import build_ensemble
from .onnx_export import export_module
from .soh_training import SohEnsemble
from .splits import Split

__all__ = ["export_model"]

LARGEST_DIFFERENCE = 1e-5  # [SOH], between ONNX Runtime and torch


def export_model(
    folder: Path,
    ensemble: SohEnsemble,
    cycles: CycleSet,
    split: Split,
    figures: dict[int, dict[str, ProtocolFigures]],
    *,
    chemistry: str,
    data_name: str,
) -> SohModel:
    """Write an ensemble as a model folder: network, description, card.

    Parameters
    ----------
    folder : Path
        Where to; its name is the model's.
    ensemble : SohEnsemble
        What to export.
    cycles, split : CycleSet, Split
        What it was trained on.
    figures : dict of int to dict of str to ProtocolFigures
        Figures on the test cells by seed and protocol; the ensemble's seed comes first.
    chemistry, data_name : str
        Chemistry of the cells; name of the data set.

    Raises
    ------
    ModelError
        If the exported network differs from the trained one, or the folder cannot be written.
    """
    raw, _, _ = stack_cells(cycles.select(split.training), feature_columns(ensemble.settings.inputs))
    network, difference = _to_onnx(ensemble, raw[:: max(1, len(raw) // 2000)])
    calibration = ensemble.calibration
    model = SohModel(
        name=folder.name,
        inputs=ensemble.settings.inputs,
        chemistry=chemistry,
        nominal_capacity=cycles.nominal_capacity,
        **asdict(calibration),
        threshold=ensemble.territory.threshold,
        network_digest=hashlib.sha256(network).hexdigest(),
    )
    training: dict[str, object] = {
        "data": data_name,
        "data_sha256": cycles.digest,
        "settings": ensemble.settings.as_dict(),
        "seed": ensemble.seed,
        "folds": [list(names) for names in split.folds],
        "test_cells": list(split.test),
        "validation_mape_percent": ensemble.validation_error,
        "test_figures": {
            str(seed): {protocol: asdict(value) for protocol, value in by_protocol.items()}
            for seed, by_protocol in figures.items()
        },
        "largest_difference_onnx_torch": difference,
        "versions": library_versions(),
    }
    card = write_card(model, ensemble, cycles, split, figures, data_name=data_name, versions=library_versions())
    write_model(folder, model, network, card, training)
    return model


def _to_onnx(ensemble: SohEnsemble, sample: Array) -> tuple[bytes, float]:
    import onnxruntime
    import torch

    module = build_ensemble(list(ensemble.networks), ensemble.scaling, ensemble.target, ensemble.territory)
    inputs = torch.as_tensor(sample, dtype=torch.float64)
    network = export_module(module, {"inputs": inputs}, ("soh", "spread", "distance"))
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    found = session.run(None, {"inputs": sample})
    with torch.no_grad():
        expected = [values.numpy() for values in module(inputs)]
    difference = max(float(np.abs(a - b).max()) for a, b in zip(found[:2], expected[:2], strict=True))
    relative = float(np.max(np.abs(found[2] - expected[2]) / (1.0 + expected[2])))
    if not max(difference, relative) <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the exported network differs from the trained one by {max(difference, relative):.1e}",
            remedy="Report the versions of torch, onnx and onnxruntime",
        )
    return network, difference
