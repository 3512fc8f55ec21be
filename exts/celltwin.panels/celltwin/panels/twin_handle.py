"""What panels ask of a running twin."""

from __future__ import annotations

from typing import Protocol

from celltwin.core import Advice, Command, Mode, PackSpec, PackState

__all__ = ["TwinHandle"]


class TwinHandle(Protocol):
    """A running twin, as panels see it: the newest finished results, and what an operator may do.

    Nothing here waits; ``celltwin.runtime.TwinRuntime`` is one.
    """

    @property
    def spec(self) -> PackSpec:
        """The pack."""
        ...

    @property
    def state(self) -> PackState | None:
        """The newest process image, or None before the first step."""
        ...

    @property
    def advice(self) -> Advice | None:
        """The newest advice, or None before the first."""
        ...

    @property
    def command(self) -> Command | None:
        """The set-points that the plant got last, or None where there is no plant."""
        ...

    @property
    def mode(self) -> Mode:
        """How far the twin may act."""
        ...

    def set_mode(self, mode: Mode) -> None:
        """Change how far the twin may act, from the next step on."""
        ...

    def apply_advice(self) -> None:
        """Let the newest advice act."""
        ...

    def reject_advice(self) -> None:
        """Let no advice act that has been given so far."""
        ...
