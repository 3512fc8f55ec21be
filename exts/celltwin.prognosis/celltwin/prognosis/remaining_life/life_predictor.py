"""Remaining life of many cells from the exported ensembles, in the process that asks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import ModelError

from .life_folder import REMEDY, LifeModel, life_model_folder, read_life_model
from .life_inputs import LifeInputs
from .life_prediction import RemainingLife

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["LifePredictor"]


class LifePredictor:
    """Serve a model of remaining life with numpy and ONNX Runtime alone.

    Parameters
    ----------
    model : path, optional
        Folder of the model; the newest ``data/models/rul_<version>`` where absent.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        self._folder = Path(model) if model is not None else None
        self._lock = threading.Lock()
        self._loaded: tuple[LifeModel, dict[bool, onnxruntime.InferenceSession]] | None = None

    @property
    def ready(self) -> bool:
        """Whether the model has been loaded."""
        return self._loaded is not None

    @property
    def model(self) -> LifeModel:
        """The loaded model.

        Raises
        ------
        ModelError
            If none has been loaded.
        """
        return self._require()[0]

    def load(self) -> None:
        """Load the ensembles; takes some tenths of a second, and may be called from any thread.

        Raises
        ------
        ModelError
            If the model is missing or damaged.
        """
        import onnxruntime

        with self._lock:
            if self._loaded is not None:
                return
            folder = self._folder or life_model_folder()
            model = read_life_model(folder)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 3
            sessions = {}
            try:
                for history, network in model.networks.items():
                    sessions[history] = onnxruntime.InferenceSession(
                        network, options, providers=["CPUExecutionProvider"]
                    )
            except Exception as error:  # ONNX Runtime raises types of its own that derive from nothing common
                raise ModelError(f"an ensemble cannot be run ({error})", where=str(folder), remedy=REMEDY) from None
            self._loaded = (model, sessions)

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

    def _require(self) -> tuple[LifeModel, dict[bool, onnxruntime.InferenceSession]]:
        if self._loaded is None:
            raise ModelError("no model of remaining life has been loaded", remedy="Call load() first")
        return self._loaded
