"""Steps of a pack as recorded launches, repeated between its two sets of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .launching import RecordedLaunch, RecordingLauncher, SharedLaunches
from .pack_physics import Attempt, PackPhysics, PackState, StepArrays

__all__ = ["RecordedSteps"]


@dataclass(frozen=True, eq=False)
class _Launches:
    """Launches of one length of step, from one of two states to the other.

    Attributes
    ----------
    begin, iterate, end : tuple
        What comes before the currents have settled, once more until they have, and after that.
    onward : tuple
        ``end``, and ``begin`` of the step after: both in one, since threads then wait for each other only once.
    """

    begin: tuple[RecordedLaunch | SharedLaunches, ...]
    iterate: tuple[RecordedLaunch | SharedLaunches, ...]
    end: tuple[RecordedLaunch | SharedLaunches, ...]
    onward: tuple[RecordedLaunch | SharedLaunches, ...]


class RecordedSteps:
    """Takes steps from either of two states to the other.

    Parameters
    ----------
    physics : PackPhysics
        The pack.
    states : tuple of PackState
        Before and after a step, by turns.
    attempt : Attempt
        Where the circuit is solved.
    stream : tuple
        Arrays of the coolant.
    """

    def __init__(
        self,
        physics: PackPhysics,
        states: tuple[PackState, PackState],
        attempt: Attempt,
        stream: tuple[Any, Any, Any],
    ) -> None:
        self._physics = physics
        self._states = states
        self._attempt = attempt
        self._stream = stream
        self._work = physics.cells.work()
        self._launches: dict[tuple[float, int], tuple[_Launches, _Launches]] = {}
        self._begun = False

    def take(self, step: float, now: int, *, onward: bool) -> bool:
        """Take one step from the state ``now``.

        Parameters
        ----------
        step : float
            Its length [s].
        now : int
            0 or 1.
        onward : bool
            Begin the step after too, which then has to come next, be as long, and find its drive set: nothing may be
            changed before it.

        Returns
        -------
        bool
            Whether the currents of the pack have settled; the step ends only if they have.
        """
        physics, options = self._physics, self._physics.options
        launches = self._of(step, physics.heat.parts(step))[now]
        if not self._begun:
            _repeat(launches.begin)
        self._begun = False
        # Newton's error is the square of its last change, for a voltage that bends on the scale of a 1C current.
        accepted = np.sqrt(options.current_tolerance)
        change = self._attempt.tangents.change
        for _ in range(options.most_iterations):
            if change.peak() <= accepted:
                break
            _repeat(launches.iterate)
        else:
            return False
        _repeat(launches.onward if onward else launches.end)
        self._begun = onward
        return True

    def launches(self) -> Iterator[RecordedLaunch]:
        """Walk through all launches that steps repeat, for timing them."""
        for pair in self._launches.values():
            for launches in pair:
                for together in vars(launches).values():
                    for launch in together:
                        yield from launch.parts()

    def _of(self, step: float, parts: int) -> tuple[_Launches, _Launches]:
        key = (step, parts)
        if key not in self._launches:
            self._launches[key] = (self._record(step, parts, 0), self._record(step, parts, 1))
        return self._launches[key]

    def _record(self, step: float, parts: int, now: int) -> _Launches:
        # each state has a row of the drive, so that a step can begin while the one before may still be repeated
        launcher, physics, other = RecordingLauncher(self._physics.grid.device), self._physics, 1 - now
        there, back = self._arrays(now, other), self._arrays(other, now)
        physics.launch_beginning(launcher, step, there, now)
        begin = launcher.take()
        physics.launch_attempt(launcher, there, 0, now)
        iterate = launcher.take()
        physics.launch_end(launcher, step, there, parts)
        end = launcher.take()
        physics.launch_end(launcher, step, there, parts)
        physics.launch_beginning(launcher, step, back, other)
        return _Launches(begin, iterate, end, launcher.take())

    def _arrays(self, now: int, then: int) -> StepArrays:
        before = self._states[now]
        return StepArrays(
            before=before,
            after=self._states[then],
            aged=before.common,
            work=self._work,
            attempts=(replace(self._attempt, solved=before.common),),
            between=(),
            stream=(self._stream,),
        )


def _repeat(launches: tuple[RecordedLaunch | SharedLaunches, ...]) -> None:
    for launch in launches:
        launch.launch()
