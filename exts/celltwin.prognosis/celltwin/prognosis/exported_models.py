"""Exported models in ``data/models``: the newest of a kind, and the libraries that one was made with."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from celltwin.core import ModelError

__all__ = ["library_versions", "newest_model"]

LIBRARIES = ("nvidia-physicsnemo", "torch", "onnx", "onnxruntime", "numpy")


def newest_model(kind: str, described: str, remedy: str) -> Path:
    """Return the newest ``data/models/<kind>_<version>`` of the project.

    Parameters
    ----------
    kind : str
        What the folder's name begins with, such as ``"soh"``.
    described, remedy : str
        For the error: what it is a model of, and what to do where there is none.

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

    found = sorted(models.glob(f"{kind}_*"), key=number) if models else []
    if not found:
        raise ModelError(f"no {described} found", where=str(models or "data/models"), remedy=remedy)
    return found[-1]


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that train, export and serve, by name."""
    return {name: version(name) for name in LIBRARIES}
