"""Kit shell of the running twin."""

from contextlib import ExitStack
from dataclasses import fields

import carb.settings
import omni.ext
import omni.kit.app
from carb.eventdispatcher import Event, get_eventdispatcher

from celltwin.core import CelltwinError

from .console import RunConsole
from .job import TwinJob
from .settings import TwinSettings, settings_from

EVENT_STEPPED = "celltwin.runtime:stepped"
SETTINGS = "/exts/celltwin.runtime"
EXIT_USAGE = 2


class RuntimeExtension(omni.ext.IExt):
    """Own one job; drive it with Kit's updates; release everything on shutdown."""

    def on_startup(self, ext_id: str) -> None:
        """Start the job that the settings declare, where ``run`` is set."""
        self._cleanup = ExitStack()
        self._job: TwinJob | None = None
        settings = carb.settings.get_settings()
        if not settings.get_as_bool(f"{SETTINGS}/run"):
            return
        app = omni.kit.app.get_app()
        try:
            values = {item.name: settings.get(f"{SETTINGS}/{item.name}") for item in fields(TwinSettings)}
            chosen = settings_from({name: value for name, value in values.items() if value is not None})
            self._job = TwinJob(chosen, host=f"Kit {app.get_kit_version()}")
        except CelltwinError as error:
            _say(f"[red]error[/red]  {error}")
            app.post_quit(EXIT_USAGE)
            return
        self._quit_when_done = settings.get_as_bool(f"{SETTINGS}/quit_when_done")
        with ExitStack() as cleanup:  # Kit calls no on_shutdown after a failed startup
            cleanup.callback(self._job.close)
            self._console = RunConsole(self._job)
            self._console.start()
            cleanup.callback(self._console.stop)
            guard = get_eventdispatcher().observe_event(
                observer_name=f"{ext_id}:update",
                event_name=omni.kit.app.GLOBAL_EVENT_UPDATE,
                on_event=self._on_update,
            )
            cleanup.callback(guard.reset)
            self._cleanup = cleanup.pop_all()

    def on_shutdown(self) -> None:
        """Finish the recordings and the workers."""
        self._cleanup.close()
        self._job = None

    def _on_update(self, event: Event) -> None:
        job = self._job
        if job is None or job.done:
            return
        for state in job.update(event["dt"]):
            omni.kit.app.queue_event(EVENT_STEPPED, payload={"time": state.time, "step": state.step})
        self._console.update()
        if job.done and self._quit_when_done:
            omni.kit.app.get_app().post_quit(job.exit_code)


def _say(line: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(line)
