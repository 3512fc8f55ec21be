"""A model on disk: the exported network, what it needs to be used, and the check that neither was damaged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from celltwin.core import ModelError

from .exported_models import newest_model
from .features import FEATURE_NAMES

__all__ = ["MODEL_FILE", "NETWORK_FILE", "SohModel", "default_model_folder", "read_model", "write_model"]

NETWORK_FILE, MODEL_FILE, CARD_FILE = "soh.onnx", "model.json", "MODEL_CARD.md"
FORMAT = 1
REMEDY = "Restore data/models from the repository, or train a model with `celltwin train soh`"


@dataclass(frozen=True, kw_only=True)
class SohModel:
    """What a predictor must know about a network.

    Attributes
    ----------
    name : str
        Name of the model: its folder.
    inputs : tuple of str
        Features in the order that the network takes them.
    chemistry : str
        Chemistry of the cells it was trained on.
    nominal_capacity : float
        What SOH is a fraction of [A.h].
    floor, standard_quantile, wide_quantile, lowest, highest : float
        See :class:`Calibration`.
    threshold : float
        Distance past which an input is unlike the training data.
    network_digest : str
        SHA-256 of the exported network.
    """

    name: str
    inputs: tuple[str, ...]
    chemistry: str
    nominal_capacity: float
    floor: float
    standard_quantile: float
    wide_quantile: float
    lowest: float
    highest: float
    threshold: float
    network_digest: str

    @property
    def provenance(self) -> str:
        """Name and hash, for readings."""
        return f"{self.name} sha256:{self.network_digest[:12]}"


def default_model_folder() -> Path:
    """Return the newest ``data/models/soh_<version>`` of the project.

    Raises
    ------
    ModelError
        If there is none.
    """
    return newest_model("soh", "SOH model", REMEDY)


def read_model(folder: Path) -> tuple[SohModel, bytes]:
    """Return a model's description and its exported network, checked against its hash.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was exported.
    """
    try:
        content: Any = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        network = (folder / NETWORK_FILE).read_bytes()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"the model cannot be read ({error})", where=str(folder), remedy=REMEDY) from None
    try:
        if content["format"] != FORMAT:
            raise ModelError(f"format {content['format']!r} is not {FORMAT}", where=str(folder), remedy=REMEDY)
        fields = dict(content["model"])
        model = SohModel(**{**fields, "inputs": tuple(fields["inputs"])})
        unknown = [name for name in model.inputs if name not in FEATURE_NAMES]
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"{MODEL_FILE} is damaged ({type(error).__name__}: {error})", where=str(folder), remedy=REMEDY
        ) from None
    if unknown:
        raise ModelError(f"the model wants an unknown feature {unknown[0]!r}", where=str(folder), remedy=REMEDY)
    if hashlib.sha256(network).hexdigest() != model.network_digest:
        raise ModelError(
            f"{NETWORK_FILE} is not the network that {MODEL_FILE} describes", where=str(folder), remedy=REMEDY
        )
    return model, network


def write_model(folder: Path, model: SohModel, network: bytes, card: str, training: dict[str, object]) -> None:
    """Write network, description and card.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    content = {"format": FORMAT, "model": asdict(model), "training": training}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NETWORK_FILE).write_bytes(network)
        (folder / MODEL_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"the model cannot be written ({error})", where=str(folder), remedy="Choose another folder with --out"
        ) from None
