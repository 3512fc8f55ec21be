"""Exported models in ``data/models``: the newest of a kind, reading and writing one, and the check for damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from celltwin.core import ModelError

__all__ = [
    "CARD_FILE",
    "MODEL_FILE",
    "library_versions",
    "newest_model",
    "read_checked",
    "read_description",
    "refuse_damaged",
    "write_model_files",
]

MODEL_FILE, CARD_FILE = "model.json", "MODEL_CARD.md"
LIBRARIES = ("nvidia-physicsnemo", "torch", "onnx", "onnxruntime", "numpy")


def newest_model(kind: str, described: str, remedy: str, *, form: int | str | tuple[int | str, ...]) -> Path:
    """Return the newest ``data/models/<kind>_<version>`` of the project.

    Parameters
    ----------
    kind : str
        What the folder's name begins with, such as ``"soh"``.
    described, remedy : str
        For the error: what it is a model of, and what to do where there is none.
    form : int, str or tuple
        Its format, or those that will do. Folders of another format are passed over; one whose description cannot be
        read is not, so that damage is told and not hidden behind an older model.

    Raises
    ------
    ModelError
        If there is none.
    """
    places = (parent / "data" / "models" for parent in Path(__file__).resolve().parents)
    models = next((place for place in places if place.is_dir()), None)

    def number(folder: Path) -> tuple[int, str]:
        text = folder.name.removeprefix(f"{kind}_")
        return (int(text) if text.isdigit() else -1, text)

    found = sorted(models.glob(f"{kind}_*"), key=number, reverse=True) if models else []
    for folder in found:
        if _format_of(folder) in (*(form if isinstance(form, tuple) else (form,)), None):
            return folder
    raise ModelError(f"no {described} found", where=str(models or "data/models"), remedy=remedy)


def read_description(
    folder: Path, remedy: str, *, form: int | str | tuple[int | str, ...], file: str = MODEL_FILE
) -> Any:
    """Return the content of a model's description, whose format is ``form`` or one of them.

    Raises
    ------
    ModelError
        If it is missing, unreadable, or of another format.
    """
    try:
        content: Any = json.loads((folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the model cannot be read ({error})", where=str(folder), remedy=remedy) from None
    with refuse_damaged(folder, remedy, file=file):
        if content["format"] not in (form if isinstance(form, tuple) else (form,)):
            raise ModelError(f"format {content['format']!r} is not {form!r}", where=str(folder), remedy=remedy)
    return content


def read_checked(folder: Path, name: str, digest: str, remedy: str, *, file: str = MODEL_FILE) -> bytes:
    """Return a file of a model, checked against the SHA-256 of the description.

    Raises
    ------
    ModelError
        If it is missing, or is not the one that the description means.
    """
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelError(f"the model cannot be read ({error})", where=str(folder), remedy=remedy) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelError(f"{name} is not what {file} describes", where=str(folder), remedy=remedy)
    return content


@contextmanager
def refuse_damaged(folder: Path, remedy: str, *, file: str = MODEL_FILE) -> Iterator[None]:
    """Turn what goes wrong with the fields of a description into a ModelError that names the folder."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{file} is damaged ({type(error).__name__}: {error})", where=str(folder), remedy=remedy
        ) from None


def write_model_files(folder: Path, files: Mapping[str, bytes | str | Mapping[str, object]]) -> None:
    """Write the files of a model by name: bytes, text, or what becomes JSON.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
                (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"the model cannot be written ({error})", where=str(folder), remedy="Choose another folder with --out"
        ) from None


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that train, export and serve, by name."""
    return {name: version(name) for name in LIBRARIES}


def _format_of(folder: Path) -> object:
    """Return the format of a model; None where it cannot be told."""
    try:
        content = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content.get("format") if isinstance(content, dict) else None
