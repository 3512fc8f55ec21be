"""How kernels are launched: recorded once and repeated, or one by one on a tape."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

from celltwin.core import SettingsError

__all__ = [
    "MOST_PARTS",
    "Launcher",
    "RecordedLaunch",
    "RecordingLauncher",
    "SharedLaunches",
    "Sharing",
    "TapedLauncher",
    "processor_threads",
]

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


class Sharing(Enum):
    """How the threads of a processor may share a launch.

    A kernel that they may share takes two more numbers before its inputs: the first thread and the part of the launch
    that it belongs to. Shared launches that follow each other are shared as one: each part runs all of them without
    waiting for the others, so a thread may only read what it writes itself, or what none of them writes.
    """

    WHOLE = "whole"
    """Not at all."""
    APART = "apart"
    """In parts that know nothing of each other."""
    AROUND = "around"
    """In parts that read what earlier launches of this kind wrote for others: parts wait before the next of these."""


class Launcher:
    """Launches kernels on one device.

    Parameters
    ----------
    device : str
        Warp's name of the device.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def launch(
        self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any], sharing: Sharing = Sharing.WHOLE
    ) -> None:
        """Launch a kernel over ``size`` threads.

        Parameters
        ----------
        kernel : object
            Of Warp.
        size : int
            Threads; nothing happens for 0.
        inputs, outputs : list
            Its arguments.
        sharing : Sharing
            How the threads of a processor may share it.
        """
        raise NotImplementedError


class RecordedLaunch:
    """A launch with its arguments in place: repeating it on a processor costs one native call.

    Parameters
    ----------
    kernel : object
        Of Warp.
    command : object
        What Warp recorded.
    """

    def __init__(self, kernel: Any, command: Any) -> None:
        self.kernel = kernel
        self.command = command
        self.launch: Callable[[], None] = _native_call(kernel, command) or command.launch

    def parts(self) -> tuple[RecordedLaunch, ...]:
        """Return the launches that it consists of: itself."""
        return (self,)


class RecordingLauncher(Launcher):
    """Keeps launches with their arguments: repeating one costs a few microseconds."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self._recorded: list[RecordedLaunch | SharedLaunches] = []
        self._threads = processor_threads() if device == "cpu" else 1

    def launch(
        self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any], sharing: Sharing = Sharing.WHOLE
    ) -> None:
        """Record a launch."""
        if not size:
            return
        if sharing is Sharing.WHOLE:
            self._recorded.append(self._record(kernel, size, inputs, outputs))
            return
        parts = max(1, min(self._threads, size // _LEAST_SHARE))
        bounds = [size * part // parts for part in range(parts + 1)]
        shares = [
            self._record(kernel, bounds[part + 1] - bounds[part], [bounds[part], part, *inputs], outputs)
            for part in range(parts)
        ]
        if parts == 1:
            self._recorded.append(shares[0])
            return
        looks_around = sharing is Sharing.AROUND
        last = self._recorded[-1] if self._recorded else None
        if isinstance(last, SharedLaunches) and last.takes(shares, looks_around=looks_around):
            last.add(shares, looks_around=looks_around)
            return
        self._recorded.append(SharedLaunches(shares, looks_around=looks_around))

    def take(self) -> tuple[RecordedLaunch | SharedLaunches, ...]:
        """Return the launches recorded since the last call, for repeating by their ``launch()``."""
        recorded, self._recorded = tuple(self._recorded), []
        return recorded

    def _record(self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any]) -> RecordedLaunch:
        import warp as wp

        command = wp.launch(kernel, dim=size, inputs=inputs, outputs=outputs, device=self.device, record_cmd=True)
        return RecordedLaunch(kernel, command)


class TapedLauncher(Launcher):
    """Launches at once, so that an open tape of Warp sees it."""

    def launch(
        self, kernel: Any, size: int, inputs: list[Any], outputs: list[Any], sharing: Sharing = Sharing.WHOLE
    ) -> None:
        """Launch now."""
        import warp as wp

        given = inputs if sharing is Sharing.WHOLE else [0, 0, *inputs]
        if size:
            wp.launch(kernel, dim=size, inputs=given, outputs=outputs, device=self.device)


class SharedLaunches:
    """Launches in parts, each part by a thread: kernels run without Python's lock."""

    def __init__(self, shares: list[RecordedLaunch], *, looks_around: bool) -> None:
        self._parts = [[share] for share in shares]
        self._looks_around = looks_around

    def takes(self, shares: list[RecordedLaunch], *, looks_around: bool) -> bool:
        """Return whether parts can run a launch too without waiting for each other."""
        return len(shares) == len(self._parts) and not (looks_around and self._looks_around)

    def add(self, shares: list[RecordedLaunch], *, looks_around: bool) -> None:
        """Take a launch in, as the last one of every part."""
        for part, share in zip(self._parts, shares, strict=True):
            part.append(share)
        self._looks_around |= looks_around

    def parts(self) -> tuple[RecordedLaunch, ...]:
        """Return the launches that it consists of."""
        return tuple(share for part in self._parts for share in part)

    def launch(self) -> None:
        """Launch all parts and wait for them."""
        helpers = _HELPERS.borrow()
        try:
            first, *others = self._parts
            helped = list(zip(helpers, others, strict=False))
            for helper, part in helped:
                helper.begin(part)
            for part in (first, *others[len(helped) :]):
                for share in part:
                    share.launch()
            for helper, _ in helped:
                helper.wait()
        finally:
            _HELPERS.give_back(helpers)


