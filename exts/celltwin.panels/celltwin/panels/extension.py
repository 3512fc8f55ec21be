"""Kit shell of the panels."""

import logging
import sys
from contextlib import ExitStack

import carb.settings
import omni.ext
import omni.kit.app
from carb.eventdispatcher import get_eventdispatcher

from celltwin.runtime import current_twin

_logger = logging.getLogger(__name__)

TILED_SETTING = "/exts/celltwin.panels/tiled"


class PanelsExtension(omni.ext.IExt):
    """Own the windows; refresh them with Kit's updates; take the menu back on shutdown."""

    def on_startup(self, ext_id: str) -> None:
        """Open the windows where this Kit can draw."""
        self._cleanup = ExitStack()
        if "omni.ui" not in sys.modules:  # the desk's host or the editor imports it before any extension starts
            _logger.info("this Kit has no omni.ui: no panels")
            return
        from .desk import Desk
        from .menu import WindowMenu

        tiled = carb.settings.get_settings().get_as_bool(TILED_SETTING)
        with ExitStack() as cleanup:  # Kit calls no on_shutdown after a failed startup
            desk = Desk(current_twin, tiled=tiled)
            cleanup.callback(desk.destroy)
            menu = WindowMenu(ext_id, desk.windows)
            cleanup.callback(menu.close)
            guard = get_eventdispatcher().observe_event(
                observer_name=f"{ext_id}:update",
                event_name=omni.kit.app.GLOBAL_EVENT_UPDATE,
                on_event=lambda _: desk.refresh(),
            )
            cleanup.callback(guard.reset)
            self._cleanup = cleanup.pop_all()

    def on_shutdown(self) -> None:
        """Close the windows."""
        self._cleanup.close()
