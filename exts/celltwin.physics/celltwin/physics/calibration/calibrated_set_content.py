"""The content of a calibrated set's file: Battery Parameter eXchange, with our extensions where it allows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from celltwin.core import ModelError

__all__ = ["EXTENSION", "cell_content", "extension_of", "is_calibrated_set"]

EXTENSION = "Celltwin"
"""Our part of BPX's user-defined parameters; BPX takes any content under ``description`` in it."""
FORMAT = 1


def is_calibrated_set(data: Any) -> bool:
    """Whether the content of a JSON file is a BPX set with our extensions."""
    try:
        return isinstance(data["Parameterisation"]["User-defined"][EXTENSION]["description"], Mapping)
    except (KeyError, TypeError):
        return False


def extension_of(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return our extensions of a calibrated set.

    Parameters
    ----------
    data : mapping
        Content of the file.
    where : str
        Where it comes from, for errors.

    Raises
    ------
    ModelError
        If there are none, they are of a later format, or the set was refused.
    """
    if not is_calibrated_set(data):
        raise ModelError(
            "this is no calibrated set: it lacks the part that `celltwin calibrate` adds to BPX",
            where=where,
            remedy="Use a file that `celltwin calibrate` wrote",
        )
    found: dict[str, Any] = data["Parameterisation"]["User-defined"][EXTENSION]["description"]
    if found.get("format") != FORMAT:
        raise ModelError(
            f"the calibrated set has format {found.get('format')!r}, this version reads {FORMAT}",
            where=where,
            remedy="Calibrate again, or update the software",
        )
    return found


def cell_content(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what :func:`celltwin.physics.parameters.parse_cell_parameters` takes, of a calibrated set.

    The set itself is read from the file, whose path stands for the published set.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    found = extension_of(data, where)
    try:
        physics = {key: data[key] for key in ("Parameterisation", "State") if key in data}
        physics = json.loads(json.dumps(physics))
        del physics["Parameterisation"]["User-defined"][EXTENSION]
        text = json.dumps([physics, found["cell"], found["open_circuit"]], sort_keys=True)
        return {
            "name": found["name"],
            "title": found["title"],
            "chemistry": found["chemistry"],
            "base_set": where,
            "overrides": [],
            "cell": found["cell"],
            "open_circuit": found["open_circuit"],
            "limits": found["limits"],
            "provenance": {"source": found["source"], **found["provenance"]},
            "hash": hashlib.sha256(text.encode()).hexdigest()[:12],
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the calibrated set is damaged ({error!r})", where=where, remedy="Calibrate again, or restore the file"
        ) from None
