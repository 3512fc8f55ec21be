"""What the control panel shows and allows: set-points, reasons, the shield's changes, and enabled buttons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celltwin.core import Advice, Command, Mode, PackSpec, PackState

from .display_text import MISSING, drawable, show_duration, show_value

__all__ = ["MODE_LABELS", "ControlView", "Decision", "SetPointRow", "control_view"]

MODE_LABELS = {
    Mode.OBSERVE: ("Observe", "The twin watches. Advice is not acted on."),
    Mode.ADVISE: ("Advise", "The twin advises. It acts on what you apply."),
    Mode.AUTONOMOUS: ("Autonomous", "The twin acts on its advice, behind the shield."),
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the operator did with an advice: its time [s], and whether it was applied or rejected."""

    advice_time: float
    applied: bool


@dataclass(frozen=True, kw_only=True)
class SetPointRow:
    """Recommended set-points of one module, and why.

    Attributes
    ----------
    module : str
        Id.
    charge_current, coolant_flow, balancing : str
        Recommended, with units.
    coolant_now : str
        What the plant has now; a dash where unknown.
    reason, expected : str
        Why, and what to expect.
    """

    module: str
    charge_current: str
    coolant_flow: str
    coolant_now: str
    balancing: str
    reason: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class ControlView:
    """Everything that the control panel draws.

    Attributes
    ----------
    mode : Mode
        How far the twin may act.
    rows : tuple of SetPointRow
        One a module; empty without advice.
    headline : str
        Age and source of the advice.
    status : str
        Whether the advice acts, and why not.
    command : str
        What the plant got last.
    shield : tuple of str
        What the shield changed; empty where nothing.
    may_apply, may_reject : bool
        Whether the buttons are enabled.
    """

    mode: Mode
    rows: tuple[SetPointRow, ...]
    headline: str
    status: str
    command: str
    shield: tuple[str, ...]
    may_apply: bool
    may_reject: bool


def control_view(
    spec: PackSpec,
    state: PackState | None,
    advice: Advice | None,
    command: Command | None,
    mode: Mode,
    decision: Decision | None = None,
) -> ControlView:
    """Return what the control panel draws and allows.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    state, advice, command
        Newest of each, or None.
    mode : Mode
        How far the twin may act.
    decision : Decision, optional
        What the operator did last.
    """
    decided = decision if decision is not None and advice is not None and decision.advice_time == advice.time else None
    may_act = mode is Mode.ADVISE and advice is not None and command is not None
    return ControlView(
        mode=mode,
        rows=() if advice is None else _rows(spec, advice, command),
        headline=_headline(state, advice),
        status=_status(mode, advice, command, decided),
        command=_command_line(command),
        shield=() if command is None else tuple(drawable(text) for text in command.interventions),
        may_apply=may_act and (decided is None or not decided.applied),
        may_reject=may_act and (decided is None or decided.applied),
    )


def _rows(spec: PackSpec, advice: Advice, command: Command | None) -> tuple[SetPointRow, ...]:
    balancing = advice.balancing_current.reshape(spec.n_modules, spec.series)
    return tuple(
        SetPointRow(
            module=module.id,
            charge_current=show_value("charge_current", float(advice.charge_current[index])),
            coolant_flow=_flow(spec, float(advice.coolant_flow[index])),
            coolant_now=MISSING if command is None else _flow(spec, float(command.coolant_flow[index])),
            balancing=_balancing(balancing[index]),
            reason=drawable(advice.reasons[index]),
            expected=drawable(advice.expected[index]),
        )
        for index, module in enumerate(spec.modules)
    )


def _flow(spec: PackSpec, value: float) -> str:
    return show_value("coolant_flow", value) if spec.cooling.highest_flow > 0.0 else "no coolant"


def _balancing(currents: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    bled = np.flatnonzero(currents > 0.0)
    if bled.size == 0:
        return "none"
    what = "group" if bled.size == 1 else "groups"
    return f"{bled.size} {what}, {show_value('balancing_current', float(currents.max()))}"


def _headline(state: PackState | None, advice: Advice | None) -> str:
    if advice is None:
        return "No advice yet: candidates are being simulated."
    age = "" if state is None else f", {show_duration(max(state.time - advice.time, 0.0))} old"
    return f"Advice of {show_duration(advice.time)}{age} · {drawable(advice.provenance)}"


def _status(mode: Mode, advice: Advice | None, command: Command | None, decided: Decision | None) -> str:
    if advice is None:
        return ""
    if command is None:
        return "There is no plant to act on."
    if mode is Mode.AUTONOMOUS:
        return "The newest advice acts by itself."
    if mode is Mode.OBSERVE:
        return "Not acted on in this mode."
    if decided is None:
        return "Waiting for your decision."
    return "Applied." if decided.applied else "Rejected."


def _command_line(command: Command | None) -> str:
    if command is None:
        return "No plant takes commands: the twin follows a recording."
    current = command.pack_current
    what = "charging" if current < 0.0 else "discharging" if current > 0.0 else "rest"
    return f"{show_value('current', current)} ({what}), by {command.origin}"
