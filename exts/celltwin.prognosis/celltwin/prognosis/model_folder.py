"""A model of one charge on disk: the exported network and what it needs to be used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from celltwin.core import ModelError

from .exported_models import (
    CARD_FILE,
    MODEL_FILE,
    newest_model,
    read_checked,
    read_description,
    refuse_damaged,
    write_model_files,
)
from .features import FEATURE_NAMES

__all__ = ["NETWORK_FILE", "SohModel", "default_model_folder", "read_model", "write_model"]

NETWORK_FILE = "soh.onnx"
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
    """Return the newest ``data/models/soh_<version>`` of the project that looks at one charge.

    Raises
    ------
    ModelError
        If there is none.
    """
    return newest_model("soh", "SOH model", REMEDY, form=FORMAT)


def read_model(folder: Path) -> tuple[SohModel, bytes]:
    """Return a model's description and its exported network, checked against its hash.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was exported.
    """
    content = read_description(folder, REMEDY, form=FORMAT)
    with refuse_damaged(folder, REMEDY):
        fields = dict(content["model"])
        model = SohModel(**{**fields, "inputs": tuple(fields["inputs"])})
        unknown = [name for name in model.inputs if name not in FEATURE_NAMES]
    if unknown:
        raise ModelError(f"the model wants an unknown feature {unknown[0]!r}", where=str(folder), remedy=REMEDY)
    return model, read_checked(folder, NETWORK_FILE, model.network_digest, REMEDY)


def write_model(folder: Path, model: SohModel, network: bytes, card: str, training: dict[str, object]) -> None:
    """Write network, description and card.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    content = {"format": FORMAT, "model": asdict(model), "training": training}
    write_model_files(folder, {NETWORK_FILE: network, MODEL_FILE: content, CARD_FILE: card})
