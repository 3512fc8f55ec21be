"""Window with the mode, the recommended set-points and their reasons, and what the shield changed."""

from __future__ import annotations

from functools import partial

import omni.ui as ui

from celltwin.core import Advice, Command, Mode, PackSpec

from .control_rows import MODE_LABELS, ControlView, Decision, SetPointRow, control_view
from .display_text import MISSING
from .style import SPACING
from .twin_handle import TwinHandle
from .widgets import build_heading, open_window, set_name, set_text

__all__ = ["ControlPanel"]

TITLE = "Control"
# Titles of the table, and parts of its width.
COLUMNS = (("Module", 7), ("Charge current", 12), ("Coolant flow", 11), ("now", 10), ("Balancing", 14))


class ControlPanel:
    """What the twin recommends and may do; every button hands over at once and returns."""

    def __init__(self) -> None:
        self._twin: TwinHandle | None = None
        self._spec: PackSpec | None = None
        self._seen: tuple[Advice | None, Command | None, Mode, float, Decision | None] | None = None
        self._decision: Decision | None = None
        self._module = 0
        self._rows: list[tuple[ui.Rectangle, tuple[ui.Label, ...]]] = []
        self._mode_buttons: dict[Mode, ui.Button] = {}
        self._view: ControlView | None = None
        self.window = open_window(TITLE, 1040, 330, self._build)

    @property
    def mode_buttons(self) -> dict[Mode, ui.Button]:
        """The buttons of the mode switch."""
        return self._mode_buttons

    @property
    def apply_button(self) -> ui.Button:
        """The button that lets the advice act."""
        return self._apply

    @property
    def reject_button(self) -> ui.Button:
        """The button that keeps the advice from acting."""
        return self._reject

    @property
    def status_text(self) -> str:
        """What is said about the advice."""
        return str(self._status.text)

    @property
    def reason_text(self) -> str:
        """Why, for the chosen module."""
        return str(self._reason.text)

    @property
    def expected_text(self) -> str:
        """What to expect, for the chosen module."""
        return str(self._expected.text)

    @property
    def shield_text(self) -> str:
        """What the shield changed."""
        return str(self._shield.text)

    def row_widget(self, module: int) -> ui.Rectangle:
        """Return the background of a module's row."""
        return self._rows[module][0]

    def show(self, twin: TwinHandle | None) -> None:
        """Show the newest advice, command and mode of a twin; cheap when nothing has changed."""
        self._twin = twin
        spec = None if twin is None else twin.spec
        if spec is not self._spec:
            self._spec, self._seen, self._decision, self._module = spec, None, None, 0
            self.window.frame.rebuild()
            return
        if twin is None or not self._mode_buttons:
            return
        state = twin.state
        seen = (twin.advice, twin.command, twin.mode, -1.0 if state is None else state.time, self._decision)
        if seen == self._seen:
            return
        self._seen = seen
        view = control_view(twin.spec, state, twin.advice, twin.command, twin.mode, self._decision)
        self._show(view)

    def destroy(self) -> None:
        """Close the window."""
        self._twin = None
        self.window.destroy()

    # Building

    def _build(self) -> None:
        self._rows.clear()
        self._mode_buttons = {}
        self._view = None
        with ui.HStack(spacing=14):
            ui.Spacer(width=0)
            if self._spec is None:
                ui.Label("No twin is running.", name="faint", alignment=ui.Alignment.CENTER)
            else:
                with ui.VStack(width=176, spacing=SPACING):
                    ui.Spacer(height=2)
                    self._build_switch()
                with ui.VStack(width=ui.Fraction(8), spacing=SPACING):
                    ui.Spacer(height=2)
                    self._build_table(self._spec)
                with ui.VStack(width=ui.Fraction(4), spacing=SPACING):
                    ui.Spacer(height=2)
                    self._build_reasons()
            ui.Spacer(width=0)

    def _build_switch(self) -> None:
        build_heading("MODE")
        with ui.VStack(height=0, spacing=3):
            for mode, (label, _) in MODE_LABELS.items():
                self._mode_buttons[mode] = ui.Button(label, height=26, clicked_fn=partial(self._choose_mode, mode))
        self._mode_text = ui.Label("", name="faint", word_wrap=True, height=38)
        build_heading("ADVICE")
        with ui.HStack(height=28, spacing=4):
            self._apply = ui.Button("Apply", name="primary", clicked_fn=partial(self._decide, True), enabled=False)
            self._reject = ui.Button("Reject", clicked_fn=partial(self._decide, False), enabled=False)
        self._status = ui.Label("", name="small", word_wrap=True, height=36)
        ui.Spacer()

    def _build_table(self, spec: PackSpec) -> None:
        self._headline = build_heading("RECOMMENDED SET-POINTS")
        with ui.HStack(height=18, spacing=4):
            ui.Spacer(width=4)
            for title, part in COLUMNS:
                ui.Label(title, name="faint", width=ui.Fraction(part), elided_text=True)
            ui.Spacer(width=8)  # above the scroll bar
        with (
            ui.ScrollingFrame(
                horizontal_scrollbar_policy=ui.ScrollBarPolicy.SCROLLBAR_ALWAYS_OFF,
                vertical_scrollbar_policy=ui.ScrollBarPolicy.SCROLLBAR_AS_NEEDED,
            ),
            ui.VStack(height=0, spacing=2),
        ):
            for index in range(spec.n_modules):
                with ui.ZStack(height=21, mouse_pressed_fn=partial(self._choose_module, index)):
                    back = ui.Rectangle(name="row")
                    with ui.HStack(spacing=4):
                        ui.Spacer(width=4)
                        labels = tuple(
                            ui.Label(MISSING, name="small", width=ui.Fraction(part), elided_text=True)
                            for _, part in COLUMNS
                        )
                self._rows.append((back, labels))

    def _build_reasons(self) -> None:
        self._reason_heading = build_heading("WHY")
        self._reason = ui.Label(MISSING, name="small", word_wrap=True, height=0)
        build_heading("EXPECTED EFFECT")
        self._expected = ui.Label(MISSING, name="small", word_wrap=True, height=0)
        build_heading("COMMAND BEHIND THE SHIELD")
        self._command = ui.Label(MISSING, name="small", word_wrap=True, height=0)
        self._shield = ui.Label("", name="note_stale", word_wrap=True, height=0)
        ui.Spacer()

    # Showing

    def _show(self, view: ControlView) -> None:
        self._view = view
        for mode, button in self._mode_buttons.items():
            set_name(button, "chosen" if mode is view.mode else "")
        set_text(self._mode_text, MODE_LABELS[view.mode][1])
        self._apply.enabled, self._reject.enabled = view.may_apply, view.may_reject
        set_text(self._status, view.status)
        set_text(self._headline, view.headline)
        for row, (_, labels) in zip(view.rows, self._rows, strict=False):
            texts = (row.module, row.charge_current, row.coolant_flow, row.coolant_now, row.balancing)
            for text, label in zip(texts, labels, strict=True):
                set_text(label, text)
        set_text(self._command, view.command)
        set_text(self._shield, "\n".join(view.shield) if view.shield else "")
        self._show_module()

    def _show_module(self) -> None:
        for index, (back, _) in enumerate(self._rows):
            set_name(back, "row_selected" if index == self._module else "row")
        rows = self._view.rows if self._view is not None else ()
        row: SetPointRow | None = rows[self._module] if self._module < len(rows) else None
        set_text(self._reason_heading, f"WHY, MODULE {row.module}" if row else "WHY")
        set_text(self._reason, row.reason if row else MISSING)
        set_text(self._expected, row.expected if row else MISSING)

    # Acting

    def _choose_mode(self, mode: Mode) -> None:
        if self._twin is not None:
            self._twin.set_mode(mode)
            self.show(self._twin)

    def _choose_module(self, index: int, _x: float, _y: float, button: int, _modifiers: int) -> None:
        if button == 0:
            self._module = index
            self._show_module()

    def _decide(self, applied: bool) -> None:
        twin = self._twin
        if twin is None or twin.advice is None:
            return
        self._decision = Decision(advice_time=twin.advice.time, applied=applied)
        if applied:
            twin.apply_advice()
        else:
            twin.reject_advice()
        self.show(twin)
