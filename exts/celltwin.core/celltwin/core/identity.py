"""Stable ids: the same pack specification gives the same UUIDs on every machine."""

from __future__ import annotations

from uuid import UUID, uuid5

__all__ = ["CELLTWIN_NAMESPACE", "element_uuid"]

CELLTWIN_NAMESPACE = UUID("6f1f8e6e-6a52-5d0f-9d0c-6c3c1b1f7a10")


def element_uuid(pack_name: str, element_id: str) -> str:
    """Return the UUID (version 5) of an element such as ``"M03.G07.C12"`` of a pack."""
    return str(uuid5(CELLTWIN_NAMESPACE, f"{pack_name}/{element_id}"))
