"""A surrogate on disk: its numbers, what it needs to be used, and the check that neither was damaged."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from celltwin.core import Array, ModelError

from ..exported_models import newest_model
from .cell_laws import CellLaws

__all__ = ["SurrogateModel", "default_surrogate_folder", "read_surrogate", "write_surrogate"]

NUMBERS_FILE, MODEL_FILE, CARD_FILE = "surrogate.npz", "model.json", "MODEL_CARD.md"
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
    return newest_model("surrogate", "surrogate", REMEDY)


def read_surrogate(
    folder: Path,
) -> tuple[SurrogateModel, CellLaws, dict[str, Array], dict[str, Array]]:
    """Return description, laws, layers and territory of a surrogate, checked against its hash.

    Raises
    ------
    ModelError
        If a file is missing, unreadable or not what was written.
    """
    try:
        content: Any = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        numbers = (folder / NUMBERS_FILE).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"the surrogate cannot be read ({error})", where=str(folder), remedy=REMEDY) from None
    try:
        if content["format"] != FORMAT:
            raise ModelError(f"format {content['format']!r} is not {FORMAT}", where=str(folder), remedy=REMEDY)
        ranges = {name: (float(low), float(high)) for name, (low, high) in content["model"]["ranges"].items()}
        model = SurrogateModel(**{**content["model"], "ranges": ranges})
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{MODEL_FILE} is damaged ({error!r})", where=str(folder), remedy=REMEDY) from None
    if hashlib.sha256(numbers).hexdigest() != model.numbers_digest:
        raise ModelError(f"{NUMBERS_FILE} is not what {MODEL_FILE} describes", where=str(folder), remedy=REMEDY)
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NUMBERS_FILE).write_bytes(numbers)
        (folder / MODEL_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"the surrogate cannot be written ({error})", where=str(folder), remedy="Choose another folder with --out"
        ) from None
    return model
