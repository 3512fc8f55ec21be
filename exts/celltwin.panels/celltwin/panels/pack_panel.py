"""Window with the pack's figures, data quality and alarms."""

from __future__ import annotations

import omni.ui as ui

from celltwin.core import PackSpec, PackState, Quality

from .alarm_rows import AlarmRow, alarm_rows
from .channels import PACK_CHANNELS, Shown, count_qualities
from .control_rows import MODE_LABELS
from .display_text import MISSING, QUALITY_LABELS, show_duration
from .style import ALARM_COLOURS, PALETTE, QUALITY_STYLES, SPACING, colour
from .twin_handle import TwinHandle
from .widgets import build_heading, open_window, set_name, set_text

__all__ = ["PackPanel"]

TITLE = "Pack"
TILES = ("voltage", "current", "power", "soc")
MOST_ALARMS = 60
COLUMNS = (("Where", 104), ("Quantity", 96), ("Value", 84), ("Limit", 76))


class PackPanel:
    """Figures of the newest process image; nothing here waits or computes more than a glance needs."""

    def __init__(self) -> None:
        self._spec: PackSpec | None = None
        self._shown_state: PackState | None = None
        self._texts: dict[str, tuple[ui.Label, ui.Label]] = {}
        self._alarms: tuple[AlarmRow, ...] | None = None
        self.window = open_window(TITLE, 400, 860, self._build)

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """Value and note that each channel shows."""
        return {key: (str(value.text), str(note.text)) for key, (value, note) in self._texts.items()}

    @property
    def qualities(self) -> dict[str, Quality | None]:
        """Quality that each channel's value is drawn in."""
        by_name = {name: quality for quality, name in QUALITY_STYLES.items()}
        return {key: by_name[value.name.partition("_")[2]] for key, (value, _) in self._texts.items()}

    @property
    def time_text(self) -> str:
        """Time shown."""
        return str(self._time.text)

    @property
    def mode_text(self) -> str:
        """Mode shown."""
        return str(self._mode.text)

    @property
    def alarm_count(self) -> int:
        """Number of alarms listed."""
        return len(self._alarms or ())

    def show(self, twin: TwinHandle | None) -> None:
        """Show the newest process image of a twin; cheap when nothing has changed."""
        spec = None if twin is None else twin.spec
        if spec is not self._spec:
            self._spec, self._shown_state = spec, None
            self.window.frame.rebuild()
            return
        if twin is None or not self._texts:
            return
        set_text(self._mode, MODE_LABELS[twin.mode][0])
        state = twin.state
        if state is None or state is self._shown_state:
            return
        self._shown_state = state
        set_text(self._time, show_duration(state.time))
        for channel in PACK_CHANNELS:
            self._show_figure(channel.key, channel.show(state, twin.spec))
        self._show_quality(state)
        self._show_alarms(alarm_rows(state.alarms))

    def destroy(self) -> None:
        """Close the window."""
        self.window.destroy()

    # Building

    def _build(self) -> None:
        self._texts.clear()
        self._alarms = None
        with ui.HStack():
            ui.Spacer(width=10)
            with ui.VStack(spacing=SPACING):
                ui.Spacer(height=4)
                if self._spec is None:
                    ui.Label("No twin is running.", name="faint", alignment=ui.Alignment.CENTER)
                else:
                    self._build_figures(self._spec)
                ui.Spacer(height=4)
            ui.Spacer(width=10)

    def _build_figures(self, spec: PackSpec) -> None:
        ui.Label(spec.title, name="strong", height=22, elided_text=True)
        with ui.HStack(height=20):
            ui.Label("Mode", name="faint", width=42)
            self._mode = ui.Label(MISSING, name="link", width=ui.Fraction(1))
            ui.Label("Time", name="faint", width=36)
            self._time = ui.Label(MISSING, name="value_good", width=64, alignment=ui.Alignment.RIGHT_CENTER)
        labels = {channel.key: channel.label for channel in PACK_CHANNELS}
        for pair in (TILES[:2], TILES[2:]):
            with ui.HStack(height=72, spacing=SPACING):
                for key in pair:
                    self._build_tile(key, labels[key])
        with ui.VStack(height=0, spacing=2):
            for channel in PACK_CHANNELS:
                if channel.key not in TILES:
                    self._build_row(channel.key, channel.label)
        build_heading("MEASURED VALUES BY QUALITY")
        self._quality_bar = ui.Frame(height=8, build_fn=self._build_quality_bar)
        with ui.HStack(height=18, spacing=4):
            self._quality_texts = {}
            for quality in Quality:
                ui.Circle(radius=4, width=10, style={"background_color": colour(PALETTE[QUALITY_STYLES[quality]])})
                self._quality_texts[quality] = ui.Label("", name="small")
        self._alarm_heading = build_heading("ALARMS")
        with ui.HStack(height=18, spacing=4):
            ui.Spacer(width=4)
            for title, width in COLUMNS:
                ui.Label(title, name="faint", width=width)
        with ui.ScrollingFrame(
            horizontal_scrollbar_policy=ui.ScrollBarPolicy.SCROLLBAR_ALWAYS_OFF,
            vertical_scrollbar_policy=ui.ScrollBarPolicy.SCROLLBAR_AS_NEEDED,
        ):
            self._alarm_frame = ui.Frame(build_fn=self._build_alarms)

    def _build_tile(self, key: str, label: str) -> None:
        with ui.ZStack():
            ui.Rectangle(name="panel")
            with ui.HStack():
                ui.Spacer(width=10)
                with ui.VStack():
                    ui.Spacer(height=6)
                    with ui.HStack(height=18):
                        ui.Label(label, name="faint")
                        note = ui.Label("", name="note_good", alignment=ui.Alignment.RIGHT_CENTER)
                    value = ui.Label(MISSING, name="figure_missing", height=36)
                    ui.Spacer()
                ui.Spacer(width=10)
        self._texts[key] = (value, note)

    def _build_row(self, key: str, label: str) -> None:
        with ui.HStack(height=22):
            ui.Label(label, name="faint", width=104)
            value = ui.Label(MISSING, name="value_missing", width=100)
            note = ui.Label("", name="note_good", elided_text=True)
        self._texts[key] = (value, note)

    def _build_quality_bar(self) -> None:
        counts = count_qualities(self._shown_state) if self._shown_state is not None else {}
        with ui.HStack(spacing=1):
            if not any(counts.values()):
                ui.Rectangle(name="panel")
            for quality, count in counts.items():
                if count:
                    ui.Rectangle(
                        width=ui.Fraction(count),
                        style={"background_color": colour(PALETTE[QUALITY_STYLES[quality]]), "border_radius": 2},
                    )

    def _build_alarms(self) -> None:
        rows = self._alarms or ()
        with ui.VStack(height=0, spacing=2):
            if not rows:
                ui.Label("No limit is crossed.", name="faint", height=22)
            for row in rows[:MOST_ALARMS]:
                with ui.ZStack(height=22, tooltip=row.message):
                    ui.Rectangle(name="row")
                    with ui.HStack(spacing=4):
                        ui.Rectangle(width=4, style={"background_color": colour(ALARM_COLOURS[row.severity])})
                        texts = (row.element, row.quantity, row.value, row.limit)
                        for text, (_, width) in zip(texts, COLUMNS, strict=True):
                            ui.Label(text, name="small", width=width, elided_text=True)
            if len(rows) > MOST_ALARMS:
                ui.Label(f"and {len(rows) - MOST_ALARMS:,} more", name="faint", height=22)

    # Showing

    def _show_figure(self, key: str, shown: Shown) -> None:
        value, note = self._texts[key]
        set_text(value, shown.text)
        set_text(note, shown.note)
        name = QUALITY_STYLES[shown.quality]
        set_name(value, f"{'figure' if key in TILES else 'value'}_{name}")
        set_name(note, f"note_{name}")

    def _show_quality(self, state: PackState) -> None:
        counts = count_qualities(state)
        changed = False
        for quality, count in counts.items():
            text = f"{count:,} {QUALITY_LABELS[quality]}"
            changed = changed or self._quality_texts[quality].text != text
            set_text(self._quality_texts[quality], text)
        if changed:
            self._quality_bar.rebuild()

    def _show_alarms(self, rows: tuple[AlarmRow, ...]) -> None:
        if rows == self._alarms:
            return
        self._alarms = rows
        set_text(self._alarm_heading, f"ALARMS ({len(rows):,})" if rows else "ALARMS")
        self._alarm_frame.rebuild()
