"""The twin that runs in this process, for panels and scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .twin import TwinRuntime

__all__ = ["current_twin", "set_current_twin"]

_twin: TwinRuntime | None = None


def current_twin() -> TwinRuntime | None:
    """Return the running twin of this process, or None."""
    return _twin


def set_current_twin(twin: TwinRuntime | None) -> None:
    """Name the running twin of this process; called by the host that owns it."""
    global _twin
    _twin = twin
