"""Export of remaining-life ensembles to ONNX, checked against the networks they came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from celltwin.core import Array, ModelError

from ..cycles import CycleSet
from ..exported_models import library_versions
from ..onnx_export import export_module
from ..splits import Split
from .life_card import write_life_card
from .life_folder import LifeModel, write_life_model
from .life_inputs import describe_cells
from .life_scores import LifeFigures
from .life_training import LifeEnsemble, predict_members

__all__ = ["export_life_model"]

LARGEST_DIFFERENCE = 1e-4  # [typical lives], between ONNX Runtime and torch


def export_life_model(
    folder: Path,
    ensembles: dict[bool, LifeEnsemble],
    cycles: CycleSet,
    split: Split,
    figures: dict[bool, dict[int, LifeFigures]],
    *,
    chemistry: str,
    data_name: str,
) -> LifeModel:
    """Write ensembles without and with measured SOH as one model folder.

    Parameters
    ----------
    folder : Path
        Where to; its name is the model's.
    ensembles : dict of bool to LifeEnsemble
        What to export, by whether the measured SOH is an input.
    cycles, split : CycleSet, Split
        What they were trained on.
    figures : dict of bool to dict of int to LifeFigures
        Figures on the test cells, by variant and seed.
    chemistry, data_name : str
        Chemistry of the cells; name of the data set.

    Raises
    ------
    ModelError
        If an exported ensemble differs from the trained one, or the folder cannot be written.
    """
    cells = cycles.select(split.training)
    networks, differences = {}, {}
    for history, ensemble in ensembles.items():
        sample = ensemble.knowledge.prepare(describe_cells(cells, history=history, every=10))
        networks[history], differences[history] = _to_onnx(ensemble, sample)
    model = LifeModel(
        name=folder.name,
        chemistry=chemistry,
        nominal_capacity=cycles.nominal_capacity,
        knowledge={history: ensemble.knowledge for history, ensemble in ensembles.items()},
        networks=networks,
    )
    first = ensembles[False]
    training: dict[str, object] = {
        "data": data_name,
        "data_sha256": cycles.digest,
        "settings": {str(history): ensemble.settings.as_dict() for history, ensemble in ensembles.items()},
        "seed": first.seed,
        "folds": [list(names) for names in split.folds],
        "test_cells": list(split.test),
        "test_figures": {
            str(history): {str(seed): value.as_dict() for seed, value in by_seed.items()}
            for history, by_seed in figures.items()
        },
        "largest_difference_onnx_torch": max(differences.values()),
        "versions": library_versions(),
    }
    card = write_life_card(model, ensembles, cycles, split, figures, data_name=data_name)
    write_life_model(folder, model, card, training)
    return model


def _to_onnx(ensemble: LifeEnsemble, sample: Array) -> tuple[bytes, float]:
    import onnxruntime
    import torch

    class Members(torch.nn.Module):
        """Mean of the medians, their scale joined with the members' disagreement, mean of the proxies."""

        def __init__(self) -> None:
            super().__init__()
            self.members = ensemble.module

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            values: torch.Tensor = self.members(inputs)
            if len(values) == 1:
                return values[0]
            median = values[:, 0].mean(0)
            disagreement = (values[:, 0] - median.unsqueeze(0)).square().mean(0)
            scale = (values[:, 1].square().mean(0) + disagreement).sqrt()
            return torch.stack([median, scale, values[:, 2].mean(0)])

    inputs = torch.as_tensor(sample, dtype=torch.float32)
    network = export_module(Members().eval(), {"inputs": inputs}, ("arrival",))
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"inputs": sample.astype(np.float32)})
    difference = float(np.abs(found - predict_members(ensemble.module, sample)).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the exported ensemble differs from the trained one by {difference:.1e}",
            remedy="Report the versions of torch, onnx and onnxruntime",
        )
    return network, difference
