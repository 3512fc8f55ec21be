"""Change blocks of a size that USD handles best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pxr import Sdf

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ChangeBlocks"]


class ChangeBlocks:
    """Join writes in one ``Sdf.ChangeBlock``, and start another after so many.

    A step that writes little is one notice to the stage. One that writes 22,400 scalars in a single block spends
    a third of its time in a change list that no longer fits the processor's cache.

    Parameters
    ----------
    size : int
        Writes after which the next block starts.
    """

    def __init__(self, size: int = 2048) -> None:
        self._size = size
        self._written = 0
        self._block: Sdf.ChangeBlock | None = None

    def __enter__(self) -> ChangeBlocks:
        """Open the first block."""
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the last block, which sends its notice."""
        self._close()

    def count(self, writes: int) -> None:
        """Say that so many writes were made."""
        self._written += writes
        if self._written >= self._size:
            self._close()
            self._open()

    def _open(self) -> None:
        self._written = 0
        self._block = Sdf.ChangeBlock()
        self._block.__enter__()

    def _close(self) -> None:
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(None, None, None)
