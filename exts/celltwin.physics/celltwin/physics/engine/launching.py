"""How kernels are launched: recorded once and repeated, or one by one on a tape."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from celltwin.core import SettingsError

__all__ = ["MOST_PARTS", "Launcher", "RecordingLauncher", "TapedLauncher", "processor_threads"]

MOST_PARTS = 4  # threads that share a launch on a processor
_LEAST_SHARE = 64  # bundles that are worth waking a thread for


def processor_threads() -> int:
    """Return how many threads share a launch on the processor: those it has, at most four; or ``CELLTWIN_THREADS``.

    Raises
    ------
    SettingsError
        If ``CELLTWIN_THREADS`` is no whole number from 1.
    """
    asked = os.environ.get("CELLTWIN_THREADS", "")
    if not asked:
        return min(MOST_PARTS, len(os.sched_getaffinity(0)))
    if not asked.isdigit() or int(asked) < 1:
        raise SettingsError(f"CELLTWIN_THREADS = {asked!r} is no number of threads", remedy="Set it to 1 or more")
    return min(MOST_PARTS, int(asked))


class Launcher:
    """Launches kernels on one device.

    Parameters
    ----------
    device : str
        Warp's name of the device.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def launch(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any], *, divisible: bool = False) -> None:
        """Launch a kernel over ``size`` threads.

        A divisible kernel takes two more numbers before its inputs: the first thread and the part of the launch that
        it belongs to, so that the threads of a processor can share it.
        """
        raise NotImplementedError


class RecordingLauncher(Launcher):
    """Keeps launches with their arguments: repeating one costs a few microseconds."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self._recorded: list[Any] = []
        self._threads = processor_threads() if device == "cpu" else 1

    def launch(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any], *, divisible: bool = False) -> None:
        """Record a launch."""
        if not size:
            return
        if not divisible:
            self._recorded.append(self._record(kernel, size, inputs, outputs))
            return
        parts = max(1, min(self._threads, size // _LEAST_SHARE))
        bounds = [size * part // parts for part in range(parts + 1)]
        shares = [
            self._record(kernel, bounds[part + 1] - bounds[part], [bounds[part], part, *inputs], outputs)
            for part in range(parts)
        ]
        self._recorded.append(shares[0] if parts == 1 else _SharedLaunch(shares))

    def take(self) -> tuple[Any, ...]:
        """Return the launches recorded since the last call, for repeating by their ``launch()``."""
        recorded, self._recorded = tuple(self._recorded), []
        return recorded

    def _record(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any]) -> Any:
        import warp as wp

        return wp.launch(kernel, dim=size, inputs=inputs, outputs=outputs, device=self.device, record_cmd=True)


class TapedLauncher(Launcher):
    """Launches at once, so that an open tape of Warp sees it."""

    def launch(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any], *, divisible: bool = False) -> None:
        """Launch now."""
        import warp as wp

        given = [0, 0, *inputs] if divisible else inputs
        if size:
            wp.launch(kernel, dim=size, inputs=given, outputs=outputs, device=self.device)


class _SharedLaunch:
    """One launch in parts, each by a thread: kernels run without Python's lock."""

    def __init__(self, shares: list[Any]) -> None:
        self._own, *self._others = shares

    def launch(self) -> None:
        """Launch all parts and wait for them."""
        waiting: list[Future[None]] = [_pool().submit(share.launch) for share in self._others]
        self._own.launch()
        for future in waiting:
            future.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=MOST_PARTS - 1, thread_name_prefix="celltwin-kernel")
