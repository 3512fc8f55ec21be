"""What is worth telling of a simulated scenario: steps, faults, limits reached and limits passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celltwin.core import (
    Array,
    Demand,
    Level,
    ScenarioPlayer,
    ScenarioProgress,
    StuckContactor,
)

from .scenario_result import ScenarioSample, SimulationEvent

__all__ = ["ABUSE_REMEDY", "ScenarioEvents"]

ABUSE_REMEDY = "give the scenario [physics] abuse, such as hu_2020_nmc"

# Of each kind of passed limit, as many elements are named; the others are counted.
MOST_NAMED = 12
# A limit of voltage is passed beyond this [V]; nearer, the converter holds the group at it.
VOLTAGE_TOLERANCE = 0.005
# Reactions that no cell survives run above it: a scenario without them says what it leaves out [K].
REACTIONS_FROM = 403.15
_NO_REACTIONS = "no reactions"


class ScenarioEvents:
    """Keep the log of a simulated scenario.

    Parameters
    ----------
    player : ScenarioPlayer
        The scenario.
    """

    def __init__(self, player: ScenarioPlayer) -> None:
        self._player, self._spec = player, player.spec
        self._log: list[SimulationEvent] = []
        self._begun: set[int] = set()
        self._over: set[int] = set()
        self._passed: dict[str, set[int]] = {}
        self._held: tuple[Any, ...] | None = None
        self._step = -1
        self.steps_told = True  # False where repetitions need no line of their own

    @property
    def log(self) -> tuple[SimulationEvent, ...]:
        """All events in order, and how many elements were not named."""
        unnamed = [
            SimulationEvent(
                time=self._log[-1].time,
                kind="limit",
                element=self._spec.name,
                message=f"{len(found) - MOST_NAMED} more: {what}",
            )
            for what, found in self._passed.items()
            if len(found) > MOST_NAMED
        ]
        return (*self._log, *unnamed)

    def state(self) -> dict[str, Any]:
        """Return the log and what is known already as plain values; :meth:`restore` takes them."""
        return {
            "log": [asdict(event) for event in self._log],
            "begun": sorted(self._begun),
            "over": sorted(self._over),
            "passed": {what: sorted(found) for what, found in self._passed.items()},
            "held": self._held,
            "step": self._step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a log that :meth:`state` returned."""
        self._log = [SimulationEvent(**entry) for entry in state["log"]]
        self._begun, self._over = set(state["begun"]), set(state["over"])
        self._passed = {what: set(found) for what, found in state["passed"].items()}
        self._held = tuple(state["held"]) if state["held"] else None
        self._step = state["step"]

    def add(self, time: float, kind: str, element: str, message: str) -> None:
        """Add one event."""
        self._log.append(SimulationEvent(time=time, kind=kind, element=element, message=message))

    def note_step(self, progress: ScenarioProgress, time: float) -> None:
        """Log that another step has begun, or that all are done."""
        if progress.step == self._step or not self.steps_told:
            return
        self._step = progress.step
        step = self._player.current_step(progress)
        count = len(self._player.steps)
        words = "all steps are done" if step is None else f"step {progress.step + 1} of {count}: {step.title}"
        self.add(time, "step", self._spec.name, words)

    def note_faults(self, time: float) -> None:
        """Log faults that have begun or are over."""
        for number, fault in enumerate(self._player.scenario.faults):
            element = ", ".join(getattr(fault, "target", ()))
            if fault.at <= time and number not in self._begun:
                self._begun.add(number)
                self.add(fault.at, "fault", element, f"{fault.title}: {fault.describe()}")
            if fault.end <= time and number not in self._over:
                self._over.add(number)
                self.add(fault.end, "fault", element, f"{fault.title}: over")

    def note_demand(self, demand: Demand, progress: ScenarioProgress, time: float) -> None:
        """Log a contactor that keeps a demand from being met."""
        stuck = [fault for fault in self._player.active_faults(time) if isinstance(fault, StuckContactor)]
        if stuck and not demand.connected.all():
            self._pass_once(
                f"contactor open in step {progress.step + 1}",
                np.flatnonzero(~demand.connected),
                time,
                lambda string: "pack" if self._spec.strings == 1 else f"string:{string}",
                lambda _: "a contactor is stuck open: what the step asks for does not flow through it",
            )

    def note_held(self, limited: int, asked: float, progress: ScenarioProgress, time: float) -> None:
        """Log the group that holds the current back; ``limited`` is 1 + its index, 0 for none."""
        if limited <= 0:
            return
        charging = asked < 0.0
        # A step that is done again and again is told of once in a row.
        step = self._player.current_step(progress)
        key = ("" if step is None else step.title, "charge" if charging else "discharge")
        if self._held == key:
            return
        self._held = key
        cell = self._spec.cell
        limit = cell.highest_voltage if charging else cell.lowest_voltage
        group = self._spec.element_ids(Level.GROUP)[limited - 1]
        self.add(time, "limit", group, f"voltage is at its limit of {limit:.3f} V: {key[1]} current is held back")

    def note_runaway(self, cell: int, time: float, what: str) -> bool:
        """Log what happens to a cell that runs away, once; return whether it is new. ``what`` begins with a word."""
        word = what.partition(":")[0]
        new = cell not in self._passed.get(word, set())
        self._pass_once(
            word,
            np.array([cell]),
            time,
            lambda index: self._spec.element_ids(Level.CELL)[index],
            lambda _: what,
            "runaway",
        )
        return new

    def note_limits(self, sample: ScenarioSample) -> None:
        """Log every cell and group that has passed a limit of the cell's data sheet for the first time."""
        cell = self._spec.cell
        groups, cells = Level.GROUP, Level.CELL
        ids = self._spec.element_ids(cells)
        self._pass(
            "voltage", sample.group_voltage, cell.highest_voltage, 1.0, groups, "V", sample.time, VOLTAGE_TOLERANCE
        )
        self._pass(
            "voltage", sample.group_voltage, cell.lowest_voltage, -1.0, groups, "V", sample.time, VOLTAGE_TOLERANCE
        )
        self._pass("temperature", sample.cell_temperature, cell.highest_temperature, 1.0, cells, "K", sample.time)
        self._pass("temperature", sample.cell_temperature, cell.lowest_temperature, -1.0, cells, "K", sample.time)
        self._pass("current", sample.cell_current, cell.highest_discharge_current, 1.0, cells, "A", sample.time)
        self._pass("current", sample.cell_current, -cell.highest_charge_current, -1.0, cells, "A", sample.time)
        charging = sample.cell_current < -0.01 * cell.capacity
        cold = np.where(charging, sample.cell_temperature, np.inf)
        hot = np.flatnonzero(sample.cell_temperature > REACTIONS_FROM)[:1]
        if hot.size and not self._player.scenario.physics.abuse and _NO_REACTIONS not in self._passed:
            self._pass_once(
                _NO_REACTIONS,
                hot,
                sample.time,
                lambda index: ids[index],
                lambda index: (
                    f"temperature {sample.cell_temperature[index]:.0f} K: cells react above {REACTIONS_FROM:.0f} K, "
                    f"and no thermal runaway is simulated; {ABUSE_REMEDY}"
                ),
            )
        self._pass("temperature while charging", cold, cell.lowest_charge_temperature, -1.0, cells, "K", sample.time)

    def _pass(
        self,
        quantity: str,
        values: Array,
        limit: float,
        sign: float,
        level: Level,
        unit: str,
        time: float,
        tolerance: float = 0.0,
    ) -> None:
        beyond = np.flatnonzero(sign * (values - limit) > tolerance)
        side = "above" if sign > 0.0 else "below"
        ids = self._spec.element_ids(level)
        self._pass_once(
            f"{level.value} {quantity} {side} {limit:g} {unit}",
            beyond,
            time,
            lambda index: ids[index],
            lambda index: f"{quantity} {values[index]:.3f} {unit} is {side} its limit of {limit:.3f} {unit}",
        )

    def _pass_once(
        self,
        what: str,
        elements: NDArray[np.int64],
        time: float,
        name: Callable[[int], str],
        message: Callable[[int], str],
        kind: str = "limit",
    ) -> None:
        known = self._passed.setdefault(what, set())
        for element in elements.tolist():
            if element in known:
                continue
            known.add(element)
            if len(known) <= MOST_NAMED:
                self.add(time, kind, name(element), message(element))