class _Helper:
    """A thread that launches a part when told to."""

    def __init__(self, number: int) -> None:
        self._part: list[RecordedLaunch] = []
        self._told, self._done = threading.Lock(), threading.Lock()
        self._told.acquire()
        self._done.acquire()
        threading.Thread(target=self._serve, name=f"celltwin-kernel-{number}", daemon=True).start()

    def begin(self, part: list[RecordedLaunch]) -> None:
        """Begin to launch a part."""
        self._part = part
        self._told.release()

    def wait(self) -> None:
        """Wait until it is done."""
        self._done.acquire()

    def _serve(self) -> None:
        while True:
            self._told.acquire()
            for share in self._part:
                share.launch()
            self._done.release()


class _Helpers:
    """The threads of this process that share launches. One engine has them at a time; others then do without."""

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._helpers: tuple[_Helper, ...] = ()
        os.register_at_fork(after_in_child=self._forget)  # threads stay with the parent

    def borrow(self) -> tuple[_Helper, ...]:
        """Return the threads, or none where somebody has them."""
        if not self._free.acquire(blocking=False):
            return ()
        if not self._helpers:
            self._helpers = tuple(_Helper(number + 1) for number in range(MOST_PARTS - 1))
        return self._helpers

    def give_back(self, helpers: tuple[_Helper, ...]) -> None:
        """Let others have them."""
        if helpers:
            self._free.release()

    def _forget(self) -> None:
        self._free, self._helpers = threading.Lock(), ()


_HELPERS = _Helpers()


def _native_call(kernel: Any, command: Any) -> Callable[[], None] | None:
    """Return what runs a recorded launch on a processor with its arguments packed once, where this Warp allows it.

    Warp packs them anew at every launch, which takes longer than a small kernel does.
    """
    blocks = getattr(command, "block_dim", 1)
    forward = getattr(getattr(command, "hooks", None), "forward", None)
    given = getattr(command, "params", None)
    labels = [argument.label for argument in getattr(kernel.adj, "args", ())]
    if not command.device.is_cpu or blocks > 1 or forward is None or not given or len(given) != len(labels) + 1:
        return None
    fields = [(label, type(value)) for label, value in zip(labels, given[1:], strict=True)]
    packed = type("Arguments", (ctypes.Structure,), {"_fields_": fields})(*given[1:])
    return partial(forward, ctypes.byref(given[0]), ctypes.byref(packed))
