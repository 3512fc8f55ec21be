"""What a step leaves behind: values on the prims, colours, time samples and Parquet."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from celltwin.core import PackSpec, PackState, Recorder
from celltwin.stage import HeatMap, LiveLayer, StageRecorder, build_pack_stage, save_stage

from .run_folder import RunFolder

if TYPE_CHECKING:
    from celltwin.stage import Stage

__all__ = ["Publisher"]


class Publisher:
    """Put each process image on the stage and into the recordings.

    Parameters
    ----------
    spec : PackSpec
        The pack.
    folder : RunFolder
        Where the stage and its recorded layer go.
    recorders : tuple of Recorder
        Further recorders, such as the Parquet history.
    quantity : str
        Quantity that colours the pack.
    stage : Stage, optional
        Stage to write to, such as the editor's; a new one is built where absent.
    """

    def __init__(
        self,
        spec: PackSpec,
        folder: RunFolder,
        recorders: tuple[Recorder, ...],
        *,
        quantity: str,
        stage: Stage | None = None,
    ) -> None:
        self._spec = spec
        self._closing = ExitStack()
        self.stage = stage if stage is not None else build_pack_stage(spec)
        save_stage(self.stage, folder.stage)
        self.live = LiveLayer(self.stage, spec)
        self._closing.callback(self.live.close)
        self.heat_map = HeatMap(self.stage, spec, quantity=quantity)
        self._recorders = (
            *recorders,
            StageRecorder(self.stage, spec, folder.recording, quantity=quantity, authored=folder.stage),
        )
        for recorder in self._recorders:
            self._closing.callback(recorder.close)

    def publish(self, state: PackState) -> None:
        """Write one process image to the live layer, the colours and every recorder.

        Raises
        ------
        RecordingError
            If a recording cannot be written.
        """
        self.live.publish(state)
        self.heat_map.paint_state(state)
        for recorder in self._recorders:
            recorder.record(state)

    def close(self) -> None:
        """Finish every recording; a second call does nothing."""
        self._closing.close()
