"""Kit shell of the stage library."""

import omni.ext


class StageExtension(omni.ext.IExt):  # type: ignore[misc]  # Kit has no type hints
    """Hold nothing: the library works on whatever stage it is given, in any host."""

    def on_startup(self, ext_id: str) -> None:
        """Do nothing: importing ``celltwin.stage`` has registered the schemas."""

    def on_shutdown(self) -> None:
        """Do nothing: there is nothing to release."""
