"""Export of a fitted model of past windows: network, description and card, checked against the fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, ModelError

from ..cycles import CycleSet
from ..exported_models import CARD_FILE, MODEL_FILE, write_model_files
from ..features import FEATURE_NAMES
from ..onnx_export import export_module
from ..past_windows import BEGINNING, PastWindows
from .distilled_kind import FittedDistilled
from .duty import one_hot
from .exportable import exportable_module, known_duties
from .kinds import FittedModel, SohModelKind
from .window_description import WindowDescription

if TYPE_CHECKING:
    import torch

__all__ = ["export_windows", "network_arrays"]

NETWORK_FILE = "soh.onnx"
FORMAT, DUTY_FORMAT = "past windows 1", "past windows of a duty 1"
DESCRIBED_FORMAT = "described windows 1"  # of a network that is shown what WindowDescription says of windows
DESCRIPTION, DESCRIBED_INPUT = "description", "described"
LARGEST_DIFFERENCE = 1e-4  # [SOH], between ONNX Runtime and the fit
INPUT_NAMES = ("features", "seen", "beginning", "cycle", "duty")  # the last where the model knows duties


def export_windows(
    folder: Path,
    fitted: FittedModel,
    kind: SohModelKind,
    cycles: CycleSet,
    training: tuple[str, ...],
    sample: PastWindows,
    figures: dict[str, object],
    *,
    seed: int,
    chemistry: str,
) -> str:
    """Write a fitted model as a folder, and return the SHA-256 of its network.

    Parameters
    ----------
    folder : Path
        Where to; its name is the model's.
    fitted, kind : FittedModel, SohModelKind
        What to export, and how it was made.
    cycles : CycleSet
        The data.
    training : tuple of str
        Cells that it has learnt from.
    sample : PastWindows
        Windows that the exported network is compared on.
    figures : dict
        What an evaluation gave, as JSON takes it.
    seed : int
        Seed of the fit.
    chemistry : str
        Chemistry of the cells.

    Raises
    ------
    ModelError
        If the kind cannot be exported, the exported network differs from the fit, or the folder cannot be written.
    """
    duties = known_duties(fitted)
    description = fitted.description if isinstance(fitted, FittedDistilled) else None
    module = fitted.network if isinstance(fitted, FittedDistilled) else exportable_module(fitted)
    network, difference = _to_onnx(module, network_arrays(sample, duties, description), fitted.predict(sample))
    digest = hashlib.sha256(network).hexdigest()
    content = {
        "format": DESCRIBED_FORMAT if description else DUTY_FORMAT if duties else FORMAT,
        "model": {
            "name": folder.name,
            "inputs": list(FEATURE_NAMES),
            "window": kind.window,
            "beginning": BEGINNING,
            "chemistry": chemistry,
            "nominal_capacity": cycles.nominal_capacity,
            "duties": list(duties),
            "network_digest": digest,
        },
        **({DESCRIPTION: description.as_dict()} if description else {}),
        "training": {
            "data_sha256": cycles.digest,
            "cells": list(training),
            "kind": kind.describe(),
            "seed": seed,
            "figures": figures,
            "largest_difference_onnx_fit": difference,
        },
    }
    card = _card(folder.name, digest, kind, cycles, training, figures, chemistry, duties, description is not None)
    write_model_files(folder, {NETWORK_FILE: network, MODEL_FILE: content, CARD_FILE: card})
    return digest


def network_arrays(
    windows: PastWindows, duties: tuple[str, ...], description: WindowDescription | None
) -> dict[str, NDArray[Any]]:
    """Return what an exported network takes of windows, by name.

    Parameters
    ----------
    windows : PastWindows
        The windows; their protocols are the duties that their cells have.
    duties : tuple of str
        Those that the network tells apart.
    description : WindowDescription, optional
        What it must be shown; none where it takes windows as they are.
    """
    if description is not None:
        return {DESCRIBED_INPUT: description.rows(windows)}
    values = [windows.features, windows.seen, windows.beginning, windows.cycle]
    if duties:
        values.append(one_hot(windows.protocol, duties))
    return {name: np.ascontiguousarray(each, dtype=np.float64) for name, each in zip(INPUT_NAMES, values, strict=False)}


def _to_onnx(module: torch.nn.Module, arrays: dict[str, NDArray[Any]], expected: Array) -> tuple[bytes, float]:
    import onnxruntime
    import torch

    tensors = {name: torch.as_tensor(each) for name, each in arrays.items()}
    network = export_module(module, tensors, ("soh",))
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, arrays)
    difference = float(np.abs(found - expected).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"the exported network differs from the fit by {difference:.1e}",
            remedy="Report the versions of torch, onnx and onnxruntime",
        )
    return network, difference


_INPUTS = {
    True: f"""`{DESCRIBED_INPUT}` (n, columns), float32: what `WindowDescription` says of the windows;
`{DESCRIPTION}` in `{MODEL_FILE}` has its blocks, scales and duties.""",
    False: f"""`features` (n, window, {len(FEATURE_NAMES)}), oldest first, before its first cycle a cell repeats it;
`seen` (n, window), 1 or 0; `beginning` (n, {len(FEATURE_NAMES)}); `cycle` (n,); all float64, in the units of
the data, values that are not finite included. A model that knows duties takes `duty` (n, duties) as well,
1 in the column of the one that the cell has.""",
}


def _card(
    name: str,
    digest: str,
    kind: SohModelKind,
    cycles: CycleSet,
    training: tuple[str, ...],
    figures: dict[str, object],
    chemistry: str,
    names: tuple[str, ...],
    described: bool,
) -> str:
    duties = ", ".join(names) if names else "none: it does not ask how a cell is used"
    return f"""# {name}

State of health (capacity over nominal {cycles.nominal_capacity:g} A.h) of a lithium-ion cell from its newest
{kind.window} charges, the mean of its first {BEGINNING}, and the number of cycles that it has seen.
Kind `{kind.name}`; network SHA-256 `{digest}`.

## Inputs and output

{_INPUTS[described]} Output `soh` (members, n). Duties: {duties}.

## Data and figures

{len(training)} cells of {chemistry}, protocols {", ".join(cycles.protocols)}. SHA-256 of the files `{cycles.digest}`.

```json
{json.dumps(figures, indent=1)}
```

## Limits

* No interval and no distance from the training data is in the network: whoever serves it must add both.
* A cell whose first cycles were not seen has no beginning of its own; its answers are not to be trusted.
* Other chemistries and other capacities are extrapolation.
"""
