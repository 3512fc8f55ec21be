"""Limits that need no model: the last word on every command.

Everything here follows from the data sheet, Ohm's law and what is measured now. The shield takes current away and
never adds any; what it changes it says, with element, value and limit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from celltwin.core import Array, Command, Level, PackSpec, PackState, find_quantity

from .current_limits import CurrentLimit, ShieldSettings, limit_current
from .measurements import Measurements, measure_pack

__all__ = ["Shield"]

_TEMPERATURE, _CURRENT = find_quantity("temperature"), find_quantity("current")
_FLOW, _BLEED = find_quantity("coolant_flow"), find_quantity("balancing_current")
_FIRST_STEP = 5.0  # s for which the ramp allows growth before there was any command


class Shield:
    """Keep commands within the limits of a pack.

    Parameters
    ----------
    spec : PackSpec
        The pack, whose cell's data sheet holds the limits.
    settings : ShieldSettings, optional
        What the data sheet does not say.

    Notes
    -----
    The only memory is the current that was let through in the last step, for the ramp: a command reviewed twice in
    one step comes out as it did the first time.
    """

    def __init__(self, spec: PackSpec, settings: ShieldSettings | None = None) -> None:
        self._spec = spec
        self._settings = settings or ShieldSettings()
        self._last: tuple[float, float] | None = None  # time [s] and current [A] of the step before
        self._latest: tuple[float, float] | None = None

    def review(self, command: Command, state: PackState) -> Command:
        """Return the command within the limits, with a note for each change.

        Missing or stale voltages or temperatures lead to the safe state: no current, and full coolant flow where the
        temperature is unknown.

        Parameters
        ----------
        command : Command
            What was decided.
        state : PackState
            Process image of the step.
        """
        if self._latest is not None and self._latest[0] != state.time:
            self._last = self._latest if self._latest[0] < state.time else None
        measured = measure_pack(self._spec, state, self._settings.stale_after)
        notes: list[str] = []
        current = self._review_current(command.pack_current, measured, state, notes)
        flow = self._review_flow(command.coolant_flow, measured, notes)
        balancing = self._review_balancing(command.balancing_current, measured, notes)
        self._latest = (state.time, current)
        if not notes:
            return command
        return replace(
            command,
            pack_current=current,
            coolant_flow=flow,
            balancing_current=balancing,
            origin="shield" if current != command.pack_current else command.origin,
            interventions=command.interventions + tuple(note for note in notes if note not in command.interventions),
        )

    def _review_current(self, asked: float, measured: Measurements, state: PackState, notes: list[str]) -> float:
        if not np.isfinite(asked):
            notes.append(f"pack current of {asked} A refused: not a number, set to 0 A")
            return 0.0
        limit = limit_current(self._spec, self._settings, measured, asked)
        ramp = self._ramp(asked, measured, state)
        limit = ramp if ramp.allowed < limit.allowed else limit
        allowed = max(limit.allowed, 0.0)
        if abs(asked) <= allowed:
            return asked
        verb = "charge" if asked < 0.0 else "discharge"
        notes.append(f"{verb} current {_CURRENT.format(abs(asked))} cut to {_CURRENT.format(allowed)}: {limit.reason}")
        return float(np.copysign(allowed, asked)) if allowed else 0.0

    def _ramp(self, asked: float, measured: Measurements, state: PackState) -> CurrentLimit:
        """Return how far the current may have grown since the last step."""
        spec, settings = self._spec, self._settings
        per_cell = spec.cell.highest_charge_current if asked < 0.0 else spec.cell.highest_discharge_current
        growth = settings.ramp * per_cell * spec.cells_in_parallel  # [A/s]
        if self._last is None:
            before, step = (measured.current if np.isfinite(measured.current) else 0.0), _FIRST_STEP
        else:
            before, step = self._last[1], state.time - self._last[0]
        flowing = abs(before) if before * asked > 0.0 else 0.0
        return CurrentLimit(
            allowed=flowing + growth * step, reason=f"current may grow by {_CURRENT.format(growth)} a second"
        )

    def _review_flow(self, asked: Array, measured: Measurements, notes: list[str]) -> Array:
        spec, highest = self._spec, self._spec.cooling.highest_flow
        if asked.shape != (spec.n_modules,):
            notes.append(f"coolant flow of shape {asked.shape} refused: set to {_FLOW.format(highest)}")
            return np.full(spec.n_modules, highest)
        flow = np.where(np.isfinite(asked), np.clip(asked, 0.0, highest), highest)
        warm = spec.cell.highest_temperature - self._settings.derating
        for place, (module, hottest) in enumerate(zip(spec.modules, measured.hottest, strict=True)):
            reason = f"outside 0 to {_FLOW.format(highest)}"
            if not np.isfinite(asked[place]):
                reason = "not a number"
            if hottest is None or hottest.value >= warm:
                flow[place] = highest
            if flow[place] == asked[place]:
                continue
            if hottest is None:
                reason = "no fresh temperature"
            elif hottest.value >= warm:
                reason = f"{hottest.element_id} at {_TEMPERATURE.format(hottest.value)}"
            asked_text = _FLOW.format(float(asked[place]))
            notes.append(
                f"coolant flow of {module.id} {asked_text} set to {_FLOW.format(float(flow[place]))}: {reason}"
            )
        return flow

    def _review_balancing(self, asked: Array, measured: Measurements, notes: list[str]) -> Array:
        spec, settings = self._spec, self._settings
        highest = settings.balancing_rate * spec.group_capacity
        if asked.shape != (spec.n_groups,):
            notes.append(f"balancing current of shape {asked.shape} refused: set to {_BLEED.format(0.0)}")
            return np.zeros(spec.n_groups)
        warm = spec.cell.highest_temperature - settings.derating
        hot = np.array([extreme is None or extreme.value >= warm for extreme in measured.hottest])
        voltage = measured.voltage
        allowed = np.where(np.isfinite(asked), np.clip(asked, 0.0, highest), 0.0)
        self._note_groups(allowed != asked, f"set within 0 to {_BLEED.format(highest)}", notes)
        for forbidden, reason in (
            (~np.isfinite(voltage), "stopped: no fresh voltage"),
            (voltage <= spec.cell.lowest_voltage, "stopped: at the lowest voltage"),
            (np.repeat(hot, spec.series), "stopped: module too warm, or its temperature unknown"),
        ):
            stopped = forbidden & (allowed > 0.0)
            self._note_groups(stopped, reason, notes)
            allowed = np.where(stopped, 0.0, allowed)
        return allowed

    def _note_groups(self, where: NDArray[np.bool_], what: str, notes: list[str]) -> None:
        """Add one note for all groups in question: the first by its id, the others by number."""
        groups = np.nonzero(where)[0]
        if groups.size:
            first = self._spec.element_ids(Level.GROUP)[groups[0]]
            more = f" and {groups.size - 1} more" if groups.size > 1 else ""
            notes.append(f"balancing of {first}{more} {what}")
