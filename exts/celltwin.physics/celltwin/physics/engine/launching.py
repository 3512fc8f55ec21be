"""How kernels are launched: recorded once and repeated, or one by one on a tape."""

from __future__ import annotations

from typing import Any

__all__ = ["Launcher", "RecordingLauncher", "TapedLauncher"]


class Launcher:
    """Launches kernels on one device.

    Parameters
    ----------
    device : str
        Warp's name of the device.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def launch(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any]) -> None:
        """Launch a kernel over ``size`` threads."""
        raise NotImplementedError


class RecordingLauncher(Launcher):
    """Keeps launches with their arguments: repeating one costs a few microseconds."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self._recorded: list[Any] = []

    def launch(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any]) -> None:
        """Record a launch."""
        import warp as wp

        if size:
            self._recorded.append(
                wp.launch(kernel, dim=size, inputs=inputs, outputs=outputs, device=self.device, record_cmd=True)
            )

    def take(self) -> tuple[Any, ...]:
        """Return the launches recorded since the last call, for repeating by their ``launch()``."""
        recorded, self._recorded = tuple(self._recorded), []
        return recorded


class TapedLauncher(Launcher):
    """Launches at once, so that an open tape of Warp sees it."""

    def launch(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any]) -> None:
        """Launch now."""
        import warp as wp

        if size:
            wp.launch(kernel, dim=size, inputs=inputs, outputs=outputs, device=self.device)
