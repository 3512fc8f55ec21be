"""State of health of every cell of a running pack, by the exported network, in the process that asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celltwin.core import Array, Flags, Kind, Level, PackSpec, PackState, Quality, Reading, find_quantity

from .charge_features import ChargeFeatures, ChargeRecord, charge_causes
from .features import feature_columns
from .model_folder import REMEDY, SohModel, default_model_folder, read_model
from .pack_health import combine_health
from .served_models import ServedModel, absent_readings, open_network, same_cell

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["SohPrediction", "SohPredictor"]

# A prediction so far outside the SOH of the training data is an extrapolation [-].
EXTRAPOLATION = 0.02
OTHER_CAPACITY = "other nominal capacity than the training cells"


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


class SohPredictor(ServedModel[SohModel, "onnxruntime.InferenceSession"]):
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
        super().__init__("SOH model")
        self._spec = spec
        self._features = features or ChargeFeatures(spec)
        self._folder = Path(model) if model is not None else None

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
        refusal = self.refusal()
        if refusal is not None:
            return self.absent(refusal)
        record = self._features.record(state.time)
        if not np.isfinite(record.completed).any():
            return self.absent(self.waiting())
        prediction = self.assess(record)
        cells = Reading(
            kind=Kind.PREDICTED,
            quantity="soh",
            level=Level.CELL,
            values=prediction.soh,
            time=record.completed,
            quality=prediction.quality,
            standard_uncertainty=prediction.standard_uncertainty,
            provenance=self.model.provenance,
            reason=_describe(prediction, record),
        )
        return (cells, *combine_health(cells, self._spec))

    def refusal(self) -> str | None:
        """Return why no cell of this pack gets a number; None where the model is loaded and knows its chemistry."""
        if self._loaded is None:
            return "the model is still being loaded"
        chemistry = self._spec.cell.chemistry
        if chemistry != self.model.chemistry:
            return f"the model was trained on {self.model.chemistry} cells; this pack has {chemistry}"
        return None

    def waiting(self) -> str:
        """Return what is awaited while no charge is complete, in words."""
        under_way = self._features.record().under_way
        seen = f"{under_way} cells are being charged" if under_way else "no such charge has begun"
        return f"it needs one whole charge of a cell, {self._features.bounds_text}; {seen}"

    def absent(self, reason: str) -> tuple[Reading, ...]:
        """Return readings of all levels without a number, which say why."""
        provenance = self.model.provenance if self.ready else "SOH model"
        return absent_readings(self._spec, "soh", provenance, f"No SOH: {reason}")

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
        causes = {
            "unlike the training data": far,
            "health outside the training data": (soh < model.lowest - EXTRAPOLATION)
            | (soh > model.highest + EXTRAPOLATION),
            **charge_causes(record.doubts),
            OTHER_CAPACITY: np.full(known.size, not same_cell(self._spec, model.nominal_capacity)),
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

    def _open(self) -> tuple[SohModel, onnxruntime.InferenceSession]:
        folder = self._folder or default_model_folder()
        model, network = read_model(folder)
        return model, open_network(network, str(folder), REMEDY)


def _describe(prediction: SohPrediction, record: ChargeRecord) -> str:
    counted = int(np.count_nonzero(np.isfinite(prediction.soh)))
    text = f"From the newest whole charge of {counted} of {record.completed.size} cells"
    if prediction.causes:
        text += "; suspect: " + ", ".join(f"{count} {cause}" for cause, count in prediction.causes.items())
    return text
