"""State of health of every cell of a running pack, by the exported network, in the process that asks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, Flags, Kind, Level, ModelError, PackSpec, PackState, Quality, Reading, find_quantity

from .charge_features import ChargeDoubt, ChargeFeatures, ChargeRecord
from .features import feature_columns
from .model_folder import REMEDY, SohModel, default_model_folder, read_model
from .pack_health import combine_health

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["SohPrediction", "SohPredictor"]

# A prediction so far outside the SOH of the training data is an extrapolation [-].
EXTRAPOLATION = 0.02
# Nominal capacities that differ by less are the same cell [share].
SAME_CAPACITY = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class SohPrediction:
    """What the network says of every cell.

    Attributes
    ----------
    soh : ndarray of shape (n_cells,)
        Capacity as a fraction of nominal; NaN where no charge is complete.
    standard_uncertainty, half_width : ndarray of shape (n_cells,)
        Half widths of the intervals that hold 68.27 % and 90 % of the cycles of an unseen cell [SOH].
    distance : ndarray of shape (n_cells,)
        Mahalanobis distance of the inputs from the training data.
    quality : ndarray of uint8, shape (n_cells,)
        SUSPECT where the prediction is not to be trusted, BAD where there is none.
    causes : dict of str to int
        How many cells are not good, by cause.
    """

    soh: Array
    standard_uncertainty: Array
    half_width: Array
    distance: Array
    quality: Flags
    causes: dict[str, int]


class SohPredictor:
    """Serve the SOH network to a running pack.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    features : ChargeFeatures, optional
        Where the features come from; one of its own, fed by :meth:`observe`, where absent.
    model : path, optional
        Folder of the model; the newest of ``data/models`` where absent.
    """

    def __init__(self, spec: PackSpec, features: ChargeFeatures | None = None, model: str | Path | None = None) -> None:
        self._spec = spec
        self._features = features or ChargeFeatures(spec)
        self._folder = Path(model) if model is not None else None
        self._lock = threading.Lock()
        self._loaded: tuple[SohModel, onnxruntime.InferenceSession] | None = None

    @property
    def ready(self) -> bool:
        """Whether the model has been loaded."""
        return self._loaded is not None

    @property
    def model(self) -> SohModel:
        """Description of the loaded model.

        Raises
        ------
        ModelError
            If none has been loaded.
        """
        return self._require()[0]

    def load(self) -> None:
        """Load the network; takes some tenths of a second, and may be called from any thread.

        Raises
        ------
        ModelError
            If the model is missing or damaged.
        """
        import onnxruntime

        with self._lock:
            if self._loaded is not None:
                return
            folder = self._folder or default_model_folder()
            model, network = read_model(folder)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 3
            try:
                session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
                session.run(None, {"inputs": np.zeros((1, len(model.inputs)))})
            except Exception as error:  # ONNX Runtime raises types of its own that derive from nothing common
                raise ModelError(f"the network cannot be run ({error})", where=str(folder), remedy=REMEDY) from None
            self._loaded = (model, session)

    def observe(self, state: PackState) -> None:
        """Show a process image to the charge features."""
        self._features.observe(state)

    def predict(self, state: PackState) -> tuple[Reading, ...]:
        """Return the predicted SOH of cells, groups, modules and pack.

        A cell has a value once a whole charge of it has been seen, with the time of that charge; until then, and
        for a chemistry that the network does not know, its value is NaN, its quality BAD, and the reason says why.
        The charges are those that were complete at the time of the process image.

        Parameters
        ----------
        state : PackState
            Process image.
        """
        if self._loaded is None:
            return self._absent("SOH model", "the model is still being loaded")
        model, _ = self._loaded
        chemistry = self._spec.cell.chemistry
        if chemistry != model.chemistry:
            return self._absent(
                model.provenance, f"the model was trained on {model.chemistry} cells; this pack has {chemistry}"
            )
        record = self._features.record(state.time)
        if not np.isfinite(record.completed).any():
            return self._absent(model.provenance, _describe_waiting(record, self._features.bounds_text))
        prediction = self.assess(record)
        cells = Reading(
            kind=Kind.PREDICTED,
            quantity="soh",
            level=Level.CELL,
            values=prediction.soh,
            time=record.completed,
            quality=prediction.quality,
            standard_uncertainty=prediction.standard_uncertainty,
            provenance=model.provenance,
            reason=_describe(prediction, record),
        )
        return (cells, *combine_health(cells, self._spec))

    def assess(self, record: ChargeRecord) -> SohPrediction:
        """Return what the network says of some charges.

        Raises
        ------
        ModelError
            If no model has been loaded.
        """
        model, session = self._require()
        inputs = record.features[:, feature_columns(model.inputs)]
        known = np.isfinite(inputs).all(axis=1)
        soh, spread, distance = np.full((3, known.size), np.nan)
        if known.any():
            soh[known], spread[known], distance[known] = session.run(None, {"inputs": inputs[known]})
        bounds = find_quantity("soh")
        possible = (soh >= bounds.lowest) & (soh <= bounds.highest)
        far = distance > model.threshold
        doubts = record.doubts
        causes = {
            "unlike the training data": far,
            "health outside the training data": (soh < model.lowest - EXTRAPOLATION)
            | (soh > model.highest + EXTRAPOLATION),
            "voltage not held at the top": (doubts & ChargeDoubt.VOLTAGE_NOT_HELD) != 0,
            "constant-current window not seen whole": (doubts & ChargeDoubt.WINDOW_EXTENDED) != 0,
            "tail not seen whole": (doubts & ChargeDoubt.TAIL_EXTENDED) != 0,
            "other nominal capacity than the training cells": np.full(known.size, self._other_capacity(model)),
        }
        suspect = np.logical_or.reduce(list(causes.values()))
        quality = np.where(suspect, Quality.SUSPECT, Quality.GOOD)
        quality = np.where(possible, quality, Quality.BAD).astype(np.uint8)
        scale = np.hypot(model.floor, spread) * np.maximum(1.0, distance / model.threshold)
        return SohPrediction(
            soh=np.where(possible, soh, np.nan),
            standard_uncertainty=np.where(possible, model.standard_quantile * scale, np.nan),
            half_width=np.where(possible, model.wide_quantile * scale, np.nan),
            distance=distance,
            quality=quality,
            causes={
                cause: int(np.count_nonzero(cells & possible))
                for cause, cells in causes.items()
                if (cells & possible).any()
            },
        )

    def _require(self) -> tuple[SohModel, onnxruntime.InferenceSession]:
        if self._loaded is None:
            raise ModelError("no SOH model has been loaded", remedy="Call load() first")
        return self._loaded

    def _other_capacity(self, model: SohModel) -> bool:
        return abs(self._spec.cell.capacity / model.nominal_capacity - 1.0) > SAME_CAPACITY

    def _absent(self, provenance: str, reason: str) -> tuple[Reading, ...]:
        return tuple(
            Reading.at(
                Kind.PREDICTED,
                "soh",
                level,
                np.full(self._spec.size(level), np.nan),
                float("nan"),
                quality=Quality.BAD,
                provenance=provenance,
                reason=f"No SOH: {reason}",
            )
            for level in (Level.CELL, Level.GROUP, Level.MODULE, Level.PACK)
        )


def _describe_waiting(record: ChargeRecord, bounds: str) -> str:
    seen = f"{record.under_way} cells are being charged" if record.under_way else "no such charge has begun"
    return f"it needs one whole charge of a cell, {bounds}; {seen}"


def _describe(prediction: SohPrediction, record: ChargeRecord) -> str:
    counted = int(np.count_nonzero(np.isfinite(prediction.soh)))
    text = f"From the newest whole charge of {counted} of {record.completed.size} cells"
    if prediction.causes:
        text += "; suspect: " + ", ".join(f"{count} {cause}" for cause, count in prediction.causes.items())
    return text
