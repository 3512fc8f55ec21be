"""Layers as files: created, saved and exported, with errors that name the file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pxr import Sdf, Tf

from celltwin.core import StageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["create_layer", "describe_usd_error", "save_layer", "save_layer_as"]

_SUFFIXES = (".usd", ".usda", ".usdc")


def create_layer(path: Path) -> Sdf.Layer:
    """Return an empty layer that will be saved at ``path``; one that is open there is emptied.

    Raises
    ------
    StageError
        If the name is not that of a USD file, or the file cannot be written.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        layer = Sdf.Layer.Find(str(path.resolve())) or Sdf.Layer.CreateNew(str(path))
        layer.Clear()
    return layer


def save_layer(layer: Sdf.Layer, path: Path) -> None:
    """Save a layer in its own file; StageError if it cannot be written."""
    with _writing(path):
        if not layer.Save():
            raise OSError("USD refuses to save the layer")


def save_layer_as(layer: Sdf.Layer, path: Path) -> None:
    """Save a layer at ``path``, its own or another; whoever has that file open sees the new content.

    Raises
    ------
    StageError
        If the name is not that of a USD file, or the file cannot be written.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = Sdf.Layer.Find(str(path.resolve()))
        if opened is None:
            saved = layer.Export(str(path))
        else:
            if opened != layer:
                opened.TransferContent(layer)
            saved = opened.Save()
        if not saved:
            raise OSError("USD refuses to save the layer")


def describe_usd_error(error: Exception) -> str:
    """Return one short line of what went wrong, without the C++ places that USD's errors name."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith("Error in")]
    return lines[0].rsplit(" : ", 1)[-1].strip("'") if lines else " ".join(str(error).split())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    if path.suffix not in _SUFFIXES:
        raise StageError(
            f"{path.name!r} is not a USD file name", where=str(path), remedy=f"End it in {' or '.join(_SUFFIXES)}"
        )
    try:
        yield
    except (OSError, Tf.ErrorException) as error:
        raise StageError(
            f"the stage cannot be written ({describe_usd_error(error)})",
            where=str(path),
            remedy="Name a writable folder with free space",
        ) from None
