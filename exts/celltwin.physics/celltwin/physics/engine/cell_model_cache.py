"""Cell models on disk: one compressed archive of arrays each, under the folder of compiled equations."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import logging
import os
import zipfile
from typing import Any

import numpy as np

from celltwin.core import ModelError

from ..equation_cache import cache_folder
from .cell_model import CellModel, ElectrodeModel, ThermalModel

__all__ = ["hash_cell_model", "load_cell_model", "store_cell_model"]

_logger = logging.getLogger(__name__)

_FORMAT = 6  # raise it when fits or this file's layout change
_PARTS = {"negative": ElectrodeModel, "positive": ElectrodeModel, "thermal": ThermalModel}


def hash_cell_model(model: CellModel) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of a model's numbers."""
    numbers, arrays = _taken_apart(model)
    for key in ("name", "hash", "provenance"):
        numbers.pop(key, None)
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    for key in sorted(arrays):
        digest.update(key.encode() + arrays[key].tobytes())
    return digest.hexdigest()[:12]


def load_cell_model(name: str, key: str) -> CellModel | None:
    """Return a model that was stored before, or None.

    Parameters
    ----------
    name : str
        Of the parameter set.
    key : str
        Of its content; empty for one that is never stored.
    """
    if not key:
        return None
    path = _path(name, key)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = {entry: archive[entry] for entry in archive.files}
        numbers = json.loads(bytes(arrays.pop("numbers")).decode())
        return _put_together(numbers, arrays)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, ModelError) as error:
        _logger.warning("%s is damaged (%s); the cell model is built anew", path, error)
        return None


def store_cell_model(model: CellModel, key: str) -> None:
    """Keep a model for later starts; a folder that cannot be written is logged and does no harm."""
    if not key:
        return
    numbers, arrays = _taken_apart(model)
    buffer = io.BytesIO()
    np.savez(buffer, numbers=np.frombuffer(json.dumps(numbers).encode(), dtype=np.uint8), **arrays)
    path = _path(model.name, key)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
    except OSError as error:
        _logger.warning("the cell model cannot be kept at %s (%s); the next start builds it again", path, error)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _path(name: str, key: str) -> Any:
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return cache_folder() / "cells" / f"{safe}-{key}-{_FORMAT}.npz"


def _taken_apart(model: CellModel) -> tuple[dict[str, Any], dict[str, Any]]:
    numbers: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if field.name in _PARTS:
            part: dict[str, Any] = {}
            for inner in dataclasses.fields(value):
                entry = getattr(value, inner.name)
                if isinstance(entry, np.ndarray):
                    arrays[f"{field.name}.{inner.name}"] = entry
                else:
                    part[inner.name] = entry
            numbers[field.name] = part
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            numbers[field.name] = value
    return numbers, arrays


def _put_together(numbers: dict[str, Any], arrays: dict[str, Any]) -> CellModel:
    for name, part in _PARTS.items():
        own = {key.partition(".")[2]: arrays.pop(key) for key in list(arrays) if key.startswith(f"{name}.")}
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in numbers[name].items()}
        numbers[name] = part(**fields, **own)
    for name in ("electrolyte_range", "temperature_range"):
        numbers[name] = tuple(numbers[name])
    return CellModel(**numbers, **arrays)
