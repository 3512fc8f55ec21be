"""What a step leaves behind: values on the prims, colours, time samples and Parquet."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from celltwin.core import PackSpec, PackState, Recorder
from celltwin.stage import HeatMap, LiveLayer, StageRecorder, build_pack_stage, save_stage

from .run_folder import RunFolder

if TYPE_CHECKING:
    from celltwin.stage import Stage

__all__ = ["Publisher"]

# Eyes need no more colours a second than this allows, however fast the twin runs [s of the wall clock].
PAINT_PERIOD = 0.1


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
        self._painted = float("-inf")
        self._unpainted: PackState | None = None
        self.stage = stage if stage is not None else build_pack_stage(spec)
        save_stage(self.stage, folder.stage)
        self.live = LiveLayer(self.stage, spec)
        self._closing.callback(self.live.close)
        self.heat_map = HeatMap(self.stage, spec, quantity=quantity)
        self._recorders = (
            *recorders,
            StageRecorder(
                self.stage, spec, folder.recording, quantity=quantity, authored=folder.stage, steps_a_segment=10
            ),
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
        self._unpainted = state
        self._paint(PAINT_PERIOD)
        for recorder in self._recorders:
            recorder.record(state)

    def _paint(self, period: float) -> None:
        """Colour the cells by the newest process image, unless they were coloured within ``period`` [s]."""
        now = time.monotonic()
        if self._unpainted is not None and now - self._painted >= period:
            self.heat_map.paint_state(self._unpainted)
            self._painted, self._unpainted = now, None

    def close(self) -> None:
        """Show the newest colours and finish every recording; a second call does nothing."""
        self._paint(0.0)
        self._closing.close()
