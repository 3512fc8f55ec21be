"""Files of a recording on a stage: segments that are whole at any moment, joined in one layer at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdUtils, Vt

from celltwin.core import RecordingError

__all__ = ["RecordedLayers", "new_sample_layer"]

_NOTHING_LOST = "Free space or make the folder writable; all recorded before stays readable"


class RecordedLayers:
    """Segments of time samples, and the stage file that shows them above the authored stage.

    A file of USD is not readable while it is being written over. So no file is: each segment, the manifest and the
    stage file are written beside their place and moved there, which the file system does at once or not at all.
    Until :meth:`join`, the stage file strings the segments together as value clips; afterwards it sublayers one
    layer that holds all samples.

    Parameters
    ----------
    path : Path
        Stage file to write, such as ``recording.usda``; the layers go to the folder of that name beside it.
    stage : Usd.Stage
        Authored stage.
    root : str
        Path of the pack's prim.
    authored : Path, optional
        File of the authored stage; that of the stage's root layer if None, or a copy of it where it has none.

    Raises
    ------
    RecordingError
        If there is a recording already, or the folder cannot be written.
    """

    def __init__(self, path: Path, stage: Usd.Stage, root: str, authored: Path | None) -> None:
        path = path.resolve()
        self.path = path
        self.folder = path.with_suffix("")
        self._root = root
        self._segments: list[tuple[float, Path]] = []
        self._end = 0.0
        if path.exists():
            raise RecordingError(
                "there is a recording already", where=str(path), remedy="Give another folder, or move the old recording"
            )
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        source = stage.GetRootLayer()
        if authored is None and not source.anonymous:
            authored = Path(source.realPath)
        if authored is None:
            authored = self.folder / "authored.usdc"
            self._export(source, authored)
        self._authored = authored.resolve()
        self._metadata = {
            "defaultPrim": source.defaultPrim,
            UsdGeom.Tokens.metersPerUnit: UsdGeom.GetStageMetersPerUnit(stage),
            UsdGeom.Tokens.upAxis: UsdGeom.GetStageUpAxis(stage),
            "timeCodesPerSecond": 1.0,
        }
        self._write_stage_file(())

    def add_segment(self, segment: Sdf.Layer, start: float, end: float, *, declares_more: bool) -> None:
        """Write a segment to its file and show it on the stage.

        Parameters
        ----------
        segment : Sdf.Layer
            Layer with the time samples.
        start, end : float
            Times that it covers [s].
        declares_more : bool
            Whether it holds attributes that no segment before it had.

        Raises
        ------
        RecordingError
            If it cannot be written; nothing recorded before is touched.
        """
        place = self.folder / f"segment_{len(self._segments) + 1:04d}.usdc"
        self._export(segment, place)
        if declares_more:
            manifest = Usd.ClipsAPI.GenerateClipManifestFromLayers([segment], Sdf.Path(self._root))
            known = self.folder / "manifest.usda"
            if known.exists():
                UsdUtils.StitchLayers(manifest, Sdf.Layer.OpenAsAnonymous(str(known)))
            self._export(manifest, known)
        before = (self._segments, self._end)
        self._segments, self._end = [*self._segments, (start, place)], end
        try:
            self._write_stage_file(())
        except RecordingError:
            self._segments, self._end = before
            raise

    def join(self) -> Sdf.Layer:
        """Return a layer in memory that holds the samples of all segments."""
        joined = new_sample_layer("samples.usdc")
        for _, place in self._segments:
            UsdUtils.StitchLayers(joined, Sdf.Layer.OpenAsAnonymous(str(place)))
        return joined

    def replace_segments(self, joined: Sdf.Layer) -> None:
        """Write the joined layer, let the stage file sublayer it, and remove the segments.

        Raises
        ------
        RecordingError
            If it cannot be written; the segments then stay, and the stage file shows them.
        """
        place = self.folder / "samples.usdc"
        self._export(joined, place)
        self._write_stage_file((place,))
        for _, segment in self._segments:
            segment.unlink(missing_ok=True)
        (self.folder / "manifest.usda").unlink(missing_ok=True)

    def _write_stage_file(self, samples: tuple[Path, ...]) -> None:
        layer = Sdf.Layer.CreateAnonymous("recording.usda")
        layer.subLayerPaths = [self._relative(place) for place in (*samples, self._authored)]
        for key, value in self._metadata.items():
            layer.pseudoRoot.SetInfo(key, value)
        if self._segments:
            layer.startTimeCode, layer.endTimeCode = self._segments[0][0], self._end
            if not samples:
                prim = Sdf.CreatePrimInLayer(layer, self._root)
                prim.SetInfo("clips", {"default": self._clips()})
        self._export(layer, self.path)

    def _clips(self) -> dict[str, object]:
        files = [Sdf.AssetPath(self._relative(place)) for _, place in self._segments]
        active = [Gf.Vec2d(start, number) for number, (start, _) in enumerate(self._segments)]
        return {
            "assetPaths": Sdf.AssetPathArray(files),
            "active": Vt.Vec2dArray(active),
            "primPath": self._root,
            "manifestAssetPath": Sdf.AssetPath(self._relative(self.folder / "manifest.usda")),
        }

    def _relative(self, place: Path) -> str:
        return f"./{Path(os.path.relpath(place, self.path.parent)).as_posix()}"

    def _export(self, layer: Sdf.Layer, place: Path) -> None:
        beside = place.with_name(f"{place.stem}.part{place.suffix}")
        try:
            with _writing(place):
                if not layer.Export(str(beside)):
                    raise OSError("USD could not write the layer")
                beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


def new_sample_layer(name: str) -> Sdf.Layer:
    """Return a layer in memory for time samples: one time code is one second, or USD would rescale them."""
    layer = Sdf.Layer.CreateAnonymous(name)
    layer.timeCodesPerSecond = 1.0
    return layer


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Turn what the system or USD says about a failed write into a RecordingError."""
    try:
        yield
    except (OSError, Tf.ErrorException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
        folder = next((parent for parent in place.parents if parent.is_dir()), None)
        if folder is not None and shutil.disk_usage(folder).free < 1 << 20:
            reason = "the disk is full"
        raise RecordingError(
            f"the recording cannot be written ({reason})", where=str(place), remedy=_NOTHING_LOST
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rsplit(" : ", 1)[-1].strip("'") if lines else type(error).__name__
