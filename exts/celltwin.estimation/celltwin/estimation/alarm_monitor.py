"""Alarms that neither chatter nor hurry: they wait a moment to be raised and need some room to end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Alarm, Array, Level, PackSpec, PackState, Severity

from .limits import NONE, AlarmBands, Grades, find_crossings

__all__ = ["AlarmMonitor"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Watch:
    """What is known of one limit: severities raised, and since when each element is beyond them."""

    raised: Grades
    since: Array  # [s]; NaN where nothing waits


class AlarmMonitor:
    """Watch the limits of a pack from step to step.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    bands : AlarmBands, optional
        Levels around the limits, and how far a value must return.
    delay : float
        Time for which a value must stay beyond a limit before the alarm is raised [s]; a critical one is raised at
        once.
    """

    def __init__(self, spec: PackSpec, bands: AlarmBands | None = None, *, delay: float = 2.0) -> None:
        self._spec = spec
        self._bands = bands or AlarmBands()
        self._delay = delay
        self._watches: dict[tuple[str, Level, tuple[int, ...]], _Watch] = {}
        self._time = -np.inf

    def check(self, state: PackState) -> tuple[Alarm, ...]:
        """Return the alarms that stand now, most severe first."""
        if state.time < self._time:
            self._watches.clear()
        self._time = state.time
        watches: dict[tuple[str, Level, tuple[int, ...]], _Watch] = {}
        alarms = []
        for crossing in find_crossings(self._spec, state, self._bands):
            key = (crossing.name, crossing.level, crossing.elements)
            blank = _Watch(
                raised=np.full(crossing.values.shape, NONE, dtype=np.int8), since=np.full(crossing.values.shape, np.nan)
            )
            watch = self._watches.get(key, blank)
            reached = crossing.grades(watch.raised)
            waiting = reached > watch.raised
            since = np.where(waiting, np.where(np.isfinite(watch.since), watch.since, state.time), np.nan)
            ready = (state.time - since >= self._delay) | (reached == Severity.CRITICAL)
            raised = np.where(waiting & ~ready, watch.raised, reached).astype(np.int8)
            watches[key] = _Watch(raised=raised, since=np.where(waiting & ~ready, since, np.nan))
            alarms += [
                crossing.alarm(self._spec, state.time, int(place), Severity(int(raised[place])))
                for place in np.nonzero(raised > NONE)[0]
            ]
        self._watches = watches
        return tuple(sorted(alarms, key=lambda alarm: -alarm.severity))
