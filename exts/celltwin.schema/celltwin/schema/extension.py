"""Kit shell: registers the battery schemas before anything opens a stage."""

import omni.ext

from .registration import register_schemas


class SchemaExtension(omni.ext.IExt):  # type: ignore[misc]  # Kit has no type hints
    """Register on startup; USD has no way to take schemas back, so shutdown does nothing."""

    def on_startup(self, ext_id: str) -> None:  # noqa: ARG002 Kit's signature
        """Make the schemas known to USD."""
        register_schemas()

    def on_shutdown(self) -> None:
        """Leave the schemas registered."""
