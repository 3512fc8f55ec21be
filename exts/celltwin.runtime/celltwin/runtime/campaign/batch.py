"""What a worker does: a few runs, one after another, each of which may fail by itself."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celltwin.core import CelltwinError

from .campaign import RunRequest

__all__ = ["RunAnswer", "RunResult", "simulate_batch"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """What a simulation leaves of a run.

    Attributes
    ----------
    figures : mapping of str to float, str or bool
        Summary figures by name.
    units : mapping of str to str
        Unit of each figure and each column of the history.
    history : mapping of str to ndarray, optional
        Samples over time by name, of shape (n_samples,) or (n_samples, n_elements).
    """

    figures: Mapping[str, Any]
    units: Mapping[str, str]
    history: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RunAnswer:
    """What came of one run of a batch.

    Attributes
    ----------
    run : int
        Its number.
    result : RunResult or None
        None where it failed.
    seconds : float
        What it took [s of the wall clock].
    error, reason : str
        Class and message of what it raised.
    """

    run: int
    result: RunResult | None
    seconds: float
    error: str = ""
    reason: str = ""


def simulate_batch(function: str, requests: tuple[RunRequest, ...]) -> list[RunAnswer]:
    """Run ``"package.module:function"``, which takes a request and returns a result, for each request."""
    module, _, name = function.partition(":")
    simulate = getattr(importlib.import_module(module), name)
    return [_answer(simulate, request) for request in requests]


def _answer(simulate: Any, request: RunRequest) -> RunAnswer:
    begun = time.monotonic()
    try:
        result = simulate(request)
    except CelltwinError as error:
        return _failed(request, begun, error)
    except Exception as error:  # one run must not take the others with it
        _logger.exception("run %d failed", request.run)
        return _failed(request, begun, error)
    return RunAnswer(run=request.run, result=result, seconds=time.monotonic() - begun)


def _failed(request: RunRequest, begun: float, error: Exception) -> RunAnswer:
    return RunAnswer(
        run=request.run,
        result=None,
        seconds=time.monotonic() - begun,
        error=type(error).__name__,
        reason=str(error),
    )
