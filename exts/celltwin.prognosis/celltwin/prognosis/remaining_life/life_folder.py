"""A remaining-life model on disk: two exported ensembles and what they know."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError, freeze

from ..exported_models import (
    CARD_FILE,
    MODEL_FILE,
    newest_model,
    read_checked,
    read_description,
    refuse_damaged,
    write_model_files,
)
from ..scaling import InputScaling, Territory
from .life_calibration import LifeCalibration
from .life_inputs import input_names
from .life_knowledge import LifeKnowledge

__all__ = ["LifeModel", "life_model_folder", "read_life_model", "write_life_model"]

FORMAT = 1
REMEDY = "Restore data/models from the repository, or train a model with `celltwin train rul`"
VARIANTS = {False: "features", True: "history"}


@dataclass(frozen=True, kw_only=True, eq=False)
class LifeModel:
    """A model for use: from charging features alone, and with the SOH measured so far as well.

    Attributes
    ----------
    name : str
        Name of the model: its folder.
    chemistry : str
        Chemistry of the cells it was trained on.
    nominal_capacity : float
        What SOH is a fraction of [A.h].
    knowledge : dict of bool to LifeKnowledge
        By whether the measured SOH is an input.
    networks : dict of bool to bytes
        Exported ensembles (ONNX): input ``inputs`` (n, n_inputs) float32, output ``arrival`` (3, n, n_levels).
    """

    name: str
    chemistry: str
    nominal_capacity: float
    knowledge: dict[bool, LifeKnowledge]
    networks: dict[bool, bytes]

    @property
    def provenance(self) -> str:
        """Name and hash, for readings."""
        digest = hashlib.sha256(b"".join(self.networks[key] for key in sorted(self.networks))).hexdigest()
        return f"{self.name} sha256:{digest[:12]}"


def life_model_folder() -> Path:
    """Return the newest ``data/models/rul_<version>`` of the project.

    Raises
    ------
    ModelError
        If there is none.
    """
    return newest_model("rul", "model of remaining life", REMEDY, form=FORMAT)


def write_life_model(folder: Path, model: LifeModel, card: str, training: dict[str, object]) -> None:
    """Write ensembles, knowledge and card.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        "chemistry": model.chemistry,
        "nominal_capacity": model.nominal_capacity,
        "variants": {
            VARIANTS[history]: {
                "sha256": hashlib.sha256(model.networks[history]).hexdigest(),
                "inputs": list(input_names(history)),
                "knowledge": _knowledge_to_json(model.knowledge[history]),
            }
            for history in model.knowledge
        },
        "training": training,
    }
    networks = {f"{VARIANTS[history]}.onnx": network for history, network in model.networks.items()}
    write_model_files(folder, {**networks, MODEL_FILE: json.dumps(content, indent=1) + "\n", CARD_FILE: card})


def read_life_model(folder: Path) -> LifeModel:
    """Return a model, checked against its hashes.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was exported.
    """
    content = read_description(folder, REMEDY, form=FORMAT)
    with refuse_damaged(folder, REMEDY):
        networks = {}
        for history, name in VARIANTS.items():
            described = content["variants"][name]
            networks[history] = read_checked(folder, f"{name}.onnx", described["sha256"], REMEDY)
            if tuple(described["inputs"]) != input_names(history):
                raise ModelError(f"{name}.onnx wants other inputs", where=str(folder), remedy=REMEDY)
        return LifeModel(
            name=folder.name,
            chemistry=content["chemistry"],
            nominal_capacity=float(content["nominal_capacity"]),
            knowledge={
                history: _knowledge_from_json(content["variants"][name]["knowledge"])
                for history, name in VARIANTS.items()
            },
            networks=networks,
        )


def _knowledge_to_json(knowledge: LifeKnowledge) -> dict[str, object]:
    def listed(values: Array) -> object:
        return np.round(values, 10).tolist()

    return {
        "levels": listed(knowledge.levels),
        "end": knowledge.end,
        "history": knowledge.history,
        "scaling": {name: listed(getattr(knowledge.scaling, name)) for name in ("mean", "spread", "stand_in")},
        "territory": {
            "centres": listed(knowledge.territory.centres),
            "whitening": listed(knowledge.territory.whitening),
            "threshold": knowledge.territory.threshold,
        },
        "duties": list(knowledge.duties),
        "lives": listed(knowledge.lives),
        "longest_age": listed(knowledge.longest_age),
        "calibration": asdict(knowledge.calibration),
    }


def _knowledge_from_json(content: dict[str, Any]) -> LifeKnowledge:
    def array(values: object) -> Array:
        return freeze(np.array(values, dtype=np.float64))

    calibration = content["calibration"]
    return LifeKnowledge(
        levels=array(content["levels"]),
        end=int(content["end"]),
        history=bool(content["history"]),
        scaling=InputScaling(**{name: array(values) for name, values in content["scaling"].items()}),
        territory=Territory(
            centres=array(content["territory"]["centres"]),
            whitening=array(content["territory"]["whitening"]),
            threshold=float(content["territory"]["threshold"]),
        ),
        duties=tuple(content["duties"]),
        lives=array(content["lives"]),
        longest_age=array(content["longest_age"]),
        calibration=LifeCalibration(**{**calibration, "quantiles": tuple(calibration["quantiles"])}),
    )
