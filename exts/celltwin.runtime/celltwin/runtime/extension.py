"""Kit shell of the running twin, and of campaigns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields

import carb.settings
import omni.ext
import omni.kit.app
from carb.eventdispatcher import Event, get_eventdispatcher

from celltwin.core import CelltwinError, StageError
from celltwin.stage import Stage, find_pack

from .campaign.campaign_console import CampaignConsole
from .campaign.campaign_job import CampaignJob
from .console import RunConsole, say
from .job import TwinJob
from .settings import TwinSettings, settings_from

EVENT_STEPPED = "celltwin.runtime:stepped"
SETTINGS = "/exts/celltwin.runtime"
EXIT_USAGE = 2


class RuntimeExtension(omni.ext.IExt):
    """Own one job; start it when the ``run`` setting becomes true; drive it with Kit's updates."""

    def on_startup(self, ext_id: str) -> None:
        """Watch the ``run`` setting, and start a twin or a campaign at once where it is true."""
        self._ext_id = ext_id
        self._running = ExitStack()
        self._job: TwinJob | CampaignJob | None = None
        self._subscription = omni.kit.app.SettingChangeSubscription(f"{SETTINGS}/run", self._on_run_changed)
        self._on_run_changed()

    def on_shutdown(self) -> None:
        """Finish the recordings and the workers."""
        self._subscription = None
        self._stop()

    def _on_run_changed(self, *_: object) -> None:
        if carb.settings.get_settings().get_as_bool(f"{SETTINGS}/run"):
            self._start()
        else:
            self._stop()

    def _start(self) -> None:
        if self._job is not None and not self._job.done:
            return
        self._stop()
        settings, app = carb.settings.get_settings(), omni.kit.app.get_app()
        try:
            values = {item.name: settings.get(f"{SETTINGS}/{item.name}") for item in fields(TwinSettings)}
            chosen = settings_from({name: value for name, value in values.items() if value is not None})
            with ExitStack() as running:
                on_update = (
                    self._start_campaign(chosen, running) if chosen.campaign else self._start_twin(chosen, running)
                )
                guard = get_eventdispatcher().observe_event(
                    observer_name=f"{self._ext_id}:update",
                    event_name=omni.kit.app.GLOBAL_EVENT_UPDATE,
                    on_event=on_update,
                )
                running.callback(guard.reset)
                self._running = running.pop_all()
        except CelltwinError as error:
            say(f"[red]error[/red]  {error}")
            if settings.get_as_bool(f"{SETTINGS}/quit_when_done"):
                app.post_quit(EXIT_USAGE)

    def _start_twin(self, chosen: TwinSettings, running: ExitStack) -> Callable[[Event], None]:
        version = omni.kit.app.get_app().get_kit_version()
        job = TwinJob(chosen, host=f"Kit {version}", stage=_open_pack())
        console = RunConsole(job)
        self._job = job
        running.callback(console.stop)  # last, since it tells how the job ended
        running.callback(job.interrupt)
        console.start()
        job.prepare()

        def on_update(event: Event) -> None:
            if job.phase == "done":
                return
            for state in job.update(event["dt"]):
                omni.kit.app.queue_event(EVENT_STEPPED, payload={"time": state.time, "step": state.step})
            console.update()
            self._quit_if_done(job)

        return on_update

    def _start_campaign(self, chosen: TwinSettings, running: ExitStack) -> Callable[[Event], None]:
        job = CampaignJob(chosen.campaign, out=chosen.out, ray=chosen.ray, workers=chosen.workers)
        console = CampaignConsole()
        self._job = job
        running.callback(lambda: console.stop(job.closing))
        running.callback(job.interrupt)

        def on_update(_: Event) -> None:
            if job.done:
                return
            job.update()
            console.follow(job.opening, job.progress)
            self._quit_if_done(job)

        return on_update

    def _quit_if_done(self, job: TwinJob | CampaignJob) -> None:
        if job.done and carb.settings.get_settings().get_as_bool(f"{SETTINGS}/quit_when_done"):
            omni.kit.app.get_app().post_quit(job.exit_code)

    def _stop(self) -> None:
        self._running.close()
        self._running = ExitStack()
        self._job = None


def _open_pack() -> Stage | None:
    """Return the stage that is open in the editor, if it holds a pack; the kernel hosts have none."""
    try:
        import omni.usd
    except ImportError:
        return None
    stage: Stage | None = omni.usd.get_context().get_stage()
    if stage is None:
        return None
    try:
        find_pack(stage)
    except StageError:
        return None
    return stage
