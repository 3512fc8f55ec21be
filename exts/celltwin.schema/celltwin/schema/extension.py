"""Kit shell: registers the battery schemas before anything opens a stage."""

import omni.ext

from .registration import register_schemas


class SchemaExtension(omni.ext.IExt):
    """Register on startup; USD has no way to take schemas back, so shutdown does nothing."""

    def on_startup(self, ext_id: str) -> None:
        """Make the schemas known to USD."""
        register_schemas()

    def on_shutdown(self) -> None:
        """Leave the schemas registered."""
