"""Remaining life of many cells from the exported ensembles, in the process that asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..served_models import ServedModel, open_network
from .life_folder import REMEDY, LifeModel, life_model_folder, read_life_model
from .life_inputs import LifeInputs
from .life_prediction import RemainingLife

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["LifePredictor"]


class LifePredictor(ServedModel[LifeModel, "dict[bool, onnxruntime.InferenceSession]"]):
    """Serve a model of remaining life with numpy and ONNX Runtime alone.

    Parameters
    ----------
    model : path, optional
        Folder of the model; the newest ``data/models/rul_<version>`` where absent.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        super().__init__("model of remaining life")
        self._folder = Path(model) if model is not None else None

    def assess(self, inputs: LifeInputs) -> RemainingLife:
        """Return what remains of some cells; with or without measured SOH, as the summaries are.

        Parameters
        ----------
        inputs : LifeInputs
            Summaries of the cells' pasts, of :func:`describe_cells` or :func:`describe_past`.

        Raises
        ------
        ModelError
            If no model has been loaded.
        """
        model, sessions = self._require()
        knowledge = model.knowledge[inputs.history]
        shown = knowledge.prepare(inputs).astype(np.float32)
        (arrival,) = sessions[inputs.history].run(None, {"inputs": shown})
        return knowledge.conclude(inputs, np.asarray(arrival, dtype=np.float64))

    def _open(self) -> tuple[LifeModel, dict[bool, onnxruntime.InferenceSession]]:
        folder = self._folder or life_model_folder()
        model = read_life_model(folder)
        return model, {
            history: open_network(network, str(folder), REMEDY) for history, network in model.networks.items()
        }
