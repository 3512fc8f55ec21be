"""The risk model on disk: surrogate, constants, recalibration and priors."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from celltwin.core import ModelError

from ..exported_models import (
    MODEL_FILE,
    newest_model,
    read_checked,
    read_description,
    refuse_damaged,
    write_model_files,
)
from .abuse_constants import AbuseConstants
from .risk_model import Recalibration
from .risk_priors import RiskPriors, parse_priors
from .rollout import INPUTS
from .rollout_campaign import HORIZONS

__all__ = [
    "NETWORK_FILE",
    "PRIORS_FILE",
    "StoredRisk",
    "default_risk_folder",
    "read_risk",
    "write_risk",
]

NETWORK_FILE, PRIORS_FILE = "risk.onnx", "priors.toml"
FORMAT = 1
REMEDY = "Restore data/models from the repository, or train a model with `celltwin train risk`"


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredRisk:
    """What a predictor must know.

    Attributes
    ----------
    name : str
        Of the model: its folder.
    chemistry : str
        Of the cells that it holds for.
    constants : AbuseConstants
        Reactions, separator and store of the cell.
    recalibration : Recalibration
        Of the surrogate's probabilities.
    priors : RiskPriors
        Those of the folder, as they are now.
    network_digest : str
        SHA-256 of the exported network.
    """

    name: str
    chemistry: str
    constants: AbuseConstants
    recalibration: Recalibration
    priors: RiskPriors
    network_digest: str

    @property
    def provenance(self) -> str:
        """Name and hashes of network and priors, for readings."""
        return f"{self.name} sha256:{self.network_digest[:12]}, priors {self.priors.digest}"


def default_risk_folder() -> Path:
    """Return the newest ``data/models/risk_<version>`` of the project.

    Raises
    ------
    ModelError
        If there is none.
    """
    return newest_model("risk", "model of runaway risk", REMEDY, form=FORMAT)


def read_risk(folder: Path) -> tuple[StoredRisk, bytes]:
    """Return a model and its exported network, checked against its hash.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was exported.
    """
    content = read_description(folder, REMEDY, form=FORMAT)
    with refuse_damaged(folder, REMEDY):
        if tuple(content["inputs"]) != INPUTS or tuple(content["horizons"]) != HORIZONS:
            raise ModelError("inputs or horizons are not those of this version", where=str(folder), remedy=REMEDY)
        lines = content["recalibration"]
        model = StoredRisk(
            name=content["name"],
            chemistry=content["chemistry"],
            constants=AbuseConstants.from_dict(content["constants"]),
            recalibration=Recalibration(offset=tuple(lines["offset"]), slope=tuple(lines["slope"])),
            priors=parse_priors(folder / PRIORS_FILE),
            network_digest=content["network_digest"],
        )
    return model, read_checked(folder, NETWORK_FILE, model.network_digest, REMEDY)


def write_risk(
    folder: Path,
    network: bytes,
    *,
    chemistry: str,
    constants: AbuseConstants,
    recalibration: Recalibration,
    training: dict[str, object],
) -> None:
    """Write network and description; the priors lie in the folder already, since people edit them.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        "name": folder.name,
        "chemistry": chemistry,
        "inputs": list(INPUTS),
        "horizons": list(HORIZONS),
        "constants": constants.as_dict(),
        "recalibration": asdict(recalibration),
        "network_digest": hashlib.sha256(network).hexdigest(),
        "training": training,
    }
    write_model_files(folder, {NETWORK_FILE: network, MODEL_FILE: content})
