"""A surrogate on disk: its numbers and what it needs to be used."""

from __future__ import annotations

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array

from ..exported_models import (
    MODEL_FILE,
    newest_model,
    read_checked,
    read_description,
    refuse_damaged,
    write_model_files,
)
from .cell_laws import CellLaws

__all__ = ["SurrogateModel", "default_surrogate_folder", "read_surrogate", "write_surrogate"]

NUMBERS_FILE = "surrogate.npz"
FORMAT = 1
REMEDY = "Restore data/models from the repository, or train a model with `celltwin train surrogate`"


@dataclass(frozen=True, kw_only=True)
class SurrogateModel:
    """What a user must know about a surrogate.

    Attributes
    ----------
    name : str
        Name of the model: its folder.
    cell, parameters_hash : str
        Cell parameters that its simulations were made with.
    ranges : dict of str to tuple of float
        Lowest and highest of each input that it was trained on.
    voltage_error, temperature_error : float
        Root mean square errors on held-out profiles [V], [K].
    numbers_digest : str
        SHA-256 of the numbers.
    """

    name: str
    cell: str
    parameters_hash: str
    ranges: dict[str, tuple[float, float]]
    voltage_error: float
    temperature_error: float
    numbers_digest: str

    @property
    def provenance(self) -> str:
        """Name and hash, for readings."""
        return f"{self.name} sha256:{self.numbers_digest[:12]}"


def default_surrogate_folder() -> Path:
    """Return the newest ``data/models/surrogate_<version>`` of the project.

    Raises
    ------
    ModelError
        If there is none.
    """
    return newest_model("surrogate", "surrogate", REMEDY, form=FORMAT)


def read_surrogate(
    folder: Path,
) -> tuple[SurrogateModel, CellLaws, dict[str, Array], dict[str, Array]]:
    """Return description, laws, layers and territory of a surrogate, checked against its hash.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was written.
    """
    content = read_description(folder, REMEDY, form=FORMAT)
    with refuse_damaged(folder, REMEDY):
        ranges = {name: (float(low), float(high)) for name, (low, high) in content["model"]["ranges"].items()}
        model = SurrogateModel(**{**content["model"], "ranges": ranges})
    numbers = read_checked(folder, NUMBERS_FILE, model.numbers_digest, REMEDY)
    with np.load(io.BytesIO(numbers)) as arrays:
        parts: dict[str, dict[str, Array]] = {"laws": {}, "layers": {}, "territory": {}}
        for name in arrays.files:
            part, _, key = name.partition("/")
            parts[part][key] = arrays[name]
    return model, CellLaws.from_arrays(parts["laws"]), parts["layers"], parts["territory"]


def write_surrogate(
    folder: Path,
    fields: dict[str, Any],
    laws: CellLaws,
    layers: dict[str, Array],
    territory: dict[str, Array],
    training: dict[str, object],
) -> SurrogateModel:
    """Write numbers and description; return the description.

    Parameters
    ----------
    folder : Path
        Where to; its name becomes the model's.
    fields : dict
        What :class:`SurrogateModel` holds beside name, cell and hashes.
    laws : CellLaws
        Of the cell.
    layers, territory : dict of str to ndarray
        Of the network.
    training : dict
        How it was made.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    buffer = io.BytesIO()
    named = {
        f"{part}/{key}": value
        for part, arrays in (("laws", laws.arrays()), ("layers", layers), ("territory", territory))
        for key, value in arrays.items()
    }
    np.savez(buffer, **named)  # type: ignore[arg-type]  # names of arrays, not of options
    numbers = buffer.getvalue()
    model = SurrogateModel(
        name=folder.name,
        cell=laws.name,
        parameters_hash=laws.parameters_hash,
        numbers_digest=hashlib.sha256(numbers).hexdigest(),
        **fields,
    )
    content = {"format": FORMAT, "model": asdict(model), "training": training}
    write_model_files(folder, {NUMBERS_FILE: numbers, MODEL_FILE: content})
    return model
