"""What serves an exported model: loaded once, in any thread, and asked in any other."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Kind, Level, ModelError, PackSpec, Quality, Reading

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["ServedModel", "absent_readings", "open_network", "same_capacity", "same_cell"]

# Nominal capacities that differ by less are the same cell [share].
SAME_CAPACITY = 0.05


class ServedModel[M, P](ABC):
    """A model that is loaded in the background: its description, and the parts that answer.

    Parameters
    ----------
    described : str
        What it is a model of, for messages.
    """

    def __init__(self, described: str) -> None:
        self._described = described
        self._loading = threading.Lock()
        self._loaded: tuple[M, P] | None = None

    @property
    def ready(self) -> bool:
        """Whether the model has been loaded."""
        return self._loaded is not None

    @property
    def model(self) -> M:
        """Description of the loaded model.

        Raises
        ------
        ModelError
            If none has been loaded.
        """
        return self._require()[0]

    def load(self) -> None:
        """Load the model; takes some tenths of a second, and may be called from any thread.

        Raises
        ------
        ModelError
            If the model is missing or damaged.
        """
        with self._loading:
            if self._loaded is None:
                self._loaded = self._open()

    @abstractmethod
    def _open(self) -> tuple[M, P]:
        """Return description and parts of the model.

        Raises
        ------
        ModelError
            If the model is missing or damaged.
        """

    def _require(self) -> tuple[M, P]:
        if self._loaded is None:
            raise ModelError(f"no {self._described} has been loaded", remedy="Call load() first")
        return self._loaded


def open_network(network: bytes, where: str, remedy: str) -> onnxruntime.InferenceSession:
    """Return a session of an exported network on one thread: the twin's loop needs the other cores.

    Raises
    ------
    ModelError
        If it cannot be run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises types of its own that derive from nothing common
        raise ModelError(f"the network cannot be run ({error})", where=where, remedy=remedy) from None


def absent_readings(spec: PackSpec, quantity: str, provenance: str, reason: str) -> tuple[Reading, ...]:
    """Return predictions of all levels without a number, which say why."""
    return tuple(
        Reading.at(
            Kind.PREDICTED,
            quantity,
            level,
            np.full(spec.size(level), np.nan),
            float("nan"),
            quality=Quality.BAD,
            provenance=provenance,
            reason=reason,
        )
        for level in (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK)
    )


def same_cell(spec: PackSpec, nominal_capacity: float) -> bool:
    """Return whether a pack's cells have the nominal capacity [A.h] of those that a model was trained on."""
    return same_capacity(spec.cell.capacity, nominal_capacity)


def same_capacity(capacity: float, nominal_capacity: float) -> bool:
    """Return whether cells have the nominal capacity of those that a model was trained on [A.h]."""
    return abs(capacity / nominal_capacity - 1.0) <= SAME_CAPACITY
