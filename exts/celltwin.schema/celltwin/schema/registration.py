"""Making the schemas known to USD."""

from __future__ import annotations

import logging
from pathlib import Path

from celltwin.core import StageError

__all__ = ["register_schemas", "schema_folder"]

_LOGGER = logging.getLogger(__name__)


def schema_folder() -> Path:
    """Return the folder that holds ``plugInfo.json`` and ``generatedSchema.usda``."""
    return Path(__file__).parent / "battery"


def register_schemas() -> None:
    """Make the battery schemas known to USD's plugin registry; a second call does nothing.

    USD builds its list of schemas when the process first asks for one, so this must come before the first stage
    is opened. Importing ``celltwin.stage`` calls it; in Kit, the extension ``celltwin.schema`` loads early for it.

    Raises
    ------
    StageError
        If USD had already built its list of schemas without ours.
    """
    from pxr import Plug, Usd

    from .rendering import PLUGIN_NAME

    registry = Plug.Registry()
    if registry.GetPluginWithName(PLUGIN_NAME) is None:
        registry.RegisterPlugins(str(schema_folder()))
        _LOGGER.debug("registered the battery schemas in %s", schema_folder())
    if Usd.SchemaRegistry().FindAppliedAPIPrimDefinition("BatteryPackAPI") is None:
        raise StageError(
            "USD opened a stage before the battery schemas were registered",
            where=str(schema_folder()),
            remedy="Import celltwin.stage before the first stage is opened; in Kit, let celltwin.schema load at start",
        )
