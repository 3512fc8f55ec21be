"""One object living in a worker process, called without waiting."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

__all__ = ["BackgroundWorker", "become_worker"]

_resident: Any = None


class BackgroundWorker:
    """A worker process that builds one object and serves calls to its methods, one after another.

    Nothing here waits except :meth:`close`: building the object happens in the worker, and a failure to build
    or a crash of the worker comes out of the future of the next call.

    Parameters
    ----------
    factory : str
        ``"package.module:callable"`` that builds the object in the worker.
    *args, **kwargs : object
        Arguments of the factory; they must pickle.

    Notes
    -----
    The worker runs at a lower priority than its parent, so that Kit's loop keeps its rhythm on few cores, and
    ignores Ctrl-C, which the parent handles.
    """

    def __init__(self, factory: str, *args: object, **kwargs: object) -> None:
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
        self._started = self._pool.submit(_build, factory, args, kwargs)

    def submit(self, method: str, *args: object, **kwargs: object) -> Future[Any]:
        """Call a method of the object; the future gives its result, or raises what it raised.

        A future raises ``concurrent.futures.process.BrokenProcessPool`` if the worker has died.
        """
        return self._pool.submit(_call, method, args, kwargs)

    @property
    def started(self) -> Future[None]:
        """Done when the object has been built; raises what its factory raised."""
        return self._started

    @property
    def process_id(self) -> int | None:
        """Process id of the worker; None before it has started."""
        return next(iter(self._pool._processes or {}), None)

    def close(self) -> None:
        """End the worker, abandoning what it is doing; a second call does nothing."""
        processes = list((self._pool._processes or {}).values())  # the pool offers no way to stop a running call
        for process in processes:
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def become_worker() -> None:
    """Make this spawned process a good worker: lower priority, deaf to Ctrl-C, ending with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    os.nice(5)


def _build(factory: str, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    global _resident
    become_worker()
    module, _, name = factory.partition(":")
    _resident = getattr(importlib.import_module(module), name)(*args, **kwargs)


def _end_with_parent() -> None:
    """End this worker when its parent is gone; one that was killed cannot end it itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(method: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
    if _resident is None:
        raise RuntimeError("the worker's object was not built")
    return getattr(_resident, method)(*args, **kwargs)
