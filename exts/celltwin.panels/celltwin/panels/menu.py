"""Menu items that show and hide the windows, where Kit has menus."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import omni.ui as ui

__all__ = ["WindowMenu"]

MENU = "Window"


class WindowMenu:
    """One action and one menu item for each window; nothing in a Kit without menus, such as the desk's.

    Parameters
    ----------
    ext_id : str
        Id of the extension that owns the actions.
    windows : sequence of ui.Window
        The windows.
    """

    def __init__(self, ext_id: str, windows: Sequence[ui.Window]) -> None:
        self._ext_id = ext_id
        self._items: list[object] = []
        try:
            from omni.kit.actions.core import get_action_registry
            from omni.kit.menu.utils import MenuItemDescription, add_menu_items
        except ImportError:
            return
        registry = get_action_registry()
        entries = []
        for window in windows:
            action = f"toggle_{window.title.lower().replace(' ', '_')}"
            registry.register_action(
                ext_id,
                action,
                partial(_toggle, window),
                display_name=f"Celltwin: {window.title}",
                description=f"Show or hide the window {window.title}",
                tag="Celltwin",
            )
            entries.append(MenuItemDescription(name=window.title, onclick_action=(ext_id, action)))
        self._items = [MenuItemDescription(name="Celltwin", sub_menu=entries)]
        add_menu_items(self._items, MENU)

    def close(self) -> None:
        """Take the items and the actions back; a second call does nothing."""
        if not self._items:
            return
        from omni.kit.actions.core import get_action_registry
        from omni.kit.menu.utils import remove_menu_items

        remove_menu_items(self._items, MENU)
        get_action_registry().deregister_all_actions_for_extension(self._ext_id)
        self._items = []


def _toggle(window: ui.Window) -> None:
    window.visible = not window.visible
