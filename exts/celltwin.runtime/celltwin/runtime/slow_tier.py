"""A tier at its own cadence: asked now and then, answered when it is done, never waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool

from celltwin.core import CelltwinError, PackState

__all__ = ["SlowTier"]

_logger = logging.getLogger(__name__)


class SlowTier[T]:
    """Ask for a result every ``period`` and keep the newest that came back.

    Parameters
    ----------
    name : str
        Name for messages, such as ``"prescription"``.
    ask : callable
        Takes a process image, returns at once with a future of the result.
    period : float
        Time of the twin between two questions [s].
    patience : float
        How long after a question, in the twin's time [s], a run without a clock may go on before the answer:
        it makes such a run repeatable, because the answer then always takes effect at the same step.
    restart : callable, optional
        Makes a dead worker anew; called at most ``restarts`` times.
    restarts : int
        How often a dead worker is replaced before the tier is given up.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[PackState], Future[T]],
        *,
        period: float,
        patience: float,
        restart: Callable[[], None] | None = None,
        restarts: int = 2,
    ) -> None:
        self.name = name
        self.problems: list[str] = []
        self.answers = 0
        self._ask = ask
        self._period = period
        self._patience = patience
        self._restart = restart
        self._restarts = restarts if restart else 0
        self._pending: Future[T] | None = None
        self._asked = float("-inf")
        self._given_up = False

    @property
    def working(self) -> bool:
        """Whether the tier still answers."""
        return not self._given_up

    @property
    def pending(self) -> bool:
        """Whether an answer is awaited."""
        return self._pending is not None

    def offer(self, state: PackState) -> None:
        """Ask about a process image if it is time and the last question has been answered."""
        if self._given_up or self._pending is not None or state.time - self._asked < self._period:
            return
        self._asked = state.time
        try:
            self._pending = self._ask(state)
        except BrokenProcessPool as error:
            self._fail(error)

    def may_pass(self, now: float) -> bool:
        """Return whether a run without a clock may step to ``now`` [s] before the answer is there."""
        return self._pending is None or self._pending.done() or now < self._asked + self._patience

    def take(self, now: float, *, clocked: bool) -> T | None:
        """Return the answer if it has come, else None.

        Without a clock the answer is held back until ``patience`` has passed, so that runs repeat.
        """
        if self._pending is None or not self._pending.done():
            return None
        if not clocked and now < self._asked + self._patience:
            return None
        pending, self._pending = self._pending, None
        try:
            answer = pending.result()
        except (CancelledError, Exception) as error:
            self._fail(error)
            return None
        self.answers += 1
        return answer

    def _fail(self, error: BaseException) -> None:
        # Whoever keeps the error keeps the frames it came through, and with them the twin and its stage.
        error.__traceback__ = None
        problem = str(error) if isinstance(error, CelltwinError) else f"{type(error).__name__}: {error}"
        self.problems.append(problem)
        crashed = isinstance(error, BrokenProcessPool)
        if crashed and self._restarts > 0 and self._restart is not None:
            self._restarts -= 1
            _logger.warning("the worker of %s died and is started again (%s)", self.name, problem)
            self._restart()
        elif crashed or len(self.problems) >= 3:
            self._given_up = True
            _logger.error("%s is given up after %d failures, the last: %s", self.name, len(self.problems), problem)
        else:
            _logger.warning("%s failed and will be asked again: %s", self.name, problem)
